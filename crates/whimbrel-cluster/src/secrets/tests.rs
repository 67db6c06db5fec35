//! A scripted API server: what it is asked, and what becomes of its answers.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use kube::client::Body;
use serde_json::{Value, json};
use whimbrel_contract::{Conclusion, DatabaseContract, Keys, Report, check};

use super::{CreatedSecret, create_missing_secret, observe_secrets, observe_within};
use crate::client::{Cluster, ClusterErrorKind};

const CANARY: &str = "c4n4ry-s3cret";

/// The code of an answer that never comes.
const HANGS: u16 = 599;

/// Answers by method and path; anything else is a 404, as on a real server without these kinds.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<Vec<(String, u16, Value)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn answer(self, request: &str, code: u16, body: Value) -> Self {
        self.answers.lock().unwrap().push((request.to_owned(), code, body));
        self
    }

    fn refuse(self, request: &str, code: u16, reason: &str) -> Self {
        let message = format!("{reason}: not for you");
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
            "message": message, "reason": reason, "code": code});
        self.answer(request, code, status)
    }

    fn secret(self, name: &str, values: &[(&str, &str)]) -> Self {
        let data: serde_json::Map<String, Value> = values
            .iter()
            .map(|(key, value)| {
                (
                    (*key).to_owned(),
                    serde_json::to_value(k8s_openapi::ByteString(value.as_bytes().to_vec())).unwrap(),
                )
            })
            .collect();
        let body = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name, "namespace": "n"}, "data": data});
        self.answer(&format!("GET /api/v1/namespaces/n/secrets/{name}"), 200, body)
    }

    /// The groups of the makers of secrets, in the given version.
    fn groups(self, version: &str) -> Self {
        let group = |name: &str, version: &str| {
            let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
            json!({"name": name, "versions": [version], "preferredVersion": version})
        };
        let groups = [group("external-secrets.io", version), group("postgresql.cnpg.io", "v1")];
        self.answer("GET /apis", 200, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
    }

    fn object(self, path: &str, name: &str, spec: Value, status: Value) -> Self {
        let body = json!({"apiVersion": "x/v1", "kind": "X", "metadata": {"name": name}, "spec": spec, "status": status});
        self.answer(&format!("GET {path}"), 200, body)
    }

    fn cluster(&self) -> Cluster {
        let server = self.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let asked = format!("{} {}", request.method(), request.uri().path());
            let found = server.answers.lock().unwrap().iter().find(|(r, ..)| *r == asked).cloned();
            server.asked.lock().unwrap().push(asked);
            let (code, body) = found.map_or_else(
                || {
                    (
                        404,
                        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "message": "not found", "reason": "NotFound", "code": 404}),
                    )
                },
                |(_, code, body)| (code, body),
            );
            let response =
                http::Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            async move {
                if code == HANGS {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        Cluster::from_client(kube::Client::new(service, "n"), "n")
    }

    async fn report(&self) -> Report {
        let observations = observe_secrets(&self.cluster(), "n", &contracts()).await.unwrap();
        let report = check(&contracts(), &observations);
        let printed = format!("{report:?} {}", serde_json::to_string(&report).unwrap());
        assert!(!printed.contains(CANARY), "{printed}");
        report
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn contracts() -> Vec<DatabaseContract> {
    vec![DatabaseContract::try_new("orders", "orders-app", Keys::conventional("orders")).unwrap()]
}

fn slugs(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.slug.as_str()).collect()
}

fn good() -> Server {
    let url = format!("postgres://orders:{CANARY}@db:5432/orders");
    Server::default().secret(
        "orders-app",
        &[
            ("ORDERS_DATABASE_URL", url.as_str()),
            ("ORDERS_DATABASE_USER", "orders"),
            ("ORDERS_DATABASE_PASSWORD", CANARY),
        ],
    )
}

const ES: &str = "/apis/external-secrets.io/v1/namespaces/n/externalsecrets";

fn not_ready(message: &str) -> Value {
    json!({"conditions": [{"type": "Ready", "status": "False", "reason": "SecretSyncedError", "message": message}]})
}

#[tokio::test]
async fn a_good_secret_is_clean_and_nothing_is_listed_but_groups() {
    let server = good();
    let report = server.report().await;
    assert_eq!((slugs(&report), report.conclusion()), (vec![], Conclusion::Clean));
    assert_eq!(server.asked(), ["GET /api/v1/namespaces/n/secrets/orders-app", "GET /apis"]);
}

#[tokio::test]
async fn a_missing_key_is_named() {
    let server = Server::default().secret("orders-app", &[("ORDERS_DATABASE_URL", "postgres://u:p@h/d")]);
    let report = server.report().await;
    let keys: Vec<_> = report.findings.iter().filter_map(|finding| finding.key.as_deref()).collect();
    assert_eq!(slugs(&report), ["key-missing", "key-missing"]);
    assert_eq!(keys, ["ORDERS_DATABASE_USER", "ORDERS_DATABASE_PASSWORD"]);
}

#[tokio::test]
async fn no_right_is_no_answer_and_names_the_right() {
    let path = "GET /api/v1/namespaces/n/secrets/orders-app";
    let report = Server::default().refuse(path, 403, "Forbidden").report().await;
    assert_eq!((slugs(&report), report.conclusion()), (vec![], Conclusion::Unknown));
    let unknown = &report.unknown[0];
    assert!(unknown.message.contains("Forbidden: not for you"), "{}", unknown.message);
    assert!(unknown.next.contains("--verb=get --resource=secrets --resource-name=orders-app"));
}

#[tokio::test]
async fn a_login_that_is_not_accepted_ends_the_run() {
    let path = "GET /api/v1/namespaces/n/secrets/orders-app";
    let server = Server::default().refuse(path, 401, "Unauthorized");
    let error = observe_secrets(&server.cluster(), "n", &contracts()).await.unwrap_err();
    assert_eq!(error.kind, ClusterErrorKind::Unauthorized);
}

#[tokio::test]
async fn a_missing_secret_is_not_a_missing_namespace() {
    let server = Server::default().answer(
        "GET /api/v1/namespaces/n",
        200,
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "n"}}),
    );
    assert_eq!(slugs(&server.report().await), ["secret-missing"]);
    assert_eq!(slugs(&Server::default().report().await), ["namespace-missing"]);
    let forbidden = Server::default().refuse("GET /api/v1/namespaces/n", 403, "Forbidden");
    assert_eq!(slugs(&forbidden.report().await), ["secret-missing"]);
}

/// A namespace that may not be looked at, so that a 404 is the secret's own.
fn without_secret() -> Server {
    Server::default().refuse("GET /api/v1/namespaces/n", 403, "Forbidden")
}

#[tokio::test]
async fn an_external_secret_explains_a_missing_secret() {
    let item = json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "es"},
        "spec": {"target": {"name": "orders-app"}, "secretStoreRef": {"name": "vault", "kind": "ClusterSecretStore"}},
        "status": not_ready("could not get secret data from provider"),
    });
    let list = json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecretList", "metadata": {}, "items": [item]});
    let store = json!({"conditions": [{"type": "Ready", "status": "False",
        "reason": "InvalidProviderConfig", "message": "sealed"}]});
    let server = without_secret().groups("v1").answer(&format!("GET {ES}"), 200, list).object(
        "/apis/external-secrets.io/v1/clustersecretstores/vault",
        "vault",
        json!({}),
        store,
    );
    let report = server.report().await;
    assert_eq!(slugs(&report), ["secret-missing"]);
    assert_eq!(
        report.findings[0].causes[0].message,
        "ExternalSecret `es` is not ready (SecretSyncedError: could not get secret data from provider); \
         its ClusterSecretStore `vault` is not ready (InvalidProviderConfig: sealed)"
    );
}

#[tokio::test]
async fn an_external_secret_is_found_by_name_where_listing_is_forbidden() {
    let path = "/apis/external-secrets.io/v1beta1/namespaces/n/externalsecrets";
    let server = without_secret().groups("v1beta1").refuse(&format!("GET {path}"), 403, "Forbidden").object(
        &format!("{path}/orders-app"),
        "orders-app",
        json!({"secretStoreRef": {"name": "gone"}}),
        json!({}),
    );
    let report = server.report().await;
    let cause = &report.findings[0].causes[0].message;
    assert_eq!(
        cause,
        "ExternalSecret `orders-app` is not ready (no condition yet); its SecretStore `gone` does not exist"
    );
}

#[tokio::test]
async fn a_retained_secret_is_told_although_it_is_ready() {
    let status = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced",
        "message": format!("secret retained due to DeletionPolicy=Retain {CANARY}")}]});
    let server = good().groups("v1").object(&format!("{ES}/orders-app"), "orders-app", json!({}), status);
    let report = server.report().await;
    assert_eq!(
        (slugs(&report), report.conclusion()),
        (vec!["external-secret-not-ready"], Conclusion::Unusable)
    );
    assert!(report.findings[0].message.contains("[hidden]"));
}

#[tokio::test]
async fn a_cluster_of_cloudnativepg_explains_its_secret() {
    let path = "/apis/postgresql.cnpg.io/v1/namespaces/n/clusters/orders";
    let status = json!({"phase": "Setting up primary", "readyInstances": 0});
    let server = without_secret().groups("v1").object(path, "orders", json!({"instances": 3}), status);
    let report = server.report().await;
    assert_eq!(
        report.findings[0].causes[0].message,
        "CloudNativePG cluster `orders` is not ready (0 of 3 instances; Setting up primary)"
    );
    let healthy = json!({"readyInstances": 3, "conditions": [{"type": "Ready", "status": "True"}]});
    let server = good().groups("v1").object(path, "orders", json!({"instances": 3}), healthy);
    assert_eq!(slugs(&server.report().await), Vec::<&str>::new());
}

#[tokio::test]
async fn a_secret_that_is_there_is_left_as_it_is() {
    let values = [("K".to_owned(), CANARY.into())].into();
    let path = "POST /api/v1/namespaces/n/secrets";
    let server = Server::default().refuse(path, 409, "AlreadyExists");
    let created = create_missing_secret(&server.cluster(), "n", "orders-app", &values).await.unwrap();
    assert_eq!(created, CreatedSecret::AlreadyThere);
    let body = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "orders-app"}});
    let server = Server::default().answer(path, 201, body);
    let created = create_missing_secret(&server.cluster(), "n", "orders-app", &values).await.unwrap();
    assert_eq!(created, CreatedSecret::Created);
    let refused = Server::default().refuse(path, 403, "Forbidden");
    let error = create_missing_secret(&refused.cluster(), "n", "orders-app", &values).await.unwrap_err();
    assert!(!format!("{error:?}").contains(CANARY));
}

#[tokio::test]
async fn causes_that_keep_us_waiting_are_left_out() {
    let server = without_secret().answer("GET /apis", HANGS, json!({}));
    let soon = std::time::Duration::from_millis(20);
    let observations = observe_within(&server.cluster(), "n", &contracts(), soon).await.unwrap();
    assert_eq!(slugs(&check(&contracts(), &observations)), ["secret-missing"]);
}
