//! Numbers as texts: how ECMAScript prints a double, and whether two texts are the same decimal.

/// How ECMAScript prints this number (ECMA-262, Number::toString); none where that is another
/// decimal than the one that is written. `1.0`, `1e21` and `-0` are printed as `1`, `1e+21` and `0`,
/// which say the same; 9007199254740993 would be printed as 9007199254740992, and a signature of
/// the one would then vouch for the other.
pub(crate) fn as_ecmascript(text: &str) -> Option<String> {
    let printed = ecmascript(text.parse().ok()?);
    is_same_decimal(text, &printed).then_some(printed)
}

/// Whether two JSON numbers are the same decimal, however they are written. Nothing is rounded.
pub(crate) fn is_same_decimal(one: &str, other: &str) -> bool {
    match (Decimal::read(one), Decimal::read(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// A decimal without its zeros at either end: `digits` times ten to the power of `exponent`.
#[derive(PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let (number, power) = match text.split_once(['e', 'E']) {
            Some((number, power)) => (number, power.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        let trimmed = digits.trim_end_matches('0');
        if trimmed.is_empty() {
            return Some(Self { is_negative: false, digits: String::new(), exponent: 0 });
        }
        let moved = |count: usize| i64::try_from(count).ok();
        let exponent = power
            .checked_sub(moved(fraction.len())?)?
            .checked_add(moved(digits.len() - trimmed.len())?)?;
        Some(Self { is_negative: number.starts_with('-'), digits: trimmed.to_owned(), exponent })
    }
}

fn ecmascript(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    // Both Rust and ECMAScript print the shortest digits that give the same double again.
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.replace('.', "");
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if number < 0.0 { "-" } else { "" };
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    let point = exponent + 1;
    let split = |at: i32| digits.split_at_checked(usize::try_from(at).unwrap_or_default());
    let text = if count <= point && point <= 21 {
        format!("{digits}{}", zeros(point - count))
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = split(point).unwrap_or((&digits, ""));
        format!("{whole}.{fraction}")
    } else if (-5..=0).contains(&point) {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = split(1).unwrap_or((&digits, ""));
        let point = if rest.is_empty() { "" } else { "." };
        let plus = if exponent > 0 { "+" } else { "" };
        format!("{first}{point}{rest}e{plus}{exponent}")
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The right-hand sides are what Node prints.
    #[test]
    fn numbers_are_printed_as_ecmascript_does() {
        for (written, printed) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0e5", "0"),
            ("1", "1"),
            ("-1", "-1"),
            ("1.0", "1"),
            ("1.10", "1.1"),
            ("100", "100"),
            ("1e2", "100"),
            ("1E5", "100000"),
            ("0.05", "0.05"),
            ("0.050", "0.05"),
            ("0.1", "0.1"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1e-7", "1e-7"),
            ("0.0000001", "1e-7"),
            ("10e-8", "1e-7"),
            ("1e-6", "0.000001"),
            ("0.000001", "0.000001"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("1e+21", "1e+21"),
            ("1000000000000000000000", "1e+21"),
            ("123456789012345680000", "123456789012345680000"),
            ("1.2345678901234568e20", "123456789012345680000"),
            ("9007199254740991", "9007199254740991"),
            ("9007199254740992", "9007199254740992"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e+308", "1.7976931348623157e+308"),
            ("-2.5e-8", "-2.5e-8"),
        ] {
            assert_eq!(as_ecmascript(written).as_deref(), Some(printed), "{written}");
        }
    }

    #[test]
    fn a_number_that_would_be_printed_as_another_one_is_refused() {
        for written in [
            "9007199254740993",
            "9007199254740993.5",
            "123456789012345678901",
            "12345678901234567890",
            "0.1000000000000000055511151231257827",
            "0.3000000000000000444",
            "1e-400",
            "1e-99999999999999999999",
            "4e-324",
            "",
            "-",
            "NaN",
            "Infinity",
            "+1",
        ] {
            assert_eq!(as_ecmascript(written), None, "{written}");
        }
    }

    #[test]
    fn decimals_are_compared_without_rounding() {
        for (one, other) in [("0.050", "0.05"), ("5", "5.000"), ("1e3", "1000"), ("-0", "0.0")] {
            assert!(is_same_decimal(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("0.05", "0.5"),
            ("1", "-1"),
            ("9007199254740993", "9007199254740992"),
            ("0.1", "0.1000000000000000055511151231257827"),
            ("1", ""),
            ("1", "1.0.0"),
            ("1", "one"),
        ] {
            assert!(!is_same_decimal(one, other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same_double(number in any::<f64>()) {
            prop_assume!(number.is_finite());
            let printed = ecmascript(number);
            prop_assert_eq!(printed.parse::<f64>().unwrap(), number);
            prop_assert_eq!(as_ecmascript(&printed), Some(printed));
        }
    }
}
