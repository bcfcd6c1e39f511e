//! Do two kinds of request take equally long? The two-sample Kolmogorov-Smirnov test.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::HOST;
use crate::clock::{Chance, now_ms};
use crate::stripe::{Series, Signer};

/// Paths of the same length; only the first is that of a source.
const PATHS: [&str; 2] = ["/in/stripe", "/in/absent"];

/// The secret of nobody.
const FOREIGN_SECRET: &str = "whsec_test_foreign_0123456789abcdefghijklm";

/// Times of forged requests, nanoseconds: to a source, and to none.
#[derive(Debug, Default)]
pub struct Times {
    /// To a source that is there.
    pub known: Vec<u64>,
    /// To one that is not.
    pub unknown: Vec<u64>,
}

/// Sends forged requests to a source and to none, mixed by chance, `count` of each, on one
/// connection.
///
/// # Errors
/// When they are not answered alike with 401.
pub fn times(gateway: SocketAddr, seed: u64, count: usize) -> Result<Times> {
    let mut chance = Chance::new(seed);
    let (signer, series) = (Signer::new(FOREIGN_SECRET), Series::fresh());
    let mut stream = TcpStream::connect(gateway).context("nobody listens")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut times = Times::default();
    let mut buffer = [0; 4096];
    let mut shape = None;
    for n in 0_u32.. {
        let known = chance.bits().is_multiple_of(2);
        let kept = if known { &mut times.known } else { &mut times.unknown };
        let path = if known { PATHS[0] } else { PATHS[1] };
        let now_s = now_ms() / 1000;
        let body = series.body(u64::from(n), now_s);
        let signature = signer.header(now_s, &body);
        // Each from an address of its own: one address may fail ten times a minute.
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + n);
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n\
             x-forwarded-for: {address}\r\nstripe-signature: {signature}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        let start = Instant::now();
        stream.write_all(&request)?;
        let read = stream.read(&mut buffer)?;
        let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let answer = buffer.get(..read).unwrap_or_default();
        ensure!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(answer));
        ensure!(read == *shape.get_or_insert(read), "the answers differ in length");
        if kept.len() < count {
            kept.push(took);
        }
        if times.known.len() == count && times.unknown.len() == count {
            break;
        }
    }
    Ok(times)
}

/// How probable it is that two samples of one distribution differ as much as these.
pub fn kolmogorov_smirnov(one: &[u64], other: &[u64]) -> f64 {
    let (mut one, mut other) = (one.to_vec(), other.to_vec());
    one.sort_unstable();
    other.sort_unstable();
    let share = |sorted: &[u64], at: u64| {
        sorted.partition_point(|value| *value <= at) as f64 / sorted.len() as f64
    };
    let apart = |at: &u64| (share(&one, *at) - share(&other, *at)).abs();
    let distance = one.iter().chain(&other).map(apart).fold(0.0, f64::max);
    let (n, m) = (one.len() as f64, other.len() as f64);
    let root = (n * m / (n + m)).sqrt();
    // The asymptotic distribution with Stephens' correction (Numerical Recipes, 14.3).
    let lambda = (root + 0.12 + 0.11 / root) * distance;
    if lambda < 0.2 {
        return 1.0;
    }
    let term = |k: i32| {
        let sign = if k % 2 == 1 { 2.0 } else { -2.0 };
        sign * (-2.0 * f64::from(k * k) * lambda * lambda).exp()
    };
    (1..=100).map(term).sum::<f64>().clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: u64, count: usize, shift: u64) -> Vec<u64> {
        let mut chance = Chance::new(seed);
        (0..count).map(|_| chance.between(0, 1000) + shift).collect()
    }

    #[test]
    fn samples_of_one_distribution_are_told_apart_rarely() {
        let p = |seed| kolmogorov_smirnov(&sample(seed, 1000, 0), &sample(seed + 1000, 1000, 0));
        let apart = (1..=200).filter(|seed| p(*seed) < 0.01).count();
        assert!(apart <= 8, "{apart} of 200 at the level of 0.01");
    }

    #[test]
    fn a_small_shift_is_found_in_a_large_sample() {
        assert!(kolmogorov_smirnov(&sample(1, 25_000, 0), &sample(2, 25_000, 30)) < 0.001);
        assert!(kolmogorov_smirnov(&sample(1, 1000, 0), &sample(2, 1000, 200)) < 1e-9);
    }

    #[test]
    fn known_values_are_met() {
        // D = 0.1 for 200 and 200: p = 0.26 (asymptotic, corrected).
        let one: Vec<u64> = (0..200).collect();
        let other: Vec<u64> = (20..220).collect();
        let p = kolmogorov_smirnov(&one, &other);
        assert!((0.24..0.28).contains(&p), "{p}");
        assert_eq!(kolmogorov_smirnov(&one, &one), 1.0);
    }
}
