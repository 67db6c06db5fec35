//! The exit codes of all tools: one table, one `match`.

/// How a command ended, as its exit code says it.
///
/// The numbers are a contract with scripts, Tilt, Helm and Argo CD, which see nothing else of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitCode {
    /// Done, or verified clean.
    Done,
    /// The answer is no: findings without a code of their own, Job failed, Job gone with its outcome unknown.
    No,
    /// Usage or configuration.
    Usage,
    /// A secret or one of its keys is missing or unusable.
    Secret,
    /// The database could not be reached or refused the login, after waiting.
    DatabaseUnreachable,
    /// Another runner holds the lock.
    Locked,
    /// History and files disagree.
    HistoryDisagrees,
    /// A script failed, and nothing of it was kept.
    ScriptFailed,
    /// A script failed, and part of it was kept.
    ScriptPartlyKept,
    /// Refused by a guard.
    Refused,
    /// Another system was unreachable or would not say.
    Unavailable,
    /// Our own bug.
    Bug,
    /// Our own deadline passed.
    Deadline,
    /// Interrupted (SIGINT), stopped cleanly.
    Interrupted,
    /// Terminated (SIGTERM), stopped cleanly.
    Terminated,
}

impl ExitCode {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 15] = [
        Self::Done,
        Self::No,
        Self::Usage,
        Self::Secret,
        Self::DatabaseUnreachable,
        Self::Locked,
        Self::HistoryDisagrees,
        Self::ScriptFailed,
        Self::ScriptPartlyKept,
        Self::Refused,
        Self::Unavailable,
        Self::Bug,
        Self::Deadline,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Secret => 3,
            Self::DatabaseUnreachable => 4,
            Self::Locked => 5,
            Self::HistoryDisagrees => 6,
            Self::ScriptFailed => 7,
            Self::ScriptPartlyKept => 8,
            Self::Refused => 9,
            Self::Unavailable => 69,
            Self::Bug => 70,
            Self::Deadline => 124,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The code with this number, if it is one of ours.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// How grave this is among several databases of one run; higher is graver.
    ///
    /// The order is 70, 8, 7, 6, 9, 5, 4, 3, 1. A run that was stopped says so before anything else.
    const fn gravity(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Unavailable => 3,
            Self::Secret => 4,
            Self::DatabaseUnreachable => 5,
            Self::Locked => 6,
            Self::Refused => 7,
            Self::HistoryDisagrees => 8,
            Self::ScriptFailed => 9,
            Self::ScriptPartlyKept => 10,
            Self::Bug => 11,
            Self::Deadline => 12,
            Self::Interrupted => 13,
            Self::Terminated => 14,
        }
    }

    /// The graver of two.
    #[must_use]
    pub const fn gravest(self, other: Self) -> Self {
        if other.gravity() > self.gravity() { other } else { self }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(exit: ExitCode) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode;

    #[test]
    fn every_code_is_found_by_its_number() {
        for exit in ExitCode::ALL {
            assert_eq!(ExitCode::from_code(exit.code()), Some(exit));
        }
        assert_eq!(ExitCode::from_code(77), None);
    }

    #[test]
    fn several_databases_give_the_gravest_code() {
        let order =
            [70, 8, 7, 6, 9, 5, 4, 3, 1, 0].map(|code| ExitCode::from_code(code).expect("in the table"));
        for pair in order.windows(2) {
            assert_eq!(pair[0].gravest(pair[1]), pair[0]);
            assert_eq!(pair[1].gravest(pair[0]), pair[0]);
        }
    }
}
