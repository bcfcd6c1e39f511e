//! Numbers as Ethereum's JSON-RPC writes them: `0x` and digits, nothing else.

use crate::asset::{Address, Minor, bytes};

/// A quantity: `0x0`, or `0x` and digits of which the first is not 0. None where it is anything else
/// or does not fit.
pub fn quantity(text: &str) -> Option<u64> {
    u64::from_str_radix(digits(text)?, 16).ok()
}

/// A quantity of an asset, up to 256 bits; `Some(None)` above 128. None where it is anything else.
pub fn amount(text: &str) -> Option<Option<Minor>> {
    let digits = digits(text)?;
    (digits.len() <= 64).then(|| u128::from_str_radix(digits, 16).ok().map(Minor))
}

/// The digits of a quantity.
fn digits(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("0x")?;
    let is_hex = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let is_canonical = digits == "0" || !digits.starts_with('0');
    (is_hex && is_canonical).then_some(digits)
}

/// One word of 256 bits in the data of a log; `Some(None)` above 128.
pub(super) fn word(data: &str) -> Option<Option<Minor>> {
    let word: [u8; 32] = bytes(data.strip_prefix("0x")?)?;
    let (high, low) = word.split_first_chunk::<16>()?;
    let low = u128::from_be_bytes(low.try_into().ok()?);
    Some((*high == [0; 16]).then_some(Minor(low)))
}

/// The address in a topic, which has twelve zeros before it.
pub(super) fn address_of_topic(topic: &str) -> Option<Address> {
    let word: [u8; 32] = bytes(topic.strip_prefix("0x")?)?;
    let (zeros, address) = word.split_first_chunk::<12>()?;
    (*zeros == [0; 12]).then(|| address.try_into().ok().map(Address::evm))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_strictly() {
        assert_eq!(
            [quantity("0x0"), quantity("0x1F"), quantity("0x400")],
            [Some(0), Some(31), Some(1024)]
        );
        assert_eq!(quantity("0xffffffffffffffff"), Some(u64::MAX));
        let wrong =
            ["", "0", "0x", "0x00", "0x01", "1", "0X1", "-0x1", "0x-1", "0x+1", "0x1 ", "0xg"];
        for text in wrong.into_iter().chain(["0x10000000000000000", "0x1_0", "0xé"]) {
            assert_eq!(quantity(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_above_128_bits_are_said_to_be_so() {
        let most = format!("0x{}", "f".repeat(32));
        assert_eq!(amount(&most), Some(Some(Minor(u128::MAX))));
        assert_eq!(amount(&format!("0x1{}", "0".repeat(32))), Some(None));
        assert_eq!(amount(&format!("0x{}", "f".repeat(64))), Some(None));
        assert_eq!(amount(&format!("0x{}", "f".repeat(65))), None);
        assert_eq!([amount("0x"), amount("0x01"), amount("1")], [None; 3]);
    }

    #[test]
    fn words_are_whole() {
        let word_of = |digits: &str| word(&format!("0x{digits:0>64}"));
        assert_eq!(word_of("5"), Some(Some(Minor(5))));
        assert_eq!(word_of(&"f".repeat(64)), Some(None));
        assert_eq!([word("0x"), word("0x05"), word(&"0".repeat(64))], [None; 3]);
        let topic = format!("0x{:0>64}", "f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
        let address = address_of_topic(&topic).expect("an address");
        assert_eq!(address.as_str(), "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
        assert_eq!(address_of_topic(&format!("0x1{:0>63}", "0")), None);
    }
}
