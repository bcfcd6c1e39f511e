//! Receivers as they are commonly written, to be measured beside: an Express handler with the
//! provider's SDK over SQLite or PostgreSQL, and nginx that verifies in Lua and stores nothing.
//!
//! Their sources are in `bench/peers`; `./prove peers` installs what they need. [`examine`] sees
//! that each does what it is measured for.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::clock::now_ms;
use crate::deployment::SOURCE_PATH;
use crate::load::{is_success, request, signed_request};
use crate::postgres::Cluster;
use crate::server::{Server, free_address};
use crate::stripe::{SECRET, Series, Signer};
use crate::wire::Connection;

/// Older than any receiver may accept, in seconds.
const STALE_S: i64 = 3600;

/// What no receiver has as its secret.
const STRANGER: &str = "whsec_test_stranger";

/// A running receiver. It stops when dropped.
#[derive(Debug)]
pub struct Peer {
    /// The receiver.
    pub server: Server,
    /// The database that it writes to, in a process of its own.
    pub database: Option<Rc<Cluster>>,
    /// Where it takes webhooks.
    pub address: SocketAddr,
    /// Where it keeps them.
    pub keeps: Keeps,
}

/// Where events are kept: one row each in the table `event`.
#[derive(Debug)]
pub enum Keeps {
    /// In this SQLite file.
    Sqlite(PathBuf, TempDir),
    /// In this PostgreSQL.
    Postgres(Rc<Cluster>),
    /// Not at all; what it was configured with is here.
    Nothing(TempDir),
}

impl Keeps {
    /// The rows, where there are any.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub fn rows(&self) -> Result<Option<u64>> {
        let rows: i64 = match self {
            Self::Sqlite(file, _) => rusqlite::Connection::open(file)?.query_row(
                "SELECT count(*) FROM event",
                (),
                |row| row.get(0),
            )?,
            Self::Postgres(cluster) => {
                cluster.query("postgres", "SELECT count(*) FROM event")?.parse()?
            }
            Self::Nothing(_) => return Ok(None),
        };
        Ok(Some(u64::try_from(rows)?))
    }
}

/// Express, the provider's SDK and better-sqlite3; `installed` holds the packages.
///
/// # Errors
/// When it cannot be started.
pub fn express_sqlite(installed: &Path) -> Result<Peer> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("express.db");
    let (server, address) = express(installed, "sqlite", &file, &[])?;
    Ok(Peer { server, database: None, address, keeps: Keeps::Sqlite(file, folder) })
}

/// Express, the provider's SDK and PostgreSQL.
///
/// # Errors
/// When one of them cannot be started.
pub fn express_postgres(installed: &Path) -> Result<Peer> {
    express_on(installed, Rc::new(Cluster::start(&[])?))
}

/// Express, the provider's SDK and this PostgreSQL, over its socket.
///
/// # Errors
/// When it cannot be started, or the database does not sync its commits.
pub fn express_on(installed: &Path, cluster: Rc<Cluster>) -> Result<Peer> {
    let settings = "SELECT current_setting('fsync') || current_setting('synchronous_commit')";
    let said = cluster.query("postgres", settings)?;
    ensure!(said == "onon", "PostgreSQL does not sync its commits: {said}");
    let port = cluster.port().to_string();
    let variables = [("PGPORT", &*port)];
    let (server, address) = express(installed, "postgres", cluster.folder(), &variables)?;
    Ok(Peer {
        server,
        database: Some(Rc::clone(&cluster)),
        address,
        keeps: Keeps::Postgres(cluster),
    })
}

fn express(
    installed: &Path,
    store: &str,
    place: &Path,
    variables: &[(&str, &str)],
) -> Result<(Server, SocketAddr)> {
    let address = free_address()?;
    let mut command = Command::new("node");
    command
        .args(["express.mjs", store])
        .arg(place)
        .arg(address.port().to_string())
        .env("NODE_ENV", "production")
        .env("STRIPE_WEBHOOK_SECRET", SECRET)
        .envs(variables.iter().copied())
        .current_dir(installed);
    Ok((Server::start(command, address, "/")?, address))
}

/// nginx that verifies in Lua.
///
/// # Errors
/// When it cannot be started.
pub fn nginx(installed: &Path) -> Result<Peer> {
    let folder = tempfile::tempdir()?;
    let address = free_address()?;
    let configuration = std::fs::read_to_string(installed.join("nginx.conf"))?;
    let configuration = configuration.replace("LISTEN", &address.to_string());
    std::fs::write(folder.path().join("nginx.conf"), configuration)?;
    std::fs::copy(installed.join("verify.lua"), folder.path().join("verify.lua"))?;
    let mut command = Command::new("/usr/sbin/nginx");
    command
        .arg("-p")
        .arg(format!("{}/", folder.path().display()))
        .args(["-c", "nginx.conf", "-e", "stderr"])
        .env("STRIPE_WEBHOOK_SECRET", SECRET)
        .stderr(File::create(folder.path().join("nginx.log"))?);
    let server = Server::start(command, address, "/")?;
    Ok(Peer { server, database: None, address, keeps: Keeps::Nothing(folder) })
}

/// What a receiver does wrong, if anything: it must acknowledge what is genuine, refuse what is
/// forged, altered, stale or unsigned, and keep each event once.
///
/// # Errors
/// When it does not answer.
pub fn examine(address: SocketAddr, keeps: &Keeps) -> Result<Vec<String>> {
    let head = format!("POST {SOURCE_PATH} HTTP/1.1\r\nhost: {address}\r\n");
    let (signer, stranger) = (Signer::new(SECRET), Signer::new(STRANGER));
    let (series, now_s) = (Series::fresh(), now_ms() / 1000);
    let (first, second) = (series.body(1, now_s), series.body(2, now_s));
    let forged = series.body(3, now_s);
    let signed = |body: &[u8]| signed_request(&head, &signer, body);
    let under = |signature: String| request(&head, &signature, &forged);
    let cases = [
        ("an event", true, signed(&first)),
        ("the same event again", true, signed(&first)),
        ("another event", true, signed(&second)),
        ("a stranger's signature", false, under(stranger.header(now_s, &forged))),
        ("the signature of another body", false, under(signer.header(now_s, &first))),
        ("a stale signature", false, under(signer.header(now_s - STALE_S, &forged))),
        ("an empty signature", false, under(String::new())),
    ];
    let before = keeps.rows()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut faults = Vec::new();
    for (what, good, request) in cases {
        let status = runtime
            .block_on(async { Connection::open(address).await?.exchange(&request).await })?;
        if is_success(status) != good {
            faults.push(format!("{what} was answered {status}"));
        }
    }
    if let (Some(before), Some(after)) = (before, keeps.rows()?)
        && after - before != 2
    {
        faults.push(format!("two events made {} rows", after - before));
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// The bare receiver with this secret, examined.
    fn faults_of_bare(secret: &'static str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bare.db");
        let address = free_address().unwrap();
        let store = file.clone();
        std::thread::spawn(move || crate::bare::serve(address, &store, secret));
        let start = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < PATIENCE, "it does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        examine(address, &Keeps::Sqlite(file, folder)).unwrap()
    }

    #[test]
    fn a_receiver_that_verifies_and_keeps_has_no_faults() {
        assert_eq!(faults_of_bare(SECRET), [""; 0]);
    }

    #[test]
    fn a_receiver_that_takes_what_a_stranger_signed_is_found_out() {
        let faults = faults_of_bare(STRANGER).join("; ");
        for fault in ["an event was answered 401", "a stranger's signature was answered 200"] {
            assert!(faults.contains(fault), "{faults}");
        }
        assert!(faults.ends_with("two events made 1 rows"), "{faults}");
    }
}
