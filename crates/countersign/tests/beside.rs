//! The commands beside a running gateway, as an operator uses them from another terminal, over each
//! store. That a second gateway is refused is particular to a file.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

#[macro_use]
mod stores;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use stores::Backend;
use tempfile::TempDir;

const STRIPE_BODY: &str = r#"{"id":"evt_1","object":"event","type":"payment_intent.succeeded","livemode":false,"data":{"object":{"id":"pi_1","object":"payment_intent","amount":1999,"currency":"usd","status":"succeeded","metadata":{"order_id":"o-1"}}}}"#;
const WEAK_BODY: &str = r#"{"id":"evt_2","type":"payment.succeeded","data":{"id":"pay_1","amount":"1000.00","currency":"THB","status":"succeeded","referenceId":"order-12345"},"createdAt":"2024-01-01T00:00:00Z"}"#;

/// A gateway of its own folder, store and ports.
struct Gateway {
    folder: Arc<TempDir>,
    process: Child,
    public: String,
    summary: Value,
}

impl Gateway {
    fn start(backend: Backend) -> Self {
        Self::start_with(backend, "")
    }

    /// The same, with more in its configuration.
    fn start_with(backend: Backend, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        run(folder.path(), &["init"]);
        let config = folder.path().join("countersign.toml");
        let text = std::fs::read_to_string(&config).expect("it is there");
        // Free ports, an endpoint that nobody listens on, and a source whose scheme is weak.
        let text = ["8480", "8481", "8482"]
            .iter()
            .fold(text, |text, port| text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0"))
            .replace("127.0.0.1:9000", "127.0.0.1:1");
        let text = backend.configure(&text);
        let weak = "[[source]]\nname = \"weak\"\nprovider = \"one2pays-body\"\n\
                    secrets = [\"${env:WEAK_SECRET}\"]\nendpoints = [\"app\"]\n\
                    amount_unit = \"satang\"\n";
        std::fs::write(&config, format!("{text}{weak}{more}")).expect("written");
        let mut env = std::fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join(".env"))
            .expect("it is there");
        env.write_all(b"WEAK_SECRET=one2pays_test_secret_0123456789abcdef\n").expect("written");
        Self::serve(Arc::new(folder))
    }

    fn serve(folder: Arc<TempDir>) -> Self {
        let mut process = command(folder.path(), &["serve", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("text");
        let Ok(summary) = serde_json::from_str::<Value>(&line) else {
            let mut said = String::new();
            let _ = process.stderr.take().expect("a pipe").read_to_string(&mut said);
            panic!("{line}{said}");
        };
        let public = text_of(&summary, "public");
        Self { folder, process, public, summary }
    }

    /// Signs a body as the provider does, and sends it.
    fn send(&self, provider: &str, source: &str, variable: &str, body: &str) -> String {
        std::fs::write(self.folder.path().join("body.json"), body).expect("written");
        let signed = self.one(&[
            "sign",
            "--provider",
            provider,
            "--secret-env",
            variable,
            "--body",
            "body.json",
            "--json",
        ]);
        let headers = signed.get("headers").and_then(Value::as_array).expect("headers").iter();
        let headers: String = headers
            .map(|header| format!("{}: {}\r\n", text_of(header, "name"), text_of(header, "value")))
            .collect();
        let length = body.len();
        let mut stream = TcpStream::connect(&self.public).expect("it listens");
        write!(
            stream,
            "POST /in/{source} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\
             content-length: {length}\r\n\r\n{body}"
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer.lines().next().unwrap_or_default().to_owned()
    }

    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let out = run(self.folder.path(), arguments);
        out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    fn one(&self, arguments: &[&str]) -> Value {
        let mut lines = self.lines(arguments);
        assert_eq!(lines.len(), 1, "{arguments:?}: {lines:?}");
        lines.remove(0)
    }

    /// A delivery, once it was tried.
    fn tried(&self, delivery: &str) -> Value {
        let mut shown = (0..600).map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            self.one(&["deliveries", "show", delivery, "--json"])
        });
        shown.find(|shown| shown["attempts"] != 0).expect("it is tried")
    }

    /// Asks it to stop and gives its exit code and what it logged.
    fn stop(mut self) -> (Option<i32>, String) {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(told.success());
        let mut log = String::new();
        let mut errors = self.process.stderr.take().expect("a pipe");
        errors.read_to_string(&mut log).expect("text");
        (self.process.wait().expect("it ends").code(), log)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).current_dir(folder).env_clear();
    if folder.join(".env").exists() {
        command.args(["--env-file", ".env"]);
    }
    command
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = command(folder, arguments).output().expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn text_of(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned()
}

fn an_operator_sees_what_arrived_and_decides_what_waits(backend: Backend) {
    let gateway = Gateway::start(backend);
    assert_eq!(gateway.summary["environment"], "test");
    assert!(gateway.summary["notices"].to_string().contains("weak scheme"));
    let good = gateway.send("stripe", "stripe", "STRIPE_WEBHOOK_SECRET", STRIPE_BODY);
    assert_eq!(good, "HTTP/1.1 200 OK");
    let forged = gateway.send("stripe", "stripe", "APP_WEBHOOK_SECRET", STRIPE_BODY);
    assert_eq!(forged, "HTTP/1.1 401 Unauthorized");
    assert_eq!(gateway.send("one2pays-body", "weak", "WEAK_SECRET", WEAK_BODY), "HTTP/1.1 200 OK");

    let events = gateway.lines(&["events", "list", "--json"]);
    let statuses: Vec<_> = events.iter().map(|event| text_of(event, "status")).collect();
    assert_eq!(statuses, ["accepted", "held"]);
    assert_eq!(events[0]["provider_event_id"], "evt_1");
    assert_eq!(events[1]["reason"], "needs_confirmation");

    // Refusals are counted a moment after they are answered.
    let refused = (0..100).find_map(|_| {
        let lines = gateway.lines(&["events", "list", "--json", "--status", "refused"]);
        std::thread::sleep(std::time::Duration::from_millis(50));
        lines.into_iter().next()
    });
    assert_eq!(refused.expect("one was refused")["reason"], "no_matching_key");

    let held = text_of(&events[1], "id");
    assert!(gateway.lines(&["deliveries", "list", "--json", "--event", &held]).is_empty());
    let released = gateway.one(&["events", "release", &held, "--reason", "seen", "--json"]);
    assert_eq!(released["endpoints"], serde_json::json!(["app"]));
    let delivery = gateway.one(&["deliveries", "list", "--json", "--event", &held]);
    assert_eq!(delivery["status"], "pending");
    let again = command(gateway.folder.path(), &["events", "refuse", &held, "--reason", "x"])
        .output()
        .expect("the binary runs");
    assert_eq!(again.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&again.stderr).contains("not_held"));

    let shown = gateway.one(&["events", "show", &held, "--json"]);
    assert_eq!(shown["facts"]["amount"], "1000.00");
    assert_eq!(shown["body"], WEAK_BODY);
    assert_eq!(run(gateway.folder.path(), &["events", "show", &held, "--body"]), WEAK_BODY);
    assert!(run(gateway.folder.path(), &["events", "show", &held]).contains("order-12345"));
}

fn an_operator_pauses_an_endpoint_and_delivers_again(backend: Backend) {
    let gateway = Gateway::start(backend);
    let paused = gateway.one(&["endpoints", "pause", "app", "--json"]);
    assert_eq!(paused["state"], "paused");
    gateway.send("stripe", "stripe", "STRIPE_WEBHOOK_SECRET", STRIPE_BODY);
    assert_eq!(gateway.one(&["endpoints", "list", "--json"])["state"], "paused");
    let delivery = gateway.one(&["deliveries", "list", "--json"]);
    assert_eq!(delivery["attempts"], 0);

    // What is pending is on its way already.
    let id = text_of(&delivery, "id");
    assert_eq!(gateway.one(&["deliveries", "redeliver", &id, "--json"])["redelivered"], 0);
    let dry = ["deliveries", "redeliver", "--since", "1h", "--dry-run", "--json"];
    assert_eq!(gateway.one(&dry)["redelivered"], 0);
    assert_eq!(gateway.one(&["endpoints", "enable", "app", "--json"])["state"], "active");
    assert_eq!(gateway.tried(&id)["tries"][0]["outcome"], "unreachable");
}

#[test]
fn a_second_gateway_on_one_file_is_refused() {
    let gateway = Gateway::start(Backend::Sqlite);
    let second = command(gateway.folder.path(), &["serve"]).output().expect("the binary runs");
    assert_eq!(second.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&second.stderr).contains("store_in_use"));
}

fn a_stop_is_graceful_and_no_log_line_says_a_secret(backend: Backend) {
    let gateway = Gateway::start(backend);
    gateway.send("stripe", "stripe", "STRIPE_WEBHOOK_SECRET", STRIPE_BODY);
    let delivery = text_of(&gateway.one(&["deliveries", "list", "--json"]), "id");
    gateway.tried(&delivery);
    let env = std::fs::read_to_string(gateway.folder.path().join(".env")).expect("it is there");
    let (code, log) = gateway.stop();
    assert_eq!(code, Some(0), "{log}");
    // Away from a terminal each line is JSON, and no secret is in any.
    assert!(log.contains("not delivered"), "{log}");
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        let secrets = env.lines().filter_map(|line| line.split_once('=')).map(|(_, value)| value);
        assert!(secrets.filter(|s| s.len() > 8).all(|secret| !line.contains(secret)), "{line}");
    }
}

/// How a command ended that may fail, and what it said.
fn ended(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(folder, arguments).output().expect("the binary runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn the_log_is_read_proved_and_verified_far_from_the_store(backend: Backend) {
    let gateway = Gateway::start(backend);
    gateway.send("stripe", "stripe", "STRIPE_WEBHOOK_SECRET", STRIPE_BODY);
    gateway.send("stripe", "stripe", "APP_WEBHOOK_SECRET", STRIPE_BODY);
    gateway.one(&["endpoints", "pause", "app", "--json"]);
    let folder = gateway.folder.path();
    let written = |action: &str, is_so: fn(&Value) -> bool| {
        let found = (0..600).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let list = ["audit", "list", "--json", "--action", action];
            gateway.lines(&list).pop().filter(is_so)
        });
        found.unwrap_or_else(|| panic!("{action}: it is not written"))
    };
    let paused = written("endpoint.", |entry| !entry["index"].is_null());
    assert_eq!(paused["changes"], serde_json::json!([["state", "active", "paused"]]));
    assert!(text_of(&paused, "actor").starts_with("cli:"));
    written("arrivals.refused", |_| true);
    let refused = gateway.one(&["audit", "list", "--json", "--action", "arrivals.refused"]);
    assert_eq!((&refused["outcome"], &refused["resource"]), (&"refused".into(), &"stripe".into()));
    // Whoever reads the log stands in it.
    assert!(gateway.lines(&["audit", "list", "--json", "--action", "audit.read"]).len() > 1);
    let index = paused["index"].to_string();
    let shown = gateway.one(&["audit", "show", &index, "--json"]);
    assert_eq!((&shown["unchanged"], &shown["action"]), (&true.into(), &paused["action"]));

    let exported = gateway.one(&["audit", "export", "--out", "log.jsonl", "--json"]);
    let key = run(folder, &["audit", "key"]).trim().to_owned();
    assert_eq!(text_of(&exported, "key"), key);
    assert!(run(folder, &["audit", "verify"]).starts_with("ok: "));
    let proof = run(folder, &["audit", "prove", &index]);
    assert!(proof.starts_with(&format!("c2sp.org/tlog-proof@v1\nindex {index}\n")), "{proof}");
    let grown = gateway.one(&["audit", "consistency", "1", "--json"]);
    assert!(grown["proof"].as_array().is_some_and(|proof| !proof.is_empty()), "{grown}");

    // Elsewhere, without a configuration.
    let far = tempfile::tempdir().expect("a folder");
    let log = std::fs::read_to_string(folder.join("log.jsonl")).expect("it is there");
    let verify = |text: &str, key: &str| {
        std::fs::write(far.path().join("log.jsonl"), text).expect("written");
        ended(far.path(), &["audit", "verify", "log.jsonl", "--key", key, "--json"])
    };
    assert_eq!(verify(&log, &key).0, Some(0));
    let changed = log.replacen("\"active\",\"paused\"", "\"active\",\"passed\"", 1);
    let (code, said) = verify(&changed, &key);
    assert_eq!(code, Some(1));
    let verdict: Value = serde_json::from_str(&said).expect("a verdict");
    assert_eq!(
        (&verdict["verdict"], verdict["index"].to_string()),
        (&"leaf_changed".into(), index)
    );
    assert_eq!(verify(&log, "nonsense").0, Some(4));
    assert_eq!(verify("", &key).0, Some(1));
    assert_eq!(ended(far.path(), &["audit", "verify", "log.jsonl"]).0, Some(2));
    assert_eq!(ended(folder, &["audit", "show", "9999999"]).0, Some(4));
}

fn a_secret_is_rolled_while_the_gateway_runs(backend: Backend) {
    let gateway = Gateway::start(backend);
    let folder = gateway.folder.path();
    let listed = gateway.lines(&["secrets", "list", "--json"]);
    let kept: Vec<_> = listed.iter().map(|one| text_of(one, "kept")).collect();
    assert_eq!(kept, ["configuration"; 3]);
    assert_eq!(listed[0]["age_days"], 0);

    std::fs::write(folder.join("new"), "whsec_test_0123456789abcdef0123456789\n").expect("written");
    std::fs::set_permissions(folder.join("new"), std::fs::Permissions::from_mode(0o600))
        .expect("private");
    let roll = ["secrets", "roll", "--source", "stripe", "--secret-file", "new"];
    let rolled = gateway.one(&[&roll[..], &["--reason", "due", "--json"]].concat());
    assert_eq!((&rolled["overlap"], &rolled["secret"]), (&"24h".into(), &Value::Null));
    let again = ended(folder, &[&roll[..], &["--reason", "due"]].concat());
    assert!(again.0 == Some(4) && again.1.contains("secret_known"), "{again:?}");
    let mut env =
        std::fs::OpenOptions::new().append(true).open(folder.join(".env")).expect("there");
    env.write_all(b"NEW_SECRET=whsec_test_0123456789abcdef0123456789\n").expect("written");
    let accepted = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        gateway.send("stripe", "stripe", "NEW_SECRET", STRIPE_BODY) == "HTTP/1.1 200 OK"
    });
    assert!(accepted, "the new secret verifies");
    let old = gateway.send("stripe", "stripe", "STRIPE_WEBHOOK_SECRET", STRIPE_BODY);
    assert_eq!(old, "HTTP/1.1 200 OK");

    let made = gateway.one(&["secrets", "add", "--endpoint", "app", "--reason", "new", "--json"]);
    assert!(text_of(&made, "secret").starts_with("whsec_"));
    let shown = run(folder, &["secrets", "list"]);
    assert!(!shown.contains("whsec_") && shown.contains("store"), "{shown}");
    let id = text_of(&made, "id");
    let retired = gateway.one(&["secrets", "retire", &id, "--reason", "not used", "--json"]);
    assert_eq!(retired["state"], "retired");
    let configured = text_of(&listed[0], "id");
    for (arguments, code, says) in [
        (&["secrets", "retire", &configured, "--reason", "x"][..], 4, "secret_configured"),
        (&["secrets", "retire", &id, "--reason", "x"], 4, "not_found"),
        (&["secrets", "add", "--source", "nobody", "--reason", "x"], 4, "not_found"),
        (&["secrets", "add", "--source", "stripe", "--reason", "x"], 2, "--secret-file"),
        (&["secrets", "add", "--reason", "x"], 2, "--source"),
        (&["secrets", "roll", "--endpoint", "app", "--overlap", "2h", "--reason", "x"], 2, "24h"),
    ] {
        let (ended, said) = ended(folder, arguments);
        assert!(ended == Some(code) && said.contains(says), "{arguments:?}: {said}");
    }
    std::fs::write(folder.join("new"), "nonsense\n").expect("written");
    let bad = ended(folder, &[&roll[..], &["--reason", "due"]].concat());
    assert!(bad.0 == Some(4) && !bad.1.contains("nonsense"), "{bad:?}");
}

/// What needs a witness: a store from a backup is true in itself.
#[test]
fn a_store_that_was_put_back_is_not_signed_on() {
    let witness =
        "[audit]\norigin = \"shop.example/audit\"\n[[audit.witness]]\nfile = \"checkpoints\"\n";
    let gateway = Gateway::start_with(Backend::Sqlite, witness);
    let folder = gateway.folder.clone();
    let store = folder.path().join("countersign.db");
    gateway.send("stripe", "stripe", "STRIPE_WEBHOOK_SECRET", STRIPE_BODY);
    assert_eq!(gateway.stop().0, Some(0));
    let backup = std::fs::read(&store).expect("it is there");
    let gateway = Gateway::serve(folder.clone());
    gateway.one(&["endpoints", "pause", "app", "--json"]);
    assert_eq!(gateway.stop().0, Some(0));
    let noted = std::fs::read_to_string(folder.path().join("checkpoints")).expect("noted");
    assert!(noted.matches("shop.example/audit\n").count() >= 2, "{noted}");

    std::fs::write(&store, backup).expect("put back");
    for log in ["countersign.db-wal", "countersign.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(log));
    }
    let gateway = Gateway::serve(folder.clone());
    gateway.one(&["endpoints", "enable", "app", "--json"]);
    let (code, log) = gateway.stop();
    assert_eq!(code, Some(0));
    assert!(log.contains("rollback_detected"), "{log}");
    let after = std::fs::read_to_string(folder.path().join("checkpoints")).expect("noted");
    assert_eq!(after, noted, "nothing more is signed");
    let (code, said) =
        ended(folder.path(), &["audit", "verify", "--witness", "checkpoints", "--json"]);
    assert!(said.contains("rolled_back"), "{said}");
    assert_eq!(code, Some(1));
    // Without the witness nobody could tell.
    assert_eq!(ended(folder.path(), &["audit", "verify"]).0, Some(0));
}

on_both! {
    the_log_is_read_proved_and_verified_far_from_the_store,
    a_secret_is_rolled_while_the_gateway_runs,
    an_operator_sees_what_arrived_and_decides_what_waits,
    an_operator_pauses_an_endpoint_and_delivers_again,
    a_stop_is_graceful_and_no_log_line_says_a_secret,
}
