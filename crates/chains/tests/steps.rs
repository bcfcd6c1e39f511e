//! Single steps over small chains: what counts, what holds, what is reversed.

#![expect(clippy::inconsistent_digit_grouping, reason = "cents after the last underscore")]
#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

use std::collections::BTreeSet;

use chains::{
    Address, Answer, Asset, AssetId, Block, ChainId, Classes, Expectation, Fact, Failure, Finality,
    Hash, Head, Hold, Minor, NodeAnswers, OrderKey, Place, Question, Round, Settings, Spend, Spent,
    Standing, State, Transfer, Trouble, Unaccounted, Unfit, Worth, step,
};

const CHAIN: ChainId = ChainId::Evm(1);
const ORDER: OrderKey = OrderKey([1; 16]);

fn hash(height: u64, fork: u8) -> Hash {
    let mut bytes = [fork; 32];
    bytes[..8].copy_from_slice(&height.to_be_bytes());
    Hash::from_bytes(bytes)
}

fn tx(number: u8) -> Hash {
    Hash::from_bytes([number; 32])
}

fn account(number: u8) -> Address {
    Address::evm([number; 20])
}

/// Whoever pays in these tests, with a number of its own for each transaction.
fn spend(nonce: u8) -> Spend {
    Spend::Nonce { sender: account(200), nonce: nonce.into() }
}

fn pays(number: u8, amount: u128) -> Transfer {
    Transfer {
        tx: tx(number),
        place: Place::Native,
        asset: AssetId::native(CHAIN),
        from: Some(account(200)),
        to: account(1),
        amount: Some(Minor(amount)),
        spends: vec![spend(number)],
        succeeded: true,
    }
}

/// What one node knows: blocks from height 0, and what waits.
#[derive(Clone)]
struct Node {
    chain: ChainId,
    blocks: Vec<Block>,
    waiting: Vec<Transfer>,
    finalized: Option<u64>,
    is_away: bool,
}

impl Node {
    fn new() -> Self {
        let blocks = Vec::new();
        let mut node =
            Self { chain: CHAIN, blocks, waiting: vec![], finalized: None, is_away: false };
        node.mine(5);
        node
    }

    fn block(&mut self, fork: u8, transfers: Vec<Transfer>) {
        let height = self.blocks.len() as u64;
        let parent = self.blocks.last().map_or(hash(0, 255), |block| block.hash);
        let hash = hash(height, fork);
        let time_s = 1_000 + height;
        self.blocks.push(Block { height, hash, parent, time_s, transfers, spent: vec![] });
    }

    /// More blocks of the fork that it is on.
    fn mine(&mut self, blocks: usize) {
        let fork = self.blocks.last().map_or(0, |block| block.hash.as_bytes()[31]);
        (0..blocks).for_each(|_| self.block(fork, vec![]));
    }

    fn answer(&self, round: &Round) -> NodeAnswers {
        let at = |height: u64| self.blocks.get(usize::try_from(height).expect("small"));
        let answer = |question| match question {
            _ if self.is_away => Answer::Failed(Failure::Away),
            Question::Head => Answer::Head(Head {
                chain: self.chain,
                height: self.blocks.len() as u64 - 1,
                time_s: 1_000 + self.blocks.len() as u64,
                finalized: self.finalized,
            }),
            Question::HashAt(height) => Answer::Hash(at(height).map(|block| block.hash)),
            Question::BlockAt(height) => Answer::Block(at(height).map(|block| {
                let mut block = block.clone();
                block.transfers.retain(|transfer| round.watch.addresses.contains(&transfer.to));
                block.spent.retain(|spent| round.watch.spends.contains(&spent.spend));
                block
            })),
            Question::Waiting => Answer::Waiting(self.waiting.clone()),
        };
        let answers = round.questions.iter().map(|one| (*one, answer(*one))).collect();
        NodeAnswers { round: round.number, answers }
    }
}

struct Watched {
    state: State,
    settings: Settings,
    nodes: Vec<Node>,
    troubles: Vec<Option<Trouble>>,
    now_s: u64,
}

impl Watched {
    fn with(nodes: usize, nodes_agreeing: usize) -> Self {
        let finality = Finality { depth: 30, by_chain: false };
        let settings = Settings {
            chain: CHAIN,
            nodes,
            nodes_agreeing,
            finality,
            lag_blocks_max: 3,
            silence_s_max: Some(1_000),
            blocks_per_step: 4,
            waiting: true,
        };
        settings.judge().expect("good settings");
        let state = State::new(CHAIN);
        let nodes = vec![Node::new(); nodes];
        Self { state, settings, nodes, troubles: vec![], now_s: 1_000 }
    }

    /// One node, and an order of so much.
    fn of(amount: u128) -> Self {
        let mut watched = Self::with(1, 1);
        watched.run();
        watched.state.follow(ORDER, expectation(amount)).expect("fit");
        watched
    }

    /// Steps until there is nothing more to read.
    fn run(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for _ in 0..100 {
            let round = self.state.ask(&self.settings);
            let answers: Vec<_> = self.nodes.iter().map(|node| node.answer(&round)).collect();
            let step = step(self.state.clone(), &self.settings, &answers, self.now_s);
            self.state = State::from_bytes(&step.state.to_bytes()).expect("it is read again");
            assert_eq!(self.state, step.state);
            assert_eq!(self.state.ask(&self.settings), step.next);
            facts.extend(step.facts);
            self.troubles = step.troubles;
            if !step.is_behind {
                return facts;
            }
        }
        panic!("it does not come to rest: {:?}", self.state.held());
    }

    fn node(&mut self) -> &mut Node {
        &mut self.nodes[0]
    }

    fn pay(&mut self, transfers: Vec<Transfer>) {
        self.node().block(0, transfers);
    }

    fn mine(&mut self, blocks: usize) {
        self.nodes.iter_mut().for_each(|node| node.mine(blocks));
        self.run();
    }

    fn is_paid(&self) -> bool {
        self.state.orders()[&ORDER].is_covered()
    }

    /// How each payment stands, how many confirmations it has and needs.
    fn stands(&self) -> Vec<(Standing, u64, u32)> {
        let payments = self.state.payments(ORDER);
        payments.iter().map(|one| (one.standing, one.confirmations, one.required)).collect()
    }
}

/// So many cents.
fn expectation(amount: u128) -> Expectation {
    Expectation {
        asset: Asset { id: AssetId::native(CHAIN), decimals: 2 },
        address: account(1),
        amount: Minor(amount),
        sender: None,
        dust_below: Minor(10),
        from_height: 0,
        from_s: 0,
        due_s: Some(1_008),
        classes: Classes::usual(),
        worth: Worth::Price(Minor(100)),
    }
}

#[test]
fn confirmations_follow_the_value_and_one_too_few_is_not_paid() {
    for (amount, needed) in [(99_99, 3_u8), (100_00, 12), (999_99, 12), (1_000_00, 24)] {
        let mut watched = Watched::of(amount);
        watched.pay(vec![pays(1, amount)]);
        watched.mine((needed - 2).into());
        assert!(!watched.is_paid(), "{amount}");
        let few = u64::from(needed) - 1;
        assert_eq!(watched.stands(), [(Standing::Confirming, few, needed.into())]);
        watched.mine(1);
        assert!(watched.is_paid(), "{amount}");
        watched.mine(30);
        assert_eq!(watched.stands()[0].0, Standing::Final);
    }
}

#[test]
fn ten_small_payments_need_what_one_large_one_needs() {
    let mut watched = Watched::of(999_90);
    watched.pay((1..=10).map(|number| pays(number, 99_99)).collect());
    watched.mine(10);
    assert!(!watched.is_paid());
    assert_eq!(watched.stands(), [(Standing::Confirming, 11, 12); 10]);
    watched.mine(1);
    assert!(watched.is_paid());
}

#[test]
fn payments_one_after_the_other_need_no_less() {
    let mut watched = Watched::of(999_90);
    for number in 1..=10 {
        watched.pay(vec![pays(number, 99_99)]);
        watched.run();
    }
    // The first was counted while it was alone; it is deeper than the last for good.
    watched.mine(10);
    assert!(!watched.is_paid());
    assert_eq!(watched.stands()[9], (Standing::Confirming, 11, 12));
    watched.mine(1);
    assert!(watched.is_paid());
}

#[test]
fn what_is_needed_does_not_shrink_while_something_may_be_lost() {
    let mut watched = Watched::of(50_00);
    watched.pay(vec![pays(1, 50_00), pays(2, 2_000_00)]);
    watched.mine(4);
    assert_eq!(watched.stands()[0], (Standing::Confirming, 5, 24));
    let from = watched.node().blocks.len() - 5;
    watched.node().blocks.truncate(from);
    watched.node().block(7, vec![pays(1, 50_00)]);
    watched.mine(5);
    assert_eq!(watched.stands()[0], (Standing::Confirming, 6, 24));
    assert_eq!(watched.stands()[1].0, Standing::Orphaned);
}

#[test]
fn a_paid_order_is_reversed_with_its_block_and_paid_again() {
    let mut watched = Watched::of(50_00);
    watched.pay(vec![pays(1, 50_00)]);
    watched.mine(2);
    assert!(watched.is_paid());
    let before = watched.node().clone();
    watched.node().blocks.truncate(5);
    (0..3).for_each(|_| watched.node().block(7, vec![]));
    let facts = watched.run();
    assert!(!watched.is_paid());
    assert_eq!(watched.stands()[0].0, Standing::Orphaned);
    // Found from the top, step by step.
    let lost = |fact: &Fact| match fact {
        Fact::Reorganised { blocks, .. } => *blocks,
        _ => 0,
    };
    assert_eq!(facts.iter().map(lost).sum::<u64>(), 3, "{facts:?}");
    let reversed = |fact: &Fact| match fact {
        Fact::Payment(change) => {
            change.from == Some(Standing::Counted) && change.to == Standing::Orphaned
        }
        _ => false,
    };
    assert!(facts.iter().any(reversed), "{facts:?}");
    watched.node().blocks = before.blocks;
    watched.mine(1);
    assert!(watched.is_paid());
}

#[test]
fn a_chain_of_the_same_height_is_another_chain() {
    let mut watched = Watched::of(50_00);
    watched.pay(vec![pays(1, 50_00)]);
    watched.mine(2);
    let height = watched.state.trail().tip().map(|(height, _)| height);
    watched.node().blocks.truncate(5);
    (0..3).for_each(|_| watched.node().block(7, vec![]));
    watched.run();
    assert_eq!(watched.state.trail().tip().map(|(height, _)| height), height);
    assert!(!watched.is_paid());
}

#[test]
fn another_transaction_with_the_same_number_conflicts() {
    let mut watched = Watched::of(50_00);
    watched.node().waiting = vec![pays(1, 50_00)];
    watched.run();
    assert_eq!(watched.stands(), [(Standing::Seen, 0, 3)]);
    watched.node().waiting.clear();
    watched.pay(vec![]);
    let spent = Spent { spend: spend(1), by: tx(9) };
    watched.node().blocks[5].spent.push(spent);
    watched.run();
    assert_eq!(watched.stands()[0].0, Standing::Conflicted { by: tx(9), height: 5 });
    // The other is lost in turn, and the first is there after all.
    watched.node().blocks.truncate(5);
    watched.node().block(7, vec![pays(1, 50_00)]);
    watched.mine(2);
    assert!(watched.is_paid());
}

#[test]
fn a_replacement_that_came_with_the_same_look_is_found_by_looking_again() {
    let mut watched = Watched::of(50_00);
    // Between two looks: it waits, and its replacement is in a block already.
    watched.node().waiting = vec![pays(1, 50_00)];
    watched.pay(vec![]);
    watched.node().blocks[5].spent.push(Spent { spend: spend(1), by: tx(9) });
    watched.run();
    assert_eq!(watched.stands()[0].0, Standing::Seen);
    watched.node().waiting.clear();
    let facts = watched.run();
    assert_eq!(watched.stands()[0].0, Standing::Conflicted { by: tx(9), height: 5 }, "{facts:?}");
}

#[test]
fn a_transaction_that_is_nowhere_any_more_was_dropped() {
    let mut watched = Watched::of(50_00);
    watched.node().waiting = vec![pays(1, 50_00)];
    watched.run();
    watched.node().waiting.clear();
    watched.run();
    assert_eq!(watched.stands()[0].0, Standing::Dropped);
    watched.node().waiting = vec![pays(1, 50_00)];
    watched.run();
    assert_eq!(watched.stands()[0].0, Standing::Seen);
}

#[test]
fn what_does_not_count_is_told_with_its_reason() {
    let mut expected = expectation(50_00);
    expected.sender = Some(account(200));
    expected.from_height = 5;
    let wrong = |number, change: fn(&mut Transfer)| {
        let mut transfer = pays(number, 50_00);
        change(&mut transfer);
        transfer
    };
    let cases = [
        (wrong(1, |one| one.asset = AssetId::token(CHAIN, account(3))), Unaccounted::WrongAsset),
        (wrong(2, |one| one.asset.chain = ChainId::Evm(2)), Unaccounted::WrongAsset),
        (wrong(3, |one| one.from = Some(account(4))), Unaccounted::WrongSender),
        (wrong(4, |one| one.from = None), Unaccounted::WrongSender),
        (wrong(5, |one| one.amount = Some(Minor(9))), Unaccounted::Dust),
        (wrong(6, |one| one.amount = Some(Minor(0))), Unaccounted::Dust),
        (wrong(7, |one| one.amount = None), Unaccounted::TooLarge),
        (wrong(8, |one| one.succeeded = false), Unaccounted::TransactionFailed),
    ];
    let mut watched = Watched::with(1, 1);
    watched.node().blocks[4].transfers.push(pays(20, 50_00));
    watched.run();
    watched.state.follow(ORDER, expected.clone()).expect("fit");
    watched.pay(cases.iter().map(|(transfer, _)| transfer.clone()).collect());
    watched.node().blocks[5].transfers.push(wrong(9, |one| one.to = account(2)));
    watched.mine(40);
    let found: Vec<_> = watched.stands().into_iter().map(|(standing, ..)| standing).collect();
    let reasons: Vec<_> = cases.iter().map(|(_, why)| Standing::Unaccounted(*why)).collect();
    assert_eq!(found, reasons, "neither to another address nor before it was asked for");
    assert!(!watched.is_paid());
    assert_eq!(watched.state.orders()[&ORDER].sums().counted, Minor(0));
}

#[test]
fn a_block_before_the_order_is_too_early() {
    let mut watched = Watched::with(1, 1);
    let mut expected = expectation(50_00);
    expected.from_s = 1_006;
    watched.state.follow(ORDER, expected).expect("fit");
    watched.pay(vec![pays(1, 50_00)]);
    watched.pay(vec![pays(2, 50_00)]);
    watched.mine(2);
    let found: Vec<_> = watched.stands().into_iter().map(|(standing, ..)| standing).collect();
    assert_eq!(found, [Standing::Unaccounted(Unaccounted::TooEarly), Standing::Counted]);
}

#[test]
fn more_payments_than_are_counted_are_told_of() {
    let mut watched = Watched::of(50_00);
    let many =
        (0..300_u16).map(|number| Transfer { place: Place::Log(number.into()), ..pays(1, 10) });
    watched.pay(many.collect());
    watched.mine(2);
    let followed = &watched.state.orders()[&ORDER];
    assert_eq!(followed.sums().counted, Minor(2_560));
    assert_eq!((followed.payments().len(), followed.omitted()), (256 + 32, 12));
}

#[test]
fn what_only_waits_takes_nobodys_place() {
    let mut watched = Watched::of(50_00);
    let waiting =
        |from: u32| (from..from + 40).map(|at| Transfer { place: Place::Log(at), ..pays(1, 50) });
    watched.node().waiting = waiting(0).collect();
    watched.run();
    assert_eq!(watched.stands().len(), 32);
    // All of them go, and as many others come.
    watched.node().waiting.clear();
    watched.run();
    watched.node().waiting = waiting(100).collect();
    watched.run();
    assert_eq!(watched.stands().iter().filter(|one| one.0 == Standing::Seen).count(), 32);
    let many = (200..456).map(|at| Transfer { place: Place::Log(at), ..pays(2, 50) });
    watched.pay(many.collect());
    watched.mine(12);
    assert_eq!(watched.state.orders()[&ORDER].sums().counted, Minor(256 * 50));
}

#[test]
fn what_waits_beside_as_many_payments_as_are_counted_is_not_taken() {
    let mut watched = Watched::of(50_00);
    let all = (0..256).map(|at| Transfer { place: Place::Log(at), ..pays(1, 50) });
    watched.pay(all.collect());
    watched.run();
    let waiting = (0..9).map(|at| Transfer { place: Place::Log(at), ..pays(2, 50) });
    watched.node().waiting = waiting.collect();
    watched.run();
    assert_eq!(watched.stands().len(), 256);
}

/// A contract may send what its block makes of it.
#[test]
fn a_transaction_of_which_another_block_makes_less_counts_for_that() {
    let other = AssetId::token(CHAIN, account(9));
    let forged = |amount| Transfer { asset: other.clone(), ..pays(1, amount) };
    for (before, after, left) in [
        (pays(1, 50_00), pays(1, 1_00), 1_00),
        (forged(9_000_00), pays(1, 1_00), 1_00),
        (pays(1, 50_00), forged(50_00), 0),
    ] {
        let mut watched = Watched::of(50_00);
        watched.pay(vec![before]);
        watched.mine(1);
        watched.node().blocks.truncate(5);
        watched.node().block(7, vec![after.clone()]);
        watched.mine(5);
        let followed = &watched.state.orders()[&ORDER];
        assert_eq!((followed.sums().counted, followed.is_covered()), (Minor(left), false));
        let [payment] = watched.state.payments(ORDER).try_into().expect("one payment");
        assert_eq!((payment.amount, payment.asset), (after.amount, after.asset));
    }
}

#[test]
fn late_underpaid_and_overpaid_are_plain_to_see() {
    let mut watched = Watched::of(50_00);
    watched.pay(vec![pays(1, 49_99)]);
    watched.mine(3);
    assert!(!watched.is_paid());
    watched.pay(vec![pays(2, 1_00)]);
    watched.mine(3);
    let late: Vec<_> = watched.state.payments(ORDER).iter().map(|one| one.is_late).collect();
    assert_eq!(late, [false, true]);
    assert!(watched.is_paid());
    assert_eq!(watched.state.orders()[&ORDER].sums().counted, Minor(50_99));
}

#[test]
fn an_order_that_is_followed_late_finds_what_is_still_remembered() {
    let mut watched = Watched::with(1, 1);
    watched.pay(vec![pays(1, 50_00)]);
    watched.mine(8);
    watched.state.follow(ORDER, expectation(50_00)).expect("fit");
    watched.run();
    assert_eq!(watched.stands(), [(Standing::Counted, 9, 3)]);
    assert!(watched.state.leave(ORDER).is_some_and(|followed| followed.is_covered()));
    assert!(watched.state.orders().is_empty());
}

#[test]
fn a_node_that_is_away_makes_nothing_paid_and_says_so() {
    let mut watched = Watched::of(50_00);
    watched.pay(vec![pays(1, 50_00)]);
    watched.mine(1);
    watched.node().is_away = true;
    watched.node().mine(1);
    assert_eq!(watched.run(), [Fact::Held(Hold::NodesAway)]);
    assert_eq!(watched.troubles, [Some(Trouble::Failed(Failure::Away))]);
    assert!(!watched.is_paid() && watched.run().is_empty(), "said once");
    watched.node().is_away = false;
    assert!(watched.run().contains(&Fact::Resumed));
    assert!(watched.is_paid());
}

#[test]
fn two_of_three_are_enough_and_one_that_denies_is_too_many() {
    let mut watched = Watched::with(3, 2);
    watched.run();
    watched.state.follow(ORDER, expectation(50_00)).expect("fit");
    watched.nodes.iter_mut().for_each(|node| node.block(0, vec![pays(1, 50_00)]));
    watched.nodes[2].is_away = true;
    watched.mine(1);
    assert_eq!(watched.state.held(), None);
    assert_eq!(watched.troubles[2], Some(Trouble::Failed(Failure::Away)));
    // It comes back with another block than the others have.
    watched.nodes[2].is_away = false;
    watched.nodes[2].blocks.truncate(7);
    (0..2).for_each(|_| watched.nodes[2].block(7, vec![]));
    watched.nodes[..2].iter_mut().for_each(|node| node.mine(2));
    watched.run();
    assert_eq!(watched.state.held(), Some(Hold::NodesDisagree(7)));
    assert!(!watched.is_paid());
    watched.nodes[2] = watched.nodes[0].clone();
    watched.run();
    assert!(watched.is_paid() && watched.state.held().is_none());
}

#[test]
fn nodes_that_tell_different_things_of_one_block_disagree() {
    let mut watched = Watched::with(2, 2);
    watched.state.follow(ORDER, expectation(50_00)).expect("fit");
    watched.run();
    watched.nodes[0].block(0, vec![pays(1, 50_00)]);
    watched.nodes[1].block(0, vec![]);
    watched.mine(5);
    assert_eq!(watched.state.held(), Some(Hold::NodesDisagree(5)));
    assert!(watched.stands().is_empty());
}

#[test]
fn a_node_that_lags_holds_and_is_named() {
    let mut watched = Watched::with(2, 2);
    watched.state.follow(ORDER, expectation(50_00)).expect("fit");
    watched.run();
    watched.nodes[0].block(0, vec![pays(1, 50_00)]);
    watched.nodes[0].mine(9);
    watched.run();
    assert_eq!(watched.state.held(), Some(Hold::NodesLag));
    assert_eq!(watched.troubles, [None, Some(Trouble::Lags(10))]);
    assert!(!watched.is_paid());
}

#[test]
fn a_node_of_another_chain_is_not_listened_to() {
    let mut watched = Watched::of(50_00);
    watched.node().chain = ChainId::Evm(137);
    watched.pay(vec![pays(1, 50_00)]);
    watched.mine(5);
    assert_eq!(watched.state.held(), Some(Hold::WrongChain));
    assert_eq!(watched.troubles, [Some(Trouble::WrongChain(ChainId::Evm(137)))]);
    assert!(watched.stands().is_empty());
}

#[test]
fn a_chain_without_new_blocks_is_told_of() {
    let mut watched = Watched::of(50_00);
    watched.now_s = 5_000;
    watched.run();
    assert_eq!(watched.state.held(), Some(Hold::NoBlocks));
}

#[test]
fn nodes_that_forgot_blocks_hold_until_they_have_others() {
    let mut watched = Watched::of(50_00);
    watched.pay(vec![pays(1, 50_00)]);
    watched.mine(2);
    watched.node().blocks.truncate(5);
    watched.run();
    assert_eq!(watched.state.held(), Some(Hold::NodesBehind));
    watched.node().block(7, vec![]);
    watched.run();
    watched.run();
    assert!(!watched.is_paid(), "another block stands where the payment was");
    assert_eq!(watched.state.held(), None);
}

#[test]
fn final_blocks_that_are_replaced_stop_everything() {
    let mut watched = Watched::of(50_00);
    watched.pay(vec![pays(1, 50_00)]);
    watched.mine(60);
    assert_eq!(watched.stands()[0].0, Standing::Final);
    let length = watched.node().blocks.len();
    watched.node().blocks.clear();
    (0..length).for_each(|_| watched.node().block(7, vec![pays(2, 50_00)]));
    watched.run();
    let start = watched.state.trail().start();
    assert_eq!(watched.state.held(), Some(Hold::FinalReplaced(start)));
    assert_eq!(watched.stands().len(), 1, "final stays, and nothing is read of the other chain");
}

#[test]
fn final_waits_for_the_chains_own_word_where_it_is_asked_for() {
    let mut watched = Watched::of(50_00);
    watched.settings.finality = Finality { depth: 3, by_chain: true };
    watched.pay(vec![pays(1, 50_00)]);
    watched.mine(9);
    assert_eq!(watched.stands()[0].0, Standing::Counted, "nobody says what is final");
    watched.node().finalized = Some(4);
    watched.run();
    assert_eq!(watched.stands()[0].0, Standing::Counted);
    watched.node().finalized = Some(5);
    watched.run();
    assert_eq!(watched.stands()[0].0, Standing::Final);
}

#[test]
fn answers_to_an_earlier_round_are_not_listened_to() {
    let mut watched = Watched::of(50_00);
    let old = watched.state.ask(&watched.settings);
    watched.pay(vec![pays(1, 50_00)]);
    watched.mine(2);
    let answers = [watched.node().answer(&old)];
    let step = step(watched.state.clone(), &watched.settings, &answers, 1_000);
    assert_eq!(step.facts, [Fact::Held(Hold::NodesAway)]);
}

#[test]
fn an_order_that_does_not_fit_is_refused() {
    let refused = |change: fn(&mut Expectation)| {
        let mut expected = expectation(50_00);
        change(&mut expected);
        State::new(CHAIN).follow(ORDER, expected).err()
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|one| one.asset.id.chain = ChainId::Evm(2)), Some(Unfit::WrongChain));
    assert_eq!(refused(|one| one.amount = Minor(0)), Some(Unfit::Amount));
    assert_eq!(refused(|one| one.worth = Worth::Price(Minor(0))), Some(Unfit::Amount));
    assert_eq!(refused(|one| one.asset.decimals = 40), Some(Unfit::Amount));
    let mut watched = Watched::of(50_00);
    let again = |state: &mut State, key, amount| state.follow(key, expectation(amount)).err();
    assert_eq!(again(&mut watched.state, ORDER, 50_00), None);
    assert_eq!(again(&mut watched.state, ORDER, 51_00), Some(Unfit::OtherExpectation));
    let other = OrderKey([2; 16]);
    assert_eq!(again(&mut watched.state, other, 50_00), Some(Unfit::AddressTaken));
}

#[test]
fn a_look_that_brings_nothing_leaves_the_state_the_same_but_for_the_round() {
    let mut watched = Watched::of(50_00);
    watched.mine(3);
    let before = watched.state.clone();
    watched.run();
    assert_ne!(watched.state, before);
    assert!(watched.state.is_same_but_for_the_round(&before));
    watched.mine(1);
    assert!(!watched.state.is_same_but_for_the_round(&before), "a block");
    let mut other = before.clone();
    other.leave(ORDER);
    assert!(!other.is_same_but_for_the_round(&before), "an order less");
}

#[test]
fn a_state_of_another_version_is_refused() {
    let bytes = Watched::of(50_00).state.to_bytes();
    let text = String::from_utf8(bytes).expect("JSON");
    let other = text.replace("\"version\":1", "\"version\":2");
    let refused = |text: &str| State::from_bytes(text.as_bytes()).err().map(|why| why.to_string());
    let version = refused(&other).expect("refused");
    assert_eq!(version, "the state of the chain has version 2, this binary knows 1");
    assert!(refused("{}").is_some() && refused("{\"version\":1}").is_some());
    assert_eq!(refused(&text), None);
}

#[test]
fn every_code_is_its_own() {
    let holds = Hold::ALL.iter().map(|hold| hold.code());
    assert_eq!(holds.collect::<BTreeSet<_>>().len(), Hold::ALL.len());
    let reasons = Unaccounted::ALL.iter().map(|reason| reason.code());
    assert_eq!(reasons.collect::<BTreeSet<_>>().len(), Unaccounted::ALL.len());
}
