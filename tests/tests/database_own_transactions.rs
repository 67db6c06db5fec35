//! Scripts that begin and end transactions themselves: what stays of them, here and in real Flyway.

mod common;

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use common::{Shop, engines};
use whimbrel_tests::engines::Place;
use whimbrel_tests::postgres::host_and_port;
use whimbrel_tests::program::{Ended, clean, run};
use whimbrel_tests::testbed;

const TWO_MINUTES: Duration = Duration::from_secs(120);
const SEEN: &str = "SELECT (SELECT string_agg(i::text, ' ' ORDER BY i) FROM t) || '; ' || \
    (SELECT string_agg(version || ' ' || success, ', ' ORDER BY installed_rank) FROM flyway_schema_history)";

/// `flyway migrate`, by this program.
fn migrate(shop: &Shop, mut command: Command) -> Ended {
    let url = format!("jdbc:postgresql://{}/{}", host_and_port(), shop.database.user);
    command.env("FLYWAY_URL", url);
    command.env("FLYWAY_USER", &shop.database.user).env("FLYWAY_PASSWORD", &shop.database.password);
    command.arg(format!("-locations=filesystem:{}", shop.project.file("sql").display()));
    run(command.args(["-skipCheckForUpdate", "migrate"]), TWO_MINUTES)
}

fn ours(shop: &Shop) -> Command {
    let mut command = clean(shop.command("migrate").get_program());
    command.arg0("flyway");
    command
}

#[test]
fn as_flyway_a_script_with_its_own_transactions_leaves_what_flyway_leaves() {
    let table = ("V1__t.sql", "CREATE TABLE t (i int);\nINSERT INTO t VALUES (0);\n");
    let insert = "INSERT INTO t VALUES";
    for (scripts, code) in [
        (vec![format!("{insert} (1);\nCOMMIT;\n{insert} (2);\nSELECT 1/0;\n")], 1),
        (vec![format!("{insert} (1);\nBEGIN;\n{insert} (2);\nSELECT 1/0;\n")], 1),
        (
            vec![
                format!("BEGIN;\n{insert} (1);\nCOMMIT;\nBEGIN;\n{insert} (2);\n"),
                format!("{insert} (3);\nROLLBACK;\n{insert} (4);\n"),
            ],
            0,
        ),
    ] {
        let shops = [Shop::new(&[table]), Shop::new(&[table])];
        for shop in &shops {
            for (number, text) in scripts.iter().enumerate() {
                shop.write(&format!("V{}__own.sql", number + 2), text);
            }
        }
        migrate(&shops[0], clean(testbed::variable("WHIMBREL_TEST_FLYWAY"))).expect_code(code);
        let ended = migrate(&shops[1], ours(&shops[1])).expect_code(code);
        assert!(ended.says("manages transactions itself"), "{}", ended.said());
        assert_eq!(shops[1].database.ask(SEEN), shops[0].database.ask(SEEN), "{scripts:?}");
        if scripts[0].contains("COMMIT;\nINSERT INTO t VALUES (2);\nSELECT") {
            assert!(ended.says("up to line 2 stays"), "{}", ended.said());
        }
    }
}

#[test]
fn what_a_script_kept_that_was_declared_to_manage_its_own_transactions_is_told_exactly() {
    let shop = Shop::new(&[
        ("V1__t.sql", "CREATE TABLE t (i int);\n"),
        (
            "V2__own.sql",
            "BEGIN;\nINSERT INTO t VALUES (1);\nCOMMIT;\nBEGIN;\nINSERT INTO t VALUES (2);\nSELECT 1/0;\n",
        ),
        ("V2__own.sql.conf", "executeInTransaction=false\n"),
    ]);
    let failed = shop.migrate(&[]).expect_code(8);
    for part in ["BEGIN in line 1", "up to line 3 stays", "V2__own.sql:6:"] {
        assert!(failed.says(part), "{part:?} is missing: {}", failed.said());
    }
    assert_eq!(shop.database.ask("SELECT string_agg(i::text, ' ') FROM t"), "1");
    shop.run("repair", &[]).expect_code(0);
    shop.write("V2__own.sql", "BEGIN;\nINSERT INTO t VALUES (2);\nSELECT 1/0;\nCOMMIT;\n");
    let failed = shop.migrate(&[]).expect_code(7);
    assert!(failed.says("nothing of it was kept"), "{}", failed.said());
    assert_eq!(shop.database.ask("SELECT string_agg(i::text, ' ') FROM t"), "1");
}

#[test]
fn a_group_on_sqlite_is_one_transaction() {
    let table = |name: &str| format!("CREATE TABLE {name} (i int);\nINSERT INTO {name} VALUES (1);\n");
    let shop = engines::Shop::new(Place::sqlite(), &[("V1__a.sql", &table("a")), ("V2__b.sql", &table("b"))]);
    shop.project.replace(
        "whimbrel.toml",
        "[databases.app]\n",
        "[databases.app]\nflyway = { group = true }\n",
    );
    shop.run("migrate", &[]).expect_code(0);
    assert_eq!(
        shop.ask("SELECT (SELECT i FROM a), (SELECT i FROM b), count(*) FROM flyway_schema_history"),
        "1|1|2"
    );
    shop.write("V3__c.sql", &table("c"));
    shop.write("V4__d.sql", "INSERT INTO nope VALUES (1);\n");
    shop.run("migrate", &[]).expect_code(7);
    assert_eq!(shop.ask("SELECT count(*) FROM sqlite_master WHERE name = 'c'"), "0");
    assert_eq!(shop.ask("SELECT count(*) FROM flyway_schema_history"), "2");
}
