//! Where the application registers what it expects to be paid: the gateway's API, with a key.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::wire::{self, Request, Route, SendError};

const ANSWER_MS_MAX: u64 = 5_000;

/// How long is waited before what cannot be answered yet is asked again, and how often it is asked.
const PAUSE: Duration = Duration::from_millis(400);
const TRIES: usize = 5;

/// The application's till.
pub struct Till {
    api: SocketAddr,
    key: String,
}

/// An order that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The gateway's id of it.
    pub id: String,
    /// What the provider is to repeat.
    pub reference: String,
}

/// Why the till got no order.
#[derive(Debug, thiserror::Error)]
pub enum TillError {
    /// There was no answer.
    #[error(transparent)]
    Unanswered(#[from] SendError),
    /// The gateway did not do it; its status and what it says of that.
    #[error("{0} {1}")]
    Refused(u16, String),
    /// The answer is no order.
    #[error("the answer is no order")]
    NotAnOrder,
}

impl Till {
    /// A till at this API, with this key.
    pub fn new(api: SocketAddr, key: String) -> Self {
        Self { api, key }
    }

    /// Registers an order. Its reference is its key of idempotency, so that it is registered once.
    pub async fn place(&self, wanted: &Value) -> Result<Placed, TillError> {
        let reference = text(wanted, "reference")?;
        let request = Request::post_json("/v1/orders", wanted.to_string().into_bytes())
            .with("idempotency-key", reference.as_str());
        let order = self.ask(request).await?;
        Ok(Placed { id: text(&order, "id")?, reference })
    }

    /// Where an order stands.
    pub async fn state(&self, order: &Placed) -> Result<String, TillError> {
        let path = format!("/v1/orders/{}", order.id);
        let request = Request { method: "GET".into(), path, headers: Vec::new(), body: Vec::new() };
        text(&self.ask(request).await?, "state")
    }

    /// Asks until the gateway goes by the key, which may be new, and has time.
    async fn ask(&self, request: Request) -> Result<Value, TillError> {
        let request = request.with("authorization", format!("Bearer {}", self.key));
        let mut tries = 1;
        loop {
            let sent =
                wire::send(self.api, Route::BALANCER, Route::Direct, &request, ANSWER_MS_MAX);
            let answer = sent.await?;
            match answer.status {
                200 => return serde_json::from_slice(&answer.body).or(Err(TillError::NotAnOrder)),
                401 | 429 if tries < TRIES => tokio::time::sleep(PAUSE).await,
                status => {
                    let said = String::from_utf8_lossy(&answer.body).into_owned();
                    return Err(TillError::Refused(status, said));
                }
            }
            tries += 1;
        }
    }
}

fn text(of: &Value, member: &str) -> Result<String, TillError> {
    of.get(member).and_then(Value::as_str).map(str::to_owned).ok_or(TillError::NotAnOrder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A till at an API that gives these answers, one after the other, and what it was asked.
    async fn till(
        answers: Vec<(u16, &'static str)>,
    ) -> (Till, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let till = Till::new(listener.local_addr().expect("its address"), "cs_test_1".into());
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut bytes = vec![0; 4096];
                let length = stream.read(&mut bytes).await.expect("a request");
                bytes.truncate(length);
                asked.push(String::from_utf8(bytes).expect("text"));
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} S\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.expect("it is taken");
            }
            asked
        });
        (till, asked)
    }

    #[tokio::test]
    async fn an_order_is_placed_once_its_key_is_known() {
        let (till, asked) = till(vec![
            (401, ""),
            (200, r#"{"id":"ord_1","state":"awaiting"}"#),
            (429, ""),
            (200, r#"{"id":"ord_1","state":"paid"}"#),
        ])
        .await;
        let placed = till.place(&json!({"reference": "o-1", "amount": "1"})).await.expect("placed");
        assert_eq!(placed, Placed { id: "ord_1".into(), reference: "o-1".into() });
        assert_eq!(till.state(&placed).await.expect("a state"), "paid");
        let asked = asked.await.expect("no panic");
        for request in asked.iter().take(2) {
            assert!(request.starts_with("POST /v1/orders HTTP/1.1"), "{request}");
            assert!(request.contains("idempotency-key: o-1"), "{request}");
            assert!(request.contains("authorization: Bearer cs_test_1"), "{request}");
        }
        assert!(asked.iter().skip(2).all(|request| request.starts_with("GET /v1/orders/ord_1 ")));
    }

    #[tokio::test]
    async fn what_is_refused_or_is_no_order_is_an_error() {
        let (till, _) = till(vec![(422, "amount: amount_zero"), (200, "[]"), (200, "{")]).await;
        let wanted = json!({"reference": "o-1"});
        let refused = till.place(&wanted).await;
        assert!(
            matches!(refused, Err(TillError::Refused(422, said)) if said.contains("amount_zero"))
        );
        for _ in 0..2 {
            assert!(matches!(till.place(&wanted).await, Err(TillError::NotAnOrder)));
        }
        assert!(matches!(till.place(&json!({})).await, Err(TillError::NotAnOrder)));
    }
}
