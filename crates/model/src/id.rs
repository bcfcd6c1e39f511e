//! Typed, prefixed identifiers: a prefix and 26 Crockford characters of a UUIDv7.
//!
//! The text form is `evt_01j8…`; the binary form is the UUID's 16 bytes. Ids sort by the time they
//! were made, in both forms.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

pub(crate) const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LENGTH: usize = 26;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId {
    /// The prefix that was expected, without the underscore.
    pub prefix: &'static str,
}

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an id of the form {}_ and 26 letters and digits", self.prefix)
    }
}

impl std::error::Error for NotAnId {}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The prefix of the text form, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id from the time now and ten random bytes (UUIDv7, RFC 9562).
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid_v7(now, random))
            }

            /// The id whose binary form these bytes are.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The binary form.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, crockford(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix($prefix)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .and_then(parse_crockford)
                    .map(Self)
                    .ok_or(NotAnId { prefix: $prefix })
            }
        }
    )*};
}

ids! {
    /// One HTTP request to a source, accepted or refused.
    ArrivalId = "arr";
    /// A verified, immutable event.
    EventId = "evt";
    /// One event to one endpoint.
    DeliveryId = "dlv";
    /// One try of a delivery.
    AttemptId = "att";
    /// One request to any of our listeners, named in answers and logs.
    RequestId = "req";
    /// An API key.
    ApiKeyId = "key";
    /// A secret of a source or an endpoint that the store keeps.
    SecretId = "sec";
    /// A person who operates the gateway.
    OperatorId = "opr";
    /// What an application expects to be paid.
    OrderId = "ord";
    /// What one operator asks another to approve.
    ApprovalId = "apr";
    /// A block of a party.
    BlockId = "blk";
}

impl ApiKeyId {
    /// The 26 characters alone, as they stand in the key itself.
    pub(crate) fn characters(self) -> String {
        crockford(self.0)
    }

    /// The id of which these are the characters.
    pub(crate) fn from_characters(text: &str) -> Option<Self> {
        parse_crockford(text).map(Self)
    }
}

fn uuid_v7(now: Timestamp, random: [u8; 10]) -> [u8; 16] {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    *uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_bytes()
}

fn crockford(bytes: [u8; 16]) -> String {
    let value = u128::from_be_bytes(bytes);
    (0..TEXT_LENGTH)
        .rev()
        .map(|place| {
            let digit = (value >> (5 * place)) & 31;
            char::from(ALPHABET.get(digit as usize).copied().unwrap_or(b'0'))
        })
        .collect()
}

fn parse_crockford(text: &str) -> Option<[u8; 16]> {
    if text.len() != TEXT_LENGTH {
        return None;
    }
    let mut value: u128 = 0;
    for (place, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        // 26 digits hold 130 bits; the first may only carry three.
        if place == 0 && digit > 7 {
            return None;
        }
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    Some(value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_form_round_trips(millis in 0_i64..4_102_444_800_000, random: [u8; 10]) {
            let id = EventId::new(Timestamp::from_millis(millis), random);
            prop_assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
            prop_assert_eq!(id.to_string().len(), 30);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".*") {
            let _ = text.parse::<EventId>();
        }

        #[test]
        fn later_ids_sort_later(millis in 0_i64..4_102_444_800_000, a: [u8; 10], b: [u8; 10]) {
            let first = EventId::new(Timestamp::from_millis(millis), a);
            let second = EventId::new(Timestamp::from_millis(millis + 1), b);
            prop_assert!(first < second);
            prop_assert!(first.to_string() < second.to_string());
        }
    }

    #[test]
    fn other_prefixes_and_overflow_are_refused() {
        let id = EventId::new(Timestamp::from_millis(1), [0; 10]).to_string();
        assert!(id.replace("evt_", "arr_").parse::<EventId>().is_err());
        assert!("evt_".parse::<EventId>().is_err());
        assert!(format!("evt_{}", "z".repeat(26)).parse::<EventId>().is_err());
        assert!(id.to_uppercase().parse::<EventId>().is_err());
    }
}
