//! The bare receiver: hyper, one HMAC, one group-committed insert. The baseline.
//!
//! It does the least that a receiver must do before it may acknowledge a webhook: verify Stripe's
//! signature, find the event's id, and keep the body under a unique key with an fsync. Its SQLite
//! settings are those of the product's store (WAL, `synchronous=FULL`, as many commands a
//! transaction), so that the difference between the two is what the product does besides.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rusqlite::Connection;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::clock::now_ms;
use crate::stripe::Signer;

/// The store's own figures: its pages, its page cache, and when it writes its log back, which is
/// after the answers went out.
const PAGE_BYTES: i64 = 8192;
const CACHE_KIB: i64 = 4 * 1024;
const LOG_PAGES: i64 = 4096;
const LOG_CHECK_COMMANDS: usize = 256;

struct Receiver {
    signer: Signer,
    writer: mpsc::Sender<Command>,
}

struct Command {
    id: String,
    received_at: i64,
    body: Bytes,
    committed: oneshot::Sender<()>,
}

#[derive(serde::Deserialize)]
struct Event<'b> {
    #[serde(borrow)]
    id: Cow<'b, str>,
}

/// Listens until the process ends.
///
/// # Errors
/// When the address or the store cannot be had.
pub fn serve(listen: SocketAddr, store: &Path, secret: &str) -> Result<()> {
    let database = open(store).context("the bare receiver's store")?;
    let (writer, commands) = mpsc::channel(model::limits::QUEUE_COMMANDS_MAX);
    std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || write_all(&database, commands))?;
    let receiver = Arc::new(Receiver { signer: Signer::new(secret), writer });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.context("the bare receiver's address")?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let receiver = receiver.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let receiver = receiver.clone();
                    async move { Ok::<_, Infallible>(answer(receiver.receive(request).await)) }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

fn answer(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

impl Receiver {
    async fn receive(&self, request: Request<Incoming>) -> StatusCode {
        if request.method() != Method::POST {
            return StatusCode::NO_CONTENT;
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, model::limits::BODY_BYTES_DEFAULT).collect().await else {
            return StatusCode::PAYLOAD_TOO_LARGE;
        };
        let body = body.to_bytes();
        let received_at = now_ms();
        let signature = parts.headers.get("stripe-signature").and_then(|value| value.to_str().ok());
        if !signature.is_some_and(|s| self.signer.verify(s, received_at / 1000, &body)) {
            return StatusCode::UNAUTHORIZED;
        }
        let Ok(event) = serde_json::from_slice::<Event<'_>>(&body) else {
            return StatusCode::BAD_REQUEST;
        };
        let id = event.id.into_owned();
        let (committed, outcome) = oneshot::channel();
        let command = Command { id, received_at, body, committed };
        let queued = self.writer.try_send(command).is_ok();
        if queued && outcome.await.is_ok() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    database.pragma_update(None, "page_size", PAGE_BYTES)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.pragma_update(None, "cache_size", -CACHE_KIB)?;
    database.pragma_update(None, "temp_store", "memory")?;
    database.pragma_update(None, "wal_autocheckpoint", 0)?;
    database.execute_batch(
        "CREATE TABLE IF NOT EXISTS event (
             sequence INTEGER PRIMARY KEY,
             id TEXT NOT NULL UNIQUE,
             received_at INTEGER NOT NULL,
             body BLOB NOT NULL
         ) STRICT",
    )?;
    Ok(database)
}

/// Commits whatever waits in one transaction; answers after COMMIT returned. A failed commit drops
/// the senders, which is a 503.
fn write_all(database: &Connection, mut commands: mpsc::Receiver<Command>) {
    let mut batch = Vec::with_capacity(model::limits::BATCH_COMMANDS_MAX);
    let mut unchecked = 0;
    while let Some(first) = commands.blocking_recv() {
        batch.push(first);
        while batch.len() < model::limits::BATCH_COMMANDS_MAX
            && let Ok(next) = commands.try_recv()
        {
            batch.push(next);
        }
        unchecked += batch.len();
        match commit(database, &batch) {
            Ok(()) => batch.drain(..).for_each(|command| {
                let _ = command.committed.send(());
            }),
            Err(_) => batch.clear(),
        }
        if unchecked >= LOG_CHECK_COMMANDS {
            unchecked = 0;
            let _ = keep_log_short(database);
        }
    }
}

fn keep_log_short(database: &Connection) -> rusqlite::Result<()> {
    let checkpoint = |mode: &str| -> rusqlite::Result<i64> {
        database.query_row(&format!("PRAGMA wal_checkpoint({mode})"), (), |row| row.get(1))
    };
    if checkpoint("NOOP")? > LOG_PAGES {
        checkpoint("PASSIVE")?;
    }
    Ok(())
}

fn commit(database: &Connection, batch: &[Command]) -> rusqlite::Result<()> {
    let transaction = database.unchecked_transaction()?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO event (id, received_at, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO NOTHING",
        )?;
        for command in batch {
            insert.execute((&command.id, command.received_at, &command.body[..]))?;
        }
    }
    transaction.commit()
}
