//! New API keys: what may be asked for, and the text that is shown once.

use std::collections::BTreeSet;
use std::fmt;

use model::api_key::{ApiKey, Grant, Overlap, Secret};
use model::{ApiKeyId, Environment, Timestamp, limits};
use store::{ApiKeyChanged, ApiKeyRow, NewApiKey, Store, Successor};

use crate::keys::{KeyError, KeyRing};
use crate::operations::Order;
use crate::{entropy, personal};

const DAY_MS: i64 = 86_400_000;

/// A key that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What operators call it: never a person's name.
    pub name: String,
    /// What it is to allow.
    pub grant: Grant,
    /// In how many days it ends.
    pub days: u32,
}

/// Why a key that is wanted cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unfit {
    /// The name is empty, too long, or has other characters.
    Name,
    /// It allows nothing.
    NoPermission,
    /// It is bound to a list of nothing.
    NoReach,
    /// It is bound to too many networks or names.
    TooManyBounds,
    /// It ends too late, or at once.
    Days,
}

impl Unfit {
    /// Every reason.
    pub const ALL: &'static [Self] =
        &[Self::Name, Self::NoPermission, Self::NoReach, Self::TooManyBounds, Self::Days];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Name => "bad_key_name",
            Self::NoPermission => "no_permission",
            Self::NoReach => "no_reach",
            Self::TooManyBounds => "too_many_bounds",
            Self::Days => "bad_key_days",
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                f,
                "this cannot be a key's name: write up to {} letters, digits, spaces and . _ - : /",
                limits::API_KEY_NAME_CHARS_MAX
            ),
            Self::NoPermission => f.write_str("the key would allow nothing: name a permission"),
            Self::NoReach => f.write_str("the key would reach nothing: name a source or provider"),
            Self::TooManyBounds => write!(
                f,
                "a key is bound to at most {} networks, sources and providers: make two keys",
                limits::API_KEY_BOUNDS_MAX
            ),
            Self::Days => {
                write!(f, "a key lives for 1 to {} days: say how many", limits::API_KEY_DAYS_MAX)
            }
        }
    }
}

impl std::error::Error for Unfit {}

impl Wanted {
    /// Sees that there can be such a key.
    ///
    /// # Errors
    /// There cannot.
    pub fn check(&self) -> Result<(), Unfit> {
        let is_plain = |c: char| c.is_alphanumeric() || " ._-:/".contains(c);
        let name = self.name.trim();
        let is_name = !name.is_empty() && name.len() == self.name.len();
        let length = self.name.chars().count();
        if !is_name || length > limits::API_KEY_NAME_CHARS_MAX || !name.chars().all(is_plain) {
            return Err(Unfit::Name);
        }
        if self.grant.permissions.is_empty() {
            return Err(Unfit::NoPermission);
        }
        let reach = &self.grant.reach;
        let names = || [&reach.sources, &reach.providers].into_iter().flatten();
        if names().any(BTreeSet::is_empty) {
            return Err(Unfit::NoReach);
        }
        let most = limits::API_KEY_BOUNDS_MAX;
        if self.grant.networks.len() > most || names().any(|names| names.len() > most) {
            return Err(Unfit::TooManyBounds);
        }
        if !(1..=limits::API_KEY_DAYS_MAX).contains(&self.days) {
            return Err(Unfit::Days);
        }
        Ok(())
    }
}

/// A key that was made. Its secret is nowhere else: show its text once.
#[derive(Debug)]
pub struct Issued {
    /// The key, as the application is given it.
    pub key: ApiKey,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Issued {
    fn new(environment: Environment, days: u32, now: Timestamp) -> Self {
        let id = ApiKeyId::new(now, entropy::bytes());
        let key = ApiKey { environment, id, secret: Secret::new(entropy::bytes()) };
        Self { key, expires_at: now.plus_millis(i64::from(days) * DAY_MS) }
    }
}

/// Makes a key.
pub(crate) async fn create(
    store: &Store,
    ring: &KeyRing,
    environment: Environment,
    wanted: Wanted,
    order: Order,
) -> Result<Result<Issued, Unfit>, KeyError> {
    if let Err(unfit) = wanted.check() {
        return Ok(Err(unfit));
    }
    let issued = Issued::new(environment, wanted.days, order.at);
    let key = NewApiKey {
        id: issued.key.id,
        environment,
        name: wanted.name,
        secret_hash: ring.pepper(order.at).await?.hash(&issued.key),
        grant: wanted.grant,
        expires_at: issued.expires_at,
    };
    store.create_api_key(key, personal::note(ring, order).await?).await?;
    Ok(Ok(issued))
}

/// Makes the successor of a key, which goes on working for the overlap. It lives as long as the key
/// was to.
pub(crate) async fn roll(
    store: &Store,
    ring: &KeyRing,
    old: &ApiKeyRow,
    overlap: Overlap,
    order: Order,
) -> Result<Result<Issued, ApiKeyChanged>, KeyError> {
    let life_ms = old.life.expires_at.as_millis().saturating_sub(old.created_at.as_millis());
    let days = u32::try_from(life_ms / DAY_MS).unwrap_or(0).clamp(1, limits::API_KEY_DAYS_MAX);
    let issued = Issued::new(old.environment, days, order.at);
    let successor = Successor {
        id: issued.key.id,
        secret_hash: ring.pepper(order.at).await?.hash(&issued.key),
        expires_at: issued.expires_at,
        grace_until: order.at.plus_millis(overlap.as_millis()),
    };
    let note = personal::note(ring, order).await?;
    match store.roll_api_key(old.id, successor, note).await? {
        ApiKeyChanged::Done => Ok(Ok(issued)),
        refused => Ok(Err(refused)),
    }
}
