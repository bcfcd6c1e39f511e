//! Puts the masks on: as long as what they cover, and such that JSON stays JSON.

use crate::{Finding, Kind};

/// The bytes with every finding masked.
pub(crate) fn apply(bytes: &[u8], findings: &[Finding]) -> Vec<u8> {
    let mut masked = bytes.to_vec();
    let mut strings = Strings::of(bytes);
    let is_bare: Vec<_> = findings
        .iter()
        .map(|finding| strings.as_mut().is_some_and(|strings| !strings.covers(finding.range.start)))
        .collect();
    // A card can be a password, too: what is masked whole is masked last, and wins.
    let of = |cards: bool| {
        let all = findings.iter().zip(&is_bare);
        all.filter(move |(finding, _)| (finding.kind == Kind::Card) == cards)
    };
    for (finding, is_bare) in of(true).chain(of(false)) {
        for range in &finding.masked {
            let Some(covered) = masked.get_mut(range.clone()) else { continue };
            match finding.kind {
                // A bare number keeps its digits, so it stays one.
                Kind::Card if *is_bare => covered.fill(finding.fill),
                // Any other bare value becomes a zero, followed by spaces.
                _ if *is_bare => {
                    covered.fill(b' ');
                    if let Some(first) = covered.first_mut() {
                        *first = b'0';
                    }
                }
                _ => covered.fill(b'*'),
            }
        }
    }
    masked
}

/// Where the strings of a JSON text are, asked for from the front to the back.
struct Strings<'a> {
    bytes: &'a [u8],
    at: usize,
    inside: bool,
}

impl<'a> Strings<'a> {
    /// None if the bytes are not a JSON object, array or number.
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let is_json = matches!(text.first(), Some(b'{' | b'['))
            || text.trim_ascii_end().iter().all(is_number);
        is_json.then_some(Self { bytes, at: 0, inside: false })
    }

    /// Whether this place is inside a string.
    fn covers(&mut self, place: usize) -> bool {
        while self.at < place {
            match self.bytes.get(self.at) {
                Some(b'"') => self.inside = !self.inside,
                Some(b'\\') if self.inside => self.at += 1,
                _ => {}
            }
            self.at += 1;
        }
        self.inside
    }
}

#[cfg(test)]
mod tests {
    use crate::{line, payload};

    fn masked(text: &str) -> String {
        let redacted = payload(text.as_bytes()).expect("something to mask");
        assert_eq!(redacted.bytes.len(), text.len());
        String::from_utf8(redacted.bytes).expect("text stays text")
    }

    #[test]
    fn a_card_under_a_secret_key_is_masked_whole_and_stays_json() {
        let text = masked(r#"{"password":4242424242424242,"a":"4242 4242 4242 4242"}"#);
        assert_eq!(text, r#"{"password":0               ,"a":"4242 42** **** 4242"}"#);
        assert_eq!(masked(r#"{"pwd":"4242424242424242"}"#), r#"{"pwd":"****************"}"#);
    }

    #[test]
    fn a_number_alone_stays_a_number() {
        assert_eq!(masked(" 4242424242424242\n"), " 4242429999994242\n");
        assert_eq!(masked("4242424242424242 ok"), "424242******4242 ok");
    }

    #[test]
    fn a_mask_has_the_length_of_what_it_covers() {
        let both = r#"{"number":"4242 4242-4242 4242","cvc":"123"}"#;
        assert_eq!(masked(both), r#"{"number":"4242 42**-**** 4242","cvc":"***"}"#);
        assert_eq!(
            masked("pan=%34242424242424242"),
            "pan=%34242***********4242".replace("***********", "42******")
        );
        let escaped = r#"{"n":"\u0034242424242424242"}"#;
        assert_eq!(masked(escaped), r#"{"n":"\u003424242******4242"}"#);
    }

    #[test]
    fn bare_numbers_stay_numbers() {
        let bare = r#"{"number":5555555555554444,"cvc":123,"password":12345,"a":"\"x"}"#;
        let expected = r#"{"number":5555550000004444,"cvc":0  ,"password":0    ,"a":"\"x"}"#;
        assert_eq!(masked(bare), expected);
        serde_json::from_str::<serde_json::Value>(expected).expect("JSON stays JSON");
        // With zeros this one would still pass for a card.
        let other = masked(r#"{"n":4242424242424242}"#);
        assert_eq!(other, r#"{"n":4242429999994242}"#);
        assert!(payload(other.as_bytes()).is_none());
    }

    #[test]
    fn a_masked_line_is_masked_once() {
        let text = "card 4242424242424242 of ada@example.com, password=x y";
        let once = line(text).into_owned();
        assert_eq!(once, "card 424242******4242 of ***************, password=* y");
        assert_eq!(line(&once), once);
    }
}
