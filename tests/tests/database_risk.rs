//! What is said about locks, rewrites and inverses, asked of a real PostgreSQL.

use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::inverse;
use whimbrel_migration::risk::{self, Work};
use whimbrel_tests::postgres::Database;

const SETUP: &str = "
    CREATE TABLE bird (id int NOT NULL, a int, b varchar(20), c int NOT NULL);
    INSERT INTO bird SELECT n, n, n::text, n FROM generate_series(1, 100) n;
    CREATE INDEX bird_a ON bird (a);
    CREATE UNIQUE INDEX bird_id ON bird (id);
    CREATE TABLE egg (id int PRIMARY KEY);
    INSERT INTO egg SELECT generate_series(1, 100);
    ALTER TABLE bird ADD CONSTRAINT later CHECK (a > 0) NOT VALID;
    CREATE VIEW seen AS SELECT id FROM bird;
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER old AFTER INSERT ON bird FOR EACH ROW EXECUTE FUNCTION f();
";

const STATEMENTS: &[&str] = &[
    "ALTER TABLE bird ADD COLUMN d int",
    "ALTER TABLE bird ADD COLUMN d int NOT NULL DEFAULT 5",
    "ALTER TABLE bird ADD COLUMN d timestamptz DEFAULT now()",
    "ALTER TABLE bird ADD COLUMN d timestamptz DEFAULT clock_timestamp()",
    "ALTER TABLE bird ADD COLUMN d uuid DEFAULT gen_random_uuid()",
    "ALTER TABLE bird ADD COLUMN d bigserial",
    "ALTER TABLE bird ADD COLUMN d int GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE bird ADD COLUMN d int GENERATED ALWAYS AS (a + 1) STORED",
    "ALTER TABLE bird ADD COLUMN d numeric(10, 2) DEFAULT 0::numeric(10, 2)",
    "ALTER TABLE bird DROP COLUMN c",
    "ALTER TABLE bird ALTER COLUMN a TYPE bigint",
    "ALTER TABLE bird ALTER COLUMN a SET DEFAULT 1",
    "ALTER TABLE bird ALTER COLUMN a SET NOT NULL",
    "ALTER TABLE bird ALTER COLUMN c DROP NOT NULL",
    "ALTER TABLE bird ALTER COLUMN a SET STATISTICS 100",
    "ALTER TABLE bird ADD CONSTRAINT x CHECK (c > 0)",
    "ALTER TABLE bird ADD CONSTRAINT x CHECK (c > 0) NOT VALID",
    "ALTER TABLE bird ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES egg (id)",
    "ALTER TABLE bird ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES egg (id) NOT VALID",
    "ALTER TABLE bird ADD PRIMARY KEY (id)",
    "ALTER TABLE bird ADD CONSTRAINT x UNIQUE USING INDEX bird_id",
    "ALTER TABLE bird VALIDATE CONSTRAINT later",
    "ALTER TABLE bird DROP CONSTRAINT later",
    "ALTER TABLE bird DISABLE TRIGGER old",
    "ALTER TABLE bird SET (fillfactor = 70)",
    "ALTER TABLE bird SET UNLOGGED",
    "ALTER TABLE bird ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE bird RENAME COLUMN a TO z",
    "ALTER TABLE bird RENAME TO fowl",
    "ALTER TABLE bird OWNER TO postgres",
    "CREATE INDEX x ON bird (c)",
    "CREATE TRIGGER x AFTER INSERT ON bird FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE POLICY x ON bird USING (true)",
    "CREATE RULE x AS ON DELETE TO bird DO ALSO NOTHING",
    "CREATE STATISTICS x ON a, c FROM bird",
    "CREATE TABLE nest (bird int REFERENCES egg (id))",
    "DROP TRIGGER old ON bird",
    "DROP TABLE bird CASCADE",
    "TRUNCATE bird",
    "ANALYZE bird",
    "CLUSTER bird USING bird_a",
    "REINDEX TABLE bird",
    "COMMENT ON TABLE egg IS 'x'",
    "LOCK TABLE bird IN SHARE ROW EXCLUSIVE MODE",
    "UPDATE bird SET a = 1",
    "DELETE FROM bird WHERE a = 1",
    "INSERT INTO bird VALUES (101, 1, 'x', 1)",
];

/// The modes from the weakest to the strongest, as the manual and as `pg_locks` spells them.
const MODES: [(&str, &str); 8] = [
    ("ACCESS SHARE", "AccessShareLock"),
    ("ROW SHARE", "RowShareLock"),
    ("ROW EXCLUSIVE", "RowExclusiveLock"),
    ("SHARE UPDATE EXCLUSIVE", "ShareUpdateExclusiveLock"),
    ("SHARE", "ShareLock"),
    ("SHARE ROW EXCLUSIVE", "ShareRowExclusiveLock"),
    ("EXCLUSIVE", "ExclusiveLock"),
    ("ACCESS EXCLUSIVE", "AccessExclusiveLock"),
];

fn strongest<'a>(names: impl Iterator<Item = &'a str>) -> Option<usize> {
    names.filter_map(|name| MODES.iter().position(|mode| mode.0 == name || mode.1 == name)).max()
}

#[test]
fn the_server_takes_the_locks_and_rewrites_that_are_foretold() {
    let database = Database::create("risk");
    database.ask(SETUP);
    // Every statement is rolled back, so these hold all the time.
    let fact = |sql: String| database.ask(&sql);
    let tables = ["bird", "egg"].map(|table| {
        let oid = fact(format!("SELECT '{table}'::regclass::oid"));
        let file = fact(format!("SELECT pg_relation_filenode('{table}')"));
        (table, oid, file)
    });
    let asked = tables.each_ref().map(|(_, oid, _)| {
        format!(
            "SELECT coalesce(string_agg(mode, ','), '') || '|' || coalesce(pg_relation_filenode({oid}), 0) \
             FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation = {oid}"
        )
    });
    let mut wrong = Vec::new();
    for statement in STATEMENTS {
        let impacts = risk::assess(Dialect::PostgreSql, statement.as_bytes()).expect("well formed");
        let answer =
            database.ask(&format!("BEGIN; {statement}; {} UNION ALL {}; ROLLBACK", asked[0], asked[1]));
        for ((table, _, file), answer) in tables.iter().zip(answer.lines()) {
            let about: Vec<_> = impacts
                .iter()
                .filter(|impact| impact.table.as_ref().is_some_and(|name| name.name == *table))
                .collect();
            let (modes, file_now) = answer.rsplit_once('|').expect("two columns");
            let taken = strongest(modes.split(','));
            let foretold = strongest(about.iter().map(|impact| impact.lock.name));
            // What only reads the other table is in nobody's way.
            if taken > Some(1) && taken != foretold || foretold > taken {
                let name = |mode: Option<usize>| mode.map_or("none", |mode| MODES[mode].0);
                wrong.push(format!(
                    "{statement}: {table}: {} foretold, {} taken",
                    name(foretold),
                    name(taken)
                ));
            }
            let foretold = about.iter().any(|impact| impact.work == Work::Rewrite);
            // A dropped or truncated table has another file, or none, too.
            let is_gone = ["DROP", "TRUNCATE"].iter().any(|word| statement.starts_with(word));
            if !is_gone && foretold != (file != file_now) {
                wrong.push(format!("{statement}: {table}: rewrite foretold: {foretold}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_proposed_undo_leaves_the_schema_as_it_was() {
    let database = Database::create("inverse");
    database.ask(SETUP);
    database.ask("CREATE SCHEMA app; CREATE TABLE app.nest (id int); CREATE TYPE kind AS ENUM ('a', 'b')");
    let before = database.schema();
    let script = "
        CREATE SCHEMA extra;
        CREATE TABLE extra.\"Odd \"\"name\" (id int PRIMARY KEY, t text);
        CREATE UNIQUE INDEX odd_t ON extra.\"Odd \"\"name\" (t);
        CREATE SEQUENCE extra.s START 5;
        CREATE TYPE extra.mood AS ENUM ('sad', 'glad');
        CREATE DOMAIN extra.positive AS int CHECK (VALUE > 0);
        CREATE VIEW extra.v AS SELECT 1 AS a;
        CREATE MATERIALIZED VIEW extra.m AS SELECT 1 AS a;
        CREATE FUNCTION extra.g(a int, VARIADIC b text[]) RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;
        CREATE PROCEDURE extra.p(a int) LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
        ALTER TABLE app.nest ADD COLUMN eggs int DEFAULT 3, ADD CONSTRAINT few CHECK (eggs < 10);
        ALTER TABLE app.nest RENAME eggs TO \"Eggs\";
        ALTER TABLE app.nest RENAME CONSTRAINT few TO \"Few\";
        ALTER TABLE app.nest RENAME TO home;
        ALTER TABLE app.home SET SCHEMA extra;
        ALTER INDEX bird_a RENAME TO bird_a_new;
        ALTER TYPE kind RENAME VALUE 'a' TO 'z';
        ALTER VIEW seen RENAME TO seen_once;
        CREATE TRIGGER new AFTER DELETE ON bird FOR EACH ROW EXECUTE FUNCTION f();
        CREATE POLICY all_of_them ON bird USING (true);
        CREATE STATISTICS related ON a, c FROM bird;
    ";
    let proposal = inverse::propose(Dialect::PostgreSql, script.as_bytes()).expect("well formed");
    assert!(proposal.is_complete(), "{:?}", proposal.missing());
    database.ask(script);
    assert_ne!(database.schema(), before);
    database.ask(&proposal.script());
    assert_eq!(database.schema(), before, "after\n{}", proposal.script());
}
