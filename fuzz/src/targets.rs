//! The targets, by what they take: signed requests, texts, what comes over the wire, what is stored, what
//! is audited, what nodes of chains answer.

mod audited;
mod chains;
mod claims;
mod requests;
mod stored;
mod texts;
mod wire;

use crate::Target;

macro_rules! targets {
    ($($name:literal: $run:path,)*) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target { name: $name, run: $run },)*];
    };
}

targets! {
    "verify": requests::verify,
    "event": requests::event,
    "money": requests::money,
    "amount": texts::amount,
    "delivery": requests::delivery,
    "vectors": requests::vectors,
    "receipt": claims::receipt,
    "certificate": claims::certificate,
    "certificate-url": claims::certificate_url,
    "confirmation": claims::confirmation,
    "profile": texts::profile,
    "secret": texts::secret,
    "config": texts::config,
    "ids": texts::ids,
    "api-key": texts::api_key,
    "api-query": wire::api_query,
    "api-body": wire::api_body,
    "rate": texts::rate,
    "time": texts::time,
    "json": wire::json,
    "form": wire::form,
    "head": wire::head,
    "forwarded": wire::forwarded,
    "proxy": wire::proxy,
    "retry-after": wire::retry_after,
    "sealed": stored::sealed,
    "wrapped": stored::wrapped,
    "facts": stored::facts,
    "chain": self::chains::chain,
    "quantity": self::chains::quantity,
    "leaf": audited::leaf,
    "note": audited::note,
    "export": audited::export,
    "witness": audited::witness,
    "redact": stored::redact,
}

/// A target with a bug that is known: a run that does not find it finds nothing. No part of
/// [`TARGETS`].
pub const PLANTED: Target = Target { name: "planted", run: planted };

fn planted(bytes: &[u8]) {
    // One letter after the other, so that coverage can lead the way.
    let wanted = b"pay!";
    let same = bytes.iter().zip(wanted).take_while(|(byte, wanted)| byte == wanted).count();
    assert!(same < wanted.len(), "the planted bug");
}
