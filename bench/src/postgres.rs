//! PostgreSQL servers of one's own: Debian's newest, as a user who is not root, in a folder under
//! `/tmp`, on a port of the loopback interface and a socket in that folder.
//!
//! A [`Cluster`] keeps what it commits (`fsync` is on). It may have a *standby*, which has every
//! commit before anybody is answered, and which takes over when the *primary* is killed.
//!
//! Whatever ends the process that started a server, a panic or a kill, ends the server too: a shell
//! ([`Watch`]) waits for the end of a pipe that this process holds.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::server::{Server, free_address};

/// Who owns the schema.
pub const OWNER: &str = "countersign_owner";

/// Who serves.
pub const SERVING: &str = "countersign_serving";

/// The user that runs a server where root does not.
const USER: &str = "postgres";

/// Where Debian keeps the versions.
const VERSIONS: &str = "/usr/lib/postgresql";

/// How long a server may take to do what it was told.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of every server: connections for many replicas, a standby that does not sleep for five seconds
/// when its primary is gone, and a log that says who went away.
const SETTINGS: [&str; 5] = [
    "listen_addresses=127.0.0.1",
    "max_connections=200",
    "shared_buffers=128MB",
    "wal_retrieve_retry_interval=100ms",
    "log_min_messages=warning",
];

/// A running server, unless it was killed or stopped. It ends when dropped, and its folder with it.
#[derive(Debug)]
pub struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    settings: Vec<String>,
    port: u16,
    server: Option<Server>,
    _watch: Watch,
}

impl Cluster {
    /// Starts an empty server with these settings (`name=value`) and the two roles.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start(settings: &[&str]) -> Result<Self> {
        let mut cluster = Self::new(free_address()?.port(), settings)?;
        copy_empty(&cluster.data())?;
        cluster.run()?;
        let roles = [OWNER, SERVING].map(|role| format!("CREATE ROLE {role} LOGIN"));
        cluster.query(USER, &roles.join("; "))?;
        Ok(cluster)
    }

    fn new(port: u16, settings: &[&str]) -> Result<Self> {
        let bin = newest()?;
        let folder = new_folder()?;
        let stop = format!(
            "{} -D {} -m immediate stop >/dev/null 2>&1; rm -rf {}",
            bin.join("pg_ctl").display(),
            folder.join("data").display(),
            folder.display()
        );
        let watch = Watch::start("", &stop)?;
        let settings = SETTINGS.iter().chain(settings).map(|one| (*one).to_owned()).collect();
        Ok(Self { bin, folder, settings, port, server: None, _watch: watch })
    }

    /// A standby of this server that is streamed to; from now on this server acknowledges no commit
    /// before the standby has it on its disk.
    ///
    /// # Errors
    /// When it cannot be made, or does not follow.
    pub fn standby(&self) -> Result<Self> {
        self.standby_at(free_address()?.port())
    }

    /// The same at this port, which another server had.
    ///
    /// # Errors
    /// When it cannot be made, or does not follow.
    pub fn standby_at(&self, port: u16) -> Result<Self> {
        let settings: Vec<&str> = self.settings.iter().skip(SETTINGS.len()).map(|s| &**s).collect();
        let mut standby = Self::new(port, &settings)?;
        let data = standby.data();
        standby.tool("pg_basebackup", |backup| {
            backup.args(["-U", USER, "-p", &self.port.to_string(), "-h"]).arg(&self.folder);
            backup.args(["-R", "-c", "fast", "-X", "stream", "--no-sync", "-D"]).arg(data);
        })?;
        standby.run()?;
        self.wait_for("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "1")?;
        // Only now, so that it is no setting of the standby: that one will stand alone.
        self.query(USER, "ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        self.query(USER, "ALTER SYSTEM SET synchronous_commit = 'on'")?;
        self.query(USER, "SELECT pg_reload_conf()")?;
        self.wait_for("SELECT sync_state FROM pg_stat_replication", "sync")?;
        Ok(standby)
    }

    /// Makes a primary of a standby, and returns when it takes writes.
    ///
    /// # Errors
    /// When it does not become one.
    pub fn promote(&self) -> Result<()> {
        let data = self.data();
        self.tool("pg_ctl", |ctl| {
            ctl.args(["promote", "-w", "-D"]).arg(data);
        })
        .map(drop)
    }

    /// Kills it and all of its processes at once (`SIGKILL`): its machine is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.server.take().context("the server does not run")?.kill_tree()?;
        // Nobody shall send signals to a process that is gone.
        fs::remove_file(self.data().join("postmaster.pid")).context("its pid file")
    }

    /// Stops it at once; what was committed is recovered at the next start.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&mut self) -> Result<()> {
        let data = self.data();
        self.tool("pg_ctl", |ctl| {
            ctl.args(["stop", "-w", "-m", "immediate", "-D"]).arg(data);
        })?;
        let mut server = self.server.take().context("the server does not run")?;
        ensure!(server.ended_within(PATIENCE)?.is_some(), "the server did not end");
        Ok(())
    }

    /// Starts it, for the first time or after [`Cluster::stop`].
    ///
    /// # Errors
    /// When it does not start.
    pub fn run(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = as_user(&self.bin.join("postgres"));
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.folder);
        command.args(["-p", &self.port.to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.current_dir(&self.folder).process_group(0);
        self.server = Some(Server::spawn(command.stdout(log.try_clone()?).stderr(log))?);
        self.wait_for("SELECT 1", "1")
    }

    /// Makes an empty database of this name that belongs to [`OWNER`].
    ///
    /// # Errors
    /// When it is there already.
    pub fn make_database(&self, name: &str) -> Result<()> {
        self.query(USER, &format!("CREATE DATABASE {name} OWNER {OWNER}")).map(drop)
    }

    /// Drops every database that was made.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn drop_databases(&self) -> Result<()> {
        let made =
            "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'";
        for name in self.query(USER, made)?.lines() {
            self.query(USER, &format!("DROP DATABASE {name} WITH (FORCE)"))?;
        }
        Ok(())
    }

    /// The URL of a database for this role, over TCP.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// The same over the socket.
    pub fn socket_url(&self, role: &str, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://{role}@{folder}:{}/{database}", self.port)
    }

    /// The URL of this server and another, of which one takes writes.
    pub fn url_with(&self, other: &Self, role: &str, database: &str) -> String {
        let (one, two) = (self.port, other.port);
        format!(
            "postgres://{role}@127.0.0.1:{one},127.0.0.1:{two}/{database}\
             ?target_session_attrs=read-write"
        )
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Its port, of the socket too.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its processes, if it runs.
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// Asks as a superuser; gives the rows' columns with `|` between.
    ///
    /// # Errors
    /// When the server does not answer, or with an error.
    pub fn query(&self, database: &str, sql: &str) -> Result<String> {
        let output = self.tool("psql", |psql| {
            psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", USER]);
            psql.args(["-d", database, "-p", &self.port.to_string(), "-h"]).arg(&self.folder);
            psql.args(["-c", sql]);
        })?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// A session of a superuser that begins with these statements and is open until it is dropped.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn session(&self, database: &str, sql: &str) -> Result<Server> {
        let mut psql = as_user(&self.bin.join("psql"));
        psql.args(["-X", "-q", "-U", USER, "-d", database, "-p", &self.port.to_string()]);
        psql.arg("-h").arg(&self.folder).args(["-c", sql]).current_dir(&self.folder);
        Server::spawn(psql.stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// Asks until this is the answer.
    ///
    /// # Errors
    /// When it is not in time; with what the server said last.
    pub fn wait_for(&self, sql: &str, answer: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let last = self.query(USER, sql);
            match last {
                Ok(said) if said == answer => return Ok(()),
                _ if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                Ok(said) => bail!("{sql}: {said}, and not {answer}"),
                Err(error) => return Err(error.context(self.said())),
            }
        }
    }

    /// Runs one of PostgreSQL's programs as its user, to its end.
    fn tool(&self, program: &str, with: impl FnOnce(&mut Command)) -> Result<Output> {
        let mut command = as_user(&self.bin.join(program));
        with(&mut command);
        to_its_end(command.current_dir(&self.folder)).map_err(|error| error.context(self.said()))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Cluster {
    /// At once: a server that is only asked to stop waits for whoever is connected.
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            let _ = server.signal("QUIT");
        }
    }
}

/// A data folder that nobody has written to yet, from which every server begins. It is gone when
/// this process is.
struct Empty {
    data: PathBuf,
    _watch: Watch,
}

static EMPTY: Mutex<Option<Empty>> = Mutex::new(None);

impl Empty {
    fn make() -> Result<Self> {
        let folder = new_folder()?;
        // It outlives this process by a moment, and must not hold what that one writes to.
        let gone = format!("rm -rf {}", folder.display());
        let watch = Watch::start("exec >/dev/null 2>&1", &gone)?;
        let data = folder.join("data");
        let mut initdb = as_user(&newest()?.join("initdb"));
        initdb.args(["--no-sync", "--no-instructions", "-A", "trust", "-U", USER]);
        initdb.args(["-E", "UTF8", "--locale=C", "-D"]).arg(&data).current_dir(folder);
        to_its_end(&mut initdb)?;
        Ok(Self { data, _watch: watch })
    }
}

/// Makes a data folder that nobody has written to. `initdb` takes seconds, a copy does not.
fn copy_empty(to: &Path) -> Result<()> {
    let mut empty = EMPTY.lock().unwrap_or_else(PoisonError::into_inner);
    let empty = match &mut *empty {
        Some(empty) => empty,
        none => none.insert(Empty::make()?),
    };
    let mut copy = as_user(Path::new("/bin/cp"));
    to_its_end(copy.arg("-a").arg(&empty.data).arg(to).current_dir("/tmp")).map(drop)
}

/// A folder of that user.
fn new_folder() -> Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix("cs-pg-").tempdir_in("/tmp")?.keep();
    own(&folder)?;
    Ok(folder)
}

fn to_its_end(command: &mut Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output().context("cannot run it");
    let output = output.with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(output)
}

/// A shell that lives as long as whoever started it, and then runs a command.
#[derive(Debug)]
pub struct Watch(Child);

impl Watch {
    /// Runs `first`, waits for the end of this process or for being dropped, and runs `last`; both
    /// as the server's user.
    ///
    /// # Errors
    /// When no shell can be started.
    pub fn start(first: &str, last: &str) -> Result<Self> {
        let script = format!("{first}\ncat >/dev/null; {last}");
        let mut shell = as_user(Path::new("/bin/sh"));
        // What interrupts this process at a terminal leaves it there.
        shell.args(["-c", &script]).current_dir("/tmp").process_group(0);
        Ok(Self(shell.stdin(Stdio::piped()).spawn().context("a shell that watches")?))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The programs of the newest version that is installed.
///
/// # Errors
/// When there is none.
pub fn newest() -> Result<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    versions
        .filter(|version| version.path().join("bin/postgres").exists())
        .filter_map(|version| Some((version.file_name().to_str()?.parse::<u32>().ok()?, version)))
        .max_by_key(|(number, _)| *number)
        .map(|(_, version)| version.path().join("bin"))
        .context("PostgreSQL is not installed: ./test and ./prove install it")
}

/// A command of a user that the server's programs do not refuse.
pub fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={USER}")).arg(format!("--regid={USER}"));
    command.arg("--init-groups").arg(program);
    command
}

/// Gives a folder or a file to that user.
///
/// # Errors
/// When there is no such user.
pub fn own(path: &Path) -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find_map(|line| line.strip_prefix(&format!("{USER}:")));
    let mut ids = line.context("there is no user `postgres`")?.split(':').skip(1);
    let mut id = || ids.next().and_then(|id| id.parse::<u32>().ok()).context("no id of a user");
    let (user, group) = (id()?, id()?);
    chown(path, Some(user), Some(group)).with_context(|| format!("chown {}", path.display()))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_has_what_its_primary_acknowledged_before_it_was_killed() {
        let mut primary = Cluster::start(&[]).unwrap();
        assert_eq!(primary.query(USER, "SHOW fsync").unwrap(), "on");
        primary.make_database("kept").unwrap();
        let standby = primary.standby().unwrap();
        primary.query("kept", "CREATE TABLE one AS SELECT 7 AS number").unwrap();
        assert!(standby.query("kept", "CREATE TABLE two ()").is_err(), "it is a standby");
        primary.kill().unwrap();
        standby.promote().unwrap();
        assert_eq!(standby.query("kept", "SELECT number FROM one").unwrap(), "7");
        standby.query("kept", "CREATE TABLE two ()").unwrap();
        let folders = [primary.folder.clone(), standby.folder.clone()];
        drop((primary, standby));
        assert!(folders.iter().all(|folder| !folder.exists()), "nothing is left behind");
    }

    #[test]
    fn what_was_committed_is_there_after_a_stop() {
        let mut cluster = Cluster::start(&[]).unwrap();
        cluster.query(USER, "CREATE TABLE one AS SELECT 7 AS number").unwrap();
        cluster.stop().unwrap();
        assert!(cluster.query(USER, "SELECT 1").is_err());
        cluster.run().unwrap();
        assert_eq!(cluster.query(USER, "SELECT number FROM one").unwrap(), "7");
    }
}
