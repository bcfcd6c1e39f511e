//! JSON-RPC with nodes, in plain data: what is sent, what came back, and what follows from it.

use std::ops::ControlFlow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::asset::ChainId;
use crate::node::{Answer, Failure, Question, Watch};
use crate::{bitcoin, evm};

/// One call to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// Its parameters, a JSON array.
    pub parameters: String,
}

impl Call {
    pub(crate) fn new(method: &'static str, parameters: String) -> Self {
        Self { method, parameters }
    }

    /// Asks to be told of every new block, on a connection on which nodes of this chain do that. What
    /// they tell is a reason to look, and nothing more.
    pub fn new_heads(chain: ChainId) -> Option<Self> {
        match chain {
            ChainId::Evm(_) => Some(Self::new("eth_subscribe", r#"["newHeads"]"#.to_owned())),
            ChainId::Bitcoin(_) => None,
        }
    }

    /// The text of the request. The number comes back in the reply.
    pub fn text(&self, number: u64) -> String {
        let Self { method, parameters } = self;
        format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"{method}","params":{parameters}}}"#)
    }
}

/// What came back for one call.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A result, still to be read.
    Result(Box<RawValue>),
    /// The node's own error, by its code.
    Error(i64),
    /// Nothing that can be used.
    Failed(Failure),
}

impl Reply {
    /// Reads the body of a response to the call with this number.
    pub fn read(body: &[u8], number: u64) -> Self {
        match Said::read(body) {
            Some(Said::Reply(to, reply)) if to == number => reply,
            _ => Self::Failed(Failure::Malformed),
        }
    }

    /// The result as a value of this form.
    pub(crate) fn parsed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        match self {
            Self::Result(raw) => serde_json::from_str(raw.get()).map_err(|_| Failure::Malformed),
            Self::Error(_) => Err(Failure::Refused),
            Self::Failed(failure) => Err(*failure),
        }
    }
}

/// One message of a node, over a connection on which it also speaks unasked.
#[derive(Debug, Clone)]
pub enum Said {
    /// The reply to the call with this number.
    Reply(u64, Reply),
    /// Something has happened that somebody wanted to be told of.
    Notice,
}

impl Said {
    /// Reads one message; none if it is neither.
    pub fn read(message: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            id: Option<u64>,
            method: Option<IgnoredAny>,
            #[serde(borrow, default)]
            result: Option<&'a RawValue>,
            error: Option<RpcError>,
        }
        #[derive(Deserialize)]
        struct RpcError {
            code: i64,
        }
        let envelope: Envelope<'_> = serde_json::from_slice(message).ok()?;
        let Some(id) = envelope.id else { return envelope.method.map(|_| Self::Notice) };
        let reply = match (envelope.error, envelope.result) {
            (Some(error), _) => Reply::Error(error.code),
            (None, Some(result)) => Reply::Result(result.to_owned()),
            // `null` is a result as well: what was asked for is not there.
            (None, None) => Reply::Result(RawValue::NULL.to_owned()),
        };
        Some(Self::Reply(id, reply))
    }
}

/// What comes after a reply.
pub(crate) enum Next<S> {
    /// Ask on.
    Ask(S),
    /// The question is answered.
    Answered(Answer),
}

impl<S> Next<S> {
    fn of<T>(self, stage: fn(S) -> T) -> Next<T> {
        match self {
            Self::Ask(next) => Next::Ask(stage(next)),
            Self::Answered(answer) => Next::Answered(answer),
        }
    }
}

/// One question to one node, which may take several calls one after the other.
///
/// As long as there are [`calls`](Self::calls), they are sent (in any order, or at once) and their
/// replies given to [`take`](Self::take).
#[derive(Debug)]
pub struct Dialogue {
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Evm(evm::Stage),
    Bitcoin(bitcoin::Stage),
}

impl Dialogue {
    /// Begins with a question to a node of this chain.
    pub fn begin(chain: ChainId, question: Question) -> Self {
        let stage = match chain {
            ChainId::Evm(_) => Stage::Evm(evm::Stage::begin(question)),
            ChainId::Bitcoin(_) => Stage::Bitcoin(bitcoin::Stage::begin(question)),
        };
        Self { stage }
    }

    /// What is to be sent now.
    pub fn calls(&self, watch: &Watch) -> Vec<Call> {
        match &self.stage {
            Stage::Evm(stage) => stage.calls(watch),
            Stage::Bitcoin(stage) => stage.calls(),
        }
    }

    /// Takes the replies, in the order of the calls, and breaks off with the answer or goes on.
    pub fn take(
        self,
        chain: ChainId,
        watch: &Watch,
        replies: &[Reply],
    ) -> ControlFlow<Answer, Self> {
        let next = match self.stage {
            Stage::Evm(stage) => stage.take(chain, watch, replies).map(|next| next.of(Stage::Evm)),
            Stage::Bitcoin(stage) => {
                stage.take(chain, watch, replies).map(|next| next.of(Stage::Bitcoin))
            }
        };
        match next {
            Ok(Next::Ask(stage)) => ControlFlow::Continue(Self { stage }),
            Ok(Next::Answered(answer)) => ControlFlow::Break(answer),
            Err(failure) => ControlFlow::Break(Answer::Failed(failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_results_errors_or_nothing() {
        let read = |body: &str| match Reply::read(body.as_bytes(), 7) {
            Reply::Result(raw) => raw.get().to_owned(),
            Reply::Error(code) => code.to_string(),
            Reply::Failed(failure) => failure.code().to_owned(),
        };
        assert_eq!(read(r#"{"jsonrpc":"2.0","id":7,"result":"0x1"}"#), "\"0x1\"");
        assert_eq!(read(r#"{"id":7,"result":null,"error":null}"#), "null");
        assert_eq!(read(r#"{"id":7,"error":{"code":-8,"message":"out of range"}}"#), "-8");
        let bad = ["", "{}", "[]", "null", r#"{"id":8,"result":1}"#, r#"{"id":"7","result":1}"#];
        for body in bad.into_iter().chain([r#"{"id":7,"result":1,"result":2}"#, "{\"id\":7}x"]) {
            assert_eq!(read(body), "node_malformed", "{body}");
        }
    }

    #[test]
    fn a_message_is_a_reply_or_a_notice() {
        let read = |message: &str| match Said::read(message.as_bytes()) {
            Some(Said::Reply(number, Reply::Error(code))) => format!("{number}: error {code}"),
            Some(Said::Reply(number, _)) => number.to_string(),
            Some(Said::Notice) => "notice".to_owned(),
            None => "neither".to_owned(),
        };
        assert_eq!(read(r#"{"jsonrpc":"2.0","id":7,"result":"0x1"}"#), "7");
        assert_eq!(read(r#"{"id":0,"error":{"code":-32601,"message":"no"}}"#), "0: error -32601");
        let notice = r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"result":{}}}"#;
        assert_eq!(read(notice), "notice");
        let neither = ["", "{}", "[]", "7", r#"{"id":null,"result":1}"#, r#"{"id":-1}"#];
        for message in neither.into_iter().chain([r#"{"result":1}"#, r#"{"method":1,"method":2}"#])
        {
            assert_eq!(read(message), "neither", "{message}");
        }
    }

    #[test]
    fn only_evm_nodes_tell_of_new_blocks() {
        let subscribe = Call::new_heads(ChainId::Evm(1)).expect("they do");
        let text = r#"{"jsonrpc":"2.0","id":0,"method":"eth_subscribe","params":["newHeads"]}"#;
        assert_eq!(subscribe.text(0), text);
        assert_eq!(Call::new_heads(ChainId::Bitcoin([0; 16])), None);
    }

    #[test]
    fn a_call_is_json() {
        let call = Call::new("eth_getBlockByNumber", r#"["0x1",true]"#.to_owned());
        let body: serde_json::Value = serde_json::from_str(&call.text(3)).expect("JSON");
        assert_eq!(body.pointer("/params/0").and_then(|one| one.as_str()), Some("0x1"));
        assert_eq!(body.get("id").and_then(serde_json::Value::as_u64), Some(3));
    }
}
