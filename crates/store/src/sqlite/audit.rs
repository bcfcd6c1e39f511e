//! Audit entries, written in the transaction of what they are about and read in order.

use model::{RequestId, Timestamp};
use rusqlite::{Connection, params};
use sabotage::Point;

use super::Sqlite;
use super::failure::{Result, pass};
use super::session::Session;
use crate::audit::{Entry, GATEWAY, outcome, resource};
use crate::error::Kind;
use crate::{Action, EntryRow, Note, StoreError};

impl Session<'_> {
    pub(super) fn audit(&mut self, entry: &Entry<'_>) -> Result<()> {
        pass(Point::Audit)?;
        self.inserts.audit_entry.execute(params![
            entry.at.as_millis(),
            entry.action.number(),
            entry.actor,
            entry.resource,
            entry.refused,
            entry.request.as_ref().map(RequestId::as_bytes),
            entry.detail,
        ])?;
        Ok(())
    }

    /// An entry about what a person did.
    pub(super) fn audit_note(
        &mut self,
        action: Action,
        resource: &[u8],
        refused: bool,
        note: &Note,
        before: &str,
    ) -> Result<()> {
        let detail = note.detail(before);
        self.audit(&Entry::by_hand(action, resource, refused, note, &detail))
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
    let mut statement = connection.prepare_cached(
        "SELECT sequence, at, action, actor, resource, outcome, request, detail
         FROM audit_entry WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(2)?;
        let action = Action::of_number(number).ok_or_else(|| StoreError::new(Kind::Corrupt))?;
        let refused: bool = row.get(5)?;
        entries.push(EntryRow {
            sequence: row.get(0)?,
            at: Timestamp::from_millis(row.get(1)?),
            action,
            actor: row.get::<_, Option<String>>(3)?.unwrap_or_else(|| GATEWAY.to_owned()),
            resource: resource(action, &row.get::<_, Vec<u8>>(4)?),
            outcome: outcome(refused),
            request: row.get::<_, Option<[u8; 16]>>(6)?.map(RequestId::from_bytes),
            detail: row.get(7)?,
        });
    }
    Ok(entries)
}
