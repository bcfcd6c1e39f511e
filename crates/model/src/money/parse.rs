//! Amounts as texts: exactly what was written, or a reason why it is none.

use std::fmt;

use crate::event::codes;

/// The longest text that is looked at. The largest amount has 39 digits.
const BYTES_MAX: usize = 80;

codes! {
    /// How a sender writes amounts.
    Notation {
        /// In major units, as a decimal: `10.00`.
        Major = "major",
        /// In minor units, as an integer: `1000`.
        Minor = "minor",
    }
}

codes! {
    /// Why a text is no amount.
    BadAmount {
        /// There is nothing.
        Empty = "amount_empty",
        /// It has a sign. Amounts are never negative, and a plus is written by nobody.
        Signed = "amount_signed",
        /// It has an exponent, as `1e3`.
        Exponent = "amount_exponent",
        /// It has separators, as `1,500.00` or `1 500`.
        Separators = "amount_separators",
        /// It is no number at all, as `NaN`, `Infinity` or a word.
        NotANumber = "amount_not_a_number",
        /// Digits are missing before or after the point, as in `.5` or `5.`.
        Point = "amount_point",
        /// It has zeros that nothing stands before, as `007`.
        LeadingZeros = "amount_leading_zeros",
        /// It is finer than the smallest unit, as `0.001 EUR` or `10.5` minor units.
        TooFine = "amount_too_fine",
        /// It is more than anybody can count here (2^128 - 1 minor units).
        TooLarge = "amount_too_large",
    }
}

impl std::error::Error for BadAmount {}

/// Reads an amount: how many minor units a text says, where a major unit has so many decimals.
///
/// Decimals beyond the smallest unit are fine as long as they are zeros.
///
/// # Errors
/// It is no plain decimal, too fine or too large.
pub fn parse(text: &str, notation: Notation, decimals: u8) -> Result<u128, BadAmount> {
    if let Some(bad) = malformed(text) {
        return Err(bad);
    }
    let (whole, fraction) = match text.split_once('.') {
        None => (text, ""),
        Some(("", _) | (_, "")) => return Err(BadAmount::Point),
        // A count of minor units is written without a point.
        Some(_) if notation == Notation::Minor => return Err(BadAmount::TooFine),
        Some(parts) => parts,
    };
    if whole.len() > 1 && whole.starts_with('0') {
        return Err(BadAmount::LeadingZeros);
    }
    let places = if notation == Notation::Minor { 0 } else { usize::from(decimals) };
    let (kept, beyond) = fraction.split_at(fraction.len().min(places));
    if beyond.bytes().any(|digit| digit != b'0') {
        return Err(BadAmount::TooFine);
    }
    let zeros = std::iter::repeat_n(b'0', places - kept.len());
    whole
        .bytes()
        .chain(kept.bytes())
        .chain(zeros)
        .try_fold(0_u128, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u128::from(digit.checked_sub(b'0')?))
        })
        .ok_or(BadAmount::TooLarge)
}

/// What makes a text no plain decimal, if anything does.
fn malformed(text: &str) -> Option<BadAmount> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if text.is_empty() {
        return Some(BadAmount::Empty);
    }
    if text.bytes().all(is_plain) {
        let points = text.bytes().filter(|byte| *byte == b'.').count();
        return match points {
            _ if text.len() > BYTES_MAX => Some(BadAmount::TooLarge),
            0 | 1 => None,
            // `1.500.000`
            _ => Some(BadAmount::Separators),
        };
    }
    let (sign, rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let has_digit = rest.bytes().any(|byte| byte.is_ascii_digit());
    let is_only =
        |more: &[char]| rest.chars().all(|c| c.is_ascii_digit() || c == '.' || more.contains(&c));
    Some(match () {
        () if has_digit && is_only(&['e', 'E', '+', '-']) && rest.contains(['e', 'E']) => {
            BadAmount::Exponent
        }
        () if sign && has_digit && is_only(&[]) => BadAmount::Signed,
        () if has_digit && is_only(&[',', ' ', '_', '\'', '\u{a0}', '\u{202f}']) => {
            BadAmount::Separators
        }
        () => BadAmount::NotANumber,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn major(text: &str) -> Result<u128, BadAmount> {
        parse(text, Notation::Major, 2)
    }

    #[test]
    fn decimals_are_read_exactly() {
        assert_eq!(major("0"), Ok(0));
        assert_eq!(major("10.00"), Ok(1000));
        assert_eq!(major("10.5"), Ok(1050));
        assert_eq!(major("0.01"), Ok(1));
        assert_eq!(major("9007199254740993.00"), Ok(900_719_925_474_099_300));
        assert_eq!(parse("1", Notation::Major, 18), Ok(10_u128.pow(18)));
        assert_eq!(parse("1000", Notation::Major, 0), Ok(1000));
        assert_eq!(parse("1000.00", Notation::Major, 0), Ok(1000));
        assert_eq!(parse("1.234", Notation::Major, 3), Ok(1234));
        let most = u128::MAX.to_string();
        assert_eq!(parse(&most, Notation::Minor, 2), Ok(u128::MAX));
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused_with_its_reason() {
        use BadAmount::{
            Empty, Exponent, LeadingZeros, NotANumber, Point, Separators, Signed, TooFine, TooLarge,
        };
        for (text, bad) in [
            ("", Empty),
            ("-5", Signed),
            ("+5", Signed),
            ("-0.00", Signed),
            ("1e3", Exponent),
            ("1E-2", Exponent),
            ("1e400", Exponent),
            ("-1e3", Exponent),
            ("1,500.00", Separators),
            ("1.500,00", Separators),
            ("1.500.000", Separators),
            ("1 500", Separators),
            ("1'500", Separators),
            ("1_000", Separators),
            ("NaN", NotANumber),
            ("Infinity", NotANumber),
            ("-Infinity", NotANumber),
            ("10.00abc", NotANumber),
            ("0x10", NotANumber),
            ("٣", NotANumber),
            ("１０", NotANumber),
            ("$10", NotANumber),
            (".5", Point),
            ("5.", Point),
            (".", Point),
            ("007", LeadingZeros),
            ("00", LeadingZeros),
            ("0.001", TooFine),
            ("10.005", TooFine),
            ("340282366920938463463374607431768211456", TooLarge),
        ] {
            assert_eq!(major(text), Err(bad), "{text:?}");
        }
        let digits = "9".repeat(81);
        assert_eq!(major(&digits), Err(TooLarge));
        let zeros = format!("0.{}", "0".repeat(80));
        assert_eq!(major(&zeros), Err(TooLarge), "what is not looked at is not believed");
    }

    #[test]
    fn minor_units_are_integers() {
        let minor = |text| parse(text, Notation::Minor, 2);
        assert_eq!(minor("1999"), Ok(1999));
        assert_eq!(minor("19.99"), Err(BadAmount::TooFine));
        assert_eq!(minor("1999.0"), Err(BadAmount::TooFine));
        assert_eq!(minor("1999."), Err(BadAmount::Point));
        let most = u128::MAX.to_string();
        assert_eq!(minor(&format!("{most}0")), Err(BadAmount::TooLarge));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,90}", decimals: u8) {
            for notation in Notation::ALL {
                let _ = parse(&text, *notation, decimals);
            }
        }

        #[test]
        fn the_integer_is_what_the_digits_say(whole in 0_u64.., cents in 0_u8..100) {
            let text = format!("{whole}.{cents:02}");
            prop_assert_eq!(major(&text), Ok(u128::from(whole) * 100 + u128::from(cents)));
        }
    }
}
