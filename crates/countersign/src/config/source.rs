//! `[[source]]`: a place that webhooks come from.

use std::sync::Arc;

use gateway::Confirm;
use model::limits;
use schemes::{Authorization, Profile, ReceiptKeys, Secret, SecretError};

use super::document::{At, Source, Texts};
use super::meaning::{Names, Notice, Scope};
use super::network::networks;
use super::problem::{Place, Refusal, nearest};
use super::profiles::Profiles;
use super::secrets::Meaning;
use super::web;

/// Seconds that a signed time may be away from now, at most.
const TOLERANCE_S_MAX: i64 = 86_400;
/// Above this a replay has long to live; the start warns.
const TOLERANCE_S_WARN: i64 = 900;

/// What a source means, or nothing if something about it is wrong.
pub(super) fn source(
    written: &Source,
    profiles: &Profiles,
    sources: &mut Names,
    endpoints: &Names,
    scope: &mut Scope<'_>,
) -> Option<gateway::Source> {
    let name = sources.name(written.name.as_ref(), &written.place, scope.found);
    let named = name.clone().unwrap_or_else(|| written.place.key.clone());
    let profile = profile(written, profiles, scope);
    let secrets = secrets(written, &named, profile.as_deref(), scope);
    let receipt_keys = receipts(written, &named, profile.as_deref(), scope);
    let confirm = confirm(written, &named, profile.as_deref(), scope);
    let routes = routes(written, endpoints, scope);
    let allow_addresses = networks(written.allow_addresses.as_ref(), scope.resolver, scope.found);
    let body_bytes_max = body_bytes_max(written.body_bytes_max.as_ref(), scope);
    let tolerance_s = tolerance_s(written.tolerance_s.as_ref(), scope);
    let rate_limit = rate_limit(written.rate_limit.as_ref(), scope);
    let public_url = public_url(written, profile.as_deref(), scope);
    let amount_unit = amount_unit(written, profile.as_deref(), scope);
    let hold_unknown_orders = hold_unknown_orders(written, scope);
    let accept_unconfirmed = written.accept_unconfirmed.as_ref().is_some_and(|a| a.value);
    warn(written, profile.as_deref(), accept_unconfirmed, &routes, scope);
    Some(gateway::Source {
        name: name?,
        profile: profile?,
        secrets: secrets?,
        receipt_keys,
        confirm: confirm?,
        endpoints: routes?,
        allow_addresses,
        body_bytes_max: body_bytes_max?,
        tolerance_s,
        rate_limit,
        accept_unconfirmed,
        public_url,
        amount_unit,
        payee: written.payee.as_ref().map(|payee| payee.value.clone()),
        hold_unknown_orders,
    })
}

fn profile(written: &Source, profiles: &Profiles, scope: &mut Scope<'_>) -> Option<Arc<Profile>> {
    let Some(provider) = &written.provider else {
        let place = written.place.key("provider");
        let fix = format!("add provider = \"NAME\", one of: {}", profiles.names().join(", "));
        scope.found.add(Refusal::MissingKey, &place, "this source has no provider", fix);
        return None;
    };
    let profile = match profiles.find(&provider.value) {
        Ok(profile) => profile,
        Err(error) => {
            let fix = "correct the profile (docs/profiles.md)";
            scope.found.add(Refusal::BadProfile, &provider.place, error.to_string(), fix);
            return None;
        }
    };
    if profile.is_none() {
        let names = profiles.names();
        let near = nearest(&provider.value, names.iter().copied());
        let near = near.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        let fix = format!(
            "{near}known: {}; your own go into the folder of [providers] directory",
            names.join(", ")
        );
        let message = "no profile of a provider has this name";
        scope.found.add(Refusal::UnknownProvider, &provider.place, message, fix);
    }
    profile.map(Arc::new)
}

/// Each secret is checked by itself, so that each fault has its line; then all make the keys.
fn secrets(
    written: &Source,
    name: &str,
    profile: Option<&Profile>,
    scope: &mut Scope<'_>,
) -> Option<Vec<Secret>> {
    let secrets = match &written.secrets {
        Some(list) if !list.value.is_empty() => list,
        other => {
            let place = other.as_ref().map_or(written.place.key("secrets"), |l| l.place.clone());
            let message = "this source has no secret to verify with";
            let fix = "add secrets = [\"${env:NAME}\"]; the first is current, the rest verify too";
            scope.found.add(Refusal::NoSecrets, &place, message, fix);
            return None;
        }
    };
    let meaning = Meaning::Source(name.to_owned());
    let taken = take(secrets, &meaning, profile, scope, &|profile, secret| {
        profile.keys(std::slice::from_ref(secret)).err()
    });
    let all = taken.len() == secrets.value.len();
    // Together they must make keys too: those of different ways of signing do not.
    profile?.keys(&taken).ok()?;
    all.then_some(taken)
}

fn take(
    secrets: &Texts,
    meaning: &Meaning,
    profile: Option<&Profile>,
    scope: &mut Scope<'_>,
    shape: &dyn Fn(&Profile, &Secret) -> Option<SecretError>,
) -> Vec<Secret> {
    let mut taken = Vec::new();
    for written in &secrets.value {
        let mut reused = Vec::new();
        let (ledger, resolver) = (&mut scope.ledger, scope.resolver);
        let secret =
            ledger.take(written, meaning, scope.environment, resolver, scope.found, &mut reused);
        let Some(secret) = secret else { continue };
        // A public key may be the same everywhere; a shared secret lets one source speak for both.
        if !profile.is_some_and(Profile::asymmetric) {
            for reused in reused {
                let text = format!(
                    "the same secret stands at {}: what one of the two signs, the other accepts",
                    reused.first.key
                );
                scope.notices.push(Notice::new(&written.place, text));
            }
        }
        if let Some(error) = profile.and_then(|profile| shape(profile, &secret)) {
            let fix = "copy it again from the provider's dashboard, whole and nothing else";
            let said = error.to_string();
            // One secret at a time is tried, and its number is in its place already.
            let said = said.strip_prefix("secret 1: ").unwrap_or(&said);
            scope.found.add(Refusal::SecretShape, &written.place, said, fix);
            continue;
        }
        taken.push(secret);
    }
    taken
}

/// What the receipts inside this source's webhooks are verified with.
fn receipts(
    written: &Source,
    name: &str,
    profile: Option<&Profile>,
    scope: &mut Scope<'_>,
) -> Option<ReceiptKeys> {
    let has_receipts = profile.is_some_and(|profile| profile.receipt_forms().next().is_some());
    let Some(secrets) = &written.receipt_secrets else {
        if has_receipts {
            let text =
                "no receipt_secrets: the receipts in this provider's webhooks are not looked at";
            scope.notices.push(Notice::new(&written.place, text));
        }
        return None;
    };
    let meaning = Meaning::Receipt(name.to_owned());
    let taken = take(secrets, &meaning, profile, scope, &|profile, secret| {
        profile.receipt_keys(std::slice::from_ref(secret)).err()
    });
    let profile = profile?;
    if !has_receipts {
        let text = "this provider has no receipts: the key is not used";
        scope.notices.push(Notice::new(&secrets.place, text));
        return None;
    }
    if taken.len() < secrets.value.len() {
        return None;
    }
    // An empty list would leave receipts unlooked at, although somebody wrote that they are to be.
    let keys = profile.receipt_keys(&taken).map_err(|error| {
        let fix = "give one to four of the provider's receipt secrets, or take the key out";
        scope.found.add(Refusal::SecretShape, &secrets.place, error.to_string(), fix);
    });
    keys.ok()
}

/// What the provider is asked with; nothing inside where nobody is to be asked, nothing at all where it is
/// no token.
fn confirm(
    written: &Source,
    name: &str,
    profile: Option<&Profile>,
    scope: &mut Scope<'_>,
) -> Option<Option<Confirm>> {
    let connector = profile.and_then(Profile::connector);
    let Some(token) = &written.confirm_token else {
        if connector.is_some() {
            let text = "no confirm_token: this provider is not asked whether events are so, and they \
                        wait for a person";
            scope.notices.push(Notice::new(&written.place, text));
        }
        return Some(None);
    };
    let meaning = Meaning::Token(name.to_owned());
    let (ledger, resolver, mut reused) = (&mut scope.ledger, scope.resolver, Vec::new());
    let secret =
        ledger.take(token, &meaning, scope.environment, resolver, scope.found, &mut reused)?;
    let Some(connector) = connector else {
        let text = "nobody can be asked about this provider's events: the token is not used";
        scope.notices.push(Notice::new(&token.place, text));
        return Some(None);
    };
    let is_pair = connector.authorization() == Authorization::Basic;
    let fits = secret.with_bytes(|bytes| {
        bytes.iter().all(u8::is_ascii_graphic) && (!is_pair || bytes.contains(&b':'))
    });
    if !fits {
        let message = "this is no token of this provider's";
        let fix = match is_pair {
            true => "give the name and the password with a colon between them, without spaces",
            false => "give the token alone, without Bearer and without spaces",
        };
        scope.found.add(Refusal::SecretShape, &token.place, message, fix);
        return None;
    }
    Some(Some(Confirm { token: secret, base: None, allow_private: false }))
}

fn routes(written: &Source, endpoints: &Names, scope: &mut Scope<'_>) -> Option<Vec<String>> {
    let mut routes: Vec<String> = Vec::new();
    let mut is_fine = true;
    for item in written.endpoints.iter().flat_map(|list| &list.value) {
        if !endpoints.has(&item.value) {
            let near = nearest(&item.value, endpoints.iter());
            let near = near.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
            let known = endpoints.iter().collect::<Vec<_>>().join(", ");
            let fix = if known.is_empty() {
                "add an [[endpoint]] with this name".to_owned()
            } else {
                format!("{near}known: {known}; or add an [[endpoint]] with this name")
            };
            let message = "no endpoint has this name";
            scope.found.add(Refusal::UnknownEndpoint, &item.place, message, fix);
            is_fine = false;
        } else if routes.contains(&item.value) {
            let message = "this endpoint stands in the list already";
            scope.found.add(Refusal::DuplicateName, &item.place, message, "take one of them out");
            is_fine = false;
        } else {
            routes.push(item.value.clone());
        }
    }
    is_fine.then_some(routes)
}

fn body_bytes_max(written: Option<&At<i64>>, scope: &mut Scope<'_>) -> Option<usize> {
    let Some(written) = written else { return Some(limits::BODY_BYTES_DEFAULT) };
    let bytes = usize::try_from(written.value)
        .ok()
        .filter(|bytes| (1..=limits::BODY_BYTES_MAX).contains(bytes));
    if bytes.is_none() {
        let message = "a body's limit is between 1 byte and 5 MiB";
        let fix = format!("write a number of bytes from 1 to {}", limits::BODY_BYTES_MAX);
        scope.found.add(Refusal::BadBodyLimit, &written.place, message, fix);
    }
    bytes
}

fn tolerance_s(written: Option<&At<i64>>, scope: &mut Scope<'_>) -> Option<i64> {
    let written = written?;
    if !(1..=TOLERANCE_S_MAX).contains(&written.value) {
        let message = "a window is between 1 second and 1 day";
        let fix = "write a number of seconds; 300 is usual, and the profile's unless you say other";
        scope.found.add(Refusal::BadTolerance, &written.place, message, fix);
        return None;
    }
    if written.value > TOLERANCE_S_WARN {
        let text = "a window of more than 15 minutes leaves replays long to live";
        scope.notices.push(Notice::new(&written.place, text));
    }
    Some(written.value)
}

fn rate_limit(written: Option<&At<String>>, scope: &mut Scope<'_>) -> Option<model::rate::Rate> {
    let written = written?;
    let text = scope.resolver.text(written, scope.found)?;
    let rate = text.parse().ok();
    if rate.is_none() {
        let message = "this is not a rate";
        let fix = "write a count, a slash, and a time in s, m or h, such as \"10/1m\"";
        scope.found.add(Refusal::BadRate, &written.place, message, fix);
    }
    rate
}

fn public_url(
    written: &Source,
    profile: Option<&Profile>,
    scope: &mut Scope<'_>,
) -> Option<String> {
    let is_bound = profile.is_some_and(Profile::url_bound);
    let Some(url) = &written.public_url else {
        if is_bound {
            let place = written.place.key("public_url");
            let message = "this provider signs the URL as registered with it, which is not known";
            let fix = "add public_url = \"https://…\", letter for letter as the provider has it";
            scope.found.add(Refusal::PublicUrlMissing, &place, message, fix);
        }
        return None;
    };
    if profile.is_some() && !is_bound {
        let text = "this provider does not sign the URL: the key is not used";
        scope.notices.push(Notice::new(&url.place, text));
    }
    web::public(url, scope.environment, scope.resolver, scope.found)
}

fn hold_unknown_orders(written: &Source, scope: &mut Scope<'_>) -> bool {
    let Some(At { value, place }) = &written.unknown_orders else { return false };
    if !matches!(value.as_str(), "pass" | "hold") {
        let message = "what becomes of events that name an unknown order is one of two words";
        let fix = "write \"pass\", as without the key, or \"hold\"";
        scope.found.add(Refusal::BadUnknownOrders, place, message, fix);
    }
    value == "hold"
}

fn amount_unit(
    written: &Source,
    profile: Option<&Profile>,
    scope: &mut Scope<'_>,
) -> Option<String> {
    let units = profile?.amount_units();
    let list = units.join(", ");
    let Some(unit) = &written.amount_unit else {
        if !units.is_empty() {
            let place = written.place.key("amount_unit");
            let message = "this provider does not say what unit its amounts are in";
            let fix = format!("ask the provider, then add amount_unit = one of: {list}");
            scope.found.add(Refusal::AmountUnitMissing, &place, message, fix);
        }
        return None;
    };
    if units.is_empty() {
        let text = "this provider says its unit of money itself: the key is not used";
        scope.notices.push(Notice::new(&unit.place, text));
        return None;
    }
    if !units.contains(&unit.value) {
        let message = "this provider does not use such a unit";
        let fix = format!("write one of: {list}");
        scope.found.add(Refusal::AmountUnitUnknown, &unit.place, message, fix);
        return None;
    }
    Some(unit.value.clone())
}

fn warn(
    written: &Source,
    profile: Option<&Profile>,
    accept_unconfirmed: bool,
    routes: &Option<Vec<String>>,
    scope: &mut Scope<'_>,
) {
    let place: &Place = &written.place;
    if let Some(weak) = profile.and_then(Profile::weak) {
        scope.notices.push(Notice::new(place, format!("weak scheme: {weak}")));
    }
    if accept_unconfirmed {
        let text = "accept_unconfirmed delivers what the signature does not cover in full: the \
                    application must confirm it with the provider";
        scope.notices.push(Notice::new(place, text));
    }
    if routes.as_ref().is_some_and(Vec::is_empty) {
        let text = "no endpoints: events are kept and not delivered";
        scope.notices.push(Notice::new(place, text));
    }
}
