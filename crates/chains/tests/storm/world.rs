//! A simulated chain: transactions that compete, blocks, forks, and nodes that see it each in its way.

use std::collections::{BTreeMap, BTreeSet};

use chains::{
    Address, Answer, AssetId, Block, ChainId, Failure, Hash, Head, Minor, NodeAnswers, Place,
    Question, Round, Spend, Spent, Transfer, Watch,
};

pub(crate) const CHAIN: ChainId = ChainId::Evm(31_337);
/// Snapshots of the chain that a node may still be at.
const VIEWS: usize = 12;

/// Seeded random numbers (splitmix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("below a usize")
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn hash(&mut self) -> Hash {
        let mut bytes = [0; 32];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_be_bytes());
        }
        Hash::from_bytes(bytes)
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

pub(crate) fn account(number: u8) -> Address {
    Address::evm([number; 20])
}

/// What one transaction does.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) hash: Hash,
    pub(crate) sender: u8,
    pub(crate) nonce: u64,
    pub(crate) to: Address,
    pub(crate) asset: AssetId,
    pub(crate) amount: u128,
}

#[derive(Debug, Clone)]
pub(crate) struct SimulatedBlock {
    pub(crate) height: u64,
    pub(crate) parent: Hash,
    pub(crate) transactions: Vec<Hash>,
}

/// The chain as everybody would see it if nobody lagged, and what it was before.
pub(crate) struct World {
    pub(crate) draw: Draw,
    pub(crate) transactions: BTreeMap<Hash, Transaction>,
    pub(crate) blocks: BTreeMap<Hash, SimulatedBlock>,
    /// The chain now and before, newest last: the hashes from height 0.
    views: Vec<Vec<Hash>>,
    next_nonce: u64,
    pub(crate) reorgs: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = Self {
            draw: Draw::new(seed),
            transactions: BTreeMap::new(),
            blocks: BTreeMap::new(),
            views: vec![Vec::new()],
            next_nonce: 0,
            reorgs: 0,
        };
        (0..3).for_each(|_| world.mine(0));
        world
    }

    pub(crate) fn chain(&self) -> &[Hash] {
        self.views.last().expect("there is always one")
    }

    fn change(&mut self, chain: Vec<Hash>) {
        self.views.push(chain);
        if self.views.len() > VIEWS {
            self.views.remove(0);
        }
    }

    fn in_blocks(&self, chain: &[Hash]) -> impl Iterator<Item = &Transaction> {
        let blocks = chain.iter().filter_map(|hash| self.blocks.get(hash));
        let hashes = blocks.flat_map(|block| &block.transactions);
        hashes.filter_map(|hash| self.transactions.get(hash))
    }

    /// Transactions that wait: in no block, and what they use up is not used up.
    fn waiting(&self, chain: &[Hash]) -> Vec<Hash> {
        let used: BTreeSet<_> = self.in_blocks(chain).map(|t| (t.sender, t.nonce)).collect();
        let free = self.transactions.values().filter(|t| !used.contains(&(t.sender, t.nonce)));
        free.map(|t| t.hash).collect()
    }

    /// A payment that nobody competes with yet.
    pub(crate) fn pay(&mut self, to: Address, asset: AssetId, amount: u128) {
        self.next_nonce += 1;
        let (hash, nonce) = (self.draw.hash(), self.next_nonce);
        let sender = 200 + u8::try_from(self.draw.below(4)).expect("small");
        self.transactions.insert(hash, Transaction { hash, sender, nonce, to, asset, amount });
    }

    /// Another transaction that uses up the same as one there is, to somebody else.
    pub(crate) fn double_spend(&mut self) {
        let at = self.draw.below(self.transactions.len());
        let Some(first) = self.transactions.values().nth(at).cloned() else { return };
        let hash = self.draw.hash();
        let other = Transaction { hash, to: account(99), ..first };
        self.transactions.insert(hash, other);
    }

    fn block(&mut self, chain: &[Hash], transactions: Vec<Hash>) -> Hash {
        let hash = self.draw.hash();
        let parent = chain.last().copied().unwrap_or(Hash::from_bytes([0; 32]));
        let height = chain.len() as u64;
        self.blocks.insert(hash, SimulatedBlock { height, parent, transactions });
        hash
    }

    /// A block on top, which takes so many of a hundred of those that wait.
    pub(crate) fn mine(&mut self, percent: usize) {
        let mut chain = self.chain().to_vec();
        let hash = self.fill(&chain, percent);
        chain.push(hash);
        self.change(chain);
    }

    fn fill(&mut self, chain: &[Hash], percent: usize) -> Hash {
        let mut waiting = self.waiting(chain);
        self.draw.shuffle(&mut waiting);
        let mut used = BTreeSet::new();
        let mut taken = Vec::new();
        for hash in waiting {
            let transaction = &self.transactions[&hash];
            let is_free = used.insert((transaction.sender, transaction.nonce));
            if is_free && self.draw.chance(percent) {
                taken.push(hash);
            }
        }
        self.block(chain, taken)
    }

    /// The last so many blocks are replaced by others, one fewer to two more.
    pub(crate) fn reorganise(&mut self, depth: usize) {
        let mut chain = self.chain().to_vec();
        let depth = depth.min(chain.len().saturating_sub(1));
        chain.truncate(chain.len() - depth);
        let blocks = (depth + self.draw.below(4)).saturating_sub(1).max(1);
        for _ in 0..blocks {
            let percent = [0, 40, 90][self.draw.below(3)];
            let hash = self.fill(&chain, percent);
            chain.push(hash);
        }
        self.reorgs += 1;
        self.change(chain);
    }

    /// The blocks from the first to this one.
    pub(crate) fn ancestors(&self, tip: Hash) -> Option<Vec<Hash>> {
        let mut chain = vec![tip];
        let mut block = self.blocks.get(&tip)?;
        while block.height > 0 {
            chain.push(block.parent);
            block = self.blocks.get(&block.parent)?;
        }
        chain.reverse();
        Some(chain)
    }
}

/// How one node sees the world.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Node {
    /// So many changes of the chain it has not seen.
    pub(crate) behind: usize,
    pub(crate) is_away: bool,
    /// It makes payments up.
    pub(crate) lies: bool,
}

impl World {
    /// What a node answers. The world may move on between two questions.
    pub(crate) fn answer(&mut self, node: Node, round: &Round, is_moving: bool) -> NodeAnswers {
        let mut answers = Vec::new();
        for question in &round.questions {
            if is_moving && self.draw.chance(3) {
                self.mine(60);
            }
            let is_lost = node.is_away || is_moving && self.draw.chance(2);
            let answer = if is_lost {
                Answer::Failed(Failure::Away)
            } else {
                self.say(node, *question, &round.watch)
            };
            answers.push((*question, answer));
        }
        NodeAnswers { round: round.number, answers }
    }

    fn view(&self, node: Node) -> &[Hash] {
        let at = self.views.len().saturating_sub(1 + node.behind);
        &self.views[at]
    }

    fn say(&mut self, node: Node, question: Question, watch: &Watch) -> Answer {
        let chain = self.view(node).to_vec();
        let at = |height: u64| chain.get(usize::try_from(height).ok()?).copied();
        match question {
            Question::Head => Answer::Head(Head {
                chain: CHAIN,
                height: chain.len() as u64 - 1,
                time_s: 1_000 + chain.len() as u64,
                finalized: None,
            }),
            Question::HashAt(height) => Answer::Hash(at(height)),
            Question::BlockAt(height) => {
                let block = at(height).map(|hash| self.contents(hash, watch));
                Answer::Block(
                    block.map(|block| if node.lies { self.forge(block, watch) } else { block }),
                )
            }
            Question::Waiting => {
                let waiting = self.waiting(&chain);
                let transfers = waiting.iter().map(|hash| transfer(&self.transactions[hash]));
                let watched = |transfer: &Transfer| watch.addresses.contains(&transfer.to);
                Answer::Waiting(transfers.filter(watched).collect())
            }
        }
    }

    fn contents(&self, hash: Hash, watch: &Watch) -> Block {
        let block = &self.blocks[&hash];
        let inside: Vec<_> =
            block.transactions.iter().map(|hash| &self.transactions[hash]).collect();
        let transfers = inside.iter().map(|transaction| transfer(transaction));
        let spent = inside
            .iter()
            .map(|transaction| Spent { spend: spend(transaction), by: transaction.hash });
        Block {
            height: block.height,
            hash,
            parent: block.parent,
            time_s: 1_000 + block.height,
            transfers: transfers.filter(|one| watch.addresses.contains(&one.to)).collect(),
            spent: spent.filter(|one| watch.spends.contains(&one.spend)).collect(),
        }
    }

    fn forge(&mut self, mut block: Block, watch: &Watch) -> Block {
        let made_up = Transaction {
            hash: self.draw.hash(),
            sender: 250,
            nonce: 0,
            to: watch.addresses.first().cloned().unwrap_or(account(0)),
            asset: AssetId::native(CHAIN),
            amount: 1_000_000,
        };
        block.transfers.push(transfer(&made_up));
        block
    }
}

fn spend(transaction: &Transaction) -> Spend {
    Spend::Nonce { sender: account(transaction.sender), nonce: transaction.nonce }
}

fn transfer(transaction: &Transaction) -> Transfer {
    Transfer {
        tx: transaction.hash,
        place: Place::Native,
        asset: transaction.asset.clone(),
        from: Some(account(transaction.sender)),
        to: transaction.to.clone(),
        amount: Some(Minor(transaction.amount)),
        spends: vec![spend(transaction)],
        succeeded: true,
    }
}
