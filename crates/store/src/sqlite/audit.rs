//! Audit entries, written in the transaction of what they are about and read in order.

use model::{ArrivalId, DeliveryId, EventId, RequestId, Timestamp};
use rusqlite::{Connection, params};
use sabotage::Point;
use vault::KeyId;

use super::Sqlite;
use super::failure::{Result, pass};
use super::session::Session;
use crate::error::Kind;
use crate::{Action, EntryRow, Note, StoreError};

/// Who the gateway is in the log, where the file has no actor.
const GATEWAY: &str = "gateway";

/// An entry to be written.
pub(super) struct Entry<'a> {
    pub(super) at: Timestamp,
    pub(super) action: Action,
    pub(super) actor: Option<&'a str>,
    pub(super) resource: &'a [u8],
    pub(super) refused: bool,
    pub(super) request: Option<RequestId>,
    pub(super) detail: Option<&'a str>,
}

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
        self.audit(&Entry {
            at: note.at,
            action,
            actor: Some(&note.actor),
            resource,
            refused,
            request: Some(note.request),
            detail: Some(&format!("{before}: {}", note.reason)),
        })
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
        let action = *Action::ALL
            .iter()
            .find(|action| action.number() == number)
            .ok_or_else(|| StoreError::new(Kind::Corrupt))?;
        let refused: bool = row.get(5)?;
        entries.push(EntryRow {
            sequence: row.get(0)?,
            at: Timestamp::from_millis(row.get(1)?),
            action,
            actor: row.get::<_, Option<String>>(3)?.unwrap_or_else(|| GATEWAY.to_owned()),
            resource: resource(action, &row.get::<_, Vec<u8>>(4)?),
            outcome: if refused { "refused" } else { "done" }.to_owned(),
            request: row.get::<_, Option<[u8; 16]>>(6)?.map(RequestId::from_bytes),
            detail: row.get(7)?,
        });
    }
    Ok(entries)
}

fn resource(action: Action, bytes: &[u8]) -> String {
    match (action, <[u8; 16]>::try_from(bytes)) {
        (Action::Recorded, Ok(id)) => ArrivalId::from_bytes(id).to_string(),
        (Action::Released | Action::Denied, Ok(id)) => EventId::from_bytes(id).to_string(),
        (Action::Redelivered, Ok(id)) => DeliveryId::from_bytes(id).to_string(),
        (Action::KeyAdded, Ok(id)) => format!("{:?}", KeyId(id)),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
