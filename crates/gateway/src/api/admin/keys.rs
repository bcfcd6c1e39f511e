//! API keys: list, create, roll and revoke.

use std::collections::BTreeSet;
use std::str::FromStr;

use ipnet::IpNet;
use model::api_key::{Cause, Grant, Overlap};
use model::{ApiKeyId, Permission, Reach, Timestamp, limits};
use serde::{Deserialize, Deserializer, Serialize, de};
use store::{ApiKeyChanged, ApiKeyRow};
use utoipa::ToSchema;

use super::reads::{Body, Query};
use super::{Asked, Given, Page};
use crate::api::read::reason;
use crate::api::refusal::{ApiRefusal, Problem};
use crate::api::{Reply, page};
use crate::api_keys::{Issued, Unfit, Wanted};
use crate::operators::Operator;

/// An API key; never its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct Key {
    /// The key.
    #[schema(pattern = "^key_[0-9a-hjkmnp-tv-z]{26}$")]
    id: String,
    /// What operators call it.
    name: String,
    /// active, rolled, revoked or expired.
    state: &'static str,
    /// What it allows.
    permissions: Vec<&'static str>,
    /// It sees only what these sources received; everything if there is no list.
    sources: Option<BTreeSet<String>>,
    /// It sees only what is of these providers; everything if there is no list.
    providers: Option<BTreeSet<String>>,
    /// Whether it is bound to a customer.
    customer: bool,
    /// It may be used only from these networks; from anywhere if there is none.
    networks: Vec<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    created_at: String,
    /// Who created it.
    created_by: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: String,
    /// The key whose place it took.
    rolled_from: Option<String>,
    /// Until when it works beside its successor.
    #[schema(format = DateTime)]
    grace_until: Option<String>,
    /// When it was revoked.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// When it last let somebody in, about.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// How often it let somebody in.
    uses: u64,
    /// How often it was shown and did not.
    refusals: u64,
}

impl Key {
    fn of(row: &ApiKeyRow, now: Timestamp) -> Self {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            state: row.life.verdict(now).code(),
            permissions: row.grant.permissions.iter().map(|one| one.code()).collect(),
            sources: row.grant.reach.sources.clone(),
            providers: row.grant.reach.providers.clone(),
            customer: row.grant.reach.customer.is_some(),
            networks: row.grant.networks.iter().map(ToString::to_string).collect(),
            created_at: row.created_at.to_string(),
            created_by: row.created_by.clone(),
            expires_at: row.life.expires_at.to_string(),
            rolled_from: row.rolled_from.map(|id| id.to_string()),
            grace_until: time(row.life.grace_until),
            revoked_at: time(row.life.revoked_at),
            last_used_at: time(row.last_used_at),
            uses: row.uses,
            refusals: row.refusals,
        }
    }
}

/// A page of keys, in the order in which they were created.
#[derive(Serialize, ToSchema)]
pub(super) struct Keys {
    data: Vec<Key>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct Made {
    /// The key.
    #[schema(pattern = "^key_[0-9a-hjkmnp-tv-z]{26}$")]
    id: String,
    /// What the application presents. It is shown this once.
    key: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl Made {
    fn of(issued: &Issued) -> Result<Given, Problem> {
        let made = Self {
            id: issued.key.id.to_string(),
            key: issued.key.to_text().as_str().to_owned(),
            expires_at: issued.expires_at.to_string(),
        };
        Ok(Reply::of(&made)?.into())
    }
}

/// A customer of a provider.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Customer {
    /// The provider.
    provider: String,
    /// As the provider names them.
    #[schema(min_length = 1, max_length = 256)]
    customer: String,
}

/// A key that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    /// What operators call it: never a person's name.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// What it allows, such as events:read.
    #[schema(value_type = Vec<String>, min_items = 1)]
    #[serde(deserialize_with = "parsed")]
    permissions: Vec<Permission>,
    /// It sees only what these sources received.
    #[serde(default)]
    sources: Option<BTreeSet<String>>,
    /// It sees only what is of these providers.
    #[serde(default)]
    providers: Option<BTreeSet<String>>,
    /// It sees only what is of this customer.
    #[serde(default)]
    customer: Option<Customer>,
    /// It may be used only from these networks.
    #[schema(value_type = Vec<String>, required = false)]
    #[serde(default, deserialize_with = "parsed")]
    networks: Vec<IpNet>,
    /// In how many days it ends: 90 unless it is said.
    #[schema(minimum = 1, maximum = 366)]
    #[serde(default = "default_days")]
    days: u32,
    /// Why. It is kept in the audit log.
    #[serde(deserialize_with = "reason")]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    reason: String,
}

fn default_days() -> u32 {
    limits::API_KEY_DAYS_DEFAULT
}

/// A key that is to have a successor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Roll {
    /// How long it works beside its successor: 0, 1h, 24h or 7d.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "from_text")]
    overlap: Overlap,
    /// Why. It is kept in the audit log.
    #[serde(deserialize_with = "reason")]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    reason: String,
}

/// A key that is to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    /// Why, in a word: retired, leaked or suspected.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "from_text")]
    cause: Cause,
    /// Why. It is kept in the audit log.
    #[serde(deserialize_with = "reason")]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    reason: String,
}

/// What a text says.
pub(super) fn from_text<'de, D: Deserializer<'de>, T: FromStr>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom("not what it must be"))
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parsed: Result<Vec<T>, _> = texts.iter().map(|text| text.parse()).collect();
    parsed.map_err(|_| de::Error::custom("not what it must be"))
}

/// Lists API keys, never their secrets.
#[utoipa::path(
    get, path = "/admin/v1/keys", operation_id = "list_keys", tag = "keys",
    params(Page), responses((status = 200, description = "A page.", body = Keys))
)]
pub(super) async fn list(
    asked: Asked,
    _: Operator,
    Query(wanted): Query<Page>,
) -> Result<Given, Problem> {
    let (after, limit) = asked.page("keys", wanted)?;
    let found = asked.office.desk.store().api_keys_page(after, limit + 1).await?;
    let (rows, last) = page(&found, limit, |(number, _)| *number);
    let next = last.map(|number| asked.cursor("keys", number));
    let data = rows.iter().map(|(_, row)| Key::of(row, asked.came.at)).collect();
    Ok(Reply::of(&Keys { data, next })?.into())
}

/// Creates an API key. It is shown this once.
#[utoipa::path(
    post, path = "/admin/v1/keys", operation_id = "create_key", tag = "keys",
    request_body = Create,
    responses((status = 200, description = "The key.", body = Made))
)]
pub(super) async fn create(
    asked: Asked,
    operator: Operator,
    Body(create): Body<Create>,
) -> Result<Given, Problem> {
    let reach = reach(&asked, &create)?;
    let permissions = create.permissions.into_iter().collect();
    let grant = Grant { permissions, reach, networks: create.networks };
    let wanted = Wanted { name: create.name, grant, days: create.days };
    let order = asked.order(&operator, create.reason);
    let desk = &asked.office.desk;
    let made = desk.create_api_key(asked.office.environment, wanted, order).await?;
    let issued = made.map_err(|unfit| Problem::at(ApiRefusal::BodyInvalid, member(unfit)))?;
    Made::of(&issued)
}

/// The member of the body that is at fault.
fn member(unfit: Unfit) -> &'static str {
    match unfit {
        Unfit::Name => "name",
        Unfit::NoPermission => "permissions",
        Unfit::NoReach => "sources",
        Unfit::TooManyBounds => "networks",
        Unfit::Days => "days",
    }
}

/// Whose things the key is to see: of sources and providers that there are.
fn reach(asked: &Asked, create: &Create) -> Result<Reach, Problem> {
    let sources = &asked.office.sources;
    let wrong = |member: &str| Problem::at(ApiRefusal::BodyInvalid, member);
    let is_provider = |name: &str| sources.values().any(|source| source.provider == name);
    let wanted = create.sources.iter().flatten();
    if !wanted.into_iter().all(|name| sources.contains_key(name)) {
        return Err(wrong("sources"));
    }
    if !create.providers.iter().flatten().all(|name| is_provider(name)) {
        return Err(wrong("providers"));
    }
    let customer = match &create.customer {
        None => None,
        Some(of) if of.customer.is_empty() || !is_provider(&of.provider) => {
            return Err(wrong("customer"));
        }
        Some(of) => Some(asked.office.desk.customer(&of.provider, &of.customer)),
    };
    let (sources, providers) = (create.sources.clone(), create.providers.clone());
    Ok(Reach { sources, providers, customer })
}

/// Gives an API key a successor, which is shown this once.
#[utoipa::path(
    post, path = "/admin/v1/keys/{id}/roll", operation_id = "roll_key", tag = "keys",
    params(("id" = String, Path, description = "The key.")),
    request_body = Roll,
    responses((status = 200, description = "The successor.", body = Made))
)]
pub(super) async fn roll(
    asked: Asked,
    operator: Operator,
    Body(Roll { overlap, reason }): Body<Roll>,
) -> Result<Given, Problem> {
    let (desk, id) = (&asked.office.desk, id(&asked)?);
    let old = desk.store().api_key(id).await?.ok_or(ApiRefusal::NotFound)?;
    let rolled = desk.roll_api_key(&old, overlap, asked.order(&operator, reason)).await?;
    Made::of(&rolled.map_err(refused)?)
}

/// Ends an API key for good.
#[utoipa::path(
    post, path = "/admin/v1/keys/{id}/revoke", operation_id = "revoke_key", tag = "keys",
    params(("id" = String, Path, description = "The key.")),
    request_body = Revoke,
    responses((status = 200, description = "The key, as it is now.", body = Key))
)]
pub(super) async fn revoke(
    asked: Asked,
    operator: Operator,
    Body(Revoke { cause, reason }): Body<Revoke>,
) -> Result<Given, Problem> {
    let (desk, id) = (&asked.office.desk, id(&asked)?);
    let mut row = desk.store().api_key(id).await?.ok_or(ApiRefusal::NotFound)?;
    let note = desk.note(asked.order(&operator, reason)).await?;
    match desk.store().revoke_api_key(id, cause, note).await? {
        ApiKeyChanged::Done => {}
        other => return Err(refused(other).into()),
    }
    // It is answered without asking the store again, which may fail: the key has ended.
    (row.life.revoked_at, row.cause) = (Some(asked.came.at), Some(cause));
    Ok(Reply::of(&Key::of(&row, asked.came.at))?.into())
}

fn id(asked: &Asked) -> Result<ApiKeyId, ApiRefusal> {
    asked.place("id").parse().map_err(|_| ApiRefusal::NotFound)
}

fn refused(changed: ApiKeyChanged) -> ApiRefusal {
    match changed {
        ApiKeyChanged::AlreadyRolled => ApiRefusal::AlreadyRolled,
        ApiKeyChanged::AlreadyRevoked => ApiRefusal::AlreadyRevoked,
        ApiKeyChanged::NotFound | ApiKeyChanged::Done => ApiRefusal::NotFound,
    }
}
