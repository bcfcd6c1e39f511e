//! The fuzzer without instrumentation: changes seeds at random, from a seed of its own, so that a
//! run can be repeated. Blind, but it needs nothing that the machine may not have.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::Target;

/// Bytes of an input at most.
const INPUT_BYTES_MAX: usize = 4096;

/// Inputs run between two looks at the clock.
const ROUND: u64 = 64;

/// Texts that parsers give a meaning.
const WORDS: [&[u8]; 32] = [
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\n",
    b" ",
    b",",
    b":",
    b"=",
    b"&",
    b"%00",
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"{\"a\":1,\"a\":2}",
    b"1e400",
    b"-0",
    b"9007199254740993",
    b"null",
    b"NaN",
    b"0.1",
    b"v1,",
    b"t=",
    b"content-length: 1\r\n",
    b"transfer-encoding: chunked\r\n",
    b"${env:A}",
    b"::ffff:127.0.0.1",
];

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Inputs that were run.
    pub executions: u64,
    /// The input that broke the target, if one did.
    pub broke: Option<Vec<u8>>,
}

/// Numbers that look random and are the same for the same seed (SplitMix64, Steele et al. 2014).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below a bound; 0 for a bound of 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        self.next().checked_rem(bound).and_then(|at| usize::try_from(at).ok()).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Whether a target holds for these bytes.
pub fn holds(target: Target, bytes: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_ok()
}

/// Runs a target on its seeds, and then on changed ones until the time is over.
pub fn run(target: Target, seeds: &[Vec<u8>], seed: u64, time: Duration) -> Outcome {
    let started = Instant::now();
    let mut random = Random(seed);
    let mut executions = 0;
    for bytes in seeds {
        executions += 1;
        if !holds(target, bytes) {
            return Outcome { executions, broke: Some(bytes.clone()) };
        }
    }
    while started.elapsed() < time {
        for _ in 0..ROUND {
            let bytes = changed(seeds, &mut random);
            executions += 1;
            if !holds(target, &bytes) {
                return Outcome { executions, broke: Some(bytes) };
            }
        }
    }
    Outcome { executions, broke: None }
}

/// A seed after one to eight changes.
fn changed(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds.get(random.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=random.below(8) {
        change(&mut bytes, seeds, random);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len());
    let end = (at + random.below(16)).min(bytes.len());
    match random.below(8) {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
        1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.byte()),
        2 => drop(bytes.drain(at..end)),
        3 => bytes.insert(at, random.byte()),
        4 => {
            let word = WORDS.get(random.below(WORDS.len())).copied().unwrap_or_default();
            bytes.splice(at..at, word.iter().copied());
        }
        5 => {
            let piece = bytes.get(at..end).unwrap_or_default().to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        6 => bytes.truncate(at),
        _ => {
            let other = seeds.get(random.below(seeds.len())).map_or(&[][..], Vec::as_slice);
            let from = random.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(other.get(from..).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_bug_is_found_from_a_seed_that_is_near() {
        let target = crate::targets::PLANTED;
        let seeds = [b"pay?".to_vec()];
        let outcome = run(target, &seeds, 1, Duration::from_secs(30));
        let broke = outcome.broke.expect("found");
        assert!(broke.starts_with(b"pay!"), "{broke:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_inputs() {
        let seeds = [b"one".to_vec(), b"another".to_vec()];
        let inputs = |seed| {
            let mut random = Random(seed);
            (0..100).map(|_| changed(&seeds, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
    }
}
