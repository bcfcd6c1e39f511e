//! Signing in and out, confirming, and who one is.

use http::HeaderValue;
use model::Permission;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::serve::CSRF;
use super::{Asked, Given};
use crate::api::Reply;
use crate::api::refusal::{ApiRefusal, Problem};
use crate::operators::{self, Operator, SignedIn};

/// The cookie: of this host alone, over TLS alone.
pub(super) const COOKIE_NAME: &str = "__Host-countersign";

/// What somebody shows to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// As whom.
    login: String,
    /// The password.
    #[schema(value_type = String, format = Password)]
    #[serde(deserialize_with = "secret")]
    password: Zeroizing<String>,
    /// The six digits that the app shows now.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "secret")]
    code: Zeroizing<String>,
    /// The token comes back in a cookie instead of the answer; over TLS only.
    #[serde(default)]
    cookie: bool,
}

/// What an operator shows once more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    /// The password.
    #[schema(value_type = String, format = Password)]
    #[serde(deserialize_with = "secret")]
    password: Zeroizing<String>,
    /// The six digits that the app shows now: others than those of the last time.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "secret")]
    code: Zeroizing<String>,
    /// The token comes back in a cookie instead of the answer; over TLS only.
    #[serde(default)]
    cookie: bool,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// Who.
    #[schema(pattern = "^opr_[0-9a-hjkmnp-tv-z]{26}$")]
    operator: String,
    /// The token, unless it is in a cookie. It is shown this once.
    token: Option<String>,
}

/// An operator, as they see themselves.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// Who.
    #[schema(pattern = "^opr_[0-9a-hjkmnp-tv-z]{26}$")]
    operator: String,
    /// viewer, operator or administrator.
    role: &'static str,
    /// What they may do.
    permissions: Vec<&'static str>,
    /// Whether they have said within five minutes who they are.
    confirmed: bool,
    /// When the session ends, however much it is used.
    #[schema(format = DateTime)]
    ends_at: String,
}

/// Nothing more is to be said.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {}

/// Signs an operator in.
#[utoipa::path(
    post, path = "/admin/v1/sign-in", operation_id = "sign_in", tag = "session",
    request_body = SignIn,
    responses((status = 200, description = "They are signed in.", body = Session))
)]
pub(super) async fn sign_in(asked: Asked) -> Result<Given, Problem> {
    let SignIn { login, password, code, cookie } = asked.body()?;
    may_have_cookie(&asked, cookie)?;
    let shown = operators::SignIn { login, password, code };
    let signed_in = asked.office.operators.sign_in(shown, &asked.asking()).await?;
    given(&signed_in, cookie)
}

/// Ends the session.
#[utoipa::path(
    post, path = "/admin/v1/sign-out", operation_id = "sign_out", tag = "session",
    request_body = Nothing,
    responses((status = 200, description = "The session is over.", body = Done))
)]
pub(super) async fn sign_out(asked: Asked, operator: Operator) -> Result<Given, Problem> {
    let Nothing {} = asked.body()?;
    asked.office.operators.sign_out(&operator, &asked.asking()).await?;
    let cookie = asked.is_secure.then(|| set_cookie("", "; Max-Age=0")).flatten();
    Ok(Given { cookie, ..Reply::of(&Done {})?.into() })
}

/// A body with nothing in it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Says once more who one is, as what cannot be undone needs. The session goes on under a new token.
#[utoipa::path(
    post, path = "/admin/v1/confirm", operation_id = "confirm", tag = "session",
    request_body = Confirm,
    responses((status = 200, description = "It is confirmed.", body = Session))
)]
pub(super) async fn confirm(asked: Asked, operator: Operator) -> Result<Given, Problem> {
    let Confirm { password, code, cookie } = asked.body()?;
    may_have_cookie(&asked, cookie)?;
    let office = &asked.office.operators;
    let confirmed = office.confirm(&operator, password, &code, &asked.asking()).await?;
    given(&confirmed, cookie)
}

/// Who is signed in, and what they may do.
#[utoipa::path(
    get, path = "/admin/v1/me", operation_id = "me", tag = "session",
    responses((status = 200, description = "Who.", body = Me))
)]
pub(super) async fn me(asked: Asked, operator: Operator) -> Result<Given, Problem> {
    asked.no_query()?;
    let may = Permission::ALL.iter().filter(|permission| operator.may(**permission));
    let me = Me {
        operator: operator.id.to_string(),
        role: operator.role.code(),
        permissions: may.map(|permission| permission.code()).collect(),
        confirmed: operator.confirmed,
        ends_at: operator.ends_at.to_string(),
    };
    Ok(Reply::of(&me)?.into())
}

/// A text that is wiped when it is not needed any more.
pub(super) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// A cookie that anybody could read on its way is none.
fn may_have_cookie(asked: &Asked, cookie: bool) -> Result<(), Problem> {
    if cookie && !asked.is_secure {
        return Err(Problem::at(ApiRefusal::BodyInvalid, "cookie"));
    }
    debug_assert!(CSRF.starts_with("x-"), "no page of another origin can send it unasked");
    Ok(())
}

fn given(signed_in: &SignedIn, cookie: bool) -> Result<Given, Problem> {
    let token = signed_in.token.to_text();
    let session = Session {
        operator: signed_in.operator.to_string(),
        token: (!cookie).then(|| token.as_str().to_owned()),
    };
    let cookie = cookie.then(|| set_cookie(&token, "")).flatten();
    Ok(Given { cookie, ..Reply::of(&session)?.into() })
}

fn set_cookie(value: &str, more: &str) -> Option<HeaderValue> {
    let text = format!("{COOKIE_NAME}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{more}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
