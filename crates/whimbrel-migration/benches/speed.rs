//! How fast scripts are cut, checksums computed and sets planned: `cargo bench -p whimbrel-migration`.
#![expect(clippy::print_stdout, reason = "a benchmark tells its results")]

use std::{convert::Infallible, hint::black_box, time::Instant};

use whimbrel_migration::{
    checksum,
    dialect::Dialect,
    history::{History, HistoryRow, NewRow},
    name::NamingRules,
    plan,
    scan::{self, ScanFacts},
    script::ResolvedScript,
    settings::Settings,
};

const SIZE: usize = 64 << 20;
const ROUNDS: usize = 5;

/// Seconds that this thread was on a processor, so that a busy machine does not count; without Linux the clock.
fn seconds(beginning: Instant) -> f64 {
    let spent = fs_err::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    spent.map_or_else(|| beginning.elapsed().as_secs_f64(), |nanoseconds| nanoseconds as f64 / 1e9)
}

/// The best of some rounds, in seconds.
fn best(mut work: impl FnMut()) -> f64 {
    let beginning = Instant::now();
    (0..ROUNDS)
        .map(|_| {
            let start = seconds(beginning);
            work();
            seconds(beginning) - start
        })
        .fold(f64::INFINITY, f64::min)
}

fn script(part: &str) -> Vec<u8> {
    part.repeat(SIZE / part.len()).into_bytes()
}

fn main() {
    let inserts = "INSERT INTO bird (id, name, seen) VALUES (4711, 'Numenius phaeopus', now());\n";
    let tables = "-- A table.\nCREATE TABLE IF NOT EXISTS app.bird_4711 (\n    id bigint PRIMARY KEY,\n    \
                  name text NOT NULL DEFAULT 'x',\n    seen timestamptz NOT NULL DEFAULT now()\n);\n";
    let functions = "CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql AS $body$\nBEGIN\n  -- one; two\n  \
                     RETURN a + 1;\nEND;\n$body$;\n";
    let mut copy = b"COPY bird FROM stdin;\n".to_vec();
    copy.extend(script("4711\tNumenius phaeopus\t2026-01-01 00:00:00+00\n"));
    copy.extend_from_slice(b"\\.\n");
    let routines =
        "CREATE PROCEDURE p(a INT)\nBEGIN\n  -- one; two\n  IF a > 0 THEN SELECT a + 1; END IF;\nEND;\n";
    for (dialect, name, bytes) in [
        (Dialect::PostgreSql, "inserts", script(inserts)),
        (Dialect::PostgreSql, "tables", script(tables)),
        (Dialect::PostgreSql, "functions", script(functions)),
        (Dialect::PostgreSql, "copy data", copy),
        (Dialect::MySql, "MySQL inserts", script(inserts)),
        (Dialect::MySql, "MySQL routines", script(routines)),
        (Dialect::MariaDb, "MariaDB routines", script(routines)),
        (Dialect::Sqlite, "SQLite inserts", script(inserts)),
    ] {
        // `cargo bench -p whimbrel-migration -- inserts` measures some of them.
        let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
        if wanted.is_some_and(|wanted| !name.contains(&wanted)) {
            continue;
        }
        let megabytes = bytes.len() as f64 / 1e6;
        let seconds = best(|| drop(black_box(scan::facts(dialect, &bytes))));
        println!("scan {name:14} {:8.0} MB/s", megabytes / seconds);
        let seconds = best(|| assert!(black_box(checksum::of_bytes(&bytes)).is_ok()));
        println!("sum  {name:14} {:8.0} MB/s", megabytes / seconds);
    }
    plan_many(10_000);
}

fn plan_many(count: i32) {
    let rules = NamingRules::default();
    let scripts: Vec<ResolvedScript> = (1..=count)
        .map(|number| {
            let name = format!("V{number}__add_birds_and_more_{number}.sql");
            ResolvedScript::new(rules.parse(&name).expect("a good name"), name.as_str(), number)
        })
        .collect();
    let rows: Vec<HistoryRow> = scripts
        .iter()
        .zip(1..)
        .take(scripts.len() / 2)
        .map(|(script, rank)| {
            let row = NewRow::of_script(script, rank, 1, true);
            HistoryRow {
                installed_rank: rank,
                version: row.version,
                description: row.description,
                row_type: row.row_type,
                script: row.script,
                checksum: row.checksum,
                installed_by: "me".into(),
                installed_on: "2026-01-01 00:00:00".into(),
                execution_time: 1,
                success: true,
            }
        })
        .collect();
    let settings = Settings::default();
    // Many at once: the processor's time is only known to a few milliseconds.
    const TIMES: usize = 50;
    let many = || {
        for _ in 0..TIMES {
            plan_once(&scripts, &rows, &settings);
        }
    };
    let seconds = best(many) / TIMES as f64;
    println!("plan {count} scripts, half of them applied: {:.1} ms", seconds * 1e3);
}

fn plan_once(scripts: &[ResolvedScript], rows: &[HistoryRow], settings: &Settings) {
    let history = History::read(rows.to_vec()).expect("good rows");
    let facts = |_, _: &ResolvedScript| Ok::<_, Infallible>(ScanFacts::default());
    drop(black_box(plan::plan_migrate(scripts, &history, settings, facts)));
}
