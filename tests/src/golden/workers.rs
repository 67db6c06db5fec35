//! Many cases at once, each worker with databases of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::calls;
use super::compare::{Difference, text};
use super::kinds::{Kind, recognise};
use super::on_purpose::{self, Column, Situation};
use super::play::{Face, Played, play};
use super::report::{Report, Verdict};
use super::server::{Engine, Server};
use super::vectors::{self, Compared};

/// More than processors: a worker waits for its server half of the time.
const WORKERS: usize = 4;

/// What is asked beside the JSON documents of the program called `flyway`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faces {
    /// Whimbrel's own verbs.
    pub own: bool,
    /// The lines that Flyway logged, where they were recorded.
    pub lines: bool,
}

/// Plays all files, those cases and vectors whose name is wanted.
///
/// # Errors
/// When a file cannot be read, or there is nothing to play in any of them.
pub fn play_all(files: &[PathBuf], wanted: &dyn Fn(&str) -> bool, faces: Faces) -> Result<Report, String> {
    let mut cases = Vec::new();
    let mut report = Report::default();
    for file in files {
        let compared = match recognise(file)? {
            Kind::Cases(more) => {
                cases.extend(more);
                continue;
            }
            Kind::Split(folder, recorded) => vectors::split(&folder, &recorded),
            Kind::Checksums(recorded) => vectors::checksums(&recorded),
            Kind::Names(recorded) => vectors::names(&recorded),
            Kind::Versions(recorded) => vectors::versions(&recorded),
            Kind::Calls(recorded) => calls::calls(&recorded),
            Kind::Other => {
                report.pass_over(file);
                continue;
            }
        };
        for Compared { id, content, engine, differences } in
            compared.into_iter().filter(|vector| wanted(&vector.id))
        {
            let situation =
                Situation { case: &Value::Null, engine: &engine, content: &content, column: Column::Vector };
            report.add(&id, "", &verdict(&situation, differences), None);
        }
    }
    if report.passed_over() == files.len() {
        return Err("neither cases nor vectors are in these files".to_owned());
    }
    cases.retain(|case| wanted(text(&case["id"])));
    for (case, flyway, own) in in_parallel(&cases, faces) {
        let engine = format!("{} ", Engine::of(&cases[case]));
        report.add(text(&cases[case]["id"]), &engine, &flyway, own.as_ref());
    }
    Ok(report)
}

fn in_parallel(cases: &[Value], faces: Faces) -> Vec<(usize, Verdict, Option<Verdict>)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut servers: BTreeMap<Engine, Server> = BTreeMap::new();
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(index) else { return done };
            let engine = Engine::of(case);
            let server = servers.entry(engine).or_insert_with(|| Server::new(engine));
            let ask = |face, column| match play(server, case, face, &runtime) {
                Played::NotAsked(setting) => Verdict::NotAsked(setting),
                Played::Compared(differences) => verdict(
                    &Situation { case, engine: text(&case["engine"]), content: "", column },
                    differences,
                ),
            };
            let mut flyway = ask(Face::Flyway, Column::Flyway);
            if faces.lines && matches!(flyway, Verdict::Agreed) {
                flyway = ask(Face::Lines, Column::Flyway);
            }
            done.push((index, flyway, faces.own.then(|| ask(Face::Own, Column::Own))));
        }
    };
    let mut done: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS.min(cases.len())).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no case panics")).collect()
    });
    done.sort_by_key(|(index, ..)| *index);
    done
}

fn verdict(situation: &Situation<'_>, differences: Vec<Difference>) -> Verdict {
    if differences.is_empty() {
        return Verdict::Agreed;
    }
    match on_purpose::reason(situation, &differences) {
        Some(reason) => Verdict::OnPurpose(reason),
        None => Verdict::Differs(differences),
    }
}
