//! Orders: create, list, show, cancel.

use std::collections::BTreeMap;

use model::{OrderState, Reach};
use schemes::Profile;
use serde::{Deserialize, Serialize};
use store::{OrderCreated, OrderQuery};
use utoipa::{IntoParams, ToSchema};

use super::ask::Ask;
use super::read::{Because, Limit, from_text};
use super::refusal::{ApiRefusal, Problem};
use super::{Reply, page};
use crate::orders::{Beside, Kept, WantedOrder, parties};
use crate::shown;

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only orders in this state.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<shown::OrderState>)]
    state: Option<shown::OrderState>,
    /// Only the order with this reference.
    #[serde(deserialize_with = "from_text")]
    reference: Option<String>,
    /// At most so many; 50 if not given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<Limit>,
    /// `next` of the page before.
    #[serde(deserialize_with = "from_text")]
    cursor: Option<String>,
}

/// A page of orders, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Orders {
    data: Vec<shown::Order>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// Creates an order: what the application expects to be paid.
#[utoipa::path(
    post, path = "/v1/orders", operation_id = "create_order", tag = "orders",
    request_body = WantedOrder,
    responses((status = 200, description = "The order.", body = shown::Order))
)]
pub(super) async fn create(ask: Ask) -> Result<Reply, Problem> {
    let wanted: WantedOrder = ask.body()?;
    let sources = ask.api.sources.iter();
    let sources: BTreeMap<&str, &Profile> =
        sources.map(|(name, source)| (name.as_str(), &*source.profile)).collect();
    let beside = Beside {
        rules: &ask.api.order_rules,
        environment: ask.api.environment,
        sources: &sources,
        keys: &ask.api.keys,
        now: ask.came.at,
    };
    let (new, about) = wanted.judge(&beside).map_err(|faults| {
        let faults: Vec<String> =
            faults.iter().map(|(member, code)| format!("{member}: {code}")).collect();
        Problem::at(ApiRefusal::OrderInvalid, faults.join(", "))
    })?;
    ask.may_create(&new)?;
    if let Some(customer) = new.customer_key {
        ask.api.limits.take_order(customer, ask.came.at.as_millis())?;
    }
    let id = new.id;
    let chain = new.expected.money.unit.chain();
    let parties = parties(new.provider.as_deref(), chain, &about);
    let note = ask.note(String::new()).await?;
    match ask.api.orders.create(new, &about, note).await? {
        OrderCreated::Done => {
            let kept = ask.order_of(id).await?;
            shown(&kept)
        }
        OrderCreated::PartyBlocked { place, .. } => {
            let member = parties.get(place).map_or("customer", |party| party.kind().code());
            Err(Problem::at(ApiRefusal::PartyBlocked, member))
        }
        OrderCreated::LimitReached { place, retry_after_ms } => {
            let limit = ask.api.order_rules.limits.get(place).map(ToString::to_string);
            let refusal = ApiRefusal::OrderLimitReached;
            Err(Problem { place: limit, retry_after_ms, ..refusal.into() })
        }
        // Whose it is a key that is bound to others is not told.
        OrderCreated::ReferenceTaken(other) => {
            ask.order_of(other).await?;
            Err(ApiRefusal::ReferenceTaken.into())
        }
        OrderCreated::AddressTaken(_) => Err(ApiRefusal::AddressTaken.into()),
    }
}

/// Lists orders, newest first.
#[utoipa::path(
    get, path = "/v1/orders", operation_id = "list_orders", tag = "orders",
    params(Asked), responses((status = 200, description = "A page.", body = Orders))
)]
pub(super) async fn list(ask: Ask) -> Result<Reply, Problem> {
    let asked: Asked = ask.query()?;
    if let Some(reference) = &asked.reference {
        let found = ask.order_named(reference).await?;
        let state = asked.state.map(OrderState::from);
        let data = found.iter().filter(|kept| state.is_none_or(|s| s == kept.row.judged.state));
        let data = data.map(|kept| shown::Order::of(&kept.row, &kept.about)).collect();
        return Reply::of(&Orders { data, next: None });
    }
    let limit = usize::from(asked.limit.unwrap_or_default().0);
    let query = OrderQuery {
        states: asked.state.map(OrderState::from).into_iter().collect(),
        before: Some(ask.before(asked.cursor.as_deref())?),
        reach: Reach::default(),
        limit: limit + 1,
    };
    let orders = ask.orders(query).await?;
    let (orders, last) = page(&orders, limit, |kept| kept.row.sequence);
    let next = last.map(|number| ask.cursor(number));
    let data = orders.iter().map(|kept| shown::Order::of(&kept.row, &kept.about)).collect();
    Reply::of(&Orders { data, next })
}

/// Shows an order.
#[utoipa::path(
    get, path = "/v1/orders/{id}", operation_id = "show_order", tag = "orders",
    params(("id" = String, Path, description = "The order.")),
    responses((status = 200, description = "The order.", body = shown::Order))
)]
pub(super) async fn show(ask: Ask) -> Result<Reply, Problem> {
    ask.no_query()?;
    let kept = ask.order_within(ask.place("id")).await?;
    if !kept.row.watched {
        return shown(&kept);
    }
    let payments = ask.api.orders.on_chain(&kept).await?;
    Reply::of(&shown::Order::of(&kept.row, &kept.about).on_chain(&payments))
}

/// Cancels an order: what pays it from now on is not delivered as paid.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", operation_id = "cancel_order", tag = "orders",
    params(("id" = String, Path, description = "The order.")),
    request_body = Because,
    responses((status = 200, description = "The order, as it is now.", body = shown::Order))
)]
pub(super) async fn cancel(ask: Ask) -> Result<Reply, Problem> {
    let Because { reason } = ask.body()?;
    let kept = ask.order_within(ask.place("id")).await?;
    let note = ask.note(reason).await?;
    let cancelled = ask.api.orders.cancel(kept.row.id, note).await?;
    cancelled.map_or_else(|| Err(ask.nothing()), |kept| shown(&kept))
}

fn shown(kept: &Kept) -> Result<Reply, Problem> {
    Reply::of(&shown::Order::of(&kept.row, &kept.about))
}
