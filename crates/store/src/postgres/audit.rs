//! Audit entries, written in the transaction of what they are about and read in order.

use model::{RequestId, Timestamp};
use sabotage::Defect;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Postgres;
use super::bind::{Owned, byteas, count, int2s, int8s, texts, uuids};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::audit::{Entry, GATEWAY, outcome, resource};
use crate::{Action, EntryRow, Note, StoreError};

/// Entries to be written, column by column.
#[derive(Default)]
pub(super) struct Entries {
    at: Vec<i64>,
    action: Vec<i16>,
    actor: Vec<Option<String>>,
    resource: Vec<Vec<u8>>,
    outcome: Vec<i16>,
    request: Vec<Option<Sixteen>>,
    detail: Vec<Option<String>>,
}

impl Entries {
    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        self.at.push(entry.at.as_millis());
        self.action.push(i16::try_from(entry.action.number()).unwrap_or(i16::MAX));
        self.actor.push(entry.actor.map(str::to_owned));
        self.resource.push(entry.resource.to_vec());
        self.outcome.push(i16::from(entry.refused));
        self.request.push(entry.request.map(Sixteen::from));
        self.detail.push(entry.detail.map(str::to_owned));
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
        self.run(
            "INSERT INTO audit_entry (at, action, actor, resource, outcome, request, detail)
             SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)",
            &[
                int8s(&entries.at),
                int2s(&entries.action),
                texts(&entries.actor),
                byteas(&entries.resource),
                int2s(&entries.outcome),
                uuids(&entries.request),
                texts(&entries.detail),
            ],
        )
        .await?;
        Ok(())
    }

    /// An entry about what a person did.
    pub(super) async fn audit_note(
        &self,
        action: Action,
        resource: &[u8],
        refused: bool,
        note: &Note,
        before: &str,
    ) -> Result<()> {
        let mut entries = Entries::default();
        let detail = note.detail(before);
        entries.push(&Entry::by_hand(action, resource, refused, note, &detail));
        self.audit(&entries).await
    }
}

impl Postgres {
    pub(crate) async fn entries(
        &self,
        after: i64,
        max: usize,
    ) -> std::result::Result<Vec<EntryRow>, StoreError> {
        let rows = self
            .list(
                "SELECT sequence, at, action, actor, resource, outcome, request, detail
                 FROM audit_entry WHERE sequence > $1 ORDER BY sequence LIMIT $2",
                vec![Owned::new(after, Type::INT8), Owned::new(count(max), Type::INT8)],
            )
            .await?;
        rows.iter().map(|row| entry(row).map_err(|failure| failure.error)).collect()
    }
}

fn entry(row: &Row) -> Result<EntryRow> {
    let number = i64::from(column::<i16>(row, 2)?);
    let action =
        Action::of_number(number).ok_or_else(|| Failure::corrupt("an action has no number"))?;
    Ok(EntryRow {
        sequence: column(row, 0)?,
        at: Timestamp::from_millis(column(row, 1)?),
        action,
        actor: column::<Option<String>>(row, 3)?.unwrap_or_else(|| GATEWAY.to_owned()),
        resource: resource(action, column::<&[u8]>(row, 4)?),
        outcome: outcome(column::<i16>(row, 5)? != 0),
        request: column::<Option<Sixteen>>(row, 6)?.map(RequestId::from),
        detail: column(row, 7)?,
    })
}
