//! Audit entries, written in the transaction of what they are about and read in order.

use audit::Commitment;
use model::{RequestId, Timestamp};
use sabotage::Defect;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use vault::{KeyId, Sealed};

use super::Postgres;
use super::bind::{Owned, byteas, count, int2s, int8s, texts, uuids};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::audit::{Changes, Entry, GATEWAY, commitment, none, outcome, resource};
use crate::error::Kind;
use crate::{Action, EntryRow, Note, Personal, SealedRow, StoreError};

/// The columns of an entry, as [`entry`] reads them.
pub(super) const COLUMNS: &str = "sequence, at, action, actor, resource, outcome, request, changes,
    address, agent, note, sealed_key, sealed";

/// Entries to be written, column by column.
#[derive(Default)]
pub(super) struct Entries {
    at: Vec<i64>,
    action: Vec<i16>,
    actor: Vec<Option<String>>,
    resource: Vec<Vec<u8>>,
    outcome: Vec<i16>,
    request: Vec<Option<Sixteen>>,
    changes: Vec<Option<String>>,
    address: Vec<Option<Vec<u8>>>,
    agent: Vec<Option<Vec<u8>>>,
    note: Vec<Option<Vec<u8>>>,
    sealed_key: Vec<Option<Sixteen>>,
    sealed: Vec<Option<Vec<u8>>>,
}

impl Entries {
    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        self.at.push(entry.at.as_millis());
        self.action.push(i16::try_from(entry.action.number()).unwrap_or(i16::MAX));
        self.actor.push(entry.actor.map(str::to_owned));
        self.resource.push(entry.resource.to_vec());
        self.outcome.push(i16::from(entry.refused));
        self.request.push(entry.request.map(Sixteen::from));
        self.changes.push(entry.changes.clone());
        let personal = entry.personal;
        let commitment = |of: fn(&Personal) -> Option<Commitment>| {
            personal.and_then(of).map(|Commitment(hash)| hash.0.to_vec())
        };
        self.address.push(commitment(|personal| personal.address));
        self.agent.push(commitment(|personal| personal.agent));
        self.note.push(commitment(|personal| personal.note));
        self.sealed_key.push(personal.map(|personal| personal.sealed.key.into()));
        self.sealed.push(personal.map(|personal| personal.sealed.sealed.as_bytes().to_vec()));
    }
}

impl Session<'_> {
    pub(super) async fn audit(&self, entries: &Entries) -> Result<()> {
        if entries.at.is_empty() {
            return Ok(());
        }
        if sabotage::on(Defect::AuditOptional) {
            return self.audit_perhaps(entries).await;
        }
        self.insert_entries(entries).await
    }

    /// The planted defect: what fails here undoes nothing else.
    async fn audit_perhaps(&self, entries: &Entries) -> Result<()> {
        self.run("SAVEPOINT audit", &[]).await?;
        if self.insert_entries(entries).await.is_err() {
            self.run("ROLLBACK TO SAVEPOINT audit", &[]).await?;
        }
        Ok(())
    }

    async fn insert_entries(&self, entries: &Entries) -> Result<()> {
        let inserted = self
            .run(
                "WITH new AS (
                    INSERT INTO audit_entry (at, action, actor, resource, outcome, request, changes,
                        address, agent, note, sealed_key, sealed)
                    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                    RETURNING sequence)
                 INSERT INTO audit_waiting (sequence) SELECT sequence FROM new",
                &[
                    int8s(&entries.at),
                    int2s(&entries.action),
                    texts(&entries.actor),
                    byteas(&entries.resource),
                    int2s(&entries.outcome),
                    uuids(&entries.request),
                    texts(&entries.changes),
                    byteas(&entries.address),
                    byteas(&entries.agent),
                    byteas(&entries.note),
                    uuids(&entries.sealed_key),
                    byteas(&entries.sealed),
                ],
            )
            .await;
        match inserted {
            Ok(_) => Ok(()),
            Err(failure) if matches!(failure.error.kind(), Kind::Constraint | Kind::Internal) => {
                Err(StoreError::with(Kind::AuditUnavailable, failure.error.code()).into())
            }
            Err(failure) => Err(failure),
        }
    }

    /// An entry about what a person did.
    pub(super) async fn audit_note(
        &self,
        action: Action,
        resource: &[u8],
        refused: bool,
        note: &Note,
        changes: Changes<'_>,
    ) -> Result<()> {
        let mut entries = Entries::default();
        let entry = Entry::by_hand(action, resource, refused, note, changes);
        entry.check()?;
        self.see_personal(note).await?;
        entries.push(&entry);
        self.audit(&entries).await
    }

    /// Refuses a note that is sealed under a key that is not kept: nobody could ever open it.
    pub(super) async fn see_personal(&self, note: &Note) -> Result<()> {
        let Some(personal) = &note.personal else { return Ok(()) };
        let kept = self.kept_keys(&[Sixteen::from(personal.sealed.key)]).await?;
        kept.see(&personal.sealed)
    }
}

impl Postgres {
    pub(crate) async fn entries(
        &self,
        after: i64,
        max: usize,
    ) -> std::result::Result<Vec<EntryRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_entry WHERE sequence > $1 ORDER BY sequence LIMIT $2"
        );
        let parameters = vec![Owned::new(after, Type::INT8), Owned::new(count(max), Type::INT8)];
        entries(&self.list(&sql, parameters).await?)
    }
}

/// Entries from the [`COLUMNS`] of their rows.
pub(super) fn entries(rows: &[Row]) -> std::result::Result<Vec<EntryRow>, StoreError> {
    rows.iter().map(|row| entry(row).map_err(|failure| failure.error)).collect()
}

fn entry(row: &Row) -> Result<EntryRow> {
    let number = i64::from(column::<i16>(row, 2)?);
    let action =
        Action::of_number(number).ok_or_else(|| Failure::corrupt("an action has no number"))?;
    let key = column::<Option<Sixteen>>(row, 11)?;
    let sealed = key.zip(column::<Option<Vec<u8>>>(row, 12)?);
    let of = |place| -> Result<Option<Commitment>> {
        let bytes = column::<Option<Vec<u8>>>(row, place)?;
        Ok(commitment(bytes.and_then(|bytes| bytes.try_into().ok())))
    };
    let personal = sealed.map(|(key, sealed)| -> Result<Personal> {
        let sealed = SealedRow { key: KeyId(key.0), sealed: Sealed::from_bytes(sealed) };
        Ok(Personal { address: of(8)?, agent: of(9)?, note: of(10)?, sealed })
    });
    Ok(EntryRow {
        sequence: column(row, 0)?,
        at: Timestamp::from_millis(column(row, 1)?),
        action,
        actor: column::<Option<String>>(row, 3)?.unwrap_or_else(|| GATEWAY.to_owned()),
        resource: resource(action, column::<&[u8]>(row, 4)?),
        outcome: outcome(column::<i16>(row, 5)? != 0),
        request: column::<Option<Sixteen>>(row, 6)?.map(RequestId::from),
        changes: column::<Option<String>>(row, 7)?.unwrap_or_else(none),
        personal: personal.transpose()?,
    })
}
