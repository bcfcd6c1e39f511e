//! Failed signatures are counted over all gateways on one store: an address that had its share at
//! one of them has had it at every other a moment later.
//!
//! Each gateway decides by itself and at once, from what it counted and what it heard last, so
//! nobody waits for whoever counts for all, the store or a server of its own. While that is away
//! each counts alone, and says so once.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use store::{Store, WindowAdd, WindowCounts};
use tokio_util::sync::CancellationToken;

use super::Inbound;
use super::limits::Shared;
use crate::Windows;

/// How soon one gateway learns what another counted.
const SHARE: Duration = Duration::from_millis(250);

/// Addresses that are told of in one transaction.
const ADDRESSES_AT_ONCE_MAX: usize = 500;

/// What the counts are of, in the store.
const NAME: &str = "failed_signatures";

/// Why others did not hear of a count.
type NotTold = Box<dyn std::error::Error + Send + Sync>;

/// Who counts over all gateways.
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
                    tracing::error!(%error, "failed signatures are counted by this gateway alone");
                    None
                }
            },
        }
    }

    async fn count(&self, adds: Vec<WindowAdd>) -> Result<Vec<WindowCounts>, NotTold> {
        match self {
            Self::Store(store) => Ok(store.count_windows(NAME, adds).await?),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => Ok(redis.count(NAME, &adds).await?),
        }
    }
}

impl Inbound {
    /// Tells the others what was counted here, and learns what they counted.
    pub(crate) async fn share_limits(self: Arc<Self>, counter: Counter, stop: CancellationToken) {
        let mut tick = tokio::time::interval(SHARE);
        let mut is_alone = false;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return,
            }
            let counted = self.failed_signatures.to_share();
            let mut failed = None;
            for some in counted.chunks(ADDRESSES_AT_ONCE_MAX) {
                failed = self.share(&counter, some).await.err().or(failed);
            }
            match failed {
                Some(error) if !is_alone => {
                    is_alone = true;
                    tracing::warn!(%error, "failed signatures are counted by this gateway alone");
                }
                None if is_alone && !counted.is_empty() => {
                    is_alone = false;
                    tracing::info!("failed signatures are counted over all gateways again");
                }
                _ => {}
            }
        }
    }

    async fn share(&self, counter: &Counter, counted: &[Shared]) -> Result<(), NotTold> {
        let period_ms = self.failed_signatures.rate().period_ms;
        let adds = counted.iter().map(|one| WindowAdd {
            key: self.parts.keys.index("window", &[one.address.to_string().as_bytes()]),
            period_start: Timestamp::from_millis(one.period_start_ms),
            period_ms,
            add: one.count,
        });
        let counts = counter.count(adds.collect()).await?;
        for (one, counts) in counted.iter().zip(counts) {
            self.failed_signatures.learn(one, (counts.current, counts.previous));
        }
        Ok(())
    }
}
