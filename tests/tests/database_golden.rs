//! What real Flyway did with many situations, asked again of the runner's `flyway` face.
//!
//! Each line of the files is one case: what was on disk and in the database, what was asked, and what Flyway answered
//! (see `tests/data/flyway/README.md`). Files of one's own are named by `WHIMBREL_TEST_GOLDEN`, separated by colons.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Executor as _, PgConnection, Row as _, ValueRef as _,
};
use whimbrel_tests::postgres::{Database, superuser};
use whimbrel_tests::program::{run, whimbrel};
use whimbrel_tests::testbed;

/// Settings that the runner refuses by name for now.
const NOT_THERE_YET: [&str; 10] = [
    "group",
    "skipExecutingMigrations",
    "installedBy",
    "initSql",
    "tablespace",
    "placeholderSeparator",
    "detectEncoding",
    "callbackLocations",
    "cleanOnValidationError",
    "stream",
];

/// Families that need what is not there yet.
const FAMILIES_NOT_THERE_YET: [&str; 1] = ["callbacks"];

/// Where the answer differs on purpose: the beginning of the case's name, and why.
const ON_PURPOSE: &[(&str, &str)] = &[
    ("failures/no-tx", KEEPS_FAILED_ROW),
    ("failures/conf-no-tx", KEEPS_FAILED_ROW),
    ("transactions/reindex-database", KEEPS_FAILED_ROW),
    ("transactions/vacuum-fails", KEEPS_FAILED_ROW),
    ("transactions/vacuum-mixed", REFUSED_EARLY),
    ("transactions/cic-mixed", REFUSED_EARLY),
    ("transactions/reindex-table-concurrently", RECOGNISED),
    ("transactions/cluster", RECOGNISED),
    (
        "transactions/discard-all:no-tx",
        "a lock that a script gave away is warned about; Flyway fails after the script",
    ),
    (
        "repair_more/desc-long:repair",
        "a long description is shortened as migrate does it; Flyway's repair fails",
    ),
    (
        "row_types/long-description:repair",
        "a long description is shortened as migrate does it; Flyway's repair fails",
    ),
    ("name_sets/latest-and-1", RESERVED),
    ("name_strict/11", "SQL callbacks are refused for now"),
    ("name_settings/location-star", NO_WILDCARDS),
    ("name_settings/location-question", NO_WILDCARDS),
    ("conf_files/other-case", "a .conf file belongs to a script of exactly its name"),
    ("baseline_verb/version-bad", WRONG_SETTING),
    ("state_settings/ignore[missing]", WRONG_SETTING),
    ("state_settings/ignore[foo:missing]", WRONG_SETTING),
    ("state_settings/ignore[*:foo]", WRONG_SETTING),
    ("state_settings/ignore[*:success]", WRONG_SETTING),
    ("state_settings/ignore[a:b:c]", WRONG_SETTING),
    ("name_single/V١__a.sql", "digits are 0 to 9"),
    ("name_single/Vnext__a.sql", RESERVED),
    ("name_single/Vcurrent__a.sql", RESERVED),
    ("name_single/VLATEST__a.sql", RESERVED),
    ("name_single/Vlatest__a.sql", RESERVED),
    ("name_single/V1__a", "a file without a suffix is never run with the shell"),
    ("name_single/beforeMigrate__x.sql", "SQL callbacks are refused for now"),
    ("name_single/V1111", "a version that the history cannot hold is refused before it runs"),
];

const NO_WILDCARDS: &str = "wildcards in locations are not there yet";
const WRONG_SETTING: &str = "a setting that is none is refused whatever the verb";
const RESERVED: &str = "a version that Flyway takes for a marker of its own is not run";
const KEEPS_FAILED_ROW: &str = "a script that failed outside of a transaction leaves a failed row, as Flyway does in its session lock mode only";
const REFUSED_EARLY: &str =
    "what must not run is found before anything runs; Flyway runs the scripts before it";
const RECOGNISED: &str = "this cannot run in a transaction, which Flyway does not know";

/// How a case ended.
enum Outcome {
    Agreed,
    NotCovered,
    Differs(Vec<String>),
}

#[test]
fn the_runner_answers_as_flyway_did() {
    let mut cases = Vec::new();
    for file in files() {
        let text = fs_err::read_to_string(&file).expect("the golden file is there");
        cases.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a case is JSON")));
    }
    assert!(!cases.is_empty(), "there are no cases");
    let only = std::env::var("WHIMBREL_TEST_GOLDEN_ONLY").unwrap_or_default();
    cases.retain(|case| only.split(',').any(|prefix| text(&case["id"]).starts_with(prefix)));
    let mut halves = [Vec::new(), Vec::new()];
    for (index, case) in cases.into_iter().enumerate() {
        halves[index % 2].push(case);
    }
    let threads: Vec<_> = halves
        .into_iter()
        .map(|cases| {
            std::thread::spawn(move || {
                let golden = Golden::new();
                cases
                    .into_iter()
                    .map(|case| (text(&case["id"]).to_owned(), golden.case(&case)))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let outcomes: Vec<_> =
        threads.into_iter().flat_map(|thread| thread.join().expect("no case panics")).collect();
    report(outcomes);
}

#[expect(clippy::print_stdout, reason = "the comparison is what this test is for")]
fn report(outcomes: Vec<(String, Outcome)>) {
    let mut families: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    let mut differing = Vec::new();
    for (id, outcome) in outcomes {
        let family = families.entry(id.split('/').next().unwrap_or_default().to_owned()).or_default();
        match outcome {
            Outcome::Agreed => family[0] += 1,
            Outcome::NotCovered => family[3] += 1,
            Outcome::Differs(differences) => {
                match ON_PURPOSE.iter().find(|(prefix, _)| id.starts_with(prefix)) {
                    Some(_) => family[1] += 1,
                    None => {
                        family[2] += 1;
                        differing.push(format!("{id}\n    {}", differences.join("\n    ")));
                    }
                }
            }
        }
    }
    let mut sums = [0; 4];
    println!("{:<18} agreed  on purpose  differ  not covered", "family");
    for (name, counts) in &families {
        println!("{name:<18} {:>6}  {:>10}  {:>6}  {:>11}", counts[0], counts[1], counts[2], counts[3]);
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    for difference in &differing {
        println!("{difference}");
    }
    println!(
        "{} agreed, {} differ on purpose, {} differ, {} not covered",
        sums[0], sums[1], sums[2], sums[3]
    );
    assert!(differing.is_empty(), "{} cases differ", differing.len());
}

fn files() -> Vec<PathBuf> {
    if let Ok(given) = std::env::var("WHIMBREL_TEST_GOLDEN") {
        return std::env::split_paths(&given).collect();
    }
    let folder = testbed::repository().join("tests/data/flyway");
    let mut files: Vec<PathBuf> = fs_err::read_dir(folder)
        .expect("the folder is there")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    files
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A database that is emptied before each case, and the programs around it.
struct Golden {
    database: Database,
    runtime: tokio::runtime::Runtime,
    connection: RefCell<PgConnection>,
}

impl Golden {
    fn new() -> Self {
        let database = Database::create("golden");
        superuser(&format!("ALTER ROLE \"{}\" SUPERUSER", database.user));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection =
            runtime.block_on(PgConnection::connect(&database.url())).expect("the server answers");
        Self { database, runtime, connection: RefCell::new(connection) }
    }

    fn case(&self, case: &Value) -> Outcome {
        let family = text(&case["id"]).split('/').next().unwrap_or_default().to_owned();
        if FAMILIES_NOT_THERE_YET.contains(&family.as_str()) || needs_what_is_not_there(case) {
            return Outcome::NotCovered;
        }
        let folder = tempfile::tempdir().expect("there is room");
        let root = folder.path().join("sql");
        fs_err::create_dir(&root).expect("a folder can be made");
        self.prepare(case);
        write_files(&root, &case["files"]);
        let mut differences = Vec::new();
        match case["steps"].as_array() {
            None => self.step(case, case, &case["expect"], &root, &mut differences),
            Some(steps) => {
                for (index, step) in steps.iter().enumerate() {
                    let expected = &case["expect"]["steps"][index];
                    let before = differences.len();
                    self.between(step, &root);
                    self.step(case, step, expected, &root, &mut differences);
                    for difference in &mut differences[before..] {
                        difference.insert_str(0, &format!("step {}: ", index + 1));
                    }
                }
            }
        }
        if differences.is_empty() { Outcome::Agreed } else { Outcome::Differs(differences) }
    }

    fn prepare(&self, case: &Value) {
        self.sql(
            "DO $$ DECLARE name text; BEGIN FOR name IN SELECT quote_ident(nspname) FROM pg_namespace \
             WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' \
             LOOP EXECUTE 'DROP SCHEMA ' || name || ' CASCADE'; END LOOP; END $$; CREATE SCHEMA public",
        );
        for statement in statements(&case["setup"]) {
            self.sql(&statement);
        }
        let Some(rows) = case["history"].as_array() else { return };
        self.sql(
            "CREATE TABLE public.flyway_schema_history (installed_rank INT NOT NULL, version VARCHAR(50), \
             description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL, script VARCHAR(1000) NOT NULL, checksum INTEGER, \
             installed_by VARCHAR(100) NOT NULL, installed_on TIMESTAMP NOT NULL DEFAULT now(), \
             execution_time INTEGER NOT NULL, success BOOLEAN NOT NULL, \
             CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank)); \
             CREATE INDEX flyway_schema_history_s_idx ON public.flyway_schema_history (success)",
        );
        for row in rows {
            let literal = |name: &str| match &row[name] {
                Value::Null => "NULL".to_owned(),
                Value::String(text) => format!("'{}'", text.replace('\'', "''")),
                other => other.to_string(),
            };
            self.sql(&format!(
                "INSERT INTO public.flyway_schema_history (installed_rank, version, description, type, script, checksum, \
                 installed_by, execution_time, success) VALUES ({}, {}, {}, {}, {}, {}, 'golden', 1, {})",
                literal("installed_rank"),
                literal("version"),
                literal("description"),
                literal("type"),
                literal("script"),
                literal("checksum"),
                literal("success"),
            ));
        }
    }

    fn between(&self, step: &Value, root: &Path) {
        for name in step["delete"].as_array().into_iter().flatten() {
            fs_err::remove_file(root.join(text(name))).expect("the file was there");
        }
        write_files(root, &step["files"]);
        for statement in statements(&step["sql"]) {
            self.sql(&statement);
        }
    }

    fn step(&self, case: &Value, step: &Value, expected: &Value, root: &Path, differences: &mut Vec<String>) {
        let verb = text(&step["verb"]);
        let answer = self.flyway(verb, &[&case["settings"], &step["settings"]], root);
        let mut compare = |what: &str, expected: Value, got: Value| {
            if expected != got {
                differences.push(format!("{what}: Flyway {expected}, ours {got}"));
            }
        };
        if verb != "info" || !expected["error"].is_null() {
            compare("answer", expected_answer(verb, expected), given_answer(verb, &answer));
        }
        compare("history", rows_without(&expected["history"]), self.history());
        compare("tables", expected["tables"].clone(), self.tables());
        let info = if verb == "info" {
            answer
        } else {
            self.flyway("info", &[&case["settings"], &step["settings"]], root)
        };
        if expected["info_error"].is_null() {
            if expected["info"].is_array() {
                compare("info", info_lines(&expected["info"]), info_lines(&info["migrations"]));
                compare("schema version", expected["schemaVersion"].clone(), info["schemaVersion"].clone());
            }
        } else {
            compare("info fails", json!(true), json!(!info["error"].is_null()));
        }
        let queries = step["queries"].as_array().into_iter().flatten();
        for (query, expected) in queries.zip(expected["queries"].as_array().into_iter().flatten()) {
            compare(text(query), expected.clone(), self.rows(text(query)));
        }
    }

    fn flyway(&self, verb: &str, settings: &[&Value], root: &Path) -> Value {
        let mut command = whimbrel("whimbrel-migrate");
        command.arg0("flyway").current_dir(root);
        let mut parameters: BTreeMap<String, String> = BTreeMap::new();
        parameters.insert("locations".to_owned(), format!("filesystem:{}", root.display()));
        for (name, value) in settings.iter().filter_map(|settings| settings.as_object()).flatten() {
            let folder = root.parent().expect("it has one").display().to_string();
            let value = text(value).replace("<root>", &root.display().to_string()).replace("<dir>", &folder);
            parameters.insert(name.clone(), value);
        }
        command.env("FLYWAY_URL", self.database.url());
        for (name, value) in parameters {
            command.arg(format!("-{name}={value}"));
        }
        let ended = run(command.args(["-outputType=json", verb]), Duration::from_secs(60));
        serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|_| json!({"error": {"errorCode": "?", "message": ended.said()}}))
    }

    fn history(&self) -> Value {
        let exists = self.rows("SELECT to_regclass('public.flyway_schema_history')::text");
        if exists[0][0].is_null() {
            return Value::Null;
        }
        let rows = self.rows(
            "SELECT installed_rank, version, description, type, script, checksum, success \
             FROM public.flyway_schema_history ORDER BY installed_rank",
        );
        let number = |value: &Value| text(value).parse::<i64>().map_or(Value::Null, Value::from);
        rows.as_array()
            .into_iter()
            .flatten()
            .map(|row| {
                json!({"installed_rank": number(&row[0]), "version": row[1], "description": row[2], "type": row[3],
                       "script": row[4], "checksum": number(&row[5]), "success": text(&row[6]) == "t" || text(&row[6]) == "true"})
            })
            .collect()
    }

    fn tables(&self) -> Value {
        let rows = self.rows(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'v', 'm', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
             AND c.relname <> 'whimbrel_script_progress' ORDER BY (n.nspname || '.' || c.relname) COLLATE \"C\"",
        );
        rows.as_array().into_iter().flatten().map(|row| row[0].clone()).collect()
    }

    fn sql(&self, statement: &str) {
        let mut connection = self.connection.borrow_mut();
        let work = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.to_owned())));
        let done = self.runtime.block_on(work);
        assert!(done.is_ok(), "{statement}: {done:?}");
    }

    /// All values as text; null where the query fails.
    fn rows(&self, query: &str) -> Value {
        let mut connection = self.connection.borrow_mut();
        let work = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(query.to_owned())));
        let Ok(rows) = self.runtime.block_on(work) else { return Value::Null };
        let value = |row: &sqlx::postgres::PgRow, index: usize| {
            let raw = row.try_get_raw(index).expect("the column is there");
            if raw.is_null() { Value::Null } else { raw.as_str().map_or(Value::Null, Value::from) }
        };
        rows.iter()
            .map(|row| row.columns().iter().map(|column| value(row, column.ordinal())).collect::<Value>())
            .collect()
    }
}

fn needs_what_is_not_there(case: &Value) -> bool {
    let steps = case["steps"].as_array().into_iter().flatten();
    std::iter::once(case)
        .chain(steps)
        .any(|part| NOT_THERE_YET.iter().any(|name| part["settings"].get(name).is_some()))
}

fn write_files(root: &Path, files: &Value) {
    for (name, content) in files.as_object().into_iter().flatten() {
        let path = root.join(name);
        fs_err::create_dir_all(path.parent().expect("a file is in a folder")).expect("folders can be made");
        let bytes = match content["base64"].as_str() {
            Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).expect("it is base64"),
            None => text(content).as_bytes().to_vec(),
        };
        fs_err::write(path, bytes).expect("the file can be written");
    }
}

fn statements(value: &Value) -> Vec<String> {
    match value {
        Value::String(statement) => vec![statement.clone()],
        Value::Array(list) => list.iter().map(|statement| text(statement).to_owned()).collect(),
        _ => Vec::new(),
    }
}

fn rows_without(rows: &Value) -> Value {
    rows.clone()
}

/// What decides, in one form for both sides.
fn expected_answer(verb: &str, expected: &Value) -> Value {
    if !expected["error"].is_null() {
        return json!({ "error": error_class(&expected["error"]["errorCode"]) });
    }
    answer(verb, &expected[verb])
}

fn given_answer(verb: &str, given: &Value) -> Value {
    let is_error = !given["error"].is_null();
    if is_error {
        return json!({ "error": error_class(&given["error"]["errorCode"]) });
    }
    answer(verb, given)
}

/// The command line tells a failed script from other errors, the API does not; an unexpected exception has no code.
fn error_class(code: &Value) -> Value {
    match code.as_str() {
        None => json!("FAULT"),
        Some("FAILED_VERSIONED_MIGRATION" | "FAILED_REPEATABLE_MIGRATION") => json!("ERROR"),
        Some(code) => json!(code),
    }
}

fn answer(verb: &str, answer: &Value) -> Value {
    let named = |list: &Value| -> Value {
        let entries = list.as_array().into_iter().flatten();
        entries.map(|entry| json!([text(&entry["version"]), entry["description"]])).collect()
    };
    match verb {
        "migrate" => json!({
            "initial": answer["initialSchemaVersion"], "target": answer["targetSchemaVersion"],
            "executed": answer["migrationsExecuted"], "migrations": named(&answer["migrations"]),
        }),
        "validate" => {
            let entries = answer["invalidMigrations"].as_array().into_iter().flatten();
            let findings: Value = entries
                .map(|entry| {
                    let code = entry["errorCode"].as_str().or(entry["errorDetails"]["errorCode"].as_str());
                    json!([text(&entry["version"]), code])
                })
                .collect();
            json!({
                "successful": answer["validationSuccessful"], "count": answer["validateCount"], "findings": findings,
                "code": answer["errorCode"].as_str().or(answer["errorDetails"]["errorCode"].as_str()),
            })
        }
        "repair" => json!({
            "actions": answer["repairActions"], "removed": named(&answer["migrationsRemoved"]),
            "deleted": named(&answer["migrationsDeleted"]), "aligned": named(&answer["migrationsAligned"]),
        }),
        "baseline" => json!([answer["successfullyBaselined"], answer["baselineVersion"]]),
        "clean" => json!([answer["schemasCleaned"], answer["schemasDropped"]]),
        _ => Value::Null,
    }
}

fn info_lines(rows: &Value) -> Value {
    rows.as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            json!([row["category"], text(&row["version"]), row["description"], row["type"], row["state"]])
        })
        .collect()
}
