//! Genuine, and not what was ordered: a payment of less, in another currency, through another provider.
//! The application registers its orders over the API, with a key, as any application does.

use std::collections::BTreeSet;
use std::time::Duration;

use gateway::api_keys::Wanted;
use gateway::operations::{Desk, Order};
use model::api_key::Grant;
use model::{Environment, Permission};
use sandbox::{Event, Provider, Request, Route, wire};
use serde_json::{Value, json};
use store::Store;

use super::{Attack, Attacker, Expected, unsignable};
use crate::demo::{cannot, stage::Stage};
use crate::failure::Failure;

static LESS: Attack = Attack { name: "underpaid", sent: "a genuine payment of a part of an order" };
static CURRENCY: Attack =
    Attack { name: "other-currency", sent: "a genuine payment in another currency" };
static PROVIDER: Attack =
    Attack { name: "other-provider", sent: "a genuine payment through another provider" };

/// Those of the guides.
const PROVIDERS: [Provider; 5] = [
    Provider::One2Pays,
    Provider::X402Tele,
    Provider::Stripe,
    Provider::CryptoPay,
    Provider::Koywe,
];

const ANSWER_MS_MAX: u64 = 5_000;

/// How soon the gateway goes by a new key, and how often it is tried.
const KEY_KNOWN: Duration = Duration::from_millis(400);
const TRIES: usize = 5;

impl Attacker<'_> {
    /// Orders and what is paid instead.
    pub(super) async fn payments(&mut self) -> Result<(), Failure> {
        let till = Till::open(self.stage).await?;
        for provider in PROVIDERS {
            // Koywe's events say neither amount nor currency.
            if provider != Provider::Koywe {
                // Of three decimals, and nobody here is paid in it.
                let wanted = Ordered { amount: "10", currency: Some("KWD"), through: None };
                self.pay(&till, &CURRENCY, provider, wanted, "currency_mismatch").await?;
            }
            let other =
                PROVIDERS.iter().find(|other| **other != provider).map(|other| other.name());
            let wanted = Ordered { amount: "10", currency: Some("USD"), through: other };
            self.pay(&till, &PROVIDER, provider, wanted, "provider_mismatch").await?;
        }
        for provider in [Provider::One2Pays, Provider::Stripe] {
            let wanted = Ordered { amount: "10000000", currency: None, through: None };
            self.pay(&till, &LESS, provider, wanted, "amount_under").await?;
        }
        Ok(())
    }

    /// The last event of a new order that is paid.
    pub(super) fn paying(&mut self, provider: Provider) -> Event {
        loop {
            let event = self.event(provider);
            if !["failed", "expired", "cancelled"].iter().any(|word| event.kind.contains(word)) {
                return event;
            }
        }
    }

    /// Registers an order and sends the provider's own event that pays it.
    async fn pay(
        &mut self,
        till: &Till,
        attack: &'static Attack,
        provider: Provider,
        wanted: Ordered,
        reason: &'static str,
    ) -> Result<(), Failure> {
        let event = self.paying(provider);
        let currency = wanted.currency.map_or_else(|| currency(&event), str::to_owned);
        let wanted = json!({
            "reference": event.order, "amount": wanted.amount, "currency": currency,
            "provider": wanted.through,
        });
        till.order(&event.order, &wanted).await?;
        let simulator = self.stage.simulator(provider);
        let request = simulator.sign(&event, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
        self.fire(attack, &simulator, request, Expected::Held(reason)).await?;
        Ok(())
    }
}

/// What is ordered instead of what will be paid.
struct Ordered {
    amount: &'static str,
    /// The event's own if none.
    currency: Option<&'static str>,
    through: Option<&'static str>,
}

/// The currency that an event names.
fn currency(event: &Event) -> String {
    named(event, "currency").to_ascii_uppercase()
}

/// What the first member of this name says in an event's body.
pub(super) fn named(event: &Event, member: &str) -> String {
    let body = String::from_utf8_lossy(&event.body(1)).into_owned();
    let after = body.split(&format!("\"{member}\":\"")).nth(1).map(str::to_owned);
    after.and_then(|rest| rest.split('"').next().map(str::to_owned)).unwrap_or_default()
}

/// The gateway's desk, as whoever operates it has one.
pub(super) async fn desk(stage: &Stage) -> Result<Desk, Failure> {
    let failed = |error: &dyn std::fmt::Display| cannot("open the store", error);
    let store = Store::open_beside(&stage.store()).map_err(|error| failed(&error))?;
    let root = vault::RootKey::parse(stage.secret("root key")).map_err(|error| failed(&error))?;
    let desk = Desk::open(store, root, gateway::Clock::System.now()).await;
    desk.map_err(|error| failed(&error))
}

/// What the demo does as an operator, and why.
pub(super) fn order(reason: &str) -> Order {
    Order {
        actor: "demo".to_owned(),
        reason: reason.to_owned(),
        at: gateway::Clock::System.now(),
        request: None,
        address: None,
        agent: None,
    }
}

/// Where the application registers its orders.
struct Till {
    api: std::net::SocketAddr,
    key: String,
}

impl Till {
    async fn open(stage: &Stage) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| cannot("make an API key", error);
        let desk = desk(stage).await?;
        let permissions = BTreeSet::from([Permission::OrdersCreate]);
        let grant = Grant { permissions, ..Grant::default() };
        let wanted = Wanted { name: "demo".to_owned(), grant, days: 1 };
        let order = order("registers orders");
        let made = desk.create_api_key(Environment::Test, wanted, order).await;
        let made = made.map_err(|error| failed(&error))?.map_err(|unfit| failed(&unfit))?;
        let key = made.key.to_text().to_string();
        desk.store().close().await;
        Ok(Self { api: stage.api, key })
    }

    /// Registers an order.
    async fn order(&self, once: &str, wanted: &Value) -> Result<(), Failure> {
        let request = Request::post_json("/v1/orders", wanted.to_string().into_bytes())
            .with("authorization", format!("Bearer {}", self.key))
            .with("idempotency-key", once);
        let mut said = String::new();
        for _ in 0..TRIES {
            let sent =
                wire::send(self.api, Route::BALANCER, Route::Direct, &request, ANSWER_MS_MAX).await;
            let answer = sent.map_err(|error| cannot("register an order", error))?;
            if answer.status == 200 {
                return Ok(());
            }
            said = format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
            if answer.status != 401 {
                break;
            }
            tokio::time::sleep(KEY_KNOWN).await;
        }
        Err(cannot("register an order", said))
    }
}
