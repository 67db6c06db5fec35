//! Which run wrote which row of the history, from which image and why: kept in a table of our own.

use std::collections::HashMap;
use std::time::Duration;

use whimbrel_database::RunEntry;
use whimbrel_migration::record::DatabaseRecord;

use super::Engine;
use crate::cli::Verb;
use crate::failure::Failure;
use crate::report::{Event, Level, now};

/// A session that does not answer any more must not keep us.
const PATIENCE: Duration = Duration::from_secs(5);

impl Engine<'_> {
    /// Writes down what this run did to the database, if it did something. Best effort: the scripts are applied and
    /// recorded, and a role that may not make a table must not turn that into a failure.
    pub async fn leave_record(&mut self, verb: Verb, started: &str, record: &DatabaseRecord) {
        let did_nothing = self.recorded_ranks.is_empty() && self.ran.is_empty();
        if !self.common.request.keeps_records || self.common.dry_run || did_nothing {
            return;
        }
        let entry = RunEntry {
            run: self.common.run_id.clone(),
            verb: verb.name().to_owned(),
            started: started.to_owned(),
            finished: now(),
            tool: crate::report::tool(),
            image: self.common.image.clone(),
            reason: self.common.request.reason.clone(),
            ranks: self.recorded_ranks.clone(),
            outcome: serde_json::to_value(record.outcome)
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned))
                .unwrap_or_default(),
            record: serde_json::to_string(record).unwrap_or_default(),
        };
        let written = tokio::time::timeout(PATIENCE, self.session.write_run(&self.table, &entry)).await;
        let problem = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => match error.server() {
                Some(error) => error.message.clone(),
                None => error.to_string(),
            },
            Err(_) => "the server did not answer".to_owned(),
        };
        let message = format!("which image applied these scripts could not be written down: {problem}");
        self.say(Level::Warn, Event::Notice, &message);
    }

    /// The run that wrote a row, by the row's rank; the latest where ranks were given out again.
    pub(super) async fn runs_by_rank(&mut self) -> Result<HashMap<i32, RunEntry>, Failure> {
        if !self.common.request.keeps_records {
            return Ok(HashMap::new());
        }
        let runs = self.session.read_runs(&self.table).await;
        let mut runs = runs.map_err(Failure::database("read the record of runs"))?;
        runs.sort_by(|one, other| one.started.cmp(&other.started));
        let mut by_rank = HashMap::new();
        for run in runs {
            for rank in run.ranks.clone() {
                by_rank.insert(rank, run.clone());
            }
        }
        Ok(by_rank)
    }
}
