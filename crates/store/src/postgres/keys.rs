//! Wrapped data keys.

use std::collections::{BTreeMap, HashSet};

use model::{RequestId, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use vault::{KeyId, WrappedKey};

use super::Postgres;
use super::audit::Entries;
use super::bind::{Owned, bytea, byteas, int2, int2s, int8s, uuids};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::audit::Entry;
use crate::codes::{Code, Coded as _};
use crate::error::Kind;
use crate::{Action, KeyKind, NewKey, SealedRow, StoreError, StoredKey};

const OF_ID: &str = "SELECT id, kind, owner, wrapped, created_at FROM data_key WHERE id = $1";

const OF_OWNER: &str = "SELECT id, kind, owner, wrapped, created_at FROM data_key
    WHERE kind = $1 AND owner = $2 ORDER BY sequence DESC LIMIT 1";

/// Data keys that are kept, as far as a transaction has looked.
pub(super) struct Kept(HashSet<Sixteen>);

impl Kept {
    /// Refuses what is sealed under a key that is not kept: nobody could ever open it.
    pub(super) fn see(&self, row: &SealedRow) -> Result<()> {
        if self.0.contains(&Sixteen::from(row.key)) { Ok(()) } else { Err(Kind::UnknownKey.into()) }
    }
}

/// The first of each key, in the order of their ids: so nobody waits for somebody who waits for
/// them.
pub(super) type NewKeys<'a> = BTreeMap<[u8; 16], (&'a NewKey, Option<RequestId>)>;

impl Session<'_> {
    /// Keeps keys unless they are kept already, with an entry for each that is added.
    pub(super) async fn keep_keys(&self, keys: &NewKeys<'_>, entries: &mut Entries) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let of = |read: fn(&NewKey) -> Sixteen| -> Vec<Sixteen> {
            keys.values().map(|(key, _)| read(key)).collect()
        };
        let (ids, owners) = (of(|key| key.id.into()), of(|key| Sixteen(key.owner)));
        let kinds: Vec<i16> = keys.values().map(|(key, _)| key.kind.number()).collect();
        let wrapped: Vec<&[u8]> = keys.values().map(|(key, _)| key.wrapped.as_bytes()).collect();
        let created: Vec<i64> = keys.values().map(|(key, _)| key.created_at.as_millis()).collect();
        let added = self
            .rows(
                "INSERT INTO data_key (id, kind, owner, wrapped, created_at)
                 SELECT * FROM unnest($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING id",
                &[uuids(&ids), int2s(&kinds), byteas(&owners), byteas(&wrapped), int8s(&created)],
            )
            .await?;
        for row in &added {
            let id: Sixteen = column(row, 0)?;
            let Some((key, request)) = keys.get(&id.0) else { continue };
            entries.push(&Entry {
                at: key.created_at,
                action: Action::KeyAdded,
                actor: None,
                resource: &id.0,
                refused: false,
                request: *request,
                changes: None,
                personal: None,
            });
        }
        Ok(())
    }

    /// Which of these keys are kept.
    pub(super) async fn kept_keys(&self, ids: &[Sixteen]) -> Result<Kept> {
        let rows = self.rows("SELECT id FROM data_key WHERE id = ANY ($1)", &[uuids(&ids)]).await?;
        Ok(Kept(rows.iter().map(|row| column(row, 0)).collect::<Result<_>>()?))
    }

    /// Adds a key unless its owner has one; gives the one that stands.
    ///
    /// One at a time: two replicas that start together must not each have a key of their own.
    pub(super) async fn add_key(&self, key: &NewKey) -> Result<NewKey> {
        self.take_turns().await?;
        if let Some(standing) = self.key_of(key.kind, key.owner).await? {
            return Ok(standing);
        }
        let mut entries = Entries::default();
        let keys = NewKeys::from([(key.id.0, (key, None))]);
        self.keep_keys(&keys, &mut entries).await?;
        self.audit(&entries).await?;
        self.key_of(key.kind, key.owner).await?.ok_or(Kind::Constraint.into())
    }

    async fn key_of(&self, kind: KeyKind, owner: [u8; 16]) -> Result<Option<NewKey>> {
        let rows = self.rows(OF_OWNER, &[int2(&Code(kind)), bytea(&Sixteen(owner))]).await?;
        rows.first().map(key).transpose()
    }
}

impl Postgres {
    pub(crate) async fn key(
        &self,
        id: KeyId,
    ) -> std::result::Result<Option<StoredKey>, StoreError> {
        let rows = self.look(OF_ID, vec![Owned::new(Sixteen::from(id), Type::UUID)]).await?;
        first(&rows)
    }

    pub(crate) async fn key_of(
        &self,
        kind: KeyKind,
        owner: [u8; 16],
    ) -> std::result::Result<Option<StoredKey>, StoreError> {
        let parameters =
            vec![Owned::new(Code(kind), Type::INT2), Owned::new(Sixteen(owner), Type::BYTEA)];
        first(&self.look(OF_OWNER, parameters).await?)
    }
}

fn first(rows: &[Row]) -> std::result::Result<Option<StoredKey>, StoreError> {
    rows.first().map(key).transpose().map_err(|failure: Failure| failure.error)
}

fn key(row: &Row) -> Result<NewKey> {
    Ok(NewKey {
        id: KeyId(column::<Sixteen>(row, 0)?.0),
        kind: column::<Code<KeyKind>>(row, 1)?.0,
        owner: column::<Sixteen>(row, 2)?.0,
        wrapped: WrappedKey::from_bytes(column(row, 3)?),
        created_at: Timestamp::from_millis(column(row, 4)?),
    })
}
