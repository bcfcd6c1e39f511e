//! Does a time tell what is secret? Two classes of inputs, timed one by one in random order, and
//! Welch's t-test between them (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?",
//! 2017). Timings above a threshold are left out, for each of a hundred thresholds, since a machine
//! interrupts; the largest |t| counts. Below 4.5 there is no evidence of a difference.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result};
use schemes::{Draft, Freshness, Profile, Request, Secret};
use vault::{DataKey, KeyId, Place, Sealed};

/// From here on two classes are told apart.
pub const TOLD_APART: f64 = 4.5;

/// A difference that nobody can overlook.
pub const PLAIN: f64 = 20.0;

/// Timings that a threshold must leave for its test to count.
const ENOUGH: usize = 5_000;

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What was timed.
    pub name: &'static str,
    /// The largest |t|.
    pub t: f64,
    /// Timings.
    pub samples: usize,
}

/// Times what compares secrets: signatures through `schemes::verify`, by two profiles, and the key
/// commitment of the vault. Each is wrong in its first byte, or in its last.
///
/// # Errors
/// A request cannot be made.
pub fn product(samples: usize) -> Result<Vec<Measured>> {
    Ok(vec![
        signature("verify, signature in hex (stripe)", "stripe", crate::stripe::SECRET, samples)?,
        signature(
            "verify, signature in base64 (standard-webhooks)",
            "standard-webhooks",
            "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            samples,
        )?,
        commitment(samples),
    ])
}

/// Times a comparison that ends at the first difference: the measurement must see it.
pub fn leaking(samples: usize) -> Measured {
    let expected = [0x5a_u8; 32];
    let mut given = expected;
    let t = largest_t(samples, |last| {
        given = expected;
        flip(&mut given, if last { 31 } else { 0 }, 1);
        let started = Instant::now();
        black_box(byte_by_byte(black_box(&expected), black_box(&given)));
        started.elapsed().as_nanos()
    });
    Measured { name: "a comparison byte by byte", t, samples }
}

fn byte_by_byte(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).all(|(one, other)| black_box(*one) == black_box(*other))
}

fn flip(bytes: &mut [u8], at: usize, mask: u8) {
    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
}

fn signature(name: &'static str, provider: &str, secret: &str, samples: usize) -> Result<Measured> {
    const NOW_MS: i64 = 1_800_000_000_000;
    let known = schemes::embedded().iter().find(|(known, _)| *known == provider);
    let (_, source) = known.context("an embedded profile")?;
    let profile = Profile::parse(provider, source).map_err(|error| anyhow::anyhow!("{error}"))?;
    let secret = Secret::new(secret.to_owned());
    let keys = profile.keys(std::slice::from_ref(&secret))?;
    let body = br#"{"id":"evt_1","type":"payment_intent.succeeded"}"#;
    let draft =
        Draft { method: "POST", url: "/", headers: &[], body, now_ms: NOW_MS, id: "msg_test_1" };
    let signed = schemes::sign(&profile, &secret, draft)?;
    let good: Vec<(String, Vec<u8>)> =
        signed.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    let at = good.iter().position(|(name, _)| name.contains("signature")).context("a header")?;
    // Base64 of 32 bytes ends in `=`, and the digit before it has two bits that must stay 0.
    let text = good.get(at).map(|(_, value)| value.clone()).unwrap_or_default();
    let padded = text.ends_with(b"=");
    let (digits, back) = if padded { (44, 3) } else { (64, 1) };
    let (first, last) = (text.len() - digits, text.len() - back);
    let mut sent = good.clone();
    let t = largest_t(samples, |in_last| {
        if let Some((_, value)) = sent.get_mut(at) {
            value.copy_from_slice(&text);
            let at = if in_last { last } else { first };
            let digit = if text.get(at) == Some(&b'1') { b'2' } else { b'1' };
            value.iter_mut().skip(at).take(1).for_each(|byte| *byte = digit);
        }
        let headers: Vec<(&str, &[u8])> =
            sent.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let request = Request { method: "POST", url: "/", headers: &headers, body };
        let started = Instant::now();
        let refused =
            schemes::verify(&profile, &keys, black_box(&request), NOW_MS, Freshness::Profile);
        let took = started.elapsed().as_nanos();
        assert!(black_box(refused).is_err(), "a wrong signature verifies");
        took
    });
    Ok(Measured { name, t, samples })
}

fn commitment(samples: usize) -> Measured {
    let key = DataKey::new(KeyId([7; 16]), [9; 32]);
    let place = Place { table: "event", column: "facts", row: b"row", subject: b"subject" };
    let good = vault::seal(&key, [5; 32], place, b"what nobody may read").as_bytes().to_vec();
    // After the suite and the salt.
    let (first, last) = (1 + 32, 1 + 32 + 31);
    let t = largest_t(samples, |in_last| {
        let mut bytes = good.clone();
        flip(&mut bytes, if in_last { last } else { first }, 1);
        let sealed = Sealed::from_bytes(bytes);
        let started = Instant::now();
        let refused = vault::open(&key, place, black_box(&sealed));
        let took = started.elapsed().as_nanos();
        assert!(black_box(refused).is_err(), "a wrong commitment opens");
        took
    });
    Measured { name: "open, key commitment", t, samples }
}

/// The largest |t| between two classes, each sample of which is of a class drawn at random.
pub fn largest_t(samples: usize, mut time: impl FnMut(bool) -> u128) -> f64 {
    let mut drawn = crate::clock::fresh_seed() | 1;
    let mut timings = Vec::with_capacity(samples);
    for warm in 0..samples + samples / 10 {
        // xorshift64 (Marsaglia 2003)
        drawn ^= drawn << 13;
        drawn ^= drawn >> 7;
        drawn ^= drawn << 17;
        let class = drawn >> 63 == 1;
        let took = u32::try_from(time(class)).unwrap_or(u32::MAX);
        if warm >= samples / 10 {
            timings.push((class, f64::from(took)));
        }
    }
    largest_t_of(&mut timings)
}

fn largest_t_of(timings: &mut [(bool, f64)]) -> f64 {
    timings.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    // Thresholds lie closer together where most timings are, as in the paper's own program.
    let lengths = (1..=100_u32).map(|step| 1.0 - 0.5_f64.powf(f64::from(step) / 10.0));
    let mut largest = 0.0_f64;
    let mut sums = [Sums::default(); 2];
    let mut taken = 0;
    for share in lengths.chain([1.0]) {
        while taken < timings.len() && at_most(taken, share, timings.len()) {
            if let Some((class, took)) = timings.get(taken)
                && let Some(sums) = sums.get_mut(usize::from(*class))
            {
                sums.add(*took);
            }
            taken += 1;
        }
        if taken >= ENOUGH.min(timings.len()) {
            largest = largest.max(welch(&sums));
        }
    }
    largest
}

fn at_most(place: usize, share: f64, all: usize) -> bool {
    let of = |n: usize| u32::try_from(n).map_or(f64::INFINITY, f64::from);
    of(place) < share * of(all)
}

/// Mean and variance as they grow (Welford 1962).
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }
}

/// |t| of Welch's test; 0 where there is nothing to compare.
fn welch([one, other]: &[Sums; 2]) -> f64 {
    let error = |sums: &Sums| sums.squares / (sums.count - 1.0) / sums.count;
    let t = (one.mean - other.mean).abs() / (error(one) + error(other)).sqrt();
    if t.is_finite() { t } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_is_what_another_program_says() {
        let mut sums = [Sums::default(); 2];
        [27.5, 21.0, 19.0, 23.6, 17.0, 17.9].iter().for_each(|value| sums[0].add(*value));
        [27.1, 22.0, 20.8, 23.4, 23.4, 23.5].iter().for_each(|value| sums[1].add(*value));
        assert!((welch(&sums) - 1.28963).abs() < 0.001, "{}", welch(&sums));
        assert_eq!(welch(&[Sums::default(); 2]), 0.0);
    }

    #[test]
    fn classes_that_differ_are_told_apart_and_equal_ones_are_not() {
        let noisy = |n: u32, late: f64| {
            let class = n.is_multiple_of(2);
            (class, f64::from(n % 97) + if class { late } else { 0.0 })
        };
        let mut same: Vec<_> = (0..20_000).map(|n| noisy(n, 0.0)).collect();
        let mut other: Vec<_> = (0..20_000).map(|n| noisy(n, 20.0)).collect();
        assert!(largest_t_of(&mut same) < TOLD_APART);
        assert!(largest_t_of(&mut other) > PLAIN);
    }

    #[test]
    fn everything_that_is_timed_is_refused() {
        let measured = product(200).unwrap();
        assert!(measured.iter().all(|one| one.samples == 200 && one.t.is_finite()), "{measured:?}");
    }
}
