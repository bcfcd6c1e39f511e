//! Sessions in memory: those that were asked for lately, as long as nobody has ended any.
//!
//! A session that is not in memory is looked for in the store, so that one which another gateway has
//! opened counts at once. What is in memory is of one *version* of the store, and is forgotten when
//! that has grown, or when the store has not said for a while which it is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::Timestamp;
use model::limits::{OPERATORS_STALE_MS_MAX, SESSIONS_CACHED_MAX};
use model::operator::SessionState;
use store::{SessionRow, Store, StoreError};

type Hash = [u8; 16];

/// The sessions of one version.
struct Held {
    version: Option<i64>,
    /// When the store last said that this is the version.
    seen: Instant,
    by_hash: HashMap<Hash, SessionRow>,
    /// When sessions were used that is not written yet.
    uses: HashMap<Hash, Timestamp>,
}

impl Held {
    /// The version that is known; none if it is not known any more.
    fn version(&self) -> Option<i64> {
        let is_fresh = self.seen.elapsed() <= Duration::from_millis(OPERATORS_STALE_MS_MAX);
        self.version.filter(|_| is_fresh)
    }

    fn note_use(&mut self, hash: Hash, now: Timestamp) {
        if self.uses.len() < SESSIONS_CACHED_MAX || self.uses.contains_key(&hash) {
            let used = self.uses.entry(hash).or_insert(now);
            *used = now.max(*used);
        }
    }
}

/// The sessions that are known here.
pub(super) struct Sessions {
    store: Store,
    held: Mutex<Held>,
}

impl Sessions {
    pub(super) fn new(store: Store) -> Self {
        let held = Held {
            version: None,
            seen: Instant::now(),
            by_hash: HashMap::new(),
            uses: HashMap::new(),
        };
        Self { store, held: Mutex::new(held) }
    }

    /// The session of a token that lets its operator in; it is used by that.
    pub(super) async fn find(
        &self,
        hash: Hash,
        now: Timestamp,
    ) -> Result<Option<SessionRow>, StoreError> {
        let version = match self.known(hash, now) {
            Ok(session) => return Ok(Some(session)),
            Err(version) => version,
        };
        let found = self.store.session(hash).await?.filter(|session| lets_in(session, now));
        if let Some(session) = found {
            let mut held = self.lock();
            held.note_use(hash, now);
            // What was read is of this version or a later one, which is not known here yet.
            if version.is_some() && held.version() == version {
                if held.by_hash.len() >= SESSIONS_CACHED_MAX {
                    held.by_hash.clear();
                }
                held.by_hash.insert(hash, session);
            }
        }
        Ok(found)
    }

    /// The session as it is in memory, if it lets in; else the version that is known.
    fn known(&self, hash: Hash, now: Timestamp) -> Result<SessionRow, Option<i64>> {
        let mut held = self.lock();
        let version = held.version();
        let session = held.by_hash.get_mut(&hash).filter(|_| version.is_some());
        // One that seems idle may have been used at another gateway.
        let session = session.filter(|session| lets_in(session, now)).ok_or(version)?;
        session.life.last_seen_at = now.max(session.life.last_seen_at);
        let session = *session;
        held.note_use(hash, now);
        Ok(session)
    }

    /// Forgets a session that was ended here.
    pub(super) fn forget(&self, hash: Hash) {
        self.lock().by_hash.remove(&hash);
    }

    /// Forgets all if any was ended, or any operator changed.
    pub(super) async fn refresh(&self) -> Result<(), StoreError> {
        // From before it was asked: what changes meanwhile is a later version.
        let asked = Instant::now();
        let version = self.store.operators_version().await?;
        let mut held = self.lock();
        if held.version != Some(version) {
            held.version = Some(version);
            held.by_hash.clear();
        }
        held.seen = asked;
        Ok(())
    }

    /// Writes when sessions were used. What cannot be written waits.
    pub(super) async fn write_uses(&self) -> Result<(), StoreError> {
        let uses = std::mem::take(&mut self.lock().uses);
        let rows = uses.iter().map(|(hash, at)| (*hash, *at)).collect();
        let written = self.store.note_session_uses(rows).await;
        if written.is_err() {
            let mut held = self.lock();
            uses.into_iter().for_each(|(hash, at)| held.note_use(hash, at));
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lets_in(session: &SessionRow, now: Timestamp) -> bool {
    !session.is_disabled && session.life.state(now) == SessionState::Open
}

#[cfg(test)]
impl Sessions {
    /// Whether a session is in memory.
    pub(super) fn is_held(&self, hash: Hash) -> bool {
        self.lock().by_hash.contains_key(&hash)
    }
}
