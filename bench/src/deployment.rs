//! A gateway in a temporary folder: its configuration, its key, its store, and its commands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tempfile::TempDir;

use crate::server::{Server, free_address};
use crate::stripe::SECRET;

/// The path that events are sent to.
pub const SOURCE_PATH: &str = "/in/stripe";

/// The folder of the store, in the folder of the deployment: a disk can be mounted over it.
const DISK: &str = "disk";

/// The name of the configuration's file.
const CONFIGURATION: &str = "countersign.toml";

/// How much is told of the log of a gateway that did not become ready.
const SAID_LINES: usize = 20;

/// The name of the store's file.
pub const STORE_FILE: &str = "countersign.db";

/// Nothing listens there: a paused endpoint is never dialled.
pub const NO_APPLICATION: &str = "http://127.0.0.1:9/webhooks";

/// Whether what is accepted is also sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deliveries {
    /// Recorded, not sent: the acknowledgement path alone.
    Paused,
    /// Sent as they come.
    Sent,
}

/// A folder with everything that `countersign serve` needs. Removed when dropped.
#[derive(Debug)]
pub struct Deployment {
    binary: PathBuf,
    folder: TempDir,
    root_key: String,
    /// Where webhooks are taken.
    pub public: SocketAddr,
    /// Where `/readyz` is.
    pub admin: SocketAddr,
    /// Where applications ask.
    pub api: SocketAddr,
    /// What every command is run under, such as `nsenter`.
    pub within: Vec<String>,
    /// Run the gateway with this defect; the binary must be built to have it.
    pub sabotage: Option<&'static str>,
}

impl Deployment {
    /// Writes the folder. The store is made by the first start.
    ///
    /// # Errors
    /// When it cannot be written, or no port is free.
    pub fn new(binary: &Path, endpoint_url: &str, deliveries: Deliveries) -> Result<Self> {
        Self::with_store(binary, endpoint_url, deliveries, &file_url())
    }

    /// The same over the store at this URL.
    ///
    /// # Errors
    /// When it cannot be written, or no port is free.
    pub fn with_store(
        binary: &Path,
        endpoint_url: &str,
        deliveries: Deliveries,
        store: &str,
    ) -> Result<Self> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).context("no randomness")?;
        let root_key = format!("cs_root_{}", URL_SAFE_NO_PAD.encode(random));
        let (public, admin, api) = (free_address()?, free_address()?, free_address()?);
        let paused = deliveries == Deliveries::Paused;
        let configuration = format!(
            r#"environment = "test"

[server]
public = "{public}"
admin = "{admin}"
api = "{api}"

[store]
url = "{store}"

[vault]
key = "${{file:countersign.key}}"

[[source]]
name = "stripe"
provider = "stripe"
secrets = ["${{env:STRIPE_WEBHOOK_SECRET}}"]
endpoints = ["app"]

[[endpoint]]
name = "app"
url = "{endpoint_url}"
secret = "${{env:APP_WEBHOOK_SECRET}}"
allow_private = true
paused = {paused}
"#
        );
        Ok(Self {
            binary: binary.to_owned(),
            folder: folder_with(&root_key, &configuration)?,
            root_key,
            public,
            admin,
            api,
            within: Vec::new(),
            sabotage: None,
        })
    }

    /// Another replica: the same key, secrets and configuration, with a folder and ports of its own.
    ///
    /// # Errors
    /// When it cannot be written, or no port is free.
    pub fn replica(&self) -> Result<Self> {
        let (public, admin, api) = (free_address()?, free_address()?, free_address()?);
        let mut configuration = std::fs::read_to_string(self.configuration())?;
        for (of_this, of_other) in [(self.public, public), (self.admin, admin), (self.api, api)] {
            configuration = configuration.replace(&of_this.to_string(), &of_other.to_string());
        }
        Ok(Self { public, admin, api, ..self.again_with(&configuration)? })
    }

    /// The same gateway, its addresses too, over another store than the file: one of the two can
    /// run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn moved_to(&self, store: &str) -> Result<Self> {
        let configuration = std::fs::read_to_string(self.configuration())?;
        self.again_with(&configuration.replace(&file_url(), store))
    }

    fn again_with(&self, configuration: &str) -> Result<Self> {
        Ok(Self {
            binary: self.binary.clone(),
            folder: folder_with(&self.root_key, configuration)?,
            root_key: self.root_key.clone(),
            public: self.public,
            admin: self.admin,
            api: self.api,
            within: self.within.clone(),
            sabotage: self.sabotage,
        })
    }

    /// Brings the schema of a server's store up to this version, as its owner at this URL, and gives
    /// the role its rights.
    ///
    /// # Errors
    /// When it is refused.
    pub fn migrate(&self, owner_url: &str, serving_role: &str) -> Result<()> {
        let arguments =
            ["migrate", "--apply", "--serving-role", serving_role, "--url-env", "OWNER"];
        let output = self.run(&arguments, &[("OWNER", owner_url)])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "migrate ended with {}: {said}", output.status);
        Ok(())
    }

    /// Runs a command with these variables beside the gateway, to its end.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
        let mut command = self.command(&[], arguments);
        command.envs(variables.iter().copied()).output().context("cannot run the binary")
    }

    /// Starts a command beside the gateway, and keeps what it says.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.command(&[], arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().context("cannot run the binary")
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join(CONFIGURATION)
    }

    /// Changes the configuration that the next start reads.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn configure(&self, change: impl FnOnce(&str) -> String) -> Result<()> {
        let file = self.configuration();
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, change(&text)).context("cannot write the configuration")
    }

    /// Starts the gateway and waits until it is ready. What it logs is kept in the folder.
    ///
    /// # Errors
    /// When it does not become ready; the error ends with what it said.
    pub fn serve(&self) -> Result<Server> {
        self.serve_until("/readyz", &[])
    }

    /// Starts the gateway under another command, such as `strace`, and waits until this path of its
    /// admin listener answers 2xx.
    ///
    /// # Errors
    /// When it does not; the error ends with what it said.
    pub fn serve_until(&self, path: &str, under: &[String]) -> Result<Server> {
        Server::start(self.serve_command(under)?, self.admin, path).with_context(|| {
            let said = std::fs::read_to_string(self.log()).unwrap_or_default();
            let end = said.lines().count().saturating_sub(SAID_LINES);
            let last: Vec<_> = said.lines().skip(end).collect();
            format!("the gateway said at last:\n{}", last.join("\n"))
        })
    }

    /// Starts the gateway and does not wait for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self) -> Result<Server> {
        Server::spawn(&mut self.serve_command(&[])?)
    }

    fn serve_command(&self, under: &[String]) -> Result<Command> {
        let mut command = self.command(under, &["serve"]);
        command.stdout(Stdio::null()).stderr(std::fs::File::create(self.log())?);
        if let Some(defect) = self.sabotage {
            command.env("COUNTERSIGN_SABOTAGE", defect);
        }
        Ok(command)
    }

    /// What the gateway logged since its last start.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("serve.log")
    }

    /// Runs a command that prints JSON lines beside the gateway, and gives the lines.
    ///
    /// # Errors
    /// When it fails, or prints something else.
    pub fn lines(&self, arguments: &[&str]) -> Result<Vec<serde_json::Value>> {
        let output = self.run(arguments, &[])?;
        ensure!(
            output.status.success(),
            "{arguments:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).context("not text")?;
        text.lines().map(|line| serde_json::from_str(line).context("not a JSON line")).collect()
    }

    /// The store's file.
    pub fn store(&self) -> PathBuf {
        self.disk().join(STORE_FILE)
    }

    /// The folder of the store, which holds nothing else.
    pub fn disk(&self) -> PathBuf {
        self.folder.path().join(DISK)
    }

    /// The root key in its text form.
    pub fn root_key(&self) -> &str {
        &self.root_key
    }

    fn command(&self, under: &[String], arguments: &[&str]) -> Command {
        let mut words = self.within.iter().chain(under).map(Path::new).chain([&*self.binary]);
        let mut command = Command::new(words.next().unwrap_or(&self.binary));
        command
            .args(words)
            .args(arguments)
            .arg("--config")
            .arg(self.configuration())
            .env("STRIPE_WEBHOOK_SECRET", SECRET)
            .env(
                "APP_WEBHOOK_SECRET",
                format!("whsec_{}", STANDARD.encode("bench_test_application_secret")),
            );
        command
    }
}

/// The URL of the store's file, from the folder of the configuration.
fn file_url() -> String {
    format!("sqlite:{DISK}/{STORE_FILE}")
}

/// A folder with the root key and the configuration in it.
fn folder_with(root_key: &str, configuration: &str) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("countersign-bench-").tempdir()?;
    let key = folder.path().join("countersign.key");
    std::fs::write(&key, format!("{root_key}\n"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    }
    std::fs::write(folder.path().join(CONFIGURATION), configuration)?;
    std::fs::create_dir(folder.path().join(DISK))?;
    Ok(folder)
}
