//! What pending scripts will lock and rewrite, joined with the sizes that the tables have now.

use whimbrel_database::TableFacts;
use whimbrel_migration::risk::{Assessment, Impact, Level, TableSize};
use whimbrel_migration::scan::ScanError;
use whimbrel_migration::script::ScriptId;

use super::Engine;
use crate::failure::Failure;
use crate::risk::{ScriptRisk, SizedImpact};
use crate::set::SetError;

impl Engine<'_> {
    /// Assesses scripts, with one question about all their tables.
    pub(super) async fn risks_of(&mut self, ids: &[ScriptId]) -> Result<Vec<ScriptRisk>, Failure> {
        let mut assessed: Vec<(ScriptId, Vec<Impact>)> = Vec::with_capacity(ids.len());
        for id in ids {
            assessed.push((*id, self.assessed(*id)?));
        }
        let mut names: Vec<String> = assessed
            .iter()
            .flat_map(|(_, impacts)| impacts)
            .filter_map(|impact| impact.table.as_ref().map(ToString::to_string))
            .collect();
        names.sort_unstable();
        names.dedup();
        let facts = self.session.table_facts(&names).await;
        let facts = facts.map_err(Failure::database("ask how big the tables are"))?;
        let facts_of = |impact: &Impact| {
            let name = impact.table.as_ref()?.to_string();
            let index = names.binary_search(&name).ok()?;
            facts.get(index).copied()
        };
        Ok(assessed
            .into_iter()
            .map(|(id, impacts)| {
                let impacts: Vec<SizedImpact> = impacts
                    .into_iter()
                    .map(|impact| {
                        let facts = facts_of(&impact);
                        sized(impact, facts)
                    })
                    .collect();
                let script = self.set.script(id);
                ScriptRisk {
                    script: script.script.clone(),
                    version: script.version().map(|version| version.as_str().to_owned()),
                    level: impacts.iter().map(|impact| impact.level).max().unwrap_or(Level::None),
                    impacts,
                }
            })
            .collect())
    }

    fn assessed(&self, id: ScriptId) -> Result<Vec<Impact>, SetError> {
        let script = &self.set.script(id).script;
        let refused = |error: ScanError| error.to_finding().in_script(script.clone());
        let (mut source, mut assessment) =
            (self.set.source(id)?, Assessment::new(self.settings.migration.dialect));
        while let Some(text) = source.next().map_err(|error| SetError::of_source(error, script))? {
            assessment.feed(text.as_bytes()).map_err(refused)?;
        }
        Ok(assessment.finish().map_err(refused)?)
    }

    /// Refuses scripts that others would notice more than was allowed.
    pub(super) async fn refuse_risks(&mut self, ids: &[ScriptId]) -> Result<(), Failure> {
        let Some(limit) = self.common.request.max_risk else { return Ok(()) };
        let mut risks = self.risks_of(ids).await?;
        risks.retain(|risk| risk.level > limit);
        if risks.is_empty() { Ok(()) } else { Err(Failure::TooRisky { limit, risks }) }
    }
}

fn sized(impact: Impact, facts: Option<TableFacts>) -> SizedImpact {
    let (size, rows, bytes) = match facts {
        None | Some(TableFacts::Unknown) => (TableSize::Unknown, None, None),
        Some(TableFacts::Missing) => (TableSize::Missing, None, None),
        Some(TableFacts::Found { rows, bytes }) => (TableSize::Bytes(bytes), rows, Some(bytes)),
    };
    SizedImpact { level: impact.level(size), impact, rows, bytes }
}

impl std::fmt::Display for SizedImpact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let impact = &self.impact;
        write!(f, "line {}: {}", impact.place.line, impact.what)?;
        if let Some(table) = &impact.table {
            write!(f, " on {table}")?;
        }
        if let Some(bytes) = self.bytes {
            write!(f, " ({}", in_units(bytes))?;
            if let Some(rows) = self.rows {
                write!(f, ", {rows} rows")?;
            }
            write!(f, ")")?;
        }
        if impact.lock.is_taken() {
            write!(f, ": {}", impact.lock.name)?;
        }
        let waits = match (impact.lock.reads_wait, impact.lock.writes_wait) {
            (true, _) => ", reads and writes wait",
            (false, true) => ", writes wait",
            (false, false) => "",
        };
        f.write_str(waits)?;
        match impact.statements {
            1 => Ok(()),
            several => write!(f, ", {several} such statements"),
        }
    }
}

/// Bytes for people: `8 kB`, `16 MB`.
fn in_units(bytes: u64) -> String {
    let (mut number, mut unit) = (bytes, "B");
    for next in ["kB", "MB", "GB", "TB"] {
        if number < 10_240 {
            break;
        }
        number /= 1024;
        unit = next;
    }
    format!("{number} {unit}")
}
