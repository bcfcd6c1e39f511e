//! Secrets: of the right kind for the environment, and of one meaning each.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use model::Environment;
use schemes::{Secret, SecretEnvironment};

use super::document::At;
use super::problem::{Found, Place, Refusal};
use super::reference::Resolver;

/// Whose secret it is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A provider signs webhooks to this source with it.
    Source(String),
    /// A provider signs receipts of this source with it.
    Receipt(String),
    /// The provider of this source is asked with it.
    Token(String),
    /// We sign deliveries to this endpoint with it.
    Endpoint(String),
}

/// Remembers which secret was used for what, by a hash that means nothing outside of this run.
#[derive(Default)]
pub(super) struct Ledger {
    hasher: RandomState,
    used: HashMap<u64, (Meaning, Place)>,
}

/// A secret that may not be what was meant, although nothing is wrong with it.
pub(super) struct Reused {
    /// Where it stands first.
    pub(super) first: Place,
}

impl Ledger {
    /// Resolves one secret and checks what can be said without knowing its scheme. `reused` is
    /// told of one that another source has too.
    pub(super) fn take(
        &mut self,
        written: &At<String>,
        meaning: &Meaning,
        environment: Environment,
        resolver: &Resolver<'_>,
        found: &mut Found,
        reused: &mut Vec<Reused>,
    ) -> Option<Secret> {
        let text = resolver.secret(written, found)?;
        let print = self.hasher.hash_one(&text);
        let secret = Secret::new(text);
        let is_kind = fits(&secret, environment, &written.place, found);
        let place = written.place.clone();
        let Some((other, first)) = self.used.get(&print) else {
            self.used.insert(print, (meaning.clone(), place));
            return is_kind.then_some(secret);
        };
        let is_endpoint = |meaning: &Meaning| matches!(meaning, Meaning::Endpoint(_));
        if other == meaning {
            let message = format!("this secret stands in the list already, at {}", first.key);
            let fix = "take one of the two out; a rotation needs two different secrets";
            found.add(Refusal::SecretRepeated, &place, message, fix);
            return None;
        }
        if is_endpoint(other) != is_endpoint(meaning) {
            let message =
                format!("a provider and an endpoint share this secret, see {}", first.key);
            let fix = "give the endpoint a secret of its own: whoever has the provider's could \
                       sign deliveries";
            found.add(Refusal::SecretShared, &place, message, fix);
            return None;
        }
        if !is_endpoint(meaning) {
            reused.push(Reused { first: first.clone() });
        }
        is_kind.then_some(secret)
    }
}

/// Test keys in test, live keys in live.
fn fits(secret: &Secret, environment: Environment, place: &Place, found: &mut Found) -> bool {
    match (secret.environment(), environment) {
        (Some(SecretEnvironment::Test), Environment::Live) => {
            let message = "this is a test key, and the gateway is live";
            let fix = "use the live key here; a test gateway is an installation of its own";
            found.add(Refusal::TestKeyInLive, place, message, fix);
            false
        }
        (Some(SecretEnvironment::Live), Environment::Test) => {
            let message = "this is a live key, and the gateway is for tests";
            let fix = "use the test key here, or set environment = \"live\" in an installation of \
                       its own";
            found.add(Refusal::LiveKeyInTest, place, message, fix);
            false
        }
        _ => true,
    }
}
