//! What generated histories are made of.

use super::server::Engine;

pub(super) const VERSIONED: &[&str] = &[
    "V1__a.sql",
    "V1_1__b.sql",
    "V2__c.sql",
    "V002__c.sql",
    "V2.5__d.sql",
    "sub/V3__e.sql",
    "V3__other_name.sql",
    "V4__f.sql",
    "V10__g.sql",
    "B2__base.sql",
    "B4__base.sql",
    "V2_1__ two  spaces.sql",
];

pub(super) const REPEATABLE: &[&str] = &["R__a.sql", "R__b.sql", "sub/R__c.sql", "R__A.sql"];

/// Only ours take a version back; to Flyway these are names that it does not know.
pub(super) const UNDO: &[&str] = &["U1__a.sql", "U2__c.sql", "U3__e.sql", "U4__f.sql", "U10__g.sql"];

pub(super) const CALLBACKS: &[&str] = &[
    "beforeMigrate.sql",
    "beforeEachMigrate.sql",
    "afterEachMigrate__late.sql",
    "afterVersioned.sql",
    "afterMigrate.sql",
    "afterMigrateError.sql",
    "beforeValidate.sql",
    "afterRepair.sql",
    "afterClean.sql",
];

pub(super) const CONF: &[&str] = &["V2__c.sql.conf", "V4__f.sql.conf", "R__b.sql.conf"];

pub(super) const CONF_LINES: &[&str] =
    &["executeInTransaction=false\n", "executeInTransaction=true\n", "placeholderReplacement=false\n"];

/// Scripts of an engine. Each may run again: nothing depends on what ran before.
pub(super) fn contents(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::PostgreSql => POSTGRESQL,
        Engine::MariaDb => MARIADB,
        Engine::Sqlite => SQLITE,
    }
}

/// (REINDEX would wait for ever for Flyway's own lock.)
const POSTGRESQL: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS one (i int);\n",
    "CREATE TABLE IF NOT EXISTS one (i int);\r\n",
    "CREATE TABLE IF NOT EXISTS two (i int);\nINSERT INTO two VALUES (1);\n",
    "SELECT '${greeting}';\n",
    "SELECT '$${greeting}';\n-- é日\n",
    "",
    "SELECT 1;\nSELECT nope;\n",
    "CREATE TABLE half (i int);\nSELECT nope;\n",
    "DO $$ BEGIN PERFORM 1; END $$;\n",
    "VACUUM pg_namespace;\n",
];

const MARIADB: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS one (i int);\n",
    "CREATE TABLE IF NOT EXISTS one (i int);\r\n",
    "CREATE TABLE IF NOT EXISTS two (i int);\nINSERT INTO two VALUES (1);\n",
    "CREATE TABLE IF NOT EXISTS two (i int);\nINSERT INTO two VALUES (1);\nCREATE TABLE IF NOT EXISTS one (i int);\n\
     INSERT INTO two VALUES (2);\nSELECT nope;\n",
    "CREATE TABLE half (i int);\nSELECT nope;\n",
    "SELECT 1;\nSELECT nope;\n",
    "SELECT '${greeting}';\n",
    "SELECT '$${greeting}';\n-- é日\n# ; '\n",
    "",
    "DELIMITER //\nCREATE OR REPLACE PROCEDURE p() BEGIN SELECT 1; SELECT ';'; END //\nDELIMITER ;\nCALL p();\n",
    "CREATE TABLE IF NOT EXISTS `a;b``c` (`select` int);\nINSERT INTO `a;b``c` (`select`) VALUES (1);\n",
    "CREATE TABLE IF NOT EXISTS two (i int);\nDROP TRIGGER IF EXISTS `two's`;\nCREATE TRIGGER `two's` BEFORE INSERT ON two \
     FOR EACH ROW BEGIN\n  IF NEW.i > 5 THEN SET NEW.i = 5; END IF;\nEND;\nINSERT INTO two VALUES (9);\n",
    "CREATE OR REPLACE VIEW v AS SELECT \"${greeting}\\\";\" AS g;\n",
    "CREATE TABLE IF NOT EXISTS two (i int);\nLOCK TABLES `two` WRITE;\n/*!40000 ALTER TABLE `two` DISABLE KEYS */;\n\
     INSERT INTO `two` VALUES (1),(2);\n/*!40000 ALTER TABLE `two` ENABLE KEYS */;\nUNLOCK TABLES;\n",
    "SET foreign_key_checks = 0;\nSET @left = 1;\nUSE information_schema;\n",
    "CREATE TABLE IF NOT EXISTS two (i int);\nINSERT INTO two VALUES (1);\nCOMMIT;\nINSERT INTO two VALUES \
     (2);\nSELECT nope;\n",
    "DROP TABLE IF EXISTS two;\nCREATE TABLE two (i int) AS SELECT 7 AS i;\n",
    "CREATE TEMPORARY TABLE one (i int);\nDROP TEMPORARY TABLE one;\n",
];

const SQLITE: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS one (i int);\n",
    "CREATE TABLE IF NOT EXISTS one (i int);\r\n",
    "CREATE TABLE IF NOT EXISTS two (i int);\nINSERT INTO two VALUES (1);\n",
    "CREATE TABLE half (i int);\nSELECT nope;\n",
    "SELECT 1;\nSELECT nope;\n",
    "SELECT '${greeting}';\n",
    "SELECT '$${greeting}';\n-- é日\n",
    "",
    "CREATE TABLE IF NOT EXISTS `a;b` (\"select\" int);\nINSERT INTO \"a;b\" VALUES (CASE WHEN 1 THEN 2 END);\n",
    "CREATE TABLE IF NOT EXISTS two (i int);\nCREATE TRIGGER IF NOT EXISTS t AFTER INSERT ON two BEGIN\n  \
     UPDATE two SET i = CASE WHEN i > 5 THEN 5 ELSE i END; SELECT 1;\nEND;\nINSERT INTO two VALUES (9);\n",
    "DROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT '${greeting};' AS g;\n",
    "PRAGMA foreign_keys = OFF;\n",
    "PRAGMA foreign_keys = ON;\nCREATE TABLE IF NOT EXISTS one (i int);\n",
    "PRAGMA user_version = 7;\n",
    "CREATE TABLE IF NOT EXISTS counted (i INTEGER PRIMARY KEY AUTOINCREMENT);\nINSERT INTO counted DEFAULT VALUES;\n",
    "CREATE TEMP TABLE IF NOT EXISTS one (i int);\nDROP TABLE temp.one;\n",
    "CREATE TABLE IF NOT EXISTS parent (i INTEGER PRIMARY KEY);\nCREATE TABLE IF NOT EXISTS child (i int \
     REFERENCES parent);\n\
     INSERT INTO child VALUES (1);\n",
];

pub(super) const MEDDLING: &[&str] = &[
    "UPDATE flyway_schema_history SET success = false WHERE installed_rank = (SELECT max(installed_rank) FROM \
     flyway_schema_history)",
    "UPDATE flyway_schema_history SET success = false WHERE installed_rank = 2",
    "DELETE FROM flyway_schema_history WHERE installed_rank = (SELECT min(installed_rank) FROM flyway_schema_history)",
    "DELETE FROM flyway_schema_history WHERE installed_rank = (SELECT max(installed_rank) FROM flyway_schema_history)",
    "UPDATE flyway_schema_history SET checksum = 1 WHERE installed_rank = (SELECT max(installed_rank) FROM \
     flyway_schema_history)",
    "UPDATE flyway_schema_history SET checksum = NULL",
    "UPDATE flyway_schema_history SET description = 'other' WHERE installed_rank = 1",
    "CREATE TABLE IF NOT EXISTS legacy (i int)",
    "DROP TABLE IF EXISTS flyway_schema_history; DROP TABLE IF EXISTS whimbrel_script_progress; DROP TABLE IF \
     EXISTS whimbrel_run",
    "INSERT INTO flyway_schema_history SELECT max(installed_rank) + 1, '7', 'late', 'SQL', 'V7__late.sql', 5, 'x', \
     CURRENT_TIMESTAMP, 1, true FROM flyway_schema_history",
    "INSERT INTO flyway_schema_history SELECT installed_rank + 1, version, description, 'DELETE', script, \
     checksum, 'x', CURRENT_TIMESTAMP, 0, true FROM flyway_schema_history WHERE installed_rank = (SELECT \
     max(installed_rank) FROM flyway_schema_history)",
    "INSERT INTO flyway_schema_history SELECT max(installed_rank) + 1, NULL, 'gone', 'SQL', 'R__gone.sql', 5, 'x', \
     CURRENT_TIMESTAMP, 1, false FROM flyway_schema_history",
];

pub(super) const SETTINGS: &[&[(&str, &str)]] = &[
    &[],
    &[],
    &[],
    &[],
    &[("outOfOrder", "true")],
    &[("ignoreMigrationPatterns", "*:missing")],
    &[("ignoreMigrationPatterns", "*:pending,*:ignored")],
    &[("ignoreMigrationPatterns", "repeatable:*")],
    &[("ignoreMigrationPatterns", "")],
    &[("target", "2")],
    &[("target", "next")],
    &[("target", "current")],
    &[("target", "3?")],
    &[("validateOnMigrate", "false")],
    &[("baselineOnMigrate", "true")],
    &[("baselineVersion", "2")],
    &[("placeholders.greeting", "bye")],
    &[("placeholderReplacement", "false")],
    &[("group", "true")],
    &[("mixed", "true")],
    &[("group", "true"), ("mixed", "true")],
    &[("executeInTransaction", "false")],
    &[("skipExecutingMigrations", "true")],
    &[("skipDefaultCallbacks", "true")],
    &[("validateMigrationNaming", "true")],
];
