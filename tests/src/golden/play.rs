//! One case, played through one face.

use std::path::Path;

use base64::Engine as _;
use serde_json::{Value, json};

use super::calls::lacking;
use super::compare::{Difference, expected_answer, given_answer, info_lines, lines_with_checksums, text};
use super::faces::{self, Settings};
use super::server::Server;

/// What came out of a case.
pub(super) enum Played {
    /// Nothing differs, or these things do.
    Compared(Vec<Difference>),
    /// Our own command line has no word for this setting.
    NotAsked(String),
}

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Flyway,
    /// The lines that Flyway logged, where they were recorded.
    Lines,
    Own,
}

/// Plays a case on an emptied database.
pub(super) fn play(server: &Server, case: &Value, face: Face, runtime: &tokio::runtime::Runtime) -> Played {
    let folder = tempfile::tempdir().expect("there is room");
    let root = folder.path().join("sql");
    fs_err::create_dir(&root).expect("a folder can be made");
    server.empty();
    if let Some(rows) = case["history"].as_array() {
        server.write_history(rows);
    }
    for statement in statements(&case["setup"]) {
        server.sql(&statement);
    }
    write_files(&root, &case["files"]);
    let mut game = Game { server, runtime, root: &root, step: None, differences: Vec::new() };
    let steps = case["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let turn = |game: &mut Game<'_>, step: &Value, expected: &Value| match face {
        Face::Flyway => game.flyway(case, step, expected),
        Face::Lines => game.lines(case, step, expected),
        Face::Own => game.own(case, step, expected),
    };
    if steps.is_empty()
        && let Err(setting) = turn(&mut game, case, &case["expect"])
    {
        return Played::NotAsked(setting);
    }
    for (index, step) in steps.iter().enumerate() {
        game.step = Some(index + 1);
        game.between(step);
        if let Err(setting) = turn(&mut game, step, &case["expect"]["steps"][index]) {
            return Played::NotAsked(setting);
        }
    }
    Played::Compared(game.differences)
}

struct Game<'a> {
    server: &'a Server,
    runtime: &'a tokio::runtime::Runtime,
    root: &'a Path,
    step: Option<usize>,
    differences: Vec<Difference>,
}

impl Game<'_> {
    fn compare(&mut self, what: impl Into<String>, expected: Value, got: Value) {
        if expected != got {
            self.differences.push(Difference { step: self.step, what: what.into(), expected, got });
        }
    }

    fn between(&self, step: &Value) {
        for name in step["delete"].as_array().into_iter().flatten() {
            fs_err::remove_file(self.root.join(text(name))).expect("the file was there");
        }
        write_files(self.root, &step["files"]);
        for statement in statements(&step["sql"]) {
            self.server.sql(&statement);
        }
    }

    /// Flyway's order: the verb, what it left behind, the queries, an `info`.
    fn flyway(&mut self, case: &Value, step: &Value, expected: &Value) -> Result<(), String> {
        let settings = Settings::new(case, step, self.root);
        let verb = text(&step["verb"]);
        let place = &self.server.place;
        let answer = faces::flyway(place, &settings, verb, self.root);
        if verb != "info" || !expected["error"].is_null() || !answer["error"].is_null() {
            let got = self.neutral(given_answer(verb, &answer));
            let before = self.differences.len();
            self.compare("answer", expected_answer(verb, expected), got);
            if self.differences.len() > before && !answer["error"].is_null() {
                let difference = self.differences.last_mut().expect("it was just put there");
                difference.got["message"] = answer["error"]["message"].clone();
            }
        }
        self.left_behind(step, expected);
        let info = match verb {
            "info" => answer,
            _ => faces::flyway(place, &settings, "info", self.root),
        };
        if !expected["info_error"].is_null() {
            self.compare("info fails", json!(true), json!(!info["error"].is_null()));
        } else if expected["info"].is_array() {
            let lines = match &info["error"] {
                Value::Null => info_lines(&info["migrations"]),
                error => json!({ "fails": error["message"] }),
            };
            self.compare("info", info_lines(&expected["info"]), lines);
            self.compare("schema version", expected["schemaVersion"].clone(), info["schemaVersion"].clone());
            let lines = faces::flyway_lines(place, &settings, self.runtime);
            self.compare("info with checksums", lines_with_checksums(&expected["info"]), lines);
        }
        Ok(())
    }

    /// The same call once more as text: every line that Flyway logged, in its order.
    fn lines(&mut self, case: &Value, step: &Value, expected: &Value) -> Result<(), String> {
        let settings = Settings::new(case, step, self.root);
        let verb = text(&step["verb"]);
        let ended = faces::flyway_text(&self.server.place, &settings, verb, self.root);
        let stdout = self.neutral(json!(ended.stdout));
        let stderr = self.neutral(json!(ended.stderr));
        let logged = |wanted: &[&str]| {
            let lines = expected["log"].as_array().into_iter().flatten().map(text);
            let lines = lines.filter_map(|line| line.split_once(' '));
            // Tables of what a query gave are not printed, nor is that there was nothing to roll back on SQLite.
            let left_out = ["+-", "Unable to rollback transaction"];
            let lines = lines.filter(|(level, line)| {
                wanted.contains(level) && !left_out.iter().any(|start| line.starts_with(start))
            });
            lines
                .map(|(level, line)| match level {
                    "WARN" => format!("WARNING: {line}\n"),
                    "ERROR" => format!("ERROR: {line}\n"),
                    _ => format!("{line}\n"),
                })
                .collect::<String>()
        };
        self.compare("stdout lacks", json!([]), json!(lacking(&logged(&["INFO", "WARN"]), text(&stdout))));
        self.compare("stderr lacks", json!([]), json!(lacking(&logged(&["ERROR"]), text(&stderr))));
        Ok(())
    }

    /// The own face shows its answers otherwise: compared is whether it went well and what it did.
    fn own(&mut self, case: &Value, step: &Value, expected: &Value) -> Result<(), String> {
        let settings = Settings::new(case, step, self.root);
        let verb = text(&step["verb"]);
        let place = &self.server.place;
        let own = faces::own(place, &settings, verb, self.root)?;
        let well =
            expected["error"].is_null() && expected["validate"]["validationSuccessful"] != json!(false);
        if well != own.went_well {
            let got = if own.went_well { json!("went well") } else { json!(own.said) };
            let wanted =
                if well { json!("goes well") } else { json!({"fails": expected["error"]["message"]}) };
            self.compare("outcome", wanted, got);
        }
        self.left_behind(step, expected);
        if !expected["info"].is_array() {
            return Ok(());
        }
        let info = if verb == "info" { own } else { faces::own(place, &settings, "info", self.root)? };
        let got = if info.went_well {
            lines_with_checksums(&info.database["migrations"])
        } else {
            json!({ "fails": info.said })
        };
        self.compare("info", lines_with_checksums(&expected["info"]), got);
        Ok(())
    }

    fn left_behind(&mut self, step: &Value, expected: &Value) {
        if expected.get("history").is_some() {
            self.compare("history", expected["history"].clone(), self.server.history());
        }
        if let Some(tables) = expected["tables"].as_array() {
            let mut tables: Vec<&str> = tables.iter().map(text).collect();
            tables.sort_unstable();
            self.compare("tables", json!(tables), self.server.tables());
        }
        let queries = statements(&step["queries"]);
        for (query, expected) in queries.iter().zip(expected["queries"].as_array().into_iter().flatten()) {
            let got = self.neutral(self.server.rows(query));
            self.compare(query.as_str(), expected.clone(), got);
        }
    }

    /// Without what differs from machine to machine.
    fn neutral(&self, value: Value) -> Value {
        match value {
            Value::String(text) => {
                let root = self.root.display().to_string();
                let folder = self.root.parent().expect("the location is in a folder").display().to_string();
                let text = text.replace(&root, "<root>").replace(&folder, "<dir>");
                Value::String(text.replace(&self.server.name, "<db>"))
            }
            Value::Array(values) => values.into_iter().map(|value| self.neutral(value)).collect(),
            Value::Object(object) => {
                Value::Object(object.into_iter().map(|(name, value)| (name, self.neutral(value))).collect())
            }
            other => other,
        }
    }
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
