//! One-time codes: RFC 6238, six digits of HMAC-SHA-1 every thirty seconds, as every app makes them.
//!
//! Written here over the HMAC that everything else uses: a library for it brings hash functions of
//! its own, and says that a code is right but not for which step, so that it could be used twice.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use model::Timestamp;
use model::operator::Login;
use zeroize::Zeroizing;

/// How long a code is shown, milliseconds.
const STEP_MS: i64 = 30_000;

/// Digits of a code.
pub(super) const DIGITS: usize = 6;

/// Steps that a clock may be off, each way.
const OFF_MAX: i64 = 1;

/// What the codes of one operator are made from: as long as the hash, as RFC 4226 recommends.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 20]>);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

impl Seed {
    /// A seed of these bytes.
    pub fn new(bytes: [u8; 20]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// As it was kept; none if it is no seed.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The seed as people type it into an app: base32 (RFC 4648), which needs no padding here.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(32));
        for five in self.0.chunks(5) {
            let bits = five.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
            for place in (0..8).rev() {
                let digit = u8::try_from((bits >> (5 * place)) & 31).unwrap_or(0);
                text.push(char::from(if digit < 26 { b'A' + digit } else { b'2' + digit - 26 }));
            }
        }
        text
    }

    /// What apps read from a picture.
    pub fn to_uri(&self, login: &Login) -> Zeroizing<String> {
        let secret = self.to_text();
        Zeroizing::new(format!(
            "otpauth://totp/Countersign:{login}?secret={}&issuer=Countersign&algorithm=SHA1&digits=6&period=30",
            secret.as_str()
        ))
    }

    /// The code that is shown at a time.
    pub fn code(&self, now: Timestamp) -> String {
        String::from_utf8_lossy(&self.code_of(step(now))).into_owned()
    }

    /// The step of which this is the code, if it is of one that may be shown now; of several the
    /// latest. The same work whatever is shown.
    pub(super) fn step_of(&self, shown: &str, now: Timestamp) -> Option<i64> {
        let now = step(now);
        let mut found = None;
        for step in now - OFF_MAX..=now + OFF_MAX {
            if verify_slices_are_equal(&self.code_of(step), shown.as_bytes()).is_ok() {
                found = Some(step);
            }
        }
        found
    }

    fn code_of(&self, step: i64) -> [u8; DIGITS] {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.as_bytes());
        let tag = hmac::sign(&key, &step.to_be_bytes());
        // RFC 4226: the last four bits say where the four bytes begin.
        let offset = tag.as_ref().last().map_or(0, |last| usize::from(last & 15));
        let four = tag.as_ref().iter().skip(offset).take(4);
        let mut number = four.fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        number &= 0x7fff_ffff;
        let mut code = [b'0'; DIGITS];
        for digit in code.iter_mut().rev() {
            *digit += u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
        code
    }
}

fn step(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(STEP_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed of the vectors in RFC 6238, appendix B.
    fn rfc() -> Seed {
        Seed::new(*b"12345678901234567890")
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn the_vectors_of_the_rfc_hold() {
        for (seconds, eight_digits) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(rfc().code(at(seconds)), eight_digits[2..], "{seconds}");
        }
    }

    #[test]
    fn a_code_counts_for_its_step_and_one_beside_it() {
        let now = 1_234_567_890;
        let mine = now / 30;
        for off in -3..=3 {
            let shown = rfc().code(at(now + off * 30));
            let expected = (off.abs() <= 1).then_some(mine + off);
            assert_eq!(rfc().step_of(&shown, at(now)), expected, "{off}");
        }
        for wrong in ["", "00592", "0059244", " 05924", "o05924", "００５９２４"] {
            assert_eq!(rfc().step_of(wrong, at(now)), None, "{wrong}");
        }
        assert_eq!(Seed::new([7; 20]).step_of("005924", at(now)), None);
    }

    #[test]
    fn a_seed_is_shown_as_apps_read_it() {
        let text = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert_eq!(rfc().to_text().as_str(), text);
        let login = "ada".parse().expect("a login");
        assert_eq!(
            rfc().to_uri(&login).as_str(),
            format!(
                "otpauth://totp/Countersign:ada?secret={text}&issuer=Countersign&algorithm=SHA1&digits=6&period=30"
            )
        );
        assert_eq!(format!("{:?}", rfc()), "Seed(…)");
        assert!(Seed::from_bytes(&[1; 19]).is_none());
    }
}
