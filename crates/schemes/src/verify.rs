//! Is it really the provider? The only maker of [`Verified`].

use std::sync::Arc;

use crate::certificate::Certified;
use crate::engine::{self, Proof, Terms};
use crate::json::Document;
use crate::profile::Profile;
use crate::reason::Rejection;
use crate::request::Request;
use crate::scheme::{Covers, Keys, Scheme};
use crate::time::Freshness;

/// Proof that a request was signed with one of the source's secrets, inside the window.
#[derive(Clone)]
pub struct Verified<'r> {
    request: Request<'r>,
    proof: Proof<'r>,
    covers: Covers,
    weak: bool,
    alternative: Arc<str>,
    headers: Arc<[Box<str>]>,
    all_headers: bool,
}

impl<'r> Verified<'r> {
    /// The exact bytes that were received.
    pub fn body(&self) -> &'r [u8] {
        self.request.body
    }

    /// What the signature vouches for.
    pub fn covers(&self) -> Covers {
        self.covers
    }

    /// Whether the scheme is a known-weak form.
    pub fn weak(&self) -> bool {
        self.weak
    }

    /// Which alternative of the scheme decided.
    pub fn alternative(&self) -> &str {
        &self.alternative
    }

    /// Which of the source's secrets signed, counted from 0.
    pub fn key(&self) -> usize {
        self.proof.key
    }

    /// The signed time in milliseconds since 1970, where one is signed.
    pub fn signed_at_ms(&self) -> Option<i64> {
        self.proof.signed_at_ms
    }

    /// The headers that verifying and reading need, for doing both again later.
    pub fn evidence(&self) -> Vec<(&'r str, &'r [u8])> {
        let needed = |name: &str| {
            self.all_headers || self.headers.iter().any(|other| other.eq_ignore_ascii_case(name))
        };
        self.request.headers.iter().filter(|(name, _)| needed(name)).copied().collect()
    }

    pub(crate) fn request(&self) -> &Request<'r> {
        &self.request
    }

    pub(crate) fn document(&self) -> Option<&Document<'r>> {
        self.proof.document.as_ref()
    }
}

/// Verifies a request's signature, and that its signed time is inside the window around `now_ms`.
///
/// A refusal says why; that is for the operator alone and never for the sender.
pub fn verify<'r>(
    profile: &Profile,
    keys: &Keys,
    request: &Request<'r>,
    now_ms: i64,
    freshness: Freshness,
) -> Result<Verified<'r>, Rejection> {
    verify_by(profile.scheme(), keys, request, &Terms::strict(now_ms, freshness))
}

/// Verifies a request whose signature was made with the key of a certificate, which the caller has
/// fetched from the [URL](Profile::certificate_url) that the request names.
///
/// Without a certificate this is [`verify`], and whatever takes one is refused.
pub fn verify_certified<'r>(
    profile: &Profile,
    keys: &Keys,
    request: &Request<'r>,
    now_ms: i64,
    freshness: Freshness,
    certified: Option<Certified<'_>>,
) -> Result<Verified<'r>, Rejection> {
    let terms = Terms { certified, ..Terms::strict(now_ms, freshness) };
    verify_by(profile.scheme(), keys, request, &terms)
}

pub(crate) fn verify_by<'r>(
    scheme: &Scheme,
    keys: &Keys,
    request: &Request<'r>,
    terms: &Terms<'_>,
) -> Result<Verified<'r>, Rejection> {
    let proof = engine::verify(scheme, keys, request, terms)?;
    let alternative = scheme.alternatives.get(proof.alternative);
    let alternative = alternative.ok_or(Rejection::MissingHeader)?;
    Ok(Verified {
        request: *request,
        proof,
        covers: scheme.covers,
        weak: scheme.weak.is_some(),
        alternative: Arc::clone(&alternative.name),
        headers: Arc::clone(&alternative.headers),
        all_headers: alternative.signs_named_headers,
    })
}
