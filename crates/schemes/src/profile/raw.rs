//! The profile file as it is written. Unknown keys are errors.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

pub(super) type Text = Spanned<String>;

/// One value where most need one, or a list.
#[derive(Debug, Clone, Default)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

pub(super) type Texts = Spanned<OneOrMany<String>>;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProfile {
    pub(super) title: String,
    pub(super) version: Spanned<u32>,
    pub(super) docs: Vec<String>,
    pub(super) reviewed: Text,
    #[serde(default)]
    pub(super) notes: Vec<String>,
    pub(super) scheme: RawScheme,
    pub(super) event: Spanned<OneOrMany<RawEvent>>,
    #[serde(default)]
    pub(super) dedup: RawDedup,
    #[serde(default)]
    pub(super) status: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) decimals: BTreeMap<String, u8>,
    pub(super) reference: Option<RawReference>,
    pub(super) ack: Option<RawAck>,
    pub(super) refuse: Option<RawRefuse>,
    pub(super) secret: Option<RawSecret>,
    #[serde(default)]
    pub(super) personal: RawPersonal,
    pub(super) auth: Option<RawAuth>,
    pub(super) origin: Option<RawOrigin>,
    #[serde(default)]
    pub(super) receipt: BTreeMap<String, RawScheme>,
    pub(super) outgoing: Option<RawScheme>,
    pub(super) confirm: Option<RawConfirm>,
    #[serde(default)]
    pub(super) vector: Vec<Spanned<RawVector>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScheme {
    pub(super) covers: Text,
    pub(super) weak: Option<String>,
    #[serde(default)]
    pub(super) vector_names: Vec<Text>,
    pub(super) alt: Spanned<OneOrMany<RawAlternative>>,
    pub(super) fresh: Option<RawFresh>,
    pub(super) each: Option<Text>,
    /// Where a receipt stands in a webhook's body.
    pub(super) at: Option<Text>,
    /// When a webhook must hold a receipt.
    pub(super) needed: Option<RawCondition>,
    /// What a receipt says, and where.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) require: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) equal: Vec<Spanned<[String; 2]>>,
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAlternative {
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) when: RawCondition,
    pub(super) algo: Text,
    pub(super) key: RawKey,
    pub(super) sig: RawSignature,
    #[serde(default)]
    pub(super) vars: BTreeMap<String, RawPart>,
    #[serde(default)]
    pub(super) message: Vec<Text>,
}

#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCondition {
    pub(super) present: Option<Texts>,
    pub(super) absent: Option<Texts>,
    #[serde(default)]
    pub(super) equals: BTreeMap<String, Text>,
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKey {
    pub(super) decode: Option<Text>,
    /// `certificate`: the key comes with the request, and the five that follow say which.
    pub(super) from: Option<Text>,
    pub(super) setting: Option<Text>,
    pub(super) url: Option<Text>,
    pub(super) host: Option<Texts>,
    pub(super) path: Option<Text>,
    pub(super) name: Option<Texts>,
    pub(super) signing: Option<Text>,
    pub(super) bytes_min: Option<usize>,
    pub(super) bytes_max: Option<usize>,
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignature {
    pub(super) from: Text,
    pub(super) list: Option<String>,
    pub(super) split: Option<String>,
    pub(super) take: Option<String>,
    pub(super) strip: Option<String>,
    pub(super) enc: Text,
    pub(super) max: Option<Spanned<usize>>,
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPart {
    pub(super) from: Text,
    pub(super) list: Option<String>,
    pub(super) split: Option<String>,
    pub(super) take: Option<String>,
    pub(super) strip: Option<String>,
    #[serde(rename = "match")]
    pub(super) pattern: Option<Text>,
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFresh {
    pub(super) var: Option<Text>,
    pub(super) from: Option<Text>,
    pub(super) unit: Text,
    pub(super) past: Spanned<i64>,
    pub(super) future: Spanned<i64>,
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvent {
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) when: RawCondition,
    pub(super) each: Option<Text>,
    pub(super) id: Option<Texts>,
    #[serde(rename = "type")]
    pub(super) kind: Texts,
    pub(super) order: Option<Texts>,
    pub(super) amount: Option<Texts>,
    pub(super) amount_unit: Option<Texts>,
    pub(super) currency: Option<Texts>,
    pub(super) customer: Option<Texts>,
    pub(super) payee: Option<Texts>,
    pub(super) payment: Option<Texts>,
    pub(super) part: Option<Texts>,
    pub(super) refunded: Option<Texts>,
    pub(super) chain: Option<Texts>,
    pub(super) address: Option<Texts>,
    pub(super) sender: Option<Texts>,
    pub(super) card: Option<Texts>,
    pub(super) status: Option<Texts>,
    pub(super) live: Option<Texts>,
    #[serde(default)]
    pub(super) live_values: Vec<String>,
    #[serde(default)]
    pub(super) test_values: Vec<String>,
    #[serde(default)]
    pub(super) shape: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) need: BTreeMap<String, Spanned<Vec<String>>>,
    #[serde(default)]
    pub(super) patterns: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) unsigned: Vec<String>,
    pub(super) dedup: Option<RawDedup>,
}

#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDedup {
    pub(super) key: Option<Texts>,
    pub(super) fallback: Option<Texts>,
    pub(super) compare: Option<Texts>,
}

/// How the provider's API is asked about an event.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfirm {
    pub(super) live: Text,
    pub(super) test: Text,
    pub(super) path: Text,
    pub(super) auth: Text,
    pub(super) types: Texts,
    pub(super) payment: Text,
    pub(super) pattern: Text,
    pub(super) amount_unit: Text,
    pub(super) answer: RawAnswer,
    #[serde(default)]
    pub(super) status: BTreeMap<String, Text>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAnswer {
    pub(super) payment: Text,
    pub(super) status: Text,
    pub(super) amount: Text,
    pub(super) currency: Text,
    #[serde(default)]
    pub(super) order: Vec<Text>,
    pub(super) payee: Option<Text>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAck {
    pub(super) status: Option<Spanned<u16>>,
    pub(super) content_type: Option<String>,
    #[serde(default)]
    pub(super) body: String,
    pub(super) within_ms: Option<u32>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRefuse {
    pub(super) status: Spanned<u16>,
}

/// What the provider takes as the reference of an order.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReference {
    pub(super) shape: Text,
    pub(super) expected: String,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecret {
    pub(super) shape: Option<Text>,
    pub(super) expected: String,
    pub(super) from: Option<String>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPersonal {
    #[serde(default)]
    pub(super) paths: Vec<Text>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    pub(super) kind: String,
    pub(super) header: Option<String>,
    pub(super) note: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOrigin {
    #[serde(default)]
    pub(super) live: Vec<String>,
    #[serde(default)]
    pub(super) test: Vec<String>,
    pub(super) url: Option<String>,
    pub(super) note: Option<String>,
}

/// A vector. With `like`, what it does not say is that of the vector of this name.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVector {
    pub(super) name: String,
    pub(super) like: Option<String>,
    pub(super) expect: Option<String>,
    pub(super) section: Option<String>,
    pub(super) secret: Option<OneOrMany<String>>,
    /// What stands at the URL of the certificate, and who is trusted; both in PEM.
    pub(super) certificate: Option<String>,
    pub(super) roots: Option<String>,
    pub(super) now: Option<i64>,
    pub(super) method: Option<String>,
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, OneOrMany<String>>,
    #[serde(default)]
    pub(super) without: Vec<String>,
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) replace: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) event: BTreeMap<String, String>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// Takes a list for a list, and anything else for a list of one.
struct Either<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value or a list of them")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|one| OneOrMany(vec![one]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany)
    }
}
