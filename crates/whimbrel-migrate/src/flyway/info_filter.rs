//! What `info` shows: `-infoSinceDate` and its like, and `-migrationIds`.

use std::cmp::Ordering;

use whimbrel_migration::state::Category;
use whimbrel_migration::version::Version;

use crate::engine::InfoRow;
use crate::parameters::values::Values;

/// What an `info` is restricted to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InfoFilter {
    /// `yyyy-MM-dd HH:mm`, as it sorts.
    since_date: Option<String>,
    until_date: Option<String>,
    since_version: Option<Version>,
    until_version: Option<Version>,
    /// The states as Flyway's enum names them; none: all.
    states: Vec<String>,
    /// Only versions and descriptions, in one line.
    pub ids_only: bool,
}

/// Flyway's names of its states that differ from what it shows of them.
const STATES: [(&str, &str); 18] = [
    ("PENDING", "Pending"),
    ("ABOVE_TARGET", "Above Target"),
    ("BELOW_BASELINE", "Below Baseline"),
    ("BASELINE_IGNORED", "Ignored (Baseline)"),
    ("BASELINE", "Baseline"),
    ("IGNORED", "Ignored"),
    ("MISSING_SUCCESS", "Missing"),
    ("MISSING_FAILED", "Failed (Missing)"),
    ("SUCCESS", "Success"),
    ("UNDONE", "Undone"),
    ("AVAILABLE", "Available"),
    ("FAILED", "Failed"),
    ("OUT_OF_ORDER", "Out of Order"),
    ("FUTURE_SUCCESS", "Future"),
    ("FUTURE_FAILED", "Failed (Future)"),
    ("OUTDATED", "Outdated"),
    ("SUPERSEDED", "Superseded"),
    ("DELETED", "Deleted"),
];

impl InfoFilter {
    /// Reads the options.
    ///
    /// # Errors
    /// When a date, a version or a state is none.
    pub fn new(values: &Values, ids_only: bool) -> Result<Self, String> {
        let version = |name: &str| values.filled(name).map(crate::parameters::fill::version).transpose();
        let states = values.list("infoOfState").iter().map(|name| state(name)).collect::<Result<_, _>>()?;
        Ok(Self {
            since_date: date(values, "infoSinceDate")?,
            until_date: date(values, "infoUntilDate")?,
            since_version: version("infoSinceVersion")?,
            until_version: version("infoUntilVersion")?,
            states,
            ids_only,
        })
    }

    /// Keeps the rows that are asked for. A date or a version says nothing about a row that has none.
    pub fn apply(&self, rows: &mut Vec<InfoRow>) {
        rows.retain(|row| self.keeps(row));
    }

    fn keeps(&self, row: &InfoRow) -> bool {
        let minute = row.installed_on.as_deref().map(|time| time.get(..16).unwrap_or(time));
        let version = row.version.as_deref().and_then(|version| Version::parse(version).ok());
        let not = |order: Ordering, bound: Option<Ordering>| bound != Some(order);
        let compare = |bound: &Option<Version>| Some(version.as_ref()?.cmp(bound.as_ref()?));
        not(Ordering::Less, minute.zip(self.since_date.as_deref()).map(|(row, bound)| row.cmp(bound)))
            && not(
                Ordering::Greater,
                minute.zip(self.until_date.as_deref()).map(|(row, bound)| row.cmp(bound)),
            )
            && not(Ordering::Less, compare(&self.since_version))
            && not(Ordering::Greater, compare(&self.until_version))
            && (self.states.is_empty() || self.states.iter().any(|state| state == row.state.as_str()))
    }
}

/// What `-migrationIds` prints: versions, and descriptions of what has none.
pub fn ids(rows: &[InfoRow]) -> String {
    let id = |row: &InfoRow| match (&row.version, row.category) {
        (Some(version), _) => Some(version.clone()),
        (None, Category::Repeatable) => Some(row.description.clone()),
        (None, _) => None,
    };
    rows.iter().filter_map(id).collect::<Vec<_>>().join(",")
}

fn state(name: &str) -> Result<String, String> {
    let wanted = name.trim().to_uppercase();
    let found = STATES.iter().find(|(name, _)| *name == wanted);
    found.map(|(_, shown)| (*shown).to_owned()).ok_or_else(|| {
        format!(
            "infoOfState: there is no state {wanted} (known: {})",
            STATES.map(|(name, _)| name).join(", ")
        )
    })
}

/// `dd/MM/yyyy HH:mm`, in the order in which it can be compared.
fn date(values: &Values, name: &str) -> Result<Option<String>, String> {
    let Some(text) = values.filled(name) else { return Ok(None) };
    let parsed = jiff::civil::DateTime::strptime("%d/%m/%Y %H:%M", text).map_err(|_| {
        format!("'{text}' is an invalid value for the {name} option. The expected format is 'dd/mm/yyyy \
                 hh:mm', like '13/10/2020 16:30'. See the Flyway documentation for help: https://rd.gt/3jqLqAn")
    })?;
    Ok(Some(parsed.strftime("%Y-%m-%d %H:%M").to_string()))
}

#[cfg(test)]
mod tests {
    use whimbrel_cli::settings::Origin;
    use whimbrel_migration::history::RowType;
    use whimbrel_migration::state::State;

    use super::*;

    fn row(version: Option<&str>, installed_on: Option<&str>, state: State) -> InfoRow {
        InfoRow {
            undo: None,
            difference: None,
            category: if version.is_some() { Category::Versioned } else { Category::Repeatable },
            version: version.map(str::to_owned),
            description: "views".to_owned(),
            row_type: RowType::Sql,
            script: String::new(),
            state,
            installed_rank: None,
            installed_by: None,
            installed_on: installed_on.map(str::to_owned),
            execution_time: None,
            checksum: None,
            file: None,
            run: None,
            image: None,
            reason: None,
        }
    }

    fn kept(options: &[(&str, &str)]) -> String {
        let mut values = Values::default();
        for (name, value) in options {
            values.set(name, *value, Origin::Flag((*name).to_owned()));
        }
        let mut rows = vec![
            row(Some("1"), Some("2026-01-02 03:04:05"), State::Success),
            row(Some("2.0"), Some("2026-02-02 03:04:05"), State::Success),
            row(Some("10"), None, State::Pending),
            row(None, None, State::Pending),
        ];
        InfoFilter::new(&values, false).unwrap().apply(&mut rows);
        ids(&rows)
    }

    #[test]
    fn rows_are_restricted_by_date_version_and_state() {
        assert_eq!(kept(&[]), "1,2.0,10,views");
        assert_eq!(kept(&[("infoSinceVersion", "2"), ("infoUntilVersion", "2")]), "2.0,views");
        assert_eq!(kept(&[("infoSinceDate", "02/02/2026 03:04")]), "2.0,10,views");
        assert_eq!(kept(&[("infoUntilDate", "02/02/2026 03:03")]), "1,10,views");
        assert_eq!(kept(&[("infoOfState", "success, Above_Target")]), "1,2.0");
    }
}
