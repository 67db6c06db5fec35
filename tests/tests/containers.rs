//! PostgreSQL in a container that testcontainers starts, from an image that the testbed makes.

use std::time::Duration;

use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use whimbrel_tests::postgres::psql;
use whimbrel_tests::program::run;
use whimbrel_tests::project::Project;

const PASSWORD: &str = "marked-container-password";

async fn start() -> (ContainerAsync<GenericImage>, String) {
    let ready = WaitFor::message_on_stderr("database system is ready to accept connections");
    let container = GenericImage::new("whimbrel-testbed/postgres", "15")
        .with_exposed_port(5432.tcp())
        .with_wait_for(ready)
        .with_env_var("POSTGRES_PASSWORD", PASSWORD)
        .start()
        .await
        .expect("the container starts: tests/run makes its image");
    let port = container.get_host_port_ipv4(5432).await.expect("the port is published");
    let url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres");
    (container, url)
}

#[tokio::test]
async fn the_runner_migrates_a_database_in_a_container() {
    let (_container, url) = start().await;
    let project = Project::small();
    project.write(
        "sql/V1__city.sql",
        "CREATE TABLE city (name text);\nINSERT INTO city VALUES ('Lima'), ('Oslo');\n",
    );
    project.write("sql/R__cities.sql", "CREATE OR REPLACE VIEW cities AS SELECT count(*) FROM city;\n");
    let migrate = |verb: &str| {
        let mut command = project.tool("whimbrel-migrate");
        command.args([verb, "app"]).env("APP_DATABASE_URL", &url);
        let ended = run(&mut command, Duration::from_secs(60)).expect_code(0);
        assert!(!ended.says(PASSWORD), "{}", ended.said());
    };
    migrate("migrate");
    assert_eq!(psql(&url, "SELECT * FROM cities"), "2");
    assert_eq!(
        psql(&url, "SELECT version, success FROM flyway_schema_history ORDER BY installed_rank"),
        "1|t\n|t"
    );
    migrate("migrate");
    migrate("validate");
    assert_eq!(psql(&url, "SELECT count(*) FROM flyway_schema_history"), "2");
}

/// The server is still starting when the runner comes: it waits, within its deadline, and then works.
#[tokio::test]
async fn the_runner_waits_for_a_container_that_is_not_ready() {
    let container = GenericImage::new("whimbrel-testbed/postgres", "15")
        .with_exposed_port(5432.tcp())
        .with_env_var("POSTGRES_PASSWORD", PASSWORD)
        .start()
        .await
        .expect("the container starts");
    let port = container.get_host_port_ipv4(5432).await.expect("the port is published");
    let project = Project::small();
    project.write("sql/V1__city.sql", "CREATE TABLE city (name text);\n");
    let mut command = project.tool("whimbrel-migrate");
    command
        .args(["migrate", "app", "--wait", "60s"])
        .env("APP_DATABASE_URL", format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"));
    let ended = run(&mut command, Duration::from_secs(90)).expect_code(0);
    assert!(!ended.says(PASSWORD), "{}", ended.said());
}
