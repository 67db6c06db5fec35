//! Every finding, from values that make it.

use test_case::test_case;
use whimbrel_contract::{
    Cause, Conclusion, DatabaseContract, Keys, Observation, Observations, Place, Report, Severity,
    StoreState, UnknownReason, Values, check, resolve,
};

fn contract(database: &str) -> DatabaseContract {
    let keys = Keys {
        url: Some("URL".into()),
        user: Some("USER".into()),
        password: Some("PASSWORD".into()),
        ..Keys::default()
    };
    DatabaseContract::try_new(database, format!("{database}-db"), keys).expect("the names are valid")
}

fn parts() -> DatabaseContract {
    let key = |name: &str| Some(name.to_owned());
    let keys = Keys {
        host: key("HOST"),
        port: key("PORT"),
        name: key("NAME"),
        user: key("USER"),
        password: key("PASSWORD"),
        ..Keys::default()
    };
    DatabaseContract::try_new("platform", "platform-db", keys).expect("the names are valid")
}

fn cnpg() -> DatabaseContract {
    let keys = Keys { url: Some("uri".into()), jdbc: Some("jdbc-uri".into()), ..Keys::default() };
    DatabaseContract::try_new("platform", "platform-db", keys).expect("the names are valid")
}

fn cluster() -> Place {
    Place::Kubernetes { context: None, namespace: "ameide".into() }
}

fn observed(place: Place, secret: &str, observation: Observation) -> Observations {
    let mut observations = Observations::new(place);
    observations.secrets.insert(secret.into(), observation);
    observations
}

fn check_values(contract: &DatabaseContract, values: &[(&str, &str)]) -> Report {
    let values: Values = values.iter().copied().collect();
    let present = Observation::Present { values, causes: Vec::new() };
    check(std::slice::from_ref(contract), &observed(cluster(), "platform-db", present))
}

fn slugs(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.slug.as_str()).collect()
}

#[test_case("sqlite:/var/lib/shop.db", &[]; "sqlite")]
#[test_case("jdbc:sqlite:shop.db?foreign_keys=on", &[]; "sqlite for java")]
#[test_case("sqlite:a%2.db", &["url-percent-encoding"]; "sqlite with a torn escape")]
fn a_file_needs_no_user_and_no_host(url: &str, expected: &[&str]) {
    let keys = Keys { url: Some("URL".into()), ..Keys::default() };
    let contract = DatabaseContract::try_new("platform", "platform-db", keys).expect("the names are valid");
    assert_eq!(slugs(&check_values(&contract, &[("URL", url)])), expected);
}

const GOOD: &str = "postgres://app:s3cret@db:5432/platform";

#[test_case(GOOD, "app", "s3cret", &[]; "clean")]
#[test_case("jdbc:postgresql://db/platform", "app", "s3cret", &[]; "jdbc without login")]
#[test_case("", "app", "s3cret", &["value-empty"]; "empty url")]
#[test_case(" \n", "app", "s3cret", &["value-empty"]; "blank url")]
#[test_case("postgres://app:s3cret@db:5432/platform\n", "app", "s3cret", &["value-whitespace"]; "url with line break")]
#[test_case(GOOD, "app", "s3cret\n", &["value-whitespace"]; "password with line break")]
#[test_case(GOOD, "app", "\"s3cret\"", &["value-quoted"]; "quoted")]
#[test_case(GOOD, "app", "czNjcmV0", &["value-double-base64"]; "password encoded twice")]
#[test_case(GOOD, "YXBwCg==", "s3cret", &["value-double-base64"]; "user encoded twice")]
#[test_case("cG9zdGdyZXM6Ly9hcHA6czNjcmV0QGRiL3BsYXRmb3Jt", "app", "s3cret", &["value-double-base64"]; "url encoded twice")]
#[test_case(GOOD, "app", "changeme", &["value-placeholder"]; "placeholder")]
#[test_case("postgres://app:${PASSWORD}@db/platform", "app", "s3cret", &["value-placeholder"]; "template in url")]
#[test_case("postgres://app:CHANGE_ME@db/platform", "app", "s3cret", &["value-placeholder"]; "placeholder in url")]
#[test_case("oracle://app:s3cret@db/platform", "app", "s3cret", &["url-scheme"]; "scheme")]
#[test_case("postgres://app:s3cret@db:x/platform", "app", "s3cret", &["url-invalid"]; "port in url")]
#[test_case("postgres://app:s3@cret@db/platform", "app", "s3@cret", &["url-percent-encoding"]; "at sign")]
#[test_case("postgres://app:s3/cret@db/platform", "app", "s3/cret", &["url-percent-encoding"]; "slash")]
#[test_case("postgres://app:s3%cret@db/platform", "app", "s3%cret", &["url-percent-encoding"]; "per cent")]
#[test_case("postgres:///platform", "app", "s3cret", &["url-host-missing"]; "no host")]
#[test_case("postgres://app:s3cret@db", "app", "s3cret", &["url-database-missing"]; "no database")]
#[test_case(GOOD, "other", "s3cret", &["url-user-differs"]; "user")]
#[test_case(GOOD, "app", "other", &["url-password-differs"]; "password")]
#[test_case(GOOD, "other", "other", &["url-user-differs", "url-password-differs"]; "both")]
fn url_user_and_password(url: &str, user: &str, password: &str, expected: &[&str]) {
    let report = check_values(&contract("platform"), &[("URL", url), ("USER", user), ("PASSWORD", password)]);
    assert_eq!(slugs(&report), expected);
    let conclusion = if expected.is_empty() { Conclusion::Clean } else { Conclusion::Unusable };
    assert_eq!(report.conclusion(), conclusion);
    assert!(report.findings.iter().all(|finding| !finding.next.is_empty() && finding.key.is_some()));
}

#[test_case(&[("HOST", "db"), ("PORT", "5432"), ("NAME", "d"), ("USER", "u"), ("PASSWORD", "p")], &[]; "clean")]
#[test_case(&[("HOST", "db"), ("PORT", "54a"), ("NAME", "d"), ("USER", "u"), ("PASSWORD", "p")], &["port-invalid"]; "port")]
#[test_case(&[("HOST", "db"), ("PORT", "5432"), ("NAME", "d"), ("USER", "u")], &["key-missing"]; "no password")]
#[test_case(&[("PORT", "5432"), ("PASSWORD", "p")], &["key-missing", "key-missing", "key-missing"]; "three missing")]
#[test_case(&[("HOST", "db"), ("PORT", "1"), ("NAME", "d"), ("USER", "u"),
    ("PASSWORD", "czNjcmV0LXBhc3M=")], &["value-double-base64"]; "padding")]
#[test_case(&[("HOST", "db"), ("PORT", "1"), ("NAME", "d"), ("USER", "u"),
    ("PASSWORD", "MWYyZDFlMmU2N2Rm")], &["value-double-base64"]; "doubtful")]
fn separate_parts(values: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(slugs(&check_values(&parts(), values)), expected);
}

#[test]
fn a_password_that_only_looks_encoded_is_a_warning() {
    let values =
        [("HOST", "db"), ("PORT", "1"), ("NAME", "d"), ("USER", "u"), ("PASSWORD", "MWYyZDFlMmU2N2Rm")];
    let report = check_values(&parts(), &values);
    assert_eq!(report.findings[0].severity, Severity::Warning);
    assert_eq!(report.conclusion(), Conclusion::Clean);
}

#[test]
fn a_password_that_looks_encoded_and_agrees_is_none() {
    let url = "postgres://app:MWYyZDFlMmU2N2Rm@db/platform";
    let values = [("URL", url), ("USER", "app"), ("PASSWORD", "MWYyZDFlMmU2N2Rm")];
    assert!(slugs(&check_values(&contract("platform"), &values)).is_empty());
}

#[test_case("postgresql://u:p%40@c-rw.ns:5432/d", "jdbc:postgresql://c-rw.ns:5432/d?password=p%40&user=u",
    &[]; "as CloudNativePG writes them")]
#[test_case("postgresql://u:p@c:5432/d", "jdbc:postgresql://c:5432/e?password=p&user=v",
    &["url-database-differs", "url-user-differs"]; "apart")]
#[test_case("postgresql://c:5432/d", "jdbc:postgresql://c:5432/d", &["user-missing", "password-missing"]; "no login")]
fn two_urls(uri: &str, jdbc: &str, expected: &[&str]) {
    assert_eq!(slugs(&check_values(&cnpg(), &[("uri", uri), ("jdbc-uri", jdbc)])), expected);
}

#[test]
fn a_key_with_another_spelling_is_pointed_out() {
    let report =
        check_values(&contract("platform"), &[("url", GOOD), ("USER", "app"), ("PASSWORD", "s3cret")]);
    assert_eq!(slugs(&report), ["key-missing"]);
    assert!(report.findings[0].next.contains("there is a key `url`"));
}

#[test]
fn all_problems_of_all_databases_come_in_one_report() {
    let contracts = ["agents", "graph", "platform", "threads"].map(contract);
    let present = |url: &str| Observation::Present {
        values: [("URL", url), ("USER", "app"), ("PASSWORD", "s3cret")].into_iter().collect(),
        causes: Vec::new(),
    };
    let mut observations = observed(cluster(), "agents-db", Observation::Missing { causes: Vec::new() });
    observations.secrets.insert("graph-db".into(), present("oracle://app:s3cret@h/d"));
    observations.secrets.insert("platform-db".into(), present(GOOD));
    let refused = Observation::Unknown { reason: UnknownReason::NoRight, message: "forbidden".into() };
    observations.secrets.insert("threads-db".into(), refused);
    let report = check(&contracts, &observations);
    assert_eq!(slugs(&report), ["secret-missing", "url-scheme"]);
    assert_eq!(report.unknown.len(), 1);
    assert!(report.unknown[0].next.contains("--verb=get --resource=secrets --resource-name=threads-db"));
    assert_eq!(report.conclusion(), Conclusion::Unusable, "a definite answer outranks an open question");
    insta::assert_json_snapshot!(report);
}

#[test]
fn no_right_alone_is_no_answer() {
    let refused = Observation::Unknown { reason: UnknownReason::NoRight, message: "forbidden".into() };
    let report = check(&[contract("platform")], &observed(cluster(), "platform-db", refused));
    assert_eq!(report.conclusion(), Conclusion::Unknown);
    assert!(report.findings.is_empty());
}

#[test]
fn a_missing_namespace_is_told_once() {
    let mut observations = Observations::new(cluster());
    observations.namespace_missing = true;
    let report = check(&["a", "b"].map(contract), &observations);
    assert_eq!(slugs(&report), ["namespace-missing"]);
    assert_eq!(report.conclusion(), Conclusion::Unusable);
}

#[test]
fn a_missing_secret_has_the_cause_of_its_external_secret() {
    let cause = Cause::ExternalSecret {
        name: "platform-db".into(),
        reason: Some("SecretSyncedError".into()),
        message: Some("could not get secret data from provider".into()),
        store: Some(StoreState {
            kind: "ClusterSecretStore".into(),
            name: "vault".into(),
            reason: Some("InvalidProviderConfig".into()),
            message: Some("vault is sealed".into()),
        }),
    };
    let missing = Observation::Missing { causes: vec![cause] };
    let report = check(&[contract("platform")], &observed(cluster(), "platform-db", missing));
    assert_eq!(slugs(&report), ["secret-missing"]);
    let cause = &report.findings[0].causes[0];
    assert_eq!(
        cause.message,
        "ExternalSecret `platform-db` is not ready (SecretSyncedError: could not get secret data from \
         provider); its ClusterSecretStore `vault` is not ready (InvalidProviderConfig: vault is sealed)"
    );
    assert_eq!(report.findings[0].next, "kubectl describe clustersecretstore vault");
}

#[test]
fn two_databases_with_one_key_clash_in_a_flat_file_only() {
    let contracts = ["agents", "graph"].map(contract);
    let observe = |place| {
        let mut observations = Observations::new(place);
        for (secret, name) in [("agents-db", "a"), ("graph-db", "g")] {
            let url = format!("postgres://app:s3cret@db/{name}");
            let values =
                [("URL", url.as_str()), ("USER", "app"), ("PASSWORD", "s3cret")].into_iter().collect();
            let present = Observation::Present { values, causes: Vec::new() };
            observations.secrets.insert(secret.into(), present);
        }
        observations
    };
    let flat = check(&contracts, &observe(Place::Dotenv { path: ".env".into() }));
    assert_eq!(slugs(&flat), ["key-clash", "key-clash", "key-clash"]);
    let folder = check(&contracts, &observe(Place::Folder { path: "s".into() }));
    assert!(slugs(&folder).is_empty());
}

#[test]
fn two_databases_with_one_target_are_a_warning() {
    let mut observations = Observations::new(cluster());
    for secret in ["agents-db", "graph-db"] {
        let values = [("URL", GOOD), ("USER", "app"), ("PASSWORD", "s3cret")].into_iter().collect();
        observations.secrets.insert(secret.into(), Observation::Present { values, causes: Vec::new() });
    }
    let report = check(&["agents", "graph"].map(contract), &observations);
    assert_eq!(slugs(&report), ["same-target"]);
    assert_eq!(report.conclusion(), Conclusion::Clean);
}

#[test]
fn the_environment_serves_a_url_or_parts() {
    let contract = DatabaseContract::try_new("a", "a", Keys::environment("a")).unwrap();
    let go =
        |values: &[(&str, &str)]| resolve(&contract, &values.iter().copied().collect(), &Place::Environment);
    let by_url = go(&[("A_DATABASE_URL", "postgres://x/d"), ("A_DATABASE_USER", "u")]).unwrap();
    assert_eq!((by_url.host(), by_url.user(), by_url.port()), ("x", "u", 5432));
    let by_parts =
        go(&[("A_DATABASE_HOST", "x"), ("A_DATABASE_NAME", "d"), ("A_DATABASE_USER", "u")]).unwrap();
    assert_eq!((by_parts.host(), by_parts.name()), ("x", "d"));
    let nothing = go(&[]).unwrap_err();
    assert_eq!(nothing.findings[0].key.as_deref(), Some("A_DATABASE_URL"));
    let half = go(&[("A_DATABASE_HOST", "x")]).unwrap_err();
    let keys: Vec<_> = half.findings.iter().filter_map(|f| f.key.as_deref()).collect();
    assert_eq!(keys, ["A_DATABASE_NAME", "A_DATABASE_USER"]);
    let no_user = go(&[("A_DATABASE_URL", "postgres://x/d")]).unwrap_err();
    assert_eq!(no_user.findings[0].slug.as_str(), "user-missing");
}

#[test]
fn every_slug_is_documented() {
    let page = include_str!("../../../docs/secrets.md");
    for slug in whimbrel_contract::Slug::ALL {
        assert!(page.contains(&format!("| `{slug}` |")), "docs/secrets.md does not list {slug}");
    }
}
