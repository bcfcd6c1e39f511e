//! Payments in Bitcoin, over what a node of Bitcoin Core answered: `record` says how, and
//! `exchanges.json` is what it wrote. The node is at rest in each scene, and knows nothing of the next.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

use std::collections::HashMap;
use std::ops::ControlFlow;

use chains::{
    Address, Answer, Asset, AssetId, Call, ChainId, Classes, Dialogue, Expectation, Failure,
    Finality, Hash, Minor, NodeAnswers, OrderKey, Place, Question, Reply, Round, Settings,
    Standing, State, Watch, Worth, step,
};
use serde::Deserialize;

const CHAIN: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
/// The newest block before the first payment.
const FIRST: u64 = 105;
const ORDERED: Minor = Minor(100_000);

#[derive(Deserialize)]
struct Recorded {
    /// Who pays.
    payer: String,
    /// Receiving addresses.
    shops: Vec<String>,
    /// Their ids, by what they are.
    transactions: HashMap<String, Hash>,
    scenes: Vec<Scene>,
}

#[derive(Deserialize)]
struct Scene {
    name: String,
    /// Bodies of requests and of responses.
    exchanges: HashMap<String, String>,
}

impl Recorded {
    fn read() -> Self {
        serde_json::from_str(include_str!("exchanges.json")).expect("what was recorded")
    }

    fn scene(&self, name: &str) -> &Scene {
        self.scenes.iter().find(|scene| scene.name == name).expect("a scene of this name")
    }

    fn transaction(&self, name: &str) -> Hash {
        self.transactions[name]
    }
}

impl Scene {
    fn reply(&self, call: &Call) -> Reply {
        let request = call.text(1);
        let answer = self.exchanges.get(&request).unwrap_or_else(|| {
            panic!("{}: nobody asked this when it was recorded: {request}", self.name)
        });
        Reply::read(answer.as_bytes(), 1)
    }

    fn answers(&self, round: &Round) -> NodeAnswers {
        let answers = round.questions.iter().map(|question| {
            let mut dialogue = Dialogue::begin(chain(), *question);
            loop {
                let calls = dialogue.calls(&round.watch);
                let replies: Vec<_> = calls.iter().map(|call| self.reply(call)).collect();
                match dialogue.take(chain(), &round.watch, &replies) {
                    ControlFlow::Break(answer) => return (*question, answer),
                    ControlFlow::Continue(more) => dialogue = more,
                }
            }
        });
        NodeAnswers { round: round.number, answers: answers.collect() }
    }
}

fn chain() -> ChainId {
    CHAIN.parse().expect("a chain")
}

fn settings() -> Settings {
    Settings {
        chain: chain(),
        nodes: 1,
        nodes_agreeing: 1,
        finality: Finality { depth: 8, by_chain: false },
        lag_blocks_max: 2,
        silence_s_max: None,
        blocks_per_step: 8,
        waiting: false,
    }
}

/// An order at one of the shops' addresses, followed through the scenes.
struct Followed<'a> {
    recorded: &'a Recorded,
    order: OrderKey,
    state: State,
}

impl<'a> Followed<'a> {
    fn new(recorded: &'a Recorded, shop: usize) -> Self {
        let mut state = State::new(chain());
        let expectation = Expectation {
            asset: Asset { id: AssetId::native(chain()), decimals: 8 },
            address: recorded.shops[shop].parse().expect("an address"),
            amount: ORDERED,
            sender: None,
            dust_below: Minor(546),
            from_height: FIRST + 1,
            from_s: 0,
            due_s: None,
            classes: Classes::usual(),
            // One is worth 60,000.00, so the order 60.00: three confirmations.
            worth: Worth::Price(Minor(6_000_000)),
        };
        let order = OrderKey([1; 16]);
        state.follow(order, expectation).expect("fit");
        Self { recorded, order, state }
    }

    /// How its payments stand after looking at a scene until there is nothing more to see.
    fn sees(&mut self, scene: &str) -> Vec<(Hash, Standing, u64)> {
        let scene = self.recorded.scene(scene);
        for _ in 0..50 {
            let answers = [scene.answers(&self.state.ask(&settings()))];
            let stepped = step(self.state.clone(), &settings(), &answers, 0);
            self.state = stepped.state;
            if !stepped.is_behind {
                let payments = self.state.payments(self.order);
                return payments.iter().map(|p| (p.key.tx, p.standing, p.confirmations)).collect();
            }
        }
        panic!("{}: it does not come to rest: {:?}", scene.name, self.state.held());
    }

    fn is_covered(&self) -> bool {
        self.state.orders()[&self.order].is_covered()
    }
}

#[test]
fn a_payment_is_counted_orphaned_by_a_double_spend_and_restored() {
    let recorded = Recorded::read();
    let paid = recorded.transaction("paid");
    let mut order = Followed::new(&recorded, 0);
    assert_eq!(order.sees("the payment waits to be in a block"), []);
    assert_eq!(order.sees("it is in one"), [(paid, Standing::Confirming, 1)]);
    assert!(!order.is_covered());
    assert_eq!(order.sees("there are two upon it"), [(paid, Standing::Counted, 3)]);
    assert!(order.is_covered());
    let payment = &order.state.payments(order.order)[0];
    assert_eq!((payment.key.place, payment.amount), (Place::Output(0), Some(ORDERED)));
    assert_eq!(payment.from.as_ref().map(Address::to_string).as_ref(), Some(&recorded.payer));
    let by = recorded.transaction("spent_elsewhere");
    let conflicted = Standing::Conflicted { by, height: FIRST + 1 };
    let seen = order.sees("a longer branch spends its coin elsewhere");
    assert_eq!(seen, [(paid, conflicted, 0)]);
    assert!(!order.is_covered());
    let seen = order.sees("the first branch is the longer one after all");
    assert_eq!(seen, [(paid, Standing::Counted, 7)]);
    assert!(order.is_covered());
}

#[test]
fn a_payment_that_was_replaced_counts_for_what_it_became() {
    let recorded = Recorded::read();
    let mut order = Followed::new(&recorded, 1);
    let seen = order.sees("a payment was replaced before it was in a block");
    assert_eq!(seen, [(recorded.transaction("replacement"), Standing::Counted, 3)]);
    assert!(!order.is_covered(), "it is less than was ordered");
}

#[test]
fn a_branch_that_pays_less_takes_back_what_was_paid() {
    let recorded = Recorded::read();
    let (before, after) = (recorded.transaction("repaid"), recorded.transaction("repayment"));
    let mut order = Followed::new(&recorded, 2);
    let seen = order.sees("two payments are in a block");
    assert_eq!(seen, [(before, Standing::Confirming, 1)]);
    let mut seen = order.sees("a longer branch has less in the place of one, and not the other");
    seen.sort_by_key(|(.., confirmations)| *confirmations);
    let blocks = order.state.payments(order.order);
    let height = blocks.iter().find_map(|one| one.block).expect("one is in a block").height;
    let conflicted = Standing::Conflicted { by: after, height };
    assert_eq!(seen, [(before, conflicted, 0), (after, Standing::Counted, 4)]);
    assert!(!order.is_covered(), "it is less than was ordered");
}

#[test]
fn a_payment_that_a_branch_left_out_counts_when_it_is_in_a_block_again() {
    let recorded = Recorded::read();
    let paid = recorded.transaction("returning");
    let mut order = Followed::new(&recorded, 3);
    let seen = order.sees("two payments are in a block");
    assert_eq!(seen, [(paid, Standing::Confirming, 1)]);
    let seen = order.sees("a longer branch has less in the place of one, and not the other");
    assert_eq!(seen, [(paid, Standing::Orphaned, 0)]);
    let seen = order.sees("the other is in a block again");
    assert_eq!(seen, [(paid, Standing::Counted, 3)]);
    assert!(order.is_covered());
}

#[test]
fn a_block_that_is_found_beside_the_chain_is_none_of_it() {
    let recorded = Recorded::read();
    let (before, after) = ("it is in one", "a longer branch spends its coin elsewhere");
    let watch = Watch::default();
    let replies = |scene: &str, dialogue: &Dialogue| {
        let calls = dialogue.calls(&watch);
        calls.iter().map(|call| recorded.scene(scene).reply(call)).collect::<Vec<_>>()
    };
    let dialogue = Dialogue::begin(chain(), Question::BlockAt(FIRST + 1));
    let hash = replies(before, &dialogue);
    let dialogue = dialogue.take(chain(), &watch, &hash).continue_value().expect("it goes on");
    // The node still has that block, and says that nothing confirms it.
    let block = replies(after, &dialogue);
    let answer = dialogue.take(chain(), &watch, &block).break_value();
    assert_eq!(answer, Some(Answer::Failed(Failure::Changed)));
}
