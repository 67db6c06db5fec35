//! A run that is killed, or whose connection is cut, at each of its messages.

use std::fmt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::messages::{Act, MessageProxy};
use crate::program::{Ended, Running};
use crate::random::Random;

const MINUTE: Duration = Duration::from_secs(60);

/// How a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Kill,
    Cut,
}

/// One message of a run, in both directions counted from 1, and what happens there.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub message: u64,
    pub way: Way,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at message {}", self.way, self.message)
    }
}

/// Runs the program, whose messages go through the proxy, until this point; whether it came so far.
pub fn strike(proxy: &MessageProxy, command: &mut Command, point: Point) -> bool {
    proxy.rule(move |message| match point.way {
        _ if message.number < point.message => Act::Pass,
        Way::Kill => Act::Hold,
        Way::Cut => Act::Cut,
    });
    let running = Running::start(command);
    let (ended, reached) = match point.way {
        Way::Cut => {
            let ended = running.wait(MINUTE);
            (ended, proxy.messages() >= point.message)
        }
        Way::Kill => kill_when_held(proxy, running, point),
    };
    proxy.release();
    let fits = match point.way {
        // A lost COMMIT that went through is settled, and a lost goodbye hurts nobody.
        Way::Cut => matches!(ended.code, Some(0 | 4 | 7 | 8)),
        Way::Kill => matches!(ended.code, None | Some(0)),
    };
    assert!(fits, "{point}: {:?}\n{}", ended.code, ended.said());
    reached
}

/// Kills the program once the proxy holds a message of it; how it ended, and whether it was killed so.
pub fn kill_when_held(proxy: &MessageProxy, mut running: Running, point: impl fmt::Display) -> (Ended, bool) {
    let began = Instant::now();
    loop {
        if proxy.is_held_within(Duration::from_millis(20)) {
            running.signal(Signal::KILL);
            return (running.wait(MINUTE), true);
        }
        if !running.is_running() {
            return (running.wait(MINUTE), proxy.is_held_within(Duration::ZERO));
        }
        assert!(began.elapsed() < MINUTE, "{point}: neither held nor ended");
    }
}

/// Strikes at points of a run of so many messages, in two threads, each with a scene of its own: about `usual` ones,
/// evenly spread, different ones each time; with `WHIMBREL_TEST_SWEEP=all` at every one, in both ways. What strikes says
/// whether it came so far.
#[expect(clippy::print_stdout, reason = "how much was tried belongs into the log of the tests")]
pub fn sweep<Scene>(
    messages: u64,
    usual: u64,
    scene: impl Fn() -> Scene + Sync,
    strike: impl Fn(&Scene, Point) -> bool + Sync,
) {
    let points = points(messages, usual);
    let (next, reached) = (AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let scene = scene();
                while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst) as usize) {
                    reached.fetch_add(u64::from(strike(&scene, *point)), Ordering::SeqCst);
                }
            });
        }
    });
    let reached = reached.into_inner();
    println!(
        "{messages} messages a run; {reached} points struck in {:.1} s, 0 stuck, 0 doubled",
        began.elapsed().as_secs_f32()
    );
    let wanted = points.len() as u64;
    assert!(reached * 10 >= wanted * 9, "only {reached} of {wanted} points were reached");
}

fn points(messages: u64, usual: u64) -> Vec<Point> {
    let ways = [Way::Kill, Way::Cut];
    let every: Vec<Point> =
        (1..=messages).flat_map(|message| ways.map(|way| Point { message, way })).collect();
    if std::env::var("WHIMBREL_TEST_SWEEP").is_ok_and(|value| value == "all") {
        return every;
    }
    let step = (every.len() as u64).div_ceil(usual).max(1);
    let first = Random::seeded_by_environment().below(step);
    every.into_iter().skip(first as usize).step_by(step as usize).collect()
}
