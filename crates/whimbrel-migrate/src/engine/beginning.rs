//! The beginning of a history: its schemas, its table, and a baseline where one is wanted.

use whimbrel_migration::baseline::{FirstContact, decide_first_contact};
use whimbrel_migration::finding::{Finding, FlywayCode};
use whimbrel_migration::history::{History, HistoryRow, NewRow, RowType};
use whimbrel_migration::name;
use whimbrel_migration::sql;
use whimbrel_migration::state::Overview;

use super::Engine;
use crate::failure::Failure;
use crate::report::{Event, Level};

impl Engine<'_> {
    pub(super) async fn missing_schemas(&mut self) -> Result<Vec<String>, Failure> {
        let mut missing = Vec::new();
        for schema in self.settings.all_schemas(&self.table.schema) {
            let there = self.session.schema_exists(&schema).await;
            if !there.map_err(Failure::database("look at the schema"))? {
                missing.push(schema);
            }
        }
        Ok(missing)
    }

    pub(super) async fn has_schema(&mut self) -> Result<bool, Failure> {
        let there = self.session.schema_exists(&self.table.schema).await;
        there.map_err(Failure::database("look at the schema"))
    }

    /// The schemas that were named since the history was made, where they are to be made.
    async fn late_schemas(&mut self) -> Result<Vec<String>, Failure> {
        // One that is alone holds the history.
        let may_lack =
            self.settings.create_schemas && self.settings.all_schemas(&self.table.schema).len() > 1;
        if may_lack { self.missing_schemas().await } else { Ok(Vec::new()) }
    }

    /// Whether a schema was named since the history was made.
    pub(super) async fn has_late_schemas(&mut self) -> Result<bool, Failure> {
        Ok(!self.late_schemas().await?.is_empty())
    }

    /// Makes the schemas that were named since the history was made, with a row that says so.
    pub(super) async fn make_late_schemas(&mut self) -> Result<Option<NewRow>, Failure> {
        if !self.has_late_schemas().await? {
            return Ok(None);
        }
        self.with_lock(async |engine| {
            let (missing, history) = (engine.late_schemas().await?, engine.history().await?);
            let Some(history) = history.filter(|_| !missing.is_empty()) else { return Ok(None) };
            let dialect = engine.table.dialect;
            let row = NewRow::schemas(
                &sql::quote_identifiers(dialect, &missing),
                history.next_rank(&RowType::Schema),
            );
            let by = engine.settings.installed_by.as_deref();
            let makes = missing.iter().filter_map(|schema| sql::create_schema(dialect, schema));
            let statements = makes.chain([sql::insert_row(&engine.table, &row, by)]).collect();
            if !engine.common.dry_run {
                engine.say_making_schemas(&missing);
            }
            engine.execute("make the schemas", statements).await?;
            Ok(Some(row))
        })
        .await
    }

    /// Makes the history; a baseline row counts as what was there.
    pub(super) async fn begin_history(&mut self) -> Result<(), Failure> {
        let rows = self.make_history().await?;
        self.before = self.course(rows).await?.plan.before;
        Ok(())
    }

    /// There is no history table yet: makes it, if what else is in the schema allows it. Under the lock.
    pub(super) async fn make_history(&mut self) -> Result<Vec<HistoryRow>, Failure> {
        let contact = self.first_contact().await?;
        let (missing, baseline) = match contact {
            (missing, FirstContact::CreateTable) => (missing, None),
            (missing, FirstContact::CreateWithBaseline(row)) => (missing, Some(row)),
            (_, FirstContact::Refuse(finding)) => return Err((*finding).into()),
        };
        // A set that cannot be brought together at all must not leave an empty table behind.
        Overview::build(self.set.scripts(), &History::default(), &self.settings.migration)?;
        if baseline.is_some() {
            self.fire(name::Event::BeforeBaseline).await?;
        }
        let written = self.create_history(&missing, baseline.as_deref()).await?;
        if baseline.is_some() {
            self.fire(name::Event::AfterBaseline).await?;
        }
        if self.common.dry_run {
            return Ok(written.iter().map(|row| row.written("", "")).collect());
        }
        Ok(self.rows().await?.unwrap_or_default())
    }

    /// The schemas that are missing, and what to do about the missing table.
    async fn first_contact(&mut self) -> Result<(Vec<String>, FirstContact), Failure> {
        let look = "look at the schema";
        let (mut missing, mut non_empty) = (Vec::new(), Vec::new());
        for schema in self.settings.all_schemas(&self.table.schema) {
            if !self.session.schema_exists(&schema).await.map_err(Failure::database(look))? {
                missing.push(schema);
            } else if !self.session.schema_is_empty(&schema).await.map_err(Failure::database(look))? {
                non_empty.push(schema);
            }
        }
        let lacks_its_own = missing.contains(&self.table.schema);
        if !self.settings.create_schemas {
            missing.clear();
        }
        if !missing.is_empty() {
            // The table is made along with the schema: what is in other schemas does not count any more.
            non_empty.clear();
        }
        let contact = decide_first_contact(&non_empty, &self.settings.migration);
        if lacks_its_own && missing.is_empty() && !matches!(contact, FirstContact::Refuse(_)) {
            return Err(no_schema(&self.table.schema).into());
        }
        Ok((missing, contact))
    }

    /// The schemas that are to be made along with the table; without leave to make any, the table's own has to be there.
    pub(super) async fn schemas_to_make(&mut self) -> Result<Vec<String>, Failure> {
        if self.settings.create_schemas {
            return self.missing_schemas().await;
        }
        if self.has_schema().await? { Ok(Vec::new()) } else { Err(no_schema(&self.table.schema).into()) }
    }

    /// Missing schemas, the table, a baseline row and the row about the schemas, in one transaction; the rows.
    pub(super) async fn create_history(
        &mut self,
        missing: &[String],
        baseline: Option<&NewRow>,
    ) -> Result<Vec<NewRow>, Failure> {
        let dialect = self.table.dialect;
        let mut statements: Vec<String> =
            missing.iter().filter_map(|schema| sql::create_schema(dialect, schema)).collect();
        let (tablespace, by) = (self.settings.tablespace.as_deref(), self.settings.installed_by.as_deref());
        statements.extend(sql::create_history_table(&self.table, tablespace, baseline.map(|row| (row, by))));
        let mut rows: Vec<NewRow> = baseline.cloned().into_iter().collect();
        if !missing.is_empty() {
            let rank = if baseline.is_some() { 2 } else { History::default().next_rank(&RowType::Schema) };
            let row = NewRow::schemas(&sql::quote_identifiers(dialect, missing), rank);
            statements.push(sql::insert_row(&self.table, &row, by));
            rows.push(row);
        }
        if !self.common.dry_run {
            self.say_making_schemas(missing);
            self.say_making_table(baseline.is_some());
        }
        self.execute("make the schema history table", statements).await?;
        Ok(rows)
    }

    fn say_making_schemas(&self, missing: &[String]) {
        for schema in missing {
            self.reporter
                .line(Level::Info, Event::Notice)
                .database(&self.settings.name)
                .with("makes_schema", sql::quote_identifier(self.table.dialect, schema))
                .say(&format!("making schema {schema}"));
        }
    }

    fn say_making_table(&self, with_baseline: bool) {
        self.reporter
            .line(Level::Info, Event::Notice)
            .database(&self.settings.name)
            .with("makes_table", self.table.quoted())
            .with("with_baseline", with_baseline)
            .say(&format!("making the history table {}", self.table.quoted()));
    }
}

fn no_schema(schema: &str) -> Finding {
    let finding = Finding::error("no-schema", format!("schema {schema} does not exist"));
    finding.coded(FlywayCode::DbConnection).next_step("create it, or allow that it is made")
}
