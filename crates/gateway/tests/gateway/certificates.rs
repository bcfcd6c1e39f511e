//! Authorities and certificates for real handshakes, and a client that trusts one of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use gateway::{Identity, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::harness::Reply;

pub(crate) const NAME: &str = "hooks.example.com";

/// Signs certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Pair {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
    key_der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("an authority") }
    }

    pub(crate) fn pair(&self) -> Pair {
        let params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }

    /// What a listener shows, with a fresh pair of this authority.
    pub(crate) fn tls(&self, clients: Option<&Self>) -> Tls {
        Tls::new(self.pair().identity(clients))
    }

    /// A client that trusts this authority and nobody else.
    pub(crate) fn client(&self) -> Client<'_> {
        let versions = vec![&rustls::version::TLS13, &rustls::version::TLS12];
        Client { authority: self, pair: None, versions, before: Vec::new() }
    }
}

impl Pair {
    pub(crate) fn identity(&self, clients: Option<&Authority>) -> Identity {
        let clients = clients.map(|authority| authority.issuer.pem());
        let clients = clients.as_ref().map(String::as_bytes);
        Identity::parse(self.certificate.as_bytes(), self.key.as_bytes(), clients)
            .expect("a good pair")
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

/// How a client connects.
pub(crate) struct Client<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) pair: Option<&'a Pair>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    /// What is said before the handshake.
    pub(crate) before: Vec<u8>,
}

impl Client<'_> {
    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.issuer.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match self.pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::try_from(pair.key_der.clone()).expect("a key");
                builder.with_client_auth_cert(vec![pair.der.clone()], key).expect("a pair")
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&self.before).await?;
        let name = ServerName::try_from(NAME).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// One request on a connection of its own.
    ///
    /// With TLS 1.3 a server's refusal of the client's certificate arrives after the handshake.
    pub(crate) async fn ask(&self, address: SocketAddr, request: &[u8]) -> io::Result<Reply> {
        let mut stream = self.connect(address).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(Reply::of(&answer))
    }
}
