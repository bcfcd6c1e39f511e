//! Orders: created, changed with what pays them, read.

use model::order::{Expected, Judgement, PaymentKey};
use model::{OrderId, OrderState, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Postgres;
use super::audit::Entries;
use super::bind::{Owned, bytea, byteas, int2, int8, text, uuid};
use super::codes::Sixteen;
use super::failure::{Class, Failure, Result};
use super::keys::NewKeys;
use super::read::sealed_row;
use super::session::{Session, column};
use super::undecided::Waiting;
use crate::codes::{Code, Coded as _};
use crate::error::Kind;
use crate::order::{COLUMNS, amount, because_of, facts, facts_bytes, money, over, unit_text};
use crate::{
    Action, Awaits, NewOrder, Note, OrderChange, OrderChanges, OrderCreated, OrderQuery, OrderRow,
    OrdersChanged, Recorded, StoreError,
};

impl Session<'_> {
    pub(super) async fn create_order(&self, order: &NewOrder, note: &Note) -> Result<OrderCreated> {
        if let Some(taken) = self.reference_taken(order.reference_key).await? {
            return Ok(taken);
        }
        if let Some((place, block)) = self.blocked(&order.parties, note.at).await? {
            let (id, text) = (order.id.as_bytes(), block.to_string());
            self.audit_note(Action::OrderCreated, id, true, note, &because_of(&text)).await?;
            return Ok(OrderCreated::PartyBlocked { place, block });
        }
        if let Some((place, reached)) = self.limit_reached(order, note.at).await? {
            let limit = order.limits.get(place).map(ToString::to_string).unwrap_or_default();
            let id = order.id.as_bytes();
            self.audit_note(Action::OrderCreated, id, true, note, &over(&limit)).await?;
            let retry_after_ms = reached.retry_after_ms;
            return Ok(OrderCreated::LimitReached { place, retry_after_ms });
        }
        if let Some(taken) = self.watched_at(order.watch.as_ref()).await? {
            return Ok(OrderCreated::AddressTaken(taken));
        }
        let mut new_keys = NewKeys::new();
        for key in &order.keys {
            new_keys.insert(key.id.0, (key, Some(note.request)));
        }
        let mut entries = Entries::default();
        self.keep_keys(&new_keys, &mut entries).await?;
        let key = Sixteen::from(order.sealed.key);
        self.kept_keys(&[key]).await?.see(&order.sealed)?;
        let Expected { money, tolerance, expires_at, cancelled_at } = &order.expected;
        let (zero, at) = (Sixteen(amount(0)), note.at.as_millis());
        let inserted = self
            .run(
                "INSERT INTO orders (id, reference_key, customer_key, provider, source, unit, amount,
                    tolerance, expires_at, cancelled_at, created_at, created_by, state, paid, pending,
                    refunded, facts, version, revision, updated_at, sealed_key, sealed, address_key)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $13, $13, '', 0, 0,
                    $11, $14, $15, $16)
                 ON CONFLICT (reference_key) DO NOTHING",
                &[
                    uuid(&Sixteen::from(order.id)),
                    bytea(&Sixteen(order.reference_key)),
                    bytea(&order.customer_key.map(Sixteen)),
                    text(&order.provider),
                    text(&order.source),
                    text(&unit_text(money)),
                    bytea(&Sixteen(amount(money.minor))),
                    bytea(&Sixteen(amount(*tolerance))),
                    int8(&expires_at.map(Timestamp::as_millis)),
                    int8(&cancelled_at.map(Timestamp::as_millis)),
                    int8(&at),
                    text(&note.actor),
                    bytea(&zero),
                    uuid(&key),
                    bytea(&order.sealed.sealed.as_bytes()),
                    bytea(&order.address_key.map(Sixteen)),
                ],
            )
            .await?;
        self.audit(&entries).await?;
        if inserted == 0 {
            // By somebody who was faster.
            let taken = self.reference_taken(order.reference_key).await?;
            return taken.ok_or_else(|| Failure::from(Kind::Internal));
        }
        self.watch(order.id, order.watch.as_ref()).await?;
        self.wake_undecided(order.id, note.at).await?;
        let (minor, unit) = (money.minor.to_string(), unit_text(money));
        let told = [("amount_minor", None, Some(&*minor)), ("unit", None, Some(&*unit))];
        self.audit_note(Action::OrderCreated, order.id.as_bytes(), false, note, &told).await?;
        Ok(OrderCreated::Done)
    }

    /// That there is an order with a reference, if there is.
    async fn reference_taken(&self, reference_key: [u8; 16]) -> Result<Option<OrderCreated>> {
        let sql = "SELECT id FROM orders WHERE reference_key = $1";
        let rows = self.rows(sql, &[bytea(&Sixteen(reference_key))]).await?;
        let taken = rows.first().map(|row| column::<Sixteen>(row, 0)).transpose()?;
        Ok(taken.map(|id| OrderCreated::ReferenceTaken(id.into())))
    }

    pub(super) async fn change_orders(&self, ordered: &OrderChanges) -> Result<OrdersChanged> {
        // In one order, so that of two that change the same none waits for the other twice.
        let mut changes: Vec<&OrderChange> = ordered.changes.iter().collect();
        changes.sort_unstable_by_key(|change| change.order);
        if let Some(chain) = &ordered.chain
            && !self.is_chain_at(chain).await?
        {
            return Ok(OrdersChanged::Stale);
        }
        let mut before = Vec::with_capacity(changes.len());
        for change in &changes {
            let Some(state) = self.state_at(change).await? else { return Ok(OrdersChanged::Stale) };
            before.push(state);
            if let Some(taken) = self.taken(change).await? {
                return Ok(taken);
            }
        }
        let without = ordered.anew.as_ref().and_then(|anew| anew.unordered);
        if self.any_order(&Vec::from_iter(without.as_ref().map(<[u8; 16]>::as_slice))).await? {
            return Ok(OrdersChanged::Stale);
        }
        let kept = match &ordered.anew {
            Some(anew) => match self.kept_event(anew).await? {
                Some(kept) => Some((anew, kept)),
                None => return Ok(OrdersChanged::Stale),
            },
            None => None,
        };
        let recorded = match &ordered.record {
            Some(record) => self.record(std::slice::from_ref(record)).await?.pop(),
            None => None,
        };
        let recorded = recorded.unwrap_or(Recorded { events: Vec::new() });
        if let Some((anew, kept)) = kept {
            self.decide_anew(anew, &kept, ordered).await?;
        }
        for (change, before) in changes.into_iter().zip(before) {
            if change.is_news(&recorded) {
                self.write_order(change, before, ordered).await?;
            } else {
                let mut waiting = Waiting::default();
                for event in ordered.left_out(change, &recorded) {
                    waiting.push(event, Awaits::Order(change.reference_key), ordered.at);
                }
                self.await_them(&waiting).await?;
            }
        }
        if let Some(chain) = &ordered.chain {
            self.write_chain(chain, ordered.at).await?;
        }
        Ok(OrdersChanged::Done(recorded))
    }

    /// Refuses references that there is an order with.
    pub(super) async fn no_order(&self, references: &[&[u8]]) -> Result<()> {
        if self.any_order(references).await? { Err(Kind::Ordered.into()) } else { Ok(()) }
    }

    /// Whether there is an order with one of these references.
    async fn any_order(&self, references: &[&[u8]]) -> Result<bool> {
        if references.is_empty() {
            return Ok(false);
        }
        let sql = "SELECT 1 FROM orders WHERE reference_key = ANY ($1) LIMIT 1";
        Ok(!self.rows(sql, &[byteas(&references.to_vec())]).await?.is_empty())
    }

    /// The state of an order, if it is as whoever changes it believes. It stays so.
    async fn state_at(&self, change: &OrderChange) -> Result<Option<OrderState>> {
        let sql = "SELECT state FROM orders WHERE id = $1 AND revision = $2 FOR UPDATE";
        let id = Sixteen::from(change.order);
        let rows = self.rows(sql, &[uuid(&id), int8(&change.revision)]).await?;
        rows.first().map(|row| Ok(column::<Code<OrderState>>(row, 0)?.0)).transpose()
    }

    /// A payment of the change that serves another order.
    async fn taken(&self, change: &OrderChange) -> Result<Option<OrdersChanged>> {
        let keys: Vec<PaymentKey> = change.facts.payments().collect();
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 16]>::as_slice).collect();
        if keys.is_empty() {
            return Ok(None);
        }
        let sql =
            "SELECT key, order_id FROM payment WHERE key = ANY ($1) AND order_id != $2 LIMIT 1";
        let id = Sixteen::from(change.order);
        let rows = self.rows(sql, &[byteas(&keys), uuid(&id)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (payment, order) = (column::<Sixteen>(row, 0)?.0, column::<Sixteen>(row, 1)?.into());
        Ok(Some(OrdersChanged::PaymentTaken { payment, order }))
    }

    async fn write_order(
        &self,
        change: &OrderChange,
        before: OrderState,
        ordered: &OrderChanges,
    ) -> Result<()> {
        let Judgement { state, paid, pending, refunded } = change.judged;
        let sum = |minor| Sixteen(amount(minor));
        self.run(
            "UPDATE orders SET cancelled_at = $2, state = $3, paid = $4, pending = $5, refunded = $6,
                facts = $7, version = $8, revision = revision + 1, updated_at = $9
             WHERE id = $1",
            &[
                uuid(&Sixteen::from(change.order)),
                int8(&change.cancelled_at.map(Timestamp::as_millis)),
                int2(&Code(state)),
                bytea(&sum(paid)),
                bytea(&sum(pending)),
                bytea(&sum(refunded)),
                bytea(&facts_bytes(&change.facts)),
                int8(&change.version),
                int8(&ordered.at.as_millis()),
            ],
        )
        .await?;
        self.bind_payments(change).await?;
        if let Some(told) = &change.told {
            self.record(std::slice::from_ref(told)).await?;
        }
        self.wake_undecided(change.order, ordered.at).await?;
        let mut entries = Entries::default();
        entries.push(&ordered.entry(change, before));
        self.audit(&entries).await
    }

    /// Sees that the payments serve this order. Whoever binds one of them to another at this moment is
    /// waited for; then all of this is undone and tried again, and finds it.
    async fn bind_payments(&self, change: &OrderChange) -> Result<()> {
        let mut keys: Vec<PaymentKey> = change.facts.payments().collect();
        keys.sort_unstable();
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 16]>::as_slice).collect();
        let id = Sixteen::from(change.order);
        let sql = "INSERT INTO payment (key, order_id) SELECT key, $2 FROM unnest($1) AS new (key)
                   ORDER BY key ON CONFLICT (key) DO NOTHING";
        self.run(sql, &[byteas(&keys), uuid(&id)]).await?;
        let sql = "SELECT 1 FROM payment WHERE key = ANY ($1) AND order_id != $2 LIMIT 1";
        if self.rows(sql, &[byteas(&keys), uuid(&id)]).await?.is_empty() {
            Ok(())
        } else {
            Err(Failure { error: StoreError::new(Kind::Busy), class: Class::InTheWay })
        }
    }
}

impl Postgres {
    pub(crate) async fn order(
        &self,
        id: OrderId,
    ) -> std::result::Result<Option<OrderRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM orders WHERE id = $1");
        let parameters = vec![Owned::new(Sixteen::from(id), Type::UUID)];
        Ok(all(&self.look(&sql, parameters).await?)?.pop())
    }

    pub(crate) async fn order_by_reference(
        &self,
        reference_key: [u8; 16],
    ) -> std::result::Result<Option<OrderRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM orders WHERE reference_key = $1");
        let parameters = vec![Owned::new(Sixteen(reference_key), Type::BYTEA)];
        Ok(all(&self.look(&sql, parameters).await?)?.pop())
    }

    pub(crate) async fn order_of_payment(
        &self,
        key: PaymentKey,
    ) -> std::result::Result<Option<OrderId>, StoreError> {
        let sql = "SELECT order_id FROM payment WHERE key = $1";
        let rows = self.look(sql, vec![Owned::new(Sixteen(key), Type::BYTEA)]).await?;
        let found: Option<Result<Sixteen>> = rows.first().map(|row| column(row, 0));
        Ok(found.transpose().map_err(|failure| failure.error)?.map(OrderId::from))
    }

    pub(crate) async fn orders(
        &self,
        query: OrderQuery,
    ) -> std::result::Result<Vec<OrderRow>, StoreError> {
        let (conditions, parameters) = filter(&query);
        let sql = format!("SELECT {COLUMNS} FROM orders {conditions}");
        all(&self.list(&sql, parameters).await?)
    }

    pub(crate) async fn orders_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> std::result::Result<Vec<OrderRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM orders
             WHERE expires_at <= $1 AND expires_at IS NOT NULL AND state IN (0, 1, 11)
             ORDER BY expires_at LIMIT $2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters =
            vec![Owned::new(now.as_millis(), Type::INT8), Owned::new(limit, Type::INT8)];
        all(&self.list(&sql, parameters).await?)
    }
}

/// Which rows a query wants, and its parameters.
fn filter(query: &OrderQuery) -> (String, Vec<Owned>) {
    let (mut conditions, mut parameters) = (vec!["true".to_owned()], Vec::new());
    let mut place = |value: Owned| {
        parameters.push(value);
        format!("${}", parameters.len())
    };
    if let Some(before) = query.before {
        conditions.push(format!("sequence < {}", place(Owned::new(before, Type::INT8))));
    }
    if !query.states.is_empty() {
        let states: Vec<i16> = query.states.iter().map(|state| state.number()).collect();
        conditions.push(format!("state = ANY ({})", place(Owned::new(states, Type::INT2_ARRAY))));
    }
    for (column, names) in [("source", &query.reach.sources), ("provider", &query.reach.providers)]
    {
        let Some(names) = names else { continue };
        let names: Vec<String> = names.iter().cloned().collect();
        conditions.push(format!("{column} = ANY ({})", place(Owned::new(names, Type::TEXT_ARRAY))));
    }
    if let Some(customer) = query.reach.customer {
        let customer = place(Owned::new(Sixteen(customer), Type::BYTEA));
        conditions.push(format!("customer_key = {customer}"));
    }
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let limit = place(Owned::new(limit, Type::INT8));
    (format!("WHERE {} ORDER BY sequence DESC LIMIT {limit}", conditions.join(" AND ")), parameters)
}

pub(super) fn all(rows: &[Row]) -> std::result::Result<Vec<OrderRow>, StoreError> {
    rows.iter().map(|row| order(row).map_err(|failure| failure.error)).collect()
}

fn order(row: &Row) -> Result<OrderRow> {
    let time = |place| -> Result<Option<Timestamp>> {
        Ok(column::<Option<i64>>(row, place)?.map(Timestamp::from_millis))
    };
    let at = |place| -> Result<Timestamp> { Ok(Timestamp::from_millis(column(row, place)?)) };
    let minor =
        |place| -> Result<u128> { Ok(u128::from_be_bytes(column::<Sixteen>(row, place)?.0)) };
    Ok(OrderRow {
        sequence: column(row, 0)?,
        id: column::<Sixteen>(row, 1)?.into(),
        reference_key: column::<Sixteen>(row, 2)?.0,
        customer_key: column::<Option<Sixteen>>(row, 3)?.map(|key| key.0),
        provider: column(row, 4)?,
        source: column(row, 5)?,
        expected: Expected {
            money: money(column(row, 6)?, column::<Sixteen>(row, 7)?.0)?,
            tolerance: minor(8)?,
            expires_at: time(9)?,
            cancelled_at: time(10)?,
        },
        created_at: at(11)?,
        created_by: column(row, 12)?,
        judged: Judgement {
            state: column::<Code<OrderState>>(row, 13)?.0,
            paid: minor(14)?,
            pending: minor(15)?,
            refunded: minor(16)?,
        },
        facts: facts(column(row, 17)?)?,
        version: column(row, 18)?,
        revision: column(row, 19)?,
        updated_at: at(20)?,
        sealed: sealed_row(row, 21)?,
        watched: column(row, 23)?,
    })
}
