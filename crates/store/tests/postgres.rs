//! The conformance suite on PostgreSQL, and what is particular to many replicas and a server.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic like tests"
)]

#[macro_use]
mod conformance;

mod copy;
mod entries;
mod outage;
mod pooler;
mod replicas;
mod schema;
mod server;
mod tls;

use std::path::Path;

use conformance::fixture::{Backend, Holds};
use store::{Options, PostgresOptions, Store};

/// A store of this name, made when it is first asked for.
async fn open(path: &Path, options: Options) -> Store {
    let server = server::shared().await;
    let name = server.store_at(path).await;
    let options = PostgresOptions {
        batch_commands_max: options.batch_commands_max,
        queue_commands_max: options.queue_commands_max,
        ..patient(server.serving_url(&name))
    };
    Store::connect(&options).await.unwrap()
}

/// As a gateway's, on a machine that may be busy with other things.
fn patient(url: String) -> PostgresOptions {
    PostgresOptions { statement_timeout_ms: 20_000, stall_ms: 20_000, ..PostgresOptions::new(url) }
}

fn backend() -> Backend {
    Backend {
        open: |path, options| Box::pin(async move { open(&path, options).await }),
        open_beside: |path| Box::pin(async move { open(&path, Options::default()).await }),
        holds: Holds { no_gaps: false, start_ends_leases: false, in_turn: false },
    }
}

every_case!();
