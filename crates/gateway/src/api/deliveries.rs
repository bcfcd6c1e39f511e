//! Deliveries: list, show with their attempts, and deliver again.

use model::{DeliveryStatus, Timestamp};
use serde::{Deserialize, Serialize};
use store::{DeliveryQuery, DeliveryRow};
use utoipa::{IntoParams, ToSchema};

use super::ask::Ask;
use super::read::{Because, Limit, Name, from_text};
use super::refusal::{ApiRefusal, Problem};
use super::{Reply, page};
use crate::shown;

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only deliveries of this event.
    #[serde(deserialize_with = "from_text")]
    event: Option<String>,
    /// Only deliveries to this endpoint.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    endpoint: Option<Name>,
    /// Only deliveries in this state.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<shown::DeliveryStatus>)]
    status: Option<shown::DeliveryStatus>,
    /// Only deliveries that were planned at this time or later.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only deliveries that were planned before this time.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// At most so many; 50 if not given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<Limit>,
    /// `next` of the page before.
    #[serde(deserialize_with = "from_text")]
    cursor: Option<String>,
}

impl Asked {
    /// At most so many.
    pub(super) fn limit(&self) -> u8 {
        self.limit.unwrap_or_default().0
    }
}

/// A page of deliveries, in the order of their events, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Deliveries {
    data: Vec<shown::Delivery>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// Lists deliveries, in the order of their events, newest first.
#[utoipa::path(
    get, path = "/v1/deliveries", operation_id = "list_deliveries", tag = "deliveries",
    params(Asked), responses((status = 200, description = "A page.", body = Deliveries))
)]
pub(super) async fn list(ask: Ask) -> Result<Reply, Problem> {
    let asked: Asked = ask.query()?;
    let event = match &asked.event {
        Some(id) => Some(ask.event(id).await?.id),
        None => None,
    };
    let limit = usize::from(asked.limit());
    let deliveries = ask
        .deliveries(DeliveryQuery {
            event,
            endpoint: asked.endpoint.map(|Name(name)| name),
            status: asked.status.map(DeliveryStatus::from),
            since: asked.since,
            until: asked.until,
            before: Some(ask.before(asked.cursor.as_deref())?),
            limit: limit + 1,
            ..DeliveryQuery::default()
        })
        .await?;
    let (deliveries, last) = page(&deliveries, limit, |delivery| delivery.number);
    let next = last.map(|number| ask.cursor(number));
    Reply::of(&Deliveries { data: deliveries.iter().map(Into::into).collect(), next })
}

/// Shows a delivery with its attempts.
#[utoipa::path(
    get, path = "/v1/deliveries/{id}", operation_id = "show_delivery", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery.")),
    responses((status = 200, description = "The delivery.", body = shown::DeliveryWithTries))
)]
pub(super) async fn show(ask: Ask) -> Result<Reply, Problem> {
    ask.no_query()?;
    let delivery = ask.delivery(ask.place("id")).await?;
    let tries = ask.api.desk.store().attempts(delivery.id).await?;
    Reply::of(&shown::DeliveryWithTries {
        delivery: (&*delivery).into(),
        tries: tries.iter().map(Into::into).collect(),
    })
}

/// Sets a delivered or dead delivery going again, with all its attempts before it.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/redeliver", operation_id = "redeliver", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery.")),
    request_body = Because,
    responses((status = 200, description = "It goes again.", body = shown::Delivery))
)]
pub(super) async fn redeliver(ask: Ask) -> Result<Reply, Problem> {
    let Because { reason } = ask.body()?;
    let delivery = ask.delivery(ask.place("id")).await?;
    let store = ask.api.desk.store();
    let count = match delivery.status {
        DeliveryStatus::Pending => 0,
        DeliveryStatus::Delivered | DeliveryStatus::Dead => {
            store.redeliver(vec![delivery.id], ask.note(reason).await?).await?
        }
    };
    if count == 0 {
        let is_gone = store.body(delivery.event).await?.is_none();
        let why = if is_gone { ApiRefusal::BodyGone } else { ApiRefusal::DeliveryPending };
        return Err(why.into());
    }
    ask.api.fresh_work.notify_one();
    let again = DeliveryRow {
        status: DeliveryStatus::Pending,
        next_at: Some(ask.came.at),
        updated_at: ask.came.at,
        ..(*delivery).clone()
    };
    Reply::of(&shown::Delivery::from(&again))
}
