//! Pushing to a registry that misbehaves.

#![expect(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test")]
#![allow(unreachable_pub, reason = "the module is shared by this file alone")]

mod fake;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use fake::{Effect, Fake};
use whimbrel_image::{Digest, Image, ImageSpec, Platform, Reference, SqlSet, build};
use whimbrel_registry::{
    Credentials, PushEvent, PushReport, Registry, RegistryError, RegistryErrorKind, TransportSettings,
};

const REPOSITORY: &str = "team/app";

fn image(sql: &str) -> Image {
    let mut set = SqlSet::default();
    set.insert("app", "V1__a.sql", sql.as_bytes().to_vec(), "x").unwrap();
    build(&ImageSpec::new(Platform::default(), set)).unwrap()
}

fn registry(fake: &Fake, login: Option<Credentials>) -> Registry {
    let settings =
        TransportSettings { first_pause: Duration::from_millis(5), ..TransportSettings::default() };
    Registry::new(fake.name.clone(), settings, login).unwrap()
}

async fn push_with(
    fake: &Fake,
    image: &Image,
    limit: Duration,
    login: Option<Credentials>,
) -> Result<(PushReport, Vec<PushEvent>), RegistryError> {
    let target = Reference::try_new(fake.name.clone(), REPOSITORY).unwrap();
    let events = Mutex::new(Vec::new());
    let note = |event| events.lock().unwrap().push(event);
    let registry = registry(fake, login);
    let tags = ["dev".to_owned()];
    let report = registry.push_image(image, &target, &tags, None, Instant::now() + limit, &note).await?;
    Ok((report, events.into_inner().unwrap()))
}

async fn push(fake: &Fake, image: &Image) -> Result<PushReport, RegistryError> {
    push_with(fake, image, Duration::from_secs(20), None).await.map(|(report, _)| report)
}

fn tagged(fake: &Fake) -> Option<Digest> {
    fake.state.lock().unwrap().manifests.get("dev").map(|bytes| Digest::of(bytes))
}

/// Whoever pulls the tag gets a whole image.
fn assert_whole(fake: &Fake, image: &Image) {
    assert_eq!(tagged(fake).as_ref(), Some(image.digest()));
    let state = fake.state.lock().unwrap();
    assert!(state.manifests.contains_key(image.manifest().digest().as_str()));
    assert!(state.blobs.contains_key(image.config().digest().as_str()));
    for layer in image.layers() {
        assert!(state.blobs.contains_key(layer.digest().as_str()));
    }
}

#[tokio::test]
async fn unchanged_image_costs_one_question() {
    let fake = Fake::start().await;
    let image = image("select 1;");
    let first = push(&fake, &image).await.unwrap();
    assert_eq!((first.unchanged, first.sent.len()), (false, 2));
    assert_whole(&fake, &image);
    let before = fake.log().len();
    let second = push(&fake, &image).await.unwrap();
    assert!(second.unchanged);
    assert_eq!(fake.log()[before..], ["HEAD /v2/team/app/manifests/dev".to_owned()]);
}

#[tokio::test]
async fn plan_sends_nothing() {
    let fake = Fake::start().await;
    let image = image("select 1;");
    let target = Reference::try_new(fake.name.clone(), REPOSITORY).unwrap();
    let plan = || async {
        let deadline = Instant::now() + Duration::from_secs(5);
        registry(&fake, None).plan_image(&image, &target, &["dev".to_owned()], deadline).await.unwrap()
    };
    assert_eq!(plan().await.map(|plan| plan.blobs.len()), Some(2));
    assert_eq!((fake.requests("PUT"), fake.requests("POST")), (0, 0));
    push(&fake, &image).await.unwrap();
    assert_eq!(plan().await, None);
}

#[tokio::test]
async fn tag_moves_after_everything_else() {
    let fake = Fake::start().await;
    push(&fake, &image("select 1;")).await.unwrap();
    let log = fake.log();
    let last = log.last().unwrap();
    assert_eq!(last, "PUT /v2/team/app/manifests/dev");
    let manifest = log.iter().position(|line| line.starts_with("PUT /v2/team/app/manifests/sha256")).unwrap();
    let last_blob = log.iter().rposition(|line| line.starts_with("PUT /v2/upload")).unwrap();
    assert!(last_blob < manifest && manifest + 1 == log.len() - 1);
}

#[tokio::test]
async fn every_step_is_done_again_after_a_transient_fault() {
    let steps =
        ["HEAD /v2/team/app/manifests", "HEAD /v2/team/app/blobs", "POST", "PUT /v2/upload", "PUT /v2/team"];
    for step in steps {
        for effect in [Effect::Answer(500, "", "oops"), Effect::Answer(408, "", ""), Effect::CutBeforeBody] {
            let fake = Fake::start().await;
            fake.fault(step, effect.clone());
            fake.fault(step, effect.clone());
            let image = image("select 1;");
            push(&fake, &image).await.unwrap_or_else(|error| panic!("{step} {effect:?}: {error}"));
            assert_whole(&fake, &image);
            assert!(fake.state.lock().unwrap().faults.is_empty());
        }
    }
}

#[tokio::test]
async fn answer_cut_in_the_middle_is_asked_for_again() {
    let fake = Fake::start().await;
    let image = image("select 1;");
    push(&fake, &image).await.unwrap();
    fake.fault("GET /v2/team/app/manifests", Effect::CutAnswer);
    let deadline = Instant::now() + Duration::from_secs(10);
    let manifest = registry(&fake, None).fetch_manifest(REPOSITORY, "dev", deadline).await.unwrap();
    assert_eq!(&manifest.digest, image.digest());
}

#[tokio::test]
async fn registry_that_asks_for_time_gets_it() {
    let fake = Fake::start().await;
    fake.fault("POST", Effect::Answer(429, "Retry-After: 1\r\n", "slow down"));
    let image = image("select 1;");
    let start = Instant::now();
    let (_, events) = push_with(&fake, &image, Duration::from_secs(20), None).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_whole(&fake, &image);
    let told = events.iter().any(|event| {
        matches!(event, PushEvent::Waiting { pause, reason, .. }
            if *pause == Duration::from_secs(1) && reason.contains("slow down"))
    });
    assert!(told, "{events:?}");
}

#[tokio::test]
async fn refusal_is_told_in_the_registry_s_words_and_the_old_tag_stays() {
    let fake = Fake::start().await;
    let good = image("select 1;");
    push(&fake, &good).await.unwrap();
    let denied = r#"{"errors":[{"code":"DENIED","message":"quota exceeded"}]}"#;
    fake.fault("PUT /v2/upload", Effect::Answer(403, "", denied));
    let error = push(&fake, &image("select 2;")).await.unwrap_err();
    assert!(error.kind.to_string().contains("DENIED quota exceeded"), "{error:?}");
    assert_whole(&fake, &good);
}

#[tokio::test]
async fn deadline_ends_a_push_that_never_succeeds() {
    let fake = Fake::start().await;
    for _ in 0..1000 {
        fake.fault("PUT /v2/upload", Effect::Answer(503, "", "down for maintenance"));
    }
    let start = Instant::now();
    let error = push_with(&fake, &image("select 1;"), Duration::from_millis(400), None).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(3));
    let RegistryErrorKind::Deadline { last: Some(last) } = &error.kind else { panic!("{error:?}") };
    assert!(last.to_string().contains("down for maintenance"), "{last}");
    assert_eq!(tagged(&fake), None);
}

#[tokio::test]
async fn silent_registry_is_not_waited_for_longer_than_the_deadline() {
    let fake = Fake::start().await;
    fake.fault("HEAD", Effect::Silence);
    let start = Instant::now();
    let result = push_with(&fake, &image("select 1;"), Duration::from_millis(300), None).await;
    assert!(matches!(result.unwrap_err().kind, RegistryErrorKind::Deadline { last: None }));
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn registry_that_takes_no_connection_is_given_up_before_the_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let name: whimbrel_image::RegistryName = listener.local_addr().unwrap().to_string().parse().unwrap();
    drop(listener);
    let unreachable = Duration::from_millis(200);
    let settings = TransportSettings { unreachable, ..TransportSettings::default() };
    let registry = Registry::new(name, settings, None).unwrap();
    let start = Instant::now();
    let error = registry.ping(Instant::now() + Duration::from_secs(60)).await.unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::Connection(_)), "{error:?}");
    assert!(start.elapsed() >= unreachable && start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn content_with_another_digest_is_not_taken() {
    let fake = Fake::start().await;
    let good = image("select 1;");
    push(&fake, &good).await.unwrap();
    let digest = good.config().digest();
    fake.state.lock().unwrap().blobs.insert(digest.to_string(), b"something else".to_vec());
    let deadline = Instant::now() + Duration::from_secs(5);
    let error = registry(&fake, None).fetch_blob(REPOSITORY, digest, 1000, deadline).await.unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::Digest { .. }), "{error:?}");
    fake.fault("PUT /v2/team/app/manifests/sha256", Effect::OtherDigest);
    let error = push(&fake, &image("select 2;")).await.unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::Digest { .. }), "{error:?}");
    assert_eq!(tagged(&fake).as_ref(), Some(good.digest()));
}

#[tokio::test]
async fn more_content_than_expected_is_not_read() {
    let fake = Fake::start().await;
    let bytes = vec![b'x'; 100_000];
    let digest = Digest::of(&bytes);
    fake.state.lock().unwrap().blobs.insert(digest.to_string(), bytes);
    let deadline = Instant::now() + Duration::from_secs(5);
    let error = registry(&fake, None).fetch_blob(REPOSITORY, &digest, 1000, deadline).await.unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::TooLarge { limit: 1000 }), "{error:?}");
}

#[tokio::test]
async fn registry_that_forgot_a_blob_it_claimed_is_sent_everything() {
    let fake = Fake::start().await;
    let image = image("select 1;");
    let layer = image.layers().next().unwrap().digest().to_string();
    // The registry's cache says that the layer is there, and the manifest finds that it is not.
    fake.fault("HEAD /v2/team/app/blobs", Effect::Answer(200, "", ""));
    fake.fault("HEAD /v2/team/app/blobs", Effect::Answer(200, "", ""));
    let unknown = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}"#;
    fake.fault("PUT /v2/team/app/manifests", Effect::Answer(404, "", unknown));
    push(&fake, &image).await.unwrap();
    assert_whole(&fake, &image);
    assert!(fake.state.lock().unwrap().blobs.contains_key(&layer));
}

fn login() -> Credentials {
    Credentials { user: "ann".to_owned(), password: "s3cret-canary".into() }
}

#[tokio::test]
async fn basic_login_is_sent_when_asked_for() {
    let fake = Fake::start().await;
    let wanted = "Basic YW5uOnMzY3JldC1jYW5hcnk=".to_owned();
    fake.state.lock().unwrap().wanted = Some((wanted, r#"Basic realm="x""#.to_owned()));
    let image = image("select 1;");
    push_with(&fake, &image, Duration::from_secs(10), Some(login())).await.unwrap();
    assert_whole(&fake, &image);
    let refused = push(&fake, &image).await.unwrap_err();
    assert!(matches!(refused.kind, RegistryErrorKind::Unauthorized { .. }));
    // Only an answer with a body has words.
    let deadline = Instant::now() + Duration::from_secs(5);
    let refused = registry(&fake, None).fetch_manifest(REPOSITORY, "dev", deadline).await.unwrap_err();
    assert!(refused.kind.to_string().contains("who are you"), "{refused:?}");
    let wrong = Credentials { user: "ann".to_owned(), password: "wrong-canary".into() };
    let refused = push_with(&fake, &image, Duration::from_secs(5), Some(wrong)).await.unwrap_err();
    assert!(!format!("{refused:?}").contains("canary"));
}

#[tokio::test]
async fn token_of_the_registry_s_own_host_is_fetched_once_per_scope() {
    let fake = Fake::start().await;
    let challenge = format!(r#"Bearer realm="http://{}/token",service="reg""#, fake.name);
    fake.state.lock().unwrap().wanted = Some(("Bearer t1".to_owned(), challenge));
    for _ in 0..4 {
        fake.fault("GET /token", Effect::Answer(200, "", r#"{"token":"t1"}"#));
    }
    let image = image("select 1;");
    push_with(&fake, &image, Duration::from_secs(10), Some(login())).await.unwrap();
    assert_whole(&fake, &image);
    let asked: Vec<String> = fake.log().into_iter().filter(|line| line.starts_with("GET /token")).collect();
    assert!(asked.iter().any(|line| line.contains("repository%3Ateam%2Fapp%3Apull%2Cpush")), "{asked:?}");
    assert!(asked.len() <= 4, "{asked:?}");
}

#[tokio::test]
async fn login_goes_to_no_token_service_that_is_elsewhere_without_tls() {
    let fake = Fake::start().await;
    let challenge = r#"Bearer realm="http://elsewhere.invalid/token",service="reg""#.to_owned();
    fake.state.lock().unwrap().wanted = Some(("Bearer t1".to_owned(), challenge));
    let result = push_with(&fake, &image("select 1;"), Duration::from_secs(5), Some(login())).await;
    assert!(matches!(result.unwrap_err().kind, RegistryErrorKind::UnsafeRealm(_)));
}

#[tokio::test]
async fn upload_address_on_another_host_gets_no_login() {
    let (fake, other) = (Fake::start().await, Fake::start().await);
    let wanted = "Basic YW5uOnMzY3JldC1jYW5hcnk=".to_owned();
    fake.state.lock().unwrap().wanted = Some((wanted.clone(), r#"Basic realm="x""#.to_owned()));
    let location: &'static str =
        Box::leak(format!("Location: http://{}/v2/upload/9\r\n", other.name).into_boxed_str());
    for _ in 0..2 {
        fake.fault("POST", Effect::Answer(202, location, ""));
    }
    let image = image("select 1;");
    push_with(&fake, &image, Duration::from_secs(10), Some(login())).await.unwrap();
    let log = other.state.lock().unwrap().log.iter().map(|entry| entry.2.clone()).collect::<Vec<_>>();
    assert!(!log.is_empty() && log.iter().all(Option::is_none), "{log:?}");
    assert!(fake.requests("POST") >= 2);
}
