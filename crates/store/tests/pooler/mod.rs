//! Behind PgBouncer in transaction mode: no statement may count on its session.

use std::path::Path;
use std::time::Duration;

use bench::postgres::{Watch, own};
use store::{DeliveryQuery, EventQuery, Outcome, Settled, Store, Then, WindowAdd};
use tokio::task::JoinSet;

use crate::conformance::fixture::*;
use crate::patient;
use crate::server::{self, SERVING, Server};

/// PgBouncer before a server, until this process ends.
struct Pooler {
    folder: tempfile::TempDir,
    port: u16,
    _watch: Watch,
}

impl Pooler {
    /// Three connections for everybody, so that transactions change theirs all the time.
    fn start(server: &Server) -> Self {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .map(Path::new)
            .find(|path| path.exists())
            .expect("PgBouncer is not installed: run ./test, which says what to install");
        let folder = tempfile::Builder::new().prefix("cs-pool-").tempdir_in("/tmp").unwrap();
        own(folder.path()).unwrap();
        let port = bench::server::free_address().unwrap().port();
        let at = folder.path().display();
        let settings = format!(
            "[databases]\n* = host={} port=5432\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\n\
             auth_file = {at}/users\npool_mode = transaction\n\
             default_pool_size = 3\nmax_client_conn = 200\nlogfile = {at}/log\npidfile = {at}/pid\n",
            server.folder().display()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        own(&file).unwrap();
        let users = folder.path().join("users");
        std::fs::write(&users, format!("\"{SERVING}\" \"\"\n")).unwrap();
        own(&users).unwrap();
        let run = format!("{} -q {} & pid=$!", program.display(), file.display());
        let watch = Watch::start(&run, "kill $pid").unwrap();
        Self { folder, port, _watch: watch }
    }

    fn url(&self, of_server: &str) -> String {
        let user = of_server.split(' ').filter(|word| !word.starts_with("host="));
        let user: Vec<&str> = user.filter(|word| !word.starts_with("port=")).collect();
        format!("host=127.0.0.1 port={} {} sslmode=disable", self.port, user.join(" "))
    }

    async fn connect(&self, url: &str) -> Store {
        for _ in 0..600 {
            if let Ok(store) = Store::connect(&patient(self.url(url))).await {
                return store;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("no connection through the pooler: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_through_a_pooler_in_transaction_mode() {
    let server = server::started().await;
    let pooler = Pooler::start(server);
    let database = server.database().await;
    let url = server.serving_url(&database);
    let stores = [pooler.connect(&url).await, pooler.connect(&url).await];
    stores[0].add_key(key(KEY)).await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..200_u64 {
        let store = stores[usize::try_from(n % 2).unwrap()].clone();
        tasks.spawn(async move {
            let twice = draft(n).ordered(n % 5).to("app");
            let twice = twice.with(|event| event.dedup_key = Some(hash_bytes(n / 2)));
            store.record(twice.record()).await.unwrap().events[0]
        });
    }
    let outcomes = tasks.join_all().await;
    let new = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::New)).count();
    assert_eq!(new, 100);

    let mut tasks = JoinSet::new();
    for store in &stores {
        let store = store.clone();
        tasks.spawn(async move {
            while store.due(NOON).await.unwrap() {
                for leased in lease(&store, NOON, "app", 4).await {
                    let settled = settle(&store, &leased, after(1), Then::Delivered).await;
                    assert_eq!(settled, Settled::Done);
                }
            }
        });
    }
    tasks.join_all().await;
    let store = &stores[0];
    while let Some(leased) = lease(store, NOON, "app", 1).await.pop() {
        settle(store, &leased, after(1), Then::Delivered).await;
    }
    let all = EventQuery { limit: 1_000, ..EventQuery::default() };
    assert_eq!(store.events(all.clone()).await.unwrap().len(), 100);
    let deliveries = DeliveryQuery { limit: 1_000, ..DeliveryQuery::default() };
    let deliveries = store.deliveries(deliveries).await.unwrap();
    assert_eq!(deliveries.len(), 100);
    assert_eq!(store.attempts(deliveries[0].id).await.unwrap().len(), 1);
    assert_eq!(store.redeliver(vec![deliveries[0].id], note()).await.unwrap(), 1);
    assert_eq!(store.counts().await.unwrap().pending, 1);
    store.tally(vec![super::conformance::queries::tally(1, "too_old")]).await.unwrap();
    assert_eq!(store.tallies(all).await.unwrap().len(), 1);
    store.forget(after(40 * DAY_MS)).await.unwrap();
    assert!(store.take_duty("sealer", [1; 16], NOON, after(1)).await.unwrap().is_some());
    let add = WindowAdd { key: hash_bytes(1), period_start: NOON, period_ms: 60_000, add: 1 };
    assert_eq!(store.count_windows("requests", vec![add]).await.unwrap()[0].current, 1);
    store.server_facts(NOON).await.unwrap();
    store.writable().await.unwrap();
    for store in stores {
        store.close().await;
    }
}
