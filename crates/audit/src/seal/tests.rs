//! What was signed once binds whatever is signed later.

use std::collections::HashMap;

use super::*;
use crate::entry::{Entry, tests::example};
use crate::hash::empty_root;
use crate::tree::nodes_of;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("example.com/log", &[seed; 32]).expect("a key")
}

/// What a store keeps.
#[derive(Default, Clone)]
struct Kept {
    nodes: HashMap<Node, Hash>,
    checkpoints: Vec<Signed>,
}

impl Kept {
    fn append(&mut self, sealer: &mut Sealer, name: &str, count: u64) {
        for _ in 0..count {
            let entry = Entry { resource: name.to_owned(), ..example() };
            let body = Body::of(&entry).expect("written");
            let appended = sealer.append(&body).expect("there is room");
            assert_eq!(Entry::parse(&appended.leaf), Ok((appended.index, entry)));
            self.nodes.extend(appended.nodes);
        }
        self.checkpoints.push(sealer.sign(&key(1), None).expect("signed"));
    }

    fn frontier(&self, size: u64) -> Frontier {
        let hashes = nodes_of(size).iter().map(|node| self.nodes[node]).collect();
        Frontier::from_hashes(size, hashes).expect("a frontier")
    }

    fn resume(&self, seen: &[Signed]) -> Result<Sealer, Refused> {
        let last = self.checkpoints.last().expect("one was signed");
        Sealer::resume(last, self.frontier(last.size()), seen, |node| {
            self.nodes.get(&node).copied()
        })
    }
}

/// A log of ten and then seven entries, with a checkpoint after each.
fn log() -> Kept {
    let (mut kept, mut sealer) = (Kept::default(), Sealer::begin("example.com/log"));
    kept.append(&mut sealer, "first", 10);
    kept.append(&mut sealer, "second", 7);
    kept
}

#[test]
fn a_log_goes_on_after_a_start() {
    let mut kept = log();
    let mut sealer = kept.resume(&kept.checkpoints.clone()).expect("it fits");
    assert_eq!(sealer.size(), 17);
    kept.append(&mut sealer, "third", 5);
    let keys = [key(1).verifier().clone()];
    for signed in &kept.checkpoints {
        assert_eq!(Signed::open(signed.note().as_bytes(), &keys).as_ref(), Ok(signed));
        let root = kept.frontier(signed.size()).root();
        assert_eq!(signed.root(), root);
    }
    // The same again, by a key that takes over: the same size and root.
    let again = sealer.sign(&key(1), Some(&key(2))).expect("signed");
    assert_eq!(again.checkpoint(), kept.checkpoints[2].checkpoint());
}

#[test]
fn a_log_that_was_rolled_back_is_not_signed() {
    let kept = log();
    let mut restored = Kept::default();
    restored.append(&mut Sealer::begin("example.com/log"), "first", 10);
    // Its own store knows nothing of it; a witness does.
    assert!(restored.resume(&[]).is_ok());
    assert_eq!(restored.resume(&kept.checkpoints).expect_err("rolled back"), Refused::RolledBack);
    // Entries that are gone, with the checkpoint that was signed for them still there.
    let last = &kept.checkpoints[1];
    let resumed = Sealer::resume(last, kept.frontier(16), &[], |_| None);
    assert_eq!(resumed.expect_err("rolled back"), Refused::RolledBack);
}

#[test]
fn a_log_that_was_rewritten_is_not_signed() {
    let kept = log();
    let mut other = Kept::default();
    let mut sealer = Sealer::begin("example.com/log");
    other.append(&mut sealer, "other", 10);
    other.append(&mut sealer, "second", 20);
    for seen in &kept.checkpoints {
        let resumed = other.resume(std::slice::from_ref(seen));
        assert_eq!(resumed.expect_err("rewritten"), Refused::Rewritten);
    }
    let last = &kept.checkpoints[1];
    let resumed = Sealer::resume(last, other.frontier(17), &[], |_| None);
    assert_eq!(resumed.expect_err("rewritten"), Refused::Rewritten);
    // More leaves than were signed for: somebody wrote behind the sealer's back.
    let resumed = Sealer::resume(last, other.frontier(18), &[], |_| None);
    assert_eq!(resumed.expect_err("rewritten"), Refused::Rewritten);
    // The frontier is right, the nodes under it are not.
    let mut changed = kept.clone();
    changed.nodes.values_mut().for_each(|hash| hash.0[0] ^= 1);
    let hash_of = |node| changed.nodes.get(&node).copied();
    let resumed = Sealer::resume(last, kept.frontier(17), &kept.checkpoints[..1], hash_of);
    assert_eq!(resumed.expect_err("rewritten"), Refused::Rewritten);
    let resumed = Sealer::resume(last, kept.frontier(17), &kept.checkpoints[..1], |_| None);
    assert!(matches!(resumed, Err(Refused::Missing(_))));
}

#[test]
fn a_key_of_another_log_does_not_sign() {
    let sealer = Sealer::begin("example.com/log");
    let other = SigningKey::from_seed("example.com/other", &[1; 32]).expect("a key");
    let refused = Refused::Key(CheckpointError::Origin);
    assert_eq!(sealer.sign(&other, None).expect_err("refused"), refused);
    assert_eq!(sealer.sign(&key(1), Some(&other)).expect_err("refused"), refused);
    let empty = sealer.sign(&key(1), None).expect("an empty log can be signed");
    assert_eq!((empty.size(), empty.root()), (0, empty_root()));
    let seen = Sealer::begin("example.com/other").sign(&other, None).expect("signed");
    let resumed = Sealer::resume(&empty, Frontier::new(), &[seen], |_| None);
    assert_eq!(resumed.expect_err("refused"), refused);
}
