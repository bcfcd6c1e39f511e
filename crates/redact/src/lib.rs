//! Finds cards and secrets in payloads and log lines, and masks them in place.
//!
//! Card numbers are truncated to the first six and the last four digits at most (PCI DSS 3.4.1,
//! 3.5.1); security codes, tracks, PIN blocks (3.3.1), passwords, tokens and keys are masked whole.
//! A mask has the length of what it covers and leaves JSON as JSON, so byte ranges stay true.
//! `docs/redaction.md` lists the spellings that are found, the limits, and the measured rates.
//!
//! Two things only are looked for everywhere: places with twelve digits and no letter between them
//! (`cards`), and the first four letters of the words and key shapes of `words`. Neither needs every
//! byte: the one is as long as twelve, the other shows in every second place. What is rare is then
//! looked at closely. No input makes it take more than linear time.

mod cards;
mod context;
mod mask;
mod persons;
mod scan;
mod track;
mod unit;
mod words;

use std::borrow::Cow;
use std::ops::Range;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A card number.
    Card,
    /// The contents of a magnetic stripe.
    Track,
    /// A card's security code (CVV, CVC).
    SecurityCode,
    /// An encrypted PIN.
    PinBlock,
    /// A password.
    Password,
    /// A bearer token, or another credential that its key names.
    Token,
    /// An API key or signing secret that its shape gives away.
    Key,
    /// A private key in PEM.
    PrivateKey,
    /// An e-mail address; looked for in log lines only.
    Email,
    /// A telephone number; looked for in log lines only.
    Phone,
    /// An account at a bank; looked for in log lines only.
    Account,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Card,
        Self::Track,
        Self::SecurityCode,
        Self::PinBlock,
        Self::Password,
        Self::Token,
        Self::Key,
        Self::PrivateKey,
        Self::Email,
        Self::Phone,
        Self::Account,
    ];

    /// The stable code used in logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Track => "track",
            Self::SecurityCode => "security_code",
            Self::PinBlock => "pin_block",
            Self::Password => "password",
            Self::Token => "token",
            Self::Key => "key",
            Self::PrivateKey => "private_key",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Account => "account",
        }
    }
}

/// Where the bytes are going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Into the store: what must not be kept is found, what the application needs is left.
    Payload,
    /// Into a log or onto a terminal: e-mail addresses, telephone numbers, bank accounts, signed tokens
    /// and client secrets as well.
    Line,
}

/// One thing that was found. It never carries what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    /// What it is.
    pub kind: Kind,
    /// The parts of it that are masked, in order.
    masked: Vec<Range<usize>>,
    /// The digit that masks where only digits may stand.
    fill: u8,
}

impl Finding {
    fn whole(kind: Kind, range: Range<usize>) -> Self {
        Self { masked: vec![range.clone()], range, kind, fill: b'0' }
    }
}

/// Bytes with what was found in them masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// As many bytes as there were.
    pub bytes: Vec<u8>,
    /// What was found, in order; empty only if nothing was.
    pub findings: Vec<Finding>,
}

impl Redacted {
    /// How much was found of each kind that was.
    pub fn counts(&self) -> impl Iterator<Item = (Kind, usize)> {
        Kind::ALL.iter().filter_map(|kind| {
            let count = self.findings.iter().filter(|finding| finding.kind == *kind).count();
            (count > 0).then_some((*kind, count))
        })
    }
}

/// Finds what must not stand in bytes that go to this place, in order.
pub fn find(bytes: &[u8], place: Place) -> Vec<Finding> {
    let mut findings = scan::scan(bytes, place);
    if place == Place::Line {
        findings.extend(persons::find(bytes));
    }
    findings.sort_by_key(|finding| (finding.range.start, finding.range.end));
    findings
}

/// Masks what must not be kept; nothing if there is nothing to mask.
pub fn payload(bytes: &[u8]) -> Option<Redacted> {
    let findings = find(bytes, Place::Payload);
    if findings.is_empty() {
        return None;
    }
    Some(Redacted { bytes: mask::apply(bytes, &findings), findings })
}

/// Masks what must not be kept of one decoded value.
pub fn value(text: &mut String) {
    if let Some(redacted) = payload(text.as_bytes()) {
        *text = String::from_utf8_lossy(&redacted.bytes).into_owned();
    }
}

/// Masks what must not stand in a log line or on a terminal.
pub fn line(text: &str) -> Cow<'_, str> {
    let findings = find(text.as_bytes(), Place::Line);
    if findings.is_empty() {
        return Cow::Borrowed(text);
    }
    let masked = mask::apply(text.as_bytes(), &findings);
    Cow::Owned(String::from_utf8_lossy(&masked).into_owned())
}
