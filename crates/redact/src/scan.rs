//! The passes over every byte. They only say where to look closely.

use crate::{Finding, Place, cards, words};

/// Digits, or bytes that may spell one, that make a place worth a look.
const DIGITS_MIN: usize = 12;

/// What one byte value may be of a spelled number.
const KEPT: u8 = 1;
const DIGIT: u8 = 2;
/// The same where nothing is escaped: no letter spells a digit then, and each ends a number but the
/// one that chips put into a track.
const PLAIN: u8 = 4;

static SPELLS: [u8; 256] = spells();

/// The sets of words whose first byte this may be, whose second, third and fourth: sixteen bits
/// each, the first's lowest.
static COLUMNS: [u64; 256] = columns();

/// The pairs of bytes by which a word shows, a bit each: of every word that is there, every second
/// place begins one, whether that place stands at an even distance from the word's start or not.
static PAIRS: [u64; 1024] = pairs();

#[expect(clippy::indexing_slicing, reason = "runs while compiling only")]
const fn spells() -> [u8; 256] {
    let mut spells = [0; 256];
    let mut byte: u8 = 0;
    loop {
        // Letters are kept that spell `\u00a0` and `%C2%A0`.
        let kept = matches!(byte, b' ' | b'\t' | b'+' | b'-' | b'.' | b'\\' | b'%' | b'u' | b'U')
            || byte.is_ascii_hexdigit()
            || !byte.is_ascii();
        let digit = byte.is_ascii_digit() || !byte.is_ascii();
        let plain = matches!(byte, b' ' | b'\t' | b'+' | b'-' | b'.' | b'D' | b'd')
            || byte.is_ascii_digit();
        spells[byte as usize] = (kept as u8 * KEPT) | (digit as u8 * DIGIT) | (plain as u8 * PLAIN);
        if byte == u8::MAX {
            return spells;
        }
        byte += 1;
    }
}

#[expect(clippy::indexing_slicing, reason = "runs while compiling only")]
const fn columns() -> [u64; 256] {
    let mut columns = [0; 256];
    let mut byte: u8 = 0;
    loop {
        let mut set = 0;
        while set < words::STARTS.len() {
            let mut word = 0;
            while word < words::STARTS[set].len() {
                let mut index = 0;
                while index < 4 {
                    let fits = is_meant(words::STARTS[set][word][index], byte);
                    columns[byte as usize] |= (fits as u64) << (index * 16 + set);
                    index += 1;
                }
                word += 1;
            }
            set += 1;
        }
        if byte == u8::MAX {
            return columns;
        }
        byte += 1;
    }
}

#[expect(clippy::indexing_slicing, reason = "runs while compiling only")]
const fn pairs() -> [u64; 1024] {
    let mut pairs = [0; 1024];
    let mut set = 0;
    while set < words::STARTS.len() {
        let mut word = 0;
        while word < words::STARTS[set].len() {
            let (even, odd) = pairs_of(words::STARTS[set][word]);
            add_pairs(&mut pairs, even);
            add_pairs(&mut pairs, odd);
            word += 1;
        }
        set += 1;
    }
    pairs
}

#[expect(clippy::indexing_slicing, reason = "runs while compiling only")]
const fn add_pairs(pairs: &mut [u64; 1024], [lead, follow]: [u8; 2]) {
    let mut first: u8 = 0;
    loop {
        // What begins otherwise is skipped whole: the compiler runs this, and has little patience.
        let mut second: u8 = 0;
        while is_meant(lead, first) {
            if is_meant(follow, second) {
                let number = u16::from_le_bytes([first, second]);
                pairs[(number / 64) as usize] |= 1 << (number % 64);
            }
            if second == u8::MAX {
                break;
            }
            second += 1;
        }
        if first == u8::MAX {
            return;
        }
        first += 1;
    }
}

/// The first pairs of a word's bytes, at an even and at an odd distance from its start, that do not
/// fit everything.
const fn pairs_of(word: [u8; 4]) -> ([u8; 2], [u8; 2]) {
    let [first, second, third, fourth] = word;
    let even = match [first, second] {
        [words::ANY, words::ANY] => [third, fourth],
        pair => pair,
    };
    let odd = match [second, third] {
        [words::ANY, words::ANY] => [fourth, words::ANY],
        pair => pair,
    };
    (even, odd)
}

const fn is_meant(wanted: u8, byte: u8) -> bool {
    wanted == words::ANY || wanted == byte.to_ascii_lowercase()
}

fn of<T: Copy + Default>(table: &[T; 256], byte: u8) -> T {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

fn is_pair(pair: [u8; 2]) -> bool {
    let number = u16::from_le_bytes(pair);
    let bits = PAIRS.get(usize::from(number / 64)).copied().unwrap_or_default();
    bits >> (number % 64) & 1 != 0
}

/// Whether any character may be spelled by others.
fn may_be_escaped(bytes: &[u8]) -> bool {
    // Without a way out, so that many bytes are looked at at once.
    bytes.iter().fold(false, |is, byte| is | matches!(byte, b'\\' | b'%' | 0x80..))
}

fn is_digit(byte: &u8) -> bool {
    of(&SPELLS, *byte) & DIGIT != 0
}

/// Everything that is found, in the order of the places that made it worth a look.
pub(crate) fn scan(bytes: &[u8], place: Place) -> Vec<Finding> {
    let mut found = Vec::new();
    look_for_numbers(bytes, &mut found);
    look_for_words(bytes, place, &mut found);
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// Looks at spans of bytes that may spell a number and hold digits enough. No such span is shorter
/// than its digits are many, so every twelfth byte shows whether there is one.
fn look_for_numbers(bytes: &[u8], found: &mut Vec<(usize, Finding)>) {
    let kept = if may_be_escaped(bytes) { KEPT } else { PLAIN };
    let is_kept = |byte: &&u8| of(&SPELLS, **byte) & kept != 0;
    let mut at = DIGITS_MIN - 1;
    while let (Some(before), Some(after)) = (bytes.get(..at), bytes.get(at..)) {
        let end = at + after.iter().take_while(is_kept).count();
        if end > at {
            let start = at - before.iter().rev().take_while(is_kept).count();
            let span = bytes.get(start..end).unwrap_or_default();
            let mut digits = span.iter().enumerate().filter(|(_, byte)| is_digit(byte));
            if let Some((twelfth, _)) = digits.nth(DIGITS_MIN - 1) {
                let mut findings = Vec::new();
                cards::look(bytes, start..end, &mut findings);
                found.extend(findings.into_iter().map(|finding| (start + twelfth, finding)));
            }
        }
        at = end + DIGITS_MIN;
    }
}

/// Looks at words by their first four bytes.
fn look_for_words(bytes: &[u8], place: Place, found: &mut Vec<(usize, Finding)>) {
    // The first place that was not compared with the words.
    let mut next = 0;
    // A word inside of what a word gave is not looked at: else the time would not be linear.
    let mut resume = 0;
    let mut compare = |from: usize, to: usize| {
        for start in next.max(from)..to {
            let fourth = start + 3;
            if is_word(bytes, start)
                && fourth >= resume
                && let Some(finding) = words::look(bytes, fourth, place)
            {
                resume = finding.range.end;
                found.push((fourth, finding));
            }
        }
        next = to;
    };
    let (pairs, _) = bytes.as_chunks::<2>();
    for (index, [lead, follow]) in pairs.iter().enumerate() {
        if is_pair([*lead, *follow]) {
            // Of a word the pair is the first or the second, of an address it has the at sign.
            let back = if *lead == b'@' || *follow == b'@' { 3 } else { 1 };
            let at = index * 2;
            compare(at.saturating_sub(back), at + 1);
        }
    }
    // A word may have its odd pair at the very end.
    compare(bytes.len().saturating_sub(4), bytes.len());
}

/// Whether the four bytes from here begin a word of one of the sets.
fn is_word(bytes: &[u8], start: usize) -> bool {
    let Some([one, two, three, four]) = bytes.get(start..).and_then(<[u8]>::first_chunk) else {
        return false;
    };
    let sets = of(&COLUMNS, *one)
        & of(&COLUMNS, *two) >> 16
        & of(&COLUMNS, *three) >> 32
        & of(&COLUMNS, *four) >> 48;
    sets & 0xFFFF != 0
}

#[cfg(test)]
mod tests {
    use crate::{Place, find};

    /// An escape anywhere makes the pass look at every byte that could spell a digit.
    #[test]
    fn where_nothing_is_escaped_as_much_is_found() {
        let parts = [
            "4242424242424242",
            "4111 1111-1111.1111",
            "a",
            "f",
            "D",
            "d2512101",
            "d25121010000F",
            "deadbeef",
            "_",
            "\"",
            "^",
            "=",
            "2512101",
            " ",
            "-",
            "B",
            "u00",
            "42",
            ",",
            "0",
        ];
        // A generator of its own (SplitMix64), so that a failure can be seen again.
        let mut bits = 7_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            while text.len() < 60 {
                bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                let part = usize::try_from(bits >> 33).unwrap_or_default() % parts.len();
                text.push_str(parts[part]);
            }
            let plain = find(text.as_bytes(), Place::Payload);
            let escaped = find(format!("{text},\\n").as_bytes(), Place::Payload);
            let found = |findings: Vec<crate::Finding>| -> Vec<_> {
                findings.into_iter().map(|one| (one.kind, one.range)).collect()
            };
            let (plain, escaped) = (found(plain), found(escaped));
            assert!(escaped.iter().all(|one| plain.contains(one)), "{text}: {plain:?} {escaped:?}");
        }
    }

    #[test]
    fn no_place_hides_a_number_or_a_word() {
        let key = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
        for (text, secret) in [
            ("4242424242424242", "4242424242424242"),
            ("cvv=123", "123"),
            ("password=hunter2", "hunter2"),
            (key, key),
            ("https://a:b@c", "b"),
            ("https://a:b@", "b"),
            ("https://a:b%40", "b"),
        ] {
            for (before, after) in (0..30).flat_map(|before| [(before, 0), (before, 1)]) {
                let whole = format!("{}{text}{}", ",".repeat(before), ",".repeat(after));
                let found = find(whole.as_bytes(), Place::Payload).into_iter();
                let found: Vec<_> = found.map(|finding| &whole[finding.range]).collect();
                assert_eq!(found, [secret], "{whole}");
            }
        }
    }
}
