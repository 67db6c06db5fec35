//! Statements that go to the server as one text, each with the question what there is to say about it.
//!
//! It works them off in order, and behind an error nothing. Each of them has one answer, so that the answers can be told
//! apart by counting.

use crate::answers::{Notice, Outcome, Row, Warnings, values};
use crate::error::DatabaseError;

/// Statements of one text. Each of them [changes rows](whimbrel_migration::statement::changes_rows).
#[derive(Default)]
pub(super) struct Batch {
    text: String,
    warnings: Vec<Warnings>,
}

impl Batch {
    /// Whether a statement may stand in one text with others. Where a backslash is read in another way than thought, a
    /// string of one would go on into the next.
    pub(super) fn may_be_joined(sql: &str) -> bool {
        !sql.contains('\\')
    }

    pub(super) fn add(&mut self, sql: &str, warnings: Warnings) {
        if !self.warnings.is_empty() {
            self.text.push_str(END);
        }
        self.text.push_str(sql);
        if warnings == Warnings::Told {
            self.text.push_str(END);
            self.text.push_str(QUESTION);
        }
        self.warnings.push(warnings);
    }

    /// The text, and what takes its answers.
    pub(super) fn into_parts(self) -> (String, Answers) {
        let answers = Answers { warnings: self.warnings, ..Answers::default() };
        (self.text, answers)
    }
}

/// In a line of its own: a comment ends with its line.
const END: &str = "\n;\n";

pub(super) const QUESTION: &str = "SHOW WARNINGS";

/// What has been answered so far.
#[derive(Default)]
pub(super) struct Answers {
    warnings: Vec<Warnings>,
    outcomes: Vec<Outcome>,
    /// The statement whose question is not answered yet.
    asked: Option<u64>,
    notices: Vec<Notice>,
}

impl Answers {
    /// Whether rows are what the server has to say.
    pub(super) fn is_in_question(&self) -> bool {
        self.asked.is_some()
    }

    /// A row of a question's answer.
    pub(super) fn warn(&mut self, row: Row) {
        self.notices.extend(notice(row));
    }

    /// An answer is complete: that of a statement, or of the question about it.
    pub(super) fn end(&mut self, affected: u64) {
        let asks = self.warnings.get(self.outcomes.len()) == Some(&Warnings::Told);
        match self.asked.take() {
            None if asks => self.asked = Some(affected),
            None => self.outcomes.push((Ok(affected), Vec::new())),
            Some(affected) => self.outcomes.push((Ok(affected), std::mem::take(&mut self.notices))),
        }
    }

    /// What came of each statement, up to the first that failed.
    pub(super) fn into_outcomes(mut self, ran: Result<(), DatabaseError>) -> Vec<Outcome> {
        if let Err(error) = ran {
            self.outcomes.push((Err(error), self.notices));
        }
        self.outcomes
    }
}

/// A row of what the server has to say.
pub(super) fn notice(row: Row) -> Option<Notice> {
    let mut next = values(row);
    let (level, code, message) = (next()?, next()?, next()?);
    Some(Notice {
        is_warning: level == "Warning",
        sqlstate: String::new(),
        code: code.parse().ok()?,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(message: &str) -> Row {
        ["Warning", "1265", message].map(|value| Some(value.to_owned())).into()
    }

    #[test]
    fn statements_and_questions_stand_apart_whatever_a_statement_ends_with() {
        let mut batch = Batch::default();
        batch.add("INSERT INTO a VALUES (1) -- one", Warnings::Told);
        batch.add("INSERT INTO a VALUES (2)", Warnings::Kept);
        batch.add("INSERT INTO a VALUES (3)", Warnings::Kept);
        assert_eq!(
            batch.into_parts().0,
            "INSERT INTO a VALUES (1) -- one\n;\nSHOW WARNINGS\n;\nINSERT INTO a VALUES (2)\n;\nINSERT INTO a VALUES (3)"
        );
        assert!(Batch::may_be_joined("INSERT INTO a VALUES ('x')"));
        assert!(!Batch::may_be_joined("INSERT INTO a VALUES ('\\'')"));
    }

    #[test]
    fn each_answer_belongs_to_its_statement() {
        let mut batch = Batch::default();
        for warnings in [Warnings::Told, Warnings::Kept, Warnings::Told, Warnings::Told] {
            batch.add("UPDATE a SET i = 1", warnings);
        }
        let (_, mut answers) = batch.into_parts();
        answers.end(7);
        answers.warn(row("first"));
        answers.end(0);
        answers.end(8);
        answers.end(9);
        answers.end(0);
        let outcomes = answers.into_outcomes(Err(DatabaseError::Protocol("no".into())));
        let seen: Vec<(Option<u64>, usize)> =
            outcomes.iter().map(|(done, notices)| (done.as_ref().ok().copied(), notices.len())).collect();
        assert_eq!(seen, [(Some(7), 1), (Some(8), 0), (Some(9), 0), (None, 0)]);
    }
}
