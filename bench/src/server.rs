//! A server process under measurement: started, waited for, watched through `/proc`, stopped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::clock::Chance;
use crate::wire;

/// How long a server may take to be ready before the run is given up.
const READY_PATIENCE: Duration = Duration::from_secs(30);

/// How long a server may take to end after it was asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// Below the range that Linux takes the ports of outgoing connections from.
const PORTS: Range<u64> = 12_000..32_000;

/// Ports that are tried before the machine is called full.
const PORT_TRIES: u32 = 100;

/// Ticks a second of the times in `/proc/PID/stat`: 100 on every Linux that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server. It is killed when dropped.
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
    pub fn start(mut command: Command, address: SocketAddr, path: &str) -> Result<Self> {
        let start = Instant::now();
        let mut server = Self::spawn(&mut command)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        loop {
            let answer = runtime.block_on(wire::get(address, path));
            let elapsed = start.elapsed();
            // First, since whoever answers in the place of one that ended is somebody else.
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended with {status}", command.get_program().display());
            }
            if answer.is_ok_and(crate::load::is_success) {
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

    /// CPU time used so far, user and system, all threads.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        cpu_ticks(&stat)
            .map(|ticks| Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND))
            .context("no CPU time in /proc/PID/stat")
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

    /// Kills it at once (`SIGKILL`) and waits for its end.
    pub fn kill(mut self) {
        self.end();
    }

    /// Asks it to stop (`SIGTERM`) and waits until it has.
    ///
    /// # Errors
    /// When it does not stop in time, or not with success.
    pub fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().context("cannot run kill")?;
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

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// A loopback address whose port was free a moment ago, and which no outgoing connection will take:
/// a server that is killed must find it free again.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    let mut chance = Chance::new(crate::clock::fresh_seed());
    for _ in 0..PORT_TRIES {
        let port = u16::try_from(chance.between(PORTS.start, PORTS.end))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port between {} and {}", PORTS.start, PORTS.end)
}

/// `utime` and `stime`, the 14th and 15th field; the 2nd may hold spaces, so count from its end.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn status_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_user_and_system_whatever_the_program_is_called() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 900 0 0 0 310 45 0 0 20 0 5 0 100 1 2";
        assert_eq!(cpu_ticks(stat), Some(355));
        assert_eq!(cpu_ticks("42 (short) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(status_kib(status, "VmHWM:"), Some(20_480));
        assert_eq!(status_kib(status, "VmRSS:"), Some(10_240));
        assert_eq!(status_kib(status, "VmSwap:"), None);
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
