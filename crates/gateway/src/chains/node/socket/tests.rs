//! Nodes over WebSocket: one that answers as it should, and many that do not. Their side is written byte
//! by byte.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::chains::{Answer, ChainId, Finality, Question, Round, Settings, State};
use model::limits::NODE_CALL_MS_MAX;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::super::{Asking, Nodes, Reached};
use super::*;
use crate::{Proxy, Resolver, Watcher};

const CHAIN: ChainId = ChainId::Evm(1);
const NOTICE: &str = r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"result":{}}}"#;
/// Longer than anything takes that is not waited for.
const MOMENT: Duration = Duration::from_millis(200);
/// For what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node's listener.
struct Double {
    listener: TcpListener,
    address: SocketAddr,
}

/// One connection to it, after the handshake.
struct Peer<S> {
    stream: S,
    /// The request for the upgrade.
    head: String,
}

impl Double {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        Self { listener, address }
    }

    fn node(&self) -> Node {
        let url = format!("ws://{}/v3", self.address).parse().expect("a URL");
        Node { name: "node".to_owned(), url, headers: HeaderMap::new(), allow_private: true }
    }

    fn nodes(&self) -> Nodes {
        Nodes::new(vec![self.node()], &Resolver::System, None)
    }

    async fn accepted(&self) -> TcpStream {
        self.listener.accept().await.expect("a connection").0
    }

    async fn peer(&self) -> Peer<TcpStream> {
        Peer::upgraded(self.accepted().await).await
    }

    /// One round in which the node answers as it should, on a new connection.
    async fn serves(&self, nodes: &Nodes) -> Peer<TcpStream> {
        let serving = async {
            let mut peer = self.peer().await;
            peer.answers().await;
            peer
        };
        let (answers, peer) = tokio::join!(ask(nodes, 1), serving);
        assert_eq!(answers, [Answer::Hash(None)]);
        peer
    }

    async fn is_left_alone(&self) {
        assert!(timeout(MOMENT, self.listener.accept()).await.is_err(), "nobody connects");
    }
}

async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    String::from_utf8(head).expect("text")
}

/// The answer to a handshake, with more headers.
fn switching(head: &str, more: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let accept = accept(key.expect("a key"));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n\
         sec-websocket-accept: {accept}\r\n{more}\r\n"
    )
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    async fn upgraded(mut stream: S) -> Self {
        let head = head(&mut stream).await;
        stream.write_all(switching(&head, "").as_bytes()).await.expect("answered");
        Self { stream, head }
    }

    /// The next frame: its first byte, and what is in it.
    async fn heard(&mut self) -> (u8, Vec<u8>) {
        let first = self.stream.read_u8().await.expect("a frame");
        let length = self.stream.read_u8().await.expect("a length");
        assert!((0x80..0x80 + 126).contains(&length), "masked, and a call is short: {length}");
        let mut mask = [0; 4];
        self.stream.read_exact(&mut mask).await.expect("a mask");
        let mut payload = vec![0; usize::from(length - 0x80)];
        self.stream.read_exact(&mut payload).await.expect("a payload");
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        (first, payload)
    }

    /// The number of the next call, and its method.
    async fn asked(&mut self) -> (u64, String) {
        let (first, payload) = self.heard().await;
        assert_eq!(first, 0x81, "a text");
        let call: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
        let method = call["method"].as_str().expect("a method").to_owned();
        (call["id"].as_u64().expect("a number"), method)
    }

    async fn says(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it is read");
    }

    async fn answers(&mut self) {
        let (number, _) = self.asked().await;
        self.says(&text(&nothing(number))).await;
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(u8::try_from(length).expect("it fits")),
        length @ ..0x1_0000 => {
            frame.push(126);
            frame.extend(u16::try_from(length).expect("it fits").to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// The reply that there is no such block.
fn nothing(number: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{number},"result":null}}"#)
}

async fn ask(nodes: &Nodes, questions: u64) -> Vec<Answer> {
    let questions = (1..=questions).map(Question::HashAt).collect();
    let round = Round { number: 9, questions, watch: ::chains::Watch::default() };
    let mut told = nodes.ask(CHAIN, &round).await;
    let told = told.pop().expect("one node").answers;
    told.into_iter().map(|(_, answer)| answer).collect()
}

async fn wakes(nodes: &mut Nodes) -> bool {
    timeout(PATIENCE, nodes.news(CHAIN)).await.is_ok()
}

async fn sleeps(nodes: &mut Nodes) -> bool {
    timeout(MOMENT, nodes.news(CHAIN)).await.is_err()
}

#[test]
fn the_answer_to_a_key_is_that_of_the_standard() {
    // RFC 6455 §1.3.
    assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[tokio::test]
async fn calls_go_over_one_connection_whatever_comes_in_between() {
    let double = Double::start().await;
    let mut node = double.node();
    let credentials = HeaderValue::from_static("Bearer node_test_token");
    node.headers.insert(http::header::AUTHORIZATION, credentials);
    let nodes = Nodes::new(vec![node], &Resolver::System, None);
    let serving = async {
        let mut peer = double.peer().await;
        for line in ["GET /v3 HTTP/1.1", "authorization: Bearer node_test_token"] {
            assert!(peer.head.lines().any(|one| one == line), "{}", peer.head);
        }
        peer.answers().await;
        // A notice, a reply in three parts, and a ping among them.
        let (number, method) = peer.asked().await;
        assert_eq!((number, method.as_str()), (2, "eth_getBlockByNumber"));
        let reply = nothing(number);
        let (one, rest) = reply.as_bytes().split_at(5);
        let (two, three) = rest.split_at(7);
        let parts = [text(NOTICE), frame(0x01, one), frame(0x89, b"there?"), frame(0x00, two)];
        peer.says(&parts.concat()).await;
        peer.says(&frame(0x80, three)).await;
        assert_eq!(peer.heard().await, (0x8a, b"there?".to_vec()), "a pong");
        // The next round.
        peer.answers().await;
        peer
    };
    let asking = async {
        assert_eq!(ask(&nodes, 2).await, [Answer::Hash(None), Answer::Hash(None)]);
        assert_eq!(ask(&nodes, 1).await, [Answer::Hash(None)]);
    };
    tokio::join!(asking, serving);
    double.is_left_alone().await;
}

/// What the node says in the place of a reply to this call makes the failure, and the next round goes over
/// a new connection. It goes away after that, or stays.
async fn is_failure(name: &str, failure: Failure, goes: bool, said: impl Fn(u64) -> Vec<u8>) {
    let double = Double::start().await;
    let nodes = double.nodes();
    let serving = async {
        let mut peer = double.peer().await;
        let (number, _) = peer.asked().await;
        // It may be cut off in the middle of what it says.
        let _ = peer.stream.write_all(&said(number)).await;
        (!goes).then_some(peer)
    };
    let (answers, _peer) = tokio::join!(ask(&nodes, 3), serving);
    assert_eq!(answers.first(), Some(&Answer::Failed(failure)), "{name}");
    let rest = answers.get(1..).unwrap_or_default();
    let is_given_up = rest.iter().all(|answer| *answer == Answer::Failed(Failure::Away));
    assert!(is_given_up && rest.len() < 2, "{name}: {rest:?}");
    double.is_left_alone().await;
    double.serves(&nodes).await;
}

#[tokio::test]
async fn what_is_no_reply_is_a_failure_of_its_kind() {
    let malformed = Failure::Malformed;
    let (whole, other) = (|number| text(&nothing(number)), |number| text(&nothing(number + 1)));
    is_failure("another call's", malformed, false, other).await;
    is_failure("binary", malformed, false, |n| frame(0x82, nothing(n).as_bytes())).await;
    is_failure("no JSON", malformed, false, |_| text("<html>")).await;
    is_failure("no text", malformed, false, |_| frame(0x81, &[0xff, 0xfe])).await;
    is_failure("an extension's bit", malformed, false, |n| frame(0xc1, nothing(n).as_bytes()))
        .await;
    is_failure("an unknown kind", malformed, false, |n| frame(0x83, nothing(n).as_bytes())).await;
    is_failure("the rest of nothing", malformed, false, |n| frame(0x80, nothing(n).as_bytes()))
        .await;
    let masked = |_| vec![0x81, 0x82, 0, 0, 0, 0, b'{', b'}'];
    is_failure("masked", malformed, false, masked).await;
    is_failure("closed", Failure::Away, false, |_| frame(0x88, &1001_u16.to_be_bytes())).await;
    is_failure("gone", Failure::Away, true, |_| Vec::new()).await;
    let half = |number| whole(number)[..9].to_vec();
    is_failure("gone in the middle", Failure::Away, true, half).await;
}

#[tokio::test]
async fn what_has_no_end_is_not_read_to_its_end() {
    let too_large = Failure::TooLarge;
    let announced = |_| [&[0x81, 127][..], &(ANSWER_BYTES_MAX as u64 + 1).to_be_bytes()].concat();
    is_failure("a frame too large", too_large, false, announced).await;
    let part = frame(0x00, &vec![b' '; 1 << 20]);
    let parts = ANSWER_BYTES_MAX / (1 << 20);
    let endless = |_| [frame(0x01, b"{"), part.repeat(parts)].concat();
    is_failure("parts too many", too_large, false, endless).await;
    let most = ANSWER_BYTES_MAX / MESSAGE_BYTES_MIN + 1;
    is_failure("notices", too_large, false, |_| text(NOTICE).repeat(most)).await;
    is_failure("pings", too_large, false, |_| frame(0x89, b"").repeat(most)).await;
}

async fn no_time_is_left() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(NODE_CALL_MS_MAX + 1)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_node_that_falls_silent_is_away_after_its_time() {
    let double = Double::start().await;
    let nodes = double.nodes();
    let serving = async {
        let mut peer = double.peer().await;
        let (number, _) = peer.asked().await;
        peer.says(&text(&nothing(number))[..9]).await;
        no_time_is_left().await;
        peer
    };
    let (answers, mut late) = tokio::join!(ask(&nodes, 3), serving);
    assert_eq!(answers, [Answer::Failed(Failure::Away)]);
    let peer = double.serves(&nodes).await;
    // What comes late comes to nobody.
    let _ = late.stream.write_all(&text(&nothing(1))[9..]).await;
    drop(peer);

    // In the middle of the handshake as well.
    let double = Double::start().await;
    let nodes = double.nodes();
    let serving = async {
        let mut stream = double.accepted().await;
        head(&mut stream).await;
        no_time_is_left().await;
        stream
    };
    let (answers, _stream) = tokio::join!(ask(&nodes, 3), serving);
    assert_eq!(answers, [Answer::Failed(Failure::Away)]);
    double.serves(&nodes).await;
}

/// Makes a response of the head of a request.
type Responding = Box<dyn Fn(&str) -> String>;

#[tokio::test]
async fn what_is_no_upgrade_is_a_failure_of_its_kind() {
    let plain = |status: &str| {
        let response =
            format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        move |_: &str| response.clone()
    };
    let more = |more: &'static str| move |head: &str| switching(head, more);
    let without = |what: &'static str| move |head: &str| switching(head, "").replace(what, "x");
    let moved = "301 Moved\r\nlocation: ws://127.0.0.1:1/";
    let (refused, malformed, away) = (Failure::Refused, Failure::Malformed, Failure::Away);
    let cases: [(&str, Failure, Responding); 11] = [
        ("401", refused, Box::new(plain("401 Unauthorized"))),
        ("403", refused, Box::new(plain("403 Forbidden"))),
        ("200", malformed, Box::new(plain("200 OK"))),
        ("moved", away, Box::new(plain(moved))),
        ("502", away, Box::new(plain("502 Bad Gateway"))),
        ("another protocol", away, Box::new(|_| "SSH-2.0-OpenSSH_9.2\r\n".to_owned())),
        (
            "another key",
            malformed,
            Box::new(|head| switching(&head.replace("-key: ", "-key: x"), "")),
        ),
        ("no upgrade", malformed, Box::new(without("WebSocket"))),
        ("no connection", malformed, Box::new(without("Upgrade"))),
        (
            "extension",
            malformed,
            Box::new(more("sec-websocket-extensions: permessage-deflate\r\n")),
        ),
        ("subprotocol", malformed, Box::new(more("sec-websocket-protocol: chat\r\n"))),
    ];
    for (name, failure, answer) in cases {
        let double = Double::start().await;
        let nodes = double.nodes();
        let serving = async {
            let mut stream = double.accepted().await;
            let head = head(&mut stream).await;
            stream.write_all(answer(&head).as_bytes()).await.expect("answered");
        };
        let (answers, ()) = tokio::join!(ask(&nodes, 1), serving);
        assert_eq!(answers, [Answer::Failed(failure)], "{name}");
        double.serves(&nodes).await;
    }
}

#[tokio::test]
async fn what_a_node_says_unasked_is_a_reason_to_look() {
    let double = Double::start().await;
    let mut nodes = double.nodes();
    assert!(sleeps(&mut nodes).await, "there is no connection yet");
    let mut peer = double.serves(&nodes).await;
    assert!(sleeps(&mut nodes).await);
    assert_eq!(peer.asked().await, (0, "eth_subscribe".to_owned()));
    // It refuses, and answers all the same.
    peer.says(&text(r#"{"id":0,"error":{"code":-32601,"message":"no"}}"#)).await;
    assert!(sleeps(&mut nodes).await);
    let (answers, ()) = tokio::join!(ask(&nodes, 1), peer.answers());
    assert_eq!(answers, [Answer::Hash(None)]);
    peer.says(&[frame(0x89, b"there?"), text(NOTICE)].concat()).await;
    assert!(wakes(&mut nodes).await);
    assert_eq!(
        peer.heard().await,
        (0x8a, b"there?".to_vec()),
        "a pong, and no second subscription"
    );
    assert!(sleeps(&mut nodes).await, "once");
    // While it answers.
    let serving = async {
        let (number, _) = peer.asked().await;
        peer.says(&[text(NOTICE), text(&nothing(number))].concat()).await;
    };
    let (answers, ()) = tokio::join!(ask(&nodes, 1), serving);
    assert_eq!(answers, [Answer::Hash(None)]);
    assert!(wakes(&mut nodes).await);
    assert!(sleeps(&mut nodes).await, "once");
}

#[tokio::test]
async fn a_connection_that_ends_is_a_reason_to_look_once() {
    let over: [(&str, Vec<u8>); 4] = [
        ("gone", Vec::new()),
        ("closed", frame(0x88, b"")),
        ("a reply to nothing", text(&nothing(77))),
        ("binary", frame(0x82, b"{}")),
    ];
    for (name, said) in over {
        let double = Double::start().await;
        let mut nodes = double.nodes();
        let mut peer = double.serves(&nodes).await;
        peer.says(&said).await;
        let _peer = (!said.is_empty()).then_some(peer);
        assert!(wakes(&mut nodes).await, "{name}");
        assert!(sleeps(&mut nodes).await, "{name}: once");
        double.is_left_alone().await;
        // In a round as well, but only of a connection that was there before.
        drop(double.serves(&nodes).await);
        assert_eq!(ask(&nodes, 1).await, [Answer::Failed(Failure::Away)], "{name}");
        assert!(wakes(&mut nodes).await, "{name}: in a round");
        let (answers, ()) = tokio::join!(ask(&nodes, 1), async { drop(double.peer().await) });
        assert_eq!(answers, [Answer::Failed(Failure::Away)], "{name}");
        assert!(sleeps(&mut nodes).await, "{name}: it was never there");
    }
}

#[tokio::test]
async fn a_node_that_wakes_it_all_the_time_does_not_make_it_spin() {
    let double = Double::start().await;
    let finality = Finality { depth: 1, by_chain: false };
    let settings = Settings {
        chain: CHAIN,
        nodes: 1,
        nodes_agreeing: 1,
        finality,
        lag_blocks_max: 1,
        silence_s_max: None,
        blocks_per_step: 1,
        waiting: false,
    };
    let mut watcher = Watcher::new(settings, double.nodes());
    let mut looks = 0;
    let looking = async {
        let mut state = State::new(CHAIN);
        loop {
            state = watcher.turn(state, model::Timestamp::from_millis(0)).await.state;
            looks += 1;
            watcher.rest(Duration::from_secs(1)).await;
        }
    };
    let serving = async {
        let mut peer = double.peer().await;
        loop {
            let (number, _) = peer.asked().await;
            // Both while it answers and when nobody asks.
            let told = [text(NOTICE).repeat(9), text(&nothing(number)), text(NOTICE).repeat(9)];
            peer.says(&told.concat()).await;
        }
    };
    let busy = async { tokio::join!(looking, serving) };
    assert!(timeout(Duration::from_secs(3), busy).await.is_err(), "it goes on and on");
    // 0, 0.1, 0.3, 0.7, 1.5, 2.5, and from the beginning.
    assert!((4..=10).contains(&looks), "{looks} looks in three seconds");
}

#[tokio::test]
async fn a_private_node_is_dialled_only_with_leave_and_another_through_the_proxy() {
    let double = Double::start().await;
    let private = Node { allow_private: false, ..double.node() };
    let nodes = Nodes::new(vec![private], &Resolver::System, None);
    assert_eq!(ask(&nodes, 1).await, [Answer::Failed(Failure::Away)]);
    double.is_left_alone().await;

    // Everything that is dialled goes to the double, which is the proxy, and then what is behind it.
    let proxy = format!("http://{}", double.address).parse().ok().and_then(|url| Proxy::new(&url));
    let public: IpAddr = "93.184.215.14".parse().expect("an address");
    let resolver = Resolver::Scripted(Arc::new(move |_| vec![public]));
    let url = "ws://node.example:8546/".parse().expect("a URL");
    let node = Node { url, allow_private: false, ..double.node() };
    let nodes = Nodes::new(vec![node], &resolver, proxy.as_ref());
    let serving = async {
        let mut stream = double.accepted().await;
        let tunnel = head(&mut stream).await;
        assert!(tunnel.starts_with("CONNECT 93.184.215.14:8546 HTTP/1.1\r\n"), "{tunnel}");
        stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.expect("answered");
        let mut peer = Peer::upgraded(stream).await;
        assert!(peer.head.lines().any(|line| line == "host: node.example:8546"), "{}", peer.head);
        peer.answers().await;
        peer
    };
    let (answers, _peer) = tokio::join!(ask(&nodes, 1), serving);
    assert_eq!(answers, [Answer::Hash(None)]);
}

/// A node whose certificate is made here, and its acceptor.
fn encrypted() -> (rustls::RootCertStore, tokio_rustls::TlsAcceptor) {
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports them")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.expect("a key"));
    (roots, tokio_rustls::TlsAcceptor::from(Arc::new(config.expect("it is whole"))))
}

#[tokio::test]
async fn a_node_over_tls_is_asked_if_its_certificate_is_trusted() {
    let double = Double::start().await;
    let (roots, acceptor) = encrypted();
    let url: url::Url =
        format!("wss://localhost:{}/", double.address.port()).parse().expect("a URL");
    let node = || Node { url: url.clone(), ..double.node() };
    let localhost: IpAddr = "127.0.0.1".parse().expect("an address");
    let resolver = Resolver::Scripted(Arc::new(move |_| vec![localhost]));
    let stranger = Nodes::new(vec![node()], &resolver, None);
    let refused = async { acceptor.accept(double.accepted().await).await.map(drop) };
    let (answers, handshake) = tokio::join!(ask(&stranger, 1), refused);
    assert_eq!(answers, [Answer::Failed(Failure::Away)]);
    assert!(handshake.is_err(), "nobody trusts it");

    let asking = Asking { client: Client::trusting(&resolver, roots), numbers: 1.into() };
    let reached = Arc::new(Reached::new(node()));
    let nodes = Nodes { asking: Arc::new(asking), nodes: vec![reached] };
    let serving = async {
        let stream = acceptor.accept(double.accepted().await).await.expect("a handshake");
        let mut peer = Peer::upgraded(stream).await;
        peer.answers().await;
        peer
    };
    let (answers, _peer) = tokio::join!(ask(&nodes, 1), serving);
    assert_eq!(answers, [Answer::Hash(None)]);
}
