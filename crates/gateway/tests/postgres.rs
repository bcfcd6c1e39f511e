//! The suite over PostgreSQL, and what is particular to several gateways on one store.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic like tests"
)]

mod gateway;
mod replicas;

#[expect(dead_code, reason = "another crate's tests use all of it")]
#[path = "../../store/tests/server/mod.rs"]
mod server;

use std::path::{Path, PathBuf};

use store::{Options, PostgresOptions, Store};

use self::gateway::harness::Backend;

/// A store of this name, made when it is first asked for.
async fn open(path: &Path, options: Options) -> Store {
    let server = server::started().await;
    let url = server.serving_url(&server.store_at(path).await);
    let options = PostgresOptions {
        batch_commands_max: options.batch_commands_max,
        queue_commands_max: options.queue_commands_max,
        // On a machine that may be busy with other things.
        statement_timeout_ms: 20_000,
        stall_ms: 20_000,
        ..PostgresOptions::new(url)
    };
    Store::connect(&options).await.unwrap()
}

/// The files of the store's database, and the log of all.
async fn files(path: &Path) -> Vec<PathBuf> {
    let server = server::started().await;
    let name = server.store_at(path).await;
    server.run(&name, "CHECKPOINT").await;
    let sql = format!("SELECT oid::text FROM pg_database WHERE datname = '{name}'");
    let oid: String = server.rows("postgres", &sql).await[0].get(0);
    let data = server.folder().join("data");
    let folders = [data.join("base").join(oid), data.join("pg_wal")];
    let files = folders.iter().flat_map(|folder| folder.read_dir().unwrap());
    files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

fn backend() -> Backend {
    Backend {
        open: |path, options| Box::pin(async move { open(&path, options).await }),
        open_beside: |path| Box::pin(async move { open(&path, Options::default()).await }),
        files: |path| Box::pin(async move { files(&path).await }),
        is_alone: false,
    }
}
