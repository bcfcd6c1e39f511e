//! The public listener: our own accept loop, so that every wait has a deadline and every
//! connection a place in a count.
//!
//! HTTP/1.1 only, and of that only what one reading is possible of ([`gate`]). A server library's
//! defaults leave idle, half-sent and unread connections open; here greetings,
//! headers, bodies, idle time and stalled writes are all bounded (`model::limits`).

mod connections;
pub(crate) mod gate;
mod greeting;
pub(crate) mod proxy;
mod stall;
mod stream;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use ipnet::IpNet;
use model::limits;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use crate::tls::Tls;
use connections::Connections;
pub(crate) use connections::network;
use gate::Gate;
pub(crate) use gate::refused;
use stall::Stalling;
use stream::Stream;

/// Which connections are let in, and how they begin.
pub(crate) struct Doors {
    /// Peers that speak for many senders: only the total bounds them.
    pub(crate) trusted: Vec<IpNet>,
    /// The only peers that are let in; any if there is none.
    pub(crate) allowed: Vec<IpNet>,
    /// Trusted peers begin with a PROXY header.
    pub(crate) proxy_protocol: bool,
    /// What is shown over TLS; without it HTTP is plain.
    pub(crate) tls: Option<Tls>,
    pub(crate) connections_max: usize,
    pub(crate) per_address_max: usize,
}

impl Doors {
    fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|range| range.contains(&address))
    }

    fn let_in(&self, address: IpAddr) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|range| range.contains(&address))
    }
}

/// Who is at the other end of a connection, as far as the transport knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The socket's address, or the one that a trusted proxy's PROXY header names.
    pub(crate) address: IpAddr,
    /// What it says in forwarding headers is believed.
    pub(crate) is_trusted: bool,
    /// The connection is TLS.
    pub(crate) is_encrypted: bool,
}

/// Serves until the token is cancelled, then lets running requests finish.
pub(crate) async fn serve<T, S, F>(
    listener: TcpListener,
    doors: Doors,
    stop: CancellationToken,
    served: Arc<T>,
    serve: S,
) where
    T: Send + Sync + 'static,
    S: Fn(Arc<T>, Peer, hyper::Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let connections = Connections::new(doors.connections_max, doors.per_address_max);
    let graceful = GracefulShutdown::new();
    let shared = Arc::new((doors, served, serve));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, address) = match accepted {
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                rest_after(&error).await;
                continue;
            }
        };
        let (doors, ..) = &*shared;
        if !doors.let_in(address) {
            continue;
        }
        let Some(mut place) = connections.enter(address, doors.trust(address)) else {
            continue;
        };
        // A webhook is one small write each way: waiting to fill a packet only adds latency.
        let _ = stream.set_nodelay(true);
        let (shared, stop, watcher) = (shared.clone(), stop.clone(), graceful.watcher());
        tokio::spawn(async move {
            let (doors, served, serve) = &*shared;
            let greeted = tokio::select! {
                greeted = greeting::greet(stream, address, doors, &mut place) => greeted,
                () = stop.cancelled() => return,
            };
            let ended = match greeted {
                Ok((stream, peer)) => {
                    let service = service_fn(|request| {
                        // By value the server would move its kilobytes about, which costs 5 % CPU.
                        let answer = Box::pin(serve(served.clone(), peer, request));
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    let connection = builder().serve_connection(io_of(stream), service);
                    watcher.watch(connection).await.map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = ended {
                tracing::debug!(peer = %address, error, "connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    let drained = Duration::from_millis(limits::DRAIN_MS_MAX);
    if tokio::time::timeout(drained, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still running when the listener stopped");
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::HEADER_MS_MAX))
        .max_buf_size(limits::HEADER_BYTES_MAX)
        .max_headers(limits::HEADERS_MAX)
        .half_close(false);
    builder
}

fn io_of(stream: Stream) -> TokioIo<Stalling<Gate<Stream>>> {
    let patience = Duration::from_millis(limits::WRITE_STALL_MS_MAX);
    TokioIo::new(Stalling::new(Gate::new(stream), patience))
}

/// Out of file descriptors: accepting again at once would spin.
async fn rest_after(error: &io::Error) {
    let of_the_peer =
        matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
    if !of_the_peer {
        tracing::warn!(%error, "cannot accept a connection");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
