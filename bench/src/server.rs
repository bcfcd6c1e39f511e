//! A server process under measurement: started, waited for, watched through `/proc`, stopped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Range;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpSocket;

use crate::clock::Chance;
use crate::wire;

/// How long a server may take to be ready before the run is given up.
const READY_PATIENCE: Duration = Duration::from_secs(30);

/// How long a server may take to end after it was asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// How long one that nobody waits for may take.
const DROP_PATIENCE: Duration = Duration::from_secs(3);

/// Below the range that Linux takes the ports of outgoing connections from.
const PORTS: Range<u64> = 12_000..32_000;

/// Ports that are tried before the machine is called full.
const PORT_TRIES: u32 = 100;

/// Ticks a second of the times in `/proc/PID/stat`: 100 on every Linux that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server. It is stopped when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// From the start of the process to its first good answer.
    pub ready_after: Duration,
}

impl Server {
    /// Starts the command and asks `path` at `address` every millisecond until it answers 2xx.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time.
    pub fn start(command: Command, address: SocketAddr, path: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Self::until(command, || {
            runtime.block_on(wire::get(address, path)).is_ok_and(crate::load::is_success)
        })
    }

    /// Starts the command and waits until it takes connections.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not listen in time.
    pub fn listening(command: Command, address: SocketAddr) -> Result<Self> {
        Self::until(command, || TcpStream::connect(address).is_ok())
    }

    fn until(mut command: Command, is_ready: impl Fn() -> bool) -> Result<Self> {
        let start = Instant::now();
        let mut server = Self::spawn(&mut command)?;
        loop {
            let ready = is_ready();
            let elapsed = start.elapsed();
            // First, since whoever answers in the place of one that ended is somebody else.
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended with {status}", command.get_program().display());
            }
            if ready {
                server.ready_after = elapsed;
                return Ok(server);
            }
            if start.elapsed() > READY_PATIENCE {
                bail!("{} was not ready in time", command.get_program().display());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts the command, and does not wait for it to be ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, ready_after: Duration::ZERO })
    }

    /// CPU time used so far, user and system, by the process and all that it started.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> Result<Duration> {
        ticks_of_tree(self.child.id(), &processes()?)
            .map(|ticks| Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND))
            .context("the process is gone")
    }

    /// Resident memory now, in bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.status_bytes("VmRSS:")
    }

    /// The most resident memory so far, in bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident_bytes_max(&self) -> Result<u64> {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        status_kib(&status, name)
            .map(|kib| kib * 1024)
            .with_context(|| format!("no {name} in /proc/PID/status"))
    }

    /// How it ended, if it does within so long.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended_within(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let start = Instant::now();
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || start.elapsed() >= patience {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it at once (`SIGKILL`) and waits for its end.
    pub fn kill(mut self) {
        self.end();
    }

    /// Kills it and all that it started at once.
    ///
    /// # Errors
    /// When the system does not say what it started.
    pub fn kill_tree(mut self) -> Result<()> {
        let processes = processes()?;
        let mut doomed = vec![self.child.id()];
        let mut next = 0;
        while let Some(parent) = doomed.get(next).copied() {
            let children = processes.iter().filter(|process| process.parent == parent);
            doomed.extend(children.map(|child| child.id));
            next += 1;
        }
        // In one command, the first one first: it cannot replace those that go after it.
        let ids = doomed.iter().map(u32::to_string);
        let kill = Command::new("kill").arg("-KILL").args(ids).stderr(Stdio::null()).status();
        kill.context("cannot run kill")?;
        self.end();
        Ok(())
    }

    /// Asks it to stop (`SIGTERM`) and waits until it has.
    ///
    /// # Errors
    /// When it does not stop in time, or not with success.
    pub fn stop(self) -> Result<()> {
        self.signal("TERM")?;
        self.stopped()
    }

    /// Waits until it has stopped, as it was asked to: a second time means at once.
    ///
    /// # Errors
    /// When it does not stop in time, or not with success.
    pub fn stopped(mut self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < STOP_PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the server did not stop in time");
    }

    /// Sends it a signal, such as `STOP`.
    ///
    /// # Errors
    /// When there is no `kill`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", name, &pid]).status().context("cannot run kill")?;
        Ok(())
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    /// Asks first, since one that is killed leaves the processes that it started behind.
    fn drop(&mut self) {
        let start = Instant::now();
        let asked = !self.has_ended() && self.signal("TERM").is_ok();
        while asked && !self.has_ended() && start.elapsed() < DROP_PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.end();
    }
}

/// A loopback address that is nobody else's until this process ends, and which no outgoing connection
/// will take: a server that is killed or stopped must find it free again, whatever else is tested on
/// this machine meanwhile.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    let mut chance = Chance::new(crate::clock::fresh_seed());
    for _ in 0..PORT_TRIES {
        let port = u16::try_from(chance.between(PORTS.start, PORTS.end))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if let Ok(held) = hold(address) {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(held);
            return Ok(address);
        }
    }
    bail!("no free port between {} and {}", PORTS.start, PORTS.end)
}

/// The addresses that were given.
static HELD: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());

/// Holds an address that nobody has or holds. Only who reuses addresses, as servers do, can bind it
/// then; this does not, and so finds those that others hold. Nobody is answered before a server listens.
fn hold(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(address)?;
    socket.set_reuseaddr(true)?;
    Ok(socket)
}

/// A process as `/proc/PID/stat` tells of it.
#[derive(Debug, PartialEq)]
struct Process {
    id: u32,
    parent: u32,
    /// Its own, and those of its children that have ended.
    ticks: u64,
}

impl Process {
    /// The parent is the 4th field, and the 14th to 17th are `utime`, `stime`, `cutime` and
    /// `cstime`; the 2nd may hold spaces, so count from its end.
    fn read(stat: &str) -> Option<Self> {
        let (id, rest) = stat.split_once(' ')?;
        let (_, rest) = rest.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let mut ticks = 0;
        for field in fields.get(11..15)? {
            ticks += field.parse::<u64>().ok()?;
        }
        Some(Self { id: id.parse().ok()?, parent: fields.get(1)?.parse().ok()?, ticks })
    }
}

/// All that can be seen.
fn processes() -> Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let stat = std::fs::read_to_string(entry?.path().join("stat"));
        processes.extend(stat.ok().as_deref().and_then(Process::read));
    }
    Ok(processes)
}

fn ticks_of_tree(root: u32, processes: &[Process]) -> Option<u64> {
    let own = processes.iter().find(|process| process.id == root)?.ticks;
    let children = processes.iter().filter(|process| process.parent == root);
    Some(own + children.filter_map(|child| ticks_of_tree(child.id, processes)).sum::<u64>())
}

fn status_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_that_of_all_whatever_the_program_is_called() {
        let stat = "42 (a b) c) S 7 42 42 0 -1 4194560 900 0 0 0 310 45 2 1 20 0 5 0 100 1 2";
        assert_eq!(Process::read(stat), Some(Process { id: 42, parent: 7, ticks: 358 }));
        assert_eq!(Process::read("42 (short) S 1"), None);
    }

    #[test]
    fn cpu_time_counts_descendants_and_nobody_else() {
        let tree = [(7, 1, 1), (42, 7, 10), (43, 42, 100), (8, 1, 1000)];
        let tree = tree.map(|(id, parent, ticks)| Process { id, parent, ticks });
        assert_eq!(ticks_of_tree(7, &tree), Some(111));
        assert_eq!(ticks_of_tree(9, &tree), None);
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(status_kib(status, "VmHWM:"), Some(20_480));
        assert_eq!(status_kib(status, "VmRSS:"), Some(10_240));
        assert_eq!(status_kib(status, "VmSwap:"), None);
    }

    #[test]
    fn an_address_that_was_given_is_its_servers_alone() {
        let address = free_address().unwrap();
        // As if another process were given it, while no server listens and again after one has.
        assert!(hold(address).is_err());
        for _ in 0..2 {
            assert!(TcpStream::connect(address).is_err(), "nobody listens");
            let listener = std::net::TcpListener::bind(address).unwrap();
            let client = TcpStream::connect(address).unwrap();
            // Who closes first has the address for a minute more.
            drop(listener.accept().unwrap());
            drop((listener, client));
            assert!(hold(address).is_err());
        }
    }

    #[test]
    fn a_server_that_ends_is_told_apart_from_a_slow_one() {
        let error = Server::start(Command::new("false"), free_address().unwrap(), "/").unwrap_err();
        assert!(error.to_string().contains("ended"), "{error}");
        let error =
            Server::start(Command::new("/nowhere"), free_address().unwrap(), "/").unwrap_err();
        assert!(error.to_string().contains("cannot start"), "{error}");
    }
}
