//! What comes before HTTP: the word of a trusted proxy, and the TLS handshake. Both under one
//! deadline, and while the connection has its place in the counts.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use model::limits::GREETING_MS_MAX;
use sabotage::Defect;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::connections::Place;
use super::proxy::{self, Behind};
use super::stream::Stream;
use super::{Doors, Peer};

/// Makes a connection ready for HTTP.
///
/// # Errors
/// The greeting failed, or took too long: the connection is to be cut.
pub(super) async fn greet(
    stream: TcpStream,
    address: IpAddr,
    doors: &Doors,
    place: &mut Place,
) -> io::Result<(Stream, Peer)> {
    let patience = Duration::from_millis(GREETING_MS_MAX);
    match tokio::time::timeout(patience, ready(stream, address, doors, place)).await {
        Ok(ready) => ready,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the greeting took too long")),
    }
}

async fn ready(
    mut stream: TcpStream,
    address: IpAddr,
    doors: &Doors,
    place: &mut Place,
) -> io::Result<(Stream, Peer)> {
    let mut peer = Peer { address, is_trusted: doors.trust(address), is_encrypted: false };
    let may_speak = peer.is_trusted || sabotage::on(Defect::ProxyHeaderOfAnybody);
    if doors.proxy_protocol && may_speak {
        peer = behind(&mut stream, peer, doors, place).await.inspect_err(|error| {
            tracing::warn!(proxy = %address, %error, "a trusted proxy's connection was cut");
        })?;
    }
    let Some(tls) = &doors.tls else { return Ok((Stream::Plain(stream), peer)) };
    let stream = TlsAcceptor::from(tls.config()).accept(stream).await?;
    peer.is_encrypted = true;
    Ok((Stream::Tls(Box::new(stream)), peer))
}

/// Who is behind the proxy takes the proxy's place: in the counts, the limits and the lists.
async fn behind(
    stream: &mut TcpStream,
    proxy: Peer,
    doors: &Doors,
    place: &mut Place,
) -> io::Result<Peer> {
    let address = match proxy::read(stream).await? {
        Behind::Client(address) => address,
        // The connection may carry a stranger's bytes, so its headers prove nothing.
        Behind::Nobody => return Ok(Peer { is_trusted: false, ..proxy }),
    };
    let is_trusted = doors.trust(address);
    if !is_trusted && !place.move_to(address) {
        return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many of one address"));
    }
    Ok(Peer { address, is_trusted, ..proxy })
}

#[cfg(test)]
mod tests {
    use super::super::connections::Connections;
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    fn tls() -> crate::Tls {
        let names = vec!["a.example".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let identity = crate::Identity::parse(certificate.as_bytes(), key.as_bytes(), None);
        crate::Tls::new(identity.expect("a pair"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_greeting_that_does_not_end_is_cut() {
        let doors = Doors {
            trusted: vec!["127.0.0.1/32".parse().expect("a range")],
            allowed: Vec::new(),
            proxy_protocol: true,
            tls: Some(tls()),
            connections_max: 1,
            per_address_max: 1,
        };
        let connections = Connections::new(1, 1);
        let line = "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n";
        let handshake = format!("{line}\u{16}\u{3}\u{1}\u{2}");
        for begun in ["", "PROXY TCP4 203.0.113.7", line, &handshake] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
            let address = listener.local_addr().expect("an address");
            let mut client = TcpStream::connect(address).await.expect("connects");
            client.write_all(begun.as_bytes()).await.expect("written");
            let (stream, peer) = listener.accept().await.expect("accepts");
            let mut place = connections.enter(peer.ip(), true).expect("a place");
            let greeted = greet(stream, peer.ip(), &doors, &mut place).await;
            let kind = greeted.err().map(|error| error.kind());
            assert_eq!(kind, Some(io::ErrorKind::TimedOut), "{begun}");
        }
    }
}
