//! A proxy before a PostgreSQL server that loses connections at the worst moment, or stops passing
//! anything on. It knows just enough of the protocol to see a commit of the store go by.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;

/// What becomes of a connection when a commit comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Not,
    /// It is lost before the server has heard of the commit.
    Before,
    /// It is lost as soon as the server may have heard of the commit.
    During,
    /// It is lost when the server has answered, and nobody has heard the answer.
    After,
}

/// Chooses what becomes of the n-th commit, from 0.
pub type Choose = fn(u64) -> Cut;

/// The proxy, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
    accepting: tokio::task::AbortHandle,
}

#[derive(Debug)]
struct State {
    server: PathBuf,
    choose: Choose,
    commits: AtomicU64,
    cuts: AtomicU64,
    frozen: AtomicBool,
    thawed: Notify,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// Stands before the server whose socket this is.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(server: PathBuf, choose: Choose) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State {
            server,
            choose,
            commits: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            frozen: AtomicBool::new(false),
            thawed: Notify::new(),
        });
        let accepted = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&accepted);
                tokio::spawn(async move {
                    // An end is an end, however it comes.
                    let _ = state.pass(client).await;
                });
            }
        })
        .abort_handle();
        Ok(Self { port, state, accepting })
    }

    /// Where it stands, on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were lost at a commit.
    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::SeqCst)
    }

    /// Passes nothing on, and keeps every connection.
    pub fn freeze(&self) {
        self.state.frozen.store(true, Ordering::SeqCst);
    }

    /// Passes on again.
    pub fn thaw(&self) {
        self.state.frozen.store(false, Ordering::SeqCst);
        self.state.thawed.notify_waiters();
    }
}

impl State {
    async fn pass(&self, client: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        let server = UnixStream::connect(&self.server).await?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let deaf = AtomicBool::new(false);
        tokio::select! {
            up = self.up(from_client, to_server, &deaf) => up,
            down = self.down(from_server, to_client, &deaf) => down,
        }
    }

    /// From the client to the server, message by message.
    async fn up(
        &self,
        mut client: impl AsyncRead + Unpin,
        mut server: impl AsyncWrite + Unpin,
        deaf: &AtomicBool,
    ) -> std::io::Result<()> {
        // The first message has no type.
        let mut first = true;
        loop {
            let kind = if first { None } else { Some(client.read_u8().await?) };
            first = false;
            let length = client.read_u32().await?;
            let mut body = vec![0; length.saturating_sub(4) as usize];
            client.read_exact(&mut body).await?;
            self.until_thawed().await;
            let cut = match kind {
                Some(b'Q') if is_commit(&body) => {
                    (self.choose)(self.commits.fetch_add(1, Ordering::SeqCst))
                }
                _ => Cut::Not,
            };
            if cut != Cut::Not {
                self.cuts.fetch_add(1, Ordering::SeqCst);
            }
            if cut == Cut::Before {
                return Ok(());
            }
            deaf.store(cut == Cut::After, Ordering::SeqCst);
            let mut message = Vec::from_iter(kind);
            message.extend(length.to_be_bytes());
            message.extend(body);
            server.write_all(&message).await?;
            match cut {
                Cut::During => return Ok(()),
                // Until the server has answered.
                Cut::After => std::future::pending().await,
                Cut::Not | Cut::Before => {}
            }
        }
    }

    /// From the server to the client.
    async fn down(
        &self,
        mut server: impl AsyncRead + Unpin,
        mut client: impl AsyncWrite + Unpin,
        deaf: &AtomicBool,
    ) -> std::io::Result<()> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let read = server.read(&mut bytes).await?;
            self.until_thawed().await;
            if read == 0 || deaf.load(Ordering::SeqCst) {
                return Ok(());
            }
            client.write_all(bytes.get(..read).unwrap_or_default()).await?;
        }
    }

    async fn until_thawed(&self) {
        while self.frozen.load(Ordering::SeqCst) {
            let _ = tokio::time::timeout(Duration::from_millis(50), self.thawed.notified()).await;
        }
    }
}

/// The commit of a transaction that changes something.
fn is_commit(body: &[u8]) -> bool {
    let text = body.strip_suffix(&[0]).unwrap_or(body);
    text.starts_with(b"SET LOCAL") && text.ends_with(b"COMMIT")
}
