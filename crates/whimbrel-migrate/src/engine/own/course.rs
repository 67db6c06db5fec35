//! Where a script with transactions of its own is in them.

use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::scan::Effect;

use crate::engine::statements::Part;

/// How far a script came with its transactions.
#[derive(Default)]
pub(in crate::engine) struct Course {
    /// How many statements are done, and how many of them no rollback of ours reaches.
    pub(super) done: usize,
    pub(super) settled_statements: usize,
    /// How many of them the record in the database says, if there is one.
    pub(super) recorded: Option<usize>,
    /// A transaction is open.
    pub(in crate::engine) open: bool,
    /// Tables are locked (`LOCK TABLES` of MySQL and MariaDB), which to begin a transaction would end; or a transaction
    /// over several servers is under way (`XA START`), in which none can begin.
    locked: bool,
    /// Each statement begins one that stays open (`SET autocommit = 0` of MySQL and MariaDB).
    stays_open: bool,
    /// The last line of what was run.
    pub(super) last_line: u64,
    /// The last line of what no rollback of ours reaches.
    pub(super) settled: Option<u64>,
}

impl Course {
    pub(in crate::engine) fn begun(open: bool) -> Self {
        Self { open, last_line: 1, ..Self::default() }
    }

    /// Whether a transaction has to be begun, where the script gets one wherever it has none.
    pub(in crate::engine) fn lacks_transaction(&self) -> bool {
        !self.open && !self.locked
    }

    /// How many statements are settled when this one commits the transaction that is open: COMMIT with itself, others before
    /// they begin. None where it commits nothing.
    pub(super) fn settles(&self, effect: Effect, dialect: Dialect) -> Option<usize> {
        let settled = match effect {
            Effect::TransactionControl("COMMIT" | "END") => self.done + 1,
            Effect::ImplicitCommit(_) => self.done,
            Effect::TransactionControl("BEGIN" | "START TRANSACTION" | "SET autocommit")
                if dialect.is_mysql_like() && self.done > self.settled_statements =>
            {
                self.done
            }
            _ => return None,
        };
        (self.open && !self.locked).then_some(settled)
    }

    /// So much was committed, up to this line.
    pub(super) fn settle(&mut self, statements: usize, line: u64) {
        if statements > self.settled_statements {
            (self.settled_statements, self.settled) = (statements, Some(line));
        }
    }

    /// After a statement that went well.
    pub(in crate::engine) fn pass(&mut self, part: &Part, told: Option<bool>) {
        self.done += 1;
        self.locked = match part.effect {
            Effect::ImplicitCommit("LOCK TABLES") | Effect::TransactionControl("XA START") => true,
            Effect::ImplicitCommit("UNLOCK TABLES")
            | Effect::TransactionControl("XA COMMIT" | "XA ROLLBACK") => false,
            _ => self.locked,
        };
        self.open = told.unwrap_or(match part.effect {
            Effect::TransactionControl(words) if words.ends_with("autocommit") => {
                self.stays_open = turns_autocommit_off(&part.place.text);
                false
            }
            Effect::TransactionControl(words) => words.starts_with("BEGIN") || words.starts_with("START"),
            Effect::ImplicitCommit(_) => false,
            _ => self.open || self.stays_open,
        });
        self.last_line = part.place.last_line();
        if !self.open {
            self.settle(self.done, self.last_line);
        }
    }
}

/// What a statement that sets `autocommit` sets it to.
fn turns_autocommit_off(statement: &str) -> bool {
    let text = statement.to_ascii_lowercase();
    let value = text.split_once("autocommit").map_or("", |(_, value)| value.trim_start());
    let value = value.trim_start_matches(':').trim_start_matches('=').trim_start();
    ["0", "off", "false"].iter().any(|off| value.starts_with(off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_statement_commits_is_known_before_it_runs() {
        let course =
            |done, settled_statements| Course { done, settled_statements, open: true, ..Course::default() };
        let control = Effect::TransactionControl;
        for (dialect, effect, settled) in [
            (Dialect::PostgreSql, control("COMMIT"), Some(4)),
            (Dialect::PostgreSql, control("END"), Some(4)),
            (Dialect::PostgreSql, control("PREPARE TRANSACTION"), None),
            (Dialect::PostgreSql, control("ROLLBACK"), None),
            (Dialect::PostgreSql, control("BEGIN"), None),
            (Dialect::PostgreSql, Effect::Transactional, None),
            (Dialect::MariaDb, control("BEGIN"), Some(3)),
            (Dialect::MySql, control("SET autocommit"), Some(3)),
            (Dialect::MySql, Effect::ImplicitCommit("CREATE TABLE"), Some(3)),
            (Dialect::Sqlite, control("COMMIT"), Some(4)),
        ] {
            assert_eq!(course(3, 1).settles(effect, dialect), settled, "{dialect:?} {effect:?}");
            assert_eq!(Course { open: false, ..course(3, 1) }.settles(effect, dialect), None);
            assert_eq!(Course { locked: true, ..course(3, 1) }.settles(effect, dialect), None);
        }
        // Nothing has been done in the transaction that it ends; a DDL may do all of its work before it fails.
        assert_eq!(course(0, 0).settles(control("BEGIN"), Dialect::MariaDb), None);
        assert_eq!(course(0, 0).settles(Effect::ImplicitCommit("ALTER TABLE"), Dialect::MariaDb), Some(0));
    }

    #[test]
    fn autocommit_is_off_where_a_statement_says_so() {
        for (statement, off) in [
            ("SET autocommit = 0", true),
            ("set @@session.AUTOCOMMIT:=off", true),
            ("SET autocommit=1", false),
            ("SET SESSION autocommit = ON, time_zone = '+00:00'", false),
        ] {
            assert_eq!(turns_autocommit_off(statement), off, "{statement}");
        }
    }
}
