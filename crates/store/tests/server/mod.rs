//! A PostgreSQL server of its own for the tests, on a socket in a folder of its own, as
//! `bench::postgres` makes them. Whatever ends the tests, a panic or a kill, ends the server, too.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use bench::postgres::{Watch, as_user, newest, own};
use store::{PostgresOptions, Store};
use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::NoTls;

/// Who owns the schema, and who serves. (No secret: they are for tests.)
const OWNER: &str = "countersign_test_owner";
pub(crate) const SERVING: &str = "countersign_test_serving";
const PASSWORD: &str = "countersign";

/// A database that is migrated already: each case gets a copy.
const TEMPLATE: &str = "countersign_test_template";

/// A server, and how to reach it.
pub(crate) struct Server {
    /// `host=… port=…`
    at: String,
    /// `user=… password=…` of a superuser.
    superuser: String,
    own: Option<Own>,
    copying: Mutex<()>,
}

/// A server that was started here.
struct Own {
    bin: PathBuf,
    folder: PathBuf,
    settings: String,
    _watch: Watch,
}

/// The server of this process, started when it is first asked for. `COUNTERSIGN_TEST_POSTGRES` may
/// name another, by the URL of a superuser.
pub(crate) async fn shared() -> &'static Server {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    SHARED
        .get_or_init(|| async {
            let server = match std::env::var_os("COUNTERSIGN_TEST_POSTGRES") {
                Some(url) => Server::named(url.to_str().unwrap()),
                // Nothing here survives the machine anyway.
                None => Server::start("-c fsync=off"),
            };
            server.prepare().await;
            server
        })
        .await
}

/// As [`shared`], but always one that was started here: it can be stood before and stopped.
pub(crate) async fn started() -> &'static Server {
    static STARTED: OnceCell<Server> = OnceCell::const_new();
    let shared = shared().await;
    if shared.own.is_some() {
        return shared;
    }
    STARTED
        .get_or_init(|| async {
            let server = Server::start("-c fsync=off");
            server.prepare().await;
            server
        })
        .await
}

impl Server {
    /// Starts a server with these settings.
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_with(settings, |_| String::new())
    }

    /// Starts a server that is asked over TLS alone, and asks everybody for a certificate, which
    /// this authority must have signed.
    pub(crate) fn with_certificate((certificate, key): &(String, String), root: &str) -> Self {
        let port = bench::server::free_address().unwrap().port();
        let server = Self::start_with("", |data| {
            for (name, text) in [("server.crt", certificate.as_str()), ("root.crt", root)] {
                fs::write(data.join(name), text).unwrap();
                own(&data.join(name)).unwrap();
            }
            let file = data.join("server.key");
            fs::write(&file, key).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            own(&file).unwrap();
            fs::write(data.join("pg_hba.conf"), "local all all trust\nhostssl all all all cert\n")
                .unwrap();
            format!(
                "-c ssl=on -c ssl_ca_file=root.crt -c listen_addresses=127.0.0.1 -c port={port}"
            )
        });
        Self { at: server.at.replace("port=5432", &format!("port={port}")), ..server }
    }

    fn start_with(settings: &str, configure: impl FnOnce(&Path) -> String) -> Self {
        let bin = newest().unwrap();
        let folder = tempfile::Builder::new().prefix("cs-pg-").tempdir_in("/tmp").unwrap().keep();
        own(&folder).unwrap();
        let data = folder.join("data");
        as_user(&bin.join("initdb"))
            .args(["--no-sync", "--no-instructions", "-A", "trust", "-U", "postgres"])
            .args(["-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .ok()
            .filter(|status| status.success())
            .expect("initdb makes a cluster");
        let stop = format!(
            "{} -D {} -m immediate stop > /dev/null 2>&1; rm -rf {}",
            bin.join("pg_ctl").display(),
            data.display(),
            folder.display()
        );
        let watch = Watch::start("", &stop).unwrap();
        let settings = format!(
            "-c listen_addresses='' -c unix_socket_directories={} -c max_connections=300 \
             -c shared_buffers=64MB -c autovacuum_naptime=5s {settings} {}",
            folder.display(),
            configure(&data)
        );
        let at = format!("host={} port=5432", folder.display());
        let own = Own { bin, folder, settings, _watch: watch };
        own.run();
        let superuser = "user=postgres".to_owned();
        Self { at, superuser, own: Some(own), copying: Mutex::default() }
    }

    fn named(url: &str) -> Self {
        let config: tokio_postgres::Config = url.parse().expect("a URL of PostgreSQL");
        let host = match config.get_hosts().first().expect("a host") {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let user = config.get_user().expect("a user");
        let password = config.get_password().map_or_else(String::new, |text| {
            format!(" password={}", String::from_utf8_lossy(text))
        });
        Self {
            at: format!("host={host} port={port}"),
            superuser: format!("user={user}{password}"),
            own: None,
            copying: Mutex::default(),
        }
    }

    /// Makes the roles and the database that is copied.
    pub(crate) async fn prepare(&self) {
        for role in [OWNER, SERVING] {
            self.run("postgres", &format!("DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")).await;
            self.run(
                "postgres",
                &format!(
                    "DO $$ BEGIN
                        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}') THEN
                            CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}';
                        END IF;
                     END $$"
                ),
            )
            .await;
        }
        self.run("postgres", &format!("CREATE DATABASE {TEMPLATE} OWNER {OWNER}")).await;
        let options = PostgresOptions::new(self.owner_url(TEMPLATE));
        Store::migrate_apply(&options, Some(SERVING)).await.expect("an empty database is migrated");
    }

    /// A database of its own with the schema of this version, by a name that nobody else has.
    pub(crate) async fn database(&self) -> String {
        let name = fresh_name();
        self.copy_to(&name).await;
        name
    }

    /// A database with the schema of this version, unless it is there.
    pub(crate) async fn copy_to(&self, name: &str) {
        let _one_at_a_time = self.copying.lock().await;
        let there = self
            .rows("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"))
            .await;
        if there.is_empty() {
            let sql = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER}");
            self.run("postgres", &sql).await;
        }
    }

    /// The database that a path stands for, by the name of its folder; made when it is first asked
    /// for.
    pub(crate) async fn store_at(&self, path: &Path) -> String {
        let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let letters = folder.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let name = format!("countersign_test_case_{letters}");
        self.copy_to(&name).await;
        name
    }

    /// A database without anything in it.
    pub(crate) async fn empty_database(&self) -> String {
        let name = fresh_name();
        self.run("postgres", &format!("CREATE DATABASE {name} OWNER {OWNER}")).await;
        name
    }

    pub(crate) fn serving_url(&self, database: &str) -> String {
        format!("{} user={SERVING} password={PASSWORD} dbname={database}", self.at)
    }

    /// Over TCP, by this name of the machine.
    pub(crate) fn tcp_url(&self, database: &str, host: &str) -> String {
        let port = self.at.split(' ').find(|word| word.starts_with("port=")).unwrap();
        format!("host={host} {port} user={SERVING} dbname={database}")
    }

    pub(crate) fn owner_url(&self, database: &str) -> String {
        format!("{} user={OWNER} password={PASSWORD} dbname={database}", self.at)
    }

    /// Runs statements as a superuser.
    pub(crate) async fn run(&self, database: &str, sql: &str) {
        let client = self.superuser(database).await;
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Reads as a superuser.
    pub(crate) async fn rows(&self, database: &str, sql: &str) -> Vec<tokio_postgres::Row> {
        let client = self.superuser(database).await;
        client.query_typed(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    async fn superuser(&self, database: &str) -> tokio_postgres::Client {
        connect(&format!("{} {} dbname={database}", self.at, self.superuser)).await
    }

    /// The folder of the socket, and of everything else that belongs to the server.
    pub(crate) fn folder(&self) -> &Path {
        &self.own().folder
    }

    /// Where it can be connected to.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder().join(".s.PGSQL.5432")
    }

    /// Stops it at once, as a crash would.
    pub(crate) fn stop(&self) {
        self.own().control(&["-m", "immediate", "stop"]);
    }

    pub(crate) fn start_again(&self) {
        self.own().run();
    }

    fn own(&self) -> &Own {
        self.own.as_ref().expect("a server that was started here")
    }
}

impl Own {
    fn run(&self) {
        let log = self.folder.join("log");
        self.control(&["-l", log.to_str().unwrap(), "-o", &self.settings, "start"]);
    }

    fn control(&self, arguments: &[&str]) {
        let output = as_user(&self.bin.join("pg_ctl"))
            .arg("-D")
            .arg(self.folder.join("data"))
            .arg("-w")
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .expect("pg_ctl runs");
        let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(output.success(), "pg_ctl {arguments:?}: {}", log());
    }
}

/// A client of the tests' own.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.unwrap_or_else(|error| panic!("{error:?}"));
    tokio::spawn(connection);
    client
}

fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("countersign_test_{}_{number}", std::process::id())
}
