//! Is it really the provider? One engine verifies and makes the signatures of payment providers.
//!
//! Everything particular to a provider is a [`Profile`], a TOML file; no code names a provider.
//! [`verify`] is the only maker of [`Verified`], and [`read`] takes nothing else: no field is read
//! before the signature holds. `docs/profiles.md` describes the language.

pub mod bounds;
pub mod json;
mod profile;
mod read;
mod reason;
mod request;
mod secret;
mod sign;
pub mod standard_webhooks;
pub mod vectors;
mod verify;

pub use profile::{Answer, Covers, Keys, Profile, ProfileError};
pub use read::{Fields, read};
pub use reason::{Rejection, Unreadable};
pub use request::Request;
pub use secret::{Secret, SecretEnvironment, SecretError, SecretFault};
pub use sign::{Draft, SignError, Signed, sign};
pub use verify::{Freshness, Verified, verify};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The profiles that come with the binary, name and text, sorted by name.
pub fn embedded() -> &'static [(&'static str, &'static str)] {
    EMBEDDED
}
