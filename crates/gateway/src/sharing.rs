//! Limits that are counted over all gateways on one store: who had their share at one of them has had
//! it at every other a moment later.
//!
//! Each gateway decides by itself and at once, from what it counted and what it heard last, so
//! nobody waits for whoever counts for all, the store or a server of its own. While that is away
//! each counts alone, and says so once.

use std::hash::Hash;
use std::time::Duration;

use model::Timestamp;
use store::{Store, WindowAdd, WindowCounts};
use tokio_util::sync::CancellationToken;

use crate::Windows;
use crate::limit::{Limit, Shared};

/// How soon one gateway learns what another counted.
const SHARE: Duration = Duration::from_millis(250);

/// Counts that are told of in one transaction.
const AT_ONCE_MAX: usize = 500;

/// Why others did not hear of a count.
type NotTold = Box<dyn std::error::Error + Send + Sync>;

/// Who counts over all gateways.
#[derive(Clone)]
pub(crate) enum Counter {
    Store(Store),
    #[cfg(feature = "redis")]
    Redis(crate::windows::Counter),
}

impl Counter {
    /// None where there is nobody to share with.
    pub(crate) fn of(windows: &Windows, store: &Store) -> Option<Self> {
        match windows {
            Windows::Store => store.is_shared().then(|| Self::Store(store.clone())),
            #[cfg(feature = "redis")]
            Windows::Redis(redis) => match redis.counter() {
                Ok(counter) => Some(Self::Redis(counter)),
                Err(error) => {
                    tracing::error!(%error, "what is limited is counted by this gateway alone");
                    None
                }
            },
        }
    }

    async fn count(&self, name: &str, adds: Vec<WindowAdd>) -> Result<Vec<WindowCounts>, NotTold> {
        match self {
            Self::Store(store) => Ok(store.count_windows(name, adds).await?),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => Ok(redis.count(name, &adds).await?),
        }
    }
}

/// A limit that is shared, under a name of its own.
pub(crate) struct Sharing<'a, K> {
    /// What the counts are of, in the store.
    pub(crate) name: &'static str,
    pub(crate) limit: &'a Limit<K>,
}

impl<K: Copy + Eq + Hash> Sharing<'_, K> {
    /// Tells the others what was counted here, and learns what they counted, until it is told to
    /// stop. The key is hashed for it: others need not know whom it is about.
    pub(crate) async fn run(
        &self,
        hash: impl Fn(K) -> [u8; 16],
        counter: Counter,
        stop: CancellationToken,
    ) {
        let mut tick = tokio::time::interval(SHARE);
        let mut is_alone = false;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return,
            }
            let counted = self.limit.to_share();
            let mut failed = None;
            for some in counted.chunks(AT_ONCE_MAX) {
                failed = self.share(&hash, &counter, some).await.err().or(failed);
            }
            match failed {
                Some(error) if !is_alone => {
                    is_alone = true;
                    tracing::warn!(%error, limit = self.name, "counted by this gateway alone");
                }
                None if is_alone && !counted.is_empty() => {
                    is_alone = false;
                    tracing::info!(limit = self.name, "counted over all gateways again");
                }
                _ => {}
            }
        }
    }

    async fn share(
        &self,
        hash: impl Fn(K) -> [u8; 16],
        counter: &Counter,
        counted: &[Shared<K>],
    ) -> Result<(), NotTold> {
        let period_ms = self.limit.rate().period_ms;
        let adds = counted.iter().map(|one| WindowAdd {
            key: hash(one.key),
            period_start: Timestamp::from_millis(one.period_start_ms),
            period_ms,
            add: one.count,
        });
        let counts = counter.count(self.name, adds.collect()).await?;
        for (one, counts) in counted.iter().zip(counts) {
            self.limit.learn(one, (counts.current, counts.previous));
        }
        Ok(())
    }
}
