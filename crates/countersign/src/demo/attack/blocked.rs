//! Genuine, and from somebody who is blocked: an operator blocks a customer, who pays all the same.

use std::time::Duration;

use model::block::{Party, PartyKind};
use sandbox::Provider;

use super::payment::{desk, named, order};
use super::{Attack, Attacker, Expected, unsignable};
use crate::demo::cannot;
use crate::failure::Failure;

static BLOCKED: Attack =
    Attack { name: "blocked", sent: "a genuine payment of a customer who is blocked" };

/// How soon a block counts.
const COUNTS_WITHIN: Duration = Duration::from_secs(1);

impl Attacker<'_> {
    /// A payment of a blocked customer, by the provider whose events name one.
    pub(super) async fn blocked(&mut self) -> Result<(), Failure> {
        let provider = Provider::Stripe;
        let event = self.paying(provider);
        let desk = desk(self.stage).await?;
        let customer = named(&event, "customer");
        let party = Party::named(PartyKind::Customer, provider.name(), &customer);
        let blocked = desk.block(&party, None, order("chargebacks")).await;
        desk.store().close().await;
        match blocked {
            Ok(Ok(_)) => {}
            Ok(Err(unblockable)) => return Err(cannot("block a customer", unblockable.member())),
            Err(error) => return Err(cannot("block a customer", error)),
        }
        tokio::time::sleep(COUNTS_WITHIN).await;
        let simulator = self.stage.simulator(provider);
        let request = simulator.sign(&event, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
        self.fire(&BLOCKED, &simulator, request, Expected::Held("party_blocked")).await?;
        Ok(())
    }
}
