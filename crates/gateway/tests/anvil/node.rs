//! A real EVM node of the test's own, and what an application and its customers do on it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// As npm names the package that holds the binary.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// Where npm installed `@foundry-rs/anvil` and `@openzeppelin/contracts`, if the tests are told.
pub(crate) fn modules() -> Option<PathBuf> {
    let told = std::env::var_os("COUNTERSIGN_TEST_ANVIL").map(PathBuf::from);
    told.map(|folder| folder.join("node_modules"))
}

/// The node. It mines when it is told to.
pub(crate) struct Anvil {
    process: Child,
    address: SocketAddr,
    modules: PathBuf,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// So many wei of a coin with 18 places, from hundredths of it.
pub(crate) fn hundredths(amount: u128) -> u128 {
    amount * 10_u128.pow(16)
}

impl Anvil {
    pub(crate) fn start(modules: PathBuf, chain: u64) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let binary = modules.join(format!("@foundry-rs/anvil-linux-{ARCHITECTURE}/bin/anvil"));
        let port = address.port().to_string();
        let process = Command::new(&binary)
            .args(["--host", "127.0.0.1", "--port", &port, "--chain-id", &chain.to_string()])
            .args(["--no-mining", "--silent", "--balance", "100000"])
            .args(["--slots-in-an-epoch", "4", "--accounts", "10"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let mut anvil = Self { process, address, modules };
        let started = Instant::now();
        while TcpStream::connect(anvil.address).is_err() {
            let ended = anvil.process.try_wait().expect("a child");
            let is_late = started.elapsed() > Duration::from_secs(30);
            assert!(ended.is_none() && !is_late, "anvil does not start: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        anvil
    }

    pub(crate) fn url(&self) -> url::Url {
        format!("http://{}/", self.address).parse().expect("a URL")
    }

    /// The same node over WebSocket.
    pub(crate) fn socket(&self) -> url::Url {
        format!("ws://{}/", self.address).parse().expect("a URL")
    }

    /// One call. An error of the node fails the test.
    pub(crate) fn call(&self, method: &str, parameters: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.address).expect("the node listens");
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let answer: Value = serde_json::from_str(body).expect("JSON");
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The customers and the owner of the token have accounts that the node signs for.
    pub(crate) fn account(&self, number: usize) -> String {
        self.call("eth_accounts", json!([]))[number].as_str().expect("an address").to_owned()
    }

    /// A transaction that waits.
    pub(crate) fn send(&self, transaction: Value) -> String {
        self.call("eth_sendTransaction", json!([transaction])).as_str().expect("a hash").to_owned()
    }

    /// So many hundredths of the coin.
    pub(crate) fn pay(&self, to: &str, amount: u128) -> String {
        let value = format!("{:#x}", hundredths(amount));
        self.send(json!({"from": self.account(0), "to": to, "value": value}))
    }

    pub(crate) fn mine(&self, blocks: u64) {
        self.call("anvil_mine", json!([format!("{blocks:#x}"), "0x1"]));
    }

    /// A token of OpenZeppelin's, all of which the first account has; its address.
    pub(crate) fn token(&self) -> String {
        let path = self
            .modules
            .join("@openzeppelin/contracts/build/contracts/ERC20PresetFixedSupply.json");
        let artefact = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let artefact: Value = serde_json::from_slice(&artefact).expect("JSON");
        let code = artefact["bytecode"].as_str().expect("its code");
        let owner = self.account(0);
        let word = |number: u128| format!("{number:064x}");
        let text = |text: &str| {
            let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("{}{digits:0<64}", word(text.len() as u128))
        };
        // (string name, string symbol, uint256 supply, address owner)
        let parameters = [
            word(0x80),
            word(0xc0),
            word(hundredths(100_000_000)),
            format!("{:0>64}", owner.trim_start_matches("0x")),
            text("Dollar"),
            text("USD"),
        ];
        let data = format!("{code}{}", parameters.concat());
        let hash = self.send(json!({"from": owner, "data": data, "gas": "0x4c4b40"}));
        self.mine(1);
        let receipt = self.call("eth_getTransactionReceipt", json!([hash]));
        assert_eq!(receipt["status"], "0x1", "the token is there");
        receipt["contractAddress"].as_str().expect("its address").to_owned()
    }

    /// So many hundredths of a token.
    pub(crate) fn pay_token(&self, token: &str, to: &str, amount: u128) -> String {
        let to = to.trim_start_matches("0x");
        let data = format!("0xa9059cbb{to:0>64}{:064x}", hundredths(amount));
        self.send(json!({"from": self.account(0), "to": token, "data": data, "gas": "0x30d40"}))
    }

    /// Stops the process where it stands, or lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let process = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status().expect("kill runs");
        assert!(sent.success());
    }
}
