//! Failed sign-ins: five in a quarter of an hour of one operator, and of one address, whoever of the
//! gateways on a store they came to.
//!
//! They are counted in the store before anything is answered; in memory too, so that whoever has had
//! their share costs nothing more, and that a store that does not answer lets nobody guess.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use model::limits::{FAILED_SIGN_INS_MAX, FAILED_SIGN_INS_PERIOD_MS};
use model::rate::Rate;
use model::{OperatorId, Timestamp};
use store::{Store, WindowAdd};

use crate::keys::KeyRing;
use crate::limit::{Limit, Shared};

/// What the counts are of, in the store.
const NAME: &str = "failed_sign_ins";

const RATE: Rate = Rate { count: FAILED_SIGN_INS_MAX, period_ms: FAILED_SIGN_INS_PERIOD_MS };

/// When to try again if too many tries are under way, milliseconds.
const SOON_MS: i64 = 1_000;

/// Who tries: as whom, and from where, as keyed hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) login: [u8; 16],
    pub(super) address: [u8; 16],
}

impl Who {
    pub(super) fn new(ring: &KeyRing, login: [u8; 16], address: IpAddr) -> Self {
        Self { login, address: ring.index("sign_in.address", &[&network(address)]) }
    }

    /// An operator who is signed in and says once more who they are.
    pub(super) fn confirming(ring: &KeyRing, operator: OperatorId, address: IpAddr) -> Self {
        Self {
            login: ring.index("operator.confirm", &[operator.as_bytes()]),
            address: ring.index("confirm.address", &[&network(address)]),
        }
    }

    fn keys(self) -> [[u8; 16]; 2] {
        [self.login, self.address]
    }
}

/// An address as it is counted: of IPv6 the network that one subscriber has.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
    }
}

/// When to try again, milliseconds from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany {
    pub(super) retry_after_ms: i64,
}

/// The counts.
pub(super) struct Failed {
    store: Store,
    limit: Limit<[u8; 16]>,
    under_way: Mutex<HashMap<[u8; 16], u32>>,
}

/// A try that is under way: it counts as failed as long as it is not known to be good.
pub(super) struct Attempt<'a> {
    failed: &'a Failed,
    pub(super) who: Who,
}

impl Failed {
    pub(super) fn new(store: Store) -> Self {
        Self { store, limit: Limit::new(RATE), under_way: Mutex::default() }
    }

    /// Lets somebody try, unless they have failed too often.
    pub(super) async fn begin(&self, who: Who, now: Timestamp) -> Result<Attempt<'_>, TooMany> {
        self.look(who, now)?;
        self.share(who, now).await;
        self.look(who, now)?;
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        for key in who.keys() {
            let others = under_way.get(&key).copied().unwrap_or(0);
            // What is under way is known in a moment.
            let soon = |_| TooMany { retry_after_ms: SOON_MS };
            self.limit.look(key, now.as_millis(), others).map_err(soon)?;
        }
        for key in who.keys() {
            *under_way.entry(key).or_default() += 1;
        }
        Ok(Attempt { failed: self, who })
    }

    fn look(&self, who: Who, now: Timestamp) -> Result<(), TooMany> {
        let looked = who.keys().map(|key| self.limit.look(key, now.as_millis(), 0));
        looked.into_iter().collect::<Result<Vec<()>, _>>().map(drop).map_err(too_many)
    }

    /// Tells the store what was counted here and hears what all have counted.
    async fn share(&self, who: Who, now: Timestamp) {
        let start = now.as_millis().div_euclid(RATE.period_ms) * RATE.period_ms;
        let mut shared = self.limit.to_share();
        for key in who.keys() {
            if !shared.iter().any(|one| one.key == key) {
                shared.push(Shared { key, period_start_ms: start, count: 0 });
            }
        }
        let adds = shared.iter().map(|one| WindowAdd {
            key: one.key,
            period_start: Timestamp::from_millis(one.period_start_ms),
            period_ms: RATE.period_ms,
            add: one.count,
        });
        match self.store.count_windows(NAME, adds.collect()).await {
            Ok(counts) => {
                for (one, counts) in shared.iter().zip(counts) {
                    self.limit.learn(one, (counts.current, counts.previous));
                }
            }
            Err(error) => {
                let code = error.code();
                tracing::warn!(code, "failed sign-ins are counted by this gateway alone");
            }
        }
    }
}

fn too_many(limited: crate::answer::Limited) -> TooMany {
    TooMany { retry_after_ms: limited.retry_after_ms }
}

impl Attempt<'_> {
    /// Counts that it failed; says of what that was the last that is allowed.
    pub(super) async fn count(&self, now: Timestamp) -> Vec<&'static str> {
        let Who { login, address } = self.who;
        let last = [("login", login), ("address", address)].into_iter().filter(|(_, key)| {
            self.failed.limit.take(*key, now.as_millis()).is_ok_and(|left| left.count == 0)
        });
        let last = last.map(|(of, _)| of).collect();
        self.failed.share(self.who, now).await;
        last
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut under_way = self.failed.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        for key in self.who.keys() {
            match under_way.get_mut(&key) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(under_way.remove(&key)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

    fn who(login: u8, address: u8) -> Who {
        Who { login: [login; 16], address: [100 + address; 16] }
    }

    fn store(folder: &tempfile::TempDir) -> Store {
        let options = store::Options { reserve_bytes: 64 * 1024, ..Default::default() };
        Store::open(&folder.path().join("store.db"), options).expect("a store")
    }

    async fn fail(failed: &Failed, who: Who, now: Timestamp) -> Vec<&'static str> {
        failed.begin(who, now).await.map_err(drop).expect("it may be tried").count(now).await
    }

    #[tokio::test]
    async fn the_fifth_is_the_last_of_a_login_and_of_an_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let failed = Failed::new(store(&folder));
        for n in 1..=4 {
            assert_eq!(fail(&failed, who(1, n), NOON).await, Vec::<&str>::new());
        }
        assert_eq!(fail(&failed, who(1, 5), NOON).await, ["login"]);
        let later = NOON.plus_millis(60_000);
        let too_many = failed.begin(who(1, 6), later).await.map(drop).expect_err("too many");
        assert_eq!(too_many, TooMany { retry_after_ms: 14 * 60_000 });
        // Others are let try, from the same places too.
        for n in 11..=14 {
            assert_eq!(fail(&failed, who(n, 1), NOON).await.is_empty(), n != 14, "{n}");
        }
        assert!(failed.begin(who(20, 1), NOON).await.is_err());
        assert!(failed.begin(who(20, 2), NOON).await.is_ok());
        // Two periods on, nothing of it counts.
        assert!(failed.begin(who(1, 1), NOON.plus_millis(30 * 60_000)).await.is_ok());
    }

    #[tokio::test]
    async fn what_was_good_is_not_counted_and_what_is_under_way_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let failed = Failed::new(store(&folder));
        for _ in 0..20 {
            assert!(failed.begin(who(1, 1), NOON).await.is_ok());
        }
        let mut under_way = Vec::new();
        for _ in 0..5 {
            under_way.push(failed.begin(who(1, 1), NOON).await.map_err(drop).expect("five"));
        }
        for one_more in [who(1, 2), who(2, 1)] {
            let too_many = failed.begin(one_more, NOON).await.map(drop);
            assert_eq!(too_many, Err(TooMany { retry_after_ms: SOON_MS }));
        }
        drop(under_way.pop());
        assert!(failed.begin(who(1, 1), NOON).await.is_ok());
        drop(under_way);
        assert!(failed.under_way.lock().expect("not poisoned").is_empty());
    }

    #[tokio::test]
    async fn it_counts_at_every_gateway_and_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        let (here, there) = (Failed::new(store.clone()), Failed::new(store.clone()));
        for n in 0..5 {
            let at = if n % 2 == 0 { &here } else { &there };
            fail(at, who(1, 1), NOON).await;
        }
        for failed in [&here, &there, &Failed::new(store)] {
            assert!(failed.begin(who(1, 2), NOON).await.is_err());
            assert!(failed.begin(who(2, 1), NOON).await.is_err());
            assert!(failed.begin(who(2, 2), NOON).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_lets_nobody_guess() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        store.close().await;
        let failed = Failed::new(store);
        for _ in 0..5 {
            fail(&failed, who(1, 1), NOON).await;
        }
        assert!(failed.begin(who(1, 1), NOON).await.is_err());
    }

    #[test]
    fn one_subscriber_is_one_address() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }
}
