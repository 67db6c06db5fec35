//! What the server's messages mean, in our types.

use std::io;

use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::{DataRowBody, ErrorFields, ErrorResponseBody, NoticeResponseBody};

use crate::answers::{Notice, Row};
use crate::error::ServerError;

pub(super) fn text_row(row: &DataRowBody) -> io::Result<Row> {
    let buffer = row.buffer();
    row.ranges()
        .map(|range| {
            let Some(range) = range else { return Ok(None) };
            // client_encoding is UTF8 in our own queries; a SQL_ASCII server may send what it likes.
            Ok(Some(String::from_utf8_lossy(&buffer[range]).into_owned()))
        })
        .collect()
}

/// The number at the end of a command tag: `INSERT 0 3`.
pub(super) fn affected(tag: &str) -> u64 {
    tag.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

pub(super) fn server_error(body: &ErrorResponseBody) -> io::Result<ServerError> {
    let fields = Fields::read(body.fields())?;
    Ok(ServerError {
        severity: match fields.severity.as_deref() {
            Some("PANIC") => "PANIC",
            Some("FATAL") => "FATAL",
            _ => "ERROR",
        },
        sqlstate: fields.sqlstate,
        code: 0,
        message: fields.message,
        detail: fields.detail,
        hint: fields.hint,
        position: fields.position,
        context: fields.context,
        constraint: fields.constraint,
    })
}

pub(super) fn notice(body: &NoticeResponseBody) -> io::Result<Notice> {
    let fields = Fields::read(body.fields())?;
    Ok(Notice {
        is_warning: fields.severity.as_deref() == Some("WARNING"),
        sqlstate: fields.sqlstate,
        code: 0,
        message: fields.message,
    })
}

/// The last warning of a session as the error that it stands for.
pub(super) fn goodbye(notice: &Notice) -> ServerError {
    ServerError {
        severity: "FATAL",
        sqlstate: notice.sqlstate.clone(),
        code: 0,
        message: notice.message.clone(),
        detail: None,
        hint: None,
        position: None,
        context: None,
        constraint: None,
    }
}

#[derive(Default)]
struct Fields {
    severity: Option<String>,
    sqlstate: String,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<usize>,
    context: Option<String>,
    constraint: Option<String>,
}

impl Fields {
    fn read(mut fields: ErrorFields<'_>) -> io::Result<Self> {
        let mut read = Self::default();
        while let Some(field) = fields.next()? {
            // Before the encoding is agreed upon a server may answer in its own.
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                // The severity that is never translated comes after the other one.
                b'V' => read.severity = Some(value),
                b'S' if read.severity.is_none() => read.severity = Some(value),
                b'C' => read.sqlstate = value,
                b'M' => read.message = value,
                b'D' => read.detail = Some(value),
                b'H' => read.hint = Some(value),
                b'P' => read.position = value.parse().ok(),
                b'W' => read.context = Some(value),
                b'n' => read.constraint = Some(value),
                _ => {}
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::affected;

    #[test]
    fn a_command_tag_ends_with_its_rows() {
        assert_eq!((affected("INSERT 0 3"), affected("COPY 12"), affected("CREATE TABLE")), (3, 12, 0));
    }
}
