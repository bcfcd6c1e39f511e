//! Tiles: what is kept of a tree, 256 hashes at a time (C2SP tlog-tiles has the same division).
//!
//! Of every eighth level all hashes are kept. A node between two of them covers at most 128 hashes of
//! the kept level below it, which stand in one tile, so it is made from them.

use super::Node;
use super::frontier::fold;
use crate::hash::{Hash, node_hash};

/// Levels from one kept level to the next.
const HEIGHT: u32 = 8;

/// Hashes of a full tile.
const WIDTH: usize = 1 << HEIGHT;

/// Which tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// 0 holds the hashes of leaves, 1 those of the nodes over 256 leaves each, and so on.
    pub level: u32,
    /// The how manieth of its level.
    pub number: u64,
}

/// Hashes of neighbours; the last tile of a level may not be full yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Which one.
    pub id: TileId,
    hashes: Vec<Hash>,
}

impl Node {
    /// The tile from whose hashes this node is made.
    pub fn tile(self) -> TileId {
        let below = self.level % HEIGHT;
        TileId { level: self.level / HEIGHT, number: self.index >> (HEIGHT - below) }
    }

    /// Whether it stands in its tile as it is.
    pub fn is_kept(self) -> bool {
        self.level.is_multiple_of(HEIGHT)
    }
}

impl Tile {
    /// A tile without hashes.
    pub fn empty(id: TileId) -> Self {
        Self { id, hashes: Vec::new() }
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` if that is no tile.
    pub fn from_bytes(id: TileId, bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks();
        let fits = rest.is_empty() && hashes.len() <= WIDTH;
        fits.then(|| Self { id, hashes: hashes.iter().copied().map(Hash).collect() })
    }

    /// The hashes, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// The hashes.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Whether it can take no more.
    pub fn is_full(&self) -> bool {
        self.hashes.len() >= WIDTH
    }

    /// Adds the hash of a kept node; false if that is not the next one of this tile.
    #[must_use]
    pub fn push(&mut self, node: Node, hash: Hash) -> bool {
        let place = usize::try_from(node.index % WIDTH as u64).unwrap_or(WIDTH);
        let fits = node.is_kept() && node.tile() == self.id && place == self.hashes.len();
        if fits {
            self.hashes.push(hash);
        }
        fits
    }

    /// The hash of a node that belongs to this tile, if its leaves are complete here.
    pub fn hash_of(&self, node: Node) -> Option<Hash> {
        if node.tile() != self.id {
            return None;
        }
        let span = 1_usize << (node.level % HEIGHT);
        let first = usize::try_from(node.index % (WIDTH / span) as u64).ok()? * span;
        let covered = self.hashes.get(first..first + span)?;
        let mut row = covered.to_vec();
        while row.len() > 1 {
            row = row.chunks(2).filter_map(pair).collect();
        }
        fold(&row)
    }
}

fn pair(hashes: &[Hash]) -> Option<Hash> {
    let [left, right] = hashes else { return None };
    Some(node_hash(*left, *right))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;
    use crate::hash::leaf_hash;
    use crate::tree::{Frontier, nodes_of};

    /// All nodes of a tree of so many leaves, and the tiles that are kept of it.
    fn grown(leaves: u64) -> (HashMap<Node, Hash>, BTreeMap<TileId, Tile>) {
        let (mut nodes, mut tiles) = (HashMap::new(), BTreeMap::<TileId, Tile>::new());
        let mut frontier = Frontier::new();
        for leaf in 0..leaves {
            frontier.append(leaf_hash(&leaf.to_be_bytes()), |node, hash| {
                nodes.insert(node, hash);
                if node.is_kept() {
                    let tile = tiles.entry(node.tile()).or_insert_with(|| Tile::empty(node.tile()));
                    assert!(tile.push(node, hash));
                }
            });
        }
        (nodes, tiles)
    }

    #[test]
    fn every_node_is_made_from_its_tile() {
        let (nodes, tiles) = grown(70_000);
        assert!(tiles.contains_key(&TileId { level: 2, number: 0 }));
        for (node, hash) in &nodes {
            assert_eq!(tiles[&node.tile()].hash_of(*node), Some(*hash), "{node:?}");
        }
    }

    #[test]
    fn a_frontier_is_read_from_tiles_at_any_size() {
        for size in [0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537] {
            let (_, tiles) = grown(size);
            let mut frontier = Frontier::new();
            (0..size).for_each(|leaf| frontier.append(leaf_hash(&leaf.to_be_bytes()), |_, _| ()));
            let hash = |node: &Node| tiles[&node.tile()].hash_of(*node).expect("it is there");
            let hashes: Vec<Hash> = nodes_of(size).iter().map(hash).collect();
            assert_eq!(Frontier::from_hashes(size, hashes), Ok(frontier), "{size}");
        }
    }

    #[test]
    fn what_is_not_complete_or_elsewhere_is_not_given() {
        let (_, tiles) = grown(300);
        let second = &tiles[&TileId { level: 0, number: 1 }];
        assert_eq!(second.hashes().len(), 44);
        assert!(second.hash_of(Node { level: 0, index: 299 }).is_some());
        assert_eq!(second.hash_of(Node { level: 0, index: 300 }), None);
        // Leaves 296 to 303.
        assert_eq!(second.hash_of(Node { level: 3, index: 37 }), None);
        assert_eq!(second.hash_of(Node { level: 0, index: 0 }), None);
        assert_eq!(second.hash_of(Node { level: 8, index: 0 }), None);
    }

    #[test]
    fn only_the_next_hash_is_taken() {
        let (nodes, _) = grown(2);
        let mut tile = Tile::empty(TileId { level: 0, number: 0 });
        let (first, second) = (Node { level: 0, index: 0 }, Node { level: 0, index: 1 });
        assert!(!tile.push(second, nodes[&second]));
        assert!(tile.push(first, nodes[&first]));
        assert!(!tile.push(first, nodes[&first]));
        assert!(!tile.push(Node { level: 1, index: 0 }, nodes[&first]));
        assert!(!tile.push(Node { level: 0, index: 257 }, nodes[&second]));
        assert!(tile.push(second, nodes[&second]) && !tile.is_full());
    }

    #[test]
    fn bytes_are_read_back_and_other_bytes_are_no_tile() {
        let (_, tiles) = grown(600);
        for tile in tiles.values() {
            assert_eq!(Tile::from_bytes(tile.id, &tile.to_bytes()).as_ref(), Some(tile));
        }
        let id = TileId { level: 0, number: 0 };
        assert_eq!(Tile::from_bytes(id, &[0; 33]), None);
        assert_eq!(Tile::from_bytes(id, &[0; 32 * 257]), None);
        assert_eq!(Tile::from_bytes(id, &[]), Some(Tile::empty(id)));
    }
}
