//! Genuine, and from somebody who is blocked: an operator blocks a customer, who pays all the same.

use std::time::Duration;

use model::block::{Party, PartyKind};
use sandbox::{Event, Provider};
use tokio::time::Instant;

use super::{Attack, Attacker, Expected, unsignable};
use crate::demo::cannot;
use crate::demo::operator::{desk, order};
use crate::failure::Failure;

static BLOCKED: Attack =
    Attack { name: "blocked", sent: "a genuine payment of a customer who is blocked" };

const PROVIDER: Provider = Provider::Stripe;

/// How soon a block counts.
const COUNTS_WITHIN: Duration = Duration::from_secs(1);

/// A payment of a customer who is blocked.
pub(super) struct Blocked {
    event: Event,
    /// When the block counts.
    from: Instant,
}

impl Attacker<'_> {
    /// Blocks whoever makes the next payment, by the provider whose events name them.
    pub(super) async fn block(&mut self) -> Result<Blocked, Failure> {
        let event = self.event(PROVIDER);
        let desk = desk(self.stage).await?;
        let customer = named(&event, "customer");
        let party = Party::named(PartyKind::Customer, PROVIDER.name(), &customer);
        let blocked = desk.block(&party, None, order("chargebacks")).await;
        desk.store().close().await;
        match blocked {
            Ok(Ok(_)) => Ok(Blocked { event, from: Instant::now() + COUNTS_WITHIN }),
            Ok(Err(unblockable)) => Err(cannot("block a customer", unblockable.member())),
            Err(error) => Err(cannot("block a customer", error)),
        }
    }

    /// Sends their payment.
    pub(super) async fn pay_blocked(&mut self, blocked: Blocked) -> Result<(), Failure> {
        let Blocked { event, from } = blocked;
        tokio::time::sleep_until(from).await;
        let simulator = self.stage.simulator(PROVIDER);
        let request = simulator.sign(&event, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
        self.fire(&BLOCKED, &simulator, request, Expected::Held("party_blocked")).await?;
        Ok(())
    }
}

/// What the first member of this name says in an event's body.
fn named(event: &Event, member: &str) -> String {
    let body = String::from_utf8_lossy(&event.body(1)).into_owned();
    let after = body.split(&format!("\"{member}\":\"")).nth(1).map(str::to_owned);
    after.and_then(|rest| rest.split('"').next().map(str::to_owned)).unwrap_or_default()
}
