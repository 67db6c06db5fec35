//! A TCP proxy in front of a server, for cutting connections that both sides believe in.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Forwards bytes until told otherwise.
pub struct Proxy {
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    refusing: AtomicBool,
    opened: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a free port of this machine and forwards to `target` (host and port).
    pub fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            refusing: AtomicBool::new(false),
            opened: AtomicU64::new(0),
            streams: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.forward(client);
            }
        });
        Self { address, shared }
    }

    /// Cuts all connections that are open; new ones are welcome.
    pub fn cut(&self) -> usize {
        let mut streams = self.shared.streams.lock().expect("no thread panics");
        let open = streams.iter().filter(|stream| stream.shutdown(Shutdown::Both).is_ok()).count();
        streams.clear();
        open / 2
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refusing.store(refuse, Ordering::SeqCst);
    }

    /// How many connections were ever forwarded.
    pub fn opened(&self) -> u64 {
        self.shared.opened.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn forward(&self, client: TcpStream) {
        if self.refusing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(&self.target) else { return };
        self.opened.fetch_add(1, Ordering::SeqCst);
        let copies = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
        let (Some(one), Some(two)) = (copies(), copies()) else { return };
        self.streams.lock().expect("no thread panics").extend([one.0, one.1]);
        pump(two.0, server);
        pump(two.1, client);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    });
}
