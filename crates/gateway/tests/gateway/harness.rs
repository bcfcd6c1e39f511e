//! Starts a gateway over a temporary store and talks HTTP to it, byte by byte where it matters.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use gateway::api_keys::ApiKeys;
use gateway::{Clock, Endpoint, Format, Gateway, Resolver, Running, Settings, Source};
use http::HeaderMap;
use model::{Environment, EventStatus};
use schemes::{Draft, Profile, Secret};
use store::{DeliveryQuery, DeliveryRow, EventQuery, EventRow, Options, Store, TallyRow};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::application::Application;

/// What is answered later, whatever gives it.
pub(crate) type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A backend under test. A path stands for one store; where there is no file, its folder's name is
/// the store's.
pub(crate) struct Backend {
    /// Opens the store as a gateway does.
    pub(crate) open: fn(PathBuf, Options) -> Later<Store>,
    /// Opens it as a command beside a gateway does.
    pub(crate) open_beside: fn(PathBuf) -> Later<Store>,
    /// The files that hold it, with everything written.
    pub(crate) files: fn(PathBuf) -> Later<Vec<PathBuf>>,
    /// Whether a gateway is alone on its store: what one before it left is over when it starts.
    pub(crate) is_alone: bool,
}

/// 2026-01-01T00:00:00Z, where every test begins.
pub(crate) const START_MS: i64 = 1_767_225_600_000;
pub(crate) const STRIPE_SECRET: &str = "whsec_test_4fL0bXk9nQ2rT7vY1cD5gH8j";

pub(crate) fn profile(name: &str) -> Arc<Profile> {
    let (name, text) =
        schemes::embedded().iter().find(|(known, _)| *known == name).expect("an embedded profile");
    Arc::new(Profile::parse(name, text).expect("an embedded profile parses"))
}

pub(crate) fn source(name: &str, provider: &str, secret: &str) -> Source {
    Source {
        name: name.to_owned(),
        profile: profile(provider),
        secrets: vec![Secret::new(secret.to_owned())],
        receipt_keys: None,
        endpoints: vec!["app".to_owned()],
        allow_addresses: Vec::new(),
        body_bytes_max: 1024 * 1024,
        tolerance_s: None,
        rate_limit: None,
        accept_unconfirmed: false,
        public_url: None,
        amount_unit: None,
        payee: None,
        confirm: None,
        hold_unknown_orders: false,
    }
}

pub(crate) fn endpoint_secret() -> String {
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode([7_u8; 32]))
}

pub(crate) fn endpoint(name: &str, address: SocketAddr) -> Endpoint {
    let secret = Secret::new(endpoint_secret());
    Endpoint {
        name: name.to_owned(),
        url: format!("http://{address}/webhooks").parse().expect("a URL"),
        secrets: vec![secret],
        allow_private: true,
        format: Format::Event,
        headers: HeaderMap::new(),
        header_prefix: "webhook".to_owned(),
        paused: false,
    }
}

pub(crate) fn settings(sources: Vec<Source>, endpoints: Vec<Endpoint>) -> Settings {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    Settings {
        environment: Environment::Test,
        public: any,
        admin: any,
        api: any,
        hosts: Vec::new(),
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        tls: None,
        admin_tls: None,
        api_tls: None,
        admin_allow: Vec::new(),
        second_person: Default::default(),
        security_txt: None,
        root: root(),
        sources,
        endpoints,
        resolver: Resolver::System,
        proxy: None,
        orders: gateway::OrderRules::default(),
        chains: Vec::new(),
        certificates: gateway::Certificates::default(),
        retention: store::Retention::default(),
        windows: gateway::Windows::default(),
        auditing: gateway::Auditing::default(),
    }
}

pub(crate) fn root() -> vault::RootKey {
    vault::RootKey::generate([9; 32])
}

/// As a gateway's, with a reserve that takes no time to make.
pub(crate) fn small() -> Options {
    Options { reserve_bytes: 64 * 1024, ..Options::default() }
}

fn path(dir: &TempDir) -> PathBuf {
    dir.path().join("store.db")
}

/// A gateway under test.
pub(crate) struct Harness {
    pub(crate) application: Application,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) store: Store,
    pub(crate) millis: Arc<AtomicI64>,
    dir: Arc<TempDir>,
    running: Option<Running>,
}

impl Harness {
    /// One Stripe source and one endpoint.
    pub(crate) async fn stripe() -> Self {
        Self::start(|_| {}).await
    }

    /// The same, with the settings changed.
    pub(crate) async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_store(small(), change).await
    }

    /// The same, over a store with other options.
    pub(crate) async fn with_store(options: Options, change: impl FnOnce(&mut Settings)) -> Self {
        let application = Application::start().await;
        let dir = Arc::new(tempfile::tempdir().expect("a folder"));
        let millis = Arc::new(AtomicI64::new(START_MS));
        Self::over(dir, application, millis, options, change).await
    }

    async fn over(
        dir: Arc<TempDir>,
        application: Application,
        millis: Arc<AtomicI64>,
        options: Options,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let store = (crate::backend().open)(path(&dir), options).await;
        let mut settings = settings(
            vec![source("stripe", "stripe", STRIPE_SECRET)],
            vec![endpoint("app", application.address)],
        );
        change(&mut settings);
        let clock = Clock::Manual(millis.clone());
        let running =
            Gateway::start(settings, store.clone(), clock).await.expect("the gateway starts");
        Self {
            application,
            public: running.public_address(),
            admin: running.admin_address(),
            api: running.api_address(),
            store,
            millis,
            dir,
            running: Some(running),
        }
    }

    /// Stops the gateway and starts it again on the same store.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// The same, with the settings changed.
    pub(crate) async fn restart_with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        self.stop().await;
        let Self { application, dir, store, millis, .. } = self;
        drop(store);
        Self::over(dir, application, millis, small(), change).await
    }

    /// Another gateway on the same store, with the same application and clock.
    pub(crate) async fn beside(&self) -> Self {
        self.beside_with(|_| {}).await
    }

    /// The same, with the settings changed.
    pub(crate) async fn beside_with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let (dir, millis) = (self.dir.clone(), self.millis.clone());
        Self::over(dir, self.application.clone(), millis, small(), change).await
    }

    /// Where the store is.
    pub(crate) fn place(&self) -> PathBuf {
        path(&self.dir)
    }

    /// The store, as a command beside the gateway opens it.
    pub(crate) async fn store_beside(&self) -> Store {
        (crate::backend().open_beside)(path(&self.dir)).await
    }

    /// The files of the store, as they are now.
    pub(crate) async fn files(&self) -> Vec<PathBuf> {
        (crate::backend().files)(path(&self.dir)).await
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// The API keys, as the gateway knows them.
    pub(crate) fn api_keys(&self) -> Arc<ApiKeys> {
        self.running.as_ref().expect("it runs").api_keys().clone()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.millis.load(Ordering::SeqCst)
    }

    pub(crate) fn advance_ms(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sends a Stripe event, signed now.
    pub(crate) async fn send(&self, body: &str) -> Reply {
        let request = self.signed("stripe", STRIPE_SECRET, body);
        self.post("/in/stripe", &request).await
    }

    /// A correctly signed request: headers and body.
    pub(crate) fn signed(&self, provider: &str, secret: &str, body: &str) -> Signed {
        let draft = Draft {
            method: "POST",
            url: "/",
            headers: &[],
            body: body.as_bytes(),
            now_ms: self.now_ms(),
            id: "msg_test_1",
        };
        let secret = Secret::new(secret.to_owned());
        let signed = schemes::sign(&profile(provider), &secret, draft).expect("signs");
        Signed { headers: signed.headers, body: signed.body }
    }

    pub(crate) async fn post(&self, path: &str, request: &Signed) -> Reply {
        raw(self.public, &request.bytes(path)).await
    }

    pub(crate) async fn metrics(&self) -> String {
        let get = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        raw(self.admin, get).await.body
    }

    pub(crate) async fn events(&self) -> Vec<EventRow> {
        let query = EventQuery { limit: 1000, ..EventQuery::default() };
        self.store.events(query).await.expect("events")
    }

    pub(crate) async fn only_event(&self) -> EventRow {
        let mut events = self.events().await;
        assert_eq!(events.len(), 1, "events");
        events.remove(0)
    }

    pub(crate) async fn is_kept_as(&self, status: EventStatus, reason: Option<&str>) {
        let event = self.only_event().await;
        assert_eq!((event.status, event.reason.as_deref()), (status, reason));
    }

    pub(crate) async fn deliveries(&self) -> Vec<DeliveryRow> {
        let query = DeliveryQuery { limit: 1000, ..DeliveryQuery::default() };
        self.store.deliveries(query).await.expect("deliveries")
    }

    /// Waits until the deliveries are as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[DeliveryRow]) -> bool) -> Vec<DeliveryRow> {
        for _ in 0..2_000 {
            let deliveries = self.deliveries().await;
            if wanted(&deliveries) {
                return deliveries;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let last = self.deliveries().await;
        panic!("deliveries never became as wanted: {:?}", last.iter().take(10).collect::<Vec<_>>());
    }

    /// The counted arrivals, once there are some.
    pub(crate) async fn tallies(&self) -> Vec<TallyRow> {
        for _ in 0..3_000 {
            let query = EventQuery { limit: 1000, ..EventQuery::default() };
            let tallies = self.store.tallies(query).await.expect("tallies");
            if !tallies.is_empty() {
                return tallies;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("no arrival was counted");
    }

    pub(crate) async fn is_counted_as(&self, reason: &str) {
        let tallies = self.tallies().await;
        let reasons: Vec<_> = tallies.iter().map(|tally| tally.reason.as_str()).collect();
        assert_eq!(reasons, [reason]);
    }
}

/// A request that is ready to send.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Signed {
    /// The whole request, on a connection that it ends.
    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let mut text = format!(
            "POST {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            self.body.len()
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn of(answer: &[u8]) -> Self {
        let text = String::from_utf8_lossy(answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The reply without what may differ between two equal answers.
    pub(crate) fn outside(&self) -> String {
        let id = serde_json::from_str::<serde_json::Value>(&self.body)
            .ok()
            .and_then(|body| body.get("request")?.as_str().map(str::to_owned))
            .unwrap_or_default();
        let head: Vec<_> =
            self.head.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect();
        format!("{}\n{}", head.join("\n"), self.body.replace(&id, "req"))
    }
}

/// Sends bytes and reads until the gateway closes.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.expect("the gateway listens");
    // The gateway may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Reply::of(&answer)
}

/// A Stripe event of the test environment.
pub(crate) fn stripe_event(id: &str, order: &str) -> String {
    format!(
        r#"{{"id":"{id}","object":"event","type":"checkout.session.completed","livemode":false,"created":1767225600,"data":{{"object":{{"id":"cs_test_1","object":"checkout.session","customer":"cus_1","payment_status":"paid","amount_total":2900,"currency":"usd","client_reference_id":"{order}","metadata":{{"order_id":"{order}"}}}}}}}}"#
    )
}
