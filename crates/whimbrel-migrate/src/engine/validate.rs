//! `validate`: files and history, compared.

use serde::Serialize;
use whimbrel_migration::finding::Finding;
use whimbrel_migration::name::Event;
use whimbrel_migration::state::Overview;
use whimbrel_migration::validate::{Purpose, validate};

use super::Engine;
use crate::failure::Failure;

/// What `validate` found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ValidateReport {
    /// Every disagreement.
    pub findings: Vec<Finding>,
    /// How many lines were looked at.
    pub validated: usize,
    /// Scripts are pending and their schema does not exist: only migrate can help.
    pub schema_missing: bool,
    /// There is a schema, and no history table in it.
    #[serde(skip)]
    pub history_missing: bool,
}

impl Engine<'_> {
    /// Compares files and history.
    pub async fn validate(&mut self) -> Result<ValidateReport, Failure> {
        self.fire(Event::BeforeValidate).await?;
        // What cannot be compared at all, such as two scripts of one version, is no error of the validation.
        let report = self.compare().await?;
        if report.findings.is_empty() && !report.schema_missing {
            self.fire(Event::AfterValidate).await?;
        } else {
            // A validation that finds something is an answer, and yet an error to its callbacks.
            self.fire(Event::AfterValidateError).await?;
        }
        Ok(report)
    }

    async fn compare(&mut self) -> Result<ValidateReport, Failure> {
        let history = self.compared_history().await?;
        let exists = history.is_some();
        let history = history.unwrap_or_default();
        let overview = Overview::build(self.set.scripts(), &history, &self.settings.migration)?;
        self.version = overview.current_version().map(|version| version.as_str().to_owned());
        let findings = self.explained(&overview, validate(&overview, Purpose::Validate));
        let validated = overview.rows().len();
        let has_pending = overview.pending().next().is_some();
        let mut schema_missing = false;
        if !exists && has_pending {
            schema_missing = !self.has_schema().await?;
        }
        let history_missing = !exists && !schema_missing;
        Ok(ValidateReport { findings, validated, schema_missing, history_missing })
    }
}
