//! The chart's values, from the project file: names and switches only, never a secret's value.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use whimbrel_cli::project::Project;
use whimbrel_image::Reference;

/// How much sooner each deadline ends than the one around it, so that the inner one can tell why.
const MARGIN: Duration = Duration::from_secs(60);
/// The placeholder that has a switch of its own in the chart.
const SEED: &str = "seed_demo_data";

/// What the chart needs to know.
#[derive(Debug, Clone)]
pub struct ChartInput<'a> {
    /// The project.
    pub project: &'a Project,
    /// The image as the cluster pulls it, with its digest: the chart never gets a tag.
    pub image: &'a Reference,
    /// The name of the Job.
    pub job: &'a str,
    /// helm's `--timeout`.
    pub helm_timeout: Duration,
    /// Only these databases, or all enabled ones when empty.
    pub only: &'a [String],
    /// Placeholders that win over the project's.
    pub placeholders: &'a [(String, String)],
}

/// The values document.
pub fn chart_values(input: &ChartInput<'_>) -> Value {
    let file = &input.project.file;
    let mut databases = Map::new();
    for (name, database) in &file.databases {
        let chosen = input.only.is_empty() || input.only.contains(name);
        let keys: Map<String, Value> =
            database.keys.named().map(|(part, key)| (part.to_ascii_lowercase(), json!(key))).collect();
        let entry = json!({ "enabled": database.enabled && chosen, "secret": database.secret, "keys": keys });
        databases.insert(name.clone(), entry);
    }
    // The file's placeholders are in the image. As variables of the Job they would also win over those of one database.
    let mut placeholders: BTreeMap<String, String> = input.placeholders.iter().cloned().collect();
    let seed = placeholders.remove(SEED).or_else(|| file.placeholders.get(SEED).cloned());
    let seed = seed.is_some_and(|value| value == "true");
    json!({
        "image": {
            "registry": input.image.registry().as_str(),
            "repository": input.image.repository(),
            "digest": input.image.digest().map(ToString::to_string),
        },
        "databases": databases,
        "migrations": { "seedDemoData": seed, "placeholders": placeholders },
        "job": {
            "name": input.job,
            "activeDeadlineSeconds": job_deadline(input.helm_timeout).as_secs(),
        },
    })
}

/// The Job's deadline lies within helm's: helm's `--timeout` > `activeDeadlineSeconds` > the runner's own.
pub fn job_deadline(helm_timeout: Duration) -> Duration {
    helm_timeout.saturating_sub(MARGIN).max(MARGIN)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use whimbrel_cli::project::Project;
    use whimbrel_image::{Digest, Reference};

    use super::{ChartInput, chart_values};

    const PROJECT: &str = r#"
        [placeholders]
        seed_demo_data = "false"
        region = "eu"
        [databases.orders]
        locations = ["sql/orders"]
        secret = "orders-db"
        keys = { url = "ORDERS_URL", password = "ORDERS_PASSWORD" }
        [databases.stock]
        locations = ["sql/stock"]
        secret = "stock-db"
        keys = { url = "uri" }
    "#;

    #[test]
    fn names_and_switches_reach_the_chart_and_the_deadlines_are_nested() {
        let path = Path::new("whimbrel.toml").to_owned();
        let file = toml::from_str(PROJECT).unwrap();
        let project = Project { root: path.clone(), path, file };
        let image: Reference = "k3d-dev-reg:5000/shop/migrations:dev".parse().unwrap();
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let values = chart_values(&ChartInput {
            project: &project,
            image: &image.with_digest(digest),
            job: "db-migrations",
            helm_timeout: Duration::from_secs(300),
            only: &["orders".to_owned()],
            placeholders: &[
                ("seed_demo_data".to_owned(), "true".to_owned()),
                ("tier".to_owned(), "gold".to_owned()),
            ],
        });
        assert_eq!(values["image"]["registry"], "k3d-dev-reg:5000");
        assert_eq!(values["databases"]["orders"]["keys"]["password"], "ORDERS_PASSWORD");
        assert_eq!(values["databases"]["stock"]["enabled"], false);
        assert_eq!(values["migrations"]["seedDemoData"], true);
        assert_eq!(values["migrations"]["placeholders"], serde_json::json!({ "tier": "gold" }));
        assert_eq!(values["job"]["activeDeadlineSeconds"], 240);
    }
}
