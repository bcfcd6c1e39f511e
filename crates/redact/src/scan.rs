//! The one pass over every byte. It only says where to look closely.

use crate::{Finding, Place, cards, words};

/// Digits, or bytes that may spell one, that make a place worth a look.
const DIGITS_MIN: u32 = 12;

/// What one byte value means to the pass.
#[derive(Clone, Copy)]
struct Class {
    /// Adds to the run of digits.
    digit: u32,
    /// Zero where the byte ends a run: it can be no part of a spelled number.
    keep: u32,
    /// The sets of words whose first byte this may be, whose second, third and fourth: sixteen bits
    /// each, the first's lowest.
    words: u64,
}

static CLASSES: [Class; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "runs while compiling only")]
const fn classes() -> [Class; 256] {
    let none = Class { digit: 0, keep: 0, words: 0 };
    let mut classes = [none; 256];
    let mut byte: u8 = 0;
    loop {
        classes[byte as usize] = class(byte);
        if byte == u8::MAX {
            return classes;
        }
        byte += 1;
    }
}

const fn class(byte: u8) -> Class {
    // Letters are kept that spell `\u00a0` and `%C2%A0`.
    let kept = matches!(byte, b' ' | b'\t' | b'+' | b'-' | b'.' | b'\\' | b'%' | b'u' | b'U')
        || byte.is_ascii_hexdigit()
        || !byte.is_ascii();
    Class {
        digit: (byte.is_ascii_digit() || !byte.is_ascii()) as u32,
        keep: if kept { u32::MAX } else { 0 },
        words: words_with(byte, 0)
            | words_with(byte, 1) << 16
            | words_with(byte, 2) << 32
            | words_with(byte, 3) << 48,
    }
}

#[expect(clippy::indexing_slicing, reason = "runs while compiling only")]
const fn words_with(byte: u8, index: usize) -> u64 {
    let mut bits = 0;
    let mut set = 0;
    while set < words::STARTS.len() {
        let mut word = 0;
        while word < words::STARTS[set].len() {
            let wanted = words::STARTS[set][word][index];
            if wanted == words::ANY || wanted == byte.to_ascii_lowercase() {
                bits |= 1 << set;
            }
            word += 1;
        }
        set += 1;
    }
    bits
}

/// Whether a byte may be part of a spelled number.
pub(crate) fn is_kept(byte: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|class| class.keep != 0)
}

/// Everything that is found, in no order.
pub(crate) fn scan(bytes: &[u8], place: Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut run: u32 = 0;
    // The sets of which one byte was seen, two, three and four. Nothing is known before the first.
    let mut seen = u64::MAX;
    // A word inside of what a word gave is not looked at: else the time would not be linear.
    let mut resume = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let Some(class) = CLASSES.get(usize::from(*byte)) else { continue };
        run = run.wrapping_add(class.digit) & class.keep;
        seen = (seen << 16 | 0xFFFF) & class.words;
        let is_word = seen >> 48 != 0;
        if (run == DIGITS_MIN) & (class.digit != 0) {
            cards::look(bytes, at, &mut findings);
        }
        if is_word
            && at >= resume
            && let Some(finding) = words::look(bytes, at, place)
        {
            resume = finding.range.end;
            findings.push(finding);
        }
    }
    findings
}
