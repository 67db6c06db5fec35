//! One container's log: which stream is open, what to open next, and the lines that come out.
//!
//! | the container | no stream open | a stream open |
//! |---|---|---|
//! | waits | nothing | it ends by itself |
//! | runs | open, follow | reopen when it ends, breaks, or is silent for long |
//! | ended | one reading to the end | close it soon: an end may never be signalled |
//! | was restarted | read the previous instance to its end, then the current one | as above |
//! | its Pod is gone | done; a loss when a reading was broken off | take what still comes |

use jiff::{SignedDuration, Timestamp};

use crate::{
    Command, Gap, Line, Loss, Notice, Output, Place, StreamEnd, StreamId,
    clean::{clean, clean_fields, clean_text},
    cursor::{Arrival, Cursor, Reading},
    lines::{RawLine, Splitter, parse_stamped},
    sequence::{Continuity, Sequences, numbered, numbered_beginning, parse_fields},
};

/// How long after its container's end a followed stream may stay open.
const END_GRACE: SignedDuration = SignedDuration::from_secs(3);
/// How long a reading to the end may be silent.
const ANSWER_LIMIT: SignedDuration = SignedDuration::from_secs(10);
/// A connection through a balancer can die without a word; reopening costs nothing and doubles nothing.
const SILENCE_LIMIT: SignedDuration = SignedDuration::from_secs(30);
const FIRST_PAUSE: SignedDuration = SignedDuration::from_millis(100);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// What the Pod's status says of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting,
    Running,
    Ended,
    /// Its Pod does not exist any more.
    Gone,
}

/// What was observed of a container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed {
    pub(crate) phase: Phase,
    pub(crate) restarts: i32,
}

#[derive(Debug, Clone)]
struct Stream {
    id: StreamId,
    splitter: Splitter,
    reading: Reading,
    /// A reading that goes to the end of an ended container's log.
    last: bool,
    heard: Timestamp,
}

/// The state of one container's log.
#[derive(Debug, Clone)]
pub(crate) struct ContainerLog {
    pub(crate) place: Place,
    pub(crate) drained: bool,
    restart: i32,
    cursor: Cursor,
    sequences: Sequences,
    stream: Option<Stream>,
    /// Whether it was ever seen to have something to read.
    ran: bool,
    /// Whether the last stream ended in good order.
    ended_well: bool,
    ended_at: Option<Timestamp>,
    heard: Option<Timestamp>,
    pause: SignedDuration,
    retry_at: Option<Timestamp>,
    trouble: Option<String>,
    complained: Vec<String>,
}

/// What a log needs from around it.
pub(crate) struct Around<'a> {
    pub(crate) now: Timestamp,
    pub(crate) drain_limit: SignedDuration,
    pub(crate) next_stream: &'a mut u64,
    pub(crate) outputs: &'a mut Vec<Output>,
}

impl ContainerLog {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            drained: false,
            restart: 0,
            cursor: Cursor::default(),
            sequences: Sequences::default(),
            stream: None,
            ran: false,
            ended_well: false,
            ended_at: None,
            heard: None,
            pause: FIRST_PAUSE,
            retry_at: None,
            trouble: None,
            complained: Vec::new(),
        }
    }

    pub(crate) fn has_stream(&self, id: StreamId) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.id == id)
    }

    pub(crate) fn stream_id(&self) -> Option<StreamId> {
        self.stream.as_ref().map(|stream| stream.id)
    }

    /// Decides what to do after anything changed. `held` keeps a log closed whose turn has not come.
    pub(crate) fn decide(&mut self, observed: Observed, held: bool, around: &mut Around<'_>) {
        self.note_restart(observed);
        if self.drained {
            return;
        }
        let over = matches!(observed.phase, Phase::Ended | Phase::Gone) || observed.restarts > self.restart;
        self.ran |= matches!(observed.phase, Phase::Running | Phase::Ended);
        if over && self.ended_at.is_none() {
            self.ended_at = Some(around.now);
            if self.trouble.is_none() {
                self.retry_at = None;
            }
        }
        if self.stream.is_some() {
            self.watch_open_stream(around);
        }
        if self.stream.is_none() {
            self.open_or_give_up(observed, held, around);
        }
    }

    /// Moves to the current instance once the one before is read.
    fn note_restart(&mut self, observed: Observed) {
        if self.drained && observed.restarts > self.restart {
            let place = self.place.clone();
            *self = Self { restart: observed.restarts, ..Self::new(place) };
        }
    }

    fn watch_open_stream(&mut self, around: &mut Around<'_>) {
        let Some(stream) = &self.stream else { return };
        let quiet_since = match self.ended_at {
            Some(ended) => stream.heard.max(ended),
            None => stream.heard,
        };
        let limit = match (stream.last, self.ended_at) {
            (true, _) => ANSWER_LIMIT,
            (false, Some(_)) => END_GRACE,
            (false, None) => SILENCE_LIMIT,
        };
        if around.now.duration_since(quiet_since) <= limit {
            return;
        }
        around.outputs.push(Output::Command(Command::CloseLog { stream: stream.id }));
        if stream.last {
            self.trouble = Some("the API server does not answer".to_owned());
        }
        self.ended_well = false;
        self.stream = None;
        self.retry_at = None;
    }

    fn open_or_give_up(&mut self, observed: Observed, held: bool, around: &mut Around<'_>) {
        let behind = observed.restarts - self.restart;
        let (follow, previous) = match observed.phase {
            Phase::Gone => return self.close_for_good(self.loss_with_the_pod(), around),
            _ if behind > 1 => {
                return self
                    .close_for_good(Some("the container was restarted more than once".to_owned()), around);
            }
            _ if behind == 1 => (false, true),
            Phase::Waiting => return,
            Phase::Running => (true, false),
            Phase::Ended => (false, false),
        };
        if let Some(why) = self.out_of_patience(around) {
            return self.close_for_good(Some(why), around);
        }
        if held || self.retry_at.is_some_and(|retry| around.now < retry) {
            return;
        }
        self.open(follow, previous, around);
    }

    /// After a stream that ended in good order there is nothing left to lose.
    fn loss_with_the_pod(&self) -> Option<String> {
        (self.ran && !self.ended_well).then(|| "its pod is gone".to_owned())
    }

    fn out_of_patience(&self, around: &Around<'_>) -> Option<String> {
        let trouble = self.trouble.as_ref()?;
        let since = self.ended_at?.max(self.heard.unwrap_or(Timestamp::MIN));
        let age = around.now.duration_since(since);
        (age > around.drain_limit).then(|| trouble.clone())
    }

    fn open(&mut self, follow: bool, previous: bool, around: &mut Around<'_>) {
        let id = StreamId(*around.next_stream);
        *around.next_stream += 1;
        let reading = self.cursor.resume();
        around.outputs.push(Output::Command(Command::OpenLog {
            stream: id,
            pod: self.place.pod.clone(),
            container: self.place.container.clone(),
            since: self.cursor.since(),
            follow,
            previous,
        }));
        let splitter = Splitter::default();
        self.stream = Some(Stream { id, splitter, reading, last: !follow, heard: around.now });
    }

    fn close_for_good(&mut self, trouble: Option<String>, around: &mut Around<'_>) {
        self.drained = true;
        self.trouble = None;
        if let Some(why) = trouble {
            let gap = Gap { place: self.place.clone(), loss: Loss::Rest { why } };
            around.outputs.push(Output::Gap(gap));
        }
    }

    /// A piece of the open stream.
    pub(crate) fn feed(&mut self, bytes: &[u8], around: &mut Around<'_>) {
        let Some(mut stream) = self.stream.take() else { return };
        stream.heard = around.now;
        self.heard = Some(around.now);
        self.pause = FIRST_PAUSE;
        for raw in stream.splitter.feed(bytes) {
            self.arrive(&raw, &mut stream.reading, around);
        }
        self.stream = Some(stream);
    }

    /// The open stream ended.
    pub(crate) fn ended(&mut self, end: StreamEnd, around: &mut Around<'_>) {
        let Some(mut stream) = self.stream.take() else { return };
        self.ended_well = match end {
            StreamEnd::Complete => true,
            StreamEnd::Cut(_) => false,
            StreamEnd::PodGone => self.ended_well,
        };
        match end {
            StreamEnd::Complete if stream.last => {
                if let Some(raw) = std::mem::take(&mut stream.splitter).finish() {
                    self.arrive(&raw, &mut stream.reading, around);
                }
                self.close_for_good(None, around);
            }
            // The container's end and the stream's end race; the last reading settles it.
            StreamEnd::Complete => {
                self.trouble = None;
                self.pause_before_retry(around.now);
            }
            StreamEnd::Cut(why) => {
                self.trouble = Some(clean_text(&why));
                self.pause_before_retry(around.now);
            }
            StreamEnd::PodGone => self.close_for_good(self.loss_with_the_pod(), around),
        }
    }

    fn pause_before_retry(&mut self, now: Timestamp) {
        self.retry_at = now.checked_add(self.pause).ok();
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        // What the container's end promises is read at once.
        if self.ended_at.is_some() && self.trouble.is_none() {
            self.retry_at = None;
        }
    }

    fn arrive(&mut self, raw: &RawLine, reading: &mut Reading, around: &mut Around<'_>) {
        let Some((time, text)) = parse_stamped(&raw.bytes) else {
            self.complain(raw, around);
            return;
        };
        let whole = String::from_utf8_lossy(text);
        let fields = if raw.cut == 0 { parse_fields(&whole) } else { None };
        let number = match &fields {
            Some(fields) => numbered(fields),
            None if raw.cut > 0 => numbered_beginning(&whole),
            None => None,
        };
        let arrival = self.cursor.arrive(reading, time);
        // Two lines can bear one stamp, and a rotation can part them: then the runner's count knows better.
        if arrival == Arrival::Double && !number.is_some_and(|number| self.sequences.is_new(number)) {
            return;
        }
        if let Some(loss) = loss(arrival, self.sequences.observe(number), time) {
            around.outputs.push(Output::Gap(Gap { place: self.place.clone(), loss }));
        }
        let text = clean(text, raw.cut);
        let fields = fields.map(clean_fields);
        around.outputs.push(Output::Line(Line { place: self.place.clone(), time, text, fields }));
    }

    /// Text of the kubelet instead of the log: told once, and not as a line.
    fn complain(&mut self, raw: &RawLine, around: &mut Around<'_>) {
        let message = clean_text(&String::from_utf8_lossy(&raw.bytes));
        if message.is_empty() || self.complained.contains(&message) {
            return;
        }
        self.complained.push(message.clone());
        around.outputs.push(Output::Notice(Notice { slug: "kubelet-message", message }));
    }
}

/// A count of the runner's own outweighs what timestamps suggest.
fn loss(arrival: Arrival, continuity: Continuity, time: Timestamp) -> Option<Loss> {
    match (continuity, arrival) {
        (Continuity::Missing { run, first, last }, _) => Some(Loss::Lines { run, first, last }),
        (Continuity::Unknown, Arrival::NewAfterHole { after }) => {
            Some(Loss::Possible { after, before: time })
        }
        _ => None,
    }
}
