//! `blocks`: who may not pay or be paid for now.

use std::collections::BTreeSet;

use gateway::KeyError;
use gateway::operations::Unblockable;
use gateway::shown;
use model::BlockId;
use model::block::{Party, PartyKind};
use store::{Action, BlockChanged, BlockQuery, BlockRow};

use super::beside::{Office, block_on, order};
use super::{Ended, now, say};
use crate::args::Arguments;
use crate::args::blocks::{AddBlock, Blocks, ListBlocks};
use crate::failure::{Failure, Outcome};
use crate::table::{Table, or_dash, tame};

/// Blocks, lists, shows or lifts.
pub(super) fn run(command: &Blocks, arguments: &Arguments) -> Ended {
    block_on(async {
        let office = Office::open(arguments).await?;
        let json = arguments.json;
        let ended = match command {
            Blocks::Add(asked) => add(&office, asked, json).await,
            Blocks::List(asked) => list(&office, asked, json).await,
            Blocks::Show { block } => show(&office, *block, json).await,
            Blocks::Lift { block, reason } => lift(&office, *block, reason, json).await,
        };
        office.close().await;
        ended
    })
}

async fn add(office: &Office, asked: &AddBlock, as_json: bool) -> Ended {
    let AddBlock { kind, of, name, until, reason } = asked;
    let known: BTreeSet<&str> =
        office.sources.values().filter_map(|source| source.provider.as_deref()).collect();
    if *kind != PartyKind::Address && !known.contains(of.as_str()) {
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        let message = format!("no source is of a provider {}", tame(of));
        return Err(Failure::new("unknown_provider", message, format!("known: {known}")));
    }
    let party = Party::named(*kind, of, name);
    let blocked = office.desk.block(&party, *until, order(reason)).await?;
    let (id, changed) = blocked.map_err(unblockable)?;
    if let BlockChanged::AlreadyBlocked(other) = changed {
        let fix = format!("see `blocks show {other}`; lift it to change its end");
        return Err(Failure::new("already_blocked", "it is blocked as long already", fix));
    }
    say_one(office, &kept(office, id).await?, as_json).await
}

async fn list(office: &Office, asked: &ListBlocks, as_json: bool) -> Ended {
    let standing_at = (!asked.all).then(now);
    let query = BlockQuery { standing_at, limit: asked.limit, ..BlockQuery::default() };
    let mut rows = office.store().blocks(query).await?;
    rows.reverse();
    if rows.is_empty() {
        return if as_json { Ok(Outcome::Done) } else { say("nothing").map(|()| Outcome::Done) };
    }
    // Who is blocked is shown in the clear.
    office.desk.audit(Action::BlocksRead, "blocks", order("blocks list")).await?;
    let mut table = Table::new(&["ID", "KIND", "OF", "NAME", "STATE", "ENDS", "BY"]);
    for row in &rows {
        let block = shown(office, row).await?;
        if as_json {
            say(line(&block)?)?;
            continue;
        }
        table.row([
            block.id,
            row.kind.to_string(),
            block.of,
            or_dash(block.name.as_deref()),
            row.life.state(now()).to_string(),
            or_dash(block.ends_at.as_deref()),
            block.created_by,
        ]);
    }
    if as_json { Ok(Outcome::Done) } else { say(table).map(|()| Outcome::Done) }
}

async fn show(office: &Office, id: BlockId, as_json: bool) -> Ended {
    let row = kept(office, id).await?;
    office.desk.audit(Action::BlocksRead, &id.to_string(), order("blocks show")).await?;
    say_one(office, &row, as_json).await
}

async fn lift(office: &Office, id: BlockId, reason: &str, as_json: bool) -> Ended {
    match office.desk.lift_block(id, order(reason)).await? {
        BlockChanged::Done => {}
        BlockChanged::AlreadyOver => {
            let fix = "nothing is to be done";
            return Err(Failure::new("already_over", format!("{id} is over already"), fix));
        }
        BlockChanged::NotFound | BlockChanged::AlreadyBlocked(_) => return Err(unknown()),
    }
    say_one(office, &kept(office, id).await?, as_json).await
}

async fn kept(office: &Office, id: BlockId) -> Result<BlockRow, Failure> {
    office.store().block(id).await?.ok_or_else(unknown)
}

async fn shown(office: &Office, row: &BlockRow) -> Result<shown::Block, Failure> {
    let party = match office.desk.blocked_party(row).await {
        // Their key is destroyed: nobody can say any more who they were.
        Err(KeyError::Missing) => None,
        party => Some(party?),
    };
    Ok(shown::Block::of(row, party, now()))
}

async fn say_one(office: &Office, row: &BlockRow, as_json: bool) -> Ended {
    let value = line(&shown(office, row).await?)?;
    if as_json {
        return say(value).map(|()| Outcome::Done);
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        if let Some(text) = value.as_str() {
            say(format_args!("{name:<12} {}", tame(text)))?;
        }
    }
    Ok(Outcome::Done)
}

fn line(block: &shown::Block) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(block)
        .map_err(|_| Failure::new("internal", "the block cannot be shown", "report this"))
}

fn unblockable(why: Unblockable) -> Failure {
    let (code, message, fix) = match why {
        Unblockable::Party(_) => (
            "bad_party",
            "this names no party",
            "write 1 to 255 visible ASCII characters without spaces",
        ),
        Unblockable::Secret => (
            "bad_party",
            "this looks like a card's number or a secret, which must not be kept",
            "name the provider's fingerprint of the card",
        ),
        Unblockable::Past => ("bad_end", "the block would be over already", "let it end later"),
    };
    Failure::new(code, message, fix)
}

fn unknown() -> Failure {
    Failure::new("unknown_block", "there is no such block", "see `countersign blocks list --all`")
}
