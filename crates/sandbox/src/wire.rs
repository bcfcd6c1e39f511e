//! One HTTP/1.1 request over loopback, exactly as given, from an address of the sender's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// The most of an answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A request as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names and values as they are sent: any case, repeats kept, any bytes that HTTP allows.
    /// `host` and `content-length` are added unless they stand here.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The exact body.
    pub body: Vec<u8>,
}

impl Request {
    /// A POST of a JSON body.
    pub fn post_json(path: &str, body: Vec<u8>) -> Self {
        let headers = vec![("Content-Type".into(), b"application/json".to_vec())];
        Self { method: "POST".into(), path: path.into(), headers, body }
    }

    /// The same with one header more.
    pub fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same without this header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// The first value of this header, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The same with this header's values replaced by one.
    pub fn replacing(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.without(name).with(name, value)
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case, values as text.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of this header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody listens there, or the sender's address is not to be had.
    #[error("not connected: {0}")]
    Unreachable(std::io::Error),
    /// The connection broke before the answer.
    #[error("the connection broke before the answer")]
    Broken,
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The sender hung up on purpose, before the answer.
    #[error("hung up before the answer")]
    HungUp,
    /// The request cannot be put into HTTP.
    #[error("not a request that HTTP can carry")]
    NotHttp,
}

impl SendError {
    /// A stable code for logs and tables.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Broken => "broken",
            Self::TimedOut => "timed_out",
            Self::HungUp => "hung_up",
            Self::NotHttp => "not_http",
        }
    }
}

/// How the gateway learns a party's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Each party dials from a loopback address of its own.
    Direct,
    /// Systems with one loopback address only: everybody dials from it, as through a load
    /// balancer, which appends each party's address to `X-Forwarded-For`. The gateway must list
    /// [`Route::BALANCER`] as a trusted proxy.
    Balancer,
}

impl Route {
    /// The address that everybody dials from when there is but one.
    pub const BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// The route that this system can do.
    pub fn of_this_system() -> Self {
        let other = (Ipv4Addr::new(127, 0, 0, 2), 0);
        if std::net::TcpListener::bind(other).is_ok() { Self::Direct } else { Self::Balancer }
    }
}

/// Sends one request and reads the answer, within `answer_ms_max` milliseconds in all.
pub async fn send(
    to: SocketAddr,
    from: IpAddr,
    route: Route,
    request: &Request,
    answer_ms_max: u64,
) -> Result<Answer, SendError> {
    let exchange = async {
        let stream = dial(to, from, route).await?;
        let request = assemble(to, from, route, request)?;
        let (mut sender, connection) =
            http1::Builder::new().title_case_headers(false).handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| SendError::Broken)?.to_bytes().to_vec();
        driver.abort();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        Ok(Answer { status: head.status.as_u16(), headers: headers.collect(), body })
    };
    let limit = Duration::from_millis(answer_ms_max);
    tokio::time::timeout(limit, exchange).await.unwrap_or(Err(SendError::TimedOut))
}

/// Sends one request and hangs up without reading the answer, as when the network fails between.
pub async fn send_and_hang_up(
    to: SocketAddr,
    from: IpAddr,
    route: Route,
    request: &Request,
    linger: Duration,
) -> SendError {
    let attempt = async {
        let mut stream = dial(to, from, route).await?;
        let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.path).into_bytes();
        for (name, value) in headers(to, from, route, request) {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(&value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(
            format!("content-length: {}\r\n\r\n", request.body.len()).as_bytes(),
        );
        bytes.extend_from_slice(&request.body);
        stream.write_all(&bytes).await.map_err(|_| SendError::Broken)?;
        tokio::time::sleep(linger).await;
        Err(SendError::HungUp)
    };
    let done: Result<std::convert::Infallible, SendError> = attempt.await;
    match done {
        Ok(never) => match never {},
        Err(why) => why,
    }
}

impl From<hyper::Error> for SendError {
    fn from(error: hyper::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Broken }
    }
}

async fn dial(to: SocketAddr, from: IpAddr, route: Route) -> Result<TcpStream, SendError> {
    let socket = TcpSocket::new_v4().map_err(SendError::Unreachable)?;
    if route == Route::Direct {
        socket.bind(SocketAddr::new(from, 0)).map_err(SendError::Unreachable)?;
    }
    let stream = socket.connect(to).await.map_err(SendError::Unreachable)?;
    stream.set_nodelay(true).map_err(SendError::Unreachable)?;
    Ok(stream)
}

/// The headers as they go out: the request's own, a `host`, and what a load balancer appends.
fn headers(
    to: SocketAddr,
    from: IpAddr,
    route: Route,
    request: &Request,
) -> Vec<(String, Vec<u8>)> {
    let mut headers = request.headers.clone();
    if request.header("host").is_none() {
        headers.insert(0, ("host".into(), to.to_string().into_bytes()));
    }
    if route == Route::Balancer {
        headers.push(("x-forwarded-for".into(), from.to_string().into_bytes()));
    }
    headers
}

fn assemble(
    to: SocketAddr,
    from: IpAddr,
    route: Route,
    request: &Request,
) -> Result<hyper::Request<Full<Bytes>>, SendError> {
    let mut builder =
        hyper::Request::builder().method(request.method.as_str()).uri(request.path.as_str());
    for (name, value) in headers(to, from, route, request) {
        builder = builder.header(name.as_str(), value.as_slice());
    }
    builder.body(Full::new(Bytes::from(request.body.clone()))).map_err(|_| SendError::NotHttp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let to = free.local_addr().expect("its address");
        drop(free);
        let request = Request::post_json("/", Vec::new());
        let sent = send(to, Route::BALANCER, Route::Direct, &request, 1000).await;
        assert!(matches!(sent, Err(SendError::Unreachable(_))), "{sent:?}");
    }

    #[tokio::test]
    async fn silence_is_timed_out() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let to = silent.local_addr().expect("its address");
        let request = Request::post_json("/", Vec::new());
        let sent = send(to, Route::BALANCER, Route::Direct, &request, 50).await;
        assert!(matches!(sent, Err(SendError::TimedOut)), "{sent:?}");
    }

    #[test]
    fn a_balancer_appends_after_what_the_sender_wrote() {
        let to = "127.0.0.1:80".parse().expect("an address");
        let from: IpAddr = "127.0.9.9".parse().expect("an address");
        let request =
            Request::post_json("/", Vec::new()).with("X-Forwarded-For", "10.0.0.1".as_bytes());
        let sent = headers(to, from, Route::Balancer, &request);
        let forwarded: Vec<_> = sent
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"))
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect();
        assert_eq!(forwarded, ["10.0.0.1", "127.0.9.9"]);
        assert_eq!(sent.first().map(|(name, _)| name.as_str()), Some("host"));
    }
}
