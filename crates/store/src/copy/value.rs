//! Rows as plain data: the same on every backend, so that they can be moved and compared.

use aws_lc_rs::digest::{Context, SHA256};

use crate::StoreError;
use crate::error::Kind;

/// What stands in one column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Null,
    Number(i64),
    Bytes(Vec<u8>),
    Text(String),
}

/// One row, its key first.
pub(crate) type Row = Vec<Value>;

const NULL: u8 = 0;
const NUMBER: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;

/// Bytes that no other values have: each with its kind, and its length where that varies.
pub(crate) fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        let (kind, bytes) = match value {
            Value::Null => {
                out.push(NULL);
                continue;
            }
            Value::Number(number) => {
                out.push(NUMBER);
                out.extend_from_slice(&number.to_be_bytes());
                continue;
            }
            Value::Bytes(bytes) => (BYTES, bytes.as_slice()),
            Value::Text(text) => (TEXT, text.as_bytes()),
        };
        out.push(kind);
        out.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        out.extend_from_slice(bytes);
    }
    out
}

/// The values that were encoded, or what is stored is not what it should be.
pub(crate) fn decode(mut bytes: &[u8]) -> Result<Vec<Value>, StoreError> {
    let mut values = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        let (value, rest) = match *kind {
            NULL => (Value::Null, rest),
            NUMBER => {
                let (number, rest) = rest.split_first_chunk().ok_or_else(cut)?;
                (Value::Number(i64::from_be_bytes(*number)), rest)
            }
            BYTES | TEXT => {
                let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
                let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| cut())?;
                let (content, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
                let value = if *kind == BYTES {
                    Value::Bytes(content.to_vec())
                } else {
                    Value::Text(String::from_utf8(content.to_vec()).map_err(|_| cut())?)
                };
                (value, rest)
            }
            _ => return Err(cut()),
        };
        values.push(value);
        bytes = rest;
    }
    Ok(values)
}

fn cut() -> StoreError {
    StoreError::with(Kind::Corrupt, "how far the copy has come")
}

/// What a value takes, roughly.
pub(crate) fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Number(_) => 8,
        Value::Bytes(bytes) => bytes.len(),
        Value::Text(text) => text.len(),
    }
}

/// SHA-256 over rows, one after the other.
pub(crate) struct Hash(Context);

impl Hash {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn add(&mut self, row: &[Value]) {
        let bytes = encode(row);
        self.0.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(&bytes);
    }

    /// The hash so far, in hexadecimal.
    pub(crate) fn text(&self) -> String {
        let digest = self.0.clone().finish();
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Vec<Value>> {
        let value = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Number),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
            ".{0,9}".prop_map(Value::Text),
        ];
        proptest::collection::vec(value, 0..6)
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_again(values in values()) {
            prop_assert_eq!(decode(&encode(&values)).unwrap(), values);
        }

        #[test]
        fn other_values_have_another_hash(one in values(), other in values()) {
            let hash = |row: &[Value]| {
                let mut hash = Hash::new();
                hash.add(row);
                hash.text()
            };
            prop_assert_eq!(one == other, hash(&one) == hash(&other));
        }

        #[test]
        fn bytes_of_no_values_are_refused_and_never_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..40)
        ) {
            if let Ok(values) = decode(&bytes) {
                prop_assert_eq!(encode(&values), bytes);
            }
        }
    }
}
