//! What `baseline` will do, and what `migrate` does when there is no history table yet.

use crate::{
    finding::{Finding, FlywayCode},
    history::{History, NewRow, RowType},
    settings::Settings,
    version::Version,
};

/// What the verb `baseline` has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaselineDecision {
    /// Make the table with this row.
    Create(Box<NewRow>),
    /// The same baseline is there already.
    AlreadyThere,
    /// It must not be done.
    Refuse(Box<Finding>),
}

/// Decides the verb `baseline`; no history means that there is no table. `table` is the quoted name.
pub fn decide_baseline(history: Option<&History>, table: &str, settings: &Settings) -> BaselineDecision {
    let Some(history) = history else {
        return BaselineDecision::Create(Box::new(NewRow::baseline(settings)));
    };
    let refuse = |slug, message: String, next_step: &str| {
        let finding = Finding::error(slug, message).coded(FlywayCode::Error).next_step(next_step);
        BaselineDecision::Refuse(Box::new(finding))
    };
    let wanted = (&settings.baseline_version, settings.baseline_description.as_str());
    let first_rows = || history.read_rows().iter().take(2);
    // Like Flyway: only the first two rows are looked at, a schema marker may come before the baseline.
    if let Some(row) = first_rows().find(|read| read.row.row_type == RowType::Baseline) {
        if row.version.as_ref() == Some(wanted.0) && row.row.description == wanted.1 {
            return BaselineDecision::AlreadyThere;
        }
        let there = row.row.version.as_deref().unwrap_or_default();
        return refuse(
            "baseline-differs",
            format!(
                "Unable to baseline schema history table {table} with ({},{}) as it has already been baselined with ({there},{})",
                wanted.0, wanted.1, row.row.description
            ),
            "use the baseline that is there, or remove its row by hand",
        );
    }
    let has_schema_marker = first_rows().any(|read| read.row.row_type == RowType::Schema);
    if has_schema_marker && is_zero(wanted.0) {
        return refuse(
            "baseline-version-used",
            format!(
                "Unable to baseline schema history table {table} with version {} as this version was used for schema creation",
                wanted.0
            ),
            "choose a higher baseline version",
        );
    }
    if history.is_empty() {
        return refuse(
            "baseline-table-empty",
            format!(
                "Unable to baseline schema history table {table} as it already exists, and is \
                 empty.\nDelete the schema history table, and run baseline again."
            ),
            "drop the empty history table, then run baseline again",
        );
    }
    refuse(
        "baseline-has-history",
        format!("Unable to baseline schema history table {table} as it already contains migrations"),
        "a database with a history needs no baseline",
    )
}

fn is_zero(version: &Version) -> bool {
    Version::parse("0").is_ok_and(|zero| zero == *version)
}

/// What `migrate` does about a missing history table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstContact {
    /// Make the table, empty.
    CreateTable,
    /// Make the table with a baseline row.
    CreateWithBaseline(Box<NewRow>),
    /// Someone's tables are there, and nobody said what to do.
    Refuse(Box<Finding>),
}

/// Decides what `migrate` does when there is no history table. `non_empty` are the schemas that hold
/// something.
pub fn decide_first_contact(non_empty: &[String], settings: &Settings) -> FirstContact {
    if non_empty.is_empty() || settings.skip_executing {
        return FirstContact::CreateTable;
    }
    if settings.baseline_on_migrate {
        return FirstContact::CreateWithBaseline(Box::new(NewRow::baseline(settings)));
    }
    let names: Vec<String> =
        non_empty.iter().map(|name| crate::sql::quote_identifier(settings.dialect, name)).collect();
    FirstContact::Refuse(Box::new(
        Finding::error(
            "non-empty-schema",
            format!(
                "Found non-empty schema(s) {} but no schema history table. Use baseline() or set \
                 baselineOnMigrate to true to initialize the schema history table.",
                names.join(", ")
            ),
        )
        .coded(FlywayCode::NonEmptySchemaWithoutSchemaHistoryTable)
        .next_step("run baseline, or set baselineOnMigrate, when what is there is the starting point"),
    ))
}
