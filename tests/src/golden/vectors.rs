//! Statements, names, versions and checksums, asked of the library.

use std::path::Path;

use base64::Engine as _;
use serde_json::{Value, json};
use whimbrel_migration::checksum;
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::name::NamingRules;
use whimbrel_migration::placeholder::Placeholders;
use whimbrel_migration::scan::{Effect, Piece, Scanner};
use whimbrel_migration::version::Version;

use super::compare::{Difference, text};

/// A vector's name, the text that a reason may look at, and what differs.
pub(super) struct Compared {
    pub(super) id: String,
    pub(super) content: String,
    /// Where it was recorded, if that matters.
    pub(super) engine: String,
    pub(super) differences: Vec<Difference>,
}

fn compared(id: String, content: String, what: &str, expected: Value, got: Value) -> Compared {
    let difference = Difference { step: None, what: what.to_owned(), expected, got };
    let differences = if difference.expected == difference.got { Vec::new() } else { vec![difference] };
    Compared { id, content, engine: String::new(), differences }
}

/// Scripts beside a list of their statements; the folder of a script is its dialect.
pub(super) fn split(folder: &Path, recorded: &[Value]) -> Vec<Compared> {
    recorded
        .iter()
        .map(|line| {
            let file = text(&line["file"]);
            let name = file.split('/').next().unwrap_or_default();
            let id = format!("split-{name}/{}", file.rsplit('/').next().unwrap_or_default());
            let Ok(dialect) = serde_json::from_value::<Dialect>(json!(name)) else {
                return compared(id, String::new(), "dialect", json!(name), json!("not known"));
            };
            let bytes = fs_err::read(folder.join(file)).expect("the script lies beside its line");
            let content = String::from_utf8_lossy(&bytes).into_owned();
            let expected = if line["error"].is_null() {
                line["statements"].as_array().into_iter().flatten().map(statement).collect()
            } else {
                json!("an error")
            };
            let failed = |error| if expected.is_string() { expected.clone() } else { json!(error) };
            let got = statements(dialect, &content).unwrap_or_else(failed);
            compared(id, content, "statements", expected, got)
        })
        .collect()
}

fn statement(recorded: &Value) -> Value {
    json!([recorded["line"], recorded["tx"], recorded["sql"], recorded["copyData"]])
}

fn statements(dialect: Dialect, content: &str) -> Result<Value, String> {
    let mut placeholders = Placeholders::default();
    // The values that the recording had.
    placeholders.set("tbl", "foo");
    placeholders.set("unset_quoted", "bar");
    let content = placeholders.replace(content).unwrap_or(content.into());
    let mut scanner = Scanner::new(dialect);
    scanner.feed(content.as_bytes());
    scanner.finish();
    let mut found: Vec<Value> = Vec::new();
    while let Some(piece) = scanner.next_piece().map_err(|error| error.to_string())? {
        match piece {
            Piece::Statement(statement) => {
                let copy = if statement.effect == Effect::CopyFromStdin { json!("") } else { Value::Null };
                let transactional = !matches!(statement.effect, Effect::NonTransactional(_));
                found.push(json!([statement.place.line, transactional, statement.text, copy]));
            }
            Piece::CopyData(data) => {
                let last = &mut found.last_mut().expect("a COPY came before")[3];
                *last = json!(format!("{}{}", text(last), String::from_utf8_lossy(data)));
            }
            Piece::CopyEnd => {}
        }
    }
    Ok(Value::Array(found))
}

/// File names.
pub(super) fn names(recorded: &[(String, String)]) -> Vec<Compared> {
    let rules = NamingRules::default();
    recorded
        .iter()
        .map(|(quoted, expected)| {
            let name: String = serde_json::from_str(quoted).unwrap_or_else(|_| quoted.clone());
            let got = match rules.parse(&name) {
                Ok(parsed) => format!(
                    "valid prefix={:?} version={} description={:?} suffix={:?}",
                    parsed.prefix,
                    parsed
                        .version
                        .map_or_else(|| "null".to_owned(), |version| format!("{:?}", version.as_str())),
                    parsed.description,
                    parsed.suffix
                ),
                Err(error) => format!("INVALID {error}"),
            };
            compared(format!("names/{name}"), name, "reading", json!(expected), json!(got))
        })
        .collect()
}

/// Pairs of versions.
pub(super) fn versions(recorded: &[(String, String)]) -> Vec<Compared> {
    recorded
        .iter()
        .map(|(pair, order)| {
            let (mine, theirs) = pair.split_once(' ').unwrap_or((pair, ""));
            let got = match (Version::parse(mine), Version::parse(theirs)) {
                (Ok(mine), Ok(theirs)) => json!(mine.cmp(&theirs) as i8),
                _ => json!("no versions"),
            };
            let expected = order.parse::<i64>().map_or(json!(order), |order| json!(order.signum()));
            compared(format!("versions/{pair}"), pair.clone(), "order", expected, got)
        })
        .collect()
}

/// Contents.
pub(super) fn checksums(recorded: &[Value]) -> Vec<Compared> {
    recorded
        .iter()
        .map(|vector| {
            let bytes = match vector["base64"].as_str() {
                Some(text) => base64::engine::general_purpose::STANDARD.decode(text).expect("base64"),
                // The one that is described instead: 5000 × x LF 4095 × y CRLF z.
                None => format!("{}\n{}\r\nz", "x".repeat(5000), "y".repeat(4095)).into_bytes(),
            };
            let got = checksum::of_bytes(&bytes).ok();
            let id = format!("checksums/{}", text(&vector["name"]));
            compared(id, String::new(), "checksum", vector["checksum"].clone(), json!(got))
        })
        .collect()
}
