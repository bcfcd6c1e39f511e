//! A crowd of connections that begin and do not go on, from many addresses.
//!
//! A third says nothing, a third sends half a head, a third half a body. Whoever is cut comes back
//! at once, so the crowd keeps its size for as long as it is held.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::HOST;

/// Connections of one address: the listener lets in 256.
const PER_ADDRESS: u64 = 200;

/// How long a crowd may take to gather.
const GATHER: Duration = Duration::from_secs(30);

/// Half of a body. It earns its sender about as long as a head may take.
const HALF_BODY_BYTES: usize = 8 * 1024;

/// A crowd that is there until it is dropped.
#[derive(Debug)]
pub struct Crowd {
    size: u64,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    stop: AtomicBool,
    open: AtomicU64,
    cut: AtomicU64,
}

impl Crowd {
    /// Brings so many together and waits until nearly all are connected.
    ///
    /// # Errors
    /// When they cannot connect in time.
    pub fn gather(target: SocketAddr, size: u64) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let shared = counts.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                for n in 0..size {
                    tokio::spawn(stand(target, n, shared.clone()));
                    // All at once would only fill the listener's queue.
                    if n % 64 == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                while !shared.stop.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        });
        let crowd = Self { size, counts, thread: Some(thread) };
        let start = Instant::now();
        while crowd.open() < size - size / 20 {
            ensure!(start.elapsed() < GATHER, "only {} of {size} are connected", crowd.open());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(crowd)
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// How often one was cut and came back.
    pub fn cut(&self) -> u64 {
        self.counts.cut.load(Ordering::Relaxed)
    }

    /// How many it was gathered with.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.counts.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Connects, begins, waits until it is cut, and comes back.
async fn stand(target: SocketAddr, n: u64, counts: Arc<Counts>) {
    let begun = beginning(n);
    // From 127.0.1.1 on: 127.0.0.1 is where the good ones come from.
    let host = u32::from(Ipv4Addr::new(127, 0, 1, 1)) + u32::try_from(n / PER_ADDRESS).unwrap_or(0);
    let address = SocketAddr::V4(SocketAddrV4::new(host.into(), 0));
    loop {
        let connected = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(address)?;
            socket.connect(target).await
        };
        if let Ok(mut stream) = connected.await {
            let _ = stream.write_all(&begun).await;
            counts.open.fetch_add(1, Ordering::Relaxed);
            let _ = stream.read_to_end(&mut Vec::new()).await;
            counts.open.fetch_sub(1, Ordering::Relaxed);
            counts.cut.fetch_add(1, Ordering::Relaxed);
        } else {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What the n-th of a crowd says.
fn beginning(n: u64) -> Vec<u8> {
    let head = format!("POST /in/stripe HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: ");
    match n % 3 {
        0 => Vec::new(),
        1 => head.into_bytes(),
        _ => {
            let mut bytes = format!("{head}{}\r\n\r\n", 2 * HALF_BODY_BYTES).into_bytes();
            bytes.resize(bytes.len() + HALF_BODY_BYTES, b'x');
            bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_crowd_gathers_from_many_addresses_and_comes_back_when_it_is_cut() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = listener.local_addr().unwrap();
        let (first, kept) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for (n, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let _ = first.send(stream.peer_addr().unwrap().ip());
                // The first is cut.
                if n > 0 {
                    held.push(stream);
                }
            }
        });
        let crowd = Crowd::gather(target, 250).unwrap();
        let addresses: std::collections::BTreeSet<_> = kept.iter().take(251).collect();
        assert_eq!(addresses.len(), 2, "{addresses:?}");
        assert!(crowd.cut() >= 1 && crowd.size() == 250);
    }

    #[test]
    fn what_a_crowd_says_is_never_whole() {
        assert!(beginning(0).is_empty());
        assert!(!String::from_utf8(beginning(1)).unwrap().contains("\r\n\r\n"));
        assert!(beginning(2).ends_with(b"xx"));
    }
}
