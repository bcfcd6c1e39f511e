//! API keys as they are kept: their grant, how they end, and how they were used. Of the secret only a
//! keyed hash is kept.

use std::collections::BTreeSet;
use std::str::FromStr;

use model::api_key::{Cause, Grant, Life, State};
use model::{ApiKeyId, Environment, Reach, Timestamp};

use crate::audit::{Entry, text};
use crate::error::Kind;
use crate::{Action, SealedRow, StoreError};

/// A key to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Where it is for.
    pub environment: Environment,
    /// What operators call it.
    pub name: String,
    /// Keyed hash of its secret.
    pub secret_hash: [u8; 16],
    /// What it allows.
    pub grant: Grant,
    /// When its time is over.
    pub expires_at: Timestamp,
}

/// The successor of a key: it takes over name and grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Its id.
    pub id: ApiKeyId,
    /// Keyed hash of its secret.
    pub secret_hash: [u8; 16],
    /// When its time is over.
    pub expires_at: Timestamp,
    /// Until when the key works whose place it takes.
    pub grace_until: Timestamp,
}

/// A key as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// Where it is for.
    pub environment: Environment,
    /// What operators call it.
    pub name: String,
    /// Keyed hash of its secret.
    pub secret_hash: [u8; 16],
    /// What it allows.
    pub grant: Grant,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// How it ends.
    pub life: Life,
    /// The key whose place it took.
    pub rolled_from: Option<ApiKeyId>,
    /// Why it was revoked, if it was.
    pub cause: Option<Cause>,
    /// When it last let somebody in, about.
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_address: Option<SealedRow>,
    /// How often it let somebody in.
    pub uses: u64,
    /// How often it was shown and did not.
    pub refusals: u64,
}

/// How a key was used since that was last written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyUse {
    /// The key.
    pub id: ApiKeyId,
    /// How often it let somebody in.
    pub uses: u32,
    /// How often it was shown and did not.
    pub refusals: u32,
    /// When it last let somebody in, and from where; nothing if it did not.
    pub last: Option<(Timestamp, SealedRow)>,
    /// Until when it was counted.
    pub at: Timestamp,
}

impl ApiKeyUse {
    /// The entries about it: that it let somebody in, and that it did not, each with how often.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let told =
            [(Action::ApiKeyUsed, self.uses, false), (Action::ApiKeyRefused, self.refusals, true)];
        let resource: &[u8] =
            if self.id == ApiKeyId::from_bytes([0; 16]) { b"unknown" } else { self.id.as_bytes() };
        told.into_iter().filter(|(_, count, _)| *count > 0).map(move |(action, count, refused)| {
            let count = count.to_string();
            Entry {
                at: self.at,
                action,
                actor: None,
                resource,
                refused,
                request: None,
                changes: Some(text(&[("count", None, Some(&count))])),
                personal: None,
            }
        })
    }
}

/// Whether a change of a key counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKeyChanged {
    /// It did.
    Done,
    /// There is no such key.
    NotFound,
    /// It has a successor already.
    AlreadyRolled,
    /// It is revoked already.
    AlreadyRevoked,
}

impl ApiKeyChanged {
    /// What the log says of a change that did not count.
    pub(crate) fn because(self) -> Changed<'static> {
        let why = match self {
            Self::Done => None,
            Self::NotFound => Some("not_found"),
            Self::AlreadyRolled => Some("already_rolled"),
            Self::AlreadyRevoked => Some("already_revoked"),
        };
        ("because", None, why)
    }
}

/// What may be done to a key whose ends are these.
pub(crate) fn may_roll(grace_until: Option<i64>, revoked_at: Option<i64>) -> ApiKeyChanged {
    match (revoked_at, grace_until) {
        (Some(_), _) => ApiKeyChanged::AlreadyRevoked,
        (None, Some(_)) => ApiKeyChanged::AlreadyRolled,
        (None, None) => ApiKeyChanged::Done,
    }
}

/// The columns of a key, in the order in which both backends read them.
pub(crate) const COLUMNS: &str = "id, environment, name, secret_hash, permissions, sources,
    providers, customer, networks, created_at, created_by, expires_at, rolled_from, grace_until,
    revoked_at, revoked_cause, last_used_at, last_address_key, last_address, uses, refusals";

/// A grant as it stands in columns: codes and names, one space between two. No bound is none, an
/// empty one lets nothing pass.
pub(crate) struct GrantColumns {
    pub(crate) permissions: String,
    pub(crate) sources: Option<String>,
    pub(crate) providers: Option<String>,
    pub(crate) customer: Option<[u8; 16]>,
    pub(crate) networks: String,
}

impl GrantColumns {
    pub(crate) fn of(grant: &Grant) -> Self {
        Self {
            permissions: joined(&grant.permissions),
            sources: grant.reach.sources.as_ref().map(joined),
            providers: grant.reach.providers.as_ref().map(joined),
            customer: grant.reach.customer,
            networks: joined(&grant.networks),
        }
    }

    /// The grant. A permission that this version does not know allows nothing; a network that cannot
    /// be read would let in everybody, so it is an error.
    pub(crate) fn grant(&self) -> Result<Grant, StoreError> {
        let names = |names: &Option<String>| {
            let names = names.as_ref()?;
            Some(names.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect())
        };
        let codes = self.permissions.split(' ');
        let networks = self.networks.split(' ').filter(|network| !network.is_empty());
        let networks: Result<Vec<_>, _> = networks.map(FromStr::from_str).collect();
        Ok(Grant {
            permissions: codes.filter_map(|code| code.parse().ok()).collect::<BTreeSet<_>>(),
            reach: Reach {
                sources: names(&self.sources),
                providers: names(&self.providers),
                customer: self.customer,
            },
            networks: networks
                .map_err(|_| StoreError::with(Kind::Corrupt, "a network of an API key"))?,
        })
    }
}

fn joined<'a, T: ToString + 'a>(items: impl IntoIterator<Item = &'a T>) -> String {
    items.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A change as the log has it: its name, what was before, and what is now.
type Changed<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// What the log says of a new key.
pub(crate) fn created<'a>(grant: &'a GrantColumns, expires_at: &'a str) -> [Changed<'a>; 6] {
    [
        ("permissions", None, Some(&grant.permissions)),
        ("sources", None, grant.sources.as_deref()),
        ("providers", None, grant.providers.as_deref()),
        // Of whom, not even the log says: it is a keyed hash.
        ("customer", None, grant.customer.map(|_| "one")),
        ("networks", None, Some(&grant.networks)),
        ("expires_at", None, Some(expires_at)),
    ]
}

/// What the log says of a key that is revoked.
pub(crate) fn revoked(cause: Cause) -> [Changed<'static>; 2] {
    [("state", None, Some(State::Revoked.code())), ("cause", None, Some(cause.code()))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Permission;

    #[test]
    fn a_grant_is_read_back() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let full = Grant {
            permissions: Permission::ALL.iter().copied().collect(),
            reach: Reach {
                sources: names(&["a", "b-2"]),
                providers: names(&[]),
                customer: Some([3; 16]),
            },
            networks: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        };
        for grant in [Grant::default(), full] {
            assert_eq!(GrantColumns::of(&grant).grant(), Ok(grant));
        }
    }

    #[test]
    fn what_is_not_known_allows_nothing() {
        let grant = Grant {
            permissions: [Permission::EventsRead].into(),
            networks: vec!["192.0.2.0/24".parse().unwrap()],
            ..Grant::default()
        };
        let columns = GrantColumns::of(&grant);
        let later = GrantColumns { permissions: "events:read money:spend".into(), ..columns };
        assert_eq!(later.grant(), Ok(grant));
        let broken = GrantColumns { networks: "192.0.2.0/24 anywhere".into(), ..later };
        assert!(broken.grant().unwrap_err().is_corrupt());
    }
}
