//! Where no delivery may go: every spelling, at the first attempt, at retries and when redelivered,
//! with a trap on every address of this machine. That the trap works is seen with the guard off.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gateway::{Resolver, Settings};
use model::{AttemptOutcome, DeliveryStatus, destination};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::{Host, Url};

use super::application::{Application, Behaviour};
use super::harness::{Harness, endpoint, stripe_event};

/// A listener on every address of this machine, which says who came.
#[derive(Clone)]
struct Trap {
    port: u16,
    connections: Arc<AtomicUsize>,
    paths: Arc<Mutex<BTreeSet<String>>>,
}

impl Trap {
    async fn set() -> Self {
        let any: IpAddr = Ipv6Addr::UNSPECIFIED.into();
        let listener = match TcpListener::bind((any, 0)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("0.0.0.0:0").await.expect("a port"),
        };
        let port = listener.local_addr().expect("an address").port();
        let trap = Self { port, connections: Arc::default(), paths: Arc::default() };
        let caught = trap.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                caught.connections.fetch_add(1, Ordering::SeqCst);
                let caught = caught.clone();
                tokio::spawn(async move {
                    let mut head = [0; 1024];
                    let length = stream.read(&mut head).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(head.get(..length).unwrap_or(&head));
                    let path = text.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
                    caught.paths.lock().expect("not poisoned").insert(path);
                    let answer =
                        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                    let _ = stream.write_all(answer).await;
                });
            }
        });
        trap
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A URL that is no place for a delivery.
struct Target {
    url: Url,
    /// What the name server answers, one time after another; a literal address is its own.
    answers: Vec<Vec<IpAddr>>,
}

impl Target {
    /// What is dialled, with the guard off: what the spelling itself is, or what the name means.
    fn dialled(&self) -> Vec<IpAddr> {
        match self.url.host() {
            Some(Host::Ipv4(v4)) => vec![v4.into()],
            Some(Host::Ipv6(v6)) => vec![v6.into()],
            _ => self.answers.concat(),
        }
    }

    /// Dialling it with the guard off stays on this machine and reaches the trap.
    fn is_here(&self, trap: &Trap, own: &[IpAddr]) -> bool {
        let here = |address: &IpAddr| {
            let canonical = address.to_canonical();
            canonical.is_loopback() || canonical.is_unspecified() || own.contains(address)
        };
        let is_answered = self.answers.iter().all(|answer| !answer.is_empty());
        let is_trapped = self.url.scheme() == "http" && self.url.port() == Some(trap.port);
        is_trapped && is_answered && self.dialled().iter().all(here)
    }
}

/// The targets that a configuration could name; each has a path of its own.
fn targets(port: u16) -> Vec<Target> {
    let lines = include_str!("../ssrf/targets.tsv").lines().filter(|line| !line.starts_with('#'));
    let listed = lines.map(|line| {
        let mut columns = line.split('\t');
        let (url, denotes) = columns.next().zip(columns.next()).expect("three columns");
        let answer = |text: &str| text.split(' ').filter_map(|one| one.parse().ok()).collect();
        (url.replace("{port}", &port.to_string()), denotes.split('|').map(answer).collect())
    });
    let own = own_addresses().into_iter().map(|address| {
        (format!("http://{}/", SocketAddr::new(address, port)), vec![vec![address]])
    });
    let parsed = listed.chain(own).filter_map(|(text, answers): (String, Vec<Vec<IpAddr>>)| {
        let url = Url::parse(&text).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        (is_web && url.username().is_empty() && url.password().is_none())
            .then_some(Target { url, answers })
    });
    let mut targets: Vec<_> = parsed.collect();
    for (n, target) in targets.iter_mut().enumerate() {
        target.url.set_path(&format!("/{n}"));
    }
    targets
}

/// The addresses of this machine's own interfaces that packets would leave by: private ones only.
fn own_addresses() -> Vec<IpAddr> {
    // Connecting a datagram socket sends nothing; it only chooses a source address.
    let chosen = |local: &str, far: &str| {
        let socket = UdpSocket::bind(local).ok()?;
        socket.connect(far).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    [chosen("0.0.0.0:0", "192.0.2.1:9"), chosen("[::]:0", "[2001:db8::1]:9")]
        .into_iter()
        .flatten()
        .filter(|address| !destination::is_public(*address))
        .collect()
}

/// Plays the name server, and counts what it is asked.
fn name_server(targets: &[Target], asked: &Arc<AtomicUsize>) -> Resolver {
    let names = targets.iter().filter_map(|target| {
        let name = target.url.domain()?.to_owned();
        Some((name, (target.answers.clone(), AtomicUsize::new(0))))
    });
    let names: HashMap<_, _> = names.collect();
    let asked = asked.clone();
    Resolver::Scripted(Arc::new(move |name| {
        asked.fetch_add(1, Ordering::SeqCst);
        let (answers, times) = names.get(name).expect("a name of the list");
        let time = times.fetch_add(1, Ordering::SeqCst);
        answers.get(time).or(answers.last()).cloned().unwrap_or_default()
    }))
}

/// One source and an endpoint for every target.
fn with_endpoints(settings: &mut Settings, targets: &[Target], allow_private: bool) {
    let any = "127.0.0.1:9".parse().expect("an address");
    let endpoints = targets.iter().enumerate().map(|(n, target)| {
        let mut endpoint = endpoint(&format!("t{n}"), any);
        endpoint.url = target.url.clone();
        endpoint.allow_private = allow_private;
        endpoint
    });
    settings.endpoints = endpoints.collect();
    for source in &mut settings.sources {
        source.endpoints = settings.endpoints.iter().map(|e| e.name.clone()).collect();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_private_address_is_ever_dialled() {
    let trap = Trap::set().await;
    let targets = targets(trap.port);
    assert!(targets.len() >= 250, "{} targets", targets.len());
    let asked = Arc::default();
    let resolver = name_server(&targets, &asked);
    let gateway = Harness::start(|settings| {
        with_endpoints(settings, &targets, false);
        settings.resolver = resolver;
    })
    .await;

    gateway.send(&stripe_event("evt_1", "order-1")).await;
    for attempt in 1..=10 {
        gateway.until(|all| !all.is_empty() && all.iter().all(|d| d.attempts == attempt)).await;
        gateway.advance_ms(2 * 86_400_000);
    }
    let dead = gateway.until(|all| all.iter().all(|d| d.status == DeliveryStatus::Dead)).await;
    assert_eq!(dead.len(), targets.len());
    let names = targets.iter().filter(|target| target.url.domain().is_some()).count();
    assert_eq!(asked.load(Ordering::SeqCst), names * 10, "each attempt resolves once");

    let note = super::operations::note(&gateway, "the endpoint is back").await;
    let ids: Vec<_> = dead.iter().map(|delivery| delivery.id).collect();
    assert_eq!(gateway.store.redeliver(ids.clone(), note).await.expect("goes again"), ids.len());
    gateway.until(|all| all.iter().all(|d| d.attempts == 11)).await;
    for id in ids {
        for attempt in gateway.store.attempts(id).await.expect("attempts").iter().skip(2) {
            let tried = attempt.outcome;
            let nowhere = [AttemptOutcome::Forbidden, AttemptOutcome::Unreachable];
            assert!(nowhere.contains(&tried), "{id}: {tried:?}");
        }
    }
    assert_eq!(trap.connections(), 0, "{:?}", trap.paths);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trap_catches_whoever_is_let_through() {
    let trap = Trap::set().await;
    let mut targets = targets(trap.port);
    let own = own_addresses();
    targets.retain(|target| target.is_here(&trap, &own));
    let resolver = name_server(&targets, &Arc::default());
    let gateway = Harness::start(|settings| {
        with_endpoints(settings, &targets, true);
        settings.resolver = resolver;
    })
    .await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.until(|all| !all.is_empty() && all.iter().all(|d| d.attempts == 1)).await;
    let reached = trap.paths.lock().expect("not poisoned").clone();
    let missed: Vec<_> = targets
        .iter()
        .filter(|t| !reached.contains(t.url.path()))
        .map(|t| t.url.as_str())
        .collect();
    println!("{} of {} reached with the guard off", reached.len(), targets.len());
    assert_eq!(missed, Vec::<&str>::new());
    assert!(reached.len() >= 60, "{} reached", reached.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_redirect_leads_anywhere() {
    let trap = Trap::set().await;
    let targets = targets(trap.port);
    let redirecting = Application::start().await;
    redirecting.then(targets.iter().map(|target| Behaviour::Redirect(target.url.to_string())));
    let gateway = Harness::start(|settings| {
        with_endpoints(settings, &targets, true);
        for endpoint in &mut settings.endpoints {
            endpoint.url = format!("http://{}/", redirecting.address).parse().expect("a URL");
        }
    })
    .await;
    gateway.send(&stripe_event("evt_1", "order-1")).await;
    gateway.until(|all| !all.is_empty() && all.iter().all(|d| d.attempts == 1)).await;
    assert_eq!(redirecting.delivered().len(), targets.len());
    assert_eq!(trap.connections(), 0, "{:?}", trap.paths);
}
