//! Everything that is logged during the demo, kept to be searched for secrets afterwards.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The log so far. Clones are the same log.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// The log as text.
    pub(super) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Captured {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// Starts keeping the log, at the most talkative level of our own crates.
pub(super) fn start() -> Captured {
    let captured = Captured::default();
    let filter = EnvFilter::new("debug,countersign=trace,gateway=trace,store=trace,schemes=trace");
    let subscriber =
        tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(captured.clone());
    // Only tests have a subscriber already; then there is less to search.
    let _ = subscriber.try_init();
    captured
}
