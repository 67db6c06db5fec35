//! The runner among people who mean harm, or could: objects that shadow the server's own, hostile names, a role with few
//! rights, another repository's settings, a look into its memory, and what it connects to. Numbers are those of
//! docs/faults.md.

mod common;

use std::process::Command;
use std::time::Duration;

use common::Shop;
use whimbrel_tests::eventually;
use whimbrel_tests::postgres::{host_and_port, psql};
use whimbrel_tests::program::{Ended, Running, clean, run};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn f2_a_password_on_the_command_line_is_no_option_of_ours() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    for options in [&["--password", "canary-f2"][..], &["--url", "postgres://u:canary-f2@127.0.0.1/d"]] {
        let refused = shop.migrate(options).expect_code(2);
        assert!(!refused.says("canary-f2"), "{}", refused.said());
    }
    // Flyway has the option; it works there, and is told to be seen by everybody.
    let jdbc = format!("-url=jdbc:postgresql://{}/{}", host_and_port(), shop.database.name);
    let mut command = shop.project.tool("whimbrel");
    command.args(["flyway", &jdbc, &format!("-user={}", shop.database.user)]);
    command.args([format!("-password={}", shop.database.password), "-locations=filesystem:sql".to_owned()]);
    let ended = run(command.arg("info"), MINUTE).expect_code(0);
    assert!(!ended.says(&shop.database.password), "{}", ended.said());
}

#[test]
fn f4_no_core_file_and_no_look_into_the_memory() {
    let shop = Shop::new(&[("V1__slow.sql", "SELECT pg_sleep(3);\n")]);
    let mut running = Running::start(&mut shop.command("migrate"));
    running.line_with("applying V1__slow.sql", MINUTE);
    let limits = fs_err::read_to_string(format!("/proc/{}/limits", running.id())).expect("it runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert_eq!(core.split_whitespace().nth(5), Some("0"), "{core}");
    // What may be dumped belongs to the user that runs it; what may not belongs to root, whoever runs it.
    let project = fs_err::read_link(format!("/proc/{}/cwd", running.id())).expect("root may look");
    assert_eq!(project, shop.project.path().canonicalize().expect("it is there"));
    let aborted = {
        running.signal(rustix::process::Signal::ABORT);
        running.wait(MINUTE)
    };
    assert_eq!(aborted.code, None, "{}", aborted.said());
    let left: Vec<_> = fs_err::read_dir(shop.project.path())
        .expect("the project is there")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("core"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn f4_another_process_of_the_same_user_cannot_read_the_memory() {
    let shop = Shop::new(&[("V1__slow.sql", "SELECT pg_sleep(3);\n")]);
    // As a user without any right of root's: the program must be one that it may start.
    let folder = tempfile::Builder::new().prefix("whimbrel-user-").tempdir().expect("there is room");
    let mut command =
        as_nobody(&format!("cd '{0}' && exec '{0}/whimbrel-migrate' migrate app", folder.path().display()));
    let program = shop.command("migrate").get_program().to_owned();
    fs_err::copy(program, folder.path().join("whimbrel-migrate")).expect("it can be copied");
    fs_err::copy(shop.project.file("whimbrel.toml"), folder.path().join("whimbrel.toml")).expect("copied");
    fs_err::create_dir(folder.path().join("sql")).expect("folders can be made");
    fs_err::copy(shop.project.file("sql/V1__slow.sql"), folder.path().join("sql/V1__slow.sql"))
        .expect("copied");
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()), MINUTE).expect_code(0);
    let mut running = Running::start(command.env("APP_DATABASE_URL", shop.database.url()));
    running.line_with("applying V1__slow.sql", MINUTE);
    for file in ["environ", "mem", "maps"] {
        let look = run(&mut as_nobody(&format!("cat /proc/{}/{file}", running.id())), MINUTE);
        assert_ne!(look.code, Some(0), "{file}");
        assert!(!look.says(&shop.database.password), "{file}");
    }
    // Without our care it could: any other program of that user shows its environment.
    let open = Running::start(as_nobody("exec sleep 60").env("SECRET", "canary-f4"));
    eventually("the other program runs", MINUTE, || {
        let look = run(&mut as_nobody(&format!("cat /proc/{}/environ", open.id())), MINUTE);
        look.says("canary-f4").then_some(())
    });
    running.wait(MINUTE).expect_code(0);
}

fn as_nobody(script: &str) -> Command {
    let mut command = clean("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-c", script]);
    command
}

/// Functions, operators and tables in `public` with the names of those that our own SQL needs, all of which leave a mark.
const SHADOWS: &str = "
    CREATE TABLE public.mark (what text);
    GRANT ALL ON public.mark TO PUBLIC;
    CREATE FUNCTION public.marked(what text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN INSERT INTO public.mark VALUES (what); RETURN true; END $$;
    CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT public.marked('now'); SELECT pg_catalog.now() $$;
    CREATE FUNCTION public.current_schema() RETURNS name LANGUAGE sql AS $$ SELECT public.marked('schema'); SELECT 'x'::name $$;
    CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT public.marked('setting'); SELECT ''::text $$;
    CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT public.marked('set'); SELECT $2 $$;
    CREATE FUNCTION public.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT public.marked('lock') $$;
    CREATE FUNCTION public.pg_advisory_unlock(bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT public.marked('unlock') $$;
    CREATE FUNCTION public.txid_current() RETURNS bigint LANGUAGE sql AS $$ SELECT public.marked('txid'); SELECT 1::bigint $$;
    CREATE FUNCTION public.coalesced(text) RETURNS text LANGUAGE sql AS $$ SELECT $1 $$;
    CREATE FUNCTION public.same(name, name) RETURNS boolean LANGUAGE sql AS $$ SELECT public.marked('name =') $$;
    CREATE FUNCTION public.same(int, int) RETURNS boolean LANGUAGE sql AS $$ SELECT public.marked('int =') $$;
    CREATE FUNCTION public.same(bigint, bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT public.marked('bigint =') $$;
    CREATE FUNCTION public.same(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT public.marked('text =') $$;
    CREATE FUNCTION public.same(oid, oid) RETURNS boolean LANGUAGE sql AS $$ SELECT public.marked('oid =') $$;
    CREATE FUNCTION public.more(int, int) RETURNS boolean LANGUAGE sql AS $$ SELECT public.marked('int >') $$;
    CREATE FUNCTION public.over(int, int) RETURNS int LANGUAGE sql AS $$ SELECT public.marked('int /'); SELECT 1 $$;
    CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.same);
    CREATE OPERATOR public.= (LEFTARG = int, RIGHTARG = int, FUNCTION = public.same);
    CREATE OPERATOR public.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = public.same);
    CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.same);
    CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.same);
    CREATE OPERATOR public.> (LEFTARG = int, RIGHTARG = int, FUNCTION = public.more);
    CREATE OPERATOR public./ (LEFTARG = int, RIGHTARG = int, FUNCTION = public.over);
    CREATE TABLE public.pg_class (relname name, relnamespace oid, relkind \"char\", oid oid);
    CREATE TABLE public.pg_namespace (nspname name, oid oid);
    CREATE TABLE public.pg_stat_activity (pid int);
    CREATE TABLE public.pg_locks (pid int);
    CREATE TABLE public.flyway_schema_history (installed_rank int);";

#[test]
fn f12_objects_that_shadow_the_servers_own_are_not_used_by_our_own_sql() {
    let shop = Shop::new(&[]);
    shop.database.ask(SHADOWS);
    let (name, user) = (&shop.database.name, &shop.database.user);
    shop.database.ask(&format!("CREATE SCHEMA app AUTHORIZATION \"{user}\""));
    shop.project.replace("whimbrel.toml", "locations = [\"sql\"]", "locations = [\"sql\"]\nschema = \"app\"");
    shop.write("V1__a.sql", "CREATE TABLE app.a (id pg_catalog.int4);\n");
    shop.write("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON app.a (id);\n");
    let verbs = |context: &str| {
        for verb in ["migrate", "info", "validate", "repair", "migrate"] {
            shop.run(verb, &[]).expect_code(0);
        }
        let marks = psql(&shop.database.url(), "SELECT string_agg(what, ' ') FROM public.mark");
        assert_eq!(marks, "", "{context}");
        assert_eq!(shop.database.ask("SELECT count(*) FROM public.flyway_schema_history"), "0");
        assert_eq!(shop.database.ask("SELECT count(*) FROM app.flyway_schema_history"), "2");
    };
    verbs("with the usual search path");
    shop.database.ask("DROP SCHEMA app CASCADE");
    shop.database.ask(&format!(
        "CREATE SCHEMA app AUTHORIZATION \"{user}\"; ALTER DATABASE \"{name}\" SET search_path = app, public"
    ));
    verbs("with public behind ours");
    shop.database.ask(&format!(
        "DROP SCHEMA app CASCADE; CREATE SCHEMA app AUTHORIZATION \"{user}\"; \
         ALTER DATABASE \"{name}\" SET search_path = app, public, pg_catalog"
    ));
    verbs("with public before the server's own");
}

#[test]
fn f10_names_from_settings_are_quoted_wherever_they_go() {
    for name in ["a; DROP TABLE keep", "it's \"so\"", "$$;--", "Straße /* x", "%s\\", "select"] {
        let shop = Shop::new(&[
            ("V1__a.sql", "CREATE TABLE a (id int);\n"),
            ("V2__v.sql", "CREATE INDEX CONCURRENTLY i ON a (id);\n"),
        ]);
        shop.database.ask("CREATE TABLE public.keep (id int)");
        shop.database.ask(&format!("GRANT CREATE ON DATABASE \"{0}\" TO \"{0}\"", shop.database.name));
        let quoted = toml::Value::String(name.to_owned()).to_string();
        let settings = fs_err::read_to_string(shop.project.file("whimbrel.toml")).expect("it is there");
        let names = format!("\n[databases.app.flyway]\nschemas = [{quoted}]\ntable = {quoted}\n");
        shop.project.write("whimbrel.toml", &format!("{settings}{names}"));
        for verb in ["migrate", "info", "validate", "repair", "migrate"] {
            shop.run(verb, &[]).expect_code(0);
        }
        let identifier = format!("\"{}\"", name.replace('"', "\"\""));
        let rows = shop
            .database
            .ask(&format!("SELECT count(*) FROM {identifier}.{identifier} WHERE version IS NOT NULL"));
        assert_eq!(rows, "2", "{name}");
        shop.run("clean", &["--clean-enabled"]).expect_code(0);
        assert_eq!(shop.database.ask("SELECT to_regclass('public.keep') IS NOT NULL"), "t", "{name}");
    }
}

#[test]
fn f31_a_role_with_one_schema_of_its_own_is_enough() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT 1 AS one;\n"),
    ]);
    let user = &shop.database.user;
    // What docs/runner.md says that a role needs: no more.
    shop.database.ask(&format!(
        "ALTER DATABASE \"{0}\" OWNER TO postgres; REVOKE ALL ON DATABASE \"{0}\" FROM PUBLIC; \
         REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE SCHEMA app; \
         GRANT CONNECT ON DATABASE \"{0}\" TO \"{user}\"; GRANT USAGE, CREATE ON SCHEMA app TO \"{user}\"",
        shop.database.name
    ));
    shop.project.replace("whimbrel.toml", "locations = [\"sql\"]", "locations = [\"sql\"]\nschema = \"app\"");
    for verb in ["migrate", "info", "validate", "repair", "migrate"] {
        let ended = shop.run(verb, &[]).expect_code(0);
        assert!(!ended.says("permission denied"), "{verb}: {}", ended.said());
    }
    assert_eq!(shop.database.ask("SELECT count(*) FROM app.flyway_schema_history"), "2");
    assert_eq!(
        shop.database.ask(&format!("SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = '{user}'")),
        "f|f"
    );
}

#[test]
fn f34_settings_of_a_hostile_repository_run_nothing_and_tell_nothing() {
    let shop = Shop::new(&[("V1__a.sql", "SELECT 1;\n")]);
    let mark = shop.project.file("mark");
    let script = format!("#!/bin/sh\ntouch '{}'\n", mark.display());
    for name in ["sql/beforeMigrate.sh", "sql/V2__evil", "sql/afterMigrate.cmd", "sql/V3__evil.sh"] {
        shop.project.write(name, &script);
        run(Command::new("chmod").arg("0755").arg(shop.project.file(name)), MINUTE).expect_code(0);
    }
    shop.project.write("jars/evil.jar", "no jar");
    let flyway = |toml: &str| -> Ended {
        shop.project.write("flyway.toml", toml);
        let mut command = shop.project.tool("whimbrel");
        command.env("CANARY", "canary-f34").args(["flyway", "-locations=filesystem:sql"]);
        command.args([format!("-url=jdbc:postgresql://{}/{}", host_and_port(), shop.database.name)]);
        command.env("FLYWAY_USER", &shop.database.user).env("FLYWAY_PASSWORD", &shop.database.password);
        let ended = run(command.args(["-X", "migrate"]), MINUTE);
        assert!(!ended.says("canary-f34") && !mark.exists(), "{toml}\n{}", ended.said());
        ended
    };
    flyway("[flyway]\nvalidateMigrationNaming = false\n").expect_code(0);
    flyway("[flyway]\njarDirs = [\"jars\"]\n");
    flyway("[flyway]\nresolvers = [\"evil.Resolver\"]\n");
    flyway("[flyway]\n[environments.x]\nurl = \"jdbc:postgresql://127.0.0.1:9/x?u=${env.CANARY}\"\n");
    flyway(
        "[flyway]\nenvironment = \"x\"\n[environments.x]\nurl \
         = \"jdbc:postgresql://127.0.0.1:9/x\"\npassword = \"${env.CANARY}\"\n",
    );
    flyway("[flyway]\nenvironment = \"x\"\n[environments.x]\npassword = \"${exec.touch}\"\n");
    flyway(&format!(
        "[flyway]\nenvironment = \"x\"\n[environments.x]\nprovisioner = \"{}\"\n",
        mark.display()
    ));
    assert_eq!(shop.database.ask("SELECT count(*) FROM flyway_schema_history"), "1");
}

#[test]
fn f24_the_runner_connects_to_its_database_and_to_nothing_else() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    let trace = shop.project.file("trace");
    let ours = shop.command("migrate");
    let mut command = clean("strace");
    command.args(["-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-e", "signal=none", "-o"]).arg(&trace);
    command.arg(ours.get_program()).args(["migrate", "app"]).current_dir(shop.project.path());
    run(command.env("APP_DATABASE_URL", shop.database.url()), MINUTE).expect_code(0);
    let trace = fs_err::read_to_string(trace).expect("strace wrote it");
    let (host, port) =
        host_and_port().split_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).expect("both");
    let connects: Vec<&str> = trace.lines().filter(|line| line.contains("connect(")).collect();
    assert!(!connects.is_empty(), "{trace}");
    for line in connects {
        assert!(line.contains(&format!("htons({port})")) && line.contains(&host), "{line}");
    }
    // No datagram either: no look-up of a name, no message to a collector.
    assert!(!trace.lines().any(|line| line.contains("sa_family=") && line.contains("send")), "{trace}");
}
