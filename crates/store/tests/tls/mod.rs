//! TLS to the server: its certificate and its name are verified, and ours is shown.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use store::{OpenError, PostgresOptions, Store};

use crate::patient;
use crate::server::{SERVING, Server};

/// An authority that signs certificates.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, as PEM.
fn signed(by: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let certificate = params.signed_by(&key, by).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn refused(options: &PostgresOptions) -> impl Future<Output = Option<OpenError>> {
    let options = options.clone();
    async move { Store::connect(&options).await.err() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_verified_and_shown_who_asks() {
    let (ours, theirs) = (authority(), authority());
    let server = Server::with_certificate(&signed(&ours, "server"), &ours.pem());
    server.prepare().await;
    let database = server.database().await;
    let url = server.tcp_url(&database, "localhost");
    let options = PostgresOptions {
        ssl_root_cert: Some(ours.pem().into_bytes()),
        ..patient(format!("{url} sslmode=verify-full"))
    };
    // The server asks for a certificate of the user.
    assert_eq!(refused(&options).await, Some(OpenError::Denied));
    let pair =
        |(certificate, key): (String, String)| Some((certificate.into_bytes(), key.into_bytes()));
    let shown = PostgresOptions { client_certificate: pair(signed(&ours, SERVING)), ..options };
    let store = Store::connect(&shown).await.unwrap();
    store.writable().await.unwrap();

    let of_another = PostgresOptions {
        client_certificate: pair(signed(&ours, "somebody else")),
        ..shown.clone()
    };
    assert_eq!(refused(&of_another).await, Some(OpenError::Denied));
    // Signed by nobody we know, or for another name: there is no connection.
    let unknown =
        PostgresOptions { ssl_root_cert: Some(theirs.pem().into_bytes()), ..shown.clone() };
    let public = PostgresOptions { ssl_root_cert: None, ..shown.clone() };
    let misnamed = PostgresOptions {
        url: format!("{} sslmode=require", server.tcp_url(&database, "127.0.0.1")),
        ..shown.clone()
    };
    for options in [unknown, public, misnamed] {
        assert_eq!(refused(&options).await, Some(OpenError::Unreachable));
    }
    // In the clear the server would not let anybody in by this way.
    let clear = PostgresOptions { url: format!("{url} sslmode=disable"), ..shown };
    assert_eq!(refused(&clear).await, Some(OpenError::Denied));
}
