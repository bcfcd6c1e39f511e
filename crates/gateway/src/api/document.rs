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
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, OpenApiBuilder, Paths, Ref, RefOr,
    Required, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema};

use super::idempotency;
use super::refusal::{ApiRefusal, Met};
use super::routes::Documented;
use crate::Refusal;
use crate::answer::{self, Answer};

const SCHEME: &str = "api_key";

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
    pub(super) fn add<D: Documented>(
        &mut self,
        needs: Option<Permission>,
    ) -> (&'static str, HttpMethod) {
        let methods = D::methods();
        let is_post = methods.contains(&HttpMethod::Post);
        let operation = complete(D::operation(), needs, is_post);
        // There is a handful of routes for as long as the process runs.
        let path: &'static str = D::path().leak();
        self.paths.add_path_operation(path, methods, operation);
        D::schemas(&mut self.schemas);
        (path, if is_post { HttpMethod::Post } else { HttpMethod::Get })
    }

    /// The whole document.
    pub(super) fn text(mut self) -> String {
        self.schemas.push((Problem::name().into_owned(), Problem::schema()));
        Problem::schemas(&mut self.schemas);
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("cs_{environment}_…")
            .description(Some(
                "An API key. What a route needs stands with it: the key must have it.",
            ))
            .build();
        let components = ComponentsBuilder::new()
            .schemas_from_iter(self.schemas)
            .security_scheme(SCHEME, SecurityScheme::Http(scheme))
            .build();
        let info = InfoBuilder::new()
            .title("Countersign")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some("The API of the gateway for applications: docs/api.md."))
            .build();
        let document =
            OpenApiBuilder::new().info(info).paths(self.paths).components(Some(components)).build();
        serde_json::to_string_pretty(&document).expect("it is made of texts")
    }
}

/// What holds of every operation beside what its handler says.
fn complete(mut operation: Operation, needs: Option<Permission>, is_post: bool) -> Operation {
    let security = match needs {
        Some(permission) => vec![SecurityRequirement::new(SCHEME, [permission.code()])],
        None => Vec::new(),
    };
    operation.security = Some(security);
    if is_post {
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
    for (status, codes) in refusals(needs.is_some(), is_post) {
        let content = ContentBuilder::new()
            .schema(Some(RefOr::Ref(Ref::from_schema_name(Problem::name()))))
            .build();
        let response = ResponseBuilder::new()
            .description(codes.join("\n"))
            .content("application/problem+json", content)
            .build();
        operation.responses.responses.insert(status.as_str().to_owned(), response.into());
    }
    operation
}

/// The statuses that an operation can refuse with, and what each means.
fn refusals(needs_key: bool, is_post: bool) -> BTreeMap<StatusCode, Vec<String>> {
    let mut statuses: BTreeMap<StatusCode, Vec<String>> = BTreeMap::new();
    for refusal in ApiRefusal::ALL {
        let is_met = match refusal.met() {
            Met::WithAKey => needs_key,
            Met::Changing => is_post,
            Met::Nowhere => false,
        };
        if is_met {
            let told = format!("- `{}`: {}", refusal.code(), refusal.detail());
            statuses.entry(answer::api_status(*refusal)).or_default().push(told);
        }
    }
    for refusal in OF_THE_GATE {
        let status = answer::status_of(refusal, 401);
        if refusal == Refusal::LengthRequired && !is_post {
            continue;
        }
        let codes = statuses.entry(status).or_default();
        let told = format!("- `{}`: see docs/http.md.", answer::outside_code(status));
        if !codes.contains(&told) {
            codes.push(told);
        }
    }
    statuses
}
