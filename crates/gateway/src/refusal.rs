//! Why an arrival was refused before anything was recorded.

use model::Step;
use schemes::Rejection;

/// Why an arrival was refused. The sender learns the status only; operators see the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A live gateway was spoken to over plain HTTP.
    PlainHttp,
    /// The request's line or headers are not HTTP/1.1 as everybody reads it.
    HeadMalformed,
    /// The headers are too many or too long.
    HeadTooLarge,
    /// The path and query are too long.
    TargetTooLong,
    /// The version is not HTTP/1.1.
    HttpVersion,
    /// There is not exactly one good `Host`, or the target names another.
    HostInvalid,
    /// There is no `Content-Length`.
    LengthRequired,
    /// The body's length is told twice, or not in plain digits.
    LengthAmbiguous,
    /// A header of which one line counts comes twice.
    HeaderRepeated,
    /// `Expect` asks for more than `100-continue`.
    Expectation,
    /// A method without a body has one.
    BodyUnexpected,
    /// The path is not `/in/{source}`.
    NotFound,
    /// The method is not POST.
    MethodNotAllowed,
    /// The `Host` is not one of `[server] hosts`.
    HostNotAllowed,
    /// No source has this name.
    UnknownSource,
    /// The source's `allow_addresses` does not hold the sender's address.
    AddressNotAllowed,
    /// The source's `rate_limit` is used up for this address.
    RateLimited,
    /// The body is larger than the source allows.
    BodyTooLarge,
    /// The body is compressed.
    ContentEncoding,
    /// The body ended early or was not well-formed HTTP.
    BodyIncomplete,
    /// The body came too slowly.
    BodyTooSlow,
    /// The signature could not be verified.
    Unverified(Rejection),
    /// The certificate that it is signed with could not be fetched: the provider must send it again.
    CertificateUnavailable,
    /// The event could not be made durable: the provider must send it again.
    NotDurable,
    /// Its audit entry could not be written.
    AuditUnavailable,
    /// Too many webhooks wait to be made durable.
    Overloaded,
}

impl Refusal {
    /// Every refusal of our own; [`Rejection::ALL`] has the reasons of verification.
    pub const ALL: &'static [Self] = &[
        Self::PlainHttp,
        Self::HeadMalformed,
        Self::HeadTooLarge,
        Self::TargetTooLong,
        Self::HttpVersion,
        Self::HostInvalid,
        Self::LengthRequired,
        Self::LengthAmbiguous,
        Self::HeaderRepeated,
        Self::Expectation,
        Self::BodyUnexpected,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::HostNotAllowed,
        Self::UnknownSource,
        Self::AddressNotAllowed,
        Self::RateLimited,
        Self::BodyTooLarge,
        Self::ContentEncoding,
        Self::BodyIncomplete,
        Self::BodyTooSlow,
        Self::CertificateUnavailable,
        Self::NotDurable,
        Self::AuditUnavailable,
        Self::Overloaded,
    ];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::PlainHttp => "plain_http",
            Self::HeadMalformed => "head_malformed",
            Self::HeadTooLarge => "head_too_large",
            Self::TargetTooLong => "target_too_long",
            Self::HttpVersion => "http_version",
            Self::HostInvalid => "host_invalid",
            Self::LengthRequired => "length_required",
            Self::LengthAmbiguous => "length_ambiguous",
            Self::HeaderRepeated => "header_repeated",
            Self::Expectation => "expectation",
            Self::BodyUnexpected => "body_unexpected",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::HostNotAllowed => "host_not_allowed",
            Self::UnknownSource => "unknown_source",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::RateLimited => "rate_limited",
            Self::BodyTooLarge => "body_too_large",
            Self::ContentEncoding => "content_encoding",
            Self::BodyIncomplete => "body_incomplete",
            Self::BodyTooSlow => "body_too_slow",
            Self::Unverified(rejection) => rejection.code(),
            Self::CertificateUnavailable => "certificate_unavailable",
            Self::NotDurable => "not_durable",
            Self::AuditUnavailable => "audit_unavailable",
            Self::Overloaded => "overloaded",
        }
    }

    /// The step of the way in that refused.
    pub fn step(self) -> Step {
        match self {
            Self::Unverified(_) | Self::CertificateUnavailable => Step::Verify,
            Self::NotDurable | Self::AuditUnavailable | Self::Overloaded => Step::Record,
            _ => Step::Admit,
        }
    }
}
