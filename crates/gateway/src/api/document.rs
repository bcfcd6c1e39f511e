//! The OpenAPI 3.1 document, made from the routes and their handlers: what each needs, and every status
//! that it can answer.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::StatusCode;
use model::Permission;
use model::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use serde::Serialize;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, OpenApiBuilder, Paths, Ref, RefOr,
    Required, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema};

use super::refusal::{ApiRefusal, Met};
use super::routes::Documented;
use super::{admin, headers, idempotency};
use crate::Refusal;
use crate::answer::{self, Answer};

const SCHEME: &str = "api_key";
const SESSION: &str = "session";
const COOKIE: &str = "cookie";

/// What an operation asks of whoever calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing.
    Nothing,
    /// An API key with this permission.
    Key(Permission),
    /// A password and a code.
    SignIn,
    /// A session.
    Session(OfSession),
    /// A session whose operator has this permission, and perhaps has confirmed.
    Operator { permission: Permission, confirmed: bool },
}

/// What an operation is about that every operator may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfSession {
    /// Who they are, and that they go.
    Themselves,
    /// That they say once more who they are.
    Confirming,
    /// Their own password.
    Password,
    /// What others want them to approve.
    Approvals,
    /// What they say to that.
    Decision,
}

impl OfSession {
    /// Whether they must have confirmed who they are.
    pub(super) const fn is_confirmed(self) -> bool {
        matches!(self, Self::Password | Self::Decision)
    }
}

/// Whose document it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Api,
    Admin,
}

/// What the gate refuses before any route sees it, or as a route sees it.
const OF_THE_GATE: [Refusal; 11] = [
    Refusal::PlainHttp,
    Refusal::HeadMalformed,
    Refusal::HeadTooLarge,
    Refusal::TargetTooLong,
    Refusal::HttpVersion,
    Refusal::HostInvalid,
    Refusal::LengthRequired,
    Refusal::LengthAmbiguous,
    Refusal::HeaderRepeated,
    Refusal::Expectation,
    Refusal::BodyUnexpected,
];

/// The document while routes are added.
#[derive(Default)]
pub(super) struct Document {
    paths: Paths,
    schemas: Vec<(String, RefOr<Schema>)>,
}

/// A problem (RFC 9457).
#[derive(Serialize, ToSchema)]
struct Problem {
    /// Which problem it is: a URN with the code.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// The stable code.
    code: String,
    /// What it means, and what to do.
    detail: Option<String>,
    /// What of the request it is about.
    place: Option<String>,
    /// The request, as the log of the gateway knows it.
    #[schema(pattern = "^req_[0-9a-hjkmnp-tv-z]{26}$")]
    request: String,
}

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "openapi", tag = "document",
    responses((status = 200, description = "The document.", body = serde_json::Value))
)]
pub(super) fn show() -> Answer {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(super::openapi()));
    answer::api_done(DOCUMENT.clone())
}

impl Document {
    /// Adds an operation; gives its path and its method.
    pub(super) fn add<D: Documented>(&mut self, asks: Asks) -> (&'static str, HttpMethod) {
        let methods = D::methods();
        let is_post = methods.contains(&HttpMethod::Post);
        let operation = complete(D::operation(), asks, is_post);
        // There is a handful of routes for as long as the process runs.
        let path: &'static str = D::path().leak();
        self.paths.add_path_operation(path, methods, operation);
        D::schemas(&mut self.schemas);
        (path, if is_post { HttpMethod::Post } else { HttpMethod::Get })
    }

    /// The whole document.
    pub(super) fn text(mut self, door: Door) -> String {
        self.schemas.push((Problem::name().into_owned(), Problem::schema()));
        Problem::schemas(&mut self.schemas);
        if door == Door::Admin {
            self.schemas.push((admin::Awaited::name().into_owned(), admin::Awaited::schema()));
            admin::Awaited::schemas(&mut self.schemas);
        }
        let mut components = ComponentsBuilder::new().schemas_from_iter(self.schemas);
        for (name, scheme) in schemes(door) {
            components = components.security_scheme(name, scheme);
        }
        let mut components = components.build();
        components.headers.extend(headers::described(door));
        let about = match door {
            Door::Api => "The API of the gateway for applications: docs/api.md.",
            Door::Admin => "The API of the gateway for operators: docs/operators.md.",
        };
        let info = InfoBuilder::new()
            .title("Countersign")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(about))
            .build();
        let document =
            OpenApiBuilder::new().info(info).paths(self.paths).components(Some(components)).build();
        serde_json::to_string_pretty(&document).expect("it is made of texts")
    }
}

/// How somebody says who they are.
fn schemes(door: Door) -> Vec<(&'static str, SecurityScheme)> {
    let bearer = |format: &str, about: &str| {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format(format)
            .description(Some(about));
        SecurityScheme::Http(scheme.build())
    };
    match door {
        Door::Api => {
            let about = "An API key. What a route needs stands with it: the key must have it.";
            vec![(SCHEME, bearer("cs_{environment}_…", about))]
        }
        Door::Admin => {
            let about = "The token of a session. What a route needs stands with it: the role of \
                         the operator must have it.";
            let cookie = ApiKeyValue::with_description(
                "__Host-countersign",
                "The same token, over TLS, with `X-Countersign-Csrf: 1` beside it.",
            );
            vec![
                (SESSION, bearer("cs_session_…", about)),
                (COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
            ]
        }
    }
}

/// What holds of every operation beside what its handler says.
fn complete(mut operation: Operation, asks: Asks, is_post: bool) -> Operation {
    let session = |scopes: &[&str]| {
        [SESSION, COOKIE].map(|scheme| SecurityRequirement::new(scheme, scopes.to_vec())).to_vec()
    };
    operation.security = Some(match asks {
        Asks::Nothing | Asks::SignIn => Vec::new(),
        Asks::Key(permission) => vec![SecurityRequirement::new(SCHEME, [permission.code()])],
        Asks::Session(_) => session(&[]),
        Asks::Operator { permission, .. } => session(&[permission.code()]),
    });
    if is_post && matches!(asks, Asks::Key(_)) {
        let key = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .min_length(Some(1))
            .max_length(Some(IDEMPOTENCY_KEY_BYTES_MAX))
            .pattern(Some("^[!-~]+$"));
        let parameter = ParameterBuilder::new()
            .name(idempotency::HEADER)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(
                "New for each thing that you want done, the same when you ask again.",
            ))
            .schema(Some(key.build()))
            .build();
        operation.parameters.get_or_insert_default().push(parameter.into());
    }
    if matches!(asks, Asks::Operator { .. }) {
        needs_approval(&mut operation);
    }
    let refusals = refusals(asks, is_post);
    for (status, Refusals { codes, .. }) in &refusals {
        let content = ContentBuilder::new()
            .schema(Some(RefOr::Ref(Ref::from_schema_name(Problem::name()))))
            .build();
        let response = ResponseBuilder::new()
            .description(codes.join("\n"))
            .content("application/problem+json", content)
            .build();
        operation.responses.responses.insert(status.as_str().to_owned(), response.into());
    }
    for (status, response) in &mut operation.responses.responses {
        let Ok(status) = status.parse::<StatusCode>() else { continue };
        let RefOr::T(response) = response else { continue };
        let is_judged = refusals.get(&status).is_none_or(|refusals| refusals.is_judged);
        for (name, header) in headers::of(status, asks, is_post, is_judged) {
            response.headers.insert(name.to_owned(), RefOr::Ref(header));
        }
    }
    operation
}

/// Where the configuration wants a second person, it is answered so the first time, and asked again.
fn needs_approval(operation: &mut Operation) {
    let id = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .pattern(Some("^apr_[0-9a-hjkmnp-tv-z]{26}$"));
    let parameter = ParameterBuilder::new()
        .name(admin::APPROVAL)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Where a second person is wanted: the approval, when it is asked again."))
        .schema(Some(id.build()))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
    let content = ContentBuilder::new()
        .schema(Some(RefOr::Ref(Ref::from_schema_name(admin::Awaited::name()))))
        .build();
    let response = ResponseBuilder::new()
        .description("Another operator must approve it first ([admin] second_person).")
        .content("application/json", content)
        .build();
    operation.responses.responses.insert(StatusCode::ACCEPTED.as_str().to_owned(), response.into());
}

/// What an operation refuses with one status.
#[derive(Default)]
struct Refusals {
    /// The codes, and what each means.
    codes: Vec<String>,
    /// A route refuses so, and not only the gate before it.
    is_judged: bool,
}

/// The statuses that an operation can refuse with, and what each means.
fn refusals(asks: Asks, is_post: bool) -> BTreeMap<StatusCode, Refusals> {
    let mut statuses: BTreeMap<StatusCode, Refusals> = BTreeMap::new();
    for refusal in ApiRefusal::ALL {
        let is_met = match asks {
            Asks::Key(_) => match refusal.met() {
                Met::WithAKey => true,
                Met::Changing => is_post,
                Met::ByOperators | Met::Nowhere => false,
            },
            Asks::Nothing => false,
            of_operators => is_met_by_operators(*refusal, of_operators, is_post),
        };
        if is_met {
            let told = format!("- `{}`: {}", refusal.code(), refusal.detail());
            let refusals = statuses.entry(answer::api_status(*refusal)).or_default();
            refusals.codes.push(told);
            refusals.is_judged = true;
        }
    }
    for refusal in OF_THE_GATE {
        let status = answer::status_of(refusal, 401);
        if refusal == Refusal::LengthRequired && !is_post {
            continue;
        }
        let codes = &mut statuses.entry(status).or_default().codes;
        let told = format!("- `{}`: see docs/http.md.", answer::outside_code(status));
        if !codes.contains(&told) {
            codes.push(told);
        }
    }
    statuses
}

/// Whether an operation for operators can refuse so.
fn is_met_by_operators(refusal: ApiRefusal, asks: Asks, is_post: bool) -> bool {
    use Permission::{KeysChange, KeysRead, OperatorsChange, OperatorsRead};
    let is_of = |of: OfSession| asks == Asks::Session(of);
    let changes = |what: Permission| asks == Asks::Operator { permission: what, confirmed: true };
    let reads = |what: Permission| asks == Asks::Operator { permission: what, confirmed: false };
    let (is_operators, decides) =
        (matches!(asks, Asks::Operator { .. }), is_of(OfSession::Decision));
    match refusal {
        ApiRefusal::SignInRefused | ApiRefusal::SignInsLimited => {
            asks == Asks::SignIn || is_of(OfSession::Confirming)
        }
        ApiRefusal::SignInsBusy => {
            let hashes = [OfSession::Confirming, OfSession::Password];
            asks == Asks::SignIn || hashes.map(is_of).contains(&true) || changes(OperatorsChange)
        }
        ApiRefusal::NotSignedIn | ApiRefusal::CsrfHeaderMissing | ApiRefusal::FailedTooOften => {
            asks != Asks::SignIn
        }
        ApiRefusal::PermissionMissing => is_operators || decides,
        ApiRefusal::ApprovalMalformed
        | ApiRefusal::ApprovalsMany
        | ApiRefusal::ApprovalWaits
        | ApiRefusal::ApprovalNotYours
        | ApiRefusal::ApprovalOtherRequest => is_operators,
        ApiRefusal::ApprovalOwn | ApiRefusal::ApprovalGiven => decides,
        ApiRefusal::ApprovalExpired
        | ApiRefusal::ApprovalRefused
        | ApiRefusal::ApprovalUsed
        | ApiRefusal::ApprovalVoid
        | ApiRefusal::NotFound => is_operators || decides,
        ApiRefusal::ConfirmationNeeded => match asks {
            Asks::Operator { confirmed, .. } => confirmed,
            Asks::Session(of) => of.is_confirmed(),
            _ => false,
        },
        ApiRefusal::CursorInvalid => reads(KeysRead) || reads(OperatorsRead),
        ApiRefusal::PasswordWeak => is_of(OfSession::Password),
        ApiRefusal::AlreadyRolled | ApiRefusal::AlreadyRevoked => changes(KeysChange),
        ApiRefusal::AlreadySo | ApiRefusal::LoginTaken | ApiRefusal::LastAdministrator => {
            changes(OperatorsChange)
        }
        ApiRefusal::ContentType
        | ApiRefusal::ContentEncoding
        | ApiRefusal::BodyTooLarge
        | ApiRefusal::BodyTooSlow
        | ApiRefusal::BodyIncomplete
        | ApiRefusal::BodyMalformed
        | ApiRefusal::BodyInvalid => is_post,
        ApiRefusal::QueryInvalid
        | ApiRefusal::AuditUnavailable
        | ApiRefusal::TryAgain
        | ApiRefusal::Internal => true,
        _ => false,
    }
}
