//! Events: list, show, and what is decided about those that are held.

use std::sync::Arc;

use model::{EventStatus, Steps, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Changed, EventQuery, EventRow, OrderRow};
use utoipa::{IntoParams, ToSchema};

use super::ask::Ask;
use super::read::{Because, Limit, Name, from_text};
use super::refusal::{ApiRefusal, Problem};
use super::{Reply, page};
use crate::{Counted, Released, shown};

#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only events with this status.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<shown::EventStatus>)]
    status: Option<shown::EventStatus>,
    /// Only events of this source.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    source: Option<Name>,
    /// Only events that arrived at this time or later.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only events that arrived before this time.
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

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Events {
    data: Vec<shown::Event>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// What was decided about an event.
#[derive(Serialize, ToSchema)]
pub(super) struct Decided {
    event: shown::Event,
    /// The endpoints that get it.
    endpoints: Vec<String>,
    /// What it is to its order, if it was released.
    counted: Option<Counted>,
}

/// Lists events, newest first.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "list_events", tag = "events",
    params(Asked), responses((status = 200, description = "A page.", body = Events))
)]
pub(super) async fn list(ask: Ask) -> Result<Reply, Problem> {
    let asked: Asked = ask.query()?;
    let limit = usize::from(asked.limit());
    let source = asked.source.map(|Name(name)| ask.source(name)).transpose()?;
    let events = ask
        .events(EventQuery {
            statuses: asked.status.map(EventStatus::from).into_iter().collect(),
            source,
            since: asked.since,
            until: asked.until,
            before: Some(ask.before(asked.cursor.as_deref())?),
            limit: limit + 1,
            ..EventQuery::default()
        })
        .await?;
    let (events, last) = page(&events, limit, |event| event.sequence);
    let next = last.map(|number| ask.cursor(number));
    Reply::of(&Events { data: events.iter().map(Into::into).collect(), next })
}

/// Shows an event.
#[utoipa::path(
    get, path = "/v1/events/{id}", operation_id = "show_event", tag = "events",
    params(("id" = String, Path, description = "The event.")),
    responses((status = 200, description = "The event.", body = shown::Event))
)]
pub(super) async fn show(ask: Ask) -> Result<Reply, Problem> {
    ask.no_query()?;
    let event = ask.event(ask.place("id")).await?;
    Reply::of(&shown::Event::from(&*event))
}

/// Lets a held event be delivered.
#[utoipa::path(
    post, path = "/v1/events/{id}/release", operation_id = "release_event", tag = "events",
    params(("id" = String, Path, description = "The event.")),
    request_body = Because,
    responses((status = 200, description = "It is accepted.", body = Decided))
)]
pub(super) async fn release(ask: Ask) -> Result<Reply, Problem> {
    let Because { reason } = ask.body()?;
    let event = ask.event(ask.place("id")).await?;
    let source = ask.api.sources.get(&event.source);
    let named = source.map(|source| source.endpoints.as_slice()).unwrap_or_default();
    let takes_originals =
        |name: &str| ask.api.endpoints.iter().any(|one| one.name == name && one.takes_originals);
    let (desk, orders) = (&ask.api.desk, &ask.api.orders);
    let endpoints = orders
        .receivers(&event, named, takes_originals)
        .await?
        .ok_or(ApiRefusal::RedactedOriginalOnly)?;
    let vouches = |order: &OrderRow| ask.is_nobody_elses(order, &event);
    let Released { changed, counted } =
        desk.release(event.id, ask.order(reason), &endpoints, (orders, &vouches)).await?;
    ask.api.fresh_work.notify_one();
    let accepted = EventRow {
        status: EventStatus::Accepted,
        reason: None,
        steps: Steps::PASSED,
        ..(*event).clone()
    };
    decided(&ask, changed, &accepted, &endpoints, Some(counted))
}

/// Denies a held event: it will not be delivered.
#[utoipa::path(
    post, path = "/v1/events/{id}/deny", operation_id = "deny_event", tag = "events",
    params(("id" = String, Path, description = "The event.")),
    request_body = Because,
    responses((status = 200, description = "It is denied.", body = Decided))
)]
pub(super) async fn deny(ask: Ask) -> Result<Reply, Problem> {
    let Because { reason } = ask.body()?;
    let event = ask.event(ask.place("id")).await?;
    let changed = ask.api.desk.refuse(event.id, ask.order(reason)).await?;
    let denied = EventRow { status: EventStatus::Denied, ..(*event).clone() };
    decided(&ask, changed, &denied, &[], None)
}

/// What was decided is answered without asking the store again: it may fail, and the decision stands.
fn decided(
    ask: &Ask,
    changed: Changed,
    event: &EventRow,
    to: &[Arc<str>],
    counted: Option<Counted>,
) -> Result<Reply, Problem> {
    match changed {
        Changed::Done => {}
        Changed::NotFound => return Err(ask.nothing()),
        Changed::BodyGone => return Err(ApiRefusal::BodyGone.into()),
        Changed::NotHeld(status) => {
            return Err(Problem::at(ApiRefusal::NotHeld, status.code()));
        }
    }
    let endpoints = to.iter().map(|name| (**name).to_owned()).collect();
    Reply::of(&Decided { event: shown::Event::from(event), endpoints, counted })
}
