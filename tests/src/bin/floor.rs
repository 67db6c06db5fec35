//! The least that a runner can do, by the raw protocol, for comparisons.
//!
//! `floor apply URL FOLDER` connects, and for each file of the folder, in the order of their names: BEGIN, the file as
//! one query, the INSERT of a history row, COMMIT. Each waits for its answer.
//!
//! `floor login URL…` logs in everywhere side by side, and asks nothing.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

struct Connection {
    stream: TcpStream,
    incoming: BytesMut,
}

impl Connection {
    fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> io::Result<()> {
        let mut out = BytesMut::new();
        write(&mut out)?;
        self.stream.write_all(&out)
    }

    fn next(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = Message::parse(&mut self.incoming)? {
                return Ok(message);
            }
            let mut piece = [0; 16 * 1024];
            let read = self.stream.read(&mut piece)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.incoming.extend_from_slice(&piece[..read]);
        }
    }

    fn query(&mut self, sql: &str) -> io::Result<()> {
        self.send(|out| frontend::query(sql, out))?;
        loop {
            match self.next()? {
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(_) => return Err(io::Error::other(format!("refused: {sql}"))),
                _ => {}
            }
        }
    }

    fn open(url: &str) -> io::Result<Self> {
        let wrong = || io::Error::other("the URL is not postgres://user:password@host:port/database");
        let rest = url.strip_prefix("postgres://").ok_or_else(wrong)?;
        let (login, rest) = rest.split_once('@').ok_or_else(wrong)?;
        let (user, password) = login.split_once(':').ok_or_else(wrong)?;
        let (address, database) = rest.split_once('/').ok_or_else(wrong)?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream, incoming: BytesMut::new() };
        connection.send(|out| frontend::startup_message([("user", user), ("database", database)], out))?;
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            match connection.next()? {
                Message::AuthenticationSasl(_) => {
                    connection
                        .send(|out| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out))?;
                }
                Message::AuthenticationSaslContinue(body) => {
                    scram.update(body.data())?;
                    connection.send(|out| frontend::sasl_response(scram.message(), out))?;
                }
                Message::AuthenticationSaslFinal(body) => scram.finish(body.data())?,
                Message::ErrorResponse(_) => return Err(io::Error::other("the login was refused")),
                Message::ReadyForQuery(_) => return Ok(connection),
                _ => {}
            }
        }
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["apply", url, folder] => apply(url, folder),
        ["login", urls @ ..] => login(urls),
        _ => Err(io::Error::other("floor apply URL FOLDER, or floor login URL…")),
    }
}

fn login(urls: &[&str]) -> io::Result<()> {
    std::thread::scope(|scope| {
        let logins: Vec<_> = urls.iter().map(|url| scope.spawn(|| Connection::open(url))).collect();
        logins.into_iter().try_for_each(|login| match login.join() {
            Ok(opened) => opened.map(drop),
            Err(_) => Err(io::Error::other("a login panicked")),
        })
    })
}

fn apply(url: &str, folder: &str) -> io::Result<()> {
    let mut files: Vec<_> =
        fs_err::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.sort();
    let mut connection = Connection::open(url)?;
    connection.query(
        "CREATE TABLE IF NOT EXISTS history (installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) \
         NOT NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int, installed_by varchar(100) NOT NULL, \
         installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL, success boolean NOT NULL)",
    )?;
    connection.query("CREATE INDEX IF NOT EXISTS history_success ON history (success)")?;
    for (rank, path) in files.iter().enumerate() {
        let text = fs_err::read_to_string(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        connection.query("BEGIN")?;
        connection.query(&text)?;
        connection.query(&format!(
            "INSERT INTO history (installed_rank, version, description, type, script, checksum, installed_by, execution_time, \
             success) VALUES ({rank}, '{rank}', 'step', 'SQL', '{name}', 12345678, current_user, 1, true)"
        ))?;
        connection.query("COMMIT")?;
    }
    Ok(())
}
