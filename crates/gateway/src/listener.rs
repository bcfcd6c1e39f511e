//! The public listener: our own accept loop, so that every wait has a deadline and every
//! connection a place in a count.
//!
//! HTTP/1.1 only. A server library's defaults leave idle, half-sent and unread connections open;
//! here headers, bodies, idle time and stalled writes are all bounded (`model::limits`).

mod connections;
mod stall;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use ipnet::IpNet;
use model::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use connections::Connections;
pub(crate) use connections::network;
use stall::Stalling;

/// Which connections are let in.
pub(crate) struct Doors {
    /// Peers that speak for many senders: only the total bounds them.
    pub(crate) trusted: Vec<IpNet>,
    pub(crate) connections_max: usize,
    pub(crate) per_address_max: usize,
}

/// Serves until the token is cancelled, then lets running requests finish.
pub(crate) async fn serve<S, F>(
    listener: TcpListener,
    doors: Doors,
    stop: CancellationToken,
    serve: S,
) where
    S: Fn(SocketAddr, hyper::Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let connections = Connections::new(doors.connections_max, doors.per_address_max);
    let graceful = GracefulShutdown::new();
    let serve = Arc::new(serve);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                rest_after(&error).await;
                continue;
            }
        };
        let exempt = doors.trusted.iter().any(|range| range.contains(&peer.ip().to_canonical()));
        let Some(place) = connections.enter(peer.ip().to_canonical(), exempt) else {
            continue;
        };
        let serve = serve.clone();
        let service = service_fn(move |request| {
            let answer = serve(peer, request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = graceful.watch(builder().serve_connection(io_of(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "connection ended early");
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

fn io_of(stream: TcpStream) -> TokioIo<Stalling<TcpStream>> {
    // A webhook is one small write each way: waiting to fill a packet only adds latency.
    let _ = stream.set_nodelay(true);
    TokioIo::new(Stalling::new(stream, Duration::from_millis(limits::WRITE_STALL_MS_MAX)))
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
