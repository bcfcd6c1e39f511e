//! API keys at the door: who shows one is let in or not, from memory.
//!
//! The keys of the store are held in memory and read anew when their version has grown, for which
//! each gateway asks every quarter of a second. So no request waits for the store, and a revocation
//! counts everywhere within a second. When the store does not answer, the keys are believed for a few
//! seconds more, and then nobody is let in.
//!
//! A key is found by its id; its secret is compared in constant time by a keyed hash under the
//! *pepper*. Whoever shows an id that is not there has the same work done. How keys are used is
//! counted in memory and written a second later.

mod issue;
mod uses;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use model::api_key::{ApiKey, Grant, Life, State};
use model::{ApiKeyId, Environment, Permission, Reach, Timestamp, limits};
use sabotage::Defect;
use store::{ApiKeyRow, Store, StoreError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::keys::{KeyError, KeyRing, Pepper};
use crate::{Clock, entropy};
use uses::Uses;

pub use issue::{Issued, Unfit, Wanted};
pub(crate) use issue::{create, roll};

/// Where the last address of a key stands: its table and column.
pub(crate) const LAST_ADDRESS: (&str, &str) = ("api_key", "last_address");

/// How often it is looked whose end is near.
const WARN: Duration = Duration::from_secs(60);

/// Whoever showed a key that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key.
    pub key: ApiKeyId,
    /// What may be done with it.
    pub permissions: Arc<BTreeSet<Permission>>,
    /// Whose things it sees.
    pub reach: Arc<Reach>,
    /// Where it is for: this gateway's environment.
    pub environment: Environment,
    /// Whether the key has a successor already, to which the application should change.
    pub is_old_generation: bool,
}

impl Caller {
    /// Whether something may be done with the key.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

macro_rules! denials {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// Why a key lets nobody in. Outside all of them but the last are one answer, 401.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Denied { $($(#[$doc])* $variant,)* }

        impl Denied {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code, for logs and counts.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

denials! {
    /// It is no key: another shape, or a checksum that is not its own.
    Malformed = "key_malformed",
    /// It is for the other environment.
    Environment = "key_environment",
    /// There is no such key.
    Unknown = "key_unknown",
    /// There is such a key, with another secret.
    WrongSecret = "key_wrong_secret",
    /// Somebody ended it.
    Revoked = "key_revoked",
    /// Its time is over, or its grace beside its successor.
    Expired = "key_expired",
    /// It may not be used from this address.
    AddressNotAllowed = "key_address_not_allowed",
    /// Which keys work is not known, because the store does not answer: 503, try again soon.
    Unavailable = "keys_unavailable",
}

impl Denied {
    /// Whether it is not the key's fault, so that the answer is 503 instead.
    pub fn is_unavailable(self) -> bool {
        self == Self::Unavailable
    }
}

/// A key whose end is near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    /// The key.
    pub key: ApiKeyId,
    /// What operators call it.
    pub name: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The mark that it has passed: 14, 7 or 1.
    pub within_days: i64,
}

/// A key as it is held in memory.
struct Held {
    name: String,
    secret_hash: [u8; 16],
    permissions: Arc<BTreeSet<Permission>>,
    reach: Arc<Reach>,
    /// The networks alone: the rest of the grant is shared with callers.
    networks: Grant,
    life: Life,
}

impl Held {
    fn of(row: ApiKeyRow) -> (ApiKeyId, Self) {
        let Grant { permissions, reach, networks } = row.grant;
        let held = Self {
            name: row.name,
            secret_hash: row.secret_hash,
            permissions: Arc::new(permissions),
            reach: Arc::new(reach),
            networks: Grant { networks, ..Grant::default() },
            life: row.life,
        };
        (row.id, held)
    }
}

/// The keys of one version.
struct Keys {
    version: i64,
    by_id: HashMap<ApiKeyId, Held>,
    /// When the store last said that this is the version.
    seen: Instant,
}

/// The keys that there are, and who uses them.
pub struct ApiKeys {
    store: Store,
    ring: Arc<KeyRing>,
    pepper: Pepper,
    environment: Environment,
    keys: RwLock<Keys>,
    uses: Uses,
    /// The mark that each key was last warned of.
    warned: Mutex<HashMap<ApiKeyId, i64>>,
    /// What the secret of an unknown key is compared with.
    nobody: [u8; 16],
}

impl ApiKeys {
    /// Reads the keys that there are.
    pub(crate) async fn open(
        store: Store,
        ring: Arc<KeyRing>,
        environment: Environment,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let pepper = ring.pepper(now).await?;
        let keys = Keys { version: -1, by_id: HashMap::new(), seen: Instant::now() };
        let opened = Self {
            store,
            ring,
            pepper,
            environment,
            keys: RwLock::new(keys),
            uses: Uses::default(),
            warned: Mutex::default(),
            nobody: entropy::bytes(),
        };
        opened.refresh().await?;
        Ok(opened)
    }

    /// Lets in whoever shows a key that works, from an address that it may be used from.
    ///
    /// # Errors
    /// Why not. Whoever asks is to hear no more than that it is so.
    pub fn authenticate(
        &self,
        presented: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Caller, Denied> {
        let key = ApiKey::parse(presented).map_err(|_| Denied::Malformed)?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if keys.seen.elapsed() > Duration::from_millis(limits::API_KEYS_STALE_MS_MAX) {
            return Err(Denied::Unavailable);
        }
        let held = keys.by_id.get(&key.id);
        // The same work whether the key is there or not.
        let shown = self.pepper.hash(&key);
        let kept = held.map_or(&self.nobody, |held| &held.secret_hash);
        let is_right = aws_lc_rs::constant_time::verify_slices_are_equal(&shown, kept).is_ok();
        let judged = self.judge(&key, held, is_right, address, now);
        let counted = held.map(|_| key.id);
        self.uses.count(counted, judged.is_ok().then_some((now, address)));
        judged
    }

    fn judge(
        &self,
        key: &ApiKey,
        held: Option<&Held>,
        is_right: bool,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Caller, Denied> {
        if key.environment != self.environment {
            return Err(Denied::Environment);
        }
        let held = held.ok_or(Denied::Unknown)?;
        if !is_right {
            return Err(Denied::WrongSecret);
        }
        let state = held.life.verdict(now);
        match state {
            State::Active | State::Rolled => {}
            State::Revoked => return Err(Denied::Revoked),
            State::Expired => return Err(Denied::Expired),
        }
        if !held.networks.lets_in(address) && !sabotage::on(Defect::KeyAddressIgnored) {
            return Err(Denied::AddressNotAllowed);
        }
        Ok(Caller {
            key: key.id,
            permissions: held.permissions.clone(),
            reach: held.reach.clone(),
            environment: self.environment,
            is_old_generation: state == State::Rolled,
        })
    }

    /// Whether a key that was let in a moment ago would be now. It counts as no use.
    pub(crate) fn still_works(&self, key: ApiKeyId, address: IpAddr, now: Timestamp) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let works = |held: &Held| {
            matches!(held.life.verdict(now), State::Active | State::Rolled)
                && held.networks.lets_in(address)
        };
        keys.by_id.get(&key).is_some_and(works)
    }

    /// The keys whose end is near, those that end first before the others.
    pub fn expiring(&self, now: Timestamp) -> Vec<Expiring> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let near = keys.by_id.iter().filter_map(|(key, held)| {
            Some(Expiring {
                key: *key,
                name: held.name.clone(),
                expires_at: held.life.expires_at,
                within_days: held.life.warning(now)?,
            })
        });
        let mut near: Vec<_> = near.collect();
        near.sort_unstable_by_key(|near| (near.expires_at, near.key));
        near
    }

    /// Reads the keys anew if any has changed.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        // From before it was asked: what changes meanwhile is a later version.
        let asked = Instant::now();
        let version = self.store.api_keys_version().await?;
        let is_known = {
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            let is_known = keys.version == version;
            if is_known {
                keys.seen = asked;
            }
            is_known
        };
        if !is_known {
            let by_id = self.store.api_keys().await?.into_iter().map(Held::of).collect();
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            *keys = Keys { version, by_id, seen: asked };
        }
        Ok(())
    }

    /// Keeps the keys as the store has them, writes how they are used, and warns of their ends, until
    /// it is to stop.
    pub(crate) async fn run(self: Arc<Self>, clock: Clock, stop: CancellationToken) {
        let every = |period| {
            let mut tick = tokio::time::interval(period);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tick
        };
        let mut poll = every(Duration::from_millis(limits::API_KEYS_POLL_MS));
        let mut write = every(Duration::from_millis(limits::API_KEY_USES_MS));
        let mut warn = every(WARN);
        let mut is_blind = false;
        loop {
            tokio::select! {
                _ = poll.tick() => match self.refresh().await {
                    Ok(()) => is_blind = false,
                    Err(error) if !is_blind => {
                        is_blind = true;
                        let code = error.code();
                        tracing::error!(code, "cannot see whether API keys have changed");
                    }
                    Err(_) => {}
                },
                _ = write.tick() => self.write_uses(clock.now()).await,
                _ = warn.tick() => self.warn(clock.now()),
                () = stop.cancelled() => break,
            }
        }
        self.write_uses(clock.now()).await;
    }

    /// Writes how keys were used since the last time. What cannot be written waits: it is one row a
    /// key.
    pub(crate) async fn write_uses(&self, now: Timestamp) {
        if self.store.is_full() {
            return;
        }
        if let Err(error) = self.uses.write(&self.store, &self.ring, now).await {
            tracing::error!(%error, "how API keys were used was not written");
        }
    }

    /// Logs each key whose end is near, once a mark.
    fn warn(&self, now: Timestamp) {
        let near = self.expiring(now);
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.retain(|key, _| near.iter().any(|near| near.key == *key));
        for Expiring { key, name, expires_at, within_days } in near {
            if warned.insert(key, within_days) != Some(within_days) {
                tracing::warn!(
                    code = "api_key_expires",
                    %key,
                    name,
                    %expires_at,
                    within_days,
                    "an API key ends soon: roll it"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
