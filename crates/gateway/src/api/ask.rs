//! One authenticated request, and whose things it reaches.
//!
//! Handlers have no store: what they read or change goes through here, where the reach of the key is
//! applied ([`Ask::judge`] to one thing, the query to a list). What is within it is [`Within`], which
//! nothing else makes, and only that can be acted on.

use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use model::access::Belongs;
use model::{DeliveryId, EventId, OrderId};
use sabotage::Defect;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::{
    Action, DeliveryQuery, DeliveryRow, EventQuery, EventRow, NewOrder, NewReceipt, Note,
    OrderQuery, OrderRow, ReceiptTaken,
};

use super::refusal::{ApiRefusal, Problem};
use super::{Api, Came, ServedEndpoint, ServedSource, cursor, read};
use crate::api_keys::Caller;
use crate::operations::Order;
use crate::orders::Kept;

/// One authenticated request that is let in.
pub(super) struct Ask {
    pub(super) api: Arc<Api>,
    pub(super) caller: Caller,
    pub(super) came: Came,
    pub(super) agent: Option<String>,
    /// The route's path, with its places.
    pub(super) route: &'static str,
    pub(super) places: Vec<(String, String)>,
    pub(super) query: Option<String>,
    pub(super) body: Bytes,
}

/// A query without parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// Something within the reach of the key.
pub(super) struct Within<T>(T);

impl<T> Deref for Within<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Ask {
    /// What stands in a place of the path.
    pub(super) fn place(&self, name: &str) -> &str {
        let found = self.places.iter().find(|(place, _)| place == name);
        found.map_or("", |(_, text)| text.as_str())
    }

    pub(super) fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        read::query(self.query.as_deref())
    }

    /// Sees that there are no parameters.
    pub(super) fn no_query(&self) -> Result<(), Problem> {
        self.query::<NoParameters>().map(drop)
    }

    /// What the body says. Where there is one, there are no parameters.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.no_query()?;
        read::body(&self.body)
    }

    /// Who asks for something and why, as it goes to the audit log with what is done.
    pub(super) fn order(&self, reason: String) -> Order {
        Order {
            actor: self.caller.key.to_string(),
            reason,
            at: self.came.at,
            request: Some(self.came.request),
            address: Some(self.came.address),
            agent: self.agent.clone(),
        }
    }

    pub(super) async fn note(&self, reason: String) -> Result<Note, Problem> {
        Ok(self.api.desk.note(self.order(reason)).await?)
    }

    /// The answer where there is nothing: a bound key is not told whether there is.
    pub(super) fn nothing(&self) -> Problem {
        if self.caller.reach.is_bound() {
            ApiRefusal::OutOfReach.into()
        } else {
            ApiRefusal::NotFound.into()
        }
    }

    /// The one place where it is decided whether the key reaches a thing.
    fn reaches(&self, thing: Belongs<'_>) -> bool {
        self.caller.reach.covers(thing) || sabotage::on(Defect::ReachIgnored)
    }

    fn judge<T>(&self, found: Option<T>, reaches: bool) -> Result<Within<T>, Problem> {
        found.filter(|_| reaches).map(Within).ok_or_else(|| self.nothing())
    }

    /// One event.
    pub(super) async fn event(&self, id: &str) -> Result<Within<EventRow>, Problem> {
        let Ok(id) = EventId::from_str(id) else { return Err(self.nothing()) };
        self.event_of(id).await
    }

    async fn event_of(&self, id: EventId) -> Result<Within<EventRow>, Problem> {
        let found = self.api.desk.store().event(id).await?;
        let reaches = match &found {
            Some(event) => {
                // Whose it is need only be looked up for a key that is bound to somebody.
                let customer = match self.caller.reach.customer {
                    Some(_) => self.api.desk.subject(event).await?,
                    None => None,
                };
                let (source, provider) = (&event.source, &event.provider);
                self.reaches(Belongs { source, provider, customer })
            }
            None => false,
        };
        self.judge(found, reaches)
    }

    /// A page of events, newest first.
    pub(super) async fn events(&self, query: EventQuery) -> Result<Vec<EventRow>, Problem> {
        let query = EventQuery { reach: self.reach(), ..query };
        let mut events = self.api.desk.store().events(query).await?;
        events.reverse();
        Ok(events)
    }

    /// One delivery: whose its event is.
    pub(super) async fn delivery(&self, id: &str) -> Result<Within<DeliveryRow>, Problem> {
        let Ok(id) = DeliveryId::from_str(id) else { return Err(self.nothing()) };
        let query = DeliveryQuery { id: Some(id), limit: 1, ..DeliveryQuery::default() };
        let found = self.api.desk.store().deliveries(query).await?.pop();
        let event = match &found {
            Some(delivery) => Some(self.event_of(delivery.event).await?),
            None => None,
        };
        self.judge(found, event.is_some())
    }

    /// A page of deliveries, newest first.
    pub(super) async fn deliveries(
        &self,
        query: DeliveryQuery,
    ) -> Result<Vec<DeliveryRow>, Problem> {
        let query = DeliveryQuery { reach: self.reach(), ..query };
        let mut deliveries = self.api.desk.store().deliveries(query).await?;
        deliveries.reverse();
        Ok(deliveries)
    }

    /// Whether an order is within reach. One of no source or provider is within none that is bound to
    /// some: no name is empty.
    fn reaches_order(
        &self,
        source: Option<&str>,
        provider: Option<&str>,
        customer: Option<[u8; 16]>,
    ) -> bool {
        let (source, provider) = (source.unwrap_or_default(), provider.unwrap_or_default());
        self.reaches(Belongs { source, provider, customer })
    }

    fn reaches_row(&self, row: &OrderRow) -> bool {
        self.reaches_order(row.source.as_deref(), row.provider.as_deref(), row.customer_key)
    }

    /// Whether an order that this event names, which is within reach, is said to be of nobody else than
    /// the event is.
    pub(super) fn is_nobody_elses(&self, order: &OrderRow, event: &EventRow) -> bool {
        self.reaches(Belongs {
            source: order.source.as_deref().unwrap_or(&event.source),
            provider: order.provider.as_deref().unwrap_or(&event.provider),
            customer: order.customer_key.or(self.caller.reach.customer),
        })
    }

    /// One order.
    pub(super) async fn order_within(&self, id: &str) -> Result<Within<Kept>, Problem> {
        let Ok(id) = OrderId::from_str(id) else { return Err(self.nothing()) };
        self.order_of(id).await
    }

    pub(super) async fn order_of(&self, id: OrderId) -> Result<Within<Kept>, Problem> {
        let found = self.api.orders.get(id).await?;
        let reaches = found.as_ref().is_some_and(|kept| self.reaches_row(&kept.row));
        self.judge(found, reaches)
    }

    /// The order with a reference, if there is one within reach.
    pub(super) async fn order_named(&self, name: &str) -> Result<Option<Within<Kept>>, Problem> {
        let found = self.api.orders.find(name).await?;
        Ok(found.filter(|kept| self.reaches_row(&kept.row)).map(Within))
    }

    /// A page of orders, newest first.
    pub(super) async fn orders(&self, query: OrderQuery) -> Result<Vec<Kept>, Problem> {
        let query = OrderQuery { reach: self.reach(), ..query };
        Ok(self.api.orders.list(query).await?)
    }

    /// Sees that an order that is to be created would be within reach.
    pub(super) fn may_create(&self, new: &NewOrder) -> Result<(), Problem> {
        let (source, provider) = (new.source.as_deref(), new.provider.as_deref());
        let may = self.reaches_order(source, provider, new.customer_key);
        if may { Ok(()) } else { Err(ApiRefusal::OutOfReach.into()) }
    }

    fn reach(&self) -> model::Reach {
        let ignored = sabotage::on(Defect::ReachIgnored);
        if ignored { model::Reach::default() } else { (*self.caller.reach).clone() }
    }

    /// The source that a list is narrowed to. One that there is no event of is no fault, as it may
    /// have been one once; one out of reach is.
    pub(super) fn source(&self, name: String) -> Result<String, Problem> {
        if !self.caller.reach.is_bound() {
            return Ok(name);
        }
        let source = self.api.sources.get(&name);
        let reaches = source.is_some_and(|source| {
            // Of a customer's events there may be some at any source.
            let customer = self.caller.reach.customer;
            self.reaches(Belongs { source: &name, provider: &source.provider, customer })
        });
        self.judge(Some(name), reaches).map(|within| within.0)
    }

    /// A source whose receipts are judged. There may be some of any customer at any source.
    pub(super) fn source_of_receipts(&self, name: &str) -> Result<Within<&ServedSource>, Problem> {
        let found = self.api.sources.get(name);
        let customer = self.caller.reach.customer;
        let reaches = found.is_some_and(|source| {
            self.reaches(Belongs { source: name, provider: &source.provider, customer })
        });
        self.judge(found, reaches)
    }

    /// Sees that a signed receipt of this user is within reach.
    pub(super) fn may_see_receipt(
        &self,
        source: &str,
        provider: &str,
        user: Option<&str>,
    ) -> Result<(), Problem> {
        let customer = user.map(|user| self.api.desk.customer(provider, user));
        let may = self.reaches(Belongs { source, provider, customer });
        if may { Ok(()) } else { Err(ApiRefusal::OutOfReach.into()) }
    }

    /// Writes the entry about a receipt that was judged; one that is good is taken with it, where it names
    /// its transaction.
    pub(super) async fn judged_receipt(
        &self,
        source: &str,
        reason: Option<&str>,
        new: Option<NewReceipt>,
    ) -> Result<ReceiptTaken, Problem> {
        let desk = &self.api.desk;
        let order = self.order(String::new());
        let entry = desk.deed(Action::ReceiptJudged, source, reason, order).await?;
        match new.filter(|_| reason.is_none()) {
            Some(new) => Ok(desk.store().take_receipt(new, entry).await?),
            None => Ok(desk.store().audit(entry).await.map(|()| ReceiptTaken::Done)?),
        }
    }

    /// One endpoint. It is within reach if every source that delivers to it is.
    pub(super) fn endpoint(&self, name: &str) -> Result<Within<ServedEndpoint>, Problem> {
        let found = self.api.endpoints.iter().find(|endpoint| endpoint.name == name);
        let reaches = found.is_some_and(|endpoint| self.reaches_endpoint(endpoint));
        self.judge(found.cloned(), reaches)
    }

    /// Every endpoint within reach.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &ServedEndpoint> {
        self.api.endpoints.iter().filter(|endpoint| self.reaches_endpoint(endpoint))
    }

    fn reaches_endpoint(&self, endpoint: &ServedEndpoint) -> bool {
        if !self.caller.reach.is_bound() {
            return true;
        }
        let sources = self.api.sources.iter();
        let mut sources = sources.filter(|(_, source)| source.endpoints.contains(&endpoint.name));
        let reaches = |(name, source): (&String, &ServedSource)| {
            self.reaches(Belongs { source: name, provider: &source.provider, customer: None })
        };
        let Some(first) = sources.next() else { return false };
        reaches(first) && sources.all(reaches)
    }

    /// Where a page begins: before the number in the cursor, if there is one.
    pub(super) fn before(&self, cursor: Option<&str>) -> Result<i64, Problem> {
        let Some(text) = cursor else { return Ok(i64::MAX) };
        let number = cursor::read(&self.api.keys, self.route, &self.caller.reach, text);
        number.ok_or_else(|| {
            // One that was made under another reach is not told from one that nobody made.
            let bound = self.caller.reach.is_bound();
            if bound { ApiRefusal::OutOfReach.into() } else { ApiRefusal::CursorInvalid.into() }
        })
    }

    /// The cursor of the page after the thing with this number.
    pub(super) fn cursor(&self, number: i64) -> String {
        cursor::made(&self.api.keys, self.route, &self.caller.reach, number)
    }
}
