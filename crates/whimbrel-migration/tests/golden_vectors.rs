//! Names, versions and checksums as Flyway's own classes read them.

use std::cmp::Ordering;

use base64::Engine as _;
use whimbrel_migration::{checksum, name::NamingRules, version::Version};

/// Names that are read differently on purpose.
const NAMES_ON_PURPOSE: &[(&str, &str)] = &[
    ("Vlatest__x.sql", "a marker of Flyway's own that breaks its table: an invalid name here"),
    ("V9223372036854775807__x.sql", "the same, as a number"),
];

#[test]
fn names_are_read_as_flyway_reads_them() {
    let rules = NamingRules::default();
    for line in include_str!("data/names.tsv").lines() {
        let (name, expected) = line.split_once('\t').expect("two columns");
        let name: String = serde_json::from_str(name).expect("the name is quoted");
        let ours = match rules.parse(&name) {
            Ok(parsed) => format!(
                "valid prefix={:?} version={} description={:?} suffix={:?}",
                parsed.prefix,
                parsed.version.map_or_else(|| "null".to_owned(), |version| format!("{:?}", version.as_str())),
                parsed.description,
                parsed.suffix
            ),
            Err(error) => format!("INVALID {error}"),
        };
        if NAMES_ON_PURPOSE.iter().any(|(other, _)| *other == name) {
            assert_ne!(ours, expected, "{name} is listed as differing");
        } else {
            assert_eq!(ours, expected, "{name}");
        }
    }
}

#[test]
fn versions_are_ordered_as_flyway_orders_them() {
    for line in include_str!("data/versions.tsv").lines() {
        let (pair, order) = line.split_once('\t').expect("two columns");
        let (mine, theirs) = pair.split_once(' ').expect("two versions");
        let order: i32 = order.parse().expect("a number");
        let version = |text| Version::parse(text).expect("a version");
        assert_eq!(version(mine).cmp(&version(theirs)), order.cmp(&0), "{pair}");
        assert_eq!(version(theirs).cmp(&version(mine)), 0.cmp(&order), "{pair} turned round");
    }
    assert_eq!(Ordering::Less, (-1).cmp(&0));
}

#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    base64: Option<String>,
    checksum: Option<i32>,
}

#[test]
fn checksums_are_those_of_flyway() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("data/checksums.json")).expect("JSON");
    for vector in vectors {
        let bytes = match &vector.base64 {
            Some(text) => base64::engine::general_purpose::STANDARD.decode(text).expect("base64"),
            // The one that is described instead: 5000 × x LF 4095 × y CRLF z.
            None => format!("{}\n{}\r\nz", "x".repeat(5000), "y".repeat(4095)).into_bytes(),
        };
        assert_eq!(checksum::of_bytes(&bytes).ok(), vector.checksum, "{}", vector.name);
    }
}
