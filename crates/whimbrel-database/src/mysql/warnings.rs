//! What the server has to say about a statement. The number of warnings comes with its answer, but the driver keeps that
//! to itself, so that they have to be asked for.

use super::MySql;
use crate::answers::{Notice, Row, values};
use crate::error::DatabaseError;

impl MySql {
    /// The warnings and notes of the last statement, at most as many as the session keeps (`max_error_count`).
    pub(crate) async fn warnings(&mut self) -> Result<Vec<Notice>, DatabaseError> {
        Ok(self.query("SHOW WARNINGS").await?.into_iter().filter_map(notice).collect())
    }
}

fn notice(row: Row) -> Option<Notice> {
    let mut next = values(row);
    let (level, code, message) = (next()?, next()?, next()?);
    Some(Notice {
        is_warning: level == "Warning",
        sqlstate: String::new(),
        code: code.parse().ok()?,
        message,
    })
}
