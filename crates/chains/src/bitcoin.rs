//! Bitcoin-like nodes (the JSON-RPC of Bitcoin Core, from version 25).
//!
//! A block is asked for by its hash with what its inputs spent (verbosity 3). What waits to be in a
//! block is not asked for: nothing of it counts, and a node lists it only as a whole.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::asset::{Address, AssetId, ChainId, Hash, Minor};
use crate::block::{Block, Place, Spend, Spent, Transfer};
use crate::limits::{SPENDS_PER_PAYMENT_MAX, TRANSACTIONS_MAX};
use crate::node::{Answer, Failure, Head, Question, Watch};
use crate::rpc::{Call, Next, Reply};

/// What Core answers where there is no block at a height (`RPC_INVALID_PARAMETER`).
const OUT_OF_RANGE: i64 = -8;
/// Places after the point.
const DECIMALS: usize = 8;

/// How far a question to a node has come.
#[derive(Debug)]
pub(crate) enum Stage {
    Head,
    HashAt(u64),
    Waiting,
    /// Which block is at this height?
    BlockAt(u64),
    /// What is in this block at this height?
    Block(u64, Hash),
}

#[derive(Deserialize)]
struct RawInfo {
    blocks: u64,
    #[serde(default)]
    time: Option<u64>,
    mediantime: u64,
}

#[derive(Deserialize)]
struct RawBlock<'a> {
    hash: Hash,
    confirmations: i64,
    height: u64,
    time: u64,
    /// The first block has none.
    previousblockhash: Option<Hash>,
    #[serde(borrow)]
    tx: Vec<RawTransaction<'a>>,
}

#[derive(Deserialize)]
struct RawTransaction<'a> {
    txid: Hash,
    #[serde(borrow)]
    vin: Vec<RawInput<'a>>,
    #[serde(borrow)]
    vout: Vec<RawOutput<'a>>,
}

/// A coinbase has neither.
#[derive(Deserialize)]
struct RawInput<'a> {
    txid: Option<Hash>,
    vout: Option<u32>,
    #[serde(borrow)]
    prevout: Option<RawPrevious<'a>>,
}

#[derive(Deserialize)]
struct RawPrevious<'a> {
    #[serde(borrow, rename = "scriptPubKey")]
    script: RawScript<'a>,
}

#[derive(Deserialize)]
struct RawOutput<'a> {
    /// A decimal number: read as the text that it is.
    #[serde(borrow)]
    value: &'a RawValue,
    n: u32,
    #[serde(borrow, rename = "scriptPubKey")]
    script: RawScript<'a>,
}

/// Not every script is an address.
#[derive(Deserialize)]
struct RawScript<'a> {
    address: Option<&'a str>,
}

impl RawScript<'_> {
    fn address(&self) -> Result<Option<Address>, Failure> {
        self.address.map(str::parse).transpose().map_err(|_| Failure::Malformed)
    }
}

/// An amount as Core prints it, in satoshi: digits, a point and eight digits. None where it is
/// anything else.
pub fn satoshi(text: &str) -> Option<Minor> {
    let (whole, part) = text.split_once('.')?;
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = whole == "0" || !(whole.is_empty() || whole.starts_with('0'));
    if !is_canonical || part.len() != DECIMALS || !are_digits(whole) || !are_digits(part) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let part: u128 = part.parse().ok()?;
    whole.checked_mul(100_000_000)?.checked_add(part).map(Minor)
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

    pub(crate) fn calls(&self) -> Vec<Call> {
        let hash_at = |height: u64| Call::new("getblockhash", format!("[{height}]"));
        match self {
            Self::Head => vec![Call::new("getblockchaininfo", "[]".to_owned()), hash_at(0)],
            Self::HashAt(height) | Self::BlockAt(height) => vec![hash_at(*height)],
            Self::Block(_, hash) => vec![Call::new("getblock", format!(r#"["{hash}",3]"#))],
            Self::Waiting => Vec::new(),
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
            Self::HashAt(_) => Answer::Hash(hash(first()?)?),
            Self::Waiting => return Err(Failure::Refused),
            Self::BlockAt(height) => match hash(first()?)? {
                None => Answer::Block(None),
                Some(hash) => return Ok(Next::Ask(Self::Block(height, hash))),
            },
            Self::Block(height, hash) => {
                let raw: RawBlock<'_> = first()?.parsed()?;
                // A block beside the chain has -1 confirmations and is found all the same.
                if raw.hash != hash || raw.height != height || raw.confirmations < 1 {
                    return Err(Failure::Changed);
                }
                Answer::Block(Some(raw.read(chain, watch)?))
            }
        };
        Ok(Next::Answered(answer))
    }
}

fn head(replies: &[Reply]) -> Result<Head, Failure> {
    let [info, genesis] = replies else { return Err(Failure::Away) };
    let info: RawInfo = info.parsed()?;
    let genesis: Hash = genesis.parsed()?;
    let half = genesis.as_bytes().first_chunk().ok_or(Failure::Malformed)?;
    Ok(Head {
        chain: ChainId::Bitcoin(*half),
        height: info.blocks,
        time_s: info.time.unwrap_or(info.mediantime),
        finalized: None,
    })
}

fn hash(reply: &Reply) -> Result<Option<Hash>, Failure> {
    match reply {
        Reply::Error(OUT_OF_RANGE) => Ok(None),
        reply => reply.parsed().map(Some),
    }
}

impl RawBlock<'_> {
    fn read(self, chain: ChainId, watch: &Watch) -> Result<Block, Failure> {
        if self.tx.len() > TRANSACTIONS_MAX {
            return Err(Failure::TooLarge);
        }
        let is_first = self.height == 0;
        let none = is_first.then_some(Hash::from_bytes([0; 32]));
        let mut block = Block {
            height: self.height,
            hash: self.hash,
            parent: self.previousblockhash.or(none).ok_or(Failure::Malformed)?,
            time_s: self.time,
            transfers: Vec::new(),
            spent: Vec::new(),
        };
        for transaction in &self.tx {
            transaction.read(chain, watch, &mut block)?;
        }
        block.transfers.sort_unstable();
        block.spent.sort_unstable();
        Ok(block)
    }
}

impl RawTransaction<'_> {
    fn read(&self, chain: ChainId, watch: &Watch, block: &mut Block) -> Result<(), Failure> {
        let spends = || {
            let outputs = self.vin.iter().filter_map(|input| input.txid.zip(input.vout));
            outputs.map(|(tx, index)| Spend::Output { tx, index })
        };
        for spend in spends().filter(|spend| watch.spends.contains(spend)) {
            block.spent.push(Spent { spend, by: self.txid });
        }
        for output in &self.vout {
            let address = output.script.address()?;
            let Some(to) = address.filter(|to| watch.addresses.contains(to)) else { continue };
            let amount = satoshi(output.value.get()).ok_or(Failure::Malformed)?;
            let payer = self.vin.first().and_then(|input| input.prevout.as_ref());
            let from = payer.map(|payer| payer.script.address()).transpose()?.flatten();
            block.transfers.push(Transfer {
                tx: self.txid,
                place: Place::Output(output.n),
                asset: AssetId::native(chain),
                from,
                to,
                amount: Some(amount),
                spends: spends().take(SPENDS_PER_PAYMENT_MAX).collect(),
                succeeded: true,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
