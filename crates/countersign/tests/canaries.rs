//! Canaries: 60 secrets, cards, names and addresses are planted wherever something comes in, and
//! then looked for wherever something is written. None may stand anywhere outside of ciphertext.
//!
//! Looked into: the log at its most talkative, every answer, `/metrics`, what commands list and what
//! they complain about, and every file in the gateway's folder but the two that hold the secrets.
//! Where the store is PostgreSQL, also into every file of the server: tables, indexes, its log of
//! changes and the one that people read.
//! `events show` is left out: showing is what it is for. So is what `serve` says once at its start,
//! which is where the configuration sends deliveries to.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

#[macro_use]
mod stores;

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gateway::Clock;
use gateway::operators::Seed;
use serde_json::Value;
use stores::{Backend, SERVER};
use tempfile::TempDir;

/// What was planted so far.
#[derive(Default)]
struct Canaries(Vec<String>);

impl Canaries {
    /// Plants one: a text that stands nowhere else, with its number in it.
    fn plant(&mut self, make: impl Fn(usize) -> String) -> String {
        let canary = make(self.0.len() + 10);
        self.0.push(canary.clone());
        canary
    }

    fn name(&mut self) -> String {
        self.plant(|n| format!("Canary{n} Bird{n}"))
    }

    fn email(&mut self) -> String {
        self.plant(|n| format!("canary{n}@birds.example"))
    }

    fn secret(&mut self) -> String {
        self.plant(|n| format!("sk_live_CanaryTest{n}Key0123456789"))
    }

    fn token(&mut self) -> String {
        self.plant(|n| format!("canary{n}token0123456789abcdef"))
    }

    /// A card of its own: its number is counted up until the check digit is right.
    fn card(&mut self) -> String {
        self.plant(|n| {
            let numbers = (0..10).map(|last| format!("4242420{n:03}01357{last}"));
            let found = numbers.into_iter().find(|number| {
                !redact::find(format!("card={number}").as_bytes(), redact::Place::Payload)
                    .is_empty()
            });
            found.expect("one of ten digits is right")
        })
    }

    /// The canaries that stand in these bytes, as they are or in base64.
    fn found(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        // By their first bytes, so that one pass looks for all of them: files are large.
        let mut by_start: HashMap<u64, Vec<(Vec<u8>, &String)>> = HashMap::new();
        for canary in &self.0 {
            for form in forms(canary) {
                let start = form[..8].try_into().expect("canaries are longer");
                by_start.entry(u64::from_be_bytes(start)).or_default().push((form, canary));
            }
        }
        let mut ends = [false; 256];
        by_start.keys().for_each(|start| ends[usize::from(start.to_be_bytes()[7])] = true);
        let mut found = BTreeSet::new();
        let mut last = 0_u64;
        for (index, byte) in bytes.iter().enumerate() {
            last = last << 8 | u64::from(*byte);
            if !ends[usize::from(*byte)] || index < 7 {
                continue;
            }
            for (form, canary) in by_start.get(&last).into_iter().flatten() {
                if bytes[index - 7..].starts_with(form) {
                    found.insert(format!("{place}: {canary}"));
                }
            }
        }
        found.into_iter().collect()
    }
}

/// A canary as it is, and the parts of its base64 that do not depend on what stands around it.
fn forms(canary: &str) -> Vec<Vec<u8>> {
    let encoded = (0..3).map(|offset| {
        let text = STANDARD.encode(format!("{}{canary}", "x".repeat(offset)));
        text.as_bytes()[4..text.len() - 4].to_vec()
    });
    encoded.chain([canary.as_bytes().to_vec()]).collect()
}

/// A gateway of its own folder, and everything that it and its commands wrote.
struct Gateway {
    backend: Backend,
    folder: TempDir,
    process: Child,
    log: File,
    summary: Value,
    written: Vec<(String, Vec<u8>)>,
}

fn command(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).current_dir(folder).env_clear();
    command.output().expect("the binary runs")
}

/// An application that answers with canaries: an error, a redirection, and an error for ever.
fn application(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for (index, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request);
            let answer = answers.get(index.min(answers.len() - 1)).cloned().unwrap_or_default();
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

impl Gateway {
    fn start(backend: Backend, canaries: &mut Canaries) -> Self {
        let answers = vec![
            format!(
                "HTTP/1.1 500 {}\r\nx-note: {}\r\nset-cookie: s={}\r\ncontent-length: 200\r\n\r\n{{\"error\":\"{}\",\"of\":\"{}\"}}",
                canaries.name(),
                canaries.email(),
                canaries.token(),
                canaries.secret(),
                canaries.card()
            ),
            format!(
                "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\nretry-after: {}\r\ncontent-length: 0\r\n\r\n",
                canaries.token(),
                canaries.name()
            ),
        ];
        let address = application(answers);
        let folder = tempfile::tempdir().expect("a folder");
        assert!(command(folder.path(), &["init"]).status.success());
        let config = folder.path().join("countersign.toml");
        let text = std::fs::read_to_string(&config).expect("it is there");
        let text = ["8480", "8481", "8482"]
            .iter()
            .fold(text, |text, port| text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0"))
            .replace("127.0.0.1:9000/webhooks", &format!("{address}/{}", canaries.token()));
        let text = backend.configure(&text);
        let weak = "[[source]]\nname = \"weak\"\nprovider = \"one2pays-body\"\n\
                    secrets = [\"${env:WEAK_SECRET}\"]\nendpoints = [\"app\"]\n\
                    amount_unit = \"satang\"\n";
        std::fs::write(&config, format!("{text}{weak}")).expect("written");
        let env = format!(
            "STRIPE_WEBHOOK_SECRET={}\nAPP_WEBHOOK_SECRET={}\nWEAK_SECRET={}\nUNUSED={}\n",
            canaries.plant(|n| format!("whsec_test_canary{n}0123456789abcdef")),
            canaries.plant(|n| format!(
                "whsec_{}",
                STANDARD.encode(format!("canary {n} {}", "k".repeat(20)))
            )),
            canaries.plant(|n| format!("one2pays_test_canary{n}_0123456789abcdef")),
            canaries.token(),
        );
        std::fs::write(folder.path().join(".env"), env).expect("written");
        canaries.0.push(
            std::fs::read_to_string(folder.path().join("countersign.key"))
                .expect("a key")
                .trim()
                .to_owned(),
        );
        // A file: a pipe that nobody reads would stop a talkative gateway.
        let log = tempfile::tempfile().expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["serve", "--json", "--env-file", ".env", "--log-level", "trace"])
            .current_dir(folder.path())
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(log.try_clone().expect("a file"))
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("text");
        let summary = serde_json::from_str(&line).expect("a summary");
        Self { backend, folder, process, log, summary, written: Vec::new() }
    }

    /// Sends bytes to a listener and keeps the answer.
    fn send(&mut self, listener: &str, request: &str) -> String {
        let address = self.summary[listener].as_str().expect("an address").to_owned();
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        self.written.push((format!("answer of {listener}"), answer));
        text
    }

    /// Posts a body with headers of canaries, signed as the provider does where there is a secret.
    fn post(
        &mut self,
        canaries: &mut Canaries,
        path: &str,
        signer: Option<[&str; 2]>,
        body: &str,
    ) -> String {
        let headers = signer.map_or_else(String::new, |[provider, variable]| {
            std::fs::write(self.folder.path().join("body.json"), body).expect("written");
            let signed = command(
                self.folder.path(),
                &[
                    "--env-file",
                    ".env",
                    "sign",
                    "--provider",
                    provider,
                    "--secret-env",
                    variable,
                    "--body",
                    "body.json",
                    "--json",
                ],
            );
            std::fs::remove_file(self.folder.path().join("body.json")).expect("removed");
            let signed: Value = serde_json::from_slice(&signed.stdout).expect("a JSON line");
            let headers = signed["headers"].as_array().expect("headers").iter();
            let line = |h: &Value| {
                format!(
                    "{}: {}\r\n",
                    h["name"].as_str().unwrap_or_default(),
                    h["value"].as_str().unwrap_or_default()
                )
            };
            headers.map(line).collect()
        });
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}user-agent: {}\r\n\
             authorization: Bearer {}\r\ncookie: id={}\r\nreferer: https://x/?e={}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            canaries.name(),
            canaries.token(),
            canaries.token(),
            canaries.email(),
            body.len()
        );
        self.send("public", &request)
    }

    /// Runs a command and keeps what it says.
    fn run(&mut self, arguments: &[&str]) -> Output {
        let output = command(self.folder.path(), &[&["--env-file", ".env"], arguments].concat());
        for (stream, bytes) in [("output", &output.stdout), ("errors", &output.stderr)] {
            self.written.push((format!("{stream} of {arguments:?}"), bytes.clone()));
        }
        output
    }

    /// Keeps every file that may hold no secret, while the gateway runs.
    fn look_into_files(&mut self) {
        for entry in std::fs::read_dir(self.folder.path()).expect("the folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            // These two hold secrets, and the address of the endpoint is part of the configuration.
            if ![".env", "countersign.key", "countersign.toml"].contains(&name.as_str()) {
                self.written.push((name, std::fs::read(&path).expect("a file")));
            }
        }
    }

    /// The same of the server, where there is one.
    fn look_into_server(&mut self) {
        if matches!(self.backend, Backend::Postgres) {
            SERVER.query("postgres", "CHECKPOINT").expect("everything is written");
            read_all(SERVER.folder(), &mut self.written);
        }
    }

    fn stop(&mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
        self.process.wait().expect("it ends");
        let mut log = Vec::new();
        self.log.rewind().expect("the beginning");
        self.log.read_to_end(&mut log).expect("bytes");
        self.written.push(("log".to_owned(), log));
    }
}

/// Every file of a folder and the folders in it. One that goes away meanwhile held nothing.
fn read_all(folder: &Path, read: &mut Vec<(String, Vec<u8>)>) {
    for entry in folder.read_dir().expect("a folder").flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => read_all(&path, read),
            Ok(kind) if kind.is_file() => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                read.push((path.display().to_string(), bytes));
            }
            _ => {}
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Stripe event that is full of canaries.
fn crowded(canaries: &mut Canaries, id: &str, more: &str) -> String {
    format!(
        r#"{{"id":"{id}","object":"event","type":"of {}","livemode":false,{more}"data":{{"object":{{"id":"pi_1","object":"payment_intent","amount":1999,"currency":"usd","status":"succeeded","customer":"{}","receipt_email":"{}","description":"{} paid with {}","card":{{"number":"{}","cvc":"987"}},"shipping":{{"name":"{}"}},"token":"{}","secret_key":"{}","metadata":{{"order_id":"{}"}}}}}}}}"#,
        canaries.email(),
        canaries.token(),
        canaries.email(),
        canaries.name(),
        canaries.card(),
        canaries.card(),
        canaries.name(),
        canaries.token(),
        canaries.secret(),
        canaries.token(),
    )
}

/// Everything that comes in, with canaries in it.
fn plant(gateway: &mut Gateway, canaries: &mut Canaries) {
    let stripe = Some(["stripe", "STRIPE_WEBHOOK_SECRET"]);
    let body = crowded(canaries, "evt_1", "");
    let query = format!("/in/stripe?key={}&mail={}", canaries.token(), canaries.email());
    assert!(gateway.post(canaries, &query, stripe, &body).starts_with("HTTP/1.1 200 "));
    // The same once more, a conflict, and one that two readers would read in two ways.
    assert!(gateway.post(canaries, "/in/stripe", stripe, &body).starts_with("HTTP/1.1 200 "));
    let conflict = body.replace("1999", "2999");
    assert!(gateway.post(canaries, "/in/stripe", stripe, &conflict).starts_with("HTTP/1.1 200 "));
    let twice = crowded(canaries, "evt_2", "\"id\":\"evt_3\",");
    assert!(gateway.post(canaries, "/in/stripe", stripe, &twice).starts_with("HTTP/1.1 200 "));
    let weak = format!(
        r#"{{"id":"evt_4","type":"payment.succeeded","data":{{"id":"pay_1","amount":"1000.00","currency":"THB","status":"succeeded","referenceId":"{}","note":"{}"}},"createdAt":"2024-01-01T00:00:00Z"}}"#,
        canaries.token(),
        canaries.card()
    );
    let one2pays = Some(["one2pays-body", "WEAK_SECRET"]);
    assert!(gateway.post(canaries, "/in/weak", one2pays, &weak).starts_with("HTTP/1.1 200 "));
    // What nobody signed.
    let unverified = crowded(canaries, "evt_5", "");
    assert!(gateway.post(canaries, "/in/stripe", None, &unverified).starts_with("HTTP/1.1 401 "));
    let unknown = format!("/in/{}", canaries.token());
    assert!(gateway.post(canaries, &unknown, None, "{}").starts_with("HTTP/1.1 401 "));
    let nowhere = format!("/{}/{}", canaries.token(), canaries.email());
    assert!(gateway.post(canaries, &nowhere, None, "{}").starts_with("HTTP/1.1 404 "));
    let garbage = format!("{} / HTTP/1.1\r\n{}\r\n\r\n", canaries.token(), canaries.secret());
    assert!(gateway.send("public", &garbage).starts_with("HTTP/1.1 400 "));
    let admin =
        format!("GET /{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", canaries.token());
    assert!(gateway.send("admin", &admin).starts_with("HTTP/1.1 404 "));
}

/// What an application asks of the API, with canaries wherever it says something. Its key is one, too.
fn ask_api(gateway: &mut Gateway, canaries: &mut Canaries) {
    let allow = ["--allow", "events:read", "--allow", "endpoints:change"];
    let create = [&["--env-file", ".env", "keys", "create", "shop", "--json"], &allow[..]].concat();
    let made = command(gateway.folder.path(), &create);
    let made: Value = serde_json::from_slice(&made.stdout).expect("a key");
    let key = made["key"].as_str().expect("its text").to_owned();
    canaries.0.push(key.clone());
    let head = |method: &str, path: &str, key: &str, more: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n{more}"
        )
    };
    let list = format!("{}\r\n", head("GET", "/v1/events", &key, ""));
    // Strangers are told to wait after ten times, and one is to be told that it is none later on.
    let mut pause = Duration::from_millis(100);
    while !gateway.send("api", &list).starts_with("HTTP/1.1 200 ") {
        assert!(pause < Duration::from_secs(60), "the gateway never knew the key");
        std::thread::sleep(pause);
        pause *= 2;
    }
    let (token, email, secret) = (canaries.token(), canaries.email(), canaries.secret());
    for (path, status) in [
        (format!("/v1/events?source={token}"), "200"),
        (format!("/v1/events?cursor={token}"), "400"),
        (format!("/v1/events?{email}=1"), "400"),
        (format!("/v1/events/{secret}"), "404"),
        (format!("/{token}/{email}"), "404"),
    ] {
        let answer = gateway.send("api", &format!("{}\r\n", head("GET", &path, &key, "")));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    let stranger = format!("{}\r\n", head("GET", "/v1/events", &canaries.token(), ""));
    assert!(gateway.send("api", &stranger).starts_with("HTTP/1.1 401 "));
    let reason = format!("{} asked, and paid with {}", canaries.email(), canaries.card());
    let strange = format!(
        r#"{{"{}":"{}","reason":"{}"}}"#,
        canaries.email(),
        canaries.token(),
        canaries.name()
    );
    for (body, status) in [
        (format!(r#"{{"reason":"{reason}"}}"#), "200"),
        (strange, "400"),
        (canaries.secret(), "400"),
    ] {
        let more = format!(
            "idempotency-key: {}\r\nuser-agent: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            canaries.token(),
            canaries.name(),
            body.len()
        );
        let request = head("POST", "/v1/endpoints/app/resume", &key, &more);
        let answer = gateway.send("api", &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{body}: {answer}");
    }
}

/// The bytes of a seed as it is printed (base32).
fn seed(text: &str) -> Seed {
    let digit = |byte: u8| if byte.is_ascii_uppercase() { byte - b'A' } else { byte - b'2' + 26 };
    let bits = |eight: &[u8]| eight.iter().fold(0, |bits, b| bits << 5 | u64::from(digit(*b)));
    let bytes = text.as_bytes().chunks(8).flat_map(|eight| bits(eight).to_be_bytes()[3..].to_vec());
    Seed::new(bytes.collect::<Vec<u8>>().try_into().expect("20 bytes"))
}

/// What operators show, good and bad: each of it is a canary.
fn ask_desk(gateway: &mut Gateway, canaries: &mut Canaries) {
    let login = canaries.plant(|n| format!("canary{n}.operator"));
    let add = ["--env-file", ".env", "operators", "add", &login, "--role", "viewer", "--json"];
    let made = command(gateway.folder.path(), &add);
    let made: Value = serde_json::from_slice(&made.stdout).expect("an operator");
    let text = |member: &str| made[member].as_str().expect("a text").to_owned();
    let (password, secret) = (text("password"), text("totp_secret"));
    canaries.0.extend([password.clone(), secret.clone()]);
    let code = seed(&secret).code(Clock::System.now());
    let ask = |path: &str, more: &str, body: &str| {
        format!(
            "POST /admin/v1/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let shown = |login: &str, password: &str, code: &str| {
        serde_json::json!({ "login": login, "password": password, "code": code }).to_string()
    };
    let (token, name) = (canaries.token(), canaries.name());
    let agent = format!("user-agent: {name}\r\n");
    for body in [shown(&login, &token, &code), shown(&token, &canaries.secret(), &name)] {
        let answer = gateway.send("admin", &ask("sign-in", &agent, &body));
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    let right = ask("sign-in", &agent, &shown(&login, &password, &code));
    let answer = gateway.send("admin", &right);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // It is shown this once.
    gateway.written.pop();
    let body = answer.split("\r\n\r\n").nth(1).expect("a body");
    let body: Value = serde_json::from_str(body).expect("JSON");
    let token = body["token"].as_str().expect("a token").to_owned();
    canaries.0.push(token.clone());
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n{agent}");
    let stranger = ask("sign-out", &bearer(&canaries.token()), "{}");
    assert!(gateway.send("admin", &stranger).starts_with("HTTP/1.1 401 "));
    let strange = format!(r#"{{"{}":"{}"}}"#, canaries.email(), canaries.token());
    for (body, status) in [(strange.as_str(), "400"), ("{}", "200")] {
        let answer = gateway.send("admin", &ask("sign-out", &bearer(&token), body));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{body}: {answer}");
    }
}

/// Commands that list, and commands that go wrong.
fn command_all(gateway: &mut Gateway, canaries: &mut Canaries) {
    let reason = format!("asked {} with {}", canaries.email(), canaries.card());
    let held = gateway.run(&["events", "list", "--status", "held", "--json"]);
    let held: Value = serde_json::from_slice(&held.stdout).expect("one held event");
    let id = held["id"].as_str().expect("an id").to_owned();
    assert!(gateway.run(&["events", "refuse", &id, "--reason", &reason]).status.success());
    // Whom it blocks is what the command shows; what is refused is not.
    for (kind, of) in [("customer", "stripe"), ("address", "base")] {
        let (party, why) = (canaries.token(), format!("{} was told", canaries.email()));
        let add = ["--env-file", ".env", "blocks", "add", kind, of, &party, "--reason", &why];
        assert!(command(gateway.folder.path(), &add).status.success(), "{kind}");
    }
    let card = canaries.card();
    let refused = gateway.run(&["blocks", "add", "card", "stripe", &card, "--reason", "stolen"]);
    assert!(!refused.status.success());
    for list in [
        &["events", "list", "--all"][..],
        &["events", "list", "--all", "--json"],
        &["deliveries", "list"],
        &["deliveries", "list", "--json"],
        &["endpoints", "list", "--json"],
        &["providers", "list"],
    ] {
        assert!(gateway.run(list).status.success(), "{list:?}");
    }
    let (secret, card, email) = (canaries.secret(), canaries.card(), canaries.email());
    for wrong in [&["serve", "--key", &secret][..], &["events", "show", &card], &[&email]] {
        assert_eq!(gateway.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let folder = gateway.folder.path().to_owned();
    let text = std::fs::read_to_string(folder.join("countersign.toml")).expect("it is there");
    for bad in [
        text.replace("${env:STRIPE_WEBHOOK_SECRET}", &canaries.secret()),
        text.replace("[store]", &format!("[store]\npassword = \"{}\"", canaries.token())),
        text.replace("[store]", &format!("[store]\n\"{}\" = 1", canaries.email())),
        format!("{text}\nsecret = \"{}", canaries.token()),
    ] {
        std::fs::write(folder.join("countersign.toml"), bad).expect("written");
        assert_eq!(gateway.run(&["serve"]).status.code(), Some(3));
    }
    std::fs::write(folder.join("countersign.toml"), text).expect("written");
}

/// Waits until a delivery was attempted twice, so that both answers of the application were read.
fn wait_for_attempts(gateway: &Gateway) {
    let until = Instant::now() + Duration::from_secs(60);
    let attempted = || {
        let listed =
            command(gateway.folder.path(), &["--env-file", ".env", "deliveries", "list", "--json"]);
        String::from_utf8_lossy(&listed.stdout).contains("\"attempts\":2")
    };
    while !attempted() {
        assert!(Instant::now() < until, "the application was not called twice");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn no_canary_stands_anywhere_but_under_seal(backend: Backend) {
    let mut canaries = Canaries::default();
    let mut gateway = Gateway::start(backend, &mut canaries);
    plant(&mut gateway, &mut canaries);
    wait_for_attempts(&gateway);
    ask_api(&mut gateway, &mut canaries);
    ask_desk(&mut gateway, &mut canaries);
    command_all(&mut gateway, &mut canaries);
    let metrics = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(gateway.send("admin", metrics).contains("countersign_redacted_total"));
    gateway.look_into_files();
    gateway.stop();
    gateway.look_into_files();
    gateway.look_into_server();

    assert!(canaries.0.len() >= 60, "{}", canaries.0.len());
    let written = &gateway.written;
    let wanted = match backend {
        Backend::Sqlite => ["countersign.db", "countersign.db-wal"],
        Backend::Postgres => ["/base/", "/pg_wal/"],
    };
    for wanted in wanted {
        assert!(written.iter().any(|(name, _)| name.contains(wanted)), "{wanted}");
    }
    // What is not sealed is found in the store's files, so they are the right ones.
    let kind = b"payment.succeeded";
    let files = written.iter().filter(|(name, _)| name.contains(wanted[0]));
    assert!(files.into_iter().any(|(_, bytes)| bytes.windows(kind.len()).any(|w| w == kind)));
    let log = gateway.written.iter().find(|(name, _)| name == "log").expect("a log");
    assert!(log.1.len() > 1000, "{}", String::from_utf8_lossy(&log.1));
    let found: Vec<String> =
        gateway.written.iter().flat_map(|(name, bytes)| canaries.found(name, bytes)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_canary_that_is_left_somewhere_is_found() {
    let mut canaries = Canaries::default();
    let (secret, card) = (canaries.secret(), canaries.card());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leak.db");
    let encoded = STANDARD.encode(format!("ab{card}cd"));
    std::fs::write(&file, format!("\0\0{secret}\0{encoded}")).expect("written");
    let found = canaries.found("leak.db", &std::fs::read(&file).expect("a file"));
    assert_eq!(found, [format!("leak.db: {card}"), format!("leak.db: {secret}")]);
    assert!(canaries.found("other", b"nothing").is_empty());
}

on_both! {
    no_canary_stands_anywhere_but_under_seal,
}

/// Panics in a process of its own, told to by a variable.
#[test]
fn a_panic_says_nothing_of_what_it_was_about() {
    const ASKED: &str = "CANARY_OF_A_PANIC";
    if let Some(canary) = std::env::var_os(ASKED) {
        countersign::mask_panics();
        panic!("this cannot be: {}", canary.to_string_lossy());
    }
    let mut canaries = Canaries::default();
    for canary in [canaries.secret(), canaries.card(), canaries.email()] {
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "a_panic_says_nothing_of_what_it_was_about", "--nocapture"])
            .env(ASKED, canary)
            .output()
            .expect("it runs");
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("panicked at") && said.contains("this cannot be"), "{said}");
        assert_eq!(canaries.found("errors", &output.stderr), [""; 0]);
    }
}
