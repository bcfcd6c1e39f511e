//! Secrets of sources and endpoints. What changes them goes one at a time: there are few.

use model::secret::{SecretKind, SecretLife};
use model::{SecretId, Timestamp};
use tokio_postgres::Row;
use vault::{KeyId, Sealed};

use super::Postgres;
use super::audit::Entries;
use super::bind::{bytea, int2, int8, text, uuid};
use super::codes::Sixteen;
use super::failure::Result;
use super::session::{Session, column};
use crate::audit::{Entry, text as changes_text};
use crate::codes::Code;
use crate::secret::{
    Configured, NewSecret, Retire, SecretAdded, SecretRetired, SecretRow, owned_by,
};
use crate::{Action, Note, SealedRow, StoreError};

const ALL: &str =
    "SELECT id, kind, owner, print, since, ends_at, retired_at, proven_at, sealed_key,
    sealed FROM secret ORDER BY sequence";

impl Session<'_> {
    pub(super) async fn add_secret(&self, new: &NewSecret, note: &Note) -> Result<SecretAdded> {
        self.take_turns().await?;
        let (kind, now, id) = (Code(new.kind), note.at.as_millis(), Sixteen::from(new.id));
        self.kept_keys(&[Sixteen::from(new.sealed.key)]).await?.see(&new.sealed)?;
        let (shown, resource) = (new.id.to_string(), owned_by(new.kind, &new.owner));
        let inserted = self
            .run(
                "INSERT INTO secret (id, kind, owner, print, since, sealed_key, sealed)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                &[
                    uuid(&id),
                    int2(&kind),
                    text(&new.owner.as_str()),
                    bytea(&Sixteen(new.print)),
                    int8(&now),
                    uuid(&Sixteen::from(new.sealed.key)),
                    bytea(&new.sealed.sealed.as_bytes()),
                ],
            )
            .await?;
        if inserted == 0 {
            let known = [("because", None, Some("known"))];
            let action = Action::SecretAdded;
            self.audit_note(action, resource.as_bytes(), true, note, &known).await?;
            return Ok(SecretAdded::Known);
        }
        let Some(overlap) = new.overlap else {
            let added = [("secret", None, Some(shown.as_str()))];
            let action = Action::SecretAdded;
            self.audit_note(action, resource.as_bytes(), false, note, &added).await?;
            return Ok(SecretAdded::Done);
        };
        // One that ends already ends no later for it.
        self.run(
            "UPDATE secret SET ends_at = least(coalesce(ends_at, $4), $4)
             WHERE kind = $1 AND owner = $2 AND id <> $3 AND retired_at IS NULL
                AND sealed IS NOT NULL",
            &[
                int2(&kind),
                text(&new.owner.as_str()),
                uuid(&id),
                int8(&(now + overlap.as_millis())),
            ],
        )
        .await?;
        let rolled =
            [("secret", None, Some(shown.as_str())), ("overlap", None, Some(overlap.code()))];
        self.audit_note(Action::SecretRolled, resource.as_bytes(), false, note, &rolled).await?;
        Ok(SecretAdded::Done)
    }

    pub(super) async fn retire_secret(&self, retire: &Retire) -> Result<SecretRetired> {
        self.take_turns().await?;
        let (all, note) = (self.all_secrets().await?, &retire.note);
        let Some(one) = all.iter().find(|row| row.id == retire.id) else {
            return Ok(SecretRetired::NotFound);
        };
        let is_of = |row: &&SecretRow| row.life.kind == one.life.kind && row.owner == one.owner;
        let owned: Vec<SecretRow> = all.iter().filter(is_of).cloned().collect();
        let judged = SecretRetired::judge(one, &owned, retire.force, note.at);
        let is_done = judged == SecretRetired::Done;
        if is_done {
            self.retire_row(retire.id, note.at).await?;
        }
        let resource = owned_by(one.life.kind, &one.owner);
        let id = retire.id.to_string();
        let forced = if retire.force { "yes" } else { "no" };
        let changes = [("secret", Some(id.as_str()), None), ("forced", None, Some(forced))];
        let action = Action::SecretRetired;
        self.audit_note(action, resource.as_bytes(), !is_done, note, &changes).await?;
        Ok(judged)
    }

    async fn retire_row(&self, id: SecretId, at: Timestamp) -> Result<()> {
        self.run(
            "UPDATE secret SET retired_at = $2 WHERE id = $1",
            &[uuid(&Sixteen::from(id)), int8(&at.as_millis())],
        )
        .await?;
        Ok(())
    }

    /// Notes since when secrets stand in the configuration, and which do not any more.
    pub(super) async fn see_configured(&self, seen: &Configured) -> Result<()> {
        self.take_turns().await?;
        let mut entries = Entries::default();
        let resource = owned_by(seen.kind, &seen.owner);
        for (id, print) in &seen.secrets {
            let there = self
                .rows(
                    "INSERT INTO secret (id, kind, owner, print, since) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (kind, owner, print) DO UPDATE SET retired_at = NULL
                     WHERE secret.sealed IS NULL AND secret.retired_at IS NOT NULL RETURNING id",
                    &[
                        uuid(&Sixteen::from(*id)),
                        int2(&Code(seen.kind)),
                        text(&seen.owner.as_str()),
                        bytea(&Sixteen(*print)),
                        int8(&seen.at.as_millis()),
                    ],
                )
                .await?;
            if let Some(row) = there.first() {
                let id = SecretId::from_bytes(column::<Sixteen>(row, 0)?.0).to_string();
                let change = ("secret", None, Some(id.as_str()));
                entries.push(&own(Action::SecretConfigured, &resource, seen.at, change));
            }
        }
        for row in self.all_secrets().await? {
            let is_gone = row.life.kind == seen.kind
                && row.owner == seen.owner
                && row.sealed.is_none()
                && row.life.retired_at.is_none()
                && !seen.secrets.iter().any(|(_, print)| *print == row.print);
            if is_gone {
                self.retire_row(row.id, seen.at).await?;
                let id = row.id.to_string();
                let change = ("secret", Some(id.as_str()), None);
                entries.push(&own(Action::SecretConfigured, &resource, seen.at, change));
            }
        }
        self.audit(&entries).await
    }

    /// Notes that a real message was verified with a secret.
    pub(super) async fn prove_secret(&self, id: SecretId, at: Timestamp) -> Result<()> {
        let rows = self
            .rows(
                "UPDATE secret SET proven_at = $2 WHERE id = $1 AND proven_at IS NULL
                 RETURNING kind, owner",
                &[uuid(&Sixteen::from(id)), int8(&at.as_millis())],
            )
            .await?;
        let mut entries = Entries::default();
        for row in &rows {
            let (kind, owner) = (column::<Code<SecretKind>>(row, 0)?.0, column::<String>(row, 1)?);
            let id = id.to_string();
            let change = ("secret", None, Some(id.as_str()));
            entries.push(&own(Action::SecretProven, &owned_by(kind, &owner), at, change));
        }
        self.audit(&entries).await
    }

    async fn all_secrets(&self) -> Result<Vec<SecretRow>> {
        self.rows(ALL, &[]).await?.iter().map(secret).collect()
    }
}

/// An entry about what the gateway does by itself.
fn own<'a>(
    action: Action,
    resource: &'a str,
    at: Timestamp,
    change: (&str, Option<&str>, Option<&str>),
) -> Entry<'a> {
    Entry {
        at,
        action,
        actor: None,
        resource: resource.as_bytes(),
        refused: false,
        request: None,
        changes: Some(changes_text(&[change])),
        personal: None,
    }
}

impl Postgres {
    pub(crate) async fn secrets(&self) -> std::result::Result<Vec<SecretRow>, StoreError> {
        let rows = self.look(ALL, Vec::new()).await?;
        rows.iter().map(|row| secret(row).map_err(|failure| failure.error)).collect()
    }
}

fn secret(row: &Row) -> Result<SecretRow> {
    let at = |place| -> Result<Option<Timestamp>> {
        Ok(column::<Option<i64>>(row, place)?.map(Timestamp::from_millis))
    };
    let key = column::<Option<Sixteen>>(row, 8)?;
    let sealed = key.zip(column::<Option<Vec<u8>>>(row, 9)?);
    Ok(SecretRow {
        id: SecretId::from_bytes(column::<Sixteen>(row, 0)?.0),
        owner: column(row, 2)?,
        print: column::<Sixteen>(row, 3)?.0,
        life: SecretLife {
            kind: column::<Code<SecretKind>>(row, 1)?.0,
            since: Timestamp::from_millis(column(row, 4)?),
            ends_at: at(5)?,
            retired_at: at(6)?,
            proven_at: at(7)?,
        },
        sealed: sealed.map(|(key, sealed)| SealedRow {
            key: KeyId(key.0),
            sealed: Sealed::from_bytes(sealed),
        }),
    })
}
