//! Audit entries, written in the transaction of what they are about and read in order.

use audit::Commitment;
use model::{RequestId, Timestamp};
use rusqlite::{Connection, Row, params};
use sabotage::Point;
use vault::{KeyId, Sealed};

use super::Sqlite;
use super::failure::{Failure, Result, pass};
use super::session::Session;
use super::writer::is_of_the_batch;
use crate::audit::{Changes, Entry, GATEWAY, commitment, none, outcome, resource};
use crate::error::Kind;
use crate::{Action, EntryRow, Note, Personal, SealedRow, StoreError};

/// The columns of an entry, as [`entry`] reads them.
pub(super) const COLUMNS: &str = "sequence, at, action, actor, resource, outcome, request, changes,
    address, agent, note, sealed_key, sealed";

impl Session<'_> {
    pub(super) fn audit(&mut self, entry: &Entry<'_>) -> Result<()> {
        if sabotage::UNAUDITED {
            return Ok(());
        }
        pass(Point::Audit)?;
        if let Some(personal) = entry.personal {
            self.see_key(&personal.sealed)?;
        }
        let personal = entry.personal;
        let commitment = |of: fn(&Personal) -> Option<Commitment>| {
            personal.and_then(of).map(|Commitment(hash)| hash.0)
        };
        let inserted = self.inserts.audit_entry.execute(params![
            entry.at.as_millis(),
            entry.action.number(),
            entry.actor,
            entry.resource,
            entry.refused,
            entry.request.as_ref().map(RequestId::as_bytes),
            entry.changes,
            commitment(|personal| personal.address),
            commitment(|personal| personal.agent),
            commitment(|personal| personal.note),
            personal.map(|personal| personal.sealed.key.0),
            personal.map(|personal| personal.sealed.sealed.as_bytes()),
        ]);
        match inserted.map_err(Failure::from) {
            Ok(_) => Ok(()),
            Err(Failure(error)) if is_of_the_batch(&error) => Err(Failure(error)),
            Err(Failure(error)) => {
                Err(StoreError::with(Kind::AuditUnavailable, error.code()).into())
            }
        }
    }

    /// An entry about what a person did.
    pub(super) fn audit_note(
        &mut self,
        action: Action,
        resource: &[u8],
        refused: bool,
        note: &Note,
        changes: Changes<'_>,
    ) -> Result<()> {
        let entry = Entry::by_hand(action, resource, refused, note, changes);
        entry.check()?;
        self.audit(&entry)
    }
}

impl Sqlite {
    pub(crate) async fn entries(
        &self,
        after: i64,
        limit: usize,
    ) -> std::result::Result<Vec<EntryRow>, StoreError> {
        self.read(move |connection| entries(connection, after, limit)).await
    }
}

fn entries(connection: &Connection, after: i64, limit: usize) -> Result<Vec<EntryRow>> {
    let sql =
        format!("SELECT {COLUMNS} FROM audit_entry WHERE sequence > ?1 ORDER BY sequence LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    Ok(entries)
}

/// An entry from the [`COLUMNS`] of its row.
pub(super) fn entry(row: &Row<'_>) -> Result<EntryRow> {
    let number: i64 = row.get(2)?;
    let action = Action::of_number(number).ok_or_else(|| StoreError::new(Kind::Corrupt))?;
    let refused: bool = row.get(5)?;
    let (key, sealed) = (row.get::<_, Option<[u8; 16]>>(11)?, row.get::<_, Option<Vec<u8>>>(12)?);
    let personal = key.zip(sealed).map(|(key, sealed)| -> rusqlite::Result<Personal> {
        Ok(Personal {
            address: commitment(row.get(8)?),
            agent: commitment(row.get(9)?),
            note: commitment(row.get(10)?),
            sealed: SealedRow { key: KeyId(key), sealed: Sealed::from_bytes(sealed) },
        })
    });
    Ok(EntryRow {
        sequence: row.get(0)?,
        at: Timestamp::from_millis(row.get(1)?),
        action,
        actor: row.get::<_, Option<String>>(3)?.unwrap_or_else(|| GATEWAY.to_owned()),
        resource: resource(action, &row.get::<_, Vec<u8>>(4)?),
        outcome: outcome(refused),
        request: row.get::<_, Option<[u8; 16]>>(6)?.map(RequestId::from_bytes),
        changes: row.get::<_, Option<String>>(7)?.unwrap_or_else(none),
        personal: personal.transpose()?,
    })
}
