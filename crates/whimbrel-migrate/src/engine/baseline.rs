//! `baseline`: the row from which a history begins that is not empty.

use serde::Serialize;
use whimbrel_migration::baseline::{BaselineDecision, decide_baseline};

use super::{Engine, callbacks};
use crate::failure::Failure;

/// What `baseline` did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BaselineReport {
    /// The version of the row.
    pub version: String,
    /// Whether the row was there already.
    pub already_there: bool,
    /// Whether its schema had to be made.
    #[serde(skip)]
    pub made_schemas: bool,
}

impl Engine<'_> {
    /// Writes the baseline row, under the lock.
    pub async fn baseline(&mut self) -> Result<BaselineReport, Failure> {
        self.prepare_to_write().await?;
        self.intend_part("baseline");
        self.fire_create_schema().await?;
        self.make_late_schemas().await?;
        self.around(callbacks::BASELINE, async |engine| engine.with_lock(Self::baseline_locked).await).await
    }

    async fn baseline_locked(&mut self) -> Result<BaselineReport, Failure> {
        let history = self.history().await?;
        let settings = self.settings.migration.clone();
        let version = settings.baseline_version.as_str().to_owned();
        let decision = decide_baseline(history.as_ref(), &self.table.quoted(), &settings);
        let mut made_schemas = false;
        let already_there = match decision {
            BaselineDecision::AlreadyThere => true,
            BaselineDecision::Refuse(finding) => return Err((*finding).into()),
            BaselineDecision::Create(row) => {
                let missing = self.schemas_to_make().await?;
                self.create_history(&missing, Some(&row)).await?;
                made_schemas = !missing.is_empty();
                false
            }
        };
        self.version = Some(version.clone());
        Ok(BaselineReport { version, already_there, made_schemas })
    }
}
