//! What a session goes by: 256 random bits, in a form that scanners for secrets can find.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// What every token begins with.
const PREFIX: &str = "cs_session_";

/// Characters after it.
const CHARS: usize = 43;

/// The token of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<[u8; 32]>);

impl Token {
    pub(super) fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The token that a text is.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX).filter(|rest| rest.len() == CHARS)?;
        let mut bytes = Zeroizing::new([0; 32]);
        // One text is one token: bits that would be left over must be zeros.
        let length = URL_SAFE_NO_PAD.decode_slice(rest, bytes.as_mut_slice()).ok()?;
        (length == bytes.len()).then_some(Self(bytes))
    }

    /// The token as it is shown.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + CHARS + 1));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(self.0.as_slice(), &mut text);
        text
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_one_token() {
        let token = Token::new([0xa7; 32]);
        let text = token.to_text();
        assert_eq!(text.len(), PREFIX.len() + CHARS);
        assert_eq!(Token::parse(&text), Some(token.clone()));
        assert_eq!(format!("{token:?}"), "Token(…)");
        let (all, last) = text.split_at(text.len() - 1);
        let other = format!("{all}{}", if last == "c" { "d" } else { "9" });
        for wrong in ["", PREFIX, all, &text[1..], &format!("{}A", text.as_str()), &other] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Token::parse(&text.replace("cs_session_", "cs_test_")), None);
    }
}
