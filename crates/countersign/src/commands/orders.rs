//! `orders`: what applications expect to be paid, and where that stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway::{Kept, Orders, shown};
use model::OrderId;
use model::money::major;
use serde_json::json;
use store::{Action, OrderQuery};

use super::beside::{Office, block_on, order};
use super::{Ended, say};
use crate::args::Arguments;
use crate::args::orders::{ListOrders, Orders as Asked};
use crate::failure::{Failure, Outcome};
use crate::table::{Table, or_dash};

/// Lists, shows or cancels.
pub(super) fn run(command: &Asked, arguments: &Arguments) -> Ended {
    block_on(async {
        let office = Office::open(arguments).await?;
        let (orders, json) = (orders(&office), arguments.json);
        let ended = match command {
            Asked::List(asked) => list(&orders, asked, json).await,
            Asked::Show { order } => show(&office, &orders, order, json).await,
            Asked::Cancel { order, reason } => cancel(&office, &orders, *order, reason, json).await,
        };
        drop(orders);
        office.close().await;
        ended
    })
}

/// The orders, and to whom what is told of them goes.
pub(super) fn orders(office: &Office) -> Orders {
    let takes = |name: &&String| {
        office.endpoints.iter().any(|one| one.name == **name && !one.takes_originals)
    };
    let listeners: BTreeMap<String, Vec<Arc<str>>> = office
        .sources
        .iter()
        .map(|(source, named)| {
            let names = named.endpoints.iter().filter(takes);
            (source.clone(), names.map(|name| Arc::from(name.as_str())).collect())
        })
        .collect();
    office.desk.orders(listeners)
}

async fn list(orders: &Orders, asked: &ListOrders, as_json: bool) -> Ended {
    let query =
        OrderQuery { states: asked.state.clone(), limit: asked.limit, ..OrderQuery::default() };
    let mut found = orders.list(query).await?;
    found.reverse();
    if as_json {
        for kept in &found {
            say(line(kept, shown::Order::of(&kept.row, &kept.about))?)?;
        }
        return Ok(Outcome::Done);
    }
    let mut table =
        Table::new(&["ID", "REFERENCE", "STATE", "AMOUNT", "PAID", "EXPIRES", "CREATED"]);
    for Kept { row, about } in &found {
        let decimals = row.expected.money.unit.decimals();
        table.row([
            row.id.to_string(),
            about.reference.clone(),
            row.judged.state.to_string(),
            row.expected.money.to_string(),
            major(row.judged.paid, decimals),
            or_dash(row.expected.expires_at.map(|at| at.to_string()).as_deref()),
            row.created_at.to_string(),
        ]);
    }
    if table.is_empty() { say("nothing") } else { say(table) }.map(|()| Outcome::Done)
}

async fn show(office: &Office, orders: &Orders, named: &str, as_json: bool) -> Ended {
    let kept = match named.parse::<OrderId>() {
        Ok(id) => orders.get(id).await?,
        Err(_) => orders.find(named).await?,
    };
    let kept = kept.ok_or_else(unknown)?;
    // Who pays, and what for, is shown in the clear.
    let id = kept.row.id.to_string();
    office.desk.audit(Action::OrderRevealed, &id, order("orders show")).await?;
    let mut shown = shown::Order::of(&kept.row, &kept.about);
    if kept.row.watched {
        shown = shown.on_chain(&orders.on_chain(&kept).await?);
    }
    if as_json {
        return say(line(&kept, shown)?).map(|()| Outcome::Done);
    }
    let value = serde_json::to_value(&shown).map_err(|_| unreadable())?;
    for (name, value) in value.as_object().into_iter().flatten() {
        let text = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        say(format_args!("{name:<12} {}", crate::table::tame(&text)))?;
    }
    let mut table = Table::new(&["FACT", "AMOUNT", "SINCE"]);
    let decimals = kept.row.expected.money.unit.decimals();
    for fact in kept.row.facts.iter() {
        table.row([fact.kind.to_string(), major(fact.amount, decimals), fact.at.to_string()]);
    }
    if table.is_empty() { Ok(Outcome::Done) } else { say(table).map(|()| Outcome::Done) }
}

async fn cancel(
    office: &Office,
    orders: &Orders,
    id: OrderId,
    reason: &str,
    as_json: bool,
) -> Ended {
    let note = office.desk.note(order(reason)).await?;
    let kept = orders.cancel(id, note).await?.ok_or_else(unknown)?;
    if as_json {
        let shown = shown::Order::of(&kept.row, &kept.about);
        return say(line(&kept, shown)?).map(|()| Outcome::Done);
    }
    say(format_args!("{id}: {}", kept.row.judged.state)).map(|()| Outcome::Done)
}

/// An order with everything that is known of its payments, as one line of JSON.
fn line(Kept { row, .. }: &Kept, shown: shown::Order) -> Result<serde_json::Value, Failure> {
    let mut value = serde_json::to_value(shown).map_err(|_| unreadable())?;
    let decimals = row.expected.money.unit.decimals();
    let facts: Vec<_> = row
        .facts
        .iter()
        .map(|fact| {
            let (kind, amount) = (fact.kind.code(), major(fact.amount, decimals));
            json!({ "fact": kind, "amount": amount, "since": fact.at.to_string() })
        })
        .collect();
    if let Some(members) = value.as_object_mut() {
        members.insert("facts".to_owned(), json!(facts));
    }
    Ok(value)
}

fn unknown() -> Failure {
    let fix = "see `countersign orders list`";
    Failure::new("unknown_order", "there is no such order", fix)
}

fn unreadable() -> Failure {
    Failure::new("internal", "the order cannot be shown", "report this")
}
