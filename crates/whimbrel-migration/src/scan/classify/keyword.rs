//! The words that tell what a statement is, found after one look.

macro_rules! keywords {
    ($($variant:ident = $word:literal,)*) => {
        /// The words that matter for what a statement is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::scan) enum Keyword { $($variant,)* }

        /// The words in the order of their variants.
        const WORDS: &[(&[u8], Keyword)] = &[$(($word, Keyword::$variant),)*];
    };
}

keywords! {
    Abort = b"abort",
    Aggregate = b"aggregate",
    All = b"all",
    Alter = b"alter",
    Analyze = b"analyze",
    As = b"as",
    Atomic = b"atomic",
    Autocommit = b"autocommit",
    Begin = b"begin",
    Cache = b"cache",
    Case = b"case",
    Change = b"change",
    Check = b"check",
    Cluster = b"cluster",
    Commit = b"commit",
    Concurrently = b"concurrently",
    Copy = b"copy",
    Create = b"create",
    Data = b"data",
    Database = b"database",
    Definer = b"definer",
    Detach = b"detach",
    Deterministic = b"deterministic",
    Discard = b"discard",
    Do = b"do",
    Drop = b"drop",
    Else = b"else",
    End = b"end",
    Event = b"event",
    Flush = b"flush",
    For = b"for",
    ForeignKeys = b"foreign_keys",
    From = b"from",
    Function = b"function",
    Global = b"global",
    Grant = b"grant",
    If = b"if",
    Index = b"index",
    Install = b"install",
    Invoker = b"invoker",
    Is = b"is",
    Load = b"load",
    Lock = b"lock",
    Loop = b"loop",
    Not = b"not",
    Optimize = b"optimize",
    Or = b"or",
    Package = b"package",
    Partition = b"partition",
    Password = b"password",
    Pragma = b"pragma",
    Prepare = b"prepare",
    Prepared = b"prepared",
    Procedure = b"procedure",
    Publication = b"publication",
    Refresh = b"refresh",
    Reindex = b"reindex",
    Rename = b"rename",
    Repair = b"repair",
    Repeat = b"repeat",
    Replace = b"replace",
    Reset = b"reset",
    Revoke = b"revoke",
    Rollback = b"rollback",
    Row = b"row",
    Schema = b"schema",
    Set = b"set",
    Sql = b"sql",
    StandardConformingStrings = b"standard_conforming_strings",
    Start = b"start",
    Stdin = b"stdin",
    Stop = b"stop",
    Subscription = b"subscription",
    Synchronous = b"synchronous",
    System = b"system",
    Table = b"table",
    Tablespace = b"tablespace",
    Temp = b"temp",
    Temporary = b"temporary",
    Then = b"then",
    To = b"to",
    Transaction = b"transaction",
    Trigger = b"trigger",
    Truncate = b"truncate",
    Uninstall = b"uninstall",
    Unique = b"unique",
    Unlock = b"unlock",
    Vacuum = b"vacuum",
    Verbose = b"verbose",
    View = b"view",
    WalCheckpoint = b"wal_checkpoint",
    While = b"while",
    Work = b"work",
    Xa = b"xa",
}

/// Slots for the words, a power of two and twice as many as there are words.
const SLOTS: usize = 256;

/// Where a word is looked for first: its length and its outer letters, in any letter case.
const fn slot(word: &[u8]) -> usize {
    let first = word[0] | 0x20;
    let last = word[word.len() - 1] | 0x20;
    (first as usize * 7 + last as usize * 31 + word.len() * 13) % SLOTS
}

/// For each slot one more than the index of its word, 0 where there is none. Nearly every word of a script is
/// none of these, and is known to be none after one look.
static TABLE: [u8; SLOTS] = table();

const fn table() -> [u8; SLOTS] {
    let mut table = [0; SLOTS];
    let mut index = 0;
    while index < WORDS.len() {
        let mut at = slot(WORDS[index].0);
        while table[at] != 0 {
            at = (at + 1) % SLOTS;
        }
        // There are fewer than 256 words, or the table above would have no slot for them.
        table[at] = index as u8 + 1;
        index += 1;
    }
    table
}

impl Keyword {
    /// Reads a word in any letter case.
    #[inline]
    pub(in crate::scan) fn of(word: &[u8]) -> Option<Self> {
        if word.is_empty() {
            return None;
        }
        let mut at = slot(word);
        while TABLE[at] != 0 {
            let (candidate, keyword) = WORDS[usize::from(TABLE[at]) - 1];
            if candidate.eq_ignore_ascii_case(word) {
                return Some(keyword);
            }
            at = (at + 1) % SLOTS;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_found_in_any_letter_case_and_nothing_else_is() {
        for (word, keyword) in WORDS {
            assert_eq!(Keyword::of(word), Some(*keyword));
            assert_eq!(Keyword::of(&word.to_ascii_uppercase()), Some(*keyword));
            let longer = [word, b"x".as_slice()].concat();
            assert_ne!(Keyword::of(&longer), Some(*keyword));
        }
        assert_eq!(Keyword::of(b""), None);
        assert_eq!(Keyword::of("bird€".as_bytes()), None);
    }
}
