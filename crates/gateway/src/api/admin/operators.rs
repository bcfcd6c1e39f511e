//! Operators: list.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Asked, Given};
use crate::api::Reply;
use crate::api::refusal::Problem;
use crate::operators::Operator;

/// An operator.
#[derive(Serialize, ToSchema)]
pub(super) struct Listed {
    /// Who.
    #[schema(pattern = "^opr_[0-9a-hjkmnp-tv-z]{26}$")]
    id: String,
    /// What they sign in as.
    login: String,
    /// viewer, operator or administrator.
    role: &'static str,
    /// Since when they are let in no more.
    #[schema(format = DateTime)]
    disabled_at: Option<String>,
    /// When they were added.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Every operator there ever was.
#[derive(Serialize, ToSchema)]
pub(super) struct Operators {
    data: Vec<Listed>,
}

/// Lists operators.
#[utoipa::path(
    get, path = "/admin/v1/operators", operation_id = "list_operators", tag = "operators",
    responses((status = 200, description = "All of them.", body = Operators))
)]
pub(super) async fn list(asked: Asked, _: Operator) -> Result<Given, Problem> {
    asked.no_query()?;
    let desk = &asked.office.desk;
    let mut data = Vec::new();
    for row in desk.store().operators().await? {
        data.push(Listed {
            id: row.id.to_string(),
            login: desk.login(&row).await?.to_string(),
            role: row.role.code(),
            disabled_at: row.disabled_at.map(|at| at.to_string()),
            created_at: row.created_at.to_string(),
        });
    }
    Ok(Reply::of(&Operators { data })?.into())
}
