//! What nodes of chains answer.

use std::ops::ControlFlow;

use chains::{
    Address, Answer, Asset, AssetId, ChainId, Classes, Dialogue, Expectation, Finality, Head,
    Minor, NodeAnswers, OrderKey, Question, Reply, Settings, State, Watch, Worth, step,
};

use crate::input::Input;

/// The address that the seeds pay.
const ADDRESS: &str = "0x00000000000000000000000000000000000000a1";
const ADDRESS_BITCOIN: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// Replies, one a line, to a question: what is made of them is about what was asked, pays only who is
/// watched, and is taken by a step whose state is read again as it was written.
pub(super) fn chain(bytes: &[u8]) {
    let mut input = Input(bytes);
    let kind = input.byte();
    let (chain, address) = match kind & 1 {
        0 => (ChainId::Evm(1), ADDRESS),
        _ => (ChainId::Bitcoin([0x0f; 16]), ADDRESS_BITCOIN),
    };
    let question = match (kind >> 1) & 3 {
        0 => Question::Head,
        1 => Question::HashAt(5),
        2 => Question::BlockAt(5),
        _ => Question::Waiting,
    };
    let address: Address = address.parse().expect("an address");
    let watch = Watch { addresses: [address.clone()].into(), ..Watch::default() };
    let Some(answer) = answered(chain, question, &watch, input.0) else { return };
    judge(question, &watch, &answer);
    stepped(chain, address, question, answer);
}

/// A number, as two readers know it.
pub(super) fn quantity(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(number) = chains::evm::quantity(text) {
        assert_eq!(format!("{number:#x}"), text.to_ascii_lowercase());
    }
    if let Some(Some(amount)) = chains::evm::amount(text) {
        assert_eq!(format!("{:#x}", amount.0), text.to_ascii_lowercase());
    }
    if let Some(Minor(satoshi)) = chains::bitcoin::satoshi(text) {
        let (whole, part) = (satoshi / 100_000_000, satoshi % 100_000_000);
        assert_eq!(format!("{whole}.{part:08}"), text);
    }
}

fn answered(chain: ChainId, question: Question, watch: &Watch, lines: &[u8]) -> Option<Answer> {
    let mut lines = lines.split(|byte| *byte == b'\n');
    let mut dialogue = Dialogue::begin(chain, question);
    // Replies that name a thousand transactions would only take long.
    for _ in 0..8 {
        let calls = dialogue.calls(watch);
        let replies: Vec<_> = calls.iter().map_while(|_| lines.next()).collect();
        let replies: Vec<_> = replies.into_iter().map(|line| Reply::read(line, 1)).collect();
        match dialogue.take(chain, watch, &replies) {
            ControlFlow::Break(answer) => return Some(answer),
            ControlFlow::Continue(more) => dialogue = more,
        }
    }
    None
}

fn judge(question: Question, watch: &Watch, answer: &Answer) {
    match answer {
        Answer::Failed(_) => {}
        Answer::Head(_) => assert_eq!(question, Question::Head),
        Answer::Hash(_) => assert_eq!(question, Question::HashAt(5)),
        Answer::Block(block) => {
            assert_eq!(question, Question::BlockAt(5));
            let Some(block) = block else { return };
            assert_eq!(block.height, 5);
            assert!(block.transfers.iter().all(|one| watch.addresses.contains(&one.to)));
            assert!(block.transfers.is_sorted());
        }
        Answer::Waiting(transfers) => {
            assert_eq!(question, Question::Waiting);
            assert!(transfers.iter().all(|one| watch.addresses.contains(&one.to)));
        }
    }
}

fn stepped(chain: ChainId, address: Address, question: Question, answer: Answer) {
    let finality = Finality { depth: 1, by_chain: false };
    let settings = Settings {
        chain,
        nodes: 1,
        nodes_agreeing: 1,
        finality,
        lag_blocks_max: 1,
        silence_s_max: None,
        blocks_per_step: 1,
        waiting: true,
    };
    let expectation = Expectation {
        asset: Asset { id: AssetId::native(chain), decimals: 18 },
        address,
        amount: Minor(1),
        sender: None,
        dust_below: Minor(0),
        from_height: 0,
        from_s: 0,
        due_s: None,
        classes: Classes::usual(),
        worth: Worth::Price(Minor(100)),
    };
    let mut state = State::new(chain);
    state.follow(OrderKey([1; 16]), expectation).expect("fit");
    // First the head, so that the block is the first that is read.
    let head = Head { chain, height: 6, time_s: 0, finalized: None };
    for told in [(Question::Head, Answer::Head(head)), (question, answer)] {
        let round = state.ask(&settings).number;
        let answers = vec![(Question::Head, Answer::Head(head)), told];
        let taken = step(state, &settings, &[NodeAnswers { round, answers }], 0);
        let read = State::from_bytes(&taken.state.to_bytes());
        assert_eq!(read.as_ref(), Ok(&taken.state));
        let is_paid = taken.state.orders().values().any(chains::Followed::is_covered);
        assert!(!is_paid, "nobody has three confirmations after one block");
        state = taken.state;
    }
}
