//! A proxy that knows where the messages of PostgreSQL, or of MySQL and MariaDB, begin and end: it counts them, and can cut
//! a connection, or hold it still, at any one of them. Only for connections without TLS: nobody reads along there.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// A message on its way.
#[derive(Debug)]
pub struct Message<'a> {
    /// Its number among all messages of all connections, in both directions, from 1.
    pub number: u64,
    pub from: Side,
    /// Its type; 0 for those without one, at the beginning of a connection.
    pub tag: u8,
    pub body: &'a [u8],
}

impl Message<'_> {
    /// Whether it is a query whose text holds this.
    pub fn is_query_with(&self, text: &str) -> bool {
        self.from == Side::Client && self.tag == b'Q' && String::from_utf8_lossy(self.body).contains(text)
    }

    /// Whether the server says that a statement of this kind (`COMMIT`, `INSERT`) is done.
    pub fn completes(&self, tag: &str) -> bool {
        self.from == Side::Server && self.tag == b'C' && self.body.starts_with(tag.as_bytes())
    }
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Pass,
    /// The message is not delivered, and both ends of the connection are closed.
    Cut,
    /// The message is not delivered, and nothing more is until [`MessageProxy::release`], which cuts.
    Hold,
}

type Rule = Box<dyn FnMut(&Message<'_>) -> Act + Send>;

/// The proxy; it lives as long as the test.
pub struct MessageProxy {
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
    shared: Arc<Shared>,
    held: Mutex<Receiver<()>>,
}

/// Whose messages they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Postgres,
    MySql,
}

struct Shared {
    target: String,
    protocol: Protocol,
    state: Mutex<State>,
    released: Condvar,
    tell_held: Sender<()>,
}

struct State {
    messages: u64,
    round_trips: u64,
    /// Who was heard last, once somebody is logged in.
    last: Option<Side>,
    rule: Option<Rule>,
    holding: bool,
}

impl MessageProxy {
    /// Listens on a free port of this machine and forwards to the PostgreSQL at `target` (host and port).
    pub fn to(target: &str) -> Self {
        Self::speaking(Protocol::Postgres, target)
    }

    /// The same for a MySQL or MariaDB. Round trips are not counted there.
    pub fn to_mysql(target: &str) -> Self {
        Self::speaking(Protocol::MySql, target)
    }

    fn speaking(protocol: Protocol, target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let (tell_held, held) = channel();
        let state = State { messages: 0, round_trips: 0, last: None, rule: None, holding: false };
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            protocol,
            state: Mutex::new(state),
            released: Condvar::new(),
            tell_held,
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.forward(client);
            }
        });
        Self { address, shared, held: Mutex::new(held) }
    }

    /// Counts from zero again, and asks this rule about every message until it first answers otherwise than to pass.
    pub fn rule(&self, rule: impl FnMut(&Message<'_>) -> Act + Send + 'static) {
        while self.held.lock().expect("no thread panics").try_recv().is_ok() {}
        let mut state = self.shared.state();
        (state.messages, state.round_trips, state.last) = (0, 0, None);
        state.rule = Some(Box::new(rule));
    }

    /// Messages since the last rule, in both directions.
    pub fn messages(&self) -> u64 {
        self.shared.state().messages
    }

    /// How often the client has waited for the server since the last rule, logins left out.
    pub fn round_trips(&self) -> u64 {
        self.shared.state().round_trips
    }

    /// Waits until a message is held; whether one is.
    pub fn is_held_within(&self, patience: Duration) -> bool {
        self.held.lock().expect("no thread panics").recv_timeout(patience).is_ok()
    }

    /// Lets what is held go to nobody.
    pub fn release(&self) {
        self.shared.state().holding = false;
        self.shared.released.notify_all();
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics")
    }

    fn forward(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.target) else { return };
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("TCP can");
        }
        let streams = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
        let (Some(up), Some(down)) = (streams(), streams()) else { return };
        let (one, two) = (Arc::clone(self), Arc::clone(self));
        std::thread::spawn(move || one.pump(Side::Client, up.0, up.1));
        std::thread::spawn(move || two.pump(Side::Server, down.1, down.0));
    }

    fn pump(&self, from: Side, mut source: TcpStream, mut sink: TcpStream) {
        let mut framing = Framing::new(self.protocol, from);
        let mut bytes = [0; 64 * 1024];
        while let Ok(read @ 1..) = source.read(&mut bytes) {
            framing.pending.extend_from_slice(&bytes[..read]);
            self.heard(from, &framing);
            let mut passed = 0;
            let mut cut = false;
            while let Some((tag, body, end)) = framing.next(passed) {
                if self.decide(from, tag, &framing.pending[body..end]) {
                    passed = end;
                } else {
                    cut = true;
                    break;
                }
            }
            let _ = sink.write_all(&framing.pending[..passed]);
            framing.pending.drain(..passed);
            if cut {
                let _ = source.shutdown(Shutdown::Both);
                let _ = sink.shutdown(Shutdown::Both);
                return;
            }
        }
        let _ = sink.shutdown(Shutdown::Write);
    }

    /// A round trip begins when the client speaks after the server did.
    fn heard(&self, from: Side, framing: &Framing) {
        let mut state = self.state();
        match (from, state.last) {
            (Side::Client, Some(Side::Server)) => {
                // A goodbye waits for nothing.
                if framing.pending.first() != Some(&b'X') {
                    state.round_trips += 1;
                }
                state.last = Some(Side::Client);
            }
            (Side::Server, Some(Side::Client)) => state.last = Some(Side::Server),
            // The first `ReadyForQuery` ends the login; it is the last message of its packet.
            (Side::Server, None) if framing.pending.ends_with(&[b'Z', 0, 0, 0, 5, b'I']) => {
                state.last = Some(Side::Server);
            }
            _ => {}
        }
    }

    /// Whether the message is delivered.
    fn decide(&self, from: Side, tag: u8, body: &[u8]) -> bool {
        let mut state = self.state();
        if state.holding {
            let _let_go = self.released.wait_while(state, |state| state.holding).expect("no thread panics");
            return false;
        }
        state.messages += 1;
        let message = Message { number: state.messages, from, tag, body };
        let Some(rule) = &mut state.rule else { return true };
        match rule(&message) {
            Act::Pass => true,
            Act::Cut => {
                state.rule = None;
                false
            }
            Act::Hold => {
                state.rule = None;
                state.holding = true;
                let _ = self.tell_held.send(());
                let _let_go =
                    self.released.wait_while(state, |state| state.holding).expect("no thread panics");
                false
            }
        }
    }
}

/// Where messages begin and end.
struct Framing {
    protocol: Protocol,
    from: Side,
    pending: Vec<u8>,
    /// Messages without a type come first: the client's requests, the server's one letter about TLS.
    begins: std::cell::Cell<bool>,
}

impl Framing {
    fn new(protocol: Protocol, from: Side) -> Self {
        Self { protocol, from, pending: Vec::new(), begins: std::cell::Cell::new(true) }
    }

    /// Type, beginning of the body and end of the complete message at `at`.
    fn next(&self, at: usize) -> Option<(u8, usize, usize)> {
        const TLS_REQUEST: u32 = 80_877_103;
        let bytes = &self.pending[at..];
        if self.protocol == Protocol::MySql {
            let &[low, middle, high, _sequence, ref rest @ ..] = bytes else { return None };
            let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
            let tag = rest.get(..length)?.first().copied().unwrap_or_default();
            return Some((tag, at + 4, at + 4 + length));
        }
        let number = |from: usize| Some(u32::from_be_bytes(bytes.get(from..from + 4)?.try_into().ok()?));
        if self.begins.get() && self.from == Side::Server && matches!(bytes.first(), Some(b'N' | b'S')) {
            self.begins.set(false);
            return Some((bytes[0], at + 1, at + 1));
        }
        if self.begins.get() && self.from == Side::Client {
            let end = number(0)? as usize;
            let kind = number(4)?;
            if bytes.len() < end {
                return None;
            }
            self.begins.set(kind == TLS_REQUEST);
            return Some((0, at + 4, at + end));
        }
        self.begins.set(false);
        let end = number(1)? as usize + 1;
        (bytes.len() >= end).then(|| (bytes[0], at + 5, at + end))
    }
}
