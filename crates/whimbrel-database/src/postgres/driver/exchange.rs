//! Bytes and messages: while some are written, others are read, so that neither side waits for the other with full buffers.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use postgres_protocol::message::backend::Message;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::transport::Transport;
use super::{Answer, Driver, READ, answer, protocol};
use crate::error::DatabaseError;

/// More notices of one query than these are counted, not kept.
const KEPT_NOTICES: usize = 1000;

impl Driver {
    /// The next message, or why there is none any more: a backend that has to go at once (another one crashed, the
    /// server stops immediately) can only warn before it does.
    pub(super) async fn message_for(&mut self, answer: &Answer) -> Result<Message, DatabaseError> {
        let message = self.next_message().await;
        match answer.notices.last() {
            Some(last) if message.is_err() && last.says_goodbye() => {
                Err(DatabaseError::Server(answer::goodbye(last)))
            }
            _ => message,
        }
    }

    /// The next message that belongs to a query.
    pub(super) async fn next_message(&mut self) -> Result<Message, DatabaseError> {
        loop {
            if let Some(message) = self.inbox.pop_front() {
                return Ok(message);
            }
            self.sort_in()?;
            if self.inbox.is_empty() {
                self.read_some().await?;
            }
        }
    }

    /// Messages that are complete: those that may come at any time are noted, the others wait in the inbox.
    fn sort_in(&mut self) -> Result<(), DatabaseError> {
        while let Some(message) = Message::parse(&mut self.incoming).map_err(protocol)? {
            match message {
                // They belong to the query that the server works on, in its order among the messages.
                Message::NoticeResponse(_) if self.kept_notices >= KEPT_NOTICES => self.more_notices += 1,
                Message::ParameterStatus(body) => {
                    if body.name().is_ok_and(|name| name == "server_version") {
                        body.value().map_err(protocol)?.clone_into(&mut self.server_version);
                    }
                }
                Message::NotificationResponse(_) => {}
                message => {
                    self.kept_notices += usize::from(matches!(message, Message::NoticeResponse(_)));
                    self.refused |= matches!(message, Message::ErrorResponse(_));
                    let is_row = matches!(message, Message::DataRow(_));
                    self.inbox.push_back(message);
                    // Rows are taken out one by one: a large result is not held twice.
                    if is_row && self.inbox.len() > 64 {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    async fn read_some(&mut self) -> Result<(), DatabaseError> {
        let Self { transport, incoming, .. } = self;
        let reading = poll_fn(|context| poll_read(transport, incoming, context));
        let read = match self.silence {
            None => reading.await?,
            Some(_) if self.is_silent => return Err(closed().into()),
            Some(limit) => match tokio::time::timeout(limit, reading).await {
                Ok(read) => read?,
                Err(_) => return Err(self.gave_up(limit).into()),
            },
        };
        if read == 0 { Err(closed().into()) } else { Ok(()) }
    }

    /// From now on nothing is waited for: what the server still does is not known.
    fn gave_up(&mut self, limit: Duration) -> io::Error {
        self.is_silent = true;
        let text = format!("the server was silent for {} s (socketTimeout)", limit.as_secs_f32());
        io::Error::new(io::ErrorKind::TimedOut, text)
    }

    /// Writes what is to be sent, and reads what comes meanwhile.
    pub(crate) async fn flush(&mut self) -> Result<(), DatabaseError> {
        loop {
            let Self { transport, incoming, outgoing, .. } = self;
            let moving = poll_fn(|context| poll_write_or_read(transport, incoming, outgoing, context));
            let step = match self.silence {
                None => moving.await,
                Some(_) if self.is_silent => return Err(closed().into()),
                Some(limit) => match tokio::time::timeout(limit, moving).await {
                    Ok(step) => step,
                    Err(_) => return Err(self.gave_up(limit).into()),
                },
            };
            match step {
                Ok(Moved::Out) => {}
                Ok(Moved::All) => return Ok(()),
                Ok(Moved::In(0)) => return Err(closed().into()),
                Ok(Moved::In(_)) => self.sort_in()?,
                Err(error) => return Err(self.last_words(error).await),
            }
        }
    }

    /// A write failed because the other side has hung up; it may have said why.
    async fn last_words(&mut self, error: io::Error) -> DatabaseError {
        while let Ok(()) = self.read_some().await {
            if self.sort_in().is_err() {
                break;
            }
        }
        while let Some(message) = self.inbox.pop_front() {
            if let Message::ErrorResponse(body) = message
                && let Ok(error) = answer::server_error(&body)
                && error.ends_session()
            {
                return DatabaseError::Server(error);
            }
        }
        error.into()
    }
}

enum Moved {
    Out,
    All,
    In(usize),
}

fn poll_write_or_read(
    transport: &mut Transport,
    incoming: &mut BytesMut,
    outgoing: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<io::Result<Moved>> {
    let written = if outgoing.is_empty() {
        Pin::new(&mut *transport).poll_flush(context).map_ok(|()| Moved::All)
    } else {
        Pin::new(&mut *transport).poll_write(context, outgoing).map(|written| match written? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => {
                outgoing.advance(written);
                Ok(Moved::Out)
            }
        })
    };
    if written.is_ready() {
        return written;
    }
    poll_read(transport, incoming, context).map_ok(Moved::In)
}

fn poll_read(
    transport: &mut Transport,
    incoming: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut piece = [0; READ];
    let mut buffer = ReadBuf::new(&mut piece);
    match Pin::new(transport).poll_read(context, &mut buffer) {
        Poll::Ready(Ok(())) => {
            incoming.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")
}
