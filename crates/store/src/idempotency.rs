//! Requests that take effect once: each is claimed before its effect, and its answer is kept, so that
//! whoever asks again with the same key gets the same answer.
//!
//! A claim without an answer lasts as long as its lease. What was claimed and never answered, because
//! the gateway died in between, may be claimed anew by the same request.

use model::Timestamp;
use vault::{KeyId, Sealed};

use crate::SealedRow;

/// Asks to do a request.
#[derive(Debug, Clone)]
pub struct IdempotencyClaim {
    /// Keyed hash of whose request it is, to which route, and of the key that came with it.
    pub key: [u8; 16],
    /// Keyed hash of what is asked for.
    pub fingerprint: [u8; 16],
    /// Who does it.
    pub holder: [u8; 16],
    /// The time now.
    pub now: Timestamp,
    /// Until when it is done or given up.
    pub until: Timestamp,
    /// Until when the answer is kept.
    pub kept_until: Timestamp,
}

/// What became of a request so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nothing: it is the holder's to do.
    Yours,
    /// Somebody does it now.
    Running,
    /// It was done and answered.
    Answered(SealedRow),
    /// The key came with another request.
    Other,
}

/// Key, fingerprint, holder, until, kept until, now: gives a row if it is the holder's to do. What is
/// no longer kept may be anything; what is not answered in time may be done again by the same request.
pub(crate) const CLAIM: &str = "INSERT INTO idempotency
        (key, fingerprint, holder, held_until, kept_until) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, holder = excluded.holder,
        held_until = excluded.held_until, kept_until = excluded.kept_until,
        sealed_key = NULL, sealed = NULL
    WHERE idempotency.kept_until <= $6 OR (idempotency.sealed IS NULL
        AND idempotency.held_until <= $6 AND idempotency.fingerprint = excluded.fingerprint)
    RETURNING 1";

/// Key: what there is of it.
pub(crate) const LOOK: &str =
    "SELECT fingerprint, sealed_key, sealed FROM idempotency WHERE key = $1";

/// The answer's key and the answer, key, holder. Whoever came too late has nothing to keep. (SQLite
/// numbers parameters as they come, so they come in their order.)
pub(crate) const KEEP: &str = "UPDATE idempotency SET sealed_key = $1, sealed = $2
    WHERE key = $3 AND holder = $4 AND sealed IS NULL";

/// Key, holder.
pub(crate) const GIVE_UP: &str =
    "DELETE FROM idempotency WHERE key = $1 AND holder = $2 AND sealed IS NULL";

/// Answers that are no longer kept, forgotten with each claim.
pub(crate) const FORGOTTEN_AT_ONCE_MAX: i64 = 64;

/// What a claim that was not given finds.
pub(crate) fn found(
    claim: &IdempotencyClaim,
    fingerprint: [u8; 16],
    answer: Option<(KeyId, Vec<u8>)>,
) -> Claimed {
    match answer {
        _ if fingerprint != claim.fingerprint => Claimed::Other,
        Some((key, sealed)) => {
            Claimed::Answered(SealedRow { key, sealed: Sealed::from_bytes(sealed) })
        }
        None => Claimed::Running,
    }
}
