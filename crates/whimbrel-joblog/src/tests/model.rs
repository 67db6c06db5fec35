//! The model: one log, served again and again from a whole second on, cut anywhere. Each line is told once, in order.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::fixtures::*;
use crate::{Command, Input, StreamEnd};

/// A line of the true log: its timestamp in nanoseconds and its text.
type Truth = Vec<(i128, String)>;

/// One stream: how many lines the container has printed by its end, after which byte it breaks, in which pieces it comes.
#[derive(Debug, Clone)]
struct Serving {
    printed: prop::sample::Index,
    cut: prop::sample::Index,
    piece: usize,
    broken: bool,
}

fn truth() -> impl Strategy<Value = Truth> {
    // Steps of nothing, of nanoseconds and of seconds; now and then a little back, as of two writers.
    let step = prop_oneof![3 => Just(0_i128), 4 => 1..2000_i128, 2 => 1..3_000_000_000_i128, 1 => -900_000_000..0_i128];
    prop::collection::vec((step, "[a-c ä]{0,6}"), 0..60).prop_map(|steps| {
        let mut highest = 1_767_225_600_000_000_000_i128;
        let mut lines = Truth::new();
        for (step, text) in steps {
            // Disorder is bounded: a writer is late by less than a second.
            let time = (highest + step).max(highest - 900_000_000);
            highest = highest.max(time);
            lines.push((time, text));
        }
        lines
    })
}

fn serving() -> impl Strategy<Value = Serving> {
    let parts = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..50_usize, any::<bool>());
    parts.prop_map(|(printed, cut, piece, broken)| Serving { printed, cut, piece, broken })
}

fn served(lines: &[(i128, String)], since: Option<Timestamp>) -> Vec<u8> {
    let since = since.map_or(i128::MIN, Timestamp::as_nanosecond);
    let wanted = lines.iter().filter(|(time, _)| *time >= since);
    let text: String = wanted
        .map(|(time, text)| format!("{} {text}\n", Timestamp::from_nanosecond(*time).unwrap()))
        .collect();
    text.into_bytes()
}

fn opened(driver: &mut Driver) -> Option<(crate::StreamId, Option<Timestamp>)> {
    std::mem::take(&mut driver.commands).into_iter().rev().find_map(|command| match command {
        Command::OpenLog { stream, since, .. } => Some((stream, since)),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn each_line_is_told_once_and_in_order(truth in truth(), servings in prop::collection::vec(serving(), 0..8)) {
        let mut driver = Driver::new();
        driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
        let mut printed = 0;
        for serving in &servings {
            driver.wait(6);
            let Some((stream, since)) = opened(&mut driver) else { panic!("no stream is opened again") };
            printed = printed.max(serving.printed.index(truth.len() + 1));
            let mut bytes = served(&truth[..printed], since);
            if serving.broken {
                bytes.truncate(serving.cut.index(bytes.len() + 1));
            }
            for piece in bytes.chunks(serving.piece) {
                driver.give(Input::LogChunk { stream, bytes: piece.to_vec() });
            }
            let end = if serving.broken { StreamEnd::Cut("reset".to_owned()) } else { StreamEnd::Complete };
            driver.give(Input::LogEnded { stream, end });
        }
        driver.pod(pod("a", 1, "Succeeded", ended(0, "Completed"))).wait(6);
        let (stream, since) = opened(&mut driver).expect("an ended container is read to its end");
        driver.give(Input::LogChunk { stream, bytes: served(&truth, since) }).end(stream).job("a", complete());

        let expected: Vec<String> = truth.iter().map(|(_, text)| format!("1:{text}")).collect();
        prop_assert_eq!(driver.lines(), expected);
        prop_assert!(driver.gaps().is_empty(), "{:?}", driver.gaps());
        prop_assert!(driver.outcome().is_some());
    }

    #[test]
    fn a_rotated_log_never_loses_a_line_in_silence(
        truth in truth(),
        from in any::<prop::sample::Index>(),
        before in any::<prop::sample::Index>()) {
        let numbered: Truth = truth.iter().enumerate().map(|(at, (time, _))| {
            (*time, json!({"schema": 1, "run": "r", "seq": at + 1}).to_string())
        }).collect();
        let mut driver = Driver::new();
        driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
        let before = before.index(numbered.len() + 1);
        let (stream, _) = opened(&mut driver).expect("a running container is read");
        driver.give(Input::LogChunk { stream, bytes: served(&numbered[..before], None) });
        driver.give(Input::LogEnded { stream, end: StreamEnd::Cut("reset".to_owned()) });
        driver.pod(pod("a", 1, "Succeeded", ended(0, "Completed"))).wait(6);
        let (stream, since) = opened(&mut driver).expect("an ended container is read to its end");
        let from = from.index(numbered.len() + 1);
        driver.give(Input::LogChunk { stream, bytes: served(&numbered[from..], since) }).end(stream);

        let told = driver.lines().len();
        let lost: u64 = driver.told.iter().map(|output| match output {
            crate::Output::Gap(crate::Gap { loss: crate::Loss::Lines { first, last, .. }, .. }) => last - first + 1,
            _ => 0,
        }).sum();
        let last_told = if from < numbered.len() { numbered.len() } else { before };
        prop_assert_eq!(told as u64 + lost, last_told as u64);
    }
}
