//! EVM nodes (Ethereum JSON-RPC): the coin and ERC-20 tokens.
//!
//! A block is asked for by its number with its transactions, the logs of token transfers by the
//! block's hash, and then the receipt of every transaction that pays a watched address: it says
//! whether the transaction succeeded, and all of them must name the same block. What contracts send
//! inside of other calls is in no transaction and in no log: it is not seen.

mod hex;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

pub use hex::{amount, quantity};

use crate::asset::{Address, AssetId, ChainId, Hash, Minor};
use crate::block::{Block, Place, Spend, Spent, Transfer};
use crate::limits::{ADDRESSES_ASKED_MAX, TRANSACTIONS_MAX};
use crate::node::{Answer, Failure, Head, Question, Watch};
use crate::rpc::{Call, Next, Reply};

/// `Transfer(address,address,uint256)` of ERC-20, by its hash.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// How far a question to a node has come.
#[derive(Debug)]
pub(crate) enum Stage {
    Head,
    HashAt(u64),
    Waiting,
    /// The block with its transactions.
    BlockAt(u64),
    /// The block is there; which transactions have logs that matter?
    Logs(Opened),
    /// These transactions matter.
    Receipts(Opened),
}

/// A block whose transfers are being looked for.
#[derive(Debug)]
pub(crate) struct Opened {
    block: Block,
    /// Every transaction of it.
    inside: BTreeMap<Hash, Inside>,
    /// Those whose receipts are needed.
    matter: BTreeSet<Hash>,
}

#[derive(Debug, Clone)]
struct Inside {
    from: Address,
    to: Option<Address>,
    /// None above 2^128.
    value: Option<Minor>,
    nonce: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlock {
    number: String,
    hash: Hash,
    parent_hash: Hash,
    timestamp: String,
}

#[derive(Deserialize)]
struct RawInside {
    transactions: Vec<RawTransaction>,
}

#[derive(Deserialize)]
struct RawTransaction {
    hash: Hash,
    from: Address,
    to: Option<Address>,
    value: String,
    nonce: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLog {
    block_hash: Hash,
    transaction_hash: Hash,
    topics: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReceipt {
    block_hash: Hash,
    transaction_hash: Hash,
    status: String,
    logs: Vec<RawReceiptLog>,
}

#[derive(Deserialize)]
struct RawReceiptLog {
    address: Address,
    topics: Vec<String>,
    data: String,
}

impl Stage {
    pub(crate) fn begin(question: Question) -> Self {
        match question {
            Question::Head => Self::Head,
            Question::HashAt(height) => Self::HashAt(height),
            Question::BlockAt(height) => Self::BlockAt(height),
            Question::Waiting => Self::Waiting,
        }
    }

    pub(crate) fn calls(&self, watch: &Watch) -> Vec<Call> {
        let block = |which: &str, whole: bool| {
            Call::new("eth_getBlockByNumber", format!(r#"["{which}",{whole}]"#))
        };
        match self {
            Self::Head => vec![
                Call::new("eth_chainId", "[]".to_owned()),
                block("latest", false),
                block("finalized", false),
            ],
            Self::HashAt(height) => vec![block(&format!("{height:#x}"), false)],
            Self::BlockAt(height) => vec![block(&format!("{height:#x}"), true)],
            Self::Waiting => vec![block("pending", true)],
            Self::Logs(opened) => vec![logs(opened.block.hash, watch)],
            Self::Receipts(opened) => {
                let receipt =
                    |hash| Call::new("eth_getTransactionReceipt", format!(r#"["0x{hash}"]"#));
                opened.matter.iter().map(receipt).collect()
            }
        }
    }

    pub(crate) fn take(
        self,
        chain: ChainId,
        watch: &Watch,
        replies: &[Reply],
    ) -> Result<Next<Self>, Failure> {
        let first = || replies.first().ok_or(Failure::Away);
        let answer = match self {
            Self::Head => Answer::Head(head(replies)?),
            Self::HashAt(height) => {
                let block = first()?.parsed::<Option<RawBlock>>()?;
                let header = block.map(|block| block.header(Some(height))).transpose()?;
                Answer::Hash(header.map(|header| header.hash))
            }
            Self::Waiting => Answer::Waiting(waiting(first()?, chain, watch)?),
            Self::BlockAt(height) => match opened(first()?, height, watch)? {
                None => Answer::Block(None),
                Some(opened) if watch.addresses.is_empty() => Answer::Block(Some(opened.block)),
                Some(opened) => return Ok(Next::Ask(Self::Logs(opened))),
            },
            Self::Logs(mut opened) => {
                opened.with_logs(first()?, watch)?;
                if !opened.matter.is_empty() {
                    return Ok(Next::Ask(Self::Receipts(opened)));
                }
                Answer::Block(Some(opened.block))
            }
            Self::Receipts(opened) => {
                Answer::Block(Some(opened.with_receipts(chain, watch, replies)?))
            }
        };
        Ok(Next::Answered(answer))
    }
}

/// Token transfers of one block, by its hash, so that no other block's can come back.
fn logs(block: Hash, watch: &Watch) -> Call {
    // Where there are too many addresses, all transfers are looked through.
    let to = match watch.addresses.len() {
        0..=ADDRESSES_ASKED_MAX => {
            let topic = |address: &Address| {
                let digits = address.as_str().strip_prefix("0x")?;
                Some(format!(r#""0x{digits:0>64}""#))
            };
            let topics: Vec<_> = watch.addresses.iter().filter_map(topic).collect();
            format!(",null,[{}]", topics.join(","))
        }
        _ => String::new(),
    };
    let filter = format!(r#"[{{"blockHash":"0x{block}","topics":["{TRANSFER}"{to}]}}]"#);
    Call::new("eth_getLogs", filter)
}

fn head(replies: &[Reply]) -> Result<Head, Failure> {
    let [chain, latest, finalized] = replies else { return Err(Failure::Away) };
    let chain = number(&chain.parsed::<String>()?)?;
    let latest = latest.parsed::<RawBlock>()?.header(None)?;
    // Nodes that know nothing of finality say so by an error.
    let finalized = match finalized.parsed::<Option<RawBlock>>() {
        Ok(block) => block.map(|block| block.header(None)).transpose()?.map(|block| block.height),
        Err(Failure::Refused) => None,
        Err(failure) => return Err(failure),
    };
    let chain = ChainId::Evm(chain);
    Ok(Head { chain, height: latest.height, time_s: latest.time_s, finalized })
}

fn number(text: &str) -> Result<u64, Failure> {
    quantity(text).ok_or(Failure::Malformed)
}

impl RawBlock {
    /// The block as far as its head says; at the height that was asked for.
    fn header(self, asked: Option<u64>) -> Result<Block, Failure> {
        let height = number(&self.number)?;
        if asked.is_some_and(|asked| asked != height) {
            return Err(Failure::Malformed);
        }
        Ok(Block {
            height,
            hash: self.hash,
            parent: self.parent_hash,
            time_s: number(&self.timestamp)?,
            transfers: Vec::new(),
            spent: Vec::new(),
        })
    }
}

impl RawTransaction {
    fn read(self) -> Result<(Hash, Inside), Failure> {
        let value = amount(&self.value).ok_or(Failure::Malformed)?;
        let nonce = number(&self.nonce)?;
        Ok((self.hash, Inside { from: self.from, to: self.to, value, nonce }))
    }
}

impl Inside {
    fn spend(&self) -> Spend {
        Spend::Nonce { sender: self.from.clone(), nonce: self.nonce }
    }

    /// The transfer of the coin to a watched address, if it is one.
    fn native(&self, tx: Hash, chain: ChainId, watch: &Watch) -> Option<Transfer> {
        let to = self.to.as_ref().filter(|to| watch.addresses.contains(*to))?;
        let is_something = self.value != Some(Minor(0));
        is_something.then(|| Transfer {
            tx,
            place: Place::Native,
            asset: AssetId::native(chain),
            from: Some(self.from.clone()),
            to: to.clone(),
            amount: self.value,
            spends: vec![self.spend()],
            succeeded: true,
        })
    }
}

fn transactions(raw: RawInside) -> Result<BTreeMap<Hash, Inside>, Failure> {
    if raw.transactions.len() > TRANSACTIONS_MAX {
        return Err(Failure::TooLarge);
    }
    raw.transactions.into_iter().map(RawTransaction::read).collect()
}

fn waiting(reply: &Reply, chain: ChainId, watch: &Watch) -> Result<Vec<Transfer>, Failure> {
    let Some(pending) = reply.parsed::<Option<RawInside>>()? else { return Ok(Vec::new()) };
    let inside = transactions(pending)?;
    Ok(inside.iter().filter_map(|(tx, one)| one.native(*tx, chain, watch)).collect())
}

fn opened(reply: &Reply, height: u64, watch: &Watch) -> Result<Option<Opened>, Failure> {
    // Twice over the same text: once for its head, once for what is in it.
    let Some(raw) = reply.parsed::<Option<&RawValue>>()? else { return Ok(None) };
    let malformed = |_| Failure::Malformed;
    let head: RawBlock = serde_json::from_str(raw.get()).map_err(malformed)?;
    let inside: RawInside = serde_json::from_str(raw.get()).map_err(malformed)?;
    let mut block = head.header(Some(height))?;
    let inside = transactions(inside)?;
    let spent = inside.iter().map(|(tx, one)| Spent { spend: one.spend(), by: *tx });
    block.spent = spent.filter(|spent| watch.spends.contains(&spent.spend)).collect();
    let pays = |one: &Inside| {
        one.value != Some(Minor(0))
            && one.to.as_ref().is_some_and(|to| watch.addresses.contains(to))
    };
    let matter = inside.iter().filter(|(_, one)| pays(one)).map(|(tx, _)| *tx).collect();
    Ok(Some(Opened { block, inside, matter }))
}

impl Opened {
    /// Only what pays a watched address is looked at: of others there may be thousands in a block.
    fn with_logs(&mut self, reply: &Reply, watch: &Watch) -> Result<(), Failure> {
        let logs: Vec<RawLog> = reply.parsed()?;
        for log in logs {
            if log.block_hash != self.block.hash || !self.inside.contains_key(&log.transaction_hash)
            {
                return Err(Failure::Changed);
            }
            if receiver(&log.topics, watch).is_some() {
                self.matter.insert(log.transaction_hash);
            }
        }
        Ok(())
    }

    fn with_receipts(
        mut self,
        chain: ChainId,
        watch: &Watch,
        replies: &[Reply],
    ) -> Result<Block, Failure> {
        if replies.len() != self.matter.len() {
            return Err(Failure::Away);
        }
        for (tx, reply) in self.matter.iter().zip(replies) {
            // A receipt that is not there any more was of a block that is not there any more.
            let receipt = reply.parsed::<Option<RawReceipt>>()?.ok_or(Failure::Changed)?;
            if receipt.block_hash != self.block.hash || receipt.transaction_hash != *tx {
                return Err(Failure::Changed);
            }
            let inside = self.inside.get(tx).ok_or(Failure::Malformed)?;
            let succeeded = match number(&receipt.status)? {
                0 => false,
                1 => true,
                _ => return Err(Failure::Malformed),
            };
            if let Some(native) = inside.native(*tx, chain, watch) {
                self.block.transfers.push(Transfer { succeeded, ..native });
            }
            for (place, log) in (0..).zip(&receipt.logs) {
                let token = log.token(*tx, Place::Log(place), inside, chain, watch);
                self.block.transfers.extend(token);
            }
        }
        self.block.transfers.sort_unstable();
        Ok(self.block)
    }
}

/// The watched address that a token's transfer goes to, if it is one. Other events of the same name have
/// other topics (ERC-721 has four), and what is not formed like it is not it.
fn receiver(topics: &[String], watch: &Watch) -> Option<Address> {
    let [event, _, to] = topics else { return None };
    let to = hex::address_of_topic(to).filter(|to| watch.addresses.contains(to))?;
    (event == TRANSFER).then_some(to)
}

impl RawReceiptLog {
    /// The transfer of a token to a watched address, if it is one.
    fn token(
        &self,
        tx: Hash,
        place: Place,
        inside: &Inside,
        chain: ChainId,
        watch: &Watch,
    ) -> Option<Transfer> {
        let to = receiver(&self.topics, watch)?;
        let from = self.topics.get(1)?;
        Some(Transfer {
            tx,
            place,
            asset: AssetId::token(chain, self.address.clone()),
            from: Some(hex::address_of_topic(from)?),
            to,
            amount: hex::word(&self.data)?,
            spends: vec![inside.spend()],
            succeeded: true,
        })
    }
}

#[cfg(test)]
mod tests;
