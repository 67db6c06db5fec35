//! Emptying a schema, as Flyway's `clean` does it: the schema stays, its objects go.

use whimbrel_migration::sql::postgres::{quote_identifier, quote_literal};

use super::Postgres;
use crate::error::DatabaseError;

impl Postgres {
    /// Drops everything in the schema, all in one transaction. Objects that belong to extensions stay; extensions
    /// of this role go.
    pub(crate) async fn clean_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        let statements = self.clean_statements(schema).await?;
        self.transaction(&statements).await
    }

    /// What empties a schema: it finds what is there when it runs.
    #[expect(clippy::unused_async, reason = "other engines have to ask for what is there")]
    pub(crate) async fn clean_statements(&mut self, schema: &str) -> Result<Vec<String>, DatabaseError> {
        let schema = quote_literal(schema);
        Ok(vec![drop_extensions(&schema), drop_objects(&schema)])
    }

    /// Drops a schema that a marker row says we made.
    pub(crate) async fn drop_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        let statements = self.drop_statements(schema).await?;
        self.transaction(&statements).await
    }

    /// What drops a schema.
    #[expect(clippy::unused_async, reason = "other engines have to ask for what is there")]
    pub(crate) async fn drop_statements(&mut self, schema: &str) -> Result<Vec<String>, DatabaseError> {
        Ok(vec![format!("DROP SCHEMA IF EXISTS {} CASCADE", quote_identifier(schema))])
    }
}

fn drop_extensions(schema: &str) -> String {
    format!(
        "DO $clean$ DECLARE name text; BEGIN \
         FOR name IN SELECT pg_catalog.format('%I', e.extname) FROM pg_catalog.pg_extension e \
           JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
           WHERE n.nspname = {schema} AND pg_catalog.pg_get_userbyid(e.extowner) = current_user \
         LOOP EXECUTE 'DROP EXTENSION IF EXISTS ' || name || ' CASCADE'; END LOOP; END $clean$"
    )
}

/// One loop over all kinds, in an order in which little is left for CASCADE; what went with an earlier one is
/// passed over by IF EXISTS.
fn drop_objects(schema: &str) -> String {
    // What belongs to an extension goes with it, and the functions that make a range with its type.
    let not_of_another = |class: &str, oid: &str, kinds: &str| {
        format!(
            "NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{class}'::pg_catalog.regclass \
             AND d.objid = {oid} AND d.deptype IN ({kinds}))"
        )
    };
    format!(
        "DO $clean$ DECLARE statement text; BEGIN \
         FOR statement IN \
           SELECT s FROM ( \
             SELECT CASE c.relkind WHEN 'm' THEN 1 WHEN 'v' THEN 1 WHEN 'S' THEN 5 ELSE 2 END AS o, \
               pg_catalog.format('DROP %s IF EXISTS %I.%I CASCADE', \
               CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' \
                 WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, n.nspname, c.relname) AS s \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {schema} AND c.relkind IN ('m', 'v', 'r', 'p', 'S', 'f') AND {class_free} \
             UNION ALL \
             SELECT 3, pg_catalog.format('DROP %s IF EXISTS %I.%I(%s) CASCADE', \
               CASE p.prokind WHEN 'a' THEN 'AGGREGATE' WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, \
               n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) \
             FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
             WHERE n.nspname = {schema} AND {proc_free} \
             UNION ALL \
             SELECT 4, pg_catalog.format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, t.typname) \
             FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
             LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid \
             WHERE n.nspname = {schema} AND t.typtype IN ('b', 'c', 'd', 'e', 'r') AND t.typelem = 0 \
               AND (t.typrelid = 0 OR c.relkind = 'c') AND {type_free} \
             UNION ALL \
             SELECT 6, pg_catalog.format('DROP COLLATION IF EXISTS %I.%I CASCADE', n.nspname, l.collname) \
             FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace \
             WHERE n.nspname = {schema} \
           ) AS objects ORDER BY o \
         LOOP EXECUTE statement; END LOOP; END $clean$",
        class_free = not_of_another("pg_class", "c.oid", "'e'"),
        proc_free = not_of_another("pg_proc", "p.oid", "'e', 'i'"),
        type_free = not_of_another("pg_type", "t.oid", "'e'"),
    )
}
