//! Where the observations come from: watches and log streams, each a task that sends messages.

use std::{fmt::Debug, time::Duration};

use futures::{AsyncReadExt as _, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};
use kube::{
    Api,
    api::{ListParams, LogParams},
    runtime::watcher,
};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, task::AbortHandle};
use whimbrel_joblog::{Input, StreamEnd, StreamId, Target};

use crate::client::{Cluster, ClusterError, ClusterErrorKind};

/// A watch is asked for again this often, so that a connection that died without a word is noticed.
const WATCH_SECONDS: u32 = 30;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const PIECE: usize = 32 * 1024;
const OPEN_LIMIT: Duration = Duration::from_secs(15);

pub(super) type Sender = mpsc::Sender<Message>;

/// What reaches the loop.
#[derive(Debug)]
pub(super) enum Message {
    Input(Input),
    Trouble(ClusterError),
}

/// A log to open.
#[derive(Debug)]
pub(super) struct OpenLog {
    pub(super) stream: StreamId,
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) since: Option<Timestamp>,
    pub(super) follow: bool,
    pub(super) previous: bool,
}

/// The objects of one namespace.
pub(super) struct Connection {
    jobs: Api<Job>,
    pods: Api<Pod>,
    events: Api<Event>,
    namespace: String,
}

impl Connection {
    pub(super) fn new(cluster: &Cluster, namespace: &str) -> Self {
        Self {
            jobs: Api::namespaced(cluster.client(), namespace),
            pods: Api::namespaced(cluster.client(), namespace),
            events: Api::namespaced(cluster.client(), namespace),
            namespace: namespace.to_owned(),
        }
    }

    pub(super) fn watch_jobs(&self, target: &Target, sender: Sender) -> AbortHandle {
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let config = match target {
            Target::Name(name) => config.fields(&format!("metadata.name={name}")),
            Target::Selector(selector) => config.labels(selector),
        };
        let inputs = Inputs {
            listed: Input::JobsListed,
            made: |job| Input::Job(Box::new(job)),
            gone: |job| Input::JobGone(Box::new(job)),
        };
        let doing = format!("watch jobs in {}", self.namespace);
        tokio::spawn(watch(self.jobs.clone(), config, inputs, doing, sender)).abort_handle()
    }

    pub(super) fn watch_pods(&self, uid: &str, sender: Sender) -> AbortHandle {
        let label = format!("batch.kubernetes.io/controller-uid={uid}");
        let config = watcher::Config::default().timeout(WATCH_SECONDS).labels(&label);
        let inputs = Inputs {
            listed: Input::PodsListed,
            made: |pod| Input::Pod(Box::new(pod)),
            gone: |pod| Input::PodGone(Box::new(pod)),
        };
        let doing = format!("watch pods in {}", self.namespace);
        tokio::spawn(watch(self.pods.clone(), config, inputs, doing, sender)).abort_handle()
    }

    /// Warnings explain what a status does not tell; without the right to see them everything else goes on.
    pub(super) fn watch_warnings(&self, sender: Sender) -> AbortHandle {
        let config = watcher::Config::default().timeout(WATCH_SECONDS).fields("type=Warning");
        let events = self.events.clone();
        let watching = async move {
            let mut pause = FIRST_PAUSE;
            let mut stream = watcher(events, config).boxed();
            while let Some(event) = stream.next().await {
                match event {
                    Ok(watcher::Event::Apply(event) | watcher::Event::InitApply(event)) => {
                        pause = FIRST_PAUSE;
                        if send(&sender, Input::Event(Box::new(event))).await.is_none() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "events are not watched");
                        rest(&mut pause).await;
                    }
                }
            }
        };
        tokio::spawn(watching).abort_handle()
    }

    /// All events of one object, once.
    pub(super) fn fetch_events(&self, uid: &str, sender: Sender) -> AbortHandle {
        let wanted = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(100);
        let events = self.events.clone();
        let fetching = async move {
            let Ok(found) = events.list(&wanted).await else { return };
            for event in found {
                if send(&sender, Input::Event(Box::new(event))).await.is_none() {
                    return;
                }
            }
        };
        tokio::spawn(fetching).abort_handle()
    }

    pub(super) fn read_log(&self, wanted: OpenLog, sender: Sender) -> AbortHandle {
        let pods = self.pods.clone();
        let doing = format!("read the log of pod {}/{}", self.namespace, wanted.pod);
        let reading = async move {
            let stream = wanted.stream;
            let message = match read_log(&pods, wanted, &sender).await {
                Ok(()) => Message::Input(Input::LogEnded { stream, end: StreamEnd::Complete }),
                Err(Failure::Io(error)) => {
                    Message::Input(Input::LogEnded { stream, end: StreamEnd::Cut(error.to_string()) })
                }
                Err(Failure::Api(error)) => end_of(stream, ClusterError::from_kube(doing, error)),
                Err(Failure::NoAnswer) => {
                    let end = StreamEnd::Cut("no answer from the API server".to_owned());
                    Message::Input(Input::LogEnded { stream, end })
                }
            };
            // The loop is over when it does not listen any more.
            let _ = sender.send(message).await;
        };
        tokio::spawn(reading).abort_handle()
    }
}

enum Failure {
    Api(kube::Error),
    Io(std::io::Error),
    NoAnswer,
}

async fn read_log(pods: &Api<Pod>, wanted: OpenLog, sender: &Sender) -> Result<(), Failure> {
    let parameters = LogParams {
        container: Some(wanted.container),
        follow: wanted.follow,
        previous: wanted.previous,
        since_time: wanted.since,
        timestamps: true,
        ..LogParams::default()
    };
    let opening = tokio::time::timeout(OPEN_LIMIT, pods.log_stream(&wanted.pod, &parameters));
    let mut log = Box::pin(opening.await.map_err(|_| Failure::NoAnswer)?.map_err(Failure::Api)?);
    let mut piece = vec![0; PIECE];
    loop {
        let length = log.read(&mut piece).await.map_err(Failure::Io)?;
        if length == 0 {
            return Ok(());
        }
        let input = Input::LogChunk { stream: wanted.stream, bytes: piece[..length].to_vec() };
        if send(sender, input).await.is_none() {
            return Ok(());
        }
    }
}

/// A container that is not there yet is asked for again; a missing right is not.
fn end_of(stream: StreamId, error: ClusterError) -> Message {
    use std::error::Error as _;
    let end = match error.kind {
        ClusterErrorKind::NotFound => StreamEnd::PodGone,
        ClusterErrorKind::Forbidden | ClusterErrorKind::Unauthorized => return Message::Trouble(error),
        _ => StreamEnd::Cut(error.source().map_or_else(|| error.to_string(), ToString::to_string)),
    };
    Message::Input(Input::LogEnded { stream, end })
}

/// How the events of a watch become inputs.
struct Inputs<K> {
    listed: fn(Vec<K>) -> Input,
    made: fn(K) -> Input,
    gone: fn(K) -> Input,
}

/// Watches for ever: an expired version is listed anew, a broken stream begun again where it was.
async fn watch<K>(api: Api<K>, config: watcher::Config, inputs: Inputs<K>, doing: String, sender: Sender)
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut pause = FIRST_PAUSE;
    let mut listed = Vec::new();
    let mut events = watcher(api, config).boxed();
    loop {
        let input = match events.try_next().await {
            Ok(None) => return,
            Ok(Some(watcher::Event::Init)) => {
                listed.clear();
                continue;
            }
            Ok(Some(watcher::Event::InitApply(object))) => {
                listed.push(object);
                continue;
            }
            Ok(Some(watcher::Event::InitDone)) => (inputs.listed)(std::mem::take(&mut listed)),
            Ok(Some(watcher::Event::Apply(object))) => (inputs.made)(object),
            Ok(Some(watcher::Event::Delete(object))) => (inputs.gone)(object),
            Err(error) => {
                if let Some(error) = trouble(&doing, error)
                    && sender.send(Message::Trouble(error)).await.is_err()
                {
                    return;
                }
                rest(&mut pause).await;
                continue;
            }
        };
        pause = FIRST_PAUSE;
        if send(&sender, input).await.is_none() {
            return;
        }
    }
}

/// An expired version is daily business, and so is a stream that ends; a server that does not answer is not.
fn trouble(doing: &str, error: watcher::Error) -> Option<ClusterError> {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
            let error = ClusterError::from_kube(doing, error);
            (error.kind != ClusterErrorKind::Gone).then_some(error)
        }
        other => {
            tracing::debug!(error = %other, "a watch is begun again");
            None
        }
    }
}

async fn send(sender: &Sender, input: Input) -> Option<()> {
    sender.send(Message::Input(input)).await.ok()
}

async fn rest(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}
