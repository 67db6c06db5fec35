//! A marked password in every position is found in nothing that can be printed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use whimbrel_contract::{
    Cause, DatabaseContract, Keys, Observation, Observations, Place, Values, check, parse_url, resolve,
};

const CANARY: &str = "c4n4ry";

/// The canary with neighbours that break URLs, and in other encodings.
fn canaries() -> impl Strategy<Value = String> {
    let around = "[@/:#?%&= \\n\"'+a-z0-9<>${}\\[\\],]{0,6}";
    (around, around, 0..3u8).prop_map(|(before, after, form)| {
        let plain = format!("{before}{CANARY}{after}");
        match form {
            0 => plain,
            1 => BASE64_STANDARD.encode(&plain),
            _ => plain.replace('@', "%40").replace('/', "%2F"),
        }
    })
}

fn templates() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{}",
        "postgres://{}",
        "postgres://u:{}@h/d",
        "postgres://{}:p@h/d",
        "postgres://u:p@{}/d",
        "postgres://u:p@h:{}/d",
        "postgres://u:p@h/{}",
        "postgres://u:p@h/d?{}",
        "postgres://u:p@h/d?{}=x",
        "postgres://u:p@h/d?sslpassword={}",
        "jdbc:postgresql://h/d?user=u&password={}",
        "jdbc:postgresql://u:{}@h/d",
        "jdbc:postgresql:{}",
        "{}://u:p@h/d",
        "mysql://u:{}@h/d",
        "\"postgres://u:{}@h/d\"",
        "postgres://u:{}@h/d\n",
    ])
}

fn assert_hidden(text: &str) -> Result<(), TestCaseError> {
    let encoded = BASE64_STANDARD.encode(CANARY);
    prop_assert!(!text.contains(CANARY), "{text}");
    prop_assert!(!text.contains(encoded.trim_end_matches('=')), "{text}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_position_leaks(
        values in prop::collection::vec((templates(), canaries()), 7),
        flat in any::<bool>(),
    ) {
        let mut keys = Keys::environment("canary");
        keys.jdbc = Some("JDBC".into());
        let contract = DatabaseContract::try_new("canary", "canary", keys).unwrap();
        let texts: Vec<String> = values.iter().map(|(t, canary)| t.replace("{}", canary)).collect();
        let held: Values = contract.keys().iter().map(|(_, key)| key.to_owned()).zip(texts.clone()).collect();
        let place = if flat { Place::Environment } else {
            Place::Kubernetes { context: None, namespace: "n".into() }
        };
        assert_hidden(&format!("{held:?}"))?;
        match resolve(&contract, &held, &place) {
            Ok(credentials) => assert_hidden(&format!("{credentials:?} {:?}", credentials.parameters()))?,
            Err(error) => assert_hidden(&format!("{error} {error:?}"))?,
        }
        for text in &texts {
            match parse_url(text) {
                Ok(url) => assert_hidden(&format!("{url:?}"))?,
                Err(problem) => assert_hidden(&format!("{problem} {problem:?}"))?,
            }
        }
        let cause = Cause::ExternalSecret {
            name: "canary".into(),
            reason: Some("SecretSyncedError".into()),
            message: Some(format!("provider said {} and {}", texts[0], texts[6])),
            store: None,
        };
        let mut observations = Observations::new(place);
        observations.secrets.insert("canary".into(), Observation::Present { values: held, causes: vec![cause] });
        let report = check(&[contract], &observations);
        assert_hidden(&format!("{report:?}"))?;
        assert_hidden(&serde_json::to_string(&report).unwrap())?;
        for finding in &report.findings {
            assert_hidden(&format!("{finding} {}", finding.next))?;
        }
    }
}
