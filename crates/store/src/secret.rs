//! Secrets of sources and endpoints, and what is done with them.

use model::api_key::Overlap;
use model::secret::{SecretKind, SecretLife};
use model::{SecretId, Timestamp};

use crate::{Note, SealedRow};

/// A secret, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// The secret.
    pub id: SecretId,
    /// Name of the source or endpoint.
    pub owner: String,
    /// A keyed hash of it.
    pub print: [u8; 16],
    /// What is known of its life.
    pub life: SecretLife,
    /// The secret, sealed; nothing of one that stands in the configuration.
    pub sealed: Option<SealedRow>,
}

/// A secret to be kept.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// The secret.
    pub id: SecretId,
    /// What it is for.
    pub kind: SecretKind,
    /// Name of the source or endpoint.
    pub owner: String,
    /// A keyed hash of it.
    pub print: [u8; 16],
    /// The secret, sealed.
    pub sealed: SealedRow,
    /// How long the others of its owner count beside it; without it they go on counting.
    pub overlap: Option<Overlap>,
}

/// Secrets that stand in the configuration of one source or endpoint now.
#[derive(Debug, Clone)]
pub struct Configured {
    /// What they are for.
    pub kind: SecretKind,
    /// Name of the source or endpoint.
    pub owner: String,
    /// An id for each that is new, and the keyed hash of each.
    pub secrets: Vec<(SecretId, [u8; 16])>,
    /// When they were seen.
    pub at: Timestamp,
}

/// What came of adding one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretAdded {
    /// It counts.
    Done,
    /// Its owner has it, or had it: a secret is not used again.
    Known,
}

/// What came of retiring one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretRetired {
    /// It does not count any more.
    Done,
    /// There is none, or it was retired before.
    NotFound,
    /// It stands in the configuration: it is taken out there.
    Configured,
    /// Nothing else counts for its owner.
    Last,
    /// None that came after it has verified a real message.
    Unproven,
}

/// Asks to retire a secret.
#[derive(Debug, Clone)]
pub(crate) struct Retire {
    pub(crate) id: SecretId,
    /// Whatever becomes of messages.
    pub(crate) force: bool,
    pub(crate) note: Note,
}

impl SecretRetired {
    /// Whether one may be retired, beside all of its owner.
    pub(crate) fn judge(one: &SecretRow, all: &[SecretRow], force: bool, now: Timestamp) -> Self {
        if one.life.retired_at.is_some() {
            return Self::NotFound;
        }
        if one.sealed.is_none() {
            return Self::Configured;
        }
        let others: Vec<SecretLife> =
            all.iter().filter(|other| other.id != one.id).map(|other| other.life).collect();
        let counts = |life: &SecretLife| life.state(&others, now).counts();
        if !others.iter().any(counts) {
            return Self::Last;
        }
        let proven = |life: &SecretLife| counts(life) && life.proven_at.is_some();
        let needs_proof = one.life.kind == SecretKind::Source && one.life.proven_at.is_some();
        if needs_proof && !force && !others.iter().any(proven) {
            return Self::Unproven;
        }
        Self::Done
    }
}

/// What an entry is about: `source:stripe`.
pub(crate) fn owned_by(kind: SecretKind, owner: &str) -> String {
    format!("{}:{owner}", kind.code())
}
