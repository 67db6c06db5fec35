//! Files and history that disagree, and callbacks that fail. Numbers are those of docs/faults.md.

mod common;

use common::Shop;

#[test]
fn row_53_a_history_that_is_ahead_of_the_files_is_told_and_nothing_runs() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("V2__b.sql", "CREATE TABLE b (id int);\n"),
    ]);
    shop.migrate(&[]).expect_code(0);
    shop.remove("V2__b.sql");
    let info = shop.run("info", &["--format", "json"]).expect_code(0).json_lines();
    assert_eq!(info[0]["databases"][0]["migrations"][1]["state"], "Future");
    let history = shop.history();
    // As with Flyway, what comes from a newer set is passed over by itself, and refused where that is wanted.
    shop.migrate(&[]).expect_code(0);
    let refused = shop.migrate(&["--ignore", "repeatable:missing"]).expect_code(6);
    assert!(refused.says("not resolved locally"), "{}", refused.said());
    assert_eq!(shop.history(), history);
}

#[test]
fn row_61_two_files_of_one_version_or_one_description_stop_everything() {
    for (one, two) in
        [("V1__a.sql", "sub/V01__b.sql"), ("V1__a.sql", "V1_0__b.sql"), ("R__a.sql", "sub/R__a.sql")]
    {
        let shop = Shop::new(&[(one, "CREATE TABLE a (id int);\n"), (two, "CREATE TABLE b (id int);\n")]);
        let refused = shop.migrate(&[]);
        assert_ne!(refused.code, Some(0), "{}", refused.said());
        assert!(refused.says(one) && refused.says(two), "{}", refused.said());
        assert_eq!(shop.database.ask("SELECT to_regclass('a') IS NULL, to_regclass('b') IS NULL"), "t|t");
    }
}

#[test]
fn row_79_a_callback_that_fails_takes_its_script_along_and_nothing_else() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("V2__b.sql", "CREATE TABLE b (id int);\n"),
        ("beforeEachMigrate.sql", "CREATE TABLE IF NOT EXISTS seen (n int);\nINSERT INTO seen VALUES (1);\n"),
        ("afterEachMigrate.sql", "SELECT 1 / (2 - count(*)) FROM seen;\n"),
    ]);
    let ended = shop.migrate(&[]).expect_code(7);
    assert!(ended.says("22012") && ended.says("afterEachMigrate"), "{}", ended.said());
    // The second script, and what was done before it, went with its transaction.
    assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NULL, count(*) FROM seen"), "t|1");
    assert_eq!(shop.database.version().as_deref(), Some("1"));
    shop.write("afterEachMigrate.sql", "SELECT 1;\n");
    shop.write("afterMigrate.sql", "SELECT 1 / 0;\n");
    // A callback behind the work takes nothing back, and the code says that not all went well.
    let ended = shop.migrate(&[]);
    assert_ne!(ended.code, Some(0), "{}", ended.said());
    assert!(ended.says("22012") && ended.says("afterMigrate"), "{}", ended.said());
    assert_eq!(shop.database.version().as_deref(), Some("2"));
}

#[test]
fn row_52_a_table_that_only_has_the_name_of_a_history_is_told_and_left_alone() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    for (make, part) in [
        ("CREATE TABLE flyway_schema_history (id int)", "\"installed_rank\" does not exist"),
        (
            "CREATE TABLE flyway_schema_history AS SELECT 1 AS installed_rank, '1' AS version, NULL AS description, \
             'SQL' AS type, 'V1__a.sql' AS script, 0 AS checksum, 'me' AS installed_by, now() AS installed_on, \
             0 AS execution_time, true AS success",
            "the row with installed_rank 1",
        ),
    ] {
        let user = &shop.database.user;
        shop.database.ask(&format!("{make}; ALTER TABLE flyway_schema_history OWNER TO \"{user}\""));
        for verb in ["migrate", "info", "repair"] {
            let refused = shop.run(verb, &[]).expect_code(6);
            let told = refused.says("is no schema history") && refused.says(part) && refused.says("by hand");
            assert!(told, "{}", refused.said());
        }
        shop.database.ask("DROP TABLE flyway_schema_history");
    }
    assert_eq!(shop.database.ask("SELECT to_regclass('a') IS NULL"), "t");
    shop.migrate(&[]).expect_code(0);
}

#[test]
fn row_52_a_script_that_takes_the_history_away_keeps_nothing_or_is_finished_by_the_next_run() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    shop.migrate(&[]).expect_code(0);
    shop.write(
        "V2__gone.sql",
        "CREATE TABLE b (id int);\nALTER TABLE flyway_schema_history RENAME TO kept;\n",
    );
    let failed = shop.migrate(&[]).expect_code(7);
    assert!(failed.says("V2__gone.sql") && failed.says("dropped or renamed it"), "{}", failed.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NULL AND to_regclass('kept') IS NULL"), "t");
    // Outside of a transaction all of it is done, and is not done again once the table is back.
    shop.write("V2__gone.sql.conf", "executeInTransaction=false\n");
    let failed = shop.migrate(&[]).expect_code(1);
    assert!(
        failed.says("row of V2__gone.sql, all of which was applied") && failed.says("put it back"),
        "{}",
        failed.said()
    );
    shop.database.ask("ALTER TABLE kept RENAME TO flyway_schema_history");
    shop.migrate(&[]).expect_code(0);
    assert_eq!(
        shop.database.ask("SELECT string_agg(version, ' ') FROM flyway_schema_history WHERE success"),
        "1 2"
    );
}
