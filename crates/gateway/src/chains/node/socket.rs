//! A connection to a node that is kept (WebSocket, RFC 6455): calls go over it one at a time, and between
//! rounds the node says that there is a new block.
//!
//! The client that HTTP goes through makes it, by an upgrade (RFC 9110 §7.8): the same addresses are
//! dialled, the same certificates trusted, the same proxy asked. No extension and no subprotocol is
//! offered. Nobody reads while nobody asks or listens, so what a node sends too much waits at the node. A
//! connection on which anything went wrong is not used again.

use ::chains::limits::ANSWER_BYTES_MAX;
use ::chains::{Call, Failure, Reply, Said};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use sabotage::Defect;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, error::ProtocolError};

use super::Node;
use crate::entropy;
use crate::outbound::Client;

/// What the key is hashed with (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The number of the call that subscribes; those of all others are higher.
const SUBSCRIPTION: u64 = 0;
/// What each message counts for at least, of the bytes that may come before a reply.
const MESSAGE_BYTES_MIN: usize = 1_024;
/// What is read at once.
const BUFFER_BYTES: usize = 64 * 1_024;

/// An open connection.
pub(super) struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    is_subscribed: bool,
    /// The node said meanwhile that there is something new.
    pub(super) has_news: bool,
}

impl Socket {
    /// Connects. The caller says how long that may take.
    ///
    /// # Errors
    /// The node is away, refuses, or does not speak WebSocket.
    pub(super) async fn open(client: &Client, node: &Node) -> Result<Self, Failure> {
        let key = STANDARD.encode(entropy::bytes::<16>());
        let request = request(node, &key).ok_or(Failure::Away)?;
        let called = client.call(request, node.allow_private).await;
        let response = called.map_err(|_| Failure::Away)?;
        judge(&response, &key)?;
        let upgraded = hyper::upgrade::on(response).await.map_err(|_| Failure::Away)?;
        let limits = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0)
            .max_frame_size(Some(ANSWER_BYTES_MAX))
            .max_message_size(Some(ANSWER_BYTES_MAX));
        let upgraded = TokioIo::new(upgraded);
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await;
        Ok(Self { stream, is_subscribed: false, has_news: false })
    }

    /// One call and its reply, whatever else the node says in between.
    ///
    /// # Errors
    /// There is no reply, or it is none to this call. The connection is of no use any more then, nor when
    /// the future is dropped before its end.
    pub(super) async fn call(&mut self, call: &Call, number: u64) -> Result<Reply, Failure> {
        let text = Message::text(call.text(number));
        self.stream.send(text).await.map_err(|error| failure(&error))?;
        let mut left = ANSWER_BYTES_MAX;
        loop {
            match self.next(&mut left).await? {
                Some(Said::Reply(to, reply))
                    if to == number || sabotage::on(Defect::AnyReplyTaken) =>
                {
                    return Ok(reply);
                }
                Some(Said::Reply(SUBSCRIPTION, _)) | None => {}
                Some(Said::Reply(..)) => return Err(Failure::Malformed),
                Some(Said::Notice) => self.has_news = true,
            }
        }
    }

    /// Waits until the node says that there is something new. The first time it is asked to say so: one
    /// that refuses says nothing, and answers calls all the same. May be dropped before its end.
    ///
    /// # Errors
    /// The connection has ended, or is of no use any more.
    pub(super) async fn news(&mut self, subscribe: Option<&Call>) -> Result<(), Failure> {
        if let Some(call) = subscribe.filter(|_| !self.is_subscribed) {
            let text = Message::text(call.text(SUBSCRIPTION));
            self.stream.feed(text).await.map_err(|error| failure(&error))?;
            self.is_subscribed = true;
            self.stream.flush().await.map_err(|error| failure(&error))?;
        }
        let mut left = ANSWER_BYTES_MAX;
        loop {
            match self.next(&mut left).await? {
                Some(Said::Notice) => return Ok(()),
                Some(Said::Reply(SUBSCRIPTION, _)) | None => {}
                Some(Said::Reply(..)) => return Err(Failure::Malformed),
            }
        }
    }

    /// The next message; none where it only asks whether we are there. Takes its size from what is left.
    async fn next(&mut self, left: &mut usize) -> Result<Option<Said>, Failure> {
        let message = self.stream.next().await.ok_or(Failure::Away)?;
        let message = message.map_err(|error| failure(&error))?;
        let size = message.len().max(MESSAGE_BYTES_MIN);
        *left = left.checked_sub(size).ok_or(Failure::TooLarge)?;
        match message {
            Message::Text(text) => Said::read(text.as_bytes()).map(Some).ok_or(Failure::Malformed),
            // Answered with whatever is read or written next.
            Message::Ping(_) | Message::Pong(_) => Ok(None),
            Message::Close(_) => {
                // The answer to it waits to be sent; whether it arrives changes nothing.
                let _ = self.stream.flush().await;
                Err(Failure::Away)
            }
            Message::Binary(_) | Message::Frame(_) => Err(Failure::Malformed),
        }
    }
}

/// The request for the upgrade, with the node's credentials.
fn request(node: &Node, key: &str) -> Option<Request<Full<Bytes>>> {
    // `ws` is `http` until the upgrade, and `wss` is `https`.
    let uri = format!("http{}", node.url.as_str().strip_prefix("ws")?);
    let mut request = Request::get(uri).body(Full::default()).ok()?;
    let headers = request.headers_mut();
    headers.clone_from(&node.headers);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::try_from(key).ok()?);
    Some(request)
}

/// Whether the node speaks WebSocket from here on, as RFC 6455 §4.1 lists it.
fn judge<B>(response: &Response<B>, key: &str) -> Result<(), Failure> {
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(match status {
            _ if status.is_client_error() => Failure::Refused,
            _ if status.is_success() => Failure::Malformed,
            _ => Failure::Away,
        });
    }
    let headers = response.headers();
    let is_upgraded = has_word(headers, &UPGRADE, "websocket")
        && has_word(headers, &CONNECTION, "upgrade")
        && headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|told| told == accept(key).as_str());
    let is_plain = !headers.contains_key(SEC_WEBSOCKET_EXTENSIONS)
        && !headers.contains_key(SEC_WEBSOCKET_PROTOCOL);
    if is_upgraded && is_plain { Ok(()) } else { Err(Failure::Malformed) }
}

fn has_word(headers: &HeaderMap, name: &http::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut words = values.flat_map(|value| value.split(',')).map(str::trim);
    words.any(|one| one.eq_ignore_ascii_case(word))
}

/// What a server that has read the key answers (RFC 6455 §4.2.2). It proves nothing else.
fn accept(key: &str) -> String {
    let text = format!("{key}{GUID}");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::Capacity(_) => Failure::TooLarge,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Failure::Away,
        Error::Protocol(_) | Error::Utf8(_) => Failure::Malformed,
        _ => Failure::Away,
    }
}

#[cfg(test)]
mod tests;
