//! Where we answer otherwise on purpose, and why. `docs/flyway.md` shows the same slugs.
//!
//! A reason is recognised by what a case holds and how it differs, not by its name: cases that nobody here has seen are
//! judged as well.

mod signs;

use serde_json::Value;

use signs::{
    answers_agree, at_first, has_long_description, has_one_failed_row_more, has_only_more_markers,
    has_only_no_history, is_about_a_connection, is_below_deleted, is_cut_elsewhere, is_cut_otherwise,
    is_long_repeatable, is_of_a_dry_run, is_program, is_reserved, is_run_outside, is_wrong, never_ends,
    refuses, said, strings, version_of,
};

pub(super) use signs::{Column, Situation};

use super::compare::{Difference, text};

/// A reason to differ.
pub struct Reason {
    /// Its name in `docs/flyway.md`.
    pub slug: &'static str,
    /// In one sentence.
    pub why: &'static str,
    applies: fn(&Situation<'_>, &[Difference]) -> bool,
}

/// All of them.
pub static REASONS: &[Reason] = &[
    Reason {
        slug: "reserved-version",
        why: "a version that Flyway takes for a marker of its own (latest, current, next) breaks its \
              table: it is an invalid name",
        applies: |situation, _| {
            situation.names().any(is_reserved)
                || situation
                    .settings()
                    .any(|(name, value)| name == "baselineVersion" && is_reserved(&format!("V{value}__.sql")))
        },
    },
    Reason {
        slug: "digits-0-to-9",
        why: "digits of other scripts are accepted by an accident of Java: it is an invalid name",
        applies: |situation, _| {
            situation
                .names()
                .any(|name| name.chars().any(|digit| digit.is_numeric() && !digit.is_ascii_digit()))
        },
    },
    Reason {
        slug: "no-shell-scripts",
        why: "Flyway runs a file without a suffix, and .sh, .ps1, .bat, .cmd and .py, as a program; no \
              migration is ever run as one",
        applies: |situation, _| situation.names().any(is_program),
    },
    Reason {
        slug: "too-long-version",
        why: "a version that the history cannot hold is refused before it runs; Flyway runs it and cannot write its row",
        applies: |situation, _| situation.names().any(|name| version_of(name).chars().count() > 50),
    },
    Reason {
        slug: "wrong-setting",
        why: "a pattern or version that is none is refused whatever the verb; Flyway looks at it only where it is used",
        applies: |situation, differences| {
            let words = [
                "Invalid pattern",
                "Invalid migration ",
                "Version may only contain",
                "is reserved: Flyway",
                "unknown encoding",
            ];
            situation.settings().any(|(name, value)| is_wrong(name, value))
                // What own verbs say is not part of every difference.
                && (situation.column == Column::Own || words.iter().any(|words| said(differences, words)))
        },
    },
    Reason {
        slug: "as-the-command-line",
        why: "Flyway's command line takes an empty mark or separator and has another code for what is no \
              boolean; its API, which was recorded, refuses them",
        applies: |situation, differences| {
            let marks =
                ["placeholderPrefix", "placeholderSuffix", "placeholderSeparator", "sqlMigrationSeparator"];
            situation.settings().any(|(name, value)| marks.contains(&name) && value.is_empty())
                || said(differences, "should be either true or false")
        },
    },
    Reason {
        slug: "failed-row",
        why: "a script that failed outside of a transaction leaves a failed row, as Flyway does in its session-lock mode only",
        applies: |_, differences| {
            let first = at_first(differences);
            let history = first.iter().find(|difference| difference.what == "history");
            history.is_some_and(|history| has_one_failed_row_more(&history.expected, &history.got))
                && answers_agree(first)
        },
    },
    Reason {
        slug: "found-before-it-runs",
        why: "a script that must not run is found before anything runs; Flyway runs the scripts before it first",
        applies: |situation, differences| {
            (situation.fails_with(differences, "Detected both transactional and non-transactional")
                // In Flyway 11's words, and in those of Flyway 10.
                || ((situation.fails_with(differences, "Failed to execute script")
                    || situation.fails_with(differences, ".sql failed"))
                    && situation.has_mixed()))
                && answers_agree(differences)
                || situation.fails_with(differences, "Error while executing before")
                    && said(differences, "Found more than one migration")
                || ["Found more than one migration", "Unable to parse statement"]
                    .iter()
                    .any(|words| situation.fails_with(differences, words))
                    && answers_agree(differences)
                || situation.lacks_a_value()
                    && situation.fails(differences)
                    && answers_agree(at_first(differences))
                || situation.names().any(|name| {
                    ["before", "after"].iter().any(|start| name.starts_with(start))
                        && said(differences, &format!("{name}: not "))
                })
        },
    },
    Reason {
        slug: "nothing-made",
        why: "where a run cannot begin, no empty history table and no schema is left behind; Flyway makes them and then fails",
        applies: |_, differences| {
            let history = differences.iter().find(|difference| difference.what == "history");
            let is_made = match history {
                Some(history) => has_only_more_markers(&history.expected, &history.got),
                // In another schema than the one whose rows are compared.
                None => differences.iter().all(has_only_no_history),
            };
            is_made && answers_agree(differences)
        },
    },
    Reason {
        slug: "not-in-a-transaction",
        why: "statements that cannot run in a transaction and that Flyway does not know as such are run outside of one",
        applies: |situation, differences| {
            situation.fails_with(differences, "cannot run inside a transaction block")
                || situation.fails_with(differences, "cannot be executed from a function")
                || situation.fails_with(differences, "cannot VACUUM from within a transaction")
                || (situation.column == Column::Vector && differences.iter().all(is_run_outside))
        },
    },
    Reason {
        slug: "lock-given-away",
        why: "a script that gives the lock away (DISCARD ALL) is warned about; Flyway applies it and then fails",
        applies: |situation, differences| {
            situation.fails_with(differences, "Unable to release PostgreSQL advisory lock")
        },
    },
    Reason {
        slug: "callbacks-after-the-rollback",
        why: "the callbacks of an error run after the rollback; Flyway runs them in the broken \
              transaction, where they fail and hide the error",
        applies: |situation, differences| {
            situation.fails_with(differences, "Error callback")
                || differences.iter().all(|difference| situation.is_work_of_error_callbacks(difference))
        },
    },
    Reason {
        slug: "callbacks-on-one-connection",
        why: "callbacks on SQLite run on the connection of the scripts; Flyway's run on another one, and block it (SQLITE_BUSY)",
        applies: |situation, differences| {
            situation.engine == "sqlite" && situation.fails_with(differences, "SQLITE_BUSY")
        },
    },
    Reason {
        slug: "nothing-begun",
        why: "where a callback stops a script before its first statement, nothing of it is recorded; on \
              MariaDB Flyway leaves a failed row",
        applies: |situation, differences| {
            situation.engine == "mariadb"
                && situation.names().any(|name| name.starts_with("beforeEachMigrate"))
                && (situation.fails_with(differences, "callback")
                    || situation.fails_with(differences, "No value provided for placeholder"))
                && answers_agree(at_first(differences))
                && at_first(differences).iter().any(|difference| {
                    difference.what == "history"
                        && has_one_failed_row_more(&difference.got, &difference.expected)
                })
        },
    },
    Reason {
        slug: "mixed-group",
        why: "the scripts of a group that cannot be one transaction keep their rows; Flyway loses the rows of what it applied",
        applies: |situation, differences| {
            let is_on =
                |setting: &str| situation.settings().any(|(name, value)| name == setting && value == "true");
            let more_rows = |difference: &Difference| {
                difference.what != "history"
                    || difference.got.as_array().map(Vec::len) > difference.expected.as_array().map(Vec::len)
            };
            let apart = is_on("mixed")
                || situation.settings().any(|setting| setting == ("executeInTransaction", "false"));
            is_on("group") && (apart || situation.engine == "mariadb") && differences.iter().all(more_rows)
        },
    },
    Reason {
        slug: "encoding-found",
        why: "detectEncoding finds UTF-16 without a byte order mark; Flyway reads it as UTF-8 and fails",
        applies: |situation, differences| {
            situation.settings().any(|(name, value)| name == "detectEncoding" && value == "true")
                && (situation.fails_with(differences, "Failed to execute script")
                    || differences.iter().all(|difference| difference.what == "info with checksums"))
        },
    },
    Reason {
        slug: "refused-by-name",
        why: "a parameter that is not honoured is refused whatever the verb; Flyway looks at some of them \
              only where they are used",
        applies: |situation, differences| {
            situation.settings().any(|(name, value)| name == "cleanOnValidationError" && value == "true")
                && said(differences, "cleanOnValidationError has been removed")
        },
    },
    Reason {
        slug: "conf-of-its-script",
        why: "a .conf belongs to the script of exactly its name; Flyway also takes one with other letter case, and reads \
              a .conf.conf",
        applies: |situation, _| {
            let names: Vec<&str> = situation.names().collect();
            let scripts = || names.iter().map(|name| format!("{name}.conf"));
            names.iter().filter(|name| name.to_lowercase().ends_with(".conf")).any(|conf| {
                let is_taken = |wanted: String| wanted != *conf && wanted.eq_ignore_ascii_case(conf);
                let in_their_encoding = situation
                    .settings()
                    .any(|(name, value)| name == "encoding" && value.to_uppercase().starts_with("UTF-16"));
                in_their_encoding || conf.ends_with(".conf.conf") || scripts().any(is_taken)
            })
        },
    },
    Reason {
        slug: "long-description",
        why: "a description of more than 200 characters is shortened by every verb; there repair or \
              baseline fails on it, or writes it whole (SQLite)",
        applies: |situation, differences| {
            situation.names().any(is_long_repeatable)
                || situation.fails_with(differences, "Unable to repair Schema History table")
                || situation.fails_with(differences, "Data too long for column 'description'")
                || differences.iter().any(|difference| has_long_description(&difference.expected))
        },
    },
    Reason {
        slug: "cut-as-the-server-does",
        why: "statements are cut as the server reads them (e'…', $1, OR REPLACE and DEFINER bodies, /*! \
              */, --1, [a;b], END as a name), and what never ends is an error",
        applies: |situation, differences| {
            situation.fails_with(differences, "Incomplete statement")
                || situation.fails_with(differences, "Delimiter changed inside statement")
                || ((situation.fails_with(differences, "error in your SQL syntax")
                    || said(differences, "error in your SQL syntax"))
                    && situation.contents(&["V", "R", "B"]).into_iter().any(is_cut_otherwise))
                || situation.fails_with(differences, "unable to decrease block depth")
                || (situation.column == Column::Vector
                    && differences.iter().all(is_cut_elsewhere)
                    && (is_cut_otherwise(situation.content) || differences.iter().all(never_ends)))
        },
    },
    Reason {
        slug: "goes-on",
        why: "while its failed row stands and the script is the same, migrate goes on after the last good \
              statement; Flyway waits for a repair",
        applies: |situation, differences| {
            // Of recorded calls the lines are compared, which of ours tell of the script again.
            let waits = |difference: &Difference| {
                difference.what == "stderr lacks"
                    && difference.got.to_string().contains("Detected failed migration")
            };
            let goes_on = |difference: &Difference| match difference.what.as_str() {
                "answer" => {
                    let message = text(&difference.got["message"]);
                    let goes_as_far =
                        ["Failed to execute script", "Detected both transactional", "Error while executing"];
                    difference.got["error"].is_null()
                        || goes_as_far.iter().any(|words| message.starts_with(words))
                }
                what => ["outcome", "rows", "history"].contains(&what),
            };
            let called_twice =
                ["migrate", "migrate info"].iter().any(|verbs| situation.content.ends_with(verbs));
            let has_failed_row = [
                "Detected failed migration",
                "Detected failed repeatable migration",
                "contains a failed migration",
                "contains a failed repeatable migration",
            ];
            (has_failed_row.iter().any(|words| situation.fails_with(differences, words))
                && differences.iter().any(goes_on))
                || (situation.column == Column::Vector && called_twice && differences.iter().all(waits))
        },
    },
    Reason {
        slug: "paid-or-ignored",
        why: "a parameter of paid editions that is not honoured is refused by its name; Flyway ignores errorOverrides",
        applies: |situation, differences| {
            let paid = "errorOverrides";
            let is_set = situation.settings().any(|(name, value)| name == paid && !value.is_empty());
            (is_set && said(differences, &format!("flyway.{paid} (")))
                || (situation.calls_with(paid) && refuses(differences))
        },
    },
    Reason {
        slug: "paid-and-here",
        why: "undo, dryRunOutput and cherryPick do what Flyway's paid editions do; its open-source edition \
              ends with 35, ignores the second and takes the third for a slip of the pen",
        applies: |situation, differences| {
            let undoes = situation.content.split(' ').any(|word| word == "undo");
            let is_dry = |case: &Value| !text(&case["settings"]["dryRunOutput"]).is_empty();
            if situation.column == Column::Vector && undoes {
                let edition = |difference: &Difference| {
                    difference.what == "exit code"
                        && difference.expected == 35
                        && difference.got["code"] != 35
                };
                return differences.iter().any(edition);
            }
            let picks = situation.settings().any(|(name, value)| name == "cherryPick" && !value.is_empty());
            if picks || situation.calls_with("cherryPick") {
                return true;
            }
            (situation.calls_with("dryRunOutput") && differences.iter().all(is_of_a_dry_run))
                || (is_dry(situation.case)
                    && differences.iter().all(|difference| {
                        difference.what != "history" || difference.got == situation.case["history"]
                    }))
        },
    },
    Reason {
        slug: "duplicate-beside-a-baseline",
        why: "two scripts of one version are refused; Flyway compares neighbours only, and a baseline \
              script of that version may stand between them",
        applies: |situation, differences| {
            situation.is_hidden_duplicate()
                && !situation.fails_with(differences, "Found more than one migration")
                && differences.iter().all(|difference| match difference.what.as_str() {
                    "answer" => difference.got["error"] == "DUPLICATE_VERSIONED_MIGRATION",
                    _ => true,
                })
        },
    },
    Reason {
        slug: "nul-byte",
        why: "a script with a NUL byte is refused: the server would read up to it; Flyway passes over one in a comment",
        applies: |situation, _| situation.contents(&[""]).iter().any(|content| content.contains('\0')),
    },
    Reason {
        slug: "read-only",
        why: "a script that makes its transaction read-only fails, since its row is in it, and one that \
              makes its session so changes nothing for the next; Flyway writes rows on another connection, or fails afterwards",
        applies: |situation, differences| {
            situation.contents(&["V", "R", "B"]).iter().any(|script| {
                let script = script.to_uppercase();
                script.contains("READ ONLY") || script.contains("READ_ONLY")
            }) && (situation.fails_with(differences, "in a read-only transaction")
                || said(differences, "in a read-only transaction"))
        },
    },
    Reason {
        slug: "session-of-its-own",
        why: "what a script sets in its session (PRAGMA foreign_keys) changes nothing for the next script; with Flyway it does",
        applies: |situation, differences| {
            let scripts = situation.contents(&[""]);
            situation.engine == "sqlite"
                && scripts.iter().any(|script| script.contains("PRAGMA foreign_keys"))
                && situation.fails_with(differences, "FOREIGN KEY constraint failed")
        },
    },
    Reason {
        slug: "undo-row-of-a-repeatable",
        why: "an UNDO_SCRIPT row of a repeatable is shown; Flyway's info ends with a NullPointerException",
        applies: |situation, differences| {
            situation.case.to_string().contains("UNDO_SCRIPT")
                && differences.iter().all(|difference| match difference.what.as_str() {
                    "info fails" => difference.expected == true,
                    what => what == "answer" && difference.expected["error"] == "FAULT",
                })
        },
    },
    Reason {
        slug: "data-is-kept",
        why: "a byte order mark within a statement is part of it; Flyway takes it out, of strings too",
        applies: |situation, _| {
            let mark = '\u{feff}';
            let scripts = situation.contents(&[""]);
            scripts.iter().any(|script| script.strip_prefix(mark).unwrap_or(script).contains(mark))
        },
    },
    Reason {
        slug: "finish-in-a-transaction",
        why: "a callback at the end of an operation that fails leaves nothing; Flyway runs it without a transaction",
        applies: |situation, differences| {
            situation.fails_with(differences, "OperationFinish callback")
                && differences
                    .iter()
                    .all(|difference| difference.what != "answer" && difference.what != "history")
        },
    },
    Reason {
        slug: "repair-stays-readable",
        why: "two rows of one version without scripts are left alone; Flyway writes a DELETE row for each, and cannot read \
              its table any more",
        applies: |_, differences| said(differences, "no verb could read a history"),
    },
    Reason {
        slug: "what-info-showed",
        why: "what info showed as pending runs; a baseline script that repair deleted counts again for Flyway once \
              something was applied, and it passes over what is below",
        applies: |_, differences| {
            let history = differences.iter().find(|difference| difference.what == "history");
            history.is_some_and(|history| is_below_deleted(&history.expected, &history.got))
        },
    },
    Reason {
        slug: "callbacks-as-asked",
        why: "with executeInTransaction=false callbacks of a script run without a transaction; on SQLite Flyway runs them \
              in one",
        applies: |situation, _| {
            situation.engine == "sqlite"
                && situation.settings().any(|setting| setting == ("executeInTransaction", "false"))
                && situation
                    .names()
                    .any(|name| name.starts_with("beforeEach") || name.starts_with("afterEach"))
        },
    },
    Reason {
        slug: "virtual-tables",
        why: "clean drops virtual tables of SQLite with the tables beneath them; Flyway fails on those",
        applies: |situation, differences| {
            situation.engine == "sqlite" && situation.fails_with(differences, "Unable to drop")
        },
    },
    Reason {
        slug: "commit-of-its-script",
        why: "a COMMIT that fails (deferred constraints) is the failure of its script, which is named; \
              Flyway tells of the transaction only",
        applies: |situation, differences| situation.fails_with(differences, "Unable to commit transaction"),
    },
    Reason {
        slug: "group-is-one",
        why: "what runs between the scripts of a group belongs to its transaction; Flyway runs it on another connection",
        applies: |situation, differences| {
            situation.settings().any(|setting| setting == ("group", "true"))
                && situation
                    .names()
                    .any(|name| name.starts_with("afterVersioned") || name.starts_with("beforeRepeatables"))
                && differences.iter().all(|difference| difference.what.starts_with("SELECT"))
        },
    },
    Reason {
        slug: "one-prefix-one-kind",
        why: "a file is of one kind, also where two kinds have the same prefix; Flyway takes it for both",
        applies: |situation, _| {
            let prefix = |name: &str, usual: &'static str| {
                situation
                    .settings()
                    .find(|setting| setting.0 == name)
                    .map_or(usual, |setting| setting.1)
                    .to_owned()
            };
            let mut prefixes = [
                prefix("sqlMigrationPrefix", "V"),
                prefix("repeatableSqlMigrationPrefix", "R"),
                prefix("baselineMigrationPrefix", "B"),
            ];
            prefixes.sort_unstable();
            prefixes.windows(2).any(|pair| pair[0] == pair[1])
        },
    },
    Reason {
        slug: "names-are-quoted",
        why: "a quote in a name or a text of a setting is part of it, and an empty name is none; Flyway \
              makes SQL of it that is broken",
        applies: |situation, differences| {
            let names =
                ["table", "schemas", "defaultSchema", "tablespace", "installedBy", "baselineDescription"];
            let is_blank =
                |value: &str| value.split(',').any(|name| name.trim().is_empty() || name.trim() != name);
            let is_odd = |value: &str| is_blank(value) || value.contains(['"', '\'', '`']);
            let made =
                || strings(&situation.case["setup"]).any(|sql| sql.contains("``") || sql.contains("\"\""));
            let in_script = || situation.contents(&[""]).iter().any(|script| script.contains("``"));
            let in_table = || {
                let mut tables = differences.iter().filter(|difference| difference.what == "tables");
                tables.any(|difference| difference.expected.to_string().contains('`'))
            };
            let is_twice = |value: &str| {
                let names: Vec<&str> = value.split(',').map(str::trim).collect();
                names.iter().any(|name| names.iter().filter(|other| *other == name).count() > 1)
            };
            let cleaned =
                |difference: &Difference| difference.what == "answer" && difference.expected.is_array();
            if situation.settings().any(|(name, value)| name == "schemas" && is_twice(value)) {
                return differences.iter().all(cleaned);
            }
            (made()
                || in_script()
                || in_table()
                || situation.settings().any(|(name, value)| names.contains(&name) && is_odd(value)))
                && ["syntax error", "zero-length", "Unable to", "error in your SQL syntax"]
                    .iter()
                    .any(|words| situation.fails_with(differences, words))
        },
    },
    Reason {
        slug: "own-words",
        why: "the usage, and what the network or the driver said when there is no connection, are in our own words",
        applies: |situation, differences| {
            let asks_for_usage = situation
                .content
                .split(' ')
                .all(|word| ["", "-h", "-?", "--help", "help", "-v", "--version", "version"].contains(&word));
            situation.column == Column::Vector
                && differences.iter().all(|difference| match difference.what.as_str() {
                    "stdout lacks" => asks_for_usage,
                    "stderr lacks" => is_about_a_connection(&difference.got["lines"]),
                    "/error/message" => is_about_a_connection(&difference.expected),
                    what => what.starts_with("/error/cause") || what.starts_with("keys of /error/cause"),
                })
        },
    },
    Reason {
        slug: "schema-of-sqlite",
        why: "a schema that SQLite does not have is refused by every verb, with what it has; Flyway asks \
              for its tables, and fails on that or not",
        applies: |situation, differences| {
            let calls =
                situation.content.split(' ').filter_map(|word| word.trim_start_matches('-').split_once('='));
            let mut settings = situation.settings().chain(calls);
            situation.engine == "sqlite"
                && said(differences, "SQLite has the schema main")
                && settings.any(|(name, value)| {
                    ["schemas", "defaultSchema"].contains(&name)
                        && value.split(',').any(|schema| schema != "main")
                })
        },
    },
    Reason {
        slug: "own-transactions",
        why: "a script's own BEGIN or COMMIT: own verbs refuse it unless it is declared; as flyway it \
              runs, the rows tell what stayed, and where Flyway then fails on SQLite with its own COMMIT, this goes on",
        applies: |situation, differences| match situation.column {
            Column::Own => said(differences, "would end the transaction that holds the script"),
            Column::Vector => false,
            Column::Flyway => {
                ["no transaction is active", "cannot start a transaction within a transaction"]
                    .iter()
                    .any(|words| situation.fails_with(differences, words))
                    || (situation.has_own_transactions()
                        && situation.settings().any(|setting| {
                            [("group", "true"), ("executeInTransaction", "false")].contains(&setting)
                        })
                        && answers_agree(differences))
            }
        },
    },
    Reason {
        slug: "no-location",
        why: "own verbs: where no location is there, the path is probably wrong, and nothing is done",
        applies: |situation, differences| situation.column == Column::Own && said(differences, "location"),
    },
];

/// The first reason that applies.
pub(super) fn reason(situation: &Situation<'_>, differences: &[Difference]) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| (reason.applies)(situation, differences))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_in_the_documentation() {
        let page = fs_err::read_to_string(crate::testbed::repository().join("docs/flyway.md"))
            .expect("the page is there");
        for reason in REASONS {
            assert!(
                page.contains(&format!("`{}`", reason.slug)),
                "docs/flyway.md does not name {}",
                reason.slug
            );
        }
    }

    #[test]
    fn every_parameter_stands_in_the_documentation() {
        let page = fs_err::read_to_string(crate::testbed::repository().join("docs/flyway.md"))
            .expect("the page is there");
        let words: Vec<&str> =
            page.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.').collect();
        for parameter in whimbrel_migrate::parameters::parameter::PARAMETERS {
            assert!(words.contains(&parameter.name), "docs/flyway.md does not name {}", parameter.name);
        }
    }

    #[test]
    fn names_that_are_no_scripts_are_told() {
        assert!(is_reserved("Vlatest__a.sql") && is_reserved("VNEXT.sql") && !is_reserved("V1__latest.sql"));
        assert!(
            is_program("V1__a")
                && is_program("V1__a.sh")
                && !is_program("V1__a.sql")
                && !is_program("readme")
        );
        assert_eq!(text(&Value::from("x")), "x");
    }
}
