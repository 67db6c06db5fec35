//! The driver: one connection to PostgreSQL, message by message (frontend/backend protocol 3.0, simple queries only).
//!
//! Messages are framed by `postgres-protocol`; what is decided here is when they are sent and who waits for what.
//! Several queries may be under way at once ([`Driver::send`], then as many [`Driver::answer`]s): the server
//! works them off in order, and a round trip is paid once for all of them.

mod answer;
mod certificate;
mod exchange;
mod login;
mod scram;
mod tls;
mod transport;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::io::AsyncWriteExt as _;

use self::transport::Transport;
use crate::answers::{Notice, Outcome, Row};
use crate::error::{BoxError, ConnectErrorKind, DatabaseError};
use crate::target::{Endpoint, Target};

/// What is read at once.
const READ: usize = 16 * 1024;

/// Small messages are collected up to this size; then they are sent, whether or not an answer is wanted.
const WRITE: usize = 32 * 1024;

/// A connection that has logged in.
pub(crate) struct Driver {
    transport: Transport,
    /// How long the server may be silent; and whether it was for longer, after which nothing is waited for.
    silence: Option<Duration>,
    is_silent: bool,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Messages that came while something was written.
    inbox: VecDeque<Message>,
    /// Queries that were sent and whose `ReadyForQuery` has not come yet.
    under_way: usize,
    /// Whether the data of a COPY is awaited from us.
    copying: bool,
    /// Notices of the query whose answer is awaited: those that were kept, and those beyond.
    kept_notices: usize,
    more_notices: usize,
    /// Whether an error waits in the inbox.
    refused: bool,
    /// Whether a transaction was open after the last query.
    in_transaction: bool,
    server_version: String,
}

/// What came of one query.
#[derive(Default)]
pub(crate) struct Answer {
    /// Rows of all its statements, where they were wanted.
    pub(crate) rows: Vec<Row>,
    /// How many rows its statements touched.
    pub(crate) affected: u64,
    /// How many of its statements went through.
    pub(crate) completed: usize,
    /// The first word of the last of them (`INSERT`), where rows were wanted.
    pub(crate) last_command: String,
    /// What the server said meanwhile.
    pub(crate) notices: Vec<Notice>,
    /// The error that ended it.
    pub(crate) error: Option<DatabaseError>,
}

/// What the server's end of a query looks like to those who have data to bring.
pub(crate) enum CopyReady {
    /// It waits for data.
    Yes,
    /// It is over already: an error, or a statement that wanted none.
    No(Box<Answer>),
}

impl Driver {
    /// Connects and logs in; TLS as the target asks for it.
    pub(crate) async fn connect(
        target: &Target,
        endpoint: &Endpoint,
        application_name: &str,
        timeout: Duration,
    ) -> Result<Self, (ConnectErrorKind, BoxError)> {
        match tokio::time::timeout(timeout, login::open(target, endpoint, application_name)).await {
            Ok(opened) => opened,
            Err(_) => Err((
                ConnectErrorKind::Unreachable,
                format!("{endpoint} did not answer within {} s", timeout.as_secs_f32()).into(),
            )),
        }
    }

    /// Sends the text as one simple query and collects all rows of all its statements.
    pub(crate) async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        self.ask(sql, Wanted::Rows).await?.rows()
    }

    /// Several queries in one round trip, each with an answer of its own.
    pub(crate) async fn ask_all<const N: usize>(
        &mut self,
        queries: [&str; N],
    ) -> Result<[Answer; N], DatabaseError> {
        self.catch_up().await?;
        for query in queries {
            self.send(query).await?;
        }
        let mut answers = queries.map(|_| Answer::default());
        let mut lost: Option<String> = None;
        for into in &mut answers {
            if let Some(why) = &lost {
                // Nothing comes behind the end of a session.
                into.error = Some(DatabaseError::ConnectionLost(why.clone().into()));
                continue;
            }
            *into = self.answer(Wanted::Rows).await?;
            lost = into.error.as_ref().filter(|error| error.is_connection_lost()).map(ToString::to_string);
        }
        Ok(answers)
    }

    fn new(transport: Transport, silence: Option<Duration>) -> Self {
        Self {
            silence,
            is_silent: false,
            in_transaction: false,
            transport,
            incoming: BytesMut::with_capacity(READ),
            outgoing: BytesMut::with_capacity(1024),
            inbox: VecDeque::new(),
            under_way: 0,
            copying: false,
            kept_notices: 0,
            more_notices: 0,
            refused: false,
            server_version: String::new(),
        }
    }

    /// The server's version as a number, 150018 for 15.18; 0 where it cannot be read.
    pub(crate) fn server_version(&self) -> u32 {
        let mut numbers = self.server_version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        let mut next = || numbers.next().and_then(Result::ok).unwrap_or_default();
        next() * 10_000 + next()
    }

    /// Whether a transaction was open, or had failed, after the last query that was answered.
    pub(crate) fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Sends the text as one simple query; its answer is fetched later.
    pub(crate) async fn send(&mut self, sql: &str) -> Result<(), DatabaseError> {
        self.end_copy("another query came").await?;
        frontend::query(sql, &mut self.outgoing).map_err(protocol)?;
        self.under_way += 1;
        if self.outgoing.len() >= WRITE { self.flush().await } else { Ok(()) }
    }

    /// The answer to the oldest query under way.
    pub(crate) async fn answer(&mut self, wanted: Wanted) -> Result<Answer, DatabaseError> {
        self.flush().await?;
        let mut answer = Answer::default();
        loop {
            match self.message_for(&answer).await? {
                Message::CopyInResponse(_) => {
                    frontend::copy_fail("there is no data for this COPY", &mut self.outgoing)
                        .map_err(protocol)?;
                    self.flush().await?;
                }
                message => {
                    if self.take_in(message, wanted, &mut answer)? {
                        return Ok(self.finished(answer));
                    }
                }
            }
        }
    }

    /// One query and its answer. Answers that nobody fetched (their waiter was dropped) are passed over.
    pub(crate) async fn ask(&mut self, sql: &str, wanted: Wanted) -> Result<Answer, DatabaseError> {
        self.catch_up().await?;
        self.send(sql).await?;
        self.answer(wanted).await
    }

    /// Reads the answers of all queries that are under way and forgets them.
    pub(crate) async fn catch_up(&mut self) -> Result<(), DatabaseError> {
        self.end_copy("it was given up").await?;
        while self.under_way > 0 {
            self.answer(Wanted::Nothing).await?;
        }
        Ok(())
    }

    /// Sends a `COPY … FROM STDIN` and waits until the server wants the data.
    pub(crate) async fn begin_copy(&mut self, statement: &str) -> Result<CopyReady, DatabaseError> {
        self.catch_up().await?;
        self.send(statement).await?;
        self.flush().await?;
        let mut answer = Answer::default();
        loop {
            match self.message_for(&answer).await? {
                Message::CopyInResponse(_) => {
                    self.copying = true;
                    return Ok(CopyReady::Yes);
                }
                message => {
                    if self.take_in(message, Wanted::Nothing, &mut answer)? {
                        return Ok(CopyReady::No(Box::new(self.finished(answer))));
                    }
                }
            }
        }
    }

    /// Sends some of the data. Data after an error of the server's is dropped; the error comes with the answer.
    pub(crate) async fn copy_data(&mut self, data: &[u8]) -> Result<(), DatabaseError> {
        if self.refused {
            return Ok(());
        }
        for piece in data.chunks(WRITE) {
            frontend::CopyData::new(piece).map_err(protocol)?.write(&mut self.outgoing);
            if self.outgoing.len() >= WRITE {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Says that the data is complete, and fetches the answer.
    pub(crate) async fn finish_copy(&mut self) -> Result<Answer, DatabaseError> {
        self.copying = false;
        frontend::copy_done(&mut self.outgoing);
        self.flush().await?;
        self.answer(Wanted::Nothing).await
    }

    async fn end_copy(&mut self, why: &str) -> Result<(), DatabaseError> {
        if std::mem::take(&mut self.copying) {
            frontend::copy_fail(why, &mut self.outgoing).map_err(protocol)?;
            self.flush().await?;
        }
        Ok(())
    }

    /// Says goodbye.
    pub(crate) async fn close(mut self) {
        frontend::terminate(&mut self.outgoing);
        // The server notices the closed socket anyhow; a polite end is all that is lost.
        let _ = self.flush().await;
        let _ = self.transport.shutdown().await;
    }

    /// Takes a message into the answer; whether it is complete.
    fn take_in(
        &mut self,
        message: Message,
        wanted: Wanted,
        into: &mut Answer,
    ) -> Result<bool, DatabaseError> {
        match message {
            Message::ReadyForQuery(body) => {
                self.in_transaction = body.status() != b'I';
                self.under_way = self.under_way.saturating_sub(1);
                return Ok(true);
            }
            Message::NoticeResponse(body) => {
                into.notices.push(answer::notice(&body).map_err(protocol)?);
            }
            Message::ErrorResponse(body) => {
                let error = answer::server_error(&body).map_err(protocol)?;
                let ends = error.ends_session();
                into.error = Some(DatabaseError::Server(error));
                // After a FATAL nothing more comes.
                return Ok(ends);
            }
            Message::DataRow(row) if wanted == Wanted::Rows => {
                into.rows.push(answer::text_row(&row).map_err(protocol)?);
            }
            Message::CommandComplete(body) => {
                let tag = body.tag().map_err(protocol)?;
                into.affected += answer::affected(tag);
                into.completed += 1;
                if wanted == Wanted::Rows {
                    tag.split(' ').next().unwrap_or_default().clone_into(&mut into.last_command);
                }
            }
            // What a script selects or copies to the client is of no interest; LISTEN brings notifications.
            _ => {}
        }
        Ok(false)
    }

    fn finished(&mut self, mut answer: Answer) -> Answer {
        (self.kept_notices, self.refused) = (0, false);
        if self.more_notices > 0 {
            let message = format!("and {} more like these", std::mem::take(&mut self.more_notices));
            answer.notices.push(Notice { is_warning: false, sqlstate: "00000".to_owned(), code: 0, message });
        }
        answer
    }
}

impl Answer {
    /// The rows, or the error in their place.
    pub(crate) fn rows(self) -> Result<Vec<Row>, DatabaseError> {
        self.error.map_or(Ok(self.rows), Err)
    }
}

/// The same without rows.
pub(super) fn outcome(answer: Result<Answer, DatabaseError>) -> Outcome {
    match answer {
        Ok(Answer { error: None, affected, notices, .. }) => (Ok(affected), notices),
        Ok(Answer { error: Some(error), notices, .. }) => (Err(error), notices),
        Err(error) => (Err(error), Vec::new()),
    }
}

/// Whether the rows of a query are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Rows,
    Nothing,
}

fn protocol(error: io::Error) -> DatabaseError {
    DatabaseError::Protocol(error.into())
}

impl From<io::Error> for DatabaseError {
    fn from(error: io::Error) -> Self {
        Self::ConnectionLost(error.into())
    }
}
