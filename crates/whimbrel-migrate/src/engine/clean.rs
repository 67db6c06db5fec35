//! `clean`: schemas that are emptied, or dropped where they were made for the history.

use serde::Serialize;
use whimbrel_migration::history::RowType;
use whimbrel_migration::sql;

use super::{Engine, callbacks};
use crate::failure::Failure;
use crate::report::{self, Level};

/// What `clean` did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CleanReport {
    /// Schemas that were emptied.
    pub cleaned: Vec<String>,
    /// Schemas that a marker said were ours, and that are gone.
    pub dropped: Vec<String>,
    /// Schemas that were not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

impl Engine<'_> {
    /// Drops everything in the schemas, where that is allowed.
    pub async fn clean(&mut self) -> Result<CleanReport, Failure> {
        if !self.common.clean_enabled {
            return Err(Failure::CleanDisabled { schema: self.table.schema.clone() });
        }
        let ours = self.schemas_of_ours().await?;
        let schemas = self.settings.all_schemas(&self.table.schema);
        let (dropped, cleaned): (Vec<_>, Vec<_>) =
            schemas.into_iter().partition(|schema| ours.contains(schema));
        let absent = self.missing_schemas().await?;
        let (missing, cleaned) = cleaned.into_iter().partition(|schema| absent.contains(schema));
        let report = CleanReport { cleaned, dropped, missing };
        self.prepare_to_write().await?;
        self.intend_part("clean");
        let CleanReport { cleaned, dropped, .. } = &report;
        self.around(callbacks::CLEAN, async |engine| {
            engine.with_lock(async |engine| engine.clean_locked(cleaned, dropped).await).await
        })
        .await?;
        if !self.common.dry_run {
            self.version = None;
        }
        Ok(report)
    }

    async fn clean_locked(&mut self, cleaned: &[String], dropped: &[String]) -> Result<(), Failure> {
        if self.common.dry_run {
            return self.intend_clean(cleaned, dropped).await;
        }
        for schema in cleaned {
            if self.session.schema_exists(schema).await.map_err(Failure::database("look at the schema"))? {
                self.say_dropping(&format!("dropping everything in schema {schema}"));
                self.session.clean_schema(schema).await.map_err(Failure::database("clean the schema"))?;
            }
        }
        for schema in dropped {
            self.say_dropping(&format!("dropping schema {schema}"));
            self.session.drop_schema(schema).await.map_err(Failure::database("drop the schema"))?;
        }
        Ok(())
    }

    fn say_dropping(&self, message: &str) {
        let line = self.reporter.line(Level::Warn, report::Event::Notice).database(&self.settings.name);
        line.with("slug", "dropping").say(message);
    }

    async fn intend_clean(&mut self, cleaned: &[String], dropped: &[String]) -> Result<(), Failure> {
        let look = "look at what is in the schema";
        for schema in cleaned {
            let statements = self.session.clean_statements(schema).await.map_err(Failure::database(look))?;
            self.execute(look, statements).await?;
        }
        for schema in dropped {
            let statements = self.session.drop_statements(schema).await.map_err(Failure::database(look))?;
            self.execute(look, statements).await?;
        }
        Ok(())
    }

    /// The schemas that a marker row of the history says were made for it. Other rows may be such that nobody can go on
    /// from them: `clean` is a way out.
    async fn schemas_of_ours(&mut self) -> Result<Vec<String>, Failure> {
        let Some(rows) = self.rows().await? else { return Ok(Vec::new()) };
        let markers: Vec<&str> = rows
            .iter()
            .filter(|row| row.installed_rank >= 0 && row.row_type == RowType::Schema)
            .map(|row| row.script.as_str())
            .collect();
        let schemas = self.settings.all_schemas(&self.table.schema).into_iter();
        Ok(schemas
            .filter(|schema| {
                let quoted = sql::quote_identifier(self.table.dialect, schema);
                markers.iter().any(|marker| marker.split(',').any(|name| name == quoted))
            })
            .collect())
    }
}
