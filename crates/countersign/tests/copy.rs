//! A shop moves from a file to PostgreSQL by the commands that the manual shows.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic like tests"
)]

#[expect(dead_code, reason = "another crate's tests use all of it")]
#[path = "../../store/tests/server/mod.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const TARGET: &str = "countersign_test_moved";

/// A folder with a configuration, a database, and the gateway that runs now.
struct Shop {
    folder: tempfile::TempDir,
    url: String,
}

struct Gateway {
    process: Child,
    public: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Gateway {
    fn stop(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Shop {
    fn open(url: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shop = Self { folder, url };
        assert!(shop.run(&["init"]).status.success());
        let config = std::fs::read_to_string(shop.path("countersign.toml")).unwrap();
        let config = ["8480", "8481", "8482"]
            .iter()
            .fold(config, |text, port| text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0"))
            .replace("127.0.0.1:9000", "127.0.0.1:1");
        let moved = config.replace("sqlite:countersign.db", "${env:DATABASE_URL}");
        assert_ne!(moved, config);
        std::fs::write(shop.path("countersign.toml"), config).unwrap();
        std::fs::write(shop.path("moved.toml"), moved).unwrap();
        shop
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("DATABASE_URL", &self.url);
        if self.path(".env").exists() {
            command.args(["--env-file", ".env"]);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The exit code, and the one line of JSON on standard output.
    fn copy(&self, more: &[&str]) -> (Option<i32>, Value) {
        let mut arguments =
            vec!["store", "copy", "--from", "sqlite:countersign.db", "--to-env", "DATABASE_URL"];
        arguments.extend(["--json"]);
        arguments.extend(more);
        let output = self.run(&arguments);
        let text = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
        let json = serde_json::from_slice(text);
        (output.status.code(), json.unwrap_or_else(|_| panic!("{output:?}")))
    }

    fn list(&self, config: &str, what: &str) -> Vec<Value> {
        let output = self.run(&["--config", config, what, "list", "--json"]);
        assert!(output.status.success(), "{output:?}");
        let lines = output.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        lines.collect()
    }

    fn serve(&self, config: &str) -> Result<Gateway, String> {
        let mut process = self
            .command(&["serve", "--json", "--config", config])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        match serde_json::from_str::<Value>(&line) {
            Ok(summary) => {
                let public = summary["public"].as_str().unwrap().to_owned();
                Ok(Gateway { process, public })
            }
            Err(_) => {
                let mut said = String::new();
                let _ = process.stderr.take().unwrap().read_to_string(&mut said);
                let _ = process.wait();
                Err(said)
            }
        }
    }

    /// Signs an event as the provider does, sends it, and gives the answer's first line.
    fn send(&self, gateway: &Gateway, n: usize) -> String {
        let body = format!(
            r#"{{"id":"evt_{n}","object":"event","type":"payment_intent.succeeded","livemode":false,"data":{{"object":{{"id":"pi_{n}","object":"payment_intent","amount":1999,"currency":"usd","status":"succeeded","metadata":{{"order_id":"o-{n}"}}}}}}}}"#
        );
        std::fs::write(self.path("body.json"), &body).unwrap();
        let sign = ["sign", "--provider", "stripe", "--secret-env", "STRIPE_WEBHOOK_SECRET"];
        let signed = self.run(&[&sign[..], &["--body", "body.json", "--json"]].concat());
        let signed: Value = serde_json::from_slice(&signed.stdout).unwrap();
        let headers = signed["headers"].as_array().unwrap().iter();
        let headers: String = headers
            .map(|header| {
                let text = |key: &str| header[key].as_str().unwrap();
                format!("{}: {}\r\n", text("name"), text("value"))
            })
            .collect();
        let mut stream = TcpStream::connect(&gateway.public).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST /in/stripe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A server of this test, with an empty database that is migrated by the command.
fn database() -> String {
    let server = server::Server::start("-c fsync=off");
    let folder = server.folder().display().to_string().replace('/', "%2F");
    let url = format!("postgres://{}@{folder}/{TARGET}", server::SERVING);
    let owner = format!("postgres://postgres@{folder}/{TARGET}");
    block_on(async {
        server.run("postgres", &format!("CREATE ROLE {} LOGIN", server::SERVING)).await;
        server.run("postgres", &format!("CREATE DATABASE {TARGET}")).await;
        let owner = store::PostgresOptions::new(owner);
        store::Store::migrate_apply(&owner, Some(server::SERVING)).await.unwrap();
    });
    // It ends with this process.
    std::mem::forget(server);
    url
}

#[test]
fn a_shop_moves_while_it_receives() {
    let shop = Shop::open(database());
    let old = shop.serve("countersign.toml").unwrap();
    for n in 1..=3 {
        assert_eq!(shop.send(&old, n), "HTTP/1.1 200 OK");
    }
    let (code, said) = shop.copy(&[]);
    assert_eq!(
        (code, &said["finished"], &said["interrupted"]),
        (Some(0), &false.into(), &false.into())
    );
    assert_eq!(said["tables"][3]["table"], "events");
    assert_eq!(said["tables"][3]["copied"], 3);

    // Neither is it finished beside a gateway, nor served before it is finished.
    let (code, said) = shop.copy(&["--finish"]);
    assert_eq!((code, &said["errors"][0]["code"]), (Some(4), &"store_in_use".into()));
    let early = shop.serve("moved.toml").err().unwrap();
    assert!(early.contains("store_half_copied"), "{early}");

    assert_eq!(shop.send(&old, 4), "HTTP/1.1 200 OK");
    let (code, _) = shop.copy(&[]);
    assert_eq!(code, Some(0));
    assert_eq!(shop.send(&old, 5), "HTTP/1.1 200 OK");
    old.stop();
    let (code, said) = shop.copy(&["--finish"]);
    assert_eq!((code, &said["verified"]), (Some(0), &true.into()), "{said}");
    assert!(said["tables"].as_array().unwrap().iter().all(|table| table["agrees"] == true));
    assert_eq!(said["tables"][3]["source"]["rows"], 5);
    assert_eq!(said["tables"][3]["source"], said["tables"][3]["target"]);

    let (before, after) =
        (shop.list("countersign.toml", "events"), shop.list("moved.toml", "events"));
    assert_eq!(before, after);
    assert_eq!(
        shop.list("countersign.toml", "deliveries").len(),
        shop.list("moved.toml", "deliveries").len()
    );
    let first = before[0]["id"].as_str().unwrap();
    let shown = shop.run(&["--config", "moved.toml", "events", "show", first, "--body"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("pi_1"), "{shown:?}");

    let new = shop.serve("moved.toml").unwrap();
    assert_eq!(shop.send(&new, 2), "HTTP/1.1 200 OK");
    assert_eq!(shop.send(&new, 6), "HTTP/1.1 200 OK");
    assert_eq!(shop.list("moved.toml", "events").len(), 6);
    new.stop();
    let (code, said) = shop.copy(&["--finish"]);
    assert_eq!((code, &said["errors"][0]["code"]), (Some(4), &"copy_served".into()), "{said}");
}

#[test]
fn what_cannot_be_copied_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["store", "copy", "--json"]).args(arguments).current_dir(folder.path());
        let output = command.env_clear().output().unwrap();
        let said: Value = serde_json::from_slice(&output.stderr).unwrap_or(Value::Null);
        (output.status.code(), said["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
    };
    let server = "postgres://serve_test@localhost:1/countersign";
    let check = |arguments: &[&str], code: i32, expected: &str| {
        assert_eq!(run(arguments), (Some(code), expected.to_owned()), "{arguments:?}");
    };
    check(&["--from", server, "--to", server], 4, "copy_source_is_server");
    check(&["--from", "sqlite:a.db", "--to", "sqlite:b.db"], 4, "copy_target_is_file");
    check(&["--from", "a.db", "--to", server], 2, "usage");
    let secret = "postgres://serve_test:p_test_1@localhost:1/countersign";
    check(&["--from", "sqlite:a.db", "--to", secret], 2, "usage");
    check(&["--from", "sqlite:a.db", "--to-env", "NOT_SET"], 3, "variable_unset");
    check(&["--from", "sqlite:a.db", "--to", server], 4, "store_unreachable");
    assert_eq!(run(&["--from", "sqlite:a.db"]).0, Some(2));
    assert!(!Path::new(&folder.path().join("a.db")).exists());
}
