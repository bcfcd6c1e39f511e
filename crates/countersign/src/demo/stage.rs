//! Sets the stage: a folder with secrets and a configuration, the application, the gateway, the
//! simulators. Everything is made up for this run and gone after it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::application::WebhookSecret;
use sandbox::provider::Making;
use sandbox::simulator::{Surroundings, Target};
use sandbox::{Application, Draw, Ledger, Pace, Provider, Route, Simulator};
use tempfile::TempDir;

use super::cannot;
use crate::config::{Configuration, Origin, Profiles};
use crate::failure::Failure;

/// How much faster than in life the providers try again: a minute takes a tenth of a second.
const PACE: u32 = 600;

/// A secret of this run, to be searched for where it must not be.
pub(super) struct Kept {
    /// What it is for.
    pub(super) name: String,
    /// The text itself.
    pub(super) text: String,
}

/// Everybody on stage.
pub(super) struct Stage {
    folder: TempDir,
    gateway: Option<gateway::Running>,
    /// The gateway's admin listener.
    pub(super) admin: SocketAddr,
    /// The gateway's API.
    pub(super) api: SocketAddr,
    pub(super) application: Application,
    pub(super) simulators: Vec<Arc<Simulator>>,
    pub(super) surroundings: Surroundings,
    pub(super) secrets: Vec<Kept>,
    pub(super) draw: Draw,
}

impl Stage {
    /// Sets everything up and starts it.
    pub(super) async fn set(is_behind_balancer: bool) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("countersign-demo-")
            .tempdir()
            .map_err(|error| cannot("make a temporary folder", error))?;
        let route = if is_behind_balancer { Route::Balancer } else { Route::of_this_system() };
        let secrets = write_secrets(folder.path())?;
        let endpoint = secret(&secrets, "app");
        let endpoint = WebhookSecret::parse(endpoint)
            .ok_or_else(|| cannot("make the endpoint's secret", "it has not its form"))?;
        let application = Application::start(endpoint)
            .await
            .map_err(|error| cannot("start the application", error))?;
        let profiles = profiles()?;
        let text = configuration_text(&application.url(), route, &profiles);
        write(folder.path(), "countersign.toml", &text)?;
        let gateway = start(&folder.path().join("countersign.toml")).await?;
        let surroundings = Surroundings {
            target: Target::new(gateway.public_address()),
            route,
            pace: Pace::times(PACE),
            ledger: Ledger::default(),
        };
        let simulators = profiles
            .into_iter()
            .map(|(provider, profile)| {
                let secret = schemes::Secret::new(secret(&secrets, provider.name()).to_owned());
                let from = address(provider, 10);
                let surroundings = surroundings.clone();
                let url = public_url(provider);
                Arc::new(Simulator::new(provider, profile, secret, from, url, surroundings))
            })
            .collect();
        Ok(Self {
            folder,
            admin: gateway.admin_address(),
            api: gateway.api_address(),
            gateway: Some(gateway),
            application,
            simulators,
            surroundings,
            secrets,
            draw: Draw::seeded(u64::from_le_bytes(random()?)),
        })
    }

    /// The folder of this run.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration's file.
    pub(super) fn configuration(&self) -> PathBuf {
        self.folder().join("countersign.toml")
    }

    /// The file of the store.
    pub(super) fn store(&self) -> PathBuf {
        self.folder().join("countersign.db")
    }

    /// The simulator of this provider.
    pub(super) fn simulator(&self, provider: Provider) -> Arc<Simulator> {
        let found = self.simulators.iter().find(|simulator| simulator.provider == provider);
        Arc::clone(found.expect("the stage has a simulator of every provider"))
    }

    /// The text of a secret of this run.
    pub(super) fn secret(&self, name: &str) -> &str {
        secret(&self.secrets, name)
    }

    /// What is drawn for this run, from what payloads are made from at this moment.
    pub(super) fn drawn<T>(&mut self, make: impl FnOnce(&mut Draw, Making<'_>) -> T) -> T {
        let mut draw = self.draw.clone();
        let made = make(&mut draw, self.making());
        self.draw = draw;
        made
    }

    fn making(&self) -> Making<'_> {
        Making {
            now_ms: sandbox::clock::now_ms(),
            is_live: false,
            receipt_secret: self.secret("x402tele-receipts"),
        }
    }

    /// Stops the gateway and starts it again on the same store and configuration. Its addresses
    /// change; the simulators learn the new one.
    pub(super) async fn restart(&mut self) -> Result<(), Failure> {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
        let gateway = start(&self.configuration()).await?;
        self.surroundings.target.move_to(gateway.public_address());
        self.admin = gateway.admin_address();
        self.api = gateway.api_address();
        self.gateway = Some(gateway);
        Ok(())
    }

    /// Stops the gateway and takes the folder away.
    pub(super) async fn close(mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
    }
}

/// The address that a party of a provider's network sends from: 10 is the provider itself.
pub(super) fn address(provider: Provider, host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 10, network(provider), host))
}

/// The line that lets only One2Pays' own network in.
pub(super) fn allowed() -> String {
    format!("allow_addresses = [\"127.10.{}.0/24\"]", network(Provider::One2Pays))
}

fn network(provider: Provider) -> u8 {
    let index = Provider::ALL.iter().position(|other| *other == provider);
    index.and_then(|index| u8::try_from(index + 1).ok()).unwrap_or(u8::MAX)
}

/// The URL as registered with the provider: made up, since a real one could be reached.
fn public_url(provider: Provider) -> String {
    format!("https://gateway.example/in/{}", provider.name())
}

type Cast = Vec<(Provider, Arc<schemes::Profile>)>;

fn profiles() -> Result<Cast, Failure> {
    let embedded = Profiles::embedded();
    let find = |provider: &Provider| {
        let found = embedded.find(provider.name())?;
        let missing = || cannot("find a profile", provider.name());
        Ok((*provider, Arc::new(found.ok_or_else(missing)?)))
    };
    Provider::ALL.iter().map(find).collect()
}

async fn start(configuration: &Path) -> Result<gateway::Running, Failure> {
    let Configuration { settings, store, .. } = Origin::new(configuration, None).configuration()?;
    let store = store.open().await.map_err(|error| cannot("open the store", error))?;
    gateway::Gateway::start(settings, store, gateway::Clock::System)
        .await
        .map_err(|error| cannot("start the gateway", error))
}

fn configuration_text(application: &str, route: Route, cast: &Cast) -> String {
    let proxies = match route {
        Route::Direct => "[]".to_owned(),
        Route::Balancer => format!("[\"{}\"]", Route::BALANCER),
    };
    let mut text = format!(
        "# Made by `countersign demo`.\n\
         environment = \"test\"\n\n\
         [server]\n\
         public = \"127.0.0.1:0\"\n\
         api = \"127.0.0.1:0\"\n\
         admin = \"127.0.0.1:0\"\n\
         trusted_proxies = {proxies}\n\n\
         [store]\n\
         url = \"sqlite:countersign.db\"\n\n\
         [vault]\n\
         key = \"${{file:countersign.key}}\"\n\n\
         [[endpoint]]\n\
         name = \"app\"\n\
         url = \"{application}\"\n\
         secret = \"${{file:secrets/app}}\"\n\
         allow_private = true\n"
    );
    for (provider, profile) in cast {
        text.push_str(&source_text(*provider, profile));
    }
    text
}

fn source_text(provider: Provider, profile: &schemes::Profile) -> String {
    let name = provider.name();
    let mut text = format!(
        "\n[[source]]\n\
         name = \"{name}\"\n\
         provider = \"{name}\"\n\
         secrets = [\"${{file:secrets/{name}}}\"]\n\
         endpoints = [\"app\"]\n"
    );
    let mut add = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("a text takes more text");
    };
    if profile.url_bound() {
        add(format_args!("public_url = \"{}\"", public_url(provider)));
    }
    if let Some(unit) = profile.amount_units().first() {
        add(format_args!("amount_unit = \"{unit}\""));
    }
    match provider {
        Provider::X402Tele => {
            add(format_args!("receipt_secrets = [\"${{file:secrets/x402tele-receipts}}\"]"));
        }
        // The guide that compares an address list with a header: here the list means something.
        Provider::One2Pays => add(format_args!("{}", allowed())),
        _ => {}
    }
    text
}

fn write_secrets(folder: &Path) -> Result<Vec<Kept>, Failure> {
    let mut secrets = Vec::new();
    for provider in Provider::ALL {
        let text = provider.secret(random()?);
        secrets.push(Kept { name: provider.name().into(), text });
    }
    let receipts = Provider::X402Tele.secret(random()?);
    secrets.push(Kept { name: "x402tele-receipts".into(), text: receipts });
    let endpoint = format!("whsec_{}", STANDARD.encode(random::<32>()?));
    secrets.push(Kept { name: "app".into(), text: endpoint });
    let made = std::fs::create_dir(folder.join("secrets"));
    made.map_err(|error| cannot("make a folder for the secrets", error))?;
    for Kept { name, text } in &secrets {
        write(folder, &format!("secrets/{name}"), text)?;
    }
    let root = vault::RootKey::generate(random()?).to_text();
    write(folder, "countersign.key", &root)?;
    secrets.push(Kept { name: "root key".into(), text: root.to_string() });
    Ok(secrets)
}

fn secret<'s>(secrets: &'s [Kept], name: &str) -> &'s str {
    let found = secrets.iter().find(|secret| secret.name == name);
    found.map(|secret| secret.text.as_str()).expect("the stage has a secret of this name")
}

/// Writes a file that only its owner can read.
pub(super) fn write(folder: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(folder.join(name))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| cannot("write into the temporary folder", error))
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| cannot("get random bytes", error))?;
    Ok(bytes)
}
