//! The binary: its help, its streams and its exit codes.

use std::path::Path;
use std::process::Command;

const CANARY: &str = "c4n4ry-s3cret";

const PROJECT: &str = r#"
[project]
name = "shop"

[cluster]
namespace = "shop"

[databases.orders]
locations = ["sql/orders"]
secret = "orders-db"
keys = { url = "ORDERS_DATABASE_URL", user = "ORDERS_DATABASE_USER", password = "ORDERS_DATABASE_PASSWORD" }

[databases.stock]
locations = ["sql/stock"]
secret = "stock-db"
keys = { host = "STOCK_HOST", port = "STOCK_PORT", name = "STOCK_NAME", user = "STOCK_USER", password = "STOCK_PASSWORD" }
"#;

struct Shop(tempfile::TempDir);

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        fs_err::write(folder.path().join("whimbrel.toml"), PROJECT).expect("it can be written");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs_err::write(self.path().join(name), text).expect("it can be written");
    }

    /// Exit code, stdout, stderr, with the project's folder replaced.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_whimbrel-secrets"))
            .env_clear()
            .env("HOME", self.path())
            .current_dir(self.path())
            .args(arguments)
            .output()
            .expect("the binary starts");
        let folder = self.path().canonicalize().expect("it is there");
        let plain = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(&folder.display().to_string(), "SHOP");
            text.replace(&self.path().display().to_string(), "SHOP")
        };
        let (out, err) = (plain(&output.stdout), plain(&output.stderr));
        assert!(!out.contains(CANARY) && !err.contains(CANARY), "{out}\n{err}");
        (output.status.code().unwrap_or(-1), out, err)
    }

    fn show(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        format!("exit {code}\n--- stdout\n{out}--- stderr\n{err}")
    }
}

#[test]
fn help_is_pinned() {
    let shop = Shop::new();
    insta::assert_snapshot!("help", shop.show(&["--help"]));
    insta::assert_snapshot!("help-verify", shop.show(&["verify", "--help"]));
    insta::assert_snapshot!("help-generate", shop.show(&["generate", "--help"]));
}

#[test]
fn generated_values_verify_and_stay_the_same() {
    let shop = Shop::new();
    let (code, first, _) = shop.run(&["generate"]);
    assert_eq!((code, first.lines().count()), (0, 8), "{first}");
    assert_eq!(shop.run(&["generate"]).0, 0);
    insta::assert_snapshot!(shop.show(&["verify", "--from", "local"]));
    let seed = fs_err::read(shop.path().join(".whimbrel/seed")).expect("the seed is there");
    let url = shop.path().join(".whimbrel/secrets/orders-db/ORDERS_DATABASE_URL");
    let before = fs_err::read(&url).expect("the value is there");
    fs_err::remove_dir_all(shop.path().join(".whimbrel/secrets")).expect("it can be removed");
    assert_eq!(shop.run(&["generate", "--to", "folder:.whimbrel/secrets"]).0, 0);
    assert_eq!(fs_err::read(&url).expect("the value is there"), before);
    assert_eq!(fs_err::read(shop.path().join(".whimbrel/seed")).expect("still there"), seed);
}

#[test]
fn other_content_is_never_overwritten() {
    let shop = Shop::new();
    shop.run(&["generate"]);
    shop.write(".whimbrel/secrets/stock-db/STOCK_PASSWORD", CANARY);
    insta::assert_snapshot!(shop.show(&["generate"]));
    assert_eq!(shop.run(&["generate", "--to", "manifests:secrets.yaml"]).0, 0);
    assert_eq!(shop.run(&["generate", "--to", "manifests:secrets.yaml"]).0, 0);
    shop.write("secrets.yaml", CANARY);
    assert_eq!(shop.run(&["generate", "--to", "manifests:secrets.yaml"]).0, 9);
    assert_eq!(fs_err::read_to_string(shop.path().join("secrets.yaml")).expect("it is there"), CANARY);
}

#[test]
fn every_problem_is_told_in_one_run_without_a_value() {
    let shop = Shop::new();
    shop.run(&["generate"]);
    let orders = ".whimbrel/secrets/orders-db";
    shop.write(&format!("{orders}/ORDERS_DATABASE_URL"), &format!("postgres://orders:{CANARY}@db/orders"));
    shop.write(&format!("{orders}/ORDERS_DATABASE_PASSWORD"), &format!("{CANARY}-2\n"));
    fs_err::remove_file(shop.path().join(".whimbrel/secrets/stock-db/STOCK_NAME")).expect("it was there");
    insta::assert_snapshot!(shop.show(&["verify", "--from", "local", "-vv"]));
    insta::assert_snapshot!(shop.show(&["verify", "--from", "local", "--format", "json"]));
}

#[test]
fn a_dotenv_file_serves_all_databases() {
    let shop = Shop::new();
    shop.write(".env", &format!("ORDERS_DATABASE_URL=postgres://o:{CANARY}@db/o\nORDERS_DATABASE_USER=o\n"));
    insta::assert_snapshot!(shop.show(&["verify", "--from", "dotenv:.env", "orders"]));
    shop.write(".env", &format!("{CANARY}\n"));
    let (code, _, err) = shop.run(&["verify", "--from", "dotenv:.env", "orders"]);
    assert_eq!(code, 69, "{err}");
    assert!(err.contains("line 1 is not of the form KEY=value"), "{err}");
}

#[test]
fn waiting_ends_when_the_secrets_come_or_the_time_is_up() {
    let shop = Shop::new();
    let began = std::time::Instant::now();
    let (code, _, err) = shop.run(&["verify", "--from", "local", "--wait", "1"]);
    assert_eq!(code, 3);
    assert!(began.elapsed().as_millis() >= 1000 && err.contains("waiting for up to"), "{err}");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| shop.run(&["verify", "--from", "local", "--wait", "60"]));
        std::thread::sleep(std::time::Duration::from_millis(500));
        shop.run(&["generate"]);
        assert_eq!(waiter.join().expect("it ends").0, 0);
    });
}

#[test]
fn bad_usage_is_two() {
    let shop = Shop::new();
    assert_eq!(shop.run(&["verify", "--from", "vault"]).0, 2);
    assert_eq!(shop.run(&["verify", "--from", "local", "nobody"]).0, 2);
    assert_eq!(shop.run(&["verify", "--from", "local", "--namespace", "x"]).0, 2);
    assert_eq!(shop.run(&["generate", "--to", "-", "--apply"]).0, 2);
    assert_eq!(shop.run(&["verify"]).0, 2, "no kubeconfig");
}

#[test]
fn a_cluster_that_does_not_answer_is_no_answer() {
    let shop = Shop::new();
    kubeconfig(&shop, "k3d-gone", "http://127.0.0.1:1");
    let (code, _, err) = shop.run(&["verify"]);
    assert_eq!(code, 69, "{err}");
}

#[test]
fn a_cluster_that_is_not_local_is_refused_before_anything_is_made() {
    let shop = Shop::new();
    kubeconfig(&shop, "production", "http://203.0.113.1:6443");
    let (code, _, err) = shop.run(&["generate", "--apply"]);
    assert_eq!(code, 9, "{err}");
    assert!(!shop.path().join(".whimbrel").exists());
}

fn kubeconfig(shop: &Shop, name: &str, server: &str) {
    fs_err::create_dir_all(shop.path().join(".kube")).expect("it can be made");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {name}\n\
         clusters: [{{name: {name}, cluster: {{server: \"{server}\"}}}}]\n\
         users: [{{name: u, user: {{token: {CANARY}}}}}]\n\
         contexts: [{{name: {name}, context: {{cluster: {name}, user: u}}}}]\n"
    );
    shop.write(".kube/config", &text);
}
