//! Clients that are slow on purpose, each on a raw socket: when is it cut?

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

use super::HOST;

/// A way to be slow.
#[derive(Debug, Clone, Copy)]
pub struct Slow {
    /// What it does.
    pub name: &'static str,
    /// What it sends at once.
    begin: Begin,
    /// What it sends every tenth of a second from then on.
    drip: &'static [u8],
    /// When it must be cut at the latest, milliseconds.
    pub cut_ms_max: u64,
    /// When it must not have been cut yet, milliseconds.
    pub cut_ms_min: u64,
}

#[derive(Debug, Clone, Copy)]
enum Begin {
    Nothing,
    HalfHead,
    /// A head that announces a body of 64 KiB.
    Head,
}

/// Time that the machine may take on top.
const TOLERANCE_MS: u64 = 1_500;

/// The write must make no progress for 15 seconds, after what fills the kernel's buffers.
const UNREAD_MIN: Duration = Duration::from_secs(14);
const UNREAD_MAX: Duration = Duration::from_secs(60);

/// Between two requests whose answers are not read. An answer must have begun before the next
/// request comes, on a busy machine too: else the gateway cuts for that, and at once.
const UNREAD_STEP: Duration = Duration::from_millis(25);

/// The ways that are tried; the last takes half a minute.
pub const WAYS: [Slow; 5] = [
    Slow { name: "idle", begin: Begin::Nothing, drip: b"", cut_ms_max: 15_000, cut_ms_min: 5_000 },
    Slow {
        name: "half a head, then nothing",
        begin: Begin::HalfHead,
        drip: b"",
        cut_ms_max: 10_000,
        cut_ms_min: 5_000,
    },
    Slow {
        name: "a head byte by byte",
        begin: Begin::HalfHead,
        drip: b"a",
        cut_ms_max: 10_000,
        cut_ms_min: 5_000,
    },
    Slow {
        name: "a body at 100 bytes a second",
        begin: Begin::Head,
        drip: b"0123456789",
        cut_ms_max: 3_000,
        cut_ms_min: 1_000,
    },
    Slow {
        name: "a body at 1.3 KiB a second",
        begin: Begin::Head,
        drip: &[b'x'; 133],
        cut_ms_max: 30_000,
        cut_ms_min: 25_000,
    },
];

impl Slow {
    /// When it was cut.
    ///
    /// # Errors
    /// When nobody listens, or it was cut out of its time.
    pub fn run(&self, gateway: SocketAddr) -> Result<Duration> {
        let mut stream = TcpStream::connect(gateway).context("nobody listens")?;
        let start = Instant::now();
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
        let head = format!("POST /in/stripe HTTP/1.1\r\nhost: {HOST}\r\n");
        let begin = match self.begin {
            Begin::Nothing => String::new(),
            Begin::HalfHead => format!("{head}x: "),
            Begin::Head => format!("{head}content-length: 65536\r\n\r\n"),
        };
        stream.write_all(begin.as_bytes())?;
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if start.elapsed() > Duration::from_millis(self.cut_ms_max + TOLERANCE_MS) {
                        bail!("{}: still open after {:?}", self.name, start.elapsed());
                    }
                    if stream.write_all(self.drip).is_err() {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
        let cut = start.elapsed();
        if cut < Duration::from_millis(self.cut_ms_min) {
            bail!("{}: cut after {cut:?} already", self.name);
        }
        Ok(cut)
    }
}

/// Tries ways at the same time, and gives when each was cut.
///
/// # Errors
/// When one was not cut in its time.
pub fn cut(gateway: SocketAddr, ways: &[Slow]) -> Result<Vec<(&'static str, Duration)>> {
    std::thread::scope(|scope| {
        let tries: Vec<_> =
            ways.iter().map(|way| (way.name, scope.spawn(move || way.run(gateway)))).collect();
        let joined = tries.into_iter().map(|(name, tried)| {
            let cut = tried.join().map_err(|_| anyhow::anyhow!("{name}: panicked"))??;
            Ok((name, cut))
        });
        joined.collect()
    })
}

/// Asks for pages and reads no answer; gives how long it took from the first byte until it was cut.
/// It asks the admin listener, whose pages are long enough to fill what the kernel holds, and which
/// is served by the same code as the public one.
///
/// # Errors
/// When nobody listens, or it was cut too early or not at all.
pub fn unread(admin: SocketAddr) -> Result<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let mut stream = socket.connect(admin).await.context("nobody listens")?;
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
        let start = Instant::now();
        // An answer must have begun before the next request, so they are not sent all at once. What
        // is sent to a connection that was cut comes back as an error of the next write.
        while stream.write_all(request.as_bytes()).await.is_ok() {
            if start.elapsed() > UNREAD_MAX {
                bail!("an answer that is not read: still open after {:?}", start.elapsed());
            }
            tokio::time::sleep(UNREAD_STEP).await;
        }
        let cut = start.elapsed();
        if cut < UNREAD_MIN {
            bail!("an answer that is not read: cut after {cut:?} already");
        }
        Ok(cut)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn a_server_that_cuts_too_early_or_never_is_found_out() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let way = Slow { cut_ms_max: 2_500, cut_ms_min: 2_000, ..WAYS[0] };
        std::thread::spawn(move || {
            drop(listener.accept());
            let held = listener.accept();
            // Until nobody asks any more.
            std::thread::sleep(Duration::from_secs(60));
            drop(held);
        });
        assert!(way.run(address).unwrap_err().to_string().contains("already"));
        assert!(way.run(address).unwrap_err().to_string().contains("still open"));
    }
}
