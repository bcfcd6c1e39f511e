//! Orders: created, changed with what pays them, read.

use model::order::{Expected, Judgement, PaymentKey};
use model::{OrderId, OrderState, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use vault::{KeyId, Sealed};

use super::Sqlite;
use super::codes::Code;
use super::failure::Result;
use super::session::Session;
use crate::codes::Coded as _;
use crate::error::Kind;
use crate::order::{COLUMNS, amount, because_of, facts, facts_bytes, money, over, unit_text};
use crate::{
    Action, Awaits, NewOrder, Note, OrderChange, OrderChanges, OrderCreated, OrderQuery, OrderRow,
    OrdersChanged, Recorded, SealedRow, StoreError,
};

impl Session<'_> {
    pub(super) fn create_order(&mut self, order: &NewOrder, note: &Note) -> Result<OrderCreated> {
        let sql = "SELECT id FROM orders WHERE reference_key = ?1";
        let taken: Option<[u8; 16]> = self
            .connection
            .prepare_cached(sql)?
            .query_row([order.reference_key], |row| row.get(0))
            .optional()?;
        if let Some(taken) = taken {
            return Ok(OrderCreated::ReferenceTaken(OrderId::from_bytes(taken)));
        }
        if let Some((place, block)) = self.blocked(&order.parties, note.at)? {
            let (id, text) = (order.id.as_bytes(), block.to_string());
            self.audit_note(Action::OrderCreated, id, true, note, &because_of(&text))?;
            return Ok(OrderCreated::PartyBlocked { place, block });
        }
        if let Some((place, reached)) = self.limit_reached(order, note.at)? {
            let limit = order.limits.get(place).map(ToString::to_string).unwrap_or_default();
            let id = order.id.as_bytes();
            self.audit_note(Action::OrderCreated, id, true, note, &over(&limit))?;
            let retry_after_ms = reached.retry_after_ms;
            return Ok(OrderCreated::LimitReached { place, retry_after_ms });
        }
        // Last of what may refuse it: the address is taken.
        if let Some(taken) = self.watch(order.id, order.watch.as_ref())? {
            return Ok(OrderCreated::AddressTaken(taken));
        }
        for key in &order.keys {
            self.keep_key(key, Some(note.request))?;
        }
        self.see_key(&order.sealed)?;
        let Expected { money, tolerance, expires_at, cancelled_at } = &order.expected;
        let zero = amount(0);
        self.connection
            .prepare_cached(
                "INSERT INTO orders (id, reference_key, customer_key, provider, source, unit,
                    amount, tolerance, expires_at, cancelled_at, created_at, created_by, state, paid,
                    pending, refunded, facts, version, revision, updated_at, sealed_key, sealed,
                    address_key)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0, ?13, ?13, ?13, x'', 0,
                    0, ?11, ?14, ?15, ?16)",
            )?
            .execute(params![
                order.id.as_bytes(),
                order.reference_key,
                order.customer_key,
                order.provider,
                order.source,
                unit_text(money),
                amount(money.minor),
                amount(*tolerance),
                expires_at.map(Timestamp::as_millis),
                cancelled_at.map(Timestamp::as_millis),
                note.at.as_millis(),
                note.actor,
                zero,
                order.sealed.key.0,
                order.sealed.sealed.as_bytes(),
                order.address_key,
            ])?;
        self.wake_undecided(order.id, note.at)?;
        let (minor, unit) = (money.minor.to_string(), unit_text(money));
        let told = [("amount_minor", None, Some(&*minor)), ("unit", None, Some(&*unit))];
        self.audit_note(Action::OrderCreated, order.id.as_bytes(), false, note, &told)?;
        Ok(OrderCreated::Done)
    }

    pub(super) fn change_orders(&mut self, ordered: &OrderChanges) -> Result<OrdersChanged> {
        if let Some(chain) = &ordered.chain
            && !self.is_chain_at(chain)?
        {
            return Ok(OrdersChanged::Stale);
        }
        let mut before = Vec::with_capacity(ordered.changes.len());
        for change in &ordered.changes {
            let Some(state) = self.state_at(change)? else { return Ok(OrdersChanged::Stale) };
            before.push(state);
            if let Some(taken) = self.taken(change)? {
                return Ok(taken);
            }
        }
        let without = ordered.anew.as_ref().and_then(|anew| anew.unordered);
        if self.any_order(without.as_slice())? {
            return Ok(OrdersChanged::Stale);
        }
        let kept = match &ordered.anew {
            Some(anew) => match self.kept_event(anew)? {
                Some(kept) => Some((anew, kept)),
                None => return Ok(OrdersChanged::Stale),
            },
            None => None,
        };
        let recorded = match &ordered.record {
            Some(record) => self.record(record)?,
            None => Recorded { events: Vec::new() },
        };
        if let Some((anew, kept)) = kept {
            self.decide_anew(anew, &kept, ordered)?;
        }
        for (change, before) in ordered.changes.iter().zip(before) {
            if change.is_news(&recorded) {
                self.write_order(change, before, ordered)?;
            } else {
                for event in ordered.left_out(change, &recorded) {
                    self.await_it(event, Awaits::Order(change.reference_key), ordered.at)?;
                }
            }
        }
        if let Some(chain) = &ordered.chain {
            self.write_chain(chain, ordered.at)?;
        }
        Ok(OrdersChanged::Done(recorded))
    }

    /// Whether there is an order with one of these references.
    pub(super) fn any_order(&self, references: &[[u8; 16]]) -> Result<bool> {
        for reference in references {
            let sql = "SELECT 1 FROM orders WHERE reference_key = ?1";
            if self.connection.prepare_cached(sql)?.exists([reference])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The state of an order, if it is as whoever changes it believes.
    fn state_at(&self, change: &OrderChange) -> Result<Option<OrderState>> {
        let sql = "SELECT state FROM orders WHERE id = ?1 AND revision = ?2";
        let state = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![change.order.as_bytes(), change.revision], |row| {
                row.get::<_, Code<OrderState>>(0)
            })
            .optional()?;
        Ok(state.map(|state| state.0))
    }

    /// A payment of the change that serves another order.
    fn taken(&self, change: &OrderChange) -> Result<Option<OrdersChanged>> {
        let sql = "SELECT order_id FROM payment WHERE key = ?1 AND order_id != ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        for payment in change.facts.payments() {
            let other: Option<[u8; 16]> = statement
                .query_row(params![payment, change.order.as_bytes()], |row| row.get(0))
                .optional()?;
            if let Some(order) = other.map(OrderId::from_bytes) {
                return Ok(Some(OrdersChanged::PaymentTaken { payment, order }));
            }
        }
        Ok(None)
    }

    fn write_order(
        &mut self,
        change: &OrderChange,
        before: OrderState,
        ordered: &OrderChanges,
    ) -> Result<()> {
        let Judgement { state, paid, pending, refunded } = change.judged;
        self.connection
            .prepare_cached(
                "UPDATE orders SET cancelled_at = ?2, state = ?3, paid = ?4, pending = ?5,
                    refunded = ?6, facts = ?7, version = ?8, revision = revision + 1, updated_at = ?9
                 WHERE id = ?1",
            )?
            .execute(params![
                change.order.as_bytes(),
                change.cancelled_at.map(Timestamp::as_millis),
                Code(state),
                amount(paid),
                amount(pending),
                amount(refunded),
                facts_bytes(&change.facts),
                change.version,
                ordered.at.as_millis(),
            ])?;
        for payment in change.facts.payments() {
            self.connection
                .prepare_cached(
                    "INSERT INTO payment (key, order_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )?
                .execute(params![payment, change.order.as_bytes()])?;
        }
        if let Some(told) = &change.told {
            self.record(told)?;
        }
        self.wake_undecided(change.order, ordered.at)?;
        self.audit(&ordered.entry(change, before))
    }
}

impl Sqlite {
    pub(crate) async fn order(
        &self,
        id: OrderId,
    ) -> std::result::Result<Option<OrderRow>, StoreError> {
        self.one_order("WHERE id = ?1", *id.as_bytes()).await
    }

    pub(crate) async fn order_by_reference(
        &self,
        reference_key: [u8; 16],
    ) -> std::result::Result<Option<OrderRow>, StoreError> {
        self.one_order("WHERE reference_key = ?1", reference_key).await
    }

    async fn one_order(
        &self,
        which: &'static str,
        value: [u8; 16],
    ) -> std::result::Result<Option<OrderRow>, StoreError> {
        let value = Value::Blob(value.to_vec());
        self.read(move |connection| Ok(rows(connection, which, &[value])?.pop())).await
    }

    pub(crate) async fn order_of_payment(
        &self,
        key: PaymentKey,
    ) -> std::result::Result<Option<OrderId>, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT order_id FROM payment WHERE key = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row([key], |row| row.get(0)).optional()?;
            Ok(found.map(OrderId::from_bytes))
        })
        .await
    }

    pub(crate) async fn orders(
        &self,
        query: OrderQuery,
    ) -> std::result::Result<Vec<OrderRow>, StoreError> {
        let (conditions, values) = filter(&query);
        self.read(move |connection| rows(connection, &conditions, &values)).await
    }

    pub(crate) async fn orders_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> std::result::Result<Vec<OrderRow>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [Value::Integer(now.as_millis()), Value::Integer(limit)];
        self.read(move |connection| {
            let which = "WHERE expires_at <= ?1 AND expires_at IS NOT NULL AND state IN (0, 1, 11)
                         ORDER BY expires_at LIMIT ?2";
            rows(connection, which, &values)
        })
        .await
    }
}

/// Which rows a query wants, and its values.
fn filter(query: &OrderQuery) -> (String, Vec<Value>) {
    let (mut conditions, mut values) = (vec!["true".to_owned()], Vec::new());
    let mut place = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    if let Some(before) = query.before {
        conditions.push(format!("sequence < {}", place(Value::Integer(before))));
    }
    if !query.states.is_empty() {
        let states = query.states.iter().map(|state| place(i64::from(state.number()).into()));
        conditions.push(format!("state IN ({})", states.collect::<Vec<_>>().join(", ")));
    }
    for (column, names) in [("source", &query.reach.sources), ("provider", &query.reach.providers)]
    {
        let Some(names) = names else { continue };
        let names = names.iter().map(|name| place(name.clone().into())).collect::<Vec<_>>();
        conditions.push(format!("{column} IN ({})", names.join(", ")));
    }
    if let Some(customer) = query.reach.customer {
        conditions.push(format!("customer_key = {}", place(Value::Blob(customer.to_vec()))));
    }
    let limit = place(Value::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
    (format!("WHERE {} ORDER BY sequence DESC LIMIT {limit}", conditions.join(" AND ")), values)
}

pub(super) fn rows(
    connection: &Connection,
    which: &str,
    values: &[Value],
) -> Result<Vec<OrderRow>> {
    let sql = format!("SELECT {COLUMNS} FROM orders {which}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(order(row)?);
    }
    Ok(found)
}

fn order(row: &Row<'_>) -> Result<OrderRow> {
    let time = |place: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(place)?.map(Timestamp::from_millis))
    };
    let minor = |place: usize| row.get(place).map(u128::from_be_bytes);
    let some = |time: Option<Timestamp>| time.ok_or_else(|| StoreError::new(Kind::Corrupt));
    Ok(OrderRow {
        sequence: row.get(0)?,
        id: OrderId::from_bytes(row.get(1)?),
        reference_key: row.get(2)?,
        customer_key: row.get(3)?,
        provider: row.get(4)?,
        source: row.get(5)?,
        expected: Expected {
            money: money(&row.get::<_, String>(6)?, row.get(7)?)?,
            tolerance: minor(8)?,
            expires_at: time(9)?,
            cancelled_at: time(10)?,
        },
        created_at: some(time(11)?)?,
        created_by: row.get(12)?,
        judged: Judgement {
            state: row.get::<_, Code<OrderState>>(13)?.0,
            paid: minor(14)?,
            pending: minor(15)?,
            refunded: minor(16)?,
        },
        facts: facts(&row.get::<_, Vec<u8>>(17)?)?,
        version: row.get(18)?,
        revision: row.get(19)?,
        updated_at: some(time(20)?)?,
        sealed: SealedRow { key: KeyId(row.get(21)?), sealed: Sealed::from_bytes(row.get(22)?) },
        watched: row.get(23)?,
    })
}
