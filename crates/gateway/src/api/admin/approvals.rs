//! A second person, where the configuration wants one: what waits, and what is decided about it.
//!
//! [`second_person`] stands before the handlers of the routes whose permission is named in `[admin]
//! second_person`. The first request is kept and answered 202; the same request again, with the
//! approval of another operator in [`HEADER`], is done once. The approval is used up before anything
//! is done: what fails after that is asked for anew.

use http::HeaderMap;
use http::request::Parts;
use model::limits::APPROVAL_MS;
use model::{ApprovalId, Permission};
use serde::Serialize;
use store::{Action, ApprovalJudged, ApprovalRow};
use utoipa::ToSchema;

use super::reads::Check;
use super::{Asked, Given};
use crate::api::Reply;
use crate::api::read::Because;
use crate::api::refusal::{ApiRefusal, Problem};
use crate::operations::Wanted;
use crate::operators::Operator;

/// The header that names the approval of a request.
pub(in crate::api) const HEADER: &str = "countersign-approval";

/// What was asked for and waits for somebody else.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Awaited {
    /// The approval that is wanted: send the same request again with it in `Countersign-Approval`.
    #[schema(pattern = "^apr_[0-9a-hjkmnp-tv-z]{26}$")]
    approval: String,
    /// What whoever approves it must be allowed to do.
    permission: &'static str,
    /// Until when it can be approved and used.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// A request that somebody wants to be approved.
#[derive(Serialize, ToSchema)]
pub(super) struct WantedRequest {
    /// Such as POST.
    method: String,
    /// With its query.
    path: String,
    /// The body, if there is one.
    #[schema(value_type = Option<serde_json::Value>)]
    body: Option<serde_json::Value>,
}

/// An approval that waits, or was given and is not used yet.
#[derive(Serialize, ToSchema)]
pub(super) struct Approval {
    /// The approval.
    #[schema(pattern = "^apr_[0-9a-hjkmnp-tv-z]{26}$")]
    id: String,
    /// waiting or approved.
    state: &'static str,
    /// What whoever approves it must be allowed to do.
    permission: &'static str,
    /// Who asked for it.
    #[schema(pattern = "^opr_[0-9a-hjkmnp-tv-z]{26}$")]
    operator: String,
    /// What they want to be done.
    request: WantedRequest,
    /// When they asked.
    #[schema(format = DateTime)]
    asked_at: String,
    /// Until when it can be approved and used.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Who approved it.
    approver: Option<String>,
}

/// The approvals that wait, or were given and are not used yet.
#[derive(Serialize, ToSchema)]
pub(super) struct Approvals {
    data: Vec<Approval>,
}

/// What was decided about an approval.
#[derive(Serialize, ToSchema)]
pub(super) struct Settled {
    /// The approval.
    #[schema(pattern = "^apr_[0-9a-hjkmnp-tv-z]{26}$")]
    id: String,
    /// approved or refused.
    state: &'static str,
}

/// Sees that another operator has approved a request, where one must; else keeps it, and says that it
/// waits.
pub(super) async fn second_person(
    asked: &Asked,
    head: &Parts,
    operator: &Operator,
    (permission, reads): (Permission, Check),
) -> Result<Option<Given>, Problem> {
    // What is no approval is refused wherever it might be one.
    let shown = shown(&head.headers)?;
    if !asked.office.second_person.contains(&permission) {
        return Ok(None);
    }
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let (method, body) = (head.method.as_str().to_owned(), asked.body.to_vec());
    let wanted = Wanted { method, path: path.to_owned(), body };
    let (desk, order) = (&asked.office.desk, asked.order(operator, String::new()));
    if let Some(id) = shown {
        let used = desk.use_approval(id, operator.id, &wanted, order).await?;
        return judged(used).map(|()| None);
    }
    // Nobody is to be asked about what could not be done.
    reads(asked)?;
    let (id, asked_for) = desk.ask_approval(operator.id, permission, &wanted, order).await?;
    judged(asked_for)?;
    let awaited = Awaited {
        approval: id.to_string(),
        permission: permission.code(),
        expires_at: asked.came.at.plus_millis(APPROVAL_MS).to_string(),
    };
    Ok(Some(Given { waits: true, ..Reply::of(&awaited)?.into() }))
}

/// The approval in the one header, if there is any.
fn shown(headers: &HeaderMap) -> Result<Option<ApprovalId>, ApiRefusal> {
    let mut lines = headers.get_all(HEADER).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let id = line.to_str().ok().and_then(|text| text.parse().ok());
    id.filter(|_| lines.next().is_none()).map(Some).ok_or(ApiRefusal::ApprovalMalformed)
}

/// Lists what waits for somebody else, of what one may do oneself. That it was read is in the audit
/// log, as it says what others want.
#[utoipa::path(
    get, path = "/admin/v1/approvals", operation_id = "list_approvals", tag = "approvals",
    responses((status = 200, description = "All of them.", body = Approvals))
)]
pub(super) async fn list(asked: Asked, operator: Operator) -> Result<Given, Problem> {
    asked.no_query()?;
    let desk = &asked.office.desk;
    let mut rows = desk.approvals(asked.came.at).await?;
    rows.retain(|row| operator.may(row.permission));
    if !rows.is_empty() {
        let order = asked.order(&operator, String::new());
        desk.audit(Action::ApprovalsRead, "approvals", order).await?;
    }
    let mut data = Vec::new();
    for row in rows {
        let wanted = desk.wanted(&row).await?;
        data.push(Approval::of(&row, wanted));
    }
    Ok(Reply::of(&Approvals { data })?.into())
}

impl Approval {
    fn of(row: &ApprovalRow, wanted: Wanted) -> Self {
        let body = (!wanted.body.is_empty()).then(|| serde_json::from_slice(&wanted.body).ok());
        Self {
            id: row.id.to_string(),
            state: if row.approved.is_some() { "approved" } else { "waiting" },
            permission: row.permission.code(),
            operator: row.operator.to_string(),
            request: WantedRequest {
                method: wanted.method,
                path: wanted.path,
                body: body.flatten(),
            },
            asked_at: row.asked_at.to_string(),
            expires_at: row.asked_at.plus_millis(APPROVAL_MS).to_string(),
            approver: row.approved.map(|(approver, _)| approver.to_string()),
        }
    }
}

/// Approves what another operator wants. They then send their request again.
#[utoipa::path(
    post, path = "/admin/v1/approvals/{id}/approve", operation_id = "approve", tag = "approvals",
    params(("id" = String, Path, description = "The approval.")),
    request_body = Because,
    responses((status = 200, description = "It is approved.", body = Settled))
)]
pub(super) async fn approve(asked: Asked, operator: Operator) -> Result<Given, Problem> {
    decide(asked, operator, true).await
}

/// Refuses what another operator wants.
#[utoipa::path(
    post, path = "/admin/v1/approvals/{id}/refuse", operation_id = "refuse", tag = "approvals",
    params(("id" = String, Path, description = "The approval.")),
    request_body = Because,
    responses((status = 200, description = "It is refused.", body = Settled))
)]
pub(super) async fn refuse(asked: Asked, operator: Operator) -> Result<Given, Problem> {
    decide(asked, operator, false).await
}

async fn decide(asked: Asked, operator: Operator, is_approved: bool) -> Result<Given, Problem> {
    let Because { reason } = asked.body()?;
    let id: ApprovalId = asked.place("id").parse().map_err(|_| ApiRefusal::NotFound)?;
    let desk = &asked.office.desk;
    // Whoever may not do it is told what is missing; all else is judged in the store's transaction.
    let rows = desk.approvals(asked.came.at).await?;
    let lacks = rows.iter().find(|row| row.id == id && !operator.may(row.permission));
    if let Some(row) = lacks {
        return Err(Problem::lacks(row.permission));
    }
    let order = asked.order(&operator, reason);
    judged(desk.decide_approval(id, operator.id, is_approved, order).await?)?;
    let state = if is_approved { "approved" } else { "refused" };
    Ok(Reply::of(&Settled { id: id.to_string(), state })?.into())
}

fn judged(judged: ApprovalJudged) -> Result<(), Problem> {
    Err(match judged {
        ApprovalJudged::Done => return Ok(()),
        ApprovalJudged::TooMany => ApiRefusal::ApprovalsMany.into(),
        ApprovalJudged::NotFound => ApiRefusal::NotFound.into(),
        ApprovalJudged::Own => ApiRefusal::ApprovalOwn.into(),
        ApprovalJudged::NotYours => ApiRefusal::ApprovalNotYours.into(),
        ApprovalJudged::Expired => ApiRefusal::ApprovalExpired.into(),
        ApprovalJudged::OtherRequest => ApiRefusal::ApprovalOtherRequest.into(),
        ApprovalJudged::Waits => ApiRefusal::ApprovalWaits.into(),
        ApprovalJudged::Refused => ApiRefusal::ApprovalRefused.into(),
        ApprovalJudged::Approved => ApiRefusal::ApprovalGiven.into(),
        ApprovalJudged::Used => ApiRefusal::ApprovalUsed.into(),
        ApprovalJudged::Void(party) => Problem::at(ApiRefusal::ApprovalVoid, party.code()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_is_shown_once_and_as_its_id() {
        let check = |lines: &[&[u8]], expected: Result<Option<ApprovalId>, ApiRefusal>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HEADER, http::HeaderValue::from_bytes(line).expect("a value"));
            }
            assert_eq!(shown(&headers), expected, "{lines:?}");
        };
        let id = ApprovalId::from_bytes([7; 16]);
        let text = id.to_string();
        check(&[], Ok(None));
        check(&[text.as_bytes()], Ok(Some(id)));
        let malformed = Err(ApiRefusal::ApprovalMalformed);
        check(&[b""], malformed);
        check(&[b"\xff"], malformed);
        check(&[text.replace("apr", "key").as_bytes()], malformed);
        check(&[format!("{text} ").as_bytes()], malformed);
        check(&[text.as_bytes(), text.as_bytes()], malformed);
    }
}
