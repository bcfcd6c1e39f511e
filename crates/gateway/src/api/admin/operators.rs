//! Operators: list, add, change, and one's own password.
//!
//! What somebody signs in with is shown once, in the answer, and is nowhere else. The last
//! administrator who is enabled cannot be locked out from here: whoever may open the store can.

use model::operator::Login;
use model::{OperatorId, Role};
use serde::{Deserialize, Serialize};
use store::{Action, OperatorChange, OperatorChanged, OperatorRow};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::door::{Done, secret};
use super::keys::from_text;
use super::reads::{Body, Query};
use super::{Asked, Given, Page};
use crate::api::read::{Because, reason};
use crate::api::refusal::{ApiRefusal, Problem};
use crate::api::{Reply, page};
use crate::operators::{Last, NoOperator, Operator};

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

/// A page of operators, in the order in which they were added.
#[derive(Serialize, ToSchema)]
pub(super) struct Operators {
    data: Vec<Listed>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// An operator who is to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    /// What they sign in as: never anybody else's, before or after.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    #[serde(deserialize_with = "from_text")]
    login: Login,
    /// viewer, operator or administrator.
    #[schema(value_type = String, pattern = "^(viewer|operator|administrator)$")]
    #[serde(deserialize_with = "from_text")]
    role: Role,
    /// Why. It is kept in the audit log.
    #[serde(deserialize_with = "reason")]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    reason: String,
}

/// An operator who was added.
#[derive(Serialize, ToSchema)]
pub(super) struct Welcomed {
    /// Who.
    #[schema(pattern = "^opr_[0-9a-hjkmnp-tv-z]{26}$")]
    id: String,
    /// Their first password. It is shown this once.
    password: String,
    /// What their app makes codes from. It is shown this once.
    totp_secret: String,
    /// The same, as apps read it from a picture.
    totp_uri: String,
}

/// Another role of an operator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnotherRole {
    /// viewer, operator or administrator.
    #[schema(value_type = String, pattern = "^(viewer|operator|administrator)$")]
    #[serde(deserialize_with = "from_text")]
    role: Role,
    /// Why. It is kept in the audit log.
    #[serde(deserialize_with = "reason")]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    reason: String,
}

/// An operator as they stand after a change.
#[derive(Serialize, ToSchema)]
pub(super) struct Stands {
    /// Who.
    #[schema(pattern = "^opr_[0-9a-hjkmnp-tv-z]{26}$")]
    id: String,
    /// viewer, operator or administrator.
    role: &'static str,
    /// Since when they are let in no more.
    #[schema(format = DateTime)]
    disabled_at: Option<String>,
}

/// A new password of an operator.
#[derive(Serialize, ToSchema)]
pub(super) struct NewPassword {
    /// Who.
    #[schema(pattern = "^opr_[0-9a-hjkmnp-tv-z]{26}$")]
    id: String,
    /// The password. It is shown this once.
    password: String,
}

/// A new seed of an operator.
#[derive(Serialize, ToSchema)]
pub(super) struct NewSeed {
    /// Who.
    #[schema(pattern = "^opr_[0-9a-hjkmnp-tv-z]{26}$")]
    id: String,
    /// What their app makes codes from. It is shown this once.
    totp_secret: String,
    /// The same, as apps read it from a picture.
    totp_uri: String,
}

/// A password of one's own choice.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnPassword {
    /// The new one: 12 characters at least, 256 bytes at most, none that is tried first.
    #[schema(value_type = String, format = Password)]
    #[serde(deserialize_with = "secret")]
    password: Zeroizing<String>,
}

/// Lists operators. That it was read is in the audit log, as it says who signs in as what.
#[utoipa::path(
    get, path = "/admin/v1/operators", operation_id = "list_operators", tag = "operators",
    params(Page), responses((status = 200, description = "A page.", body = Operators))
)]
pub(super) async fn list(
    asked: Asked,
    operator: Operator,
    Query(wanted): Query<Page>,
) -> Result<Given, Problem> {
    let desk = &asked.office.desk;
    let (after, limit) = asked.page("operators", wanted)?;
    let found = desk.store().operators_page(after, limit + 1).await?;
    let (rows, last) = page(&found, limit, |(number, _)| *number);
    let next = last.map(|number| asked.cursor("operators", number));
    let order = asked.order(&operator, String::new());
    desk.audit(Action::OperatorsRead, "operators", order).await?;
    let mut data = Vec::new();
    for (_, row) in rows {
        data.push(Listed {
            id: row.id.to_string(),
            login: desk.login(row).await?.to_string(),
            role: row.role.code(),
            disabled_at: row.disabled_at.map(|at| at.to_string()),
            created_at: row.created_at.to_string(),
        });
    }
    Ok(Reply::of(&Operators { data, next })?.into())
}

/// Adds an operator. What they sign in with is shown this once.
#[utoipa::path(
    post, path = "/admin/v1/operators", operation_id = "add_operator", tag = "operators",
    request_body = Add,
    responses((status = 200, description = "They may sign in.", body = Welcomed))
)]
pub(super) async fn add(
    asked: Asked,
    operator: Operator,
    Body(add): Body<Add>,
) -> Result<Given, Problem> {
    let Add { login, role, reason } = add;
    let _turn = asked.office.operators.turn_to_hash().await?;
    let order = asked.order(&operator, reason);
    let welcome = asked.office.desk.add_operator(&login, role, order).await??;
    let welcomed = Welcomed {
        id: welcome.id.to_string(),
        password: welcome.password.as_str().to_owned(),
        totp_secret: welcome.seed.to_text().as_str().to_owned(),
        totp_uri: welcome.seed.to_uri(&login).as_str().to_owned(),
    };
    Ok(Reply::of(&welcomed)?.into())
}

/// Gives an operator another role.
#[utoipa::path(
    post, path = "/admin/v1/operators/{id}/role", operation_id = "set_role", tag = "operators",
    params(("id" = String, Path, description = "The operator.")),
    request_body = AnotherRole,
    responses((status = 200, description = "The operator, as they are now.", body = Stands))
)]
pub(super) async fn role(
    asked: Asked,
    operator: Operator,
    Body(AnotherRole { role, reason }): Body<AnotherRole>,
) -> Result<Given, Problem> {
    changed(&asked, &operator, OperatorChange::Role(role), reason).await
}

/// Lets an operator in no more. Their sessions end.
#[utoipa::path(
    post, path = "/admin/v1/operators/{id}/disable", operation_id = "disable_operator",
    tag = "operators", params(("id" = String, Path, description = "The operator.")),
    request_body = Because,
    responses((status = 200, description = "The operator, as they are now.", body = Stands))
)]
pub(super) async fn disable(
    asked: Asked,
    operator: Operator,
    Body(Because { reason }): Body<Because>,
) -> Result<Given, Problem> {
    changed(&asked, &operator, OperatorChange::Disable, reason).await
}

/// Lets an operator in again.
#[utoipa::path(
    post, path = "/admin/v1/operators/{id}/enable", operation_id = "enable_operator",
    tag = "operators", params(("id" = String, Path, description = "The operator.")),
    request_body = Because,
    responses((status = 200, description = "The operator, as they are now.", body = Stands))
)]
pub(super) async fn enable(
    asked: Asked,
    operator: Operator,
    Body(Because { reason }): Body<Because>,
) -> Result<Given, Problem> {
    changed(&asked, &operator, OperatorChange::Enable, reason).await
}

/// Gives an operator a random password, which is shown this once. Their sessions end.
#[utoipa::path(
    post, path = "/admin/v1/operators/{id}/password", operation_id = "reset_password",
    tag = "operators", params(("id" = String, Path, description = "The operator.")),
    request_body = Because,
    responses((status = 200, description = "The password.", body = NewPassword))
)]
pub(super) async fn password(
    asked: Asked,
    operator: Operator,
    Body(Because { reason }): Body<Because>,
) -> Result<Given, Problem> {
    let _turn = asked.office.operators.turn_to_hash().await?;
    let row = named(&asked).await?;
    let (desk, order) = (&asked.office.desk, asked.order(&operator, reason));
    let password = desk.reset_password(&row, Last::Stays, order).await??;
    let new = NewPassword { id: row.id.to_string(), password: password.as_str().to_owned() };
    Ok(Reply::of(&new)?.into())
}

/// Gives an operator another seed, which is shown this once. Their sessions end, and codes of the
/// old one count no more.
#[utoipa::path(
    post, path = "/admin/v1/operators/{id}/totp", operation_id = "reset_totp",
    tag = "operators", params(("id" = String, Path, description = "The operator.")),
    request_body = Because,
    responses((status = 200, description = "The seed.", body = NewSeed))
)]
pub(super) async fn totp(
    asked: Asked,
    operator: Operator,
    Body(Because { reason }): Body<Because>,
) -> Result<Given, Problem> {
    let row = named(&asked).await?;
    let desk = &asked.office.desk;
    let login = desk.login(&row).await?;
    let seed = desk.new_seed(&row, Last::Stays, asked.order(&operator, reason)).await??;
    let new = NewSeed {
        id: row.id.to_string(),
        totp_secret: seed.to_text().as_str().to_owned(),
        totp_uri: seed.to_uri(&login).as_str().to_owned(),
    };
    Ok(Reply::of(&new)?.into())
}

/// Gives oneself another password. One's sessions end, this one, too.
#[utoipa::path(
    post, path = "/admin/v1/password", operation_id = "change_password", tag = "session",
    request_body = OwnPassword,
    responses((status = 200, description = "It counts from now on.", body = Done))
)]
pub(super) async fn own_password(asked: Asked, operator: Operator) -> Result<Given, Problem> {
    let OwnPassword { password } = asked.body()?;
    let _turn = asked.office.operators.turn_to_hash().await?;
    let (desk, order) = (&asked.office.desk, asked.order(&operator, String::new()));
    let row = desk.store().operator(operator.id).await?.ok_or(ApiRefusal::NotSignedIn)?;
    // Whoever has chosen it knows it, so nobody is locked out by it.
    desk.set_password(&row, &password, Last::MayGo, order).await??;
    Ok(Reply::of(&Done {})?.into())
}

/// What is different is answered without asking the store again, which may fail.
async fn changed(
    asked: &Asked,
    operator: &Operator,
    change: OperatorChange,
    reason: String,
) -> Result<Given, Problem> {
    let mut row = named(asked).await?;
    match &change {
        OperatorChange::Role(role) => row.role = *role,
        OperatorChange::Disable => row.disabled_at = Some(asked.came.at),
        OperatorChange::Enable => row.disabled_at = None,
        OperatorChange::Password(_) | OperatorChange::Totp(_) => {}
    }
    let order = asked.order(operator, reason);
    asked.office.desk.change_operator(row.id, change, Last::Stays, order).await??;
    let stands = Stands {
        id: row.id.to_string(),
        role: row.role.code(),
        disabled_at: row.disabled_at.map(|at| at.to_string()),
    };
    Ok(Reply::of(&stands)?.into())
}

/// The operator that the path names.
async fn named(asked: &Asked) -> Result<OperatorRow, Problem> {
    let id: OperatorId = asked.place("id").parse().map_err(|_| ApiRefusal::NotFound)?;
    let row = asked.office.desk.store().operator(id).await?;
    Ok(row.ok_or(ApiRefusal::NotFound)?)
}

impl From<NoOperator> for Problem {
    fn from(no: NoOperator) -> Self {
        match no {
            NoOperator::Weak(weak) => Self::at(ApiRefusal::PasswordWeak, weak.code()),
            NoOperator::Changed(OperatorChanged::LoginTaken) => ApiRefusal::LoginTaken.into(),
            NoOperator::Changed(OperatorChanged::NotFound) => ApiRefusal::NotFound.into(),
            NoOperator::Changed(OperatorChanged::LastAdministrator) => {
                ApiRefusal::LastAdministrator.into()
            }
            NoOperator::Changed(OperatorChanged::AlreadySo | OperatorChanged::Done) => {
                ApiRefusal::AlreadySo.into()
            }
            NoOperator::NoMemory => Self::failed(ApiRefusal::TryAgain, no),
        }
    }
}
