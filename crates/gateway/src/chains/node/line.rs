//! The connection to a node from round to round: made when it is needed, and made anew in a later round
//! when it has failed.

use std::mem;

use ::chains::{Call, Failure, Reply};
use tokio::sync::{Mutex, MutexGuard};

use super::Node;
use super::socket::Socket;
use crate::outbound::Client;

/// The connection to a node, if there is one now.
#[derive(Default)]
pub(super) struct Line {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    socket: Option<Socket>,
    /// There may be something new since the last round began.
    has_news: bool,
}

/// One round of calls.
pub(super) struct Turn<'a> {
    kept: MutexGuard<'a, Kept>,
    was_open: bool,
    /// Whether a connection may still be made: once a round, so that a node that fails again and again is
    /// not dialled again and again.
    may_open: bool,
}

impl Line {
    /// Begins a round.
    pub(super) async fn turn(&self) -> Turn<'_> {
        let kept = self.kept.lock().await;
        let was_open = kept.socket.is_some();
        Turn { kept, was_open, may_open: !was_open }
    }

    /// Waits until the node says that there is something new, or the connection ends, which is a reason to
    /// look as well; for ever, where there is none. May be dropped before its end.
    pub(super) async fn news(&self, subscribe: Option<&Call>) {
        let mut kept = self.kept.lock().await;
        if mem::take(&mut kept.has_news) {
            return;
        }
        let Some(socket) = &mut kept.socket else { return std::future::pending().await };
        if socket.news(subscribe).await.is_err() {
            kept.socket = None;
        }
    }
}

impl Turn<'_> {
    /// One call. Dropped before its end, it leaves no connection behind: what came later would be the reply
    /// to a call that nobody waits for.
    pub(super) async fn call(
        &mut self,
        client: &Client,
        node: &Node,
        call: &Call,
        number: u64,
    ) -> Reply {
        let mut socket = match self.kept.socket.take() {
            Some(socket) => socket,
            None if !mem::take(&mut self.may_open) => return Reply::Failed(Failure::Away),
            None => match Socket::open(client, node).await {
                Ok(socket) => socket,
                Err(failure) => return Reply::Failed(failure),
            },
        };
        match socket.call(call, number).await {
            Ok(reply) => {
                self.kept.has_news |= mem::take(&mut socket.has_news);
                self.kept.socket = Some(socket);
                reply
            }
            Err(failure) => Reply::Failed(failure),
        }
    }

    /// Ends the round. A connection that was there before and has failed is made anew soon; one that failed
    /// at once is not hurried.
    pub(super) fn end(mut self) {
        self.kept.has_news |= self.was_open && self.kept.socket.is_none();
    }
}
