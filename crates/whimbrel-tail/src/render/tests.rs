use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use serde_json::json;
use whimbrel_cli::args::Format;
use whimbrel_joblog::Loss;

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn shown(format: Format, style: Style, outputs: &[Output]) -> String {
    let sink = Sink::default();
    let mut renderer = Renderer::new(Printer::to_writers(sink.clone(), sink.clone(), format), style);
    outputs.iter().for_each(|output| renderer.show(output));
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    // The colour of a warning repeats its word.
    let plain = text.lines().map(|line| whimbrel_joblog::clean::strip_controls(line) + "\n");
    plain.collect()
}

fn place(attempt: u32) -> Place {
    Place { attempt, pod: format!("db-{attempt}"), container: "migrate".to_owned() }
}

fn line(attempt: u32, text: &str) -> Output {
    let fields = serde_json::from_str(text).ok();
    let time = "2026-01-01T00:00:01.5Z".parse().unwrap();
    Output::Line(Line { place: place(attempt), time, text: text.to_owned(), fields })
}

fn outputs() -> Vec<Output> {
    let blocker = Blocker {
        slug: "image-pull",
        reason: "ImagePullBackOff".to_owned(),
        subject: "pod db-1 container migrate".to_owned(),
        message: "not found".to_owned(),
    };
    let outcome = Outcome {
        verdict: Verdict::Failed,
        known_by: KnownBy::Condition,
        job: "db".to_owned(),
        uid: "u".to_owned(),
        created: None,
        attempts: 2,
        reason: Some("BackoffLimitExceeded".to_owned()),
        message: Some("Job has reached the specified backoff limit".to_owned()),
        exit_code: Some(7),
        record: None,
    };
    let record = json!({"schema": 1, "run": "r", "seq": 2, "time": "2026-01-01T00:00:01.25Z", "level": "error",
                        "message": "V2__x.sql:3:1: syntax error\nhint: look"});
    vec![
        Output::Notice(Notice { slug: "job-found", message: "following job db".to_owned() }),
        Output::Blocker(blocker.clone()),
        Output::Healed(blocker),
        line(1, "plain"),
        Output::Gap(Gap { place: place(1), loss: Loss::Lines { run: "r".to_owned(), first: 12, last: 40 } }),
        line(2, &record.to_string()),
        Output::Outcome(Box::new(outcome)),
    ]
}

#[test]
fn text_is_for_people() {
    insta::assert_snapshot!(shown(Format::Text, Style::default(), &outputs()), @r"
    following job db
    warning: blocked: ImagePullBackOff (pod db-1 container migrate): not found
    no longer blocked: ImagePullBackOff (pod db-1 container migrate)
    plain
    --- lines 12..40 lost ---
    2 migrate | 00:00:01 error: V2__x.sql:3:1: syntax error
    2 migrate |     hint: look
    job db failed: BackoffLimitExceeded, the last attempt ended with exit code 7
      Job has reached the specified backoff limit
    ");
}

#[test]
fn a_database_names_itself_and_tells_its_failure_whole() {
    let failed = json!({"schema": 1, "run": "r", "seq": 3, "level": "error", "event": "database-finished",
                        "database": "threads", "message": "failed; the database is at version 5",
                        "error": "script V9__x.sql failed\n  ERROR: no such column"});
    let script = json!({"schema": 1, "run": "r", "seq": 2, "level": "error", "event": "script-failed",
                        "database": "threads", "message": "V9__x.sql failed at V9__x.sql:4:8", "error": "no such column"});
    let outputs = [line(1, &script.to_string()), line(1, &failed.to_string())];
    insta::assert_snapshot!(shown(Format::Text, Style::default(), &outputs), @r"
    error: threads: V9__x.sql failed at V9__x.sql:4:8
    error: threads: failed; the database is at version 5
        script V9__x.sql failed
          ERROR: no such column
    ");
}

#[test]
fn json_is_one_object_a_line() {
    insta::assert_snapshot!(shown(Format::Json, Style::default(), &outputs()), @r#"
    {"schema":1,"type":"notice","slug":"job-found","message":"following job db"}
    {"schema":1,"type":"blocker","slug":"image-pull","reason":"ImagePullBackOff","subject":"pod db-1 container migrate","message":"not found"}
    {"schema":1,"type":"healed","slug":"image-pull","reason":"ImagePullBackOff","subject":"pod db-1 container migrate","message":"not found"}
    {"schema":1,"type":"log","attempt":1,"pod":"db-1","container":"migrate","time":"2026-01-01T00:00:01.5Z","text":"plain"}
    {"schema":1,"type":"gap","attempt":1,"pod":"db-1","container":"migrate","loss":"lines","run":"r","first":12,"last":40}
    {"schema":1,"type":"log","attempt":2,"pod":"db-2","container":"migrate","time":"2026-01-01T00:00:01.5Z","text":"{\"schema\":1,\"run\":\"r\",\"seq\":2,\"time\":\"2026-01-01T00:00:01.25Z\",\"level\":\"error\",\"message\":\"V2__x.sql:3:1: syntax error\\nhint: look\"}","fields":{"schema":1,"run":"r","seq":2,"time":"2026-01-01T00:00:01.25Z","level":"error","message":"V2__x.sql:3:1: syntax error\nhint: look"}}
    {"schema":1,"type":"outcome","verdict":"failed","known_by":"condition","job":"db","uid":"u","created":null,"attempts":2,"reason":"BackoffLimitExceeded","message":"Job has reached the specified backoff limit","exit_code":7,"record":null}
    "#);
}

#[test]
fn prefix_and_timestamps_can_be_chosen() {
    let style = Style { timestamps: true, prefix: Prefix::Always };
    assert_eq!(shown(Format::Text, style, &[line(1, "x")]), "1 migrate | 2026-01-01T00:00:01.5Z x\n");
    let style = Style { timestamps: false, prefix: Prefix::Never };
    assert_eq!(shown(Format::Text, style, &[line(1, "x"), line(2, "y")]), "x\ny\n");
}

#[test]
fn the_record_speaks_where_no_line_was_seen() {
    let record = json!({"schema": 1, "run": "r", "started": "", "finished": "", "tool": "t", "image": null,
        "databases": [{"database": "platform", "before": null, "after": "3", "outcome": "failed", "error": "boom"}],
        "outcome": "failed", "exit_code": 7});
    let outcome = Outcome {
        verdict: Verdict::Failed,
        known_by: KnownBy::RunRecord,
        job: "db".to_owned(),
        uid: "u".to_owned(),
        created: None,
        attempts: 1,
        reason: None,
        message: None,
        exit_code: Some(7),
        record: Some(record),
    };
    insta::assert_snapshot!(shown(Format::Text, Style::default(), &[Output::Outcome(Box::new(outcome))]), @r"
    run r ended with exit code 7
      platform: - → 3, failed: boom
    job db failed, the last attempt ended with exit code 7 (the Job is gone; by the runner's record)
    ");
}
