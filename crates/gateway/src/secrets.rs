//! The secrets in use: those of the configuration and those that the store keeps, as keys that
//! requests are verified and deliveries are signed with.
//!
//! The store is looked at once a second, so that a secret that was added, rolled or retired counts so
//! on every gateway a moment later. What is verified with is exchanged as a whole; nobody waits for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use model::secret::{SecretKind, SecretLife};
use model::{SecretId, Timestamp};
use schemes::standard_webhooks::SigningKey;
use schemes::{Keys, Profile, Secret, SecretError};
use store::{Configured, SealedRow, SecretRow, Store};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::inbound::Parts;
use crate::keys::{Held, KeyError, KeyRing};
use crate::metrics::Metrics;
use crate::{Clock, Endpoint, Source, entropy};

/// How often the store is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Proofs that wait to be noted; more are made by the next message.
const PROOFS_MAX: usize = 64;

/// Keys of a source at most, as the engine tries them.
const KEYS_MAX: usize = 4;

/// The bucket under whose key of the first day they are sealed. No source can have this name.
const BUCKET: &str = "secret store";

/// What requests to one source are verified with.
pub(crate) struct Verifying {
    pub(crate) keys: Keys,
    /// Each that has verified no real message yet, alone.
    unproven: Vec<(SecretId, Keys)>,
}

/// What one source verifies with, now.
#[derive(Clone)]
pub(crate) struct SourceKeys {
    now: Arc<ArcSwap<Verifying>>,
    proven: mpsc::Sender<SecretId>,
}

/// What deliveries to one endpoint are signed with, now.
pub(crate) type EndpointKeys = Arc<ArcSwap<Vec<SigningKey>>>;

impl SourceKeys {
    /// The keys of this moment.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Verifying>> {
        self.now.load()
    }

    /// Tells which of those that had verified nothing yet has verified this request.
    pub(crate) fn prove(&self, verifying: &Verifying, verifies: impl Fn(&Keys) -> bool) {
        for (id, alone) in &verifying.unproven {
            if verifies(alone) {
                let _ = self.proven.try_send(*id);
            }
        }
    }
}

/// One source.
struct OfSource {
    name: String,
    profile: Arc<Profile>,
    configured: Vec<Secret>,
    now: Arc<ArcSwap<Verifying>>,
}

/// One endpoint.
struct OfEndpoint {
    name: String,
    configured: Vec<Secret>,
    now: EndpointKeys,
}

/// All secrets in use.
pub(crate) struct Secrets {
    store: Store,
    keys: Arc<KeyRing>,
    clock: Clock,
    metrics: Arc<Metrics>,
    sources: Vec<OfSource>,
    endpoints: Vec<OfEndpoint>,
    proven: mpsc::Receiver<SecretId>,
    prover: mpsc::Sender<SecretId>,
    /// Which secrets counted when keys were made last, and which were unproven.
    counted: Vec<(SecretId, bool)>,
    /// On which day it was told that a secret is old.
    told: HashMap<SecretId, i64>,
}

impl Secrets {
    /// Notes which secrets stand in the configuration, and makes keys of all that count.
    pub(crate) async fn open(
        parts: &Parts,
        sources: &[Source],
        endpoints: &[Endpoint],
    ) -> Result<Self, KeyError> {
        let bad = |_: SecretError| KeyError::BadSecret;
        let mut of_sources = Vec::new();
        for source in sources {
            let keys = source.profile.keys(&source.secrets).map_err(bad)?;
            of_sources.push(OfSource {
                name: source.name.clone(),
                profile: source.profile.clone(),
                configured: source.secrets.clone(),
                now: Arc::new(ArcSwap::from_pointee(Verifying { keys, unproven: Vec::new() })),
            });
        }
        let mut of_endpoints = Vec::new();
        for endpoint in endpoints {
            let keys = endpoint.secrets.iter().map(SigningKey::parse).collect::<Result<_, _>>();
            of_endpoints.push(OfEndpoint {
                name: endpoint.name.clone(),
                configured: endpoint.secrets.clone(),
                now: Arc::new(ArcSwap::from_pointee(keys.map_err(bad)?)),
            });
        }
        let (prover, proven) = mpsc::channel(PROOFS_MAX);
        let (sources, endpoints) = (of_sources, of_endpoints);
        let mut secrets = Self {
            store: parts.store.clone(),
            keys: parts.keys.clone(),
            clock: parts.clock.clone(),
            metrics: parts.metrics.clone(),
            sources,
            endpoints,
            proven,
            prover,
            counted: Vec::new(),
            told: HashMap::new(),
        };
        secrets.see_configured().await?;
        secrets.refresh().await?;
        Ok(secrets)
    }

    /// What each source verifies with.
    pub(crate) fn of_sources(&self) -> HashMap<String, SourceKeys> {
        let of = |source: &OfSource| {
            let keys = SourceKeys { now: source.now.clone(), proven: self.prover.clone() };
            (source.name.clone(), keys)
        };
        self.sources.iter().map(of).collect()
    }

    /// What deliveries to each endpoint are signed with.
    pub(crate) fn of_endpoints(&self) -> HashMap<String, EndpointKeys> {
        self.endpoints.iter().map(|one| (one.name.clone(), one.now.clone())).collect()
    }

    /// Looks at the store until it is stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(look.tick()).await.is_some() {
            self.note_proofs().await;
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "secrets could not be looked at: those of before count");
            }
        }
    }

    async fn see_configured(&self) -> Result<(), KeyError> {
        let at = self.clock.now();
        let sources =
            self.sources.iter().map(|one| (SecretKind::Source, &one.name, &one.configured));
        let endpoints =
            self.endpoints.iter().map(|one| (SecretKind::Endpoint, &one.name, &one.configured));
        for (kind, owner, configured) in sources.chain(endpoints) {
            let secrets = configured
                .iter()
                .map(|secret| {
                    let id = SecretId::new(at, entropy::bytes());
                    (id, print(&self.keys, kind, owner, secret))
                })
                .collect();
            let owner = owner.clone();
            self.store.see_configured(Configured { kind, owner, secrets, at }).await?;
        }
        Ok(())
    }

    async fn note_proofs(&mut self) {
        let mut proven = HashSet::new();
        while let Ok(id) = self.proven.try_recv() {
            proven.insert(id);
        }
        for id in proven {
            if let Err(error) = self.store.prove_secret(id, self.clock.now()).await {
                tracing::warn!(secret = %id, %error, "that a secret is in use was not noted");
            }
        }
    }

    /// Makes keys anew if other secrets count than before.
    async fn refresh(&mut self) -> Result<(), KeyError> {
        let (rows, now) = (self.store.secrets().await?, self.clock.now());
        let counting: Vec<&SecretRow> = rows.iter().filter(|row| counts(row, &rows, now)).collect();
        self.tell_age(&counting, now);
        let counted: Vec<_> =
            counting.iter().map(|row| (row.id, row.life.proven_at.is_some())).collect();
        if counted == self.counted {
            return Ok(());
        }
        let mut complete = true;
        for source in &self.sources {
            complete &= self.renew_source(source, &rows, &counting).await;
        }
        for endpoint in &self.endpoints {
            complete &= self.renew_endpoint(endpoint, &rows, &counting).await;
        }
        // What could not be opened is tried again.
        if !complete {
            return Ok(());
        }
        self.counted = counted;
        Ok(())
    }

    /// Makes the keys of a source anew. What does not open or fit is left out, and said: the others
    /// must not wait for it.
    async fn renew_source(
        &self,
        source: &OfSource,
        all: &[SecretRow],
        counting: &[&SecretRow],
    ) -> bool {
        let (kind, configured) = (SecretKind::Source, &source.configured);
        let (owned, complete) = self.owned(kind, &source.name, configured, all, counting).await;
        let owned = newest(owned);
        let secrets: Vec<Secret> = owned.iter().map(|(_, secret)| secret.clone()).collect();
        let Ok(keys) = source.profile.keys(&secrets) else {
            tracing::error!(source = source.name, "bad_secret: a stored secret does not fit");
            return false;
        };
        let alone = |(row, secret): &(Option<&SecretRow>, Secret)| {
            let row = row.filter(|row| row.life.proven_at.is_none())?;
            Some((row.id, source.profile.keys(std::slice::from_ref(secret)).ok()?))
        };
        let unproven = owned.iter().filter_map(alone).collect();
        source.now.store(Arc::new(Verifying { keys, unproven }));
        complete
    }

    /// The same of an endpoint.
    async fn renew_endpoint(
        &self,
        endpoint: &OfEndpoint,
        all: &[SecretRow],
        counting: &[&SecretRow],
    ) -> bool {
        let (kind, configured) = (SecretKind::Endpoint, &endpoint.configured);
        let (owned, complete) = self.owned(kind, &endpoint.name, configured, all, counting).await;
        let keys: Result<Vec<SigningKey>, _> =
            owned.iter().map(|(_, secret)| SigningKey::parse(secret)).collect();
        match keys {
            Ok(keys) if !keys.is_empty() => endpoint.now.store(Arc::new(keys)),
            _ => {
                tracing::error!(
                    endpoint = endpoint.name,
                    "bad_secret: a stored secret does not fit"
                );
                return false;
            }
        }
        complete
    }

    /// The secrets of one owner that count: those that were added, the newest first, then those of the
    /// configuration in their order.
    ///
    /// What stands in this gateway's configuration counts here, whatever another gateway that was
    /// configured otherwise has noted of it. Says whether all could be opened.
    async fn owned<'r>(
        &self,
        kind: SecretKind,
        owner: &str,
        configured: &[Secret],
        all: &'r [SecretRow],
        counting: &[&'r SecretRow],
    ) -> (Vec<(Option<&'r SecretRow>, Secret)>, bool) {
        let (mut owned, mut complete) = (Vec::new(), true);
        let is_of_owner = |row: &SecretRow| row.life.kind == kind && row.owner == owner;
        for row in counting.iter().rev().filter(|row| is_of_owner(row)) {
            let Some(sealed) = &row.sealed else { continue };
            match open(&self.keys, row.id, sealed).await {
                Ok(secret) => owned.push((Some(*row), secret)),
                Err(error) => {
                    complete = false;
                    tracing::error!(secret = %row.id, owner, %error, "a secret does not open");
                }
            }
        }
        for secret in configured {
            let print = print(&self.keys, kind, owner, secret);
            let row = all.iter().filter(|row| is_of_owner(row)).find(|row| row.print == print);
            // One that was added with the same text lives by its row.
            if row.is_none_or(|row| row.sealed.is_none()) {
                owned.push((row, secret.clone()));
            }
        }
        (owned, complete)
    }

    /// Shows the age of the oldest secret of each owner, and says once a day which are due.
    fn tell_age(&mut self, counting: &[&SecretRow], now: Timestamp) {
        let mut oldest: HashMap<(SecretKind, &str), i64> = HashMap::new();
        for row in counting {
            let days = row.life.age_days(now);
            let age = oldest.entry((row.life.kind, row.owner.as_str())).or_default();
            *age = days.max(*age);
            if row.life.is_old(now) && self.told.insert(row.id, now.day()) != Some(now.day()) {
                let kind = row.life.kind.code();
                tracing::warn!(
                    code = "secret_old",
                    kind,
                    owner = row.owner,
                    secret = %row.id,
                    days,
                    "a secret is due to be rolled: countersign secrets roll"
                );
            }
        }
        for ((kind, owner), days) in oldest {
            self.metrics.secret_age(kind.code(), owner, days);
        }
    }
}

/// At most as many as are tried, and says so if there are more.
fn newest(mut owned: Vec<(Option<&SecretRow>, Secret)>) -> Vec<(Option<&SecretRow>, Secret)> {
    if owned.len() > KEYS_MAX {
        let owner = owned.iter().find_map(|(row, _)| row.map(|row| row.owner.as_str()));
        tracing::error!(owner, "too_many_secrets: only the newest four count; retire some");
        owned.truncate(KEYS_MAX);
    }
    owned
}

fn counts(row: &SecretRow, all: &[SecretRow], now: Timestamp) -> bool {
    row.life.state(&others(row, all), now).counts()
}

/// The lives of the other secrets of its owner.
pub(crate) fn others(row: &SecretRow, all: &[SecretRow]) -> Vec<SecretLife> {
    let is_beside = |other: &&SecretRow| {
        other.id != row.id && other.life.kind == row.life.kind && other.owner == row.owner
    };
    all.iter().filter(is_beside).map(|other| other.life).collect()
}

/// A keyed hash of a secret, by which it is known again.
pub(crate) fn print(keys: &KeyRing, kind: SecretKind, owner: &str, secret: &Secret) -> [u8; 16] {
    let kind = kind.code().as_bytes();
    secret.with_bytes(|bytes| keys.index("secret", &[kind, owner.as_bytes(), bytes]))
}

/// Seals a secret for its row.
pub(crate) async fn seal(
    keys: &KeyRing,
    id: SecretId,
    secret: &Secret,
) -> Result<SealedRow, KeyError> {
    let key: Held = keys.bucket(BUCKET, Timestamp::from_millis(0)).await?;
    Ok(secret.with_bytes(|bytes| key.seal("secret", "sealed", id.as_bytes(), bytes)))
}

async fn open(keys: &KeyRing, id: SecretId, sealed: &SealedRow) -> Result<Secret, KeyError> {
    let bytes = keys.open_row("secret", "sealed", id.as_bytes(), sealed).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::NotAuthentic)?;
    Ok(Secret::new(text.to_owned()))
}
