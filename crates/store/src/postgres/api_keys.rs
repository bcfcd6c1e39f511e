//! API keys: created, rolled, revoked, read; and how they were used.

use model::api_key::{Cause, Life};
use model::{ApiKeyId, Environment, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use vault::{KeyId, Sealed};

use super::Postgres;
use super::audit::Entries;
use super::bind::{Owned, bytea, byteas, int2, int8, int8s, text, uuid, uuids};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::api_key::{COLUMNS, GrantColumns, created, may_roll, revoked};
use crate::audit::Entry;
use crate::codes::Code;
use crate::{
    Action, ApiKeyChanged, ApiKeyRow, ApiKeyUse, NewApiKey, Note, SealedRow, StoreError, Successor,
};

/// How a key ends, and the one before it.
struct Ends {
    grace_until: Option<i64>,
    revoked_at: Option<i64>,
    rolled_from: Option<ApiKeyId>,
}

impl Session<'_> {
    /// Creates a key.
    pub(super) async fn create_api_key(&self, key: &NewApiKey, note: &Note) -> Result<()> {
        self.change_api_keys().await?;
        let grant = GrantColumns::of(&key.grant);
        self.run(
            "INSERT INTO api_key (id, environment, name, secret_hash, permissions, sources,
                providers, customer, networks, created_at, created_by, expires_at, uses, refusals)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0)",
            &[
                uuid(&Sixteen::from(key.id)),
                int2(&Code(key.environment)),
                text(&key.name),
                bytea(&Sixteen(key.secret_hash)),
                text(&grant.permissions),
                text(&grant.sources),
                text(&grant.providers),
                bytea(&grant.customer.map(Sixteen)),
                text(&grant.networks),
                int8(&note.at.as_millis()),
                text(&note.actor),
                int8(&key.expires_at.as_millis()),
            ],
        )
        .await?;
        let id = key.id.as_bytes();
        let expires_at = key.expires_at.to_string();
        let changes = created(&grant, &expires_at);
        self.audit_note(Action::ApiKeyCreated, id, false, note, &changes).await
    }

    /// Gives a key a successor. It works until its grace is over; the one before it no longer.
    pub(super) async fn roll_api_key(
        &self,
        old: ApiKeyId,
        new: &Successor,
        note: &Note,
    ) -> Result<ApiKeyChanged> {
        self.change_api_keys().await?;
        let Some(ends) = self.api_key_ends(old).await? else {
            return Ok(ApiKeyChanged::NotFound);
        };
        let may = may_roll(ends.grace_until, ends.revoked_at);
        if may != ApiKeyChanged::Done {
            let because = [may.because()];
            self.audit_note(Action::ApiKeyRolled, old.as_bytes(), true, note, &because).await?;
            return Ok(may);
        }
        if let Some(before) = ends.rolled_from {
            self.end_grace(before, note).await?;
        }
        let of = Sixteen::from(old);
        self.run(
            "UPDATE api_key SET grace_until = $2 WHERE id = $1",
            &[uuid(&of), int8(&new.grace_until.as_millis())],
        )
        .await?;
        self.run(
            "INSERT INTO api_key (id, environment, name, secret_hash, permissions, sources,
                providers, customer, networks, created_at, created_by, expires_at, rolled_from,
                uses, refusals)
             SELECT $2, environment, name, $3, permissions, sources, providers, customer, networks,
                $4, $5, $6, id, 0, 0 FROM api_key WHERE id = $1",
            &[
                uuid(&of),
                uuid(&Sixteen::from(new.id)),
                bytea(&Sixteen(new.secret_hash)),
                int8(&note.at.as_millis()),
                text(&note.actor),
                int8(&new.expires_at.as_millis()),
            ],
        )
        .await?;
        let (id, until) = (new.id.to_string(), new.grace_until.to_string());
        let changes = [("successor", None, Some(&*id)), ("grace_until", None, Some(&*until))];
        self.audit_note(Action::ApiKeyRolled, old.as_bytes(), false, note, &changes).await?;
        Ok(ApiKeyChanged::Done)
    }

    /// Ends a key, and the one before it that is in grace.
    pub(super) async fn revoke_api_key(
        &self,
        id: ApiKeyId,
        cause: Cause,
        note: &Note,
    ) -> Result<ApiKeyChanged> {
        self.change_api_keys().await?;
        let Some(ends) = self.api_key_ends(id).await? else { return Ok(ApiKeyChanged::NotFound) };
        let action = Action::ApiKeyRevoked;
        if ends.revoked_at.is_some() {
            let changed = ApiKeyChanged::AlreadyRevoked;
            self.audit_note(action, id.as_bytes(), true, note, &[changed.because()]).await?;
            return Ok(changed);
        }
        if let Some(before) = ends.rolled_from {
            self.end_grace(before, note).await?;
        }
        self.run(
            "UPDATE api_key SET revoked_at = $2, revoked_cause = $3 WHERE id = $1",
            &[uuid(&Sixteen::from(id)), int8(&note.at.as_millis()), int2(&Code(cause))],
        )
        .await?;
        self.audit_note(action, id.as_bytes(), false, note, &revoked(cause)).await?;
        Ok(ApiKeyChanged::Done)
    }

    /// Ends every key that is not revoked yet; says how many.
    pub(super) async fn revoke_api_keys(&self, cause: Cause, note: &Note) -> Result<usize> {
        self.change_api_keys().await?;
        let rows = self
            .rows(
                "UPDATE api_key SET revoked_at = $1, revoked_cause = $2 WHERE revoked_at IS NULL
                 RETURNING id",
                &[int8(&note.at.as_millis()), int2(&Code(cause))],
            )
            .await?;
        let mut ids: Vec<Sixteen> = rows.iter().map(|row| column(row, 0)).collect::<Result<_>>()?;
        ids.sort_unstable();
        let mut entries = Entries::default();
        let changes = revoked(cause);
        self.see_personal(note).await?;
        for id in &ids {
            let entry = Entry::by_hand(Action::ApiKeyRevoked, &id.0, false, note, &changes);
            entry.check()?;
            entries.push(&entry);
        }
        self.audit(&entries).await?;
        Ok(ids.len())
    }

    /// Notes how keys were used. Nobody decided it, so it is not in the audit log.
    pub(super) async fn note_api_key_uses(&self, uses: &[ApiKeyUse]) -> Result<()> {
        let addresses: Vec<&SealedRow> =
            uses.iter().filter_map(|used| Some(&used.last.as_ref()?.1)).collect();
        let keys: Vec<Sixteen> = addresses.iter().map(|row| Sixteen::from(row.key)).collect();
        let kept = self.kept_keys(&keys).await?;
        addresses.iter().try_for_each(|row| kept.see(row))?;

        let ids: Vec<Sixteen> = uses.iter().map(|used| used.id.into()).collect();
        // In one order, whatever order the updates take: of two gateways none waits for the other twice.
        self.rows(
            "SELECT 1 FROM api_key WHERE id = ANY ($1) ORDER BY id FOR UPDATE",
            &[uuids(&ids)],
        )
        .await?;
        let counted = |count: fn(&ApiKeyUse) -> u32| -> Vec<i64> {
            uses.iter().map(|used| i64::from(count(used))).collect()
        };
        let (more, refusals) = (counted(|used| used.uses), counted(|used| used.refusals));
        let last = || uses.iter().map(|used| used.last.as_ref());
        let at: Vec<Option<i64>> = last().map(|last| Some(last?.0.as_millis())).collect();
        let key: Vec<Option<Sixteen>> = last().map(|last| Some(last?.1.key.into())).collect();
        let sealed: Vec<Option<&[u8]>> =
            last().map(|last| Some(last?.1.sealed.as_bytes())).collect();
        self.run(
            "UPDATE api_key SET uses = api_key.uses + used.uses,
                refusals = api_key.refusals + used.refusals
             FROM unnest($1, $2, $3) AS used (id, uses, refusals) WHERE api_key.id = used.id",
            &[uuids(&ids), int8s(&more), int8s(&refusals)],
        )
        .await?;
        self.run(
            "UPDATE api_key SET last_used_at = used.at, last_address_key = used.key,
                last_address = used.sealed
             FROM unnest($1, $2, $3, $4) AS used (id, at, key, sealed)
             WHERE api_key.id = used.id AND coalesce(api_key.last_used_at, used.at) <= used.at",
            &[uuids(&ids), int8s(&at), uuids(&key), byteas(&sealed)],
        )
        .await?;
        let mut entries = Entries::default();
        uses.iter().flat_map(ApiKeyUse::entries).for_each(|entry| entries.push(&entry));
        self.audit(&entries).await
    }

    /// Cuts the grace of a key short, if it is in grace.
    async fn end_grace(&self, id: ApiKeyId, note: &Note) -> Result<()> {
        let ended = self
            .run(
                "UPDATE api_key SET grace_until = $2
                 WHERE id = $1 AND grace_until > $2 AND revoked_at IS NULL",
                &[uuid(&Sixteen::from(id)), int8(&note.at.as_millis())],
            )
            .await?;
        if ended == 1 {
            let action = Action::ApiKeyRolled;
            let until = note.at.to_string();
            let changes = [("grace_until", None, Some(&*until))];
            self.audit_note(action, id.as_bytes(), false, note, &changes).await?;
        }
        Ok(())
    }

    async fn api_key_ends(&self, id: ApiKeyId) -> Result<Option<Ends>> {
        let sql = "SELECT grace_until, revoked_at, rolled_from FROM api_key WHERE id = $1";
        let rows = self.rows(sql, &[uuid(&Sixteen::from(id))]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Ends {
            grace_until: column(row, 0)?,
            revoked_at: column(row, 1)?,
            rolled_from: column::<Option<Sixteen>>(row, 2)?.map(ApiKeyId::from),
        }))
    }

    /// Says that keys change, and waits for whoever else is changing them: what is read afterwards
    /// stays so.
    async fn change_api_keys(&self) -> Result<()> {
        self.run("UPDATE api_key_version SET version = version + 1", &[]).await?;
        Ok(())
    }
}

impl Postgres {
    pub(crate) async fn api_keys(&self) -> std::result::Result<Vec<ApiKeyRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_key ORDER BY sequence");
        all(&self.list(&sql, Vec::new()).await?)
    }

    pub(crate) async fn api_keys_page(
        &self,
        after: i64,
        limit: usize,
    ) -> std::result::Result<Vec<(i64, ApiKeyRow)>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, sequence FROM api_key WHERE sequence > $1 ORDER BY sequence LIMIT $2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters = vec![Owned::new(after, Type::INT8), Owned::new(limit, Type::INT8)];
        let rows = self.list(&sql, parameters).await?;
        let numbered = |row: &Row| Ok((column(row, 21)?, key(row)?));
        let page: Result<Vec<_>> = rows.iter().map(numbered).collect();
        page.map_err(|failure| failure.error)
    }

    pub(crate) async fn api_key(
        &self,
        id: ApiKeyId,
    ) -> std::result::Result<Option<ApiKeyRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_key WHERE id = $1");
        let parameters = vec![Owned::new(Sixteen::from(id), Type::UUID)];
        Ok(all(&self.look(&sql, parameters).await?)?.pop())
    }

    pub(crate) async fn api_keys_version(&self) -> std::result::Result<i64, StoreError> {
        let rows = self.look("SELECT version FROM api_key_version", Vec::new()).await?;
        let version: Result<i64> =
            rows.first().map_or_else(|| Err(Failure::corrupt("no version")), |row| column(row, 0));
        version.map_err(|failure| failure.error)
    }
}

fn all(rows: &[Row]) -> std::result::Result<Vec<ApiKeyRow>, StoreError> {
    rows.iter().map(|row| key(row).map_err(|failure| failure.error)).collect()
}

fn key(row: &Row) -> Result<ApiKeyRow> {
    let time = |at| Ok::<_, Failure>(column::<Option<i64>>(row, at)?.map(Timestamp::from_millis));
    let grant = GrantColumns {
        permissions: column(row, 4)?,
        sources: column(row, 5)?,
        providers: column(row, 6)?,
        customer: column::<Option<Sixteen>>(row, 7)?.map(|customer| customer.0),
        networks: column(row, 8)?,
    };
    let address_key: Option<Sixteen> = column(row, 17)?;
    let address: Option<Vec<u8>> = column(row, 18)?;
    Ok(ApiKeyRow {
        id: column::<Sixteen>(row, 0)?.into(),
        environment: column::<Code<Environment>>(row, 1)?.0,
        name: column(row, 2)?,
        secret_hash: column::<Sixteen>(row, 3)?.0,
        grant: grant.grant()?,
        created_at: Timestamp::from_millis(column(row, 9)?),
        created_by: column(row, 10)?,
        life: Life {
            expires_at: Timestamp::from_millis(column(row, 11)?),
            grace_until: time(13)?,
            revoked_at: time(14)?,
        },
        rolled_from: column::<Option<Sixteen>>(row, 12)?.map(ApiKeyId::from),
        cause: column::<Option<Code<Cause>>>(row, 15)?.map(|cause| cause.0),
        last_used_at: time(16)?,
        last_address: address_key.zip(address).map(|(key, sealed)| SealedRow {
            key: KeyId(key.0),
            sealed: Sealed::from_bytes(sealed),
        }),
        uses: u64::try_from(column::<i64>(row, 19)?).unwrap_or(0),
        refusals: u64::try_from(column::<i64>(row, 20)?).unwrap_or(0),
    })
}
