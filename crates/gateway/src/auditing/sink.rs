//! Sinks: every entry goes to where others look, after it has its place in the log.
//!
//! A sink reads what is durable, a tile's worth at a time, so it holds nothing up and little in
//! memory; one that is away gets later what it has missed. Where it is stands in the store: after a
//! crash some entries come twice, and none is left out. An entry is known by its index.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::reader::{AuditLog, LogError, Placed};
use super::syslog::{Syslog, SyslogError};
use crate::outbound::Client;
use crate::{Clock, entropy};

/// The duty of one gateway for all, and how long its lease lasts, milliseconds.
const DUTY_MS: i64 = 30_000;

/// How often it is looked for new entries, and how long a sink that is away is left alone at most.
const LOOK: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How long a sink may take for one batch.
const LIMIT: Duration = Duration::from_secs(10);

/// Where entries go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Its name, under which the store remembers what it has got.
    pub name: String,
    /// How they get there.
    pub way: Way,
}

/// How entries get to a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Lines of JSON, one an entry, by POST.
    Http {
        /// Where to.
        url: url::Url,
        /// Private and loopback addresses may be dialled.
        allow_private: bool,
    },
    /// A message an entry.
    Syslog(Syslog),
}

/// Why a batch did not get there.
#[derive(Debug, thiserror::Error)]
enum SinkError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Syslog(#[from] SyslogError),
    #[error("sink_refused: the sink's URL did not answer 2xx")]
    Refused,
    #[error("sink_late: the sink did not answer in time")]
    Late,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http { .. } => "http",
            Self::Syslog(_) => "syslog",
        })
    }
}

/// Ships entries to one sink.
pub(crate) struct Shipper {
    pub(crate) sink: Sink,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) client: Arc<Client>,
}

impl Shipper {
    /// Ships until it is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let duty = format!("sink {}", self.sink.name);
        let holder = entropy::bytes();
        let mut wait = LOOK;
        while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            if self.store.is_shared() {
                let now = self.clock.now();
                let until = now.plus_millis(DUTY_MS);
                if !matches!(self.store.take_duty(&duty, holder, now, until).await, Ok(Some(_))) {
                    continue;
                }
            }
            let shipped = stop.run_until_cancelled(self.ship_all()).await;
            wait = match shipped {
                None => break,
                Some(Ok(())) => LOOK,
                Some(Err(error)) => {
                    let (name, way) = (&self.sink.name, &self.sink.way);
                    tracing::warn!(sink = name, %way, %error, "a sink does not take audit entries");
                    (wait * 2).min(WAIT_MAX)
                }
            };
        }
        let _ = self.store.release_duty(&duty, holder).await;
    }

    /// Ships whatever there is, a tile's worth at a time.
    async fn ship_all(&self) -> Result<(), SinkError> {
        let log = AuditLog::new(self.store.clone());
        let size = self.store.log_head().await?.size;
        // One that is new begins where the log is.
        let mut at = match self.store.sink_mark(&self.sink.name).await? {
            Some(mark) => mark,
            None => {
                self.store.mark_sink(&self.sink.name, size).await?;
                size
            }
        };
        while at < size {
            let placed = log.entries(at..size).await?;
            at += placed.len() as u64;
            let sent = tokio::time::timeout(LIMIT, self.send(&placed)).await;
            sent.map_err(|_| SinkError::Late)??;
            self.store.mark_sink(&self.sink.name, at).await?;
        }
        Ok(())
    }

    async fn send(&self, placed: &[Placed]) -> Result<(), SinkError> {
        let leaves = placed.iter().filter_map(Placed::leaf);
        match &self.sink.way {
            Way::Http { url, allow_private } => {
                let mut body = Vec::new();
                for leaf in leaves {
                    body.extend_from_slice(&leaf);
                    body.push(b'\n');
                }
                let mut request = Request::new(Full::new(Bytes::from(body)));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = url.as_str().parse().unwrap_or_default();
                let lines = HeaderValue::from_static("application/x-ndjson");
                request.headers_mut().insert(CONTENT_TYPE, lines);
                let answer = self.client.call(request, *allow_private).await;
                let took = answer.is_ok_and(|answer| answer.status().is_success());
                if took { Ok(()) } else { Err(SinkError::Refused) }
            }
            Way::Syslog(syslog) => {
                let now = self.clock.now();
                let leaves = leaves.map(|leaf| String::from_utf8_lossy(&leaf).into_owned());
                Ok(syslog.send("entry", leaves, now).await?)
            }
        }
    }
}
