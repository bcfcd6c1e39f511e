//! Certificates of a running gateway: a good new pair is taken from the disk without a restart, a
//! broken one is not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// A gateway with TLS on its public listener. It is killed when dropped.
struct Gateway {
    folder: TempDir,
    process: Child,
    public: String,
    admin: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Gateway {
    fn start(year: i32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = command(folder.path()).arg("init").output().expect("the binary runs");
        assert!(made.status.success());
        let config = folder.path().join("countersign.toml");
        let text = std::fs::read_to_string(&config).expect("it is there");
        let text = ["8480", "8481", "8482"]
            .iter()
            .fold(text, |text, port| text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0"));
        let tables = "[server.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
        std::fs::write(&config, format!("{text}{tables}")).expect("written");
        let (certificate, key) = pair(year);
        replace(folder.path(), "cert.pem", &certificate);
        replace(folder.path(), "key.pem", &key);

        let log = std::fs::File::create(folder.path().join("serve.log")).expect("a log");
        let mut process = command(folder.path())
            .args(["serve", "--json", "--env-file", ".env"])
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("text");
        let summary: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let of = |key| summary.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        let (public, admin) = (of("public"), of("admin"));
        let gateway = Self { folder, process, public, admin };
        let has_tls = summary.get("public_tls").and_then(serde_json::Value::as_bool);
        assert_eq!(has_tls, Some(true), "{line}{}", gateway.log());
        gateway
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("serve.log")).expect("a log")
    }

    /// Waits until the metrics have this line.
    fn until(&self, name: &str, value: &str) {
        let line = format!("countersign_{name}{{listener=\"public\"}} {value}\n");
        let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let mut seen = String::new();
        for _ in 0..300 {
            seen = ask(&self.admin, request);
            if seen.contains(&line) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{line}never came: {seen}{}", self.log());
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.current_dir(folder).env_clear();
    command
}

/// A certificate that ends with the first day of a year, and its key.
fn pair(year: i32) -> (String, String) {
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
    params.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().expect("a key");
    (params.self_signed(&key).expect("signed").pem(), key.serialize_pem())
}

fn replace(folder: &Path, name: &str, text: &str) {
    let new = folder.join("new.pem");
    std::fs::write(&new, text).expect("written");
    std::fs::set_permissions(&new, PermissionsExt::from_mode(0o600)).expect("set");
    std::fs::rename(&new, folder.join(name)).expect("replaced");
}

fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// 2090-01-01 and 2091-01-01, unix seconds.
const ENDS: [&str; 2] = ["3786912000", "3818448000"];

#[test]
fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
    let gateway = Gateway::start(2090);
    let [first, second] = ENDS;
    gateway.until("certificate_expiry_timestamp_seconds", first);
    let plain = ask(&gateway.public, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!plain.contains("HTTP"), "plain HTTP is cut: {plain}");

    let (certificate, key) = pair(2091);
    replace(gateway.folder.path(), "cert.pem", &certificate);
    replace(gateway.folder.path(), "key.pem", &key);
    gateway.until("certificate_expiry_timestamp_seconds", second);
    gateway.until("certificate_outdated", "0");

    replace(gateway.folder.path(), "key.pem", &pair(2092).1);
    gateway.until("certificate_outdated", "1");
    gateway.until("certificate_expiry_timestamp_seconds", second);
    let log = gateway.log();
    assert!(log.contains("tls_key_mismatch") && log.contains("ERROR"), "{log}");
    assert!(!log.contains("BEGIN"), "{log}");
}
