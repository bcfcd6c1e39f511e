//! Is it really the provider? One engine verifies and makes the signatures of payment providers.
//!
//! Everything particular to a provider is a [`Profile`], a TOML file; no code names a provider.
//! [`verify`] is the only maker of [`Verified`], and [`read`] takes nothing else: no field is read
//! before the signature holds. `docs/profiles.md` describes the language.

pub mod bounds;
mod certificate;
mod confirm;
mod engine;
mod event;
mod form;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod json;
mod key;
mod profile;
mod read;
mod reason;
mod receipt;
mod request;
mod scheme;
mod secret;
mod section;
mod sign;
mod source;
pub mod standard_webhooks;
mod template;
mod time;
pub mod vectors;
mod verify;

pub use certificate::{CertificateUrl, Certified, Chain, Roots};
pub use confirm::{AnswerFault, Authorization, Confirmation, Connector, Question};
pub use engine::Nested;
pub use event::Fields;
pub use profile::{Answer, Profile, ProfileError};
pub use read::read;
pub use reason::{Rejection, Unreadable};
pub use receipt::{Difference, Receipt, ReceiptFault, ReceiptField, ReceiptKeys};
pub use request::Request;
pub use scheme::{Covers, Keys};
pub use secret::{Secret, SecretEnvironment, SecretError, SecretFault};
pub use section::Section;
pub use sign::{Draft, SignError, Signed, sign};
pub use time::Freshness;
pub use verify::{Verified, verify, verify_certified};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The profiles that come with the binary, name and text, sorted by name.
pub fn embedded() -> &'static [(&'static str, &'static str)] {
    EMBEDDED
}
