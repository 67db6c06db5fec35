//! Parameters of URLs as users of Flyway have them, on the real servers.

mod common;

use std::time::{Duration, Instant};

use common::{Shop, engines};
use whimbrel_tests::engines::Place;
use whimbrel_tests::postgres::host_and_port;
use whimbrel_tests::program::{Ended, run};

const MINUTE: Duration = Duration::from_secs(60);
const BIRD: (&str, &str) = ("V1__bird.sql", "CREATE TABLE bird (id int);\n");

fn migrate(shop: &Shop, url: &str) -> Ended {
    run(shop.command("migrate").env("APP_DATABASE_URL", url), MINUTE)
}

#[test]
fn a_server_that_is_silent_for_too_long_is_given_up() {
    let shop = Shop::new(&[BIRD, ("V2__slow.sql", "INSERT INTO bird VALUES (1);\nSELECT pg_sleep(30);\n")]);
    let began = Instant::now();
    let ended = migrate(&shop, &format!("{}?socketTimeout=1", shop.database.url()));
    assert!(ended.says("silent for 1 s (socketTimeout)"), "{}", ended.said());
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert_ne!(ended.code, Some(0));
    shop.write("V2__slow.sql", "INSERT INTO bird VALUES (2);\n");
    shop.migrate(&["--lock-wait", "20s"]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT string_agg(id::text, ' ') FROM bird"), "2");

    let shop = engines::Shop::new(Place::mariadb(), &[BIRD, ("V2__slow.sql", "SELECT SLEEP(5);\n")]);
    let url = format!("{}?socketTimeout=1000", shop.place.url());
    let ended = run(shop.command("migrate").env("APP_DATABASE_URL", &url), MINUTE);
    assert!(ended.says("silent for 1 s (socketTimeout)"), "{}", ended.said());
    assert_ne!(ended.code, Some(0));
    // The server holds the lock until the statement is over.
    shop.run("migrate", &["--lock-wait", "20s"]).expect_code(0);
}

#[test]
fn of_several_servers_the_wanted_one_is_taken() {
    let shop = Shop::new(&[BIRD]);
    let (host, port) =
        host_and_port().rsplit_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).expect("a port");
    // Nobody listens at the first one.
    let url = |parameters: &str| shop.database.url_at(&format!("{host}:1,{host}:{port}")) + parameters;
    migrate(&shop, &url("?targetServerType=primary&loadBalanceHosts=true")).expect_code(0);
    migrate(&shop, &url("?targetServerType=preferSecondary")).expect_code(0);
    let refused = migrate(&shop, &url("?targetServerType=secondary")).expect_code(4);
    assert!(refused.says("is a primary, and the URL wants another one"), "{}", refused.said());
}

#[test]
fn a_url_may_forbid_to_write() {
    let shop = Shop::new(&[BIRD]);
    let url = format!("{}?readOnly=true", shop.database.url());
    run(shop.command("info").env("APP_DATABASE_URL", &url), MINUTE).expect_code(0);
    let refused = migrate(&shop, &url).expect_code(1);
    assert!(refused.says("read-only"), "{}", refused.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('flyway_schema_history') IS NULL"), "t");
}

#[test]
fn a_parameter_that_changes_nothing_is_named() {
    let shop = Shop::new(&[BIRD]);
    let ended =
        migrate(&shop, &format!("{}?ApplicationName=shop&keepalives=1", shop.database.url())).expect_code(0);
    assert!(ended.says("\"ApplicationName\"") && !ended.says("keepalives"), "{}", ended.said());
    let refused = migrate(&shop, "jdbc:p6spy:postgresql://h/d").expect_code(3);
    assert!(refused.says("jdbc:p6spy:") && refused.says("leave p6spy: out"), "{}", refused.said());
}
