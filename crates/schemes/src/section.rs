//! The other things of a provider that are signed: its receipts, and our calls to it.

use crate::engine::Terms;
use crate::profile::Profile;
use crate::reason::Rejection;
use crate::request::Request;
use crate::scheme::{Covers, Keys, Scheme};
use crate::secret::{Secret, SecretError};
use crate::sign::{Draft, SignError, Signed, sign_by};
use crate::time::Freshness;
use crate::verify::{Verified, verify_by};

/// A signed thing beside the webhooks: `[outgoing]`, or a form of `[receipt]`.
#[derive(Clone, Copy)]
pub struct Section<'p> {
    pub(crate) name: &'p str,
    pub(crate) scheme: &'p Scheme,
}

impl Profile {
    /// How our calls to the provider are signed, where the profile says so.
    pub fn outgoing(&self) -> Option<Section<'_>> {
        self.outgoing_scheme().map(|scheme| Section { name: "outgoing", scheme })
    }

    /// A form of the provider's receipts, such as `strong`.
    pub fn receipt(&self, form: &str) -> Option<Section<'_>> {
        let receipt = self.forms().iter().find(|receipt| receipt.name == form)?;
        Some(Section { name: &receipt.name, scheme: &receipt.scheme })
    }

    /// The names of the forms of the provider's receipts, the strongest first.
    pub fn receipt_forms(&self) -> impl Iterator<Item = &str> {
        self.forms().iter().map(|receipt| receipt.name.as_str())
    }
}

impl Section<'_> {
    /// `outgoing`, or the receipt's form.
    pub fn name(&self) -> &str {
        self.name
    }

    /// What the signature vouches for.
    pub fn covers(&self) -> Covers {
        self.scheme.covers
    }

    /// A warning, for known-weak forms.
    pub fn weak(&self) -> Option<&str> {
        self.scheme.weak.as_deref()
    }

    /// Decodes the secrets of this section: never the webhook's.
    pub fn keys(&self, secrets: &[Secret]) -> Result<Keys, SecretError> {
        self.scheme.keys(secrets, None)
    }

    /// Verifies a request; a receipt is the body of one.
    pub fn verify<'r>(
        &self,
        keys: &Keys,
        request: &Request<'r>,
        now_ms: i64,
        freshness: Freshness,
    ) -> Result<Verified<'r>, Rejection> {
        verify_by(self.scheme, keys, request, &Terms::strict(now_ms, freshness))
    }

    /// Signs a draft; a receipt comes back as the body, with its signature.
    pub fn sign(&self, secret: &Secret, draft: Draft<'_>) -> Result<Signed, SignError> {
        sign_by(self.scheme, secret, draft)
    }
}
