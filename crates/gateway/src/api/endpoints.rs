//! Endpoints: list, pause and resume.

use serde::Serialize;
use store::EndpointState;
use utoipa::ToSchema;

use super::Reply;
use super::ask::Ask;
use super::read::Because;
use super::refusal::Problem;
use crate::shown;

/// Every endpoint within reach.
#[derive(Serialize, ToSchema)]
pub(super) struct Endpoints {
    data: Vec<shown::Endpoint>,
}

/// Lists endpoints. A bound key sees those that only its sources deliver to.
#[utoipa::path(
    get, path = "/v1/endpoints", operation_id = "list_endpoints", tag = "endpoints",
    responses((status = 200, description = "All of them.", body = Endpoints))
)]
pub(super) async fn list(ask: Ask) -> Result<Reply, Problem> {
    ask.no_query()?;
    let names: Vec<&str> = ask.endpoints().map(|endpoint| endpoint.name.as_str()).collect();
    Reply::of(&Endpoints { data: shown(&ask, &names).await? })
}

/// Pauses an endpoint: its deliveries wait.
#[utoipa::path(
    post, path = "/v1/endpoints/{name}/pause", operation_id = "pause_endpoint", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint.")),
    request_body = Because,
    responses((status = 200, description = "It is paused.", body = shown::Endpoint))
)]
pub(super) async fn pause(ask: Ask) -> Result<Reply, Problem> {
    change(&ask, EndpointState::Paused).await
}

/// Resumes an endpoint that was paused, or that said that it wants no more (410).
#[utoipa::path(
    post, path = "/v1/endpoints/{name}/resume", operation_id = "resume_endpoint", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint.")),
    request_body = Because,
    responses((status = 200, description = "It is active.", body = shown::Endpoint))
)]
pub(super) async fn resume(ask: Ask) -> Result<Reply, Problem> {
    let reply = change(&ask, EndpointState::Active).await;
    ask.api.fresh_work.notify_one();
    reply
}

async fn change(ask: &Ask, state: EndpointState) -> Result<Reply, Problem> {
    let Because { reason } = ask.body()?;
    let endpoint = ask.endpoint(ask.place("name"))?;
    let note = ask.note(reason).await?;
    ask.api.desk.store().set_endpoint_state(&endpoint.name, state, note).await?;
    let shown = shown(ask, &[&endpoint.name]).await?.pop();
    Reply::of(&shown.ok_or_else(|| ask.nothing())?)
}

/// Endpoints as they stand.
async fn shown(ask: &Ask, names: &[&str]) -> Result<Vec<shown::Endpoint>, Problem> {
    let settled = crate::operations::endpoints(ask.api.desk.store()).await?;
    let of = |name: &&str| {
        let served = ask.api.endpoints.iter().find(|endpoint| endpoint.name == **name)?;
        Some(settled.shown(&served.name, served.paused))
    };
    Ok(names.iter().filter_map(of).collect())
}
