//! How the program called `flyway` comes to its login and its placeholders, and what nobody gets to see of them.

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use common::Shop;
use whimbrel_tests::program::{Ended, clean, run, whimbrel};
use whimbrel_tests::testbed;

const MINUTE: Duration = Duration::from_secs(120);

fn with_locations(mut command: Command, shop: &Shop) -> Command {
    command.arg(format!("-locations=filesystem:{}", shop.project.file("sql").display()));
    command.arg("-skipCheckForUpdate").current_dir(shop.project.file("sql"));
    command
}

fn face(shop: &Shop) -> Command {
    let mut command = whimbrel("whimbrel-migrate");
    command.arg0("flyway");
    with_locations(command, shop)
}

/// `host:port/database`
fn place(shop: &Shop) -> String {
    let url = shop.database.url();
    url.rsplit_once('@').expect("a URL with a login").1.to_owned()
}

#[test]
fn the_password_file_of_postgresql_counts_unless_others_may_read_it() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    let (host, rest) =
        place(&shop).split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a port");
    let port = rest.split('/').next().expect("a port").to_owned();
    let file = shop.project.file("pgpass");
    let (user, password) = (&shop.database.user, &shop.database.password);
    let line =
        format!("{host}:{port}:*:nobody:canary\n{host}:{port}:{}:{user}:{password}\n", shop.database.name);
    fs_err::write(&file, line).expect("the file can be written");
    let ask = |mode: u32| {
        fs_err::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("it is ours");
        let mut command = face(&shop);
        command.env("FLYWAY_URL", format!("jdbc:postgresql://{}", place(&shop))).env("FLYWAY_USER", user);
        run(command.env("PGPASSFILE", &file).arg("migrate"), MINUTE)
    };
    let passed_over = ask(0o644);
    assert!(
        passed_over.code == Some(1) && passed_over.says("can be read by others"),
        "{}",
        passed_over.said()
    );
    let used = ask(0o600).expect_code(0);
    assert_eq!(shop.database.version().as_deref(), Some("1"));
    for ended in [passed_over, used] {
        assert!(!ended.says(password) && !ended.says("canary"), "{}", ended.said());
    }
}

#[test]
fn a_password_in_a_url_is_printed_nowhere() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\nSELECT * FROM nowhere;\n")]);
    let (user, password) = (&shop.database.user, &shop.database.password);
    let right = format!("jdbc:postgresql://{}?user={user}&password={password}", place(&shop));
    let wrong = format!("jdbc:postgresql://{}?user={user}&password=canary-1", place(&shop));
    let ours = format!("postgres://{user}:canary-2@{}?sslpassword=canary-3", place(&shop));
    let foreign = "jdbc:foo://someone:canary-4@h/d?apiToken=canary-5".to_owned();
    for url in [&right, &wrong, &ours, &foreign] {
        for arguments in [
            &["-X", "migrate", "info"][..],
            &["-outputType=json", "-outputFile=out.txt", "migrate"],
            &["-dryRunOutput=out.txt", "migrate"],
            &["-X", "-outputFile=out.txt", "validate"],
        ] {
            let _ = fs_err::remove_file(shop.project.file("sql/out.txt"));
            let ended = run(face(&shop).arg(format!("-url={url}")).args(arguments), MINUTE);
            let written = fs_err::read_to_string(shop.project.file("sql/out.txt")).unwrap_or_default();
            for secret in [password.as_str(), "canary-"] {
                assert!(!ended.says(secret) && !written.contains(secret), "{}\n{written}", ended.said());
            }
        }
    }
}

#[test]
fn a_separator_of_placeholders_makes_the_names_of_flyways_own() {
    let shop = Shop::new(&[(
        "R__names.sql",
        "CREATE OR REPLACE VIEW names AS SELECT '${flyway#table} ${flyway#filename} ${flyway:table}' AS names;\n",
    )]);
    let ask = |mut command: Command, verb: &str| -> Ended {
        command.args(["-placeholderSeparator=#", "-placeholders.flyway:table=mine", verb]);
        command.env("FLYWAY_URL", format!("jdbc:postgresql://{}", place(&shop)));
        command.env("FLYWAY_USER", &shop.database.user).env("FLYWAY_PASSWORD", &shop.database.password);
        run(&mut command, MINUTE)
    };
    ask(face(&shop), "migrate").expect_code(0);
    let names = "SELECT names FROM names";
    assert_eq!(shop.database.ask(names), "flyway_schema_history R__names.sql mine");
    // To real Flyway it is the same text: nothing is to be done.
    let real = clean(testbed::variable("WHIMBREL_TEST_FLYWAY"));
    ask(with_locations(real, &shop), "validate").expect_code(0);
}
