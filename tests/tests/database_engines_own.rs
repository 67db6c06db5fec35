//! What the runner does that Flyway does not, on MariaDB and SQLite.

mod common;

use common::engines::Shop;
use whimbrel_tests::engines::Place;

const BIRDS: [(&str, &str); 4] = [
    ("V1__birds.sql", "CREATE TABLE bird (id int PRIMARY KEY, name varchar(99));\n"),
    ("V2__nests.sql", "CREATE TABLE nest (id int);\nCREATE TABLE egg (id int);\n"),
    ("U1__birds.sql", "DROP TABLE bird;\n"),
    ("U2__nests.sql", "DROP TABLE nest;\nINSERT INTO bird VALUES (2, 'undone');\nDROP TABLE egg;\n"),
];

const LAST_ROW: &str =
    "SELECT version, type, success FROM flyway_schema_history ORDER BY installed_rank DESC LIMIT 1";

fn a_version_is_taken_back_with_its_row(place: Place) {
    let shop = Shop::new(place, &BIRDS);
    shop.run("migrate", &[]).expect_code(0);
    let undone = shop.run("undo", &[]).expect_code(0);
    assert!(undone.says("now at version 1"), "{}", undone.said());
    assert_eq!(shop.ask(LAST_ROW), "2|DELETE|1");
    assert_eq!(shop.ask("SELECT name FROM bird"), "undone");
    assert_eq!(shop.flyway("info", &[])["schemaVersion"], "1");
    shop.ask("DELETE FROM bird");
    shop.run("migrate", &[]).expect_code(0);
    assert_eq!(shop.ask("SELECT count(*) FROM egg"), "0");
}

#[test]
fn mariadb_takes_a_version_back_although_its_ddl_commits() {
    a_version_is_taken_back_with_its_row(Place::mariadb());
}

#[test]
fn sqlite_takes_a_version_back() {
    a_version_is_taken_back_with_its_row(Place::sqlite());
}

#[test]
fn an_undo_that_stopped_halfway_on_mariadb_goes_on_there() {
    let shop = Shop::new(Place::mariadb(), &BIRDS);
    shop.run("migrate", &[]).expect_code(0);
    shop.ask("INSERT INTO bird VALUES (2, 'in the way')");
    let failed = shop.run("undo", &[]).expect_code(8);
    for part in ["1 of its 3 statements are done", "U2__nests.sql:2:1", "run undo again", "at version 2"] {
        assert!(failed.says(part), "{part:?} is missing: {}", failed.said());
    }
    // Half an undo is none: the version still counts, and Flyway sees nothing of it.
    assert_eq!(shop.ask(LAST_ROW), "2|SQL|1");
    assert_eq!(shop.flyway("info", &[])["schemaVersion"], "2");
    shop.ask("DELETE FROM bird");
    let undone = shop.run("undo", &[]).expect_code(0);
    assert!(undone.says("goes on with statement 2 of 3"), "{}", undone.said());
    assert_eq!(shop.ask(LAST_ROW), "2|DELETE|1");
    assert_eq!(shop.ask("SELECT count(*) FROM whimbrel_script_progress"), "0");
}

#[test]
fn a_row_that_was_stamped_names_whom_the_settings_name() {
    let shop = Shop::new(Place::sqlite(), &BIRDS);
    shop.project.replace(
        "whimbrel.toml",
        "[databases.app]\n",
        "[databases.app]\nflyway = { installedBy = \"Flynn\" }\n",
    );
    shop.run("stamp", &["1", "--yes"]).expect_code(0);
    assert_eq!(shop.ask("SELECT version, installed_by FROM flyway_schema_history"), "1|Flynn");
}
