//! One storm: what happens, and the process under test.

use chains::{
    Asset, AssetId, Classes, Expectation, Finality, Minor, NodeAnswers, OrderKey, Settings, State,
    Worth, step,
};

use crate::oracle::{self, FINAL_DEPTH, Kept};
use crate::world::{CHAIN, Draw, Node, World, account};

const ORDERS: [(u8, u128); 4] = [(1, 99_99), (2, 100_00), (3, 999_90), (4, 5_000_00)];
const TICKS: usize = 90;

fn settings() -> Settings {
    Settings {
        chain: CHAIN,
        nodes: 3,
        nodes_agreeing: 2,
        finality: Finality { depth: FINAL_DEPTH, by_chain: false },
        lag_blocks_max: 4,
        silence_s_max: None,
        blocks_per_step: 8,
        waiting: true,
    }
}

fn expectation(number: u8, amount: u128) -> Expectation {
    Expectation {
        asset: Asset { id: AssetId::native(CHAIN), decimals: 2 },
        address: account(number),
        amount: Minor(amount),
        sender: None,
        dust_below: Minor(1_00),
        from_height: 0,
        from_s: 0,
        due_s: None,
        classes: Classes::usual(),
        worth: Worth::Price(Minor(100)),
    }
}

/// One run: the world, the process under test, and its store.
pub(crate) struct Run {
    pub(crate) world: World,
    chaos: Draw,
    nodes: [Node; 3],
    /// What is on the disk; it is written and read as bytes when it is needed.
    stored: State,
    /// What is in memory.
    state: State,
    pub(crate) kept: Kept,
    earlier: Vec<NodeAnswers>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let state = State::new(CHAIN);
        Self {
            world: World::new(seed),
            chaos: Draw::new(!seed),
            nodes: [Node::default(); 3],
            stored: state.clone(),
            state,
            kept: Kept::default(),
            earlier: Vec::new(),
        }
    }

    fn follow(&mut self, number: u8, amount: u128) {
        self.state.follow(OrderKey([number; 16]), expectation(number, amount)).expect("fit");
        self.stored = self.state.clone();
    }

    fn crash(&mut self) {
        self.state =
            State::from_bytes(&self.stored.to_bytes()).expect("what was written can be read");
    }

    /// One round of questions and one step, with everything that can go wrong.
    fn turn(&mut self, is_calm: bool) -> Result<bool, String> {
        let settings = settings();
        let round = self.state.ask(&settings);
        let mut answers = Vec::new();
        for at in 0..self.nodes.len() {
            let mut told = self.world.answer(self.nodes[at], &round, !is_calm);
            if !is_calm {
                self.disorder(&mut told);
            }
            answers.push(told);
        }
        self.earlier.extend(answers.iter().cloned());
        let excess = self.earlier.len().saturating_sub(9);
        self.earlier.drain(..excess);
        let stepped = step(self.state.clone(), &settings, &answers, 0);
        if !is_calm && self.chaos.chance(8) {
            self.crash();
            return Ok(true);
        }
        self.stored = stepped.state.clone();
        self.kept.commit(&stepped.state, &stepped.facts, &self.world)?;
        self.state = stepped.state;
        if !is_calm && self.chaos.chance(8) {
            self.crash();
        }
        Ok(stepped.is_behind)
    }

    /// Answers out of order, twice, or of an earlier round.
    fn disorder(&mut self, told: &mut NodeAnswers) {
        self.chaos.shuffle(&mut told.answers);
        if self.chaos.chance(20) {
            let again = told.answers.clone();
            told.answers.extend(again);
        }
        if self.chaos.chance(5) && !self.earlier.is_empty() {
            *told = self.earlier[self.chaos.below(self.earlier.len())].clone();
        }
    }

    /// Something happens to the chain or to a node.
    fn happen(&mut self) {
        match self.chaos.below(12) {
            0..4 => self.world.mine(70),
            4 => self.world.mine(0),
            5 | 6 => self.pay(),
            7 => self.world.double_spend(),
            8 => {
                let deep = if self.chaos.chance(35) { 20 } else { 4 };
                let depth = 1 + self.chaos.below(deep);
                self.world.reorganise(depth);
            }
            9 => {
                let at = self.chaos.below(3);
                let is_away = self.chaos.chance(25);
                let lies = at == 2 && self.chaos.chance(15);
                self.nodes[at] = Node { behind: self.chaos.below(3), is_away, lies };
            }
            _ => self.nodes = [Node::default(); 3],
        }
    }

    fn pay(&mut self) {
        // Those that are followed, and the one that will be next: blocks are not remembered for ever.
        let known = (self.state.orders().len() + 1).min(ORDERS.len());
        let (number, amount) = ORDERS[ORDERS.len() - 1 - self.chaos.below(known)];
        let coin = AssetId::native(CHAIN);
        match self.chaos.below(6) {
            0 | 1 => self.world.pay(account(number), coin, amount),
            2 | 3 => {
                // Parts that each look smaller than they are together.
                (0..10).for_each(|_| self.world.pay(account(number), coin.clone(), amount / 10));
            }
            4 => self.world.pay(account(number), coin, 99),
            _ => self.world.pay(account(number), AssetId::token(CHAIN, account(77)), amount),
        }
    }

    fn come_to_rest(&mut self) -> Result<(), String> {
        for _ in 0..500 {
            if !self.turn(true)? {
                // Once more, for what was found when the last block was read.
                self.turn(true)?;
                return Ok(());
            }
        }
        Err(format!("it does not come to rest: {:?}", self.state.held()))
    }

    /// Nothing more happens; everybody comes to know everything.
    fn calm_down(&mut self) -> Result<(), String> {
        self.nodes = [Node::default(); 3];
        // What waits is mined, so that nothing is left open; then it becomes final.
        self.world.mine(100);
        self.come_to_rest()?;
        (0..FINAL_DEPTH + 2).for_each(|_| self.world.mine(0));
        self.come_to_rest()?;
        assert!(oracle::is_of_the_chain(&self.state));
        self.kept.judge_end(&self.state, &self.world)
    }
}

/// The storm of a seed; the fault if there is one.
pub(crate) fn storm(seed: u64) -> Result<Run, String> {
    let mut run = Run::new(seed);
    let mut late = ORDERS.to_vec();
    for tick in 0..TICKS {
        // Some orders are there before the first block is read, some come later.
        if tick % 10 == 0
            && let Some((number, amount)) = late.pop()
        {
            run.follow(number, amount);
        }
        run.happen();
        run.turn(false)?;
    }
    run.calm_down()?;
    Ok(run)
}
