//! Dialogues with EVM nodes: what is asked, what is made of the replies, and what is refused.

use std::ops::ControlFlow;

use super::*;
use crate::rpc::Dialogue;

const CHAIN: ChainId = ChainId::Evm(1);
const SHOP: &str = "0x00000000000000000000000000000000000000a1";
const PAYER: &str = "0x00000000000000000000000000000000000000b2";
const TOKEN: &str = "0x00000000000000000000000000000000000000c3";

fn hash(number: u8) -> String {
    format!("0x{}", format!("{number:02x}").repeat(32))
}

fn watch() -> Watch {
    let spend = Spend::Nonce { sender: PAYER.parse().expect("an address"), nonce: 7 };
    Watch { addresses: [SHOP.parse().expect("an address")].into(), spends: [spend].into() }
}

fn transaction(number: u8, to: &str, value: &str, nonce: &str) -> String {
    format!(
        r#"{{"hash":"{}","from":"{PAYER}","to":{to},"value":"{value}","nonce":"{nonce}","input":"0x"}}"#,
        hash(number)
    )
}

/// Block 5 with four transactions: a payment of the coin, one of a token, a failed one, and a contract.
fn block() -> String {
    let shop = format!("\"{SHOP}\"");
    let transactions = [
        transaction(1, &shop, "0x64", "0x7"),
        transaction(2, &format!("\"{TOKEN}\""), "0x0", "0x8"),
        transaction(3, &shop, "0x65", "0x9"),
        transaction(4, "null", "0x0", "0xa"),
    ];
    format!(
        r#"{{"number":"0x5","hash":"{}","parentHash":"{}","timestamp":"0x3e8","transactions":[{}]}}"#,
        hash(0x50),
        hash(0x40),
        transactions.join(",")
    )
}

fn topic(address: &str) -> String {
    format!("0x{:0>64}", address.trim_start_matches("0x"))
}

fn receipt(tx: u8, status: &str, logs: &str) -> String {
    format!(
        r#"{{"blockHash":"{}","transactionHash":"{}","status":"{status}","logs":[{logs}]}}"#,
        hash(0x50),
        hash(tx)
    )
}

fn log(topics: &[&str], data: &str) -> String {
    let topics: Vec<_> = topics.iter().map(|topic| format!("\"{topic}\"")).collect();
    format!(r#"{{"address":"{TOKEN}","topics":[{}],"data":"{data}"}}"#, topics.join(","))
}

fn token_receipt() -> String {
    let (from, to, stranger) = (topic(PAYER), topic(SHOP), topic(TOKEN));
    let data = format!("0x{:064x}", 500);
    let logs = [
        // Another event, a transfer to somebody else, one of ERC-721, one that is malformed, the one.
        log(&[&hash(9)], "0x"),
        log(&[TRANSFER, &from, &stranger], &data),
        log(&[TRANSFER, &from, &to, &topic("0x01")], "0x"),
        log(&[TRANSFER, &from, &to], "0x01"),
        log(&[TRANSFER, &from, &to], &data),
    ];
    receipt(2, "0x1", &logs.join(","))
}

fn found_with(tx: u8, topics: &[&str]) -> String {
    let topics: Vec<_> = topics.iter().map(|topic| format!("\"{topic}\"")).collect();
    let (block, tx, topics) = (hash(0x50), hash(tx), topics.join(","));
    format!(r#"{{"blockHash":"{block}","transactionHash":"{tx}","topics":[{topics}]}}"#)
}

fn found(tx: u8) -> String {
    format!("[{}]", found_with(tx, &[TRANSFER, &topic(PAYER), &topic(SHOP)]))
}

/// Plays a dialogue to its end with these results, one list a turn.
fn answer(question: Question, turns: &[&[String]]) -> Answer {
    let mut dialogue = Dialogue::begin(CHAIN, question);
    for results in turns {
        let calls = dialogue.calls(&watch());
        assert_eq!(calls.len(), results.len(), "{calls:?}");
        let replies: Vec<_> = results
            .iter()
            .map(|result| {
                Reply::read(
                    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#).as_bytes(),
                    1,
                )
            })
            .collect();
        match dialogue.take(CHAIN, &watch(), &replies) {
            ControlFlow::Break(answer) => return answer,
            ControlFlow::Continue(more) => dialogue = more,
        }
    }
    panic!("it goes on: {:?}", dialogue.calls(&watch()));
}

fn block_with(logs: String, receipts: &[String]) -> Answer {
    answer(Question::BlockAt(5), &[&[block()], &[logs], receipts])
}

fn receipts() -> [String; 3] {
    [receipt(1, "0x1", ""), token_receipt(), receipt(3, "0x0", "")]
}

#[test]
fn a_block_is_read_with_all_that_pays_a_watched_address() {
    let Answer::Block(Some(block)) = block_with(found(2), &receipts()) else { panic!("a block") };
    assert_eq!((block.height, block.time_s), (5, 1_000));
    assert_eq!(format!("0x{}", block.parent), hash(0x40));
    let transfers: Vec<_> = block
        .transfers
        .iter()
        .map(|one| (one.place, one.asset.contract.is_some(), one.amount, one.succeeded))
        .collect();
    let expected = [
        (Place::Native, false, Some(Minor(100)), true),
        (Place::Log(4), true, Some(Minor(500)), true),
        (Place::Native, false, Some(Minor(101)), false),
    ];
    assert_eq!(transfers, expected);
    assert!(
        block.transfers.iter().all(|one| one.from.as_ref().is_some_and(|f| f.as_str() == PAYER))
    );
    let spent: Vec<_> = block.spent.iter().map(|spent| format!("0x{}", spent.by)).collect();
    assert_eq!(spent, [hash(1)], "the number that is watched, and no other");
}

#[test]
fn logs_are_asked_for_by_the_hash_of_the_block() {
    let dialogue = Dialogue::begin(CHAIN, Question::BlockAt(5));
    let reply = Reply::read(format!(r#"{{"id":1,"result":{}}}"#, block()).as_bytes(), 1);
    let dialogue = dialogue.take(CHAIN, &watch(), &[reply]).continue_value().expect("it goes on");
    let calls = dialogue.calls(&watch());
    let filter: serde_json::Value =
        serde_json::from_str(&calls[0].parameters).expect("parameters are JSON");
    assert_eq!(filter[0]["blockHash"], hash(0x50));
    assert_eq!(filter[0]["topics"][2][0], topic(SHOP));
}

#[test]
fn of_what_pays_others_nothing_more_is_asked() {
    let (from, to, stranger) = (topic(PAYER), topic(SHOP), topic(TOKEN));
    let logs = [
        found_with(4, &[TRANSFER, &from, &stranger]),
        found_with(4, &[TRANSFER, &from, &to, &topic("0x01")]),
        found_with(4, &[&hash(9), &from, &to]),
        found_with(2, &[TRANSFER, &from, &to]),
    ];
    let Answer::Block(Some(block)) = block_with(format!("[{}]", logs.join(",")), &receipts())
    else {
        panic!("a block");
    };
    assert_eq!(block.transfers.len(), 3);
}

#[test]
fn what_is_of_another_block_is_not_mixed_in() {
    let changed = Answer::Failed(Failure::Changed);
    let other = found(2).replace(&hash(0x50), &hash(0x51));
    assert_eq!(answer(Question::BlockAt(5), &[&[block()], &[other]]), changed);
    assert_eq!(
        answer(Question::BlockAt(5), &[&[block()], &[found(8)]]),
        changed,
        "not in the block"
    );
    let mut moved = receipts();
    moved[1] = moved[1].replace(&hash(0x50), &hash(0x51));
    assert_eq!(block_with(found(2), &moved), changed);
    let mut gone = receipts();
    gone[0] = "null".to_owned();
    assert_eq!(block_with(found(2), &gone), changed);
}

#[test]
fn a_block_that_is_not_there_is_none() {
    let null = ["null".to_owned()];
    assert_eq!(answer(Question::BlockAt(5), &[&null]), Answer::Block(None));
    assert_eq!(answer(Question::HashAt(5), &[&null]), Answer::Hash(None));
    let at = answer(Question::HashAt(5), &[&[block()]]);
    assert_eq!(at, Answer::Hash(hash(0x50).parse().ok()));
}

#[test]
fn malformed_blocks_are_refused() {
    let malformed = Answer::Failed(Failure::Malformed);
    let refused = |block: String| answer(Question::BlockAt(5), &[&[block]]);
    assert_eq!(refused(block().replace("\"0x5\"", "\"0x6\"")), malformed, "another height");
    for (good, bad) in [
        ("0x5", "0x05"),
        ("0x3e8", "1000"),
        ("0x64", "0x"),
        ("0x64", "-0x1"),
        ("\"0x7\"", "7"),
        (PAYER, "0x00"),
        ("\"hash\"", "\"hash\":\"0x\",\"hash\""),
        ("\"parentHash\"", "\"parent\""),
    ] {
        assert_eq!(refused(block().replace(good, bad)), malformed, "{good} as {bad}");
    }
    assert_eq!(refused("[]".to_owned()), malformed);
    let mut status = receipts();
    status[0] = receipt(1, "0x2", "");
    assert_eq!(block_with(found(2), &status), malformed);
}

#[test]
fn an_amount_above_128_bits_is_said_to_be_so() {
    let large = format!("0x1{}", "0".repeat(32));
    let block = block().replace("0x64", &large);
    let turns: [&[String]; 3] =
        [&[block], &["[]".to_owned()], &[receipt(1, "0x1", ""), receipt(3, "0x0", "")]];
    let Answer::Block(Some(block)) = answer(Question::BlockAt(5), &turns) else {
        panic!("a block")
    };
    assert_eq!(block.transfers[0].amount, None);
}

#[test]
fn the_head_says_which_chain_and_what_is_final() {
    let head = |finalized: &str| {
        answer(Question::Head, &[&["\"0x1\"".to_owned(), block(), finalized.to_owned()]])
    };
    let expected =
        |finalized| Answer::Head(Head { chain: CHAIN, height: 5, time_s: 1_000, finalized });
    assert_eq!(head(&block()), expected(Some(5)));
    assert_eq!(head("null"), expected(None));
    let unknown = [
        Reply::read(br#"{"id":1,"result":"0x89"}"#, 1),
        Reply::read(format!(r#"{{"id":1,"result":{}}}"#, block()).as_bytes(), 1),
        Reply::read(br#"{"id":1,"error":{"code":-39001}}"#, 1),
    ];
    let head = Dialogue::begin(CHAIN, Question::Head).take(CHAIN, &watch(), &unknown);
    let ControlFlow::Break(Answer::Head(head)) = head else { panic!("a head") };
    assert_eq!((head.chain, head.finalized), (ChainId::Evm(137), None));
}

#[test]
fn what_waits_is_read_without_a_block() {
    let pending =
        block().replace("\"0x5\"", "null").replace(&format!("\"{}\"", hash(0x50)), "null");
    let Answer::Waiting(waiting) = answer(Question::Waiting, &[&[pending]]) else {
        panic!("what waits")
    };
    let amounts: Vec<_> = waiting.iter().map(|one| one.amount).collect();
    assert_eq!(amounts, [Some(Minor(100)), Some(Minor(101))]);
    assert_eq!(answer(Question::Waiting, &[&["null".to_owned()]]), Answer::Waiting(vec![]));
}

#[test]
fn a_node_that_cannot_say_has_not_said() {
    for (body, failure) in [
        (r#"{"id":1,"error":{"code":-32000}}"#, Failure::Refused),
        (r#"{"id":2,"result":null}"#, Failure::Malformed),
        ("<html>", Failure::Malformed),
    ] {
        let replies = [Reply::read(body.as_bytes(), 1)];
        let answer = Dialogue::begin(CHAIN, Question::BlockAt(5)).take(CHAIN, &watch(), &replies);
        assert_eq!(answer.break_value(), Some(Answer::Failed(failure)), "{body}");
    }
    let none = Dialogue::begin(CHAIN, Question::BlockAt(5)).take(CHAIN, &watch(), &[]);
    assert_eq!(none.break_value(), Some(Answer::Failed(Failure::Away)));
}
