//! `serve`: runs the gateway until it is told to stop.

use gateway::{Clock, Format, Gateway, Running, Settings};
use model::Environment;

use super::signals::Signals;
use super::{Ended, origin, say};
use crate::args::{Arguments, Serve};
use crate::config::{Configuration, Notice};
use crate::failure::{Failure, Outcome};
use crate::logs;
use crate::renewal;
use crate::table::Table;

/// Starts, says what it does, and waits for SIGINT or SIGTERM.
pub(super) fn run(serve: &Serve, arguments: &Arguments) -> Ended {
    let configuration = origin(arguments).configuration()?;
    logs::start(serve.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve_until_told(configuration, arguments.json))
}

async fn serve_until_told(configuration: Configuration, json: bool) -> Ended {
    let Configuration { settings, store: place, certificates, notices } = configuration;
    if sabotage::UNAUDITED && settings.environment == Environment::Live {
        let message = "this build writes no audit log: it is for measurements";
        return Err(Failure::new("unaudited_build", message, "build it without that feature"));
    }
    let mut signals = Signals::new()?;
    let store = place.open().await?;
    let mut summary = Summary::of(&settings, &notices);
    summary.store = place.to_string();
    let warnings = store.server_facts(Clock::System.now()).await.unwrap_or_default();
    summary.notices.extend(warnings.iter().map(|warning| format!("store: {warning}")));
    let running = Gateway::start(settings, store.clone(), Clock::System).await;
    let running = match running {
        Ok(running) => running,
        Err(error) => {
            store.close().await;
            return Err(error.into());
        }
    };
    summary.public = running.public_address().to_string();
    summary.admin = running.admin_address().to_string();
    summary.api = running.api_address().to_string();
    if json {
        say(summary.json())?;
    } else {
        say(summary.text())?;
    }
    for shown in certificates {
        tokio::spawn(renewal::watch(shown));
    }
    wait(running, &mut signals).await
}

async fn wait(running: Running, signals: &mut Signals) -> Ended {
    tokio::select! {
        () = signals.next() => tracing::info!("stopping; a second signal stops at once"),
        () = running.failed() => {
            let message = "the store can no longer be trusted to keep what it is given";
            let fix = "check the disk, then start again: what was acknowledged is kept";
            return Err(Failure::new("store_poisoned", message, fix));
        }
    }
    tokio::select! {
        () = running.stop() => Ok(Outcome::Done),
        () = signals.next() => {
            let message = "stopped before everything in flight was settled";
            let fix = "nothing that was acknowledged is lost; deliveries go on at the next start";
            Err(Failure::new("stopped_at_once", message, fix))
        }
    }
}

/// What whoever starts the gateway is told.
struct Summary {
    environment: Environment,
    has_tls: bool,
    has_admin_tls: bool,
    has_api_tls: bool,
    public: String,
    admin: String,
    api: String,
    store: String,
    sources: Vec<[String; 5]>,
    endpoints: Vec<[String; 4]>,
    notices: Vec<String>,
}

impl Summary {
    fn of(settings: &Settings, notices: &[Notice]) -> Self {
        let sources = settings.sources.iter().map(|source| {
            [
                source.name.clone(),
                source.profile.name().to_owned(),
                source.profile.covers().code().to_owned(),
                format!("/in/{}", source.name),
                source.endpoints.join(", "),
            ]
        });
        let endpoints = settings.endpoints.iter().map(|endpoint| {
            let format = match endpoint.format {
                Format::Event => "event",
                Format::Original => "original",
            };
            let state = if endpoint.paused { "paused" } else { "" };
            // A query may carry a token of the application's.
            let mut url = endpoint.url.clone();
            url.set_query(None);
            [endpoint.name.clone(), url.to_string(), format.to_owned(), state.to_owned()]
        });
        let told = |notice: &Notice| format!("{}: {}", notice.about(), notice.text);
        Self {
            environment: settings.environment,
            has_tls: settings.tls.is_some(),
            has_admin_tls: settings.admin_tls.is_some(),
            has_api_tls: settings.api_tls.is_some(),
            public: settings.public.to_string(),
            admin: settings.admin.to_string(),
            api: settings.api.to_string(),
            store: String::new(),
            sources: sources.collect(),
            endpoints: endpoints.collect(),
            notices: notices.iter().map(told).collect(),
        }
    }

    fn json(&self) -> serde_json::Value {
        let sources: Vec<_> = self
            .sources
            .iter()
            .map(|[name, provider, covers, path, endpoints]| {
                serde_json::json!({
                    "name": name, "provider": provider, "covers": covers, "path": path,
                    "endpoints": endpoints.split(", ").filter(|e| !e.is_empty()).collect::<Vec<_>>(),
                })
            })
            .collect();
        let endpoints: Vec<_> = self
            .endpoints
            .iter()
            .map(|[name, url, format, state]| {
                let paused = !state.is_empty();
                serde_json::json!({ "name": name, "url": url, "format": format, "paused": paused })
            })
            .collect();
        serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"), "environment": self.environment.code(),
            "public": self.public, "public_tls": self.has_tls,
            "admin": self.admin, "admin_tls": self.has_admin_tls, "api": self.api,
            "api_tls": self.has_api_tls, "store": self.store,
            "sources": sources, "endpoints": endpoints, "notices": self.notices,
        })
    }

    fn text(&self) -> String {
        let mut sources = Table::new(&["SOURCE", "PROVIDER", "COVERS", "PATH", "ENDPOINTS"]);
        self.sources.iter().for_each(|row| sources.row(row.clone()));
        let mut endpoints = Table::new(&["ENDPOINT", "URL", "FORMAT", ""]);
        self.endpoints.iter().for_each(|row| endpoints.row(row.clone()));
        let mut text = format!(
            "countersign {} ({})\n\n\
             webhooks  {}://{}/in/{{source}}\n\
             admin     {}://{}/healthz /readyz /metrics\n\
             api       {}://{}/v1\n\
             store     {}\n\n{sources}\n\n{endpoints}\n",
            env!("CARGO_PKG_VERSION"),
            self.environment,
            scheme(self.has_tls),
            self.public,
            scheme(self.has_admin_tls),
            self.admin,
            scheme(self.has_api_tls),
            self.api,
            self.store,
        );
        if !self.notices.is_empty() {
            text.push_str("\nBefore this goes into production:\n");
            for notice in &self.notices {
                text.push_str(&format!("  - {notice}\n"));
            }
        }
        text
    }
}

fn scheme(has_tls: bool) -> &'static str {
    if has_tls { "https" } else { "http" }
}
