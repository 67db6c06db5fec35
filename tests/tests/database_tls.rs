//! TLS and logins: the runner gets in where `psql`, that is libpq, gets in with the same parameters, and nowhere else.
//! Certificates are made here, by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use whimbrel_tests::program::{Ended, clean, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::server::Server;

const MINUTE: Duration = Duration::from_secs(60);

const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// An authority of our own, and what it signs.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().expect("there is room") };
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
            "-days",
            "30",
            "-subj",
            "/CN=tests",
        ]);
        authority
    }

    #[track_caller]
    fn openssl(&self, arguments: &[&str]) {
        run(clean("openssl").args(arguments).current_dir(self.folder.path()), MINUTE).expect_code(0);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs_err::read(self.file(name)).expect("openssl made it")
    }

    /// Signs a certificate with this subject and, if it is given, this extension, for so many days from now.
    #[track_caller]
    fn sign(&self, name: &str, subject: &str, extension: Option<&str>, days: &str) {
        let (key, request, certificate) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        self.openssl(&[
            "req", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", subject,
        ]);
        fs_err::write(
            self.file("ext"),
            format!("basicConstraints=CA:FALSE\n{}\n", extension.unwrap_or_default()),
        )
        .expect("it can be written");
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            days,
            "-extfile",
            "ext",
            "-out",
            &certificate,
        ]);
    }

    /// A certificate as PostgreSQL's documentation makes it: its own authority, no alternative names.
    #[track_caller]
    fn self_signed(&self, name: &str, subject: &str) {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        self.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-days",
            "30",
            "-subj",
            subject,
        ]);
    }

    /// Gives a server this certificate; it is started with TLS.
    fn equip(&self, server: &Server, name: &str) {
        server.give("server.crt", &self.read(&format!("{name}.crt")));
        server.give("server.key", &self.read(&format!("{name}.key")));
        server.give("ca.crt", &self.read("ca.crt"));
    }
}

const WITH_TLS: [&str; 3] = ["ssl=on", "log_connections=on", "ssl_ca_file=ca.crt"];

fn server_with(authority: &Authority, certificate: &str, hba: &[&str]) -> Server {
    let server = Server::prepare(hba);
    authority.equip(&server, certificate);
    server.start(&WITH_TLS);
    server
}

/// How somebody logs in.
struct Login<'a> {
    user: &'a str,
    password: &'a str,
    /// Behind the `?` of the URL.
    parameters: String,
}

impl Login<'_> {
    fn superuser(parameters: String) -> Self {
        Self { user: "postgres", password: "postgres", parameters }
    }

    /// The runner's `info` with these credentials, at the name that the certificates are for.
    fn whimbrel(&self, project: &Project, server: &Server) -> Ended {
        let url = format!(
            "postgres://{}:{}@localhost:{}/postgres?{}",
            self.user,
            self.password,
            server.port(),
            self.parameters
        );
        let mut command = project.tool("whimbrel-migrate");
        command.args(["info", "app", "--wait", "0s", "-v"]).env("APP_DATABASE_URL", url);
        run(command.env("HOME", project.path()), MINUTE)
    }

    /// The same by libpq.
    fn libpq(&self, project: &Project, server: &Server) -> Ended {
        let url =
            format!("postgres://{}@localhost:{}/postgres?{}", self.user, server.port(), self.parameters);
        let mut command = clean("psql");
        command.args(["-X", "-q", "-c", "SELECT 1", &url]).env("PGPASSWORD", self.password);
        run(command.env("HOME", project.path()).env("PGAPPNAME", "libpq"), MINUTE)
    }
}

/// `None`: not let in. Else whether the connection was encrypted, by the server's log.
fn way_in(ended: &Ended, server: &Server, log_before: usize) -> Option<bool> {
    (ended.code == Some(0)).then(|| {
        let log = server.log();
        let line = log[log_before..].lines().rfind(|line| line.contains("connection authorized"));
        line.expect("the server logs who comes in").contains("SSL enabled")
    })
}

#[track_caller]
fn same_as_libpq(server: &Server, project: &Project, context: &str, login: &Login<'_>) -> Option<bool> {
    let before = server.log().len();
    let theirs = login.libpq(project, server);
    let their_way = way_in(&theirs, server, before);
    let before = server.log().len();
    let ours = login.whimbrel(project, server);
    let our_way = way_in(&ours, server, before);
    assert_eq!(
        our_way,
        their_way,
        "{context}, {}: None is not let in, else whether by TLS\nours: {}\nlibpq's: {}",
        login.parameters,
        ours.said(),
        theirs.said()
    );
    our_way
}

fn url_of(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn f7_every_sslmode_means_what_it_means_to_libpq() {
    let authority = Authority::new();
    authority.sign("good", "/CN=whatever", Some("subjectAltName=DNS:localhost,IP:127.0.0.1"), "30");
    authority.sign("elsewhere", "/CN=localhost", Some("subjectAltName=DNS:db.example"), "30");
    authority.sign("by-common-name", "/CN=localhost", None, "30");
    authority.sign("expired", "/CN=localhost", Some("subjectAltName=DNS:localhost"), "-1");
    authority.self_signed("documented", "/CN=localhost");
    authority.self_signed("other", "/CN=other");
    let project = Project::small();
    let mut let_in = 0;
    for certificate in ["good", "elsewhere", "by-common-name", "expired", "documented", ""] {
        let server = if certificate.is_empty() {
            let server = Server::prepare(&[]);
            server.start(&["log_connections=on"]);
            server
        } else {
            server_with(&authority, certificate, &[])
        };
        for roots in ["", "ca.crt", "other.crt", "documented.crt", "missing.crt"] {
            for mode in MODES {
                let mut parameters = format!("sslmode={mode}");
                if !roots.is_empty() {
                    parameters.push_str(&format!("&sslrootcert={}", url_of(&authority.file(roots))));
                }
                let context = format!("server's certificate {certificate:?}");
                let login = Login::superuser(parameters);
                let_in += usize::from(same_as_libpq(&server, &project, &context, &login).is_some());
            }
        }
    }
    assert!((60..170).contains(&let_in), "{let_in} of 180 were let in: that proves nothing");
}

#[test]
fn f7_what_the_server_lets_in_by_one_way_only_is_found() {
    let authority = Authority::new();
    authority.sign("good", "/CN=whatever", Some("subjectAltName=DNS:localhost"), "30");
    let project = Project::small();
    for hba in ["hostssl all all all scram-sha-256", "hostnossl all all all scram-sha-256"] {
        let server = server_with(&authority, "good", &[hba]);
        for mode in MODES {
            let parameters = format!("sslmode={mode}&sslrootcert={}", url_of(&authority.file("ca.crt")));
            same_as_libpq(&server, &project, hba, &Login::superuser(parameters));
        }
    }
}

#[test]
fn f7_why_tls_failed_is_told() {
    let authority = Authority::new();
    authority.sign("elsewhere", "/CN=x", Some("subjectAltName=DNS:db.example"), "30");
    let project = Project::small();
    let server = server_with(&authority, "elsewhere", &[]);
    let root = format!("&sslrootcert={}", url_of(&authority.file("ca.crt")));
    for (parameters, part) in [
        (format!("sslmode=verify-full{root}"), "db.example"),
        ("sslmode=verify-full".to_owned(), "sslrootcert=system"),
        ("sslmode=verify-full&sslrootcert=system".to_owned(), "certificate"),
        ("sslmode=require&sslrootcert=system".to_owned(), "sslmode=verify-full"),
    ] {
        let ended = Login::superuser(parameters).whimbrel(&project, &server).expect_code(4);
        assert!(ended.says(part), "{part}\n{}", ended.said());
    }
    let plain = Server::start_new(&[]);
    let ended = Login::superuser("sslmode=require".to_owned()).whimbrel(&project, &plain).expect_code(4);
    assert!(ended.says("does not speak TLS"), "{}", ended.said());
}

#[test]
fn f7_a_client_certificate_logs_in() {
    let authority = Authority::new();
    authority.sign("good", "/CN=whatever", Some("subjectAltName=DNS:localhost"), "30");
    authority.sign("client", "/CN=postgres", None, "30");
    authority.sign("stranger", "/CN=somebody", None, "30");
    run(
        Command::new("chmod")
            .args(["0600"])
            .args(["client.key", "stranger.key"].map(|key| authority.file(key))),
        MINUTE,
    )
    .expect_code(0);
    let project = Project::small();
    let server = server_with(&authority, "good", &["local all all trust", "hostssl all all all cert"]);
    for (name, gets_in) in [("client", true), ("stranger", false), ("", false)] {
        let mut parameters = format!("sslmode=verify-full&sslrootcert={}", url_of(&authority.file("ca.crt")));
        if !name.is_empty() {
            for (word, end) in [("sslcert", "crt"), ("sslkey", "key")] {
                parameters
                    .push_str(&format!("&{word}={}", url_of(&authority.file(&format!("{name}.{end}")))));
            }
        }
        let login = Login::superuser(parameters);
        assert_eq!(same_as_libpq(&server, &project, name, &login), gets_in.then_some(true), "{name}");
    }
    // The keys that Java's driver reads, and those that have a password.
    for (name, options) in [("java.pk8", "-nocrypt -outform DER"), ("locked.key", "-passout pass:canary")] {
        let mut convert = Command::new("openssl");
        convert.args(["pkcs8", "-topk8", "-in"]).arg(authority.file("client.key"));
        convert.args(options.split(' ')).arg("-out").arg(authority.file(name));
        run(&mut convert, MINUTE).expect_code(0);
        let parameters = format!(
            "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
            url_of(&authority.file("ca.crt")),
            url_of(&authority.file("client.crt")),
            url_of(&authority.file(name))
        );
        let ended = Login::superuser(parameters).whimbrel(&project, &server);
        if name == "java.pk8" {
            ended.expect_code(0);
        } else {
            assert!(ended.says("it has a password") && !ended.says("canary"), "{}", ended.said());
        }
    }
}

#[test]
fn f7_a_login_is_bound_to_its_tls_connection() {
    let authority = Authority::new();
    authority.sign("good", "/CN=whatever", Some("subjectAltName=DNS:localhost"), "30");
    let project = Project::small();
    let server = server_with(&authority, "good", &[]);
    for parameters in [
        "sslmode=require&channel_binding=require",
        "sslmode=disable&channel_binding=require",
        "channel_binding=disable",
    ] {
        same_as_libpq(&server, &project, "SCRAM", &Login::superuser(parameters.to_owned()));
    }
    let login = Login::superuser("sslmode=require&channel_binding=require".to_owned());
    login.whimbrel(&project, &server).expect_code(0);
}

#[test]
fn f8_a_password_goes_in_clear_text_only_through_tls() {
    let authority = Authority::new();
    authority.sign("good", "/CN=whatever", Some("subjectAltName=DNS:localhost"), "30");
    let project = Project::small();
    let server = server_with(&authority, "good", &["host all all all password"]);
    let plain = Login::superuser("sslmode=disable".to_owned());
    let refused = plain.whimbrel(&project, &server).expect_code(4);
    assert!(refused.says("clear text"), "{}", refused.said());
    // libpq would have told it to everybody.
    plain.libpq(&project, &server).expect_code(0);
    Login::superuser("sslmode=require".to_owned()).whimbrel(&project, &server).expect_code(0);
}

#[test]
fn f8_an_md5_password_is_warned_about() {
    let project = Project::small();
    let server = Server::prepare(&["host all old all md5", "host all all all scram-sha-256"]);
    server.start(&["password_encryption=md5"]);
    server.ask("CREATE ROLE old LOGIN PASSWORD 'canary-md5'");
    let login = Login { user: "old", password: "canary-md5", parameters: String::new() };
    let ended = login.whimbrel(&project, &server).expect_code(0);
    assert!(ended.says("md5") && !ended.says("canary"), "{}", ended.said());
}

#[test]
fn the_password_file_counts_where_nobody_names_a_password() {
    let project = Project::small();
    let server = Server::start_new(&[]);
    let url = format!("postgres://postgres@localhost:{}/postgres", server.port());
    let info = |home: &Path, file: Option<&Path>| {
        let mut command = project.tool("whimbrel-migrate");
        command.args(["info", "app", "--wait", "0s", "-v"]).env("APP_DATABASE_URL", &url).env("HOME", home);
        if let Some(file) = file {
            command.env("PGPASSFILE", file);
        }
        run(&mut command, MINUTE)
    };
    let chmod = |mode: &str, path: &Path| {
        run(Command::new("chmod").arg(mode).arg(path), MINUTE).expect_code(0);
    };
    let without = info(project.path(), None).expect_code(4);
    assert!(without.says("password"), "{}", without.said());
    project
        .write(".pgpass", &format!("elsewhere:*:*:*:no\nlocalhost:{}:*:postgres:postgres\n", server.port()));
    let file = project.file(".pgpass");
    chmod("0600", &file);
    info(project.path(), None).expect_code(0);
    let elsewhere = tempfile::tempdir().expect("there is room");
    info(elsewhere.path(), Some(&file)).expect_code(0);
    chmod("0644", &file);
    let refused = info(project.path(), None).expect_code(4);
    assert!(refused.says("chmod 0600"), "{}", refused.said());
}
