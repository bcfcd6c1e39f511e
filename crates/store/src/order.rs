//! Orders as they are kept: what is expected, what is known of the payments, and where that stands.
//!
//! An order changes only as a whole and only from the revision it was read at: whoever decided on an older
//! one is told that it is stale, and decides again. What a change makes known is recorded with it: the
//! event that brought it, and the gateway's own event about the order.

use model::money::Unit;
use model::order::{
    Counted, Expected, Fact, FactKind, Facts, Judgement, LimitPer, LimitReached, OrderLimit,
    PaymentKey, counts,
};
use model::{BlockId, EventId, EventStatus, Money, OrderId, OrderState, Reach, Timestamp, limits};

use crate::audit::Entry;
use crate::codes::{Code, Coded as _};
use crate::error::Kind;
use crate::{
    Action, Anew, ChainChange, NewKey, NewWatch, Note, Outcome, Record, Recorded, SealedRow,
    StoreError,
};

/// An order to be created.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Its id.
    pub id: OrderId,
    /// Keyed hash of the application's reference.
    pub reference_key: [u8; 16],
    /// Keyed hash of the customer, if it is said who pays.
    pub customer_key: Option<[u8; 16]>,
    /// Keyed hash of the address that is to be paid, if that is said.
    pub address_key: Option<[u8; 16]>,
    /// Through which provider it is to be paid, if that is said.
    pub provider: Option<String>,
    /// Through which source it is to be paid, if that is said.
    pub source: Option<String>,
    /// How much until when.
    pub expected: Expected,
    /// Where its payments are looked for, if they are.
    pub watch: Option<NewWatch>,
    /// Keyed hashes of the parties that it names: none of them may be blocked.
    pub parties: Vec<[u8; 16]>,
    /// The limits that it must keep, with the orders that are there.
    pub limits: Vec<OrderLimit>,
    /// Data keys that are needed and may not be kept yet.
    pub keys: Vec<NewKey>,
    /// Everything else that the application said.
    pub sealed: SealedRow,
}

/// Whether an order was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderCreated {
    /// It was.
    Done,
    /// There is one with this reference.
    ReferenceTaken(OrderId),
    /// The address that is to be paid is another's, which is watched.
    AddressTaken(OrderId),
    /// One of its parties is blocked.
    PartyBlocked {
        /// Which, as its place among them.
        place: usize,
        /// By which block.
        block: BlockId,
    },
    /// It would break a limit.
    LimitReached {
        /// Which, as its place among them.
        place: usize,
        /// In how many milliseconds it will not, if no other order comes; none if that is never.
        retry_after_ms: Option<i64>,
    },
}

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// Grows from order to order.
    pub sequence: i64,
    /// Its id.
    pub id: OrderId,
    /// Keyed hash of the application's reference.
    pub reference_key: [u8; 16],
    /// Keyed hash of the customer, if it was said who pays.
    pub customer_key: Option<[u8; 16]>,
    /// Through which provider it is to be paid, if that was said.
    pub provider: Option<String>,
    /// Through which source it is to be paid, if that was said.
    pub source: Option<String>,
    /// How much until when.
    pub expected: Expected,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// Everything that is known of its payments.
    pub facts: Facts,
    /// Where it stands.
    pub judged: Judgement,
    /// Grows with every state that is told.
    pub version: i64,
    /// Grows with every change.
    pub revision: i64,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Everything else that the application said.
    pub sealed: SealedRow,
    /// Its payments are looked for on its chain, or were: nobody else's word makes it paid.
    pub watched: bool,
}

/// How an order is to change.
#[derive(Debug, Clone)]
pub struct OrderChange {
    /// Which.
    pub order: OrderId,
    /// The keyed hash of its reference.
    pub reference_key: [u8; 16],
    /// Which events of the arrival bring it, if any does: if all of them are known, nothing changes. If one
    /// of them conflicts with what is known, nothing changes either: the new ones are looked at alone.
    pub events: Vec<usize>,
    /// The revision that this was decided at.
    pub revision: i64,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// Everything that is known of its payments now.
    pub facts: Facts,
    /// Where it stands with that.
    pub judged: Judgement,
    /// Its version then.
    pub version: i64,
    /// The gateway's own event about it, if its state is other than before.
    pub told: Option<Record>,
}

/// An arrival and what it changes, or a change that nothing brought.
#[derive(Debug, Clone)]
pub struct OrderChanges {
    /// The arrival.
    pub record: Option<Record>,
    /// A kept event that is decided on anew.
    pub anew: Option<Anew>,
    /// Each order that changes: once.
    pub changes: Vec<OrderChange>,
    /// What was read of a chain, if that brings it.
    pub chain: Option<ChainChange>,
    /// Who wants it, if a person or an application does.
    pub note: Option<Note>,
    /// When.
    pub at: Timestamp,
}

/// Whether orders changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrdersChanged {
    /// They did: what became of the arrival, if there was one.
    Done(Recorded),
    /// One of them has changed meanwhile or is gone, or the event that is decided on anew has, or the chain
    /// was read by another: read it and decide again.
    Stale,
    /// A payment serves another order already.
    PaymentTaken {
        /// Which payment.
        payment: PaymentKey,
        /// Which order.
        order: OrderId,
    },
}

/// Which orders to list: the newest `limit` of those that match.
#[derive(Debug, Clone, Default)]
pub struct OrderQuery {
    /// In one of these states; empty means any.
    pub states: Vec<OrderState>,
    /// With a lower sequence than this.
    pub before: Option<i64>,
    /// Only those within reach.
    pub reach: Reach,
    /// At most so many.
    pub limit: usize,
}

/// What the log says of an order that names a blocked party.
pub(crate) fn because_of(block: &str) -> [(&str, Option<&str>, Option<&str>); 2] {
    [("because", None, Some("party_blocked")), ("block", None, Some(block))]
}

/// The columns of an order, in the order in which both backends read them.
pub(crate) const COLUMNS: &str = "sequence, id, reference_key, customer_key, provider, source, unit,
    amount, tolerance, expires_at, cancelled_at, created_at, created_by, state, paid, pending, refunded,
    facts, version, revision, updated_at, sealed_key, sealed,
    EXISTS (SELECT 1 FROM watch WHERE order_id = orders.id)";

/// An amount as it is kept.
pub(crate) const fn amount(minor: u128) -> [u8; 16] {
    minor.to_be_bytes()
}

/// What an amount counts, as it is kept.
pub(crate) fn unit_text(money: &Money) -> String {
    unit_name(&money.unit)
}

/// A unit as it is kept: `EUR`, or `USDT@ethereum/6`.
pub(crate) fn unit_name(unit: &Unit) -> String {
    match unit {
        Unit::Currency(currency) => currency.code().to_owned(),
        Unit::Asset(asset) => format!("{asset}/{}", asset.decimals()),
    }
}

/// Orders of one party that are looked at for a limit. Who has more within its window gets none.
pub(crate) const COUNTED_MAX: i64 = 10_000;

/// The limits that concern an order, each with its place and the keyed hash of the party whose orders it
/// counts. One that says no customer or address is not counted by it.
pub(crate) fn limited(order: &NewOrder) -> impl Iterator<Item = (usize, &OrderLimit, [u8; 16])> {
    order.limits.iter().enumerate().filter_map(|(place, limit)| {
        let key = match limit.per {
            LimitPer::Customer => order.customer_key,
            LimitPer::Address => order.address_key,
        };
        let concerns = limit.unit.as_ref().is_none_or(|unit| *unit == order.expected.money.unit);
        Some((place, limit, key.filter(|_| concerns)?))
    })
}

/// Whether an order keeps a limit beside those that count.
pub(crate) fn admitted(
    limit: &OrderLimit,
    counted: &[Counted],
    order: &NewOrder,
    now: Timestamp,
) -> Result<(), LimitReached> {
    if i64::try_from(counted.len()).is_ok_and(|count| count <= COUNTED_MAX) {
        limit.admit(counted, order.expected.money.minor, now)
    } else {
        Err(LimitReached { retry_after_ms: None })
    }
}

/// The numbers of the states in which an order does not count.
pub(crate) fn uncounted() -> String {
    let states = OrderState::ALL.iter().filter(|state| !counts(**state));
    states.map(|state| state.number().to_string()).collect::<Vec<_>>().join(", ")
}

/// What the log says of an order that would break a limit.
pub(crate) fn over(limit: &str) -> [(&str, Option<&str>, Option<&str>); 2] {
    [("because", None, Some("order_limit_reached")), ("limit", None, Some(limit))]
}

/// Money from what is kept.
pub(crate) fn money(unit: &str, minor: [u8; 16]) -> Result<Money, StoreError> {
    use model::money::Asset;
    let asset = |text: &str| {
        let (symbol, rest) = text.split_once('@')?;
        let (chain, decimals) = rest.rsplit_once('/')?;
        Asset::new(symbol, chain, decimals.parse().ok()?).ok()
    };
    let unit = unit.parse().map(Unit::Currency).ok().or_else(|| asset(unit).map(Unit::Asset));
    let unit = unit.ok_or_else(|| StoreError::new(Kind::Corrupt))?;
    Ok(Money { minor: u128::from_be_bytes(minor), unit })
}

/// Bytes of a fact as it is kept.
const FACT_BYTES: usize = 16 + 16 + 1 + 16 + 8 + 8;

/// Facts as they are kept.
pub(crate) fn facts_bytes(facts: &Facts) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FACT_BYTES * facts.iter().count());
    for fact in facts.iter() {
        bytes.extend_from_slice(&fact.payment);
        bytes.extend_from_slice(&fact.part);
        bytes.push(u8::try_from(Code(fact.kind).0.number()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(&fact.amount.to_be_bytes());
        bytes.extend_from_slice(&fact.at.as_millis().to_be_bytes());
        bytes.extend_from_slice(&fact.version.to_be_bytes());
    }
    bytes
}

/// Facts from what is kept.
pub(crate) fn facts(bytes: &[u8]) -> Result<Facts, StoreError> {
    let (facts, rest) = bytes.as_chunks::<FACT_BYTES>();
    let read = |bytes: &[u8; FACT_BYTES]| {
        let (payment, rest) = bytes.split_first_chunk()?;
        let (part, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first()?;
        let (amount, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let version = rest.first_chunk()?;
        Some(Fact {
            payment: *payment,
            kind: FactKind::from_number(i64::from(*kind))?,
            part: *part,
            amount: u128::from_be_bytes(*amount),
            at: Timestamp::from_millis(i64::from_be_bytes(*at)),
            version: u64::from_be_bytes(*version),
        })
    };
    let read: Option<Facts> =
        facts.iter().map(read).collect::<Option<Vec<_>>>().map(Facts::from_iter);
    read.filter(|_| rest.is_empty()).ok_or_else(|| StoreError::new(Kind::Corrupt))
}

/// It is delivered, or waits for a person.
const fn may_be_told(status: EventStatus) -> bool {
    matches!(status, EventStatus::Accepted | EventStatus::Held)
}

impl OrderChange {
    /// Refuses what no order may come to.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let too_many = self.facts.iter().count() > limits::ORDER_FACTS_MAX;
        let not_ours = self
            .told
            .iter()
            .flat_map(|told| &told.events)
            .any(|event| !may_be_told(event.status) || event.dedup_key.is_none());
        let paid_back_too_much = self.judged.refunded > self.judged.paid;
        if too_many || not_ours || paid_back_too_much {
            return Err(StoreError::new(Kind::Constraint));
        }
        Ok(())
    }

    /// Whether what brings it is new: an event that is known has had its effect, one that conflicts
    /// with another has none.
    pub(crate) fn is_news(&self, recorded: &Recorded) -> bool {
        let mut outcomes = self.events.iter().map(|event| recorded.events.get(*event));
        let conflicts = |outcome: Option<&Outcome>| {
            matches!(outcome, Some(Outcome::Conflict { .. } | Outcome::Repeated { .. }))
        };
        let is_new = |outcome: Option<&Outcome>| outcome == Some(&Outcome::New);
        self.events.is_empty() || (!outcomes.clone().any(conflicts) && outcomes.any(is_new))
    }
}

impl OrderChanges {
    /// Of the events that bring a change which is not made, those that are new.
    pub(crate) fn left_out<'a>(
        &'a self,
        change: &'a OrderChange,
        recorded: &'a Recorded,
    ) -> impl Iterator<Item = EventId> + 'a {
        let events = self.record.iter().flat_map(|record| &record.events).zip(&recorded.events);
        let is_its = |(number, _): &(usize, _)| change.events.contains(number);
        let brought = events.enumerate().filter(is_its);
        brought
            .filter(|(_, (_, outcome))| **outcome == Outcome::New)
            .map(|(_, (event, _))| event.id)
    }

    /// The entry about one of its changes.
    pub(crate) fn entry<'a>(&'a self, change: &'a OrderChange, before: OrderState) -> Entry<'a> {
        let note = self.note.as_ref();
        let anew = self.anew.as_ref().map(|anew| anew.request);
        let brought = self.record.as_ref().map(|record| record.request).or(anew);
        let (paid, version) = (change.judged.paid.to_string(), change.version.to_string());
        Entry {
            at: self.at,
            action: Action::OrderChanged,
            actor: note.map(|note| note.actor.as_str()),
            resource: change.order.as_bytes(),
            refused: false,
            request: note.map(|note| note.request).or(brought),
            changes: Some(crate::audit::text(&[
                ("state", Some(before.code()), Some(change.judged.state.code())),
                ("paid_minor", None, Some(&paid)),
                ("version", None, Some(&version)),
            ])),
            personal: note.and_then(|note| note.personal.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(n: u8, kind: FactKind) -> Fact {
        let at = Timestamp::from_millis(-5);
        Fact { payment: [n; 16], kind, part: [9; 16], amount: u128::MAX - 1, at, version: 7 }
    }

    #[test]
    fn facts_read_back_as_written() {
        let all: Facts = FactKind::ALL.iter().map(|kind| fact(1, *kind)).collect();
        assert_eq!(facts(&facts_bytes(&all)), Ok(all));
        assert_eq!(facts(&[]), Ok(Facts::default()));
    }

    #[test]
    fn what_is_no_fact_is_corrupt() {
        let one: Facts = [fact(1, FactKind::Paid)].into_iter().collect();
        let mut bytes = facts_bytes(&one);
        assert!(facts(&bytes[..bytes.len() - 1]).is_err());
        bytes[32] = 200;
        assert!(facts(&bytes).is_err());
    }

    #[test]
    fn money_reads_back_as_written() {
        for (unit, fits) in [
            ("EUR", true),
            ("USDT@ethereum/6", true),
            ("USDT@ethereum", false),
            ("USDT@ethereum/99", false),
            ("", false),
            ("XXX", false),
        ] {
            let read = money(unit, amount(5));
            assert_eq!(read.is_ok(), fits, "{unit}");
            if let Ok(money) = read {
                assert_eq!((unit_text(&money).as_str(), money.minor), (unit, 5));
            }
        }
    }
}
