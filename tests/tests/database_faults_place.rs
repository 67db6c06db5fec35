//! What lies around the work and gives way: files that change under a run, names that are no files, a full disk, a
//! pooler in between. Numbers are those of docs/faults.md.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::Shop;
use whimbrel_tests::pooler::Pooler;
use whimbrel_tests::program::{Running, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::server::Server;

const MINUTE: Duration = Duration::from_secs(60);
const SLOW: &str = "CREATE TABLE a (id int);\nSELECT pg_sleep(1);\n";

#[test]
fn row_20_a_pool_in_statement_mode_is_refused_with_the_way_out() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    let pooler = Pooler::start("statement", &shop.database);
    let mut command = shop.command("migrate");
    command.env("APP_DATABASE_URL", shop.database.url_at(&pooler.address));
    let refused = run(&mut command, MINUTE).expect_code(2);
    assert!(refused.says("session mode") && refused.says("PostgreSQL itself"), "{}", refused.said());
    let objects = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(shop.database.number(objects), 0);
}

#[test]
fn row_76_a_file_that_changes_under_the_run_is_not_run_as_something_else() {
    // The second is read while the first runs; the third is not.
    let shop = Shop::new(&[
        ("V1__slow.sql", SLOW),
        ("V2__a.sql", "SELECT 1;\n"),
        ("V3__b.sql", "CREATE TABLE b (id int);\n"),
    ]);
    let mut running = Running::start(&mut shop.command("migrate"));
    running.line_with("applying V1__slow.sql", MINUTE);
    shop.write("V3__b.sql", "CREATE TABLE something_else (id int);\n");
    let ended = running.wait(MINUTE);
    // Either the bytes that were checksummed were run, or none.
    let told = shop.database.ask(
        "SELECT to_regclass('something_else') IS NULL, (to_regclass('b') IS NOT NULL) = \
         (SELECT count(*) > 0 FROM flyway_schema_history WHERE version = '3' AND success)",
    );
    assert_eq!(told, "t|t", "{}", ended.said());
    assert_eq!(ended.code, Some(2), "{}", ended.said());
    assert!(ended.says("V3__b.sql") && ended.says("changed"), "{}", ended.said());
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT to_regclass('something_else') IS NOT NULL"), "t");
    shop.run("validate", &[]).expect_code(0);
}

#[test]
fn row_76_a_file_that_changes_while_it_is_run_outside_of_a_transaction_is_stopped_at_the_change() {
    let padding = "-- what makes it large enough to be read in pieces\n".repeat(40_000);
    let text = |table: &str| {
        format!("CREATE TABLE a (id int);\nSELECT pg_sleep(2);\n{padding}CREATE TABLE {table} (id int);\n")
    };
    let shop = Shop::new(&[("V1__a.sql", &text("late")), ("V1__a.sql.conf", "executeInTransaction=false\n")]);
    let mut running = Running::start(&mut shop.command("migrate"));
    running.line_with("applying V1__a.sql", MINUTE);
    shop.write("V1__a.sql", &text("odd_"));
    let ended = running.wait(MINUTE).expect_code(8);
    assert!(ended.says("V1__a.sql changed while it was run") && ended.says("repair"), "{}", ended.said());
    let made = "SELECT to_regclass('a') IS NULL, to_regclass('late') IS NULL, to_regclass('odd_') IS NULL";
    assert_eq!(shop.database.ask(made), "f|t|t");
    assert_eq!(shop.database.ask("SELECT success FROM flyway_schema_history"), "f");
    // What is half done by another text is not gone on with.
    shop.migrate(&[]).expect_code(6);
    shop.run("repair", &[]).expect_code(0);
    shop.database.ask("DROP TABLE a");
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.ask(made), "f|t|f");
}

#[test]
fn row_76_a_file_that_goes_under_the_run_is_named() {
    let shop =
        Shop::new(&[("V1__slow.sql", SLOW), ("V2__a.sql", "SELECT 1;\n"), ("V3__b.sql", "SELECT 1;\n")]);
    let mut running = Running::start(&mut shop.command("migrate"));
    running.line_with("applying V1__slow.sql", MINUTE);
    shop.remove("V3__b.sql");
    let ended = running.wait(MINUTE).expect_code(2);
    assert!(ended.says("V3__b.sql"), "{}", ended.said());
    assert_eq!(shop.database.version().as_deref(), Some("2"));
    shop.migrate(&[]).expect_code(0);
}

#[test]
fn row_77_what_is_no_file_never_blocks_and_is_named() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    shop.migrate(&[]).expect_code(0);
    let path = shop.project.file("sql/V2__b.sql");
    let link = |to: &str| std::os::unix::fs::symlink(to, &path).expect("a link can be made");
    let pipe = || {
        run(Command::new("mkfifo").arg(&path), MINUTE).expect_code(0);
    };
    let makes: [(&str, &dyn Fn()); 4] = [
        ("a pipe", &pipe),
        ("a loop", &|| link("V2__b.sql")),
        ("a device", &|| link("/dev/zero")),
        ("a link to elsewhere", &|| link("/etc/hostname")),
    ];
    for (what, make) in makes {
        make();
        let ended = shop.migrate(&[]).expect_code(2);
        assert!(ended.says("V2__b.sql") && ended.took < Duration::from_secs(5), "{what}: {}", ended.said());
        fs_err::remove_file(&path).expect("it is there");
    }
    fs_err::create_dir(&path).expect("folders can be made");
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.version().as_deref(), Some("1"));
}

/// A file system of a few megabytes; it goes with this value.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(folder: &'a Path, size: &str) -> Self {
        let options = format!("size={size}");
        let mut command = Command::new("mount");
        run(command.args(["-t", "tmpfs", "-o", &options, "whimbrel-test"]).arg(folder), MINUTE)
            .expect_code(0);
        let disk = Self(folder);
        run(Command::new("chown").arg("postgres:").arg(folder), MINUTE).expect_code(0);
        disk
    }

    fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        run(Command::new("mount").args(["-o", &options]).arg(self.0), MINUTE).expect_code(0);
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // The server's files may still be open.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn row_81_a_full_disk_of_the_server_keeps_nothing_of_the_script() {
    let server = Server::start_new(&[]);
    let folder = server.folder("space");
    let disk = SmallDisk::mount(&folder, "4m");
    server.ask(&format!("CREATE TABLESPACE small LOCATION '{}'", folder.display()));
    let project = Project::small();
    project.write("sql/V1__a.sql", "CREATE TABLE a (id int, filler text) TABLESPACE small;\n");
    let insert = "INSERT INTO a SELECT n, repeat('x', 900) FROM generate_series(1, 20000) n;\n";
    project.write("sql/V2__fill.sql", &format!("CREATE TABLE b (id int);\n{insert}"));
    let migrate = || {
        let mut command = project.tool("whimbrel-migrate");
        run(command.arg("migrate").env("APP_DATABASE_URL", server.url("postgres")), MINUTE)
    };
    let failed = migrate().expect_code(7);
    for part in ["53100", "disk is full", "V2__fill.sql:2:1", "nothing of it was kept"] {
        assert!(failed.says(part), "{part:?} is missing\n{}", failed.said());
    }
    assert_eq!(server.ask("SELECT to_regclass('b') IS NULL, count(*) FROM a"), "t|0");
    assert_eq!(server.ask("SELECT string_agg(version, ' ') FROM flyway_schema_history"), "1");
    disk.grow("100m");
    migrate().expect_code(0);
    assert_eq!(server.ask("SELECT count(*) FROM a"), "20000");
}
