//! The tree against known answers, against its definition for all small sizes, and under tampering.

use std::collections::HashMap;

use super::*;
use crate::hash::{Hash, empty_root, leaf_hash, node_hash};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

/// A log with every node that it ever completed.
#[derive(Default)]
struct Log {
    frontier: Frontier,
    nodes: HashMap<Node, Hash>,
    leaves: Vec<Hash>,
}

impl Log {
    fn of(leaves: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut log = Self::default();
        for leaf in leaves {
            log.push(leaf_hash(&leaf));
        }
        log
    }

    fn push(&mut self, leaf: Hash) {
        self.leaves.push(leaf);
        let Self { frontier, nodes, .. } = self;
        frontier.append(leaf, |node, hash| {
            assert_eq!(nodes.insert(node, hash), None, "{node:?} is complete once");
        });
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        let plan = inclusion_plan(index, size).expect("a leaf of the tree");
        plan.proof(|node| self.nodes.get(&node).copied()).expect("every node is there")
    }

    fn consistency(&self, earlier: u64, size: u64) -> Vec<Hash> {
        let plan = consistency_plan(earlier, size).expect("an earlier tree");
        plan.proof(|node| self.nodes.get(&node).copied()).expect("every node is there")
    }

    fn root(&self, size: u64) -> Hash {
        by_definition(&self.leaves[..usize::try_from(size).expect("small")])
    }
}

/// RFC 6962, 2.1, word for word.
fn by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let middle = leaves.len().next_power_of_two() / 2;
            node_hash(by_definition(&leaves[..middle]), by_definition(&leaves[middle..]))
        }
    }
}

fn counted(size: u64) -> Log {
    Log::of((0..size).map(|number| number.to_string().into_bytes()))
}

/// The eight leaves that the logs of certificates have tested with since 2013.
fn eight() -> Log {
    Log::of([
        b"".to_vec(),
        b"\x00".to_vec(),
        b"\x10".to_vec(),
        b"\x20\x21".to_vec(),
        b"\x30\x31".to_vec(),
        b"\x40\x41\x42\x43".to_vec(),
        b"\x50\x51\x52\x53\x54\x55\x56\x57".to_vec(),
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f".to_vec(),
    ])
}

const EIGHT_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn texts(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(ToString::to_string).collect()
}

#[test]
fn roots_of_the_eight_known_leaves() {
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root().to_string(), EIGHT_ROOTS[0]);
    for (leaf, root) in eight().leaves.iter().zip(&EIGHT_ROOTS[1..]) {
        frontier.append(*leaf, |_, _| ());
        assert_eq!(frontier.root().to_string(), *root);
    }
}

#[test]
fn known_inclusion_proofs() {
    let known: [(u64, u64, &[&str]); 5] = [
        (0, 1, &[]),
        (
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            1,
            5,
            &[
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    let log = eight();
    for (index, size, proof) in known {
        assert_eq!(texts(&log.inclusion(index, size)), proof, "{index} in {size}");
    }
}

#[test]
fn known_consistency_proofs() {
    let known: [(u64, u64, &[&str]); 5] = [
        (1, 1, &[]),
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
        (
            6,
            7,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
    ];
    let log = eight();
    for (earlier, size, proof) in known {
        assert_eq!(texts(&log.consistency(earlier, size)), proof, "{earlier} to {size}");
    }
}

/// Roots of larger trees, whose leaves are their numbers in two bytes, as published with the
/// compact ranges of transparency-dev.
#[test]
fn roots_of_larger_known_trees() {
    let known = [
        (10, "VjWMPSYNtCuCNlF/RLnQy6HcwSk6CIipfxm+hettA+4="),
        (15, "j4SulYmocFuxdeyp12xXCIgK6PekBcxzAIj4zbQzNEI="),
        (16, "c+4Uc6BCMOZf/v3NZK1kqTUJe+bBoFtOhP+P3SayKRE="),
        (100, "dUh9hYH88p0CMoHkdr1wC2szbhcLAXOejWpINIooKUY="),
        (255, "SmdsuKUqiod3RX2jyF2M6JnbdE4QuTwwipfAowI4/i0="),
        (256, "qFI0t/tZ1MdOYgyPpPzHFiZVw86koScXy9q3FU5casA="),
        (1000, "RXrgb8xHd55Y48FbfotJwCbV82Kx22LZfEbmBGAvwlQ="),
        (4095, "cWRFdQhPcjn9WyBXE/r1f04ejxIm5lvg40DEpRBVS0w="),
        (4096, "6uU/phfHg1n/GksYT6TO9aN8EauMCCJRl3dIK0HDs2M="),
        (10_000, "VZcav65F9haHVRk3wre2axFoBXRNeUh/1d9d5FQfxIg="),
        (65_535, "iPuVYJhP6SEE4gUFp8qbafd2rYv9YTCDYqAxCj8HdLM="),
    ];
    let mut frontier = Frontier::new();
    for number in 0..65_535u32 {
        let [_, _, high, low] = number.to_be_bytes();
        frontier.append(leaf_hash(&[low, high]), |_, _| ());
        if let Some((size, root)) = known.iter().find(|(size, _)| *size == frontier.size()) {
            assert_eq!(STANDARD.encode(frontier.root().0), *root, "{size}");
        }
    }
}

#[test]
fn every_small_tree_is_what_its_definition_says() {
    let log = counted(64);
    let mut frontier = Frontier::new();
    for size in 0..=64 {
        assert_eq!(frontier.size(), size);
        assert_eq!(frontier.root(), log.root(size), "{size}");
        let stored: Vec<Hash> = nodes_of(size).iter().map(|node| log.nodes[node]).collect();
        assert_eq!(Frontier::from_hashes(size, stored).as_ref(), Ok(&frontier));
        assert_eq!(Frontier::from_bytes(&frontier.to_bytes()).as_ref(), Ok(&frontier));
        if let Some(leaf) = log.leaves.get(usize::try_from(size).expect("small")) {
            frontier.append(*leaf, |_, _| ());
        }
    }
}

#[test]
fn every_small_inclusion_is_proved_and_nothing_else() {
    let log = counted(64);
    for size in 1..=64 {
        let root = log.root(size);
        for index in 0..size {
            let proof = log.inclusion(index, size);
            let leaf = log.leaves[usize::try_from(index).expect("small")];
            assert_eq!(verify_inclusion(leaf, index, size, root, &proof), Ok(()));
            for other in (0..size).filter(|other| *other != index) {
                let verdict = verify_inclusion(leaf, other, size, root, &proof);
                assert!(verdict.is_err(), "{index} as {other} of {size}");
            }
            for changed in tampered(&proof) {
                let verdict = verify_inclusion(leaf, index, size, root, &changed);
                assert!(verdict.is_err(), "{index} of {size}: {changed:?}");
            }
        }
        assert_eq!(inclusion_plan(size, size), None);
        let verdict = verify_inclusion(root, size, size, root, &[]);
        assert_eq!(verdict, Err(ProofError::Sizes));
    }
}

#[test]
fn every_small_consistency_is_proved_and_nothing_else() {
    let log = counted(64);
    for size in 0..=64 {
        let root = log.root(size);
        for earlier in 0..=size {
            let before = log.root(earlier);
            let proof = log.consistency(earlier, size);
            assert_eq!(verify_consistency(earlier, before, size, root, &proof), Ok(()));
            let wrong = leaf_hash(b"wrong");
            for (one, two) in [(wrong, root), (before, wrong), (root, before)] {
                // The empty tree is the beginning of every tree.
                let is_true = (one, two) == (before, root) || (earlier == 0 && one == before);
                let verdict = verify_consistency(earlier, one, size, two, &proof);
                assert_eq!(verdict.is_ok(), is_true, "{earlier} to {size}");
            }
            for changed in tampered(&proof) {
                let verdict = verify_consistency(earlier, before, size, root, &changed);
                assert!(verdict.is_err(), "{earlier} to {size}: {changed:?}");
            }
        }
        assert_eq!(consistency_plan(size + 1, size), None);
        let verdict = verify_consistency(size + 1, root, size, root, &[]);
        assert_eq!(verdict, Err(ProofError::Sizes));
    }
}

/// A proof with each hash changed, one left out, one too many at either end, two exchanged.
fn tampered(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for place in 0..proof.len() {
        let mut changed = proof.to_vec();
        changed[place].0[0] ^= 8;
        all.push(changed);
        let mut changed = proof.to_vec();
        changed.remove(place);
        all.push(changed);
        if place > 0 && proof[place] != proof[place - 1] {
            let mut changed = proof.to_vec();
            changed.swap(place, place - 1);
            all.push(changed);
        }
    }
    let extra = leaf_hash(b"extra");
    all.push([proof, &[extra]].concat());
    all.push([&[extra], proof].concat());
    all
}

#[test]
fn what_is_no_frontier_is_refused() {
    assert!(Frontier::from_hashes(3, vec![empty_root()]).is_err());
    assert!(Frontier::from_hashes(0, vec![empty_root()]).is_err());
    assert!(Frontier::from_hashes(u64::MAX, vec![empty_root(); 64]).is_err());
    let bytes = counted(5).frontier.to_bytes();
    assert!(Frontier::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    assert!(Frontier::from_bytes(&bytes[..7]).is_err());
    assert!(Frontier::from_bytes(&[bytes.as_slice(), &[0; 32]].concat()).is_err());
}

#[test]
fn a_plan_says_which_node_is_missing() {
    let plan = inclusion_plan(0, 4).expect("a leaf");
    let missing = plan.proof(|_| None).expect_err("there are none");
    assert_eq!(missing, MissingNode(Node { level: 0, index: 1 }));
    // Not one node more than needed is read: no two of them cover the same leaf.
    let plan = consistency_plan(6, 7).expect("it grew");
    let wanted = [(1, 2), (0, 6), (2, 0)].map(|(level, index)| Node { level, index });
    assert_eq!(plan.nodes(), wanted);
}

proptest! {
    #[test]
    fn larger_trees_prove_themselves(size in 1u64..700, a: u64, b: u64) {
        let log = counted(size);
        let root = log.root(size);
        let index = a % size;
        let proof = log.inclusion(index, size);
        let leaf = log.leaves[usize::try_from(index).expect("small")];
        prop_assert_eq!(verify_inclusion(leaf, index, size, root, &proof), Ok(()));
        let earlier = b % (size + 1);
        let proof = log.consistency(earlier, size);
        let before = log.root(earlier);
        prop_assert_eq!(verify_consistency(earlier, before, size, root, &proof), Ok(()));
    }

    #[test]
    fn any_sizes_are_planned_and_any_proof_is_judged(
        a: u64, b: u64, hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let _ = inclusion_plan(a, b);
        let _ = consistency_plan(a, b);
        let proof: Vec<Hash> = hashes.into_iter().map(Hash).collect();
        let _ = verify_inclusion(empty_root(), a, b, empty_root(), &proof);
        let _ = verify_consistency(a, empty_root(), b, empty_root(), &proof);
    }
}
