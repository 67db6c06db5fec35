//! Recorded calls of Flyway's command line, made again in their order on one database.
//!
//! Exit codes and JSON documents have to be the same, key by key. Of the text every line that Flyway prints has to be
//! there, in its order; the table's widths, the banner, links and causes in Java's words are not compared.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::compare::{Difference, text};
use super::server::{Engine, Server};
use super::vectors::Compared;
use crate::program::{Ended, run, whimbrel};

/// Plays all calls.
pub(super) fn calls(recorded: &[Value]) -> Vec<Compared> {
    let folder = tempfile::tempdir().expect("there is room");
    let engine = recorded.first().map_or(Engine::PostgreSql, Engine::of);
    let view = match engine {
        Engine::Sqlite => "CREATE VIEW IF NOT EXISTS v AS SELECT 1 AS x;\n",
        _ => "CREATE OR REPLACE VIEW v AS SELECT 1 AS x;\n",
    };
    let good = [
        ("V1__a.sql", "CREATE TABLE a (i int);\n"),
        ("V2__b.sql", "CREATE TABLE b (i int);\n"),
        ("R__v.sql", view),
    ];
    let bad = [
        ("V1__a.sql", "CREATE TABLE a (i int);\n"),
        ("V2__b.sql", "CREATE TABLE b (i int);\n\n\nINSERT INTO nope VALUES (1);\n"),
    ];
    for (name, files) in [("root", &good[..]), ("bad", &bad[..])] {
        fs_err::create_dir(folder.path().join(name)).expect("a folder can be made");
        for (file, content) in files {
            fs_err::write(folder.path().join(name).join(file), content).expect("the file can be written");
        }
    }
    let server = Server::new(engine);
    recorded.iter().map(|call| play(call, &server, folder.path())).collect()
}

/// What somebody did before this call.
fn before(name: &str, server: &Server, folder: &Path) {
    let conf = folder.join("root/V1__a.sql.conf");
    let _ = fs_err::remove_file(&conf);
    let empty = [
        "fail",
        "info0",
        "multi",
        "multit",
        "multifail",
        "base",
        "baset",
        "undo",
        "check",
        // The calls before it pick a script.
        "dry",
        "nonempty",
        "schema",
        "should",
        "erro",
    ];
    if empty.contains(&name) {
        server.empty();
    }
    match name {
        // On MariaDB it is a database beside the one that was emptied.
        "schema" if server.engine == Engine::MariaDb => server.sql("DROP DATABASE IF EXISTS app"),
        "valbad" | "repairbadt" => {
            server.sql("UPDATE flyway_schema_history SET checksum = 1 WHERE version = '1'");
        }
        "futmig" => server.sql(
            "INSERT INTO flyway_schema_history VALUES \
             (4, '9', 'gone', 'SQL', 'V9__gone.sql', 1, 'x', CURRENT_TIMESTAMP, 1, true), \
             (5, '1.5', 'lost', 'SQL', 'V1_5__lost.sql', 1, 'x', CURRENT_TIMESTAMP, 1, true)",
        ),
        "failinfo" => server.sql("UPDATE flyway_schema_history SET success = false WHERE version = '2'"),
        "nonempty" => server.sql("CREATE TABLE legacy (i int)"),
        "should" => fs_err::write(conf, "shouldExecute=true\n").expect("the file can be written"),
        _ => {}
    }
}

fn play(call: &Value, server: &Server, folder: &Path) -> Compared {
    let name = text(&call["name"]);
    before(name, server, folder);
    let ended = make(text(&call["args"]), server, folder);
    let mut differences = Vec::new();
    let mut compare = |what: &str, expected: Value, got: Value| {
        if expected != got {
            differences.push(Difference { step: None, what: what.to_owned(), expected, got });
        }
    };
    if call["exit"] != json!(ended.code) {
        // With what was said, since that tells a refusal from a mistake.
        let got = json!({"code": ended.code, "said": ended.said()});
        compare("exit code", call["exit"].clone(), got);
    }
    let recorded = text(&call["stdout"]).replace(": <ms>", ": 0");
    let said = |text: &str| neutral(text, server, folder);
    match serde_json::from_str::<Value>(&recorded) {
        Ok(document) => {
            let got = serde_json::from_str(&said(&ended.stdout)).unwrap_or_else(|_| json!(ended.said()));
            documents("", &document, &got, &mut compare);
        }
        Err(_) => compare("stdout lacks", Value::Null, lack(&recorded, &said(&ended.stdout))),
    }
    compare("stderr lacks", Value::Null, lack(text(&call["stderr"]), &said(&ended.stderr)));
    Compared {
        id: format!("calls/{name}"),
        content: text(&call["args"]).to_owned(),
        engine: server.engine.to_string(),
        differences,
    }
}

/// The lines that do not come, with what came instead.
fn lack(expected: &str, got: &str) -> Value {
    let lacking = lacking(expected, got);
    if lacking.is_empty() { Value::Null } else { json!({"lines": lacking, "said": got}) }
}

fn make(arguments: &str, server: &Server, folder: &Path) -> Ended {
    let at = host(server);
    let mut command = whimbrel("whimbrel-migrate");
    command.arg0("flyway").current_dir(folder).env("TZ", "UTC").arg("-skipCheckForUpdate");
    command.env("FLYWAY_URL", &server.place.jdbc);
    if !server.place.user.is_empty() {
        command.env("FLYWAY_USER", &server.place.user).env("FLYWAY_PASSWORD", &server.place.password);
    }
    command.env("FLYWAY_LOCATIONS", format!("filesystem:{}", folder.join("root").display()));
    for argument in arguments.split_whitespace() {
        let mut argument = argument.replace("<host>", &at);
        for name in ["bad", "none", "nm", "out"] {
            argument = argument.replace(&format!("<{name}>"), &folder.join(name).display().to_string());
        }
        command.arg(argument);
    }
    run(&mut command, Duration::from_secs(60))
}

/// Without what differs from machine to machine and from run to run.
fn neutral(said: &str, server: &Server, folder: &Path) -> String {
    let mut said = said.replace(&server.place.jdbc, "<url>");
    // Recorded as another user.
    said = said.replace("?user=t&password", "?user=root&password");
    if server.engine != Engine::Sqlite {
        said = said.replace(&server.name, "<db>").replace(&host(server), "<host>");
        said = said.replace("\"installedBy\" : \"t\"", "\"installedBy\" : \"root\"");
    }
    for name in ["root", "bad", "none", "nm", "out"] {
        said = said.replace(&folder.join(name).display().to_string(), &format!("<{name}>"));
    }
    said.replace(&folder.display().to_string(), "<cwd>")
}

/// `host:port` of the server; nothing where the database is a file.
fn host(server: &Server) -> String {
    let place = server.place.jdbc.split_once("//").map_or("", |(_, rest)| rest);
    place.split('/').next().unwrap_or_default().to_owned()
}

/// Two documents, key by key; times and Java's stacks are as they are.
fn documents(path: &str, expected: &Value, got: &Value, compare: &mut impl FnMut(&str, Value, Value)) {
    match (expected, got) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = |object: &serde_json::Map<String, Value>| json!(object.keys().collect::<Vec<_>>());
            compare(&format!("keys of {path}/"), keys(left), keys(right));
            for (key, value) in left {
                if !["timestamp", "executionTime", "totalMigrationTime", "stackTrace", "installedOnUTC"]
                    .contains(&key.as_str())
                {
                    documents(
                        &format!("{path}/{key}"),
                        value,
                        right.get(key).unwrap_or(&Value::Null),
                        compare,
                    );
                }
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                documents(&format!("{path}/{index}"), left, right, compare);
            }
        }
        (Value::String(left), Value::String(right)) => {
            compare(path, json!(lines(left)), json!(lines(right)));
        }
        _ => compare(path, expected.clone(), got.clone()),
    }
}

/// Lines that are not compared: the product's own name, links, and what only Java has.
const NOT_COMPARED: [&str; 10] = [
    "Flyway OSS Edition",
    "See release notes",
    "Caused by:",
    "+--",
    "|--",
    // The driver's own log, which it writes beside Flyway's lines.
    "[ WARN] (main)",
    "-----",
    "Need more flexibility",
    "Need to reset your baseline",
    "Download Redgate Edition",
];

/// The lines that count, with single blanks, without durations and dates.
pub(super) fn lines(said: &str) -> Vec<String> {
    let said = said.split("\nCaused by:").next().unwrap_or_default();
    let lines = said
        .lines()
        .filter(|line| !line.trim().is_empty() && !NOT_COMPARED.iter().any(|start| line.starts_with(start)));
    lines
        .map(|line| {
            let words = line.split_whitespace().map(word).filter(|word| !word.is_empty());
            words.collect::<Vec<_>>().join(" ").replace("<date> <date>", "<date>")
        })
        .collect()
}

fn word(word: &str) -> String {
    let shape: String =
        word.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    match shape.as_str() {
        "00:00.000s)" | "<t>)" => "<t>)".to_owned(),
        "00:00.000s)." | "<t>)." => "<t>).".to_owned(),
        "0000-00-00" | "00:00:00" | "<yyyy-MM-dd" | "HH:mm:ss>" => "<date>".to_owned(),
        // The server's version.
        "00.00)" | "00.0)" | "0.00)" | "0.00.0)" | "00.00.00)" => "<version>)".to_owned(),
        // The number that a driver gives to its connection.
        _ if shape.starts_with("(conn=0") || shape == "(conn=<n>)" => String::new(),
        _ => word.to_owned(),
    }
}

/// Flyway's lines that do not come, in their order.
pub(super) fn lacking(expected: &str, got: &str) -> Vec<String> {
    let got = lines(got);
    let mut rest = got.iter();
    let mut lacking = Vec::new();
    for line in lines(expected) {
        let before = rest.clone();
        if !rest.any(|other| *other == line) {
            rest = before;
            lacking.push(line);
        }
    }
    lacking
}
