//! Syslog: messages of RFC 5424 over UDP (RFC 5426) or TCP (RFC 6587, counted).

use std::io;
use std::net::SocketAddr;

use model::Timestamp;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};

/// Facility "log audit" (13) and severity "informational" (6), as RFC 5424 counts them.
const PRIORITY: u8 = 13 * 8 + 6;

/// A syslog server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syslog {
    /// Nobody hears whether a message arrived.
    Udp(SocketAddr),
    /// As long as the connection lasts, messages arrive in order; those under way when it breaks may
    /// be lost, as the protocol has no answers.
    Tcp(SocketAddr),
}

/// The server cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("syslog_unreachable: the syslog server takes no message: {0}")]
pub struct SyslogError(#[from] io::Error);

impl Syslog {
    /// Sends texts of a kind, each a message. A line end in a text stands as `\n`.
    pub(super) async fn send(
        self,
        kind: &str,
        texts: impl Iterator<Item = String>,
        now: Timestamp,
    ) -> Result<(), SyslogError> {
        let message = |text: String| {
            let text = text.replace('\n', "\\n");
            format!("<{PRIORITY}>1 {now} - countersign - {kind} - {text}")
        };
        match self {
            Self::Udp(address) => {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                    SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
                };
                let socket = UdpSocket::bind(any).await?;
                for text in texts {
                    socket.send_to(message(text).as_bytes(), address).await?;
                }
            }
            Self::Tcp(address) => {
                let mut stream = TcpStream::connect(address).await?;
                for text in texts {
                    let message = message(text);
                    let counted = format!("{} {message}", message.len());
                    stream.write_all(counted.as_bytes()).await?;
                }
                stream.shutdown().await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    const EPOCH: Timestamp = Timestamp::from_millis(0);
    const HEAD: &str = "<110>1 1970-01-01T00:00:00.000Z - countersign - entry - ";

    #[tokio::test]
    async fn a_datagram_holds_a_text_on_one_line() {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let syslog = Syslog::Udp(server.local_addr().expect("an address"));
        let texts = ["a\nb", "c"].map(str::to_owned);
        syslog.send("entry", texts.into_iter(), EPOCH).await.expect("sends");
        let mut buffer = [0; 2048];
        for text in ["a\\nb", "c"] {
            let length = server.recv(&mut buffer).await.expect("a message");
            assert_eq!(String::from_utf8_lossy(&buffer[..length]), format!("{HEAD}{text}"));
        }
    }

    #[tokio::test]
    async fn over_tcp_each_message_says_how_long_it_is() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let syslog = Syslog::Tcp(server.local_addr().expect("an address"));
        let texts = ["a", "bc"].map(str::to_owned);
        let sending = syslog.send("entry", texts.into_iter(), EPOCH);
        let (sent, accepted) = tokio::join!(sending, server.accept());
        sent.expect("sends");
        let mut said = String::new();
        accepted.expect("a connection").0.read_to_string(&mut said).await.expect("text");
        let (one, two) = (format!("{HEAD}a"), format!("{HEAD}bc"));
        assert_eq!(said, format!("{} {one}{} {two}", one.len(), two.len()));
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_an_error() {
        let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let syslog = Syslog::Tcp(gone.local_addr().expect("an address"));
        drop(gone);
        let sent = syslog.send("entry", std::iter::once("a".to_owned()), EPOCH).await;
        assert!(sent.unwrap_err().to_string().starts_with("syslog_unreachable: "));
    }
}
