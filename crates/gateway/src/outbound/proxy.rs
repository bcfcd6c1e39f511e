//! The HTTP proxy that deliveries go through, where the configuration names one.
//!
//! The gateway resolves and checks an address as it does without a proxy, and asks the proxy for a
//! tunnel (`CONNECT`, RFC 9110 §9.3.6) to exactly what was checked: a proxy that resolved the name
//! again could be led elsewhere. TLS runs through the tunnel, so the proxy sees no delivery over
//! https. Variables of the environment such as `HTTPS_PROXY` name no proxy.

use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use tokio::net::TcpStream;
use tower::Service as _;

/// A proxy that tunnels. Printing it shows neither user name nor password.
#[derive(Clone, Debug)]
pub struct Proxy(Tunnel<HttpConnector>);

impl Proxy {
    /// The proxy at an `http` URL. A user name and password in it are sent as Basic credentials.
    /// Nothing if the URL is of another kind, or names more than a host and a port.
    pub fn new(url: &url::Url) -> Option<Self> {
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !bare {
            return None;
        }
        let host = url.host_str()?;
        let uri: Uri = format!("http://{host}:{}/", url.port_or_known_default()?).parse().ok()?;
        let tunnel = Tunnel::new(uri, HttpConnector::new());
        if url.username().is_empty() && url.password().is_none() {
            return Some(Self(tunnel));
        }
        let plain = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8()
                .ok()
                .map(|text| text.into_owned())
        };
        let user = plain(url.username())?;
        let password = plain(url.password().unwrap_or_default())?;
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        let mut value = HeaderValue::try_from(format!("Basic {credentials}")).ok()?;
        value.set_sensitive(true);
        Some(Self(tunnel.with_auth(value)))
    }

    /// A tunnel to an address.
    ///
    /// # Errors
    /// When the proxy cannot be reached or does not open it.
    pub(super) async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let target = Uri::try_from(format!("http://{address}/"))
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let stream = self.0.clone().call(target).await.map_err(io::Error::other)?;
        Ok(stream.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn proxy(url: &str) -> Option<Proxy> {
        Proxy::new(&url::Url::parse(url).expect("a URL"))
    }

    /// Answers one request like this, and gives the request and what came through after it.
    async fn asked(url: &str, answer: &'static str) -> (String, io::Result<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let proxy = proxy(&url.replace("{port}", &port.to_string())).expect("a proxy");
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut bytes = vec![0; 1024];
            let n = stream.read(&mut bytes).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("answered");
            String::from_utf8_lossy(bytes.get(..n).unwrap_or_default()).into_owned()
        });
        let dialled = proxy.dial("203.0.113.7:443".parse().expect("an address")).await;
        let through = match dialled {
            Ok(mut stream) => {
                let mut text = String::new();
                stream.read_to_string(&mut text).await.map(|_| text)
            }
            Err(error) => Err(error),
        };
        (served.await.expect("served"), through)
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_to_the_address_that_was_checked() {
        let (request, through) =
            asked("http://127.0.0.1:{port}", "HTTP/1.1 200 Connected\r\n\r\n").await;
        assert!(request.starts_with("CONNECT 203.0.113.7:443 HTTP/1.1\r\n"), "{request}");
        assert!(!request.to_ascii_lowercase().contains("authorization"), "{request}");
        assert_eq!(through.expect("a tunnel"), "");
    }

    #[tokio::test]
    async fn credentials_go_to_the_proxy_and_are_not_shown() {
        let url = "http://egress_test_user:p%40ss_test@127.0.0.1:{port}";
        let (request, through) = asked(url, "HTTP/1.1 200 OK\r\n\r\n").await;
        let expected = STANDARD.encode("egress_test_user:p@ss_test");
        assert!(
            request.contains(&format!("Proxy-Authorization: Basic {expected}\r\n")),
            "{request}"
        );
        assert!(through.is_ok());
        let shown = format!("{:?}", proxy("http://egress_test_user:p_test@127.0.0.1:1"));
        assert!(!shown.contains("egress_test_user") && !shown.contains(&expected), "{shown}");
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_no_connection() {
        for answer in [
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "HTTP/1.1 403 Forbidden\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "",
        ] {
            let (_, through) = asked("http://127.0.0.1:{port}", answer).await;
            assert!(through.is_err(), "{answer}");
        }
    }

    #[test]
    fn only_a_plain_http_proxy_is_one() {
        for url in [
            "https://proxy:3128",
            "socks5://proxy:1080",
            "http://proxy:3128/path",
            "http://proxy/?a",
        ] {
            assert!(proxy(url).is_none(), "{url}");
        }
        assert!(proxy("http://proxy").is_some());
        assert!(proxy("http://[::1]:3128/").is_some());
    }
}
