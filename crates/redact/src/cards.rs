//! Card numbers (ISO/IEC 7812): issuer, exact length, check digit, and the way they are written.

use std::ops::Range;

use crate::context::{self, Told};
use crate::unit::{self, Unit};
use crate::{Finding, Kind, track};

const DIGITS_MIN: usize = 12;
const DIGITS_MAX: usize = 19;

/// Digits in groups that make a card of a number that alone is not trusted to be one.
const WEAK_GROUPED_DIGITS_MIN: usize = 14;

/// Separators between two groups of digits.
const SEPARATORS_MAX: usize = 3;

/// Groups that are looked at together. A longer unbroken series of groups is looked at in parts.
const GROUPS_MAX: usize = 4096;

/// More zeros at the end than this make a round amount, not a card.
const ZEROS_MAX: usize = 8;

/// How far a number of an issuer's prefix and length may be trusted to be a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    /// Only where its key says that it is a card, or where enough of it is written in groups.
    Weak,
    /// As it stands.
    Strong,
}

/// An issuer's prefixes, from and to, all of the same length, and the lengths of its numbers.
struct Issuer {
    prefixes: &'static [(u32, u32)],
    prefix_digits: usize,
    strong: &'static [usize],
    weak: &'static [usize],
}

const ISSUERS: [Issuer; 10] = [
    // Visa.
    Issuer { prefixes: &[(4, 4)], prefix_digits: 1, strong: &[16, 19], weak: &[13] },
    // Mastercard.
    Issuer { prefixes: &[(51, 55)], prefix_digits: 2, strong: &[16], weak: &[] },
    Issuer { prefixes: &[(2221, 2720)], prefix_digits: 4, strong: &[16], weak: &[] },
    // American Express.
    Issuer { prefixes: &[(34, 34), (37, 37)], prefix_digits: 2, strong: &[15], weak: &[] },
    // Discover.
    Issuer {
        prefixes: &[(601_100, 601_199), (644_000, 659_999)],
        prefix_digits: 6,
        strong: &[16],
        weak: &[17, 18, 19],
    },
    // Diners Club.
    Issuer {
        prefixes: &[(3000, 3059), (3095, 3095), (3600, 3699), (3800, 3999)],
        prefix_digits: 4,
        strong: &[14],
        weak: &[15, 16, 17, 18, 19],
    },
    // JCB.
    Issuer { prefixes: &[(3528, 3589)], prefix_digits: 4, strong: &[16], weak: &[17, 18, 19] },
    // UnionPay.
    Issuer { prefixes: &[(62, 62)], prefix_digits: 2, strong: &[16, 19], weak: &[] },
    // Maestro and what shares its ranges, UnionPay, RuPay.
    Issuer {
        prefixes: &[(50, 50), (56, 69), (81, 82)],
        prefix_digits: 2,
        strong: &[],
        weak: &[12, 13, 14, 15, 16, 17, 18, 19],
    },
    // Maestro, Dankort, Mir.
    Issuer {
        prefixes: &[
            (2200, 2204),
            (5018, 5020),
            (5038, 5038),
            (5893, 5893),
            (6304, 6304),
            (6759, 6759),
            (6761, 6763),
            (6799, 6799),
        ],
        prefix_digits: 4,
        strong: &[16],
        weak: &[],
    },
];

struct Digit {
    value: u8,
    start: usize,
    length: usize,
}

/// Digits with nothing between them.
struct Group {
    digits: Range<usize>,
    /// Digits beyond what a card has, which are not kept.
    surplus: bool,
    /// A dash or dot stands before it.
    tight: bool,
}

/// Groups with separators only between them.
#[derive(Default)]
struct Series {
    digits: Vec<Digit>,
    groups: Vec<Group>,
    /// It begins inside a word.
    continues: bool,
    /// Separators since the last digit, and whether one of them is a dash or dot.
    separators: usize,
    tight: bool,
}

/// Looks closely at a span of bytes that may spell numbers.
pub(crate) fn look(bytes: &[u8], span: Range<usize>, findings: &mut Vec<Finding>) {
    let Range { start, end } = span;
    if !may_hold_a_number(bytes.get(start..end).unwrap_or_default()) {
        return;
    }
    if let Some(track) = track::find(bytes, start..end) {
        findings.push(track);
    }
    let mut series =
        Series { continues: context::continues_word(bytes, start), ..Series::default() };
    let mut place = start;
    while place < end {
        let (unit, length) = unit::at(bytes, place);
        match unit {
            Unit::Digit(value) => series.digit(Digit { value, start: place, length }),
            Unit::Space | Unit::Tight => series.separator(unit == Unit::Tight),
            Unit::Letter | Unit::Other => {
                let is_letter = unit == Unit::Letter;
                series.judge(bytes, is_letter, findings);
                series.begin(is_letter);
            }
        }
        if series.separators > SEPARATORS_MAX || series.groups.len() > GROUPS_MAX {
            series.judge(bytes, false, findings);
            series.begin(false);
        }
        place += length;
    }
    series.judge(bytes, context::continued(bytes, end), findings);
}

/// Whether there are digits enough with no letter between them. Most places that the pass stops at
/// are ids with letters of hexadecimal in them; where nothing is escaped, those end a number.
fn may_hold_a_number(span: &[u8]) -> bool {
    let mut digits = 0;
    for byte in span {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'\\' | b'%' | 0x80.. => return true,
            byte if byte.is_ascii_alphabetic() => digits = 0,
            _ => {}
        }
        if digits >= DIGITS_MIN {
            return true;
        }
    }
    false
}

impl Series {
    /// Begins anew in the same memory: a hash has many short series.
    fn begin(&mut self, continues: bool) {
        self.digits.clear();
        self.groups.clear();
        (self.continues, self.separators, self.tight) = (continues, 0, false);
    }

    fn digit(&mut self, digit: Digit) {
        if self.separators > 0 || self.groups.is_empty() {
            let first = self.digits.len();
            let tight = self.tight;
            self.groups.push(Group { digits: first..first, surplus: false, tight });
            (self.separators, self.tight) = (0, false);
        }
        let Some(group) = self.groups.last_mut() else { return };
        if group.digits.len() == DIGITS_MAX {
            group.surplus = true;
            return;
        }
        self.digits.push(digit);
        group.digits.end = self.digits.len();
    }

    fn separator(&mut self, tight: bool) {
        if self.groups.is_empty() {
            self.continues = false;
            return;
        }
        self.separators += 1;
        self.tight |= tight;
    }

    /// Finds the cards of the series; `continued` says that a word follows.
    fn judge(&self, bytes: &[u8], continued: bool, findings: &mut Vec<Finding>) {
        if self.digits.len() < DIGITS_MIN {
            return;
        }
        let continued = continued && self.separators == 0;
        let mut first = 0;
        while first < self.groups.len() {
            match self.longest_from(bytes, first, continued) {
                Some((last, digits)) => {
                    findings.push(finding(digits));
                    first = last + 1;
                }
                None => first += 1,
            }
        }
    }

    /// The longest card that begins with this group, and its last group.
    fn longest_from(
        &self,
        bytes: &[u8],
        first: usize,
        continued: bool,
    ) -> Option<(usize, &[Digit])> {
        let start = self.groups.get(first)?;
        if (first == 0 && self.continues) || (first > 0 && start.tight) {
            return None;
        }
        // Who writes one or two digits at a time writes all of them so.
        let size = start.digits.len();
        let same = |index: usize| self.groups.get(index).is_some_and(|g| g.digits.len() == size);
        if size < 3 && first.checked_sub(1).is_some_and(same) {
            return None;
        }
        let mut sizes: Vec<usize> = Vec::new();
        let mut longest = None;
        for (last, group) in self.groups.iter().enumerate().skip(first) {
            sizes.push(group.digits.len());
            let digits = self.digits.get(start.digits.start..group.digits.end)?;
            if digits.len() > DIGITS_MAX || group.surplus {
                break;
            }
            let ends = match self.groups.get(last + 1) {
                Some(next) => !next.tight,
                None => !continued,
            };
            // Groups after letters are an IBAN's or the like.
            let own = last == first || !self.continues;
            if ends && own && is_written_so(&sizes) && is_card(bytes, digits, last > first) {
                longest = Some((last, digits));
            }
        }
        longest
    }
}

/// Whether people write card numbers in groups of these sizes.
fn is_written_so(sizes: &[usize]) -> bool {
    match sizes {
        [_] | [4, 6, 4 | 5] | [4, 4, 5] | [6, 6..=13] => true,
        [first @ (1 | 2 | 4 | 5 | 8), middle @ .., last] => {
            middle.iter().all(|size| size == first) && last <= first
        }
        _ => false,
    }
}

fn is_card(bytes: &[u8], digits: &[Digit], grouped: bool) -> bool {
    let Some(first) = digits.first() else { return false };
    let Some(trust) = issued(digits.iter().map(|digit| digit.value)) else { return false };
    if grouped && (trust == Trust::Strong || digits.len() >= WEAK_GROUPED_DIGITS_MIN) {
        return true;
    }
    match context::told(bytes, first.start) {
        Told::Card => true,
        Told::Nothing => trust == Trust::Strong,
        Told::Other => false,
    }
}

/// Whether ASCII digits are a card number, whatever stands around them.
pub(crate) fn is_number(digits: &[u8]) -> bool {
    issued(digits.iter().map(|byte| byte.wrapping_sub(b'0'))).is_some()
}

/// How far digits may be trusted that an issuer could have given out.
fn issued(values: impl DoubleEndedIterator<Item = u8> + Clone) -> Option<Trust> {
    let length = values.clone().count();
    if !(DIGITS_MIN..=DIGITS_MAX).contains(&length)
        || values.clone().rev().take_while(|v| *v == 0).count() > ZEROS_MAX
    {
        return None;
    }
    let prefix = |digits: usize| values.clone().take(digits).fold(0, |n, v| n * 10 + u32::from(v));
    let trust = ISSUERS.iter().filter_map(|issuer| {
        let prefix = prefix(issuer.prefix_digits);
        if !issuer.prefixes.iter().any(|(from, to)| (*from..=*to).contains(&prefix)) {
            None
        } else if issuer.strong.contains(&length) {
            Some(Trust::Strong)
        } else {
            issuer.weak.contains(&length).then_some(Trust::Weak)
        }
    });
    trust.max().filter(|_| checks(values))
}

/// The check digit (ISO/IEC 7812-1, annex B; the Luhn formula).
fn checks(values: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum: u32 = values
        .rev()
        .enumerate()
        .map(|(index, value)| {
            let doubled = u32::from(value) << (index % 2);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The first six and the last four digits stay at most, and at least four go.
fn finding(digits: &[Digit]) -> Finding {
    let kept_first = digits.len().saturating_sub(8).min(6);
    let kept_last = digits.len().saturating_sub(4);
    let is_masked = |index: usize| (kept_first..kept_last).contains(&index);
    let mut masked: Vec<Range<usize>> = Vec::new();
    for (_, digit) in digits.iter().enumerate().filter(|(index, _)| is_masked(*index)) {
        let end = digit.start + digit.length;
        match masked.last_mut().filter(|last| last.end == digit.start) {
            Some(last) => last.end = end,
            None => masked.push(digit.start..end),
        }
    }
    let zeroed = digits
        .iter()
        .enumerate()
        .map(|(index, digit)| if is_masked(index) { 0 } else { digit.value });
    // Where only digits may stand, the mask must not make another card.
    let fill = if checks(zeroed) { b'9' } else { b'0' };
    let start = digits.first().map_or(0, |digit| digit.start);
    let end = digits.last().map_or(0, |digit| digit.start + digit.length);
    Finding { range: start..end, kind: Kind::Card, masked, fill }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_have_their_lengths() {
        for (number, trust) in [
            ("4242424242424242", Some(Trust::Strong)),
            ("4222222222222", Some(Trust::Weak)),
            ("2223003122003222", Some(Trust::Strong)),
            ("2720992593319364", Some(Trust::Strong)),
            ("378282246310005", Some(Trust::Strong)),
            ("30569309025904", Some(Trust::Strong)),
            ("6011111111111117", Some(Trust::Strong)),
            ("3566002020360505", Some(Trust::Strong)),
            ("6200000000000005", Some(Trust::Strong)),
            ("6759649826438453", Some(Trust::Strong)),
            ("4242424242424241", None),
            ("424242424242424", None),
            ("354242424242424", None),
            ("4000000000000000", None),
        ] {
            assert_eq!(issued(number.bytes().map(|b| b - b'0')), trust, "{number}");
        }
    }

    #[test]
    fn groups_are_those_that_people_write() {
        for sizes in [&[16][..], &[4, 4, 4, 4], &[4, 6, 5], &[4, 4, 4, 4, 3], &[1; 16], &[8, 8]] {
            assert!(is_written_so(sizes), "{sizes:?}");
        }
        for sizes in [&[1, 3, 3, 3, 3][..], &[3, 3, 3, 3], &[8, 4, 4], &[2, 16]] {
            assert!(!is_written_so(sizes), "{sizes:?}");
        }
    }

    #[test]
    fn no_more_than_first_six_and_last_four_stay() {
        let masked = |number: &str| {
            let digits: Vec<Digit> = number
                .bytes()
                .enumerate()
                .map(|(start, b)| Digit { value: b - b'0', start, length: 1 })
                .collect();
            let masked = finding(&digits).masked;
            masked.iter().map(|range| format!("{range:?}")).collect::<String>()
        };
        assert_eq!(masked("4242424242424242"), "6..12");
        assert_eq!(masked("378282246310005"), "6..11");
        assert_eq!(masked("675964982643"), "4..8");
    }
}
