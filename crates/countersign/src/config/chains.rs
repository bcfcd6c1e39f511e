//! `[[chain]]` and `[[asset]]`: where payments of orders are looked for, and what they may be in there.

use std::time::Duration;

use ::chains::{
    Address, Asset, AssetId, ChainId, Class, Classes, Finality, Minor, Settings, Worth,
};
use gateway::{Chain, ChainAsset, Node};
use http::HeaderMap;
use model::money::{self, Notation};

use super::document::{self, At};
use super::meaning::{Names, Scope};
use super::problem::{Place, Refusal};
use super::{headers, web};

/// Places after the point of a price, and of the bounds beside one.
const PRICE_DECIMALS: u8 = 2;

/// What is usual of a family of chains, where nothing is said.
struct Usual {
    final_depth: u32,
    final_by_chain: bool,
    lag_blocks_max: u64,
    silence_s_max: Option<u64>,
    look_ms: u64,
    waiting: bool,
}

impl Usual {
    const fn of(chain: ChainId) -> Self {
        match chain {
            ChainId::Evm(_) => Self {
                final_depth: 64,
                final_by_chain: true,
                lag_blocks_max: 3,
                silence_s_max: Some(600),
                look_ms: 2_000,
                waiting: true,
            },
            ChainId::Bitcoin(_) => Self {
                final_depth: 100,
                final_by_chain: false,
                lag_blocks_max: 1,
                silence_s_max: None,
                look_ms: 10_000,
                waiting: false,
            },
        }
    }
}

/// The chains that are watched.
pub(super) fn chains(written: &[document::Chain], scope: &mut Scope<'_>) -> Option<Vec<Chain>> {
    let mut names = Names::default();
    let read: Vec<_> = written.iter().map(|written| chain(written, &mut names, scope)).collect();
    read.into_iter().collect()
}

fn chain(written: &document::Chain, names: &mut Names, scope: &mut Scope<'_>) -> Option<Chain> {
    let name = names.name(written.name.as_ref(), &written.place, scope.found);
    let Some(id) = written.id.as_ref().and_then(|id| id.value.parse::<ChainId>().ok()) else {
        let place = written.id.as_ref().map_or(written.place.key("id"), |id| id.place.clone());
        let fix = "write id = \"eip155:1\" with the number of an EVM chain, or \"bip122:\" and the first \
                   32 digits of the hash of a Bitcoin-like chain's first block";
        scope.found.add(Refusal::BadChain, &place, "this says no chain (CAIP-2)", fix);
        return None;
    };
    let label = name.clone().unwrap_or_default();
    let nodes = (1..).zip(&written.nodes);
    let nodes: Vec<_> = nodes.map(|(n, written)| node((&label, id), n, written, scope)).collect();
    let usual = Usual::of(id);
    let settings = Settings {
        chain: id,
        nodes: nodes.len(),
        nodes_agreeing: count(written.nodes_agreeing.as_ref(), scope)?
            .unwrap_or(nodes.len() / 2 + 1),
        finality: Finality {
            depth: count(written.final_depth.as_ref(), scope)?.unwrap_or(usual.final_depth),
            by_chain: written.final_by_chain.as_ref().map_or(usual.final_by_chain, |at| at.value),
        },
        lag_blocks_max: count(written.lag_blocks_max.as_ref(), scope)?
            .unwrap_or(usual.lag_blocks_max),
        silence_s_max: count(written.silence_s_max.as_ref(), scope)?.or(usual.silence_s_max),
        blocks_per_step: 16,
        waiting: usual.waiting,
    };
    if let Err(bad) = settings.judge() {
        let fix = "add [[chain.node]] tables, each with the url of a node; several that disagree are \
                   better than one that is wrong";
        scope.found.add(Refusal::BadChain, &written.place, bad.to_string(), fix);
        return None;
    }
    let look_ms = count(written.look_ms.as_ref(), scope)?.unwrap_or(usual.look_ms);
    let look = Duration::from_millis(look_ms.max(50));
    Some(Chain { name: name?, settings, nodes: nodes.into_iter().collect::<Option<_>>()?, look })
}

fn node(
    (chain, id): (&str, ChainId),
    number: usize,
    written: &document::ChainNode,
    scope: &mut Scope<'_>,
) -> Option<Node> {
    let Some(from) = &written.url else {
        let fix = "add url = \"https://…\", where the node takes JSON-RPC";
        let place = written.place.key("url");
        scope.found.add(Refusal::MissingKey, &place, "this node has no URL", fix);
        return None;
    };
    let allow_private = written.allow_private.as_ref().is_some_and(|allow| allow.value);
    let url = web::node(from, allow_private, scope.environment, scope.resolver, scope.found)?;
    if matches!((id, url.scheme()), (ChainId::Bitcoin(_), "ws" | "wss")) {
        let fix = "write the http:// or https:// URL of the node";
        let message = "nodes of Bitcoin-like chains do not speak WebSocket";
        scope.found.add(Refusal::BadChain, &from.place, message, fix);
        return None;
    }
    let headers = match &written.authorization {
        None => HeaderMap::new(),
        Some(At { value, place }) => {
            let given = At { value: value.clone(), place: place.clone() };
            let headers = [("authorization".to_owned(), given)];
            headers::extra(&headers, "webhook", scope.resolver, scope.found)?
        }
    };
    Some(Node { name: format!("{chain}-{number}"), url, headers, allow_private })
}

/// A number from 1.
fn count<T: TryFrom<i64>>(written: Option<&At<i64>>, scope: &mut Scope<'_>) -> Option<Option<T>> {
    let Some(written) = written else { return Some(None) };
    let counted = T::try_from(written.value).ok().filter(|_| written.value > 0);
    if counted.is_none() {
        let fix = "write a whole number from 1";
        scope.found.add(Refusal::BadChain, &written.place, "this is no such number", fix);
    }
    counted.map(Some)
}

/// What orders may be in on the chains that are watched.
pub(super) fn assets(
    written: &[document::Asset],
    chains: &[Chain],
    scope: &mut Scope<'_>,
) -> Option<Vec<ChainAsset>> {
    let mut all: Vec<ChainAsset> = Vec::new();
    let mut is_whole = true;
    for written in written {
        let read = asset(written, chains, scope);
        let Some(asset) = read else {
            is_whole = false;
            continue;
        };
        let is_same =
            |other: &ChainAsset| (&other.chain, &other.symbol) == (&asset.chain, &asset.symbol);
        if all.iter().any(is_same) {
            let message = "another asset of this chain has this symbol";
            let fix = "give each asset of a chain a symbol of its own: orders name it";
            refuse(&written.place, message, fix, scope);
            is_whole = false;
        }
        all.push(asset);
    }
    is_whole.then_some(all)
}

fn refuse(place: &Place, message: &str, fix: &str, scope: &mut Scope<'_>) {
    scope.found.add(Refusal::BadAsset, place, message, fix);
}

fn asset(written: &document::Asset, chains: &[Chain], scope: &mut Scope<'_>) -> Option<ChainAsset> {
    let named = written.chain.as_ref().map(|chain| chain.value.as_str());
    let Some(chain) = chains.iter().find(|chain| Some(chain.name.as_str()) == named) else {
        let fix = "write chain = \"…\", the name of a [[chain]]";
        refuse(
            &written.place.key("chain"),
            "this asset is on no chain that is watched",
            fix,
            scope,
        );
        return None;
    };
    let decimals = written.decimals.as_ref().and_then(|at| u8::try_from(at.value).ok());
    let symbol = written.symbol.as_ref().map(|symbol| symbol.value.as_str()).unwrap_or_default();
    let Some(named) =
        decimals.and_then(|decimals| money::Asset::new(symbol, &chain.name, decimals).ok())
    else {
        let fix = "add symbol = \"USDC\" and decimals = 6, as the asset has them";
        refuse(&written.place, "symbol or decimals are missing or cannot be", fix, scope);
        return None;
    };
    let id = chain.settings.chain;
    let contract = contract(written.contract.as_ref(), id, scope)?;
    let asset = Asset { id: AssetId { chain: id, contract }, decimals: named.decimals() };
    if asset.whole().is_none() {
        let fix = "an asset that is watched has at most 36";
        refuse(&written.place, "these are too many decimals", fix, scope);
        return None;
    }
    let worth = worth(written.price.as_ref(), scope)?;
    Some(ChainAsset {
        chain: chain.name.clone(),
        symbol: named.symbol().to_owned(),
        classes: classes(written, worth, named.decimals(), scope)?,
        asset,
        worth,
        dust_below: match &written.dust_below {
            None => Minor(0),
            Some(text) => Minor(amount(text, named.decimals(), scope)?),
        },
    })
}

/// The token's contract; none for the chain's own coin.
fn contract(
    written: Option<&At<String>>,
    chain: ChainId,
    scope: &mut Scope<'_>,
) -> Option<Option<Address>> {
    let Some(written) = written else { return Some(None) };
    let address: Option<Address> = written.value.parse().ok();
    let is_fit =
        |address: &Address| matches!(chain, ChainId::Evm(_)) && address.as_str().starts_with("0x");
    let address = address.filter(is_fit);
    if address.is_none() {
        let fix =
            "write the contract's address, 0x and 40 digits; leave it out for the chain's coin";
        refuse(&written.place, "this is no contract of this chain", fix, scope);
    }
    address.map(Some)
}

fn worth(price: Option<&At<String>>, scope: &mut Scope<'_>) -> Option<Worth> {
    match price {
        None => Some(Worth::Own),
        Some(text) => match amount(text, PRICE_DECIMALS, scope)? {
            0 => {
                refuse(&text.place, "what is worth nothing pays nothing", "write a price", scope);
                None
            }
            price => Some(Worth::Price(Minor(price))),
        },
    }
}

fn amount(written: &At<String>, decimals: u8, scope: &mut Scope<'_>) -> Option<u128> {
    let amount = money::parse(&written.value, Notation::Major, decimals);
    if amount.is_err() {
        let fix = "write digits and a point, such as \"0.01\", no finer than the smallest unit";
        refuse(&written.place, "this is no amount", fix, scope);
    }
    amount.ok()
}

/// How many confirmations which value needs: `"usual"`, `"table"`, or bounds from small to large and at last
/// what all above them needs.
fn classes(
    written: &document::Asset,
    worth: Worth,
    decimals: u8,
    scope: &mut Scope<'_>,
) -> Option<Classes> {
    let texts: Vec<&At<String>> =
        written.confirmations.iter().flat_map(|texts| &texts.value).collect();
    let named = match texts.as_slice() {
        [] => Some(Classes::usual()),
        [one] if one.value == "usual" => Some(Classes::usual()),
        [one] if one.value == "table" => Some(Classes::table()),
        _ => None,
    };
    let place = texts.first().map_or(&written.place, |text| &text.place);
    if let Some(named) = named {
        if worth == Worth::Own {
            let fix = "add price = \"…\", what one whole unit is worth, or write bounds in units of \
                       the asset: confirmations = [\"0.05:3\", \"0.5:12\", \"24\"]";
            refuse(place, "the usual bounds are in money, and this asset has no price", fix, scope);
            return None;
        }
        return Some(named);
    }
    let bounds = if worth == Worth::Own { decimals } else { PRICE_DECIMALS };
    let class = |text: &str| {
        let (below, confirmations) = text.split_once(':')?;
        let below = Minor(money::parse(below.trim(), Notation::Major, bounds).ok()?);
        Some(Class { below, confirmations: confirmations.trim().parse().ok()? })
    };
    let read = texts.split_last().and_then(|(above, below)| {
        let below: Option<Vec<Class>> = below.iter().map(|text| class(&text.value)).collect();
        Classes::new(below?, above.value.trim().parse().ok()?).ok()
    });
    if read.is_none() {
        let fix = "write bounds that grow with confirmations that do not shrink, and at last what all above \
                   needs: [\"100:3\", \"1000:12\", \"24\"]";
        refuse(place, "these are no classes of value", fix, scope);
    }
    read
}
