//! Deliveries through an egress proxy: to the address that was checked, and never to one that was
//! not.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use gateway::{Proxy, Resolver, Settings};
use model::{AttemptOutcome, DeliveryStatus};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::harness::{Harness, stripe_event};

/// A public address that nothing dials: the proxy leads to the application instead.
const PUBLIC: &str = "93.184.215.14";

/// A proxy whose tunnels all end at one address, and the first line of each request for one.
async fn proxy(application: SocketAddr) -> (Proxy, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.expect("a whole head"));
                }
                let head = String::from_utf8(head).expect("text");
                let first = head.lines().next().unwrap_or_default().to_owned();
                seen.lock().expect("not poisoned").push(first);
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("answered");
                let mut target = TcpStream::connect(application).await.expect("the application");
                let _ = copy_bidirectional(&mut stream, &mut target).await;
            });
        }
    });
    (Proxy::new(&url::Url::parse(&url).expect("a URL")).expect("a proxy"), asked)
}

fn named(settings: &mut Settings, address: &'static str, proxy: Proxy) {
    let address: IpAddr = address.parse().expect("an address");
    settings.resolver = Resolver::Scripted(Arc::new(move |_| vec![address]));
    settings.proxy = Some(proxy);
    let endpoint = settings.endpoints.first_mut().expect("an endpoint");
    endpoint.url = "http://shop.example.com:8080/webhooks".parse().expect("a URL");
    endpoint.allow_private = false;
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_address_that_was_checked() {
    let application = super::application::Application::start().await;
    let (proxy, asked) = proxy(application.address).await;
    let gateway = Harness::start(|settings| named(settings, PUBLIC, proxy)).await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    let got = application.wait_for(1).await;
    assert_eq!(got[0].header("host"), "shop.example.com:8080");
    gateway.until(|d| d[0].status == DeliveryStatus::Delivered).await;
    let asked = asked.lock().expect("not poisoned").clone();
    assert_eq!(asked, [format!("CONNECT {PUBLIC}:8080 HTTP/1.1")]);
}

#[tokio::test]
async fn a_private_address_is_not_asked_of_a_proxy_either() {
    let application = super::application::Application::start().await;
    let (proxy, asked) = proxy(application.address).await;
    let gateway = Harness::start(|settings| named(settings, "169.254.169.254", proxy)).await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    let deliveries = gateway.until(|d| d[0].attempts == 1).await;
    let attempts = gateway.store.attempts(deliveries[0].id).await.expect("attempts");
    assert_eq!(attempts[0].outcome, AttemptOutcome::Forbidden);
    assert!(asked.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn an_endpoint_that_may_be_private_is_dialled_without_the_proxy() {
    let elsewhere = super::application::Application::start().await;
    let (proxy, asked) = proxy(elsewhere.address).await;
    let gateway = Harness::start(|settings| settings.proxy = Some(proxy)).await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.application.wait_for(1).await;
    assert!(asked.lock().expect("not poisoned").is_empty());
}
