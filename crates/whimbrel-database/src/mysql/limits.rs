//! Limits for the statements of a script. They are settings of the session, and set back with it.

use std::time::Duration;

use whimbrel_migration::dialect::Dialect;

use super::MySql;
use crate::answers::StatementLimits;
use crate::error::DatabaseError;

/// A year: the most that both settings take, and as good as for ever.
const LONGEST: u64 = 31_536_000;

impl MySql {
    /// Sets limits for the session.
    pub(crate) async fn limit_statements(&mut self, limits: &StatementLimits) -> Result<(), DatabaseError> {
        let settings = settings(limits, self.dialect);
        if settings.is_empty() {
            return Ok(());
        }
        self.is_used = true;
        self.query(&format!("SET {}", settings.join(", "))).await.map(drop)
    }
}

/// DDL waits for metadata locks and InnoDB for rows: a limit for locks is one for both. The servers count in seconds.
fn settings(limits: &StatementLimits, dialect: Dialect) -> Vec<String> {
    let mut settings = Vec::new();
    if let Some(lock) = limits.lock {
        let seconds = if lock.is_zero() { LONGEST } else { whole_seconds(lock) };
        settings.push(format!("lock_wait_timeout = {seconds}"));
        settings.push(format!("innodb_lock_wait_timeout = {seconds}"));
    }
    if let Some(statement) = limits.statement {
        settings.push(match dialect {
            Dialect::MariaDb => format!("max_statement_time = {:.6}", statement.as_secs_f64()),
            // It counts for SELECT alone: only "for ever" can be kept.
            _ => "max_execution_time = 0".to_owned(),
        });
    }
    settings
}

/// Rounded up: a part of a second would be no wait at all.
fn whole_seconds(limit: Duration) -> u64 {
    (limit.as_secs() + u64::from(limit.subsec_nanos() > 0)).clamp(1, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_settings_of_each_server() {
        let limits = |lock, statement| StatementLimits {
            lock: Some(Duration::from_millis(lock)),
            usual_lock: Some(Duration::from_secs(5)),
            statement: Some(Duration::from_millis(statement)),
        };
        assert_eq!(
            settings(&limits(1500, 250), Dialect::MariaDb).join(", "),
            "lock_wait_timeout = 2, innodb_lock_wait_timeout = 2, max_statement_time = 0.250000"
        );
        assert_eq!(
            settings(&limits(0, 0), Dialect::MySql).join(", "),
            "lock_wait_timeout = 31536000, innodb_lock_wait_timeout = 31536000, max_execution_time = 0"
        );
        assert!(settings(&StatementLimits::default(), Dialect::MySql).is_empty());
    }
}
