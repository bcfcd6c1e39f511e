//! Blocks of parties: list, show, block and lift.

use model::block::{Party, PartyKind};
use model::{BlockId, Permission, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Action, BlockChanged, BlockQuery, BlockRow};
use utoipa::{IntoParams, ToSchema};

use super::reads::{Body, Query};
use super::{Asked, Given};
use crate::api::read::{Because, Limit, from_text, reason};
use crate::api::refusal::{ApiRefusal, Problem};
use crate::api::{Reply, page};
use crate::keys::KeyError;
use crate::operators::Operator;
use crate::shown;

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those that are over, too: true or false.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<bool>)]
    all: Option<bool>,
    /// At most so many; 50 if not given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<Limit>,
    /// `next` of the page before.
    #[serde(deserialize_with = "from_text")]
    cursor: Option<String>,
}

/// A page of blocks, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Blocks {
    data: Vec<shown::Block>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// A party that is to be blocked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    /// What kind of party: customer, address, payee or card.
    #[schema(value_type = shown::PartyKind)]
    #[serde(deserialize_with = "super::keys::from_text")]
    kind: PartyKind,
    /// At which provider, or for an address on which chain.
    #[schema(min_length = 1, max_length = 255)]
    of: String,
    /// What the party is called there: the provider's customer, account or fingerprint of the card, or
    /// the address. Never a card number.
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// When the block ends by itself; if it is not said, only when it is lifted.
    #[serde(default)]
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// Why. It is kept sealed beside the party, and in the audit log.
    #[serde(deserialize_with = "reason")]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    reason: String,
}

/// Lists blocks, newest first. Who is blocked is shown to those who may block, and leaves an entry in
/// the audit log.
#[utoipa::path(
    get, path = "/admin/v1/blocks", operation_id = "list_blocks", tag = "blocks",
    params(Which), responses((status = 200, description = "A page.", body = Blocks))
)]
pub(super) async fn list(
    asked: Asked,
    operator: Operator,
    Query(which): Query<Which>,
) -> Result<Given, Problem> {
    let Which { all, limit, cursor } = which;
    let limit = usize::from(limit.unwrap_or_default().0);
    let query = BlockQuery {
        standing_at: (!all.unwrap_or(false)).then_some(asked.came.at),
        before: asked.before("blocks", cursor.as_deref())?,
        limit: limit + 1,
    };
    let rows = asked.office.desk.store().blocks(query).await?;
    let (rows, last) = page(&rows, limit, |row| row.sequence);
    let next = last.map(|number| asked.cursor("blocks", number));
    if !rows.is_empty() {
        asked.tell_of("blocks", &operator).await?;
    }
    let mut data = Vec::with_capacity(rows.len());
    for row in rows {
        data.push(asked.shown_block(row, &operator).await?);
    }
    Ok(Reply::of(&Blocks { data, next })?.into())
}

/// Shows a block.
#[utoipa::path(
    get, path = "/admin/v1/blocks/{id}", operation_id = "show_block", tag = "blocks",
    params(("id" = String, Path, description = "The block.")),
    responses((status = 200, description = "The block.", body = shown::Block))
)]
pub(super) async fn show(asked: Asked, operator: Operator, (): ()) -> Result<Given, Problem> {
    let row = kept(&asked, id(&asked)?).await?;
    asked.tell_of(&row.id.to_string(), &operator).await?;
    Ok(Reply::of(&asked.shown_block(&row, &operator).await?)?.into())
}

/// Blocks a party: its events wait for a person, and no order is created for it.
#[utoipa::path(
    post, path = "/admin/v1/blocks", operation_id = "add_block", tag = "blocks",
    request_body = Add,
    responses((status = 200, description = "The block.", body = shown::Block))
)]
pub(super) async fn add(
    asked: Asked,
    operator: Operator,
    Body(add): Body<Add>,
) -> Result<Given, Problem> {
    let Add { kind, of, name, ends_at, reason } = add;
    let wrong = |member: &str| Problem::at(ApiRefusal::BodyInvalid, member);
    let ends_at = ends_at.map(|text| text.parse::<Timestamp>()).transpose();
    let ends_at = ends_at.map_err(|_| wrong("ends_at"))?;
    let is_provider = asked.office.sources.values().any(|source| source.provider == of);
    if kind != PartyKind::Address && !is_provider {
        return Err(wrong("of"));
    }
    let party = Party::named(kind, &of, &name);
    let order = asked.order(&operator, reason);
    let blocked = asked.office.desk.block(&party, ends_at, order).await?;
    let (id, changed) = blocked.map_err(|unblockable| wrong(unblockable.member()))?;
    if let BlockChanged::AlreadyBlocked(other) = changed {
        return Err(Problem::at(ApiRefusal::AlreadyBlocked, other.to_string()));
    }
    asked.office.refresh_blocks().await;
    let row = kept(&asked, id).await?;
    Ok(Reply::of(&asked.shown_block(&row, &operator).await?)?.into())
}

/// Lifts a block. Events that it held stay held until somebody decides on them.
#[utoipa::path(
    post, path = "/admin/v1/blocks/{id}/lift", operation_id = "lift_block", tag = "blocks",
    params(("id" = String, Path, description = "The block.")),
    request_body = Because,
    responses((status = 200, description = "The block, as it is now.", body = shown::Block))
)]
pub(super) async fn lift(
    asked: Asked,
    operator: Operator,
    Body(Because { reason }): Body<Because>,
) -> Result<Given, Problem> {
    let id = id(&asked)?;
    match asked.office.desk.lift_block(id, asked.order(&operator, reason)).await? {
        BlockChanged::Done => {}
        BlockChanged::AlreadyOver => return Err(ApiRefusal::AlreadyOver.into()),
        BlockChanged::NotFound | BlockChanged::AlreadyBlocked(_) => {
            return Err(ApiRefusal::NotFound.into());
        }
    }
    asked.office.refresh_blocks().await;
    let row = kept(&asked, id).await?;
    Ok(Reply::of(&asked.shown_block(&row, &operator).await?)?.into())
}

impl Asked {
    /// Writes down that who is blocked is shown, where it is.
    async fn tell_of(&self, what: &str, operator: &Operator) -> Result<(), Problem> {
        if operator.may(Permission::BlocksChange) {
            let order = self.order(operator, String::new());
            self.office.desk.audit(Action::BlocksRead, what, order).await?;
        }
        Ok(())
    }

    async fn shown_block(
        &self,
        row: &BlockRow,
        operator: &Operator,
    ) -> Result<shown::Block, Problem> {
        let party = if operator.may(Permission::BlocksChange) {
            match self.office.desk.blocked_party(row).await {
                // Their key is destroyed: nobody can say any more who they were.
                Err(KeyError::Missing) => None,
                party => Some(party?),
            }
        } else {
            None
        };
        Ok(shown::Block::of(row, party, self.came.at))
    }
}

async fn kept(asked: &Asked, id: BlockId) -> Result<BlockRow, Problem> {
    Ok(asked.office.desk.store().block(id).await?.ok_or(ApiRefusal::NotFound)?)
}

fn id(asked: &Asked) -> Result<BlockId, ApiRefusal> {
    asked.place("id").parse().map_err(|_| ApiRefusal::NotFound)
}
