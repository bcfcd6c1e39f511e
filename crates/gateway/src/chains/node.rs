//! Nodes over HTTP or WebSocket: one question at a time to each, all nodes at once, under limits of bytes
//! and time.

mod line;
mod socket;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::chains::limits::ANSWER_BYTES_MAX;
use ::chains::{Answer, Call, ChainId, Dialogue, Failure, NodeAnswers, Question, Reply, Round};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use model::limits::{NODE_CALL_MS_MAX, NODE_CALLS_MAX, NODE_ROUND_MS_MAX};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use self::line::{Line, Turn};
use crate::outbound::Client;
use crate::{Proxy, Resolver};

/// A node of a chain, as the operator configured it.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name in logs.
    pub name: String,
    /// Where to POST, or, of `ws` and `wss`, where to connect.
    pub url: url::Url,
    /// Sent with every request; credentials are marked as not to be shown.
    pub headers: HeaderMap,
    /// Private and loopback addresses may be dialled.
    pub allow_private: bool,
}

/// All nodes of one chain, and the client that they are asked with.
pub struct Nodes {
    asking: Arc<Asking>,
    nodes: Vec<Arc<Reached>>,
}

/// A node, with its connection if it is one that keeps one.
struct Reached {
    node: Node,
    line: Option<Line>,
}

/// How a node is called in one round.
enum Way<'a> {
    Http,
    Socket(Turn<'a>),
}

struct Asking {
    client: Client,
    /// Tells the replies of calls apart.
    numbers: AtomicU64,
}

impl Nodes {
    /// Nodes that are reached by this resolver; those that may not be private through the proxy.
    pub fn new(nodes: Vec<Node>, resolver: &Resolver, proxy: Option<&Proxy>) -> Self {
        let client = Client::new(resolver, proxy);
        let asking = Arc::new(Asking { client, numbers: AtomicU64::new(1) });
        let nodes = nodes.into_iter().map(|node| Arc::new(Reached::new(node)));
        Self { asking, nodes: nodes.collect() }
    }

    /// The names of the nodes, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|reached| reached.node.name.as_str())
    }

    /// Asks every node the questions of a round. Answers are in the order of the nodes, at the latest
    /// after [`NODE_ROUND_MS_MAX`]: what was not answered until then is missing.
    pub async fn ask(&self, chain: ChainId, round: &Round) -> Vec<NodeAnswers> {
        let until = Instant::now() + Duration::from_millis(NODE_ROUND_MS_MAX);
        let round = Arc::new(round.clone());
        let mut asked = JoinSet::new();
        for (at, reached) in self.nodes.iter().enumerate() {
            let (asking, reached, round) = (self.asking.clone(), reached.clone(), round.clone());
            asked.spawn(async move { (at, asking.round(&reached, chain, &round, until).await) });
        }
        let mut answers = vec![NodeAnswers::default(); self.nodes.len()];
        while let Some(told) = asked.join_next().await {
            if let Ok((at, told)) = told
                && let Some(place) = answers.get_mut(at)
            {
                *place = told;
            }
        }
        answers
    }

    /// Waits until a node says that there is something new: what exactly, only asking tells. Comes back as
    /// well when the connection to one has ended; never, where no node has one. May be dropped before its
    /// end.
    pub async fn news(&mut self, chain: ChainId) {
        let subscribe = Call::new_heads(chain);
        let lines = self.nodes.iter().filter_map(|reached| reached.line.as_ref());
        let mut told: FuturesUnordered<_> =
            lines.map(|line| line.news(subscribe.as_ref())).collect();
        if told.next().await.is_none() {
            std::future::pending().await
        }
    }
}

impl Reached {
    fn new(node: Node) -> Self {
        let is_kept = matches!(node.url.scheme(), "ws" | "wss");
        Self { node, line: is_kept.then(Line::default) }
    }

    async fn way(&self) -> Way<'_> {
        match &self.line {
            Some(line) => Way::Socket(line.turn().await),
            None => Way::Http,
        }
    }
}

impl Asking {
    /// Every question of the round to one node, in their order.
    async fn round(
        &self,
        reached: &Reached,
        chain: ChainId,
        round: &Round,
        until: Instant,
    ) -> NodeAnswers {
        let mut answers = Vec::with_capacity(round.questions.len());
        let mut way = reached.way().await;
        for question in &round.questions {
            let asked = self.question((&reached.node, &mut way), chain, *question, round);
            let asked = timeout_at(until, asked).await;
            let answer = asked.unwrap_or(Answer::Failed(Failure::Away));
            // Who is not there is not asked for the rest; nor for blocks above one that is not there yet,
            // since heights are asked for from low to high.
            let is_last = matches!(answer, Answer::Failed(Failure::Away) | Answer::Block(None));
            answers.push((*question, answer));
            if is_last {
                break;
            }
        }
        if let Way::Socket(turn) = way {
            turn.end();
        }
        NodeAnswers { round: round.number, answers }
    }

    async fn question(
        &self,
        (node, way): (&Node, &mut Way<'_>),
        chain: ChainId,
        question: Question,
        round: &Round,
    ) -> Answer {
        let mut dialogue = Dialogue::begin(chain, question);
        loop {
            let calls = dialogue.calls(&round.watch);
            if calls.len() > NODE_CALLS_MAX {
                return Answer::Failed(Failure::TooLarge);
            }
            let mut replies = Vec::with_capacity(calls.len());
            for call in &calls {
                let most = Duration::from_millis(NODE_CALL_MS_MAX);
                let reply = timeout(most, self.call(node, way, call)).await;
                replies.push(reply.unwrap_or(Reply::Failed(Failure::Away)));
            }
            match dialogue.take(chain, &round.watch, &replies) {
                ControlFlow::Break(answer) => return answer,
                ControlFlow::Continue(more) => dialogue = more,
            }
        }
    }

    async fn call(&self, node: &Node, way: &mut Way<'_>, call: &Call) -> Reply {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        match way {
            Way::Http => self.post(node, call, number).await,
            Way::Socket(turn) => turn.call(&self.client, node, call, number).await,
        }
    }

    async fn post(&self, node: &Node, call: &Call, number: u64) -> Reply {
        let mut request = Request::new(Full::new(Bytes::from(call.text(number))));
        *request.method_mut() = Method::POST;
        let Ok(uri) = node.url.as_str().parse() else { return Reply::Failed(Failure::Away) };
        *request.uri_mut() = uri;
        request.headers_mut().clone_from(&node.headers);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let Ok(response) = self.client.call(request, node.allow_private).await else {
            return Reply::Failed(Failure::Away);
        };
        let status = response.status();
        let body = match Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Reply::Failed(Failure::TooLarge);
            }
            Err(_) => return Reply::Failed(Failure::Away),
        };
        // Bitcoin Core answers its own errors with 500 and JSON; a page of a proxy is no answer.
        match (Reply::read(&body, number), status) {
            (reply, StatusCode::OK) => reply,
            (error @ Reply::Error(_), _) => error,
            _ if status.is_client_error() => Reply::Failed(Failure::Refused),
            _ => Reply::Failed(Failure::Away),
        }
    }
}

#[cfg(test)]
mod tests;
