//! A double of a Bitcoin node: it replays exchanges over JSON-RPC, written after the answers that
//! Bitcoin Core documents, through a payment, a reorganisation that spends its input elsewhere, and
//! back. No real node was asked.

use std::ops::ControlFlow;

use crate::{
    Asset, ChainId, Classes, Dialogue, Expectation, Finality, Minor, NodeAnswers, OrderKey, Place,
    Reply, Round, Settings, Standing, State, Worth, step,
};

use super::*;

const CHAIN: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
const SHOP: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const ORDER: OrderKey = OrderKey([1; 16]);

/// One block as the double knows it.
#[derive(Clone)]
struct Recorded {
    hash: String,
    previous: String,
    transactions: String,
}

fn hash_of(number: u8) -> String {
    format!("{number:02x}").repeat(32)
}

/// A transaction that spends output 1 of another, to an address.
fn transaction(id: u8, of: u8, to: &str, value: &str) -> String {
    format!(
        r#"{{"txid":"{}","vin":[{{"txid":"{}","vout":1,"prevout":{{"value":2.00000000,"scriptPubKey":{{"address":"bcrt1qpayer","type":"witness_v0_keyhash"}}}}}}],
            "vout":[{{"value":{value},"n":0,"scriptPubKey":{{"address":"{to}"}}}},{{"value":0.00000000,"n":1,"scriptPubKey":{{"type":"nulldata"}}}}]}}"#,
        hash_of(id),
        hash_of(of)
    )
}

fn coinbase() -> String {
    r#"{"txid":"ee","vin":[{"coinbase":"00","sequence":0}],"vout":[]}"#
        .replace("ee", &hash_of(0xee))
}

/// The double: what it answers to each call.
#[derive(Clone)]
struct Double(Vec<Recorded>);

impl Double {
    fn new() -> Self {
        let genesis = format!("0f9188f13cb7b2c71f2a335e3a4fc328{}", "0".repeat(32));
        let previous = hash_of(0);
        Self(vec![Recorded { hash: genesis, previous, transactions: coinbase() }])
    }

    fn mine(&mut self, number: u8, transactions: &[String]) {
        let previous = self.0.last().expect("a block").hash.clone();
        let transactions = [&[coinbase()], transactions].concat().join(",");
        self.0.push(Recorded { hash: hash_of(number), previous, transactions });
    }

    fn reply(&self, method: &str, parameters: &str) -> String {
        let ok = |result: String| format!(r#"{{"result":{result},"error":null,"id":1}}"#);
        let parameter = parameters.trim_matches(['[', ']']).split(',').next().unwrap_or_default();
        match method {
            "getblockchaininfo" => ok(format!(
                r#"{{"chain":"regtest","blocks":{},"time":1700000000,"mediantime":1699999999}}"#,
                self.0.len() - 1
            )),
            "getblockhash" => match self.0.get(parameter.parse::<usize>().expect("a height")) {
                Some(block) => ok(format!("\"{}\"", block.hash)),
                None => r#"{"result":null,"error":{"code":-8,"message":"Block height out of range"},"id":1}"#.to_owned(),
            },
            "getblock" => {
                let at = self.0.iter().position(|block| parameter.contains(&block.hash));
                let height = at.expect("a block of the chain");
                let Recorded { hash, previous, transactions } = &self.0[height];
                let confirmations = self.0.len() - height;
                let previous = match height {
                    0 => String::new(),
                    _ => format!(r#""previousblockhash":"{previous}","#),
                };
                ok(format!(
                    r#"{{"hash":"{hash}","confirmations":{confirmations},"height":{height},"time":1700000000,{previous}"tx":[{transactions}]}}"#
                ))
            }
            other => panic!("nobody asked for {other} when this was written"),
        }
    }

    fn answer(&self, round: &Round) -> NodeAnswers {
        let chain = CHAIN.parse().expect("a chain");
        let answers = round.questions.iter().map(|question| {
            let mut dialogue = Dialogue::begin(chain, *question);
            loop {
                let calls = dialogue.calls(&round.watch);
                let reply = |call: &Call| {
                    Reply::read(self.reply(call.method, &call.parameters).as_bytes(), 1)
                };
                let replies: Vec<_> = calls.iter().map(reply).collect();
                match dialogue.take(chain, &round.watch, &replies) {
                    ControlFlow::Break(answer) => return (*question, answer),
                    ControlFlow::Continue(more) => dialogue = more,
                }
            }
        });
        NodeAnswers { round: round.number, answers: answers.collect() }
    }
}

fn settings() -> Settings {
    Settings {
        chain: CHAIN.parse().expect("a chain"),
        nodes: 1,
        nodes_agreeing: 1,
        finality: Finality { depth: 100, by_chain: false },
        lag_blocks_max: 2,
        silence_s_max: None,
        blocks_per_step: 8,
        waiting: false,
    }
}

fn followed() -> State {
    let chain = CHAIN.parse().expect("a chain");
    let mut state = State::new(chain);
    let expectation = Expectation {
        asset: Asset { id: AssetId::native(chain), decimals: 8 },
        address: SHOP.parse().expect("an address"),
        amount: Minor(100_000),
        sender: None,
        dust_below: Minor(546),
        from_height: 0,
        from_s: 0,
        due_s: None,
        classes: Classes::usual(),
        // One is worth 60,000.00, so the order 60.00.
        worth: Worth::Price(Minor(6_000_000)),
    };
    state.follow(ORDER, expectation).expect("fit");
    state
}

fn look(state: State, double: &Double) -> State {
    let mut state = state;
    for _ in 0..50 {
        let answers = [double.answer(&state.ask(&settings()))];
        let stepped = step(state, &settings(), &answers, 0);
        state = stepped.state;
        if !stepped.is_behind {
            return state;
        }
    }
    panic!("it does not come to rest: {:?}", state.held());
}

fn stands(state: &State) -> Vec<(Standing, u64)> {
    let payments = state.payments(ORDER);
    payments.iter().map(|one| (one.standing, one.confirmations)).collect()
}

#[test]
fn a_payment_is_counted_orphaned_by_a_double_spend_and_restored() {
    let mut double = Double::new();
    double.mine(1, &[]);
    double.mine(2, &[transaction(0xa1, 0x77, SHOP, "0.00100000")]);
    double.mine(3, &[]);
    let state = look(followed(), &double);
    assert_eq!(stands(&state), [(Standing::Confirming, 2)]);
    double.mine(4, &[]);
    let state = look(state, &double);
    assert_eq!(stands(&state), [(Standing::Counted, 3)]);
    assert!(state.orders()[&ORDER].is_covered());
    let paid = &state.payments(ORDER)[0];
    assert_eq!((paid.key.place, paid.amount), (Place::Output(0), Some(Minor(100_000))));
    // Another branch, one longer, in which the same output goes elsewhere.
    let before = double.clone();
    double.0.truncate(2);
    double.mine(0x12, &[transaction(0xb2, 0x77, "bcrt1qelsewhere", "1.99990000")]);
    (0x13..0x16).for_each(|number| double.mine(number, &[]));
    let state = look(state, &double);
    let by = hash_of(0xb2).parse().expect("a hash");
    assert_eq!(stands(&state), [(Standing::Conflicted { by, height: 2 }, 0)]);
    assert!(!state.orders()[&ORDER].is_covered());
    // And the first branch wins after all.
    double = before;
    (5..9).for_each(|number| double.mine(number, &[]));
    let state = look(state, &double);
    assert_eq!(stands(&state), [(Standing::Counted, 7)]);
}

#[test]
fn a_replacement_that_pays_less_counts_for_what_it_is() {
    let mut double = Double::new();
    double.mine(1, &[]);
    double.mine(2, &[transaction(0xa1, 0x77, SHOP, "0.00100000")]);
    let state = look(followed(), &double);
    assert_eq!(stands(&state), [(Standing::Confirming, 1)]);
    // The payer spends the same output again, for a higher fee and less to the shop, and that is mined.
    double.0.truncate(2);
    double.mine(0x12, &[transaction(0xb2, 0x77, SHOP, "0.00090000")]);
    (0x13..0x16).for_each(|number| double.mine(number, &[]));
    let state = look(state, &double);
    let by = hash_of(0xb2).parse().expect("a hash");
    let mut all = stands(&state);
    all.sort_by_key(|(_, confirmations)| *confirmations);
    assert_eq!(all, [(Standing::Conflicted { by, height: 2 }, 0), (Standing::Counted, 4)]);
    assert!(!state.orders()[&ORDER].is_covered(), "it is less than was ordered");
}

#[test]
fn a_block_that_is_found_beside_the_chain_is_none_of_it() {
    let mut double = Double::new();
    double.mine(1, &[transaction(0xa1, 0x77, SHOP, "0.00100000")]);
    let mut dialogue = Dialogue::begin(settings().chain, Question::BlockAt(1));
    let watch = Watch::default();
    let hash = Reply::read(double.reply("getblockhash", "[1]").as_bytes(), 1);
    dialogue =
        dialogue.take(settings().chain, &watch, &[hash]).continue_value().expect("it goes on");
    let beside = double.reply("getblock", &format!("[\"{}\",3]", hash_of(1)));
    let beside = beside.replace("\"confirmations\":1", "\"confirmations\":-1");
    let answer = dialogue.take(settings().chain, &watch, &[Reply::read(beside.as_bytes(), 1)]);
    assert_eq!(answer.break_value(), Some(Answer::Failed(Failure::Changed)));
}

#[test]
fn amounts_are_read_as_the_text_that_they_are() {
    assert_eq!(satoshi("0.00000001"), Some(Minor(1)));
    assert_eq!(satoshi("20999999.97690000"), Some(Minor(2_099_999_997_690_000)));
    assert_eq!(satoshi("0.00000000"), Some(Minor(0)));
    let wrong = ["", "1", ".00000001", "01.00000000", "-1.00000000", "1.0", "1e-8", "1.000000000"];
    for text in
        wrong.into_iter().chain(["1.0000000a", "+1.00000000", "1,0.00000000", "\"1.00000000\""])
    {
        assert_eq!(satoshi(text), None, "{text}");
    }
}

#[test]
fn what_no_node_answers_is_refused() {
    let chain: ChainId = CHAIN.parse().expect("a chain");
    let answered = |question, body: &str| {
        let replies = [Reply::read(body.as_bytes(), 1)];
        Dialogue::begin(chain, question).take(chain, &Watch::default(), &replies).break_value()
    };
    let malformed = Some(Answer::Failed(Failure::Malformed));
    assert_eq!(answered(Question::HashAt(3), r#"{"id":1,"result":"00"}"#), malformed);
    assert_eq!(answered(Question::HashAt(3), r#"{"id":1,"result":7}"#), malformed);
    let refused = Some(Answer::Failed(Failure::Refused));
    assert_eq!(answered(Question::HashAt(3), r#"{"id":1,"error":{"code":-28}}"#), refused);
    assert_eq!(answered(Question::Waiting, "{}"), refused);
    let above = r#"{"id":1,"result":null,"error":{"code":-8}}"#;
    assert_eq!(answered(Question::HashAt(3), above), Some(Answer::Hash(None)));
}
