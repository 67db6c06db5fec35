//! A scripted API server over real HTTP: each kind of request has a queue of answers.
//!
//! A request without an answer fails the test when it is a log; watches then stay open without a word. Answers that
//! nobody asked for fail the test in [`Server::check`].

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    /// The connection breaks in the middle.
    Cut,
    /// Nothing more comes, and the connection stays.
    Hang,
}

/// One answer.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) after: Duration,
    pub(super) end: End,
}

impl Step {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string().into_bytes(), after: Duration::ZERO, end: End::Complete }
    }

    pub(super) fn later(mut self, millis: u64) -> Self {
        self.after = Duration::from_millis(millis);
        self
    }
}

#[derive(Debug, Default)]
struct Script {
    steps: HashMap<String, VecDeque<Step>>,
    more: HashMap<String, Step>,
    asked: HashMap<String, Vec<String>>,
    unexpected: Vec<String>,
}

pub(super) struct Server {
    address: String,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = script.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self { address, script }
    }

    pub(super) fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(format!("http://{}", self.address).parse().unwrap());
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    pub(super) fn script(&self, kind: &str, steps: impl IntoIterator<Item = Step>) {
        self.script.lock().unwrap().steps.insert(kind.to_owned(), steps.into_iter().collect());
    }

    /// The answer to every request beyond the scripted ones.
    pub(super) fn allow_more(&self, kind: &str, step: Step) {
        self.script.lock().unwrap().more.insert(kind.to_owned(), step);
    }

    pub(super) fn asked(&self, kind: &str) -> Vec<String> {
        self.script.lock().unwrap().asked.get(kind).cloned().unwrap_or_default()
    }

    /// Everything scripted was asked for, and nothing else.
    pub(super) fn check(&self) {
        let script = self.script.lock().unwrap();
        let left: Vec<_> =
            script.steps.iter().filter(|(_, steps)| !steps.is_empty()).map(|(kind, _)| kind).collect();
        assert!(left.is_empty(), "never asked for: {left:?}");
        assert!(script.unexpected.is_empty(), "unexpected: {:?}", script.unexpected);
    }
}

fn kind_of(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let last = path.rsplit('/').next().unwrap_or_default();
    if let Some((_, uid)) = query.split_once("involvedObject.uid%3D") {
        return format!("events of {}", uid.split('&').next().unwrap_or_default());
    }
    if query.contains("watch=true") { format!("watch {last}") } else { last.to_owned() }
}

fn answer(script: &Mutex<Script>, target: &str) -> Step {
    let kind = kind_of(target);
    let mut script = script.lock().unwrap();
    script.asked.entry(kind.clone()).or_default().push(target.to_owned());
    let step = script.steps.get_mut(&kind).and_then(VecDeque::pop_front);
    if let Some(step) = step.or_else(|| script.more.get(&kind).cloned()) {
        return step;
    }
    let silent = Step { status: 200, body: Vec::new(), after: Duration::ZERO, end: End::Hang };
    match kind.as_str() {
        kind if kind.starts_with("watch ") || kind == "events" => silent,
        _ => {
            script.unexpected.push(target.to_owned());
            silent
        }
    }
}

async fn serve(stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        request.push_str(&line);
    }
    let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let step = answer(&script, &target);
    let _ = write(&mut stream, &step).await;
}

async fn write(stream: &mut BufReader<TcpStream>, step: &Step) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {} x\r\ncontent-type: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
        step.status
    );
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    tokio::time::sleep(step.after).await;
    // Small pieces: an answer may be cut anywhere.
    for piece in step.body.chunks(7) {
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        stream.write_all(piece).await?;
        stream.write_all(b"\r\n").await?;
    }
    stream.flush().await?;
    match step.end {
        End::Complete => stream.write_all(b"0\r\n\r\n").await?,
        End::Cut => {}
        End::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
    }
    stream.flush().await
}
