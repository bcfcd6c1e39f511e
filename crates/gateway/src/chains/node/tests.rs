//! Nodes that answer as none should.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const CHAIN: ChainId = ChainId::Bitcoin([0; 16]);

/// What a node says of the block at a height when this comes back over the wire.
async fn said(response: impl Into<Vec<u8>>, headers: HeaderMap) -> (Answer, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let response = response.into();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a call");
        let mut asked = vec![0; 4096];
        let length = stream.read(&mut asked).await.expect("it is sent");
        // The client may have read enough before everything is written.
        let _ = stream.write_all(&response).await;
        asked.truncate(length);
        String::from_utf8(asked).expect("text")
    });
    let url = url.parse().expect("a URL");
    let node = Node { name: "node".to_owned(), url, headers, allow_private: true };
    let nodes = Nodes::new(vec![node], &Resolver::System, None);
    let questions = vec![Question::HashAt(3)];
    let round = Round { number: 9, questions, watch: ::chains::Watch::default() };
    let mut answers = nodes.ask(CHAIN, &round).await;
    let told = answers.pop().expect("one node");
    assert_eq!(told.round, 9);
    let (_, answer) = told.answers.into_iter().next().expect("one answer");
    (answer, server.await.expect("the server ends"))
}

fn response(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

async fn failure(response: impl Into<Vec<u8>>) -> Option<Failure> {
    match said(response, HeaderMap::new()).await.0 {
        Answer::Failed(failure) => Some(failure),
        _ => None,
    }
}

#[tokio::test]
async fn an_answer_is_read_whatever_status_its_error_has() {
    let hash = "ab".repeat(32);
    let good = response("200 OK", &format!(r#"{{"id":1,"result":"{hash}","error":null}}"#));
    assert_eq!(said(good, HeaderMap::new()).await.0, Answer::Hash(hash.parse().ok()));
    let above = r#"{"id":1,"result":null,"error":{"code":-8}}"#;
    let error = response("500 Internal Server Error", above);
    assert_eq!(said(error, HeaderMap::new()).await.0, Answer::Hash(None));
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure_of_its_kind() {
    let result = r#"{"id":1,"result":"00"}"#;
    assert_eq!(failure(response("200 OK", result)).await, Some(Failure::Malformed));
    assert_eq!(failure(response("200 OK", "<html>")).await, Some(Failure::Malformed));
    let other = r#"{"id":2,"result":null}"#;
    assert_eq!(failure(response("200 OK", other)).await, Some(Failure::Malformed));
    assert_eq!(failure(response("401 Unauthorized", "")).await, Some(Failure::Refused));
    assert_eq!(failure(response("502 Bad Gateway", "<html>")).await, Some(Failure::Away));
    assert_eq!(failure("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await, Some(Failure::Away));
    assert_eq!(failure("SSH-2.0-OpenSSH_9.2\r\n").await, Some(Failure::Away));
    let moved = "HTTP/1.1 301 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(failure(moved).await, Some(Failure::Away), "nobody is sent elsewhere");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let mut large = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    large.resize(large.len() + ANSWER_BYTES_MAX + 65_536, b' ');
    assert_eq!(failure(large).await, Some(Failure::TooLarge));
}

#[tokio::test]
async fn a_node_gets_its_credentials_and_one_that_is_private_only_with_leave() {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, HeaderValue::from_static("Basic dTpw"));
    let (_, asked) = said(response("200 OK", "{}"), headers).await;
    assert!(asked.contains("authorization: Basic dTpw"), "{asked}");
    assert!(asked.contains(r#""method":"getblockhash","params":[3]"#), "{asked}");
    let url = "http://127.0.0.1:1/".parse().expect("a URL");
    let node = Node { name: "n".to_owned(), url, headers: HeaderMap::new(), allow_private: false };
    let nodes = Nodes::new(vec![node], &Resolver::System, None);
    let questions = vec![Question::Head, Question::HashAt(1)];
    let round = Round { number: 1, questions, watch: ::chains::Watch::default() };
    let answers = nodes.ask(CHAIN, &round).await;
    let told = answers.first().map(|told| told.answers.clone());
    // And who is not there is not asked on.
    assert_eq!(told, Some(vec![(Question::Head, Answer::Failed(Failure::Away))]));
}
