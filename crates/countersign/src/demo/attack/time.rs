//! Stale, future, and the guide that checks a time which nobody signed.

use sandbox::Provider;

use super::{Attack, Attacker, refused, unsignable};
use crate::failure::Failure;

static STALE: Attack = Attack { name: "stale", sent: "signed well, more than 5 minutes ago" };
static FUTURE: Attack = Attack { name: "future", sent: "signed well, for 5 minutes from now" };
static X5: Attack = Attack { name: "X5", sent: "an old body under a fresh timestamp" };

/// Just beyond the window of 300 seconds, whichever way the clocks tick meanwhile.
const BEYOND_MS: i64 = 310_000;

impl Attacker<'_> {
    /// Against every provider that signs a time.
    pub(super) async fn time(&mut self) -> Result<(), Failure> {
        let now_ms = sandbox::clock::now_ms();
        for (attack, at_ms) in [(&STALE, now_ms - BEYOND_MS), (&FUTURE, now_ms + BEYOND_MS)] {
            for provider in Provider::ALL.iter().filter(|provider| provider.signs_time()) {
                let simulator = self.stage.simulator(*provider);
                let event = self.event(*provider);
                let request = simulator.sign(&event, 1, at_ms).map_err(unsignable)?;
                self.fire(attack, &simulator, request, refused(&simulator)).await?;
            }
        }
        let simulator = self.stage.simulator(Provider::One2Pays);
        let event = self.event(Provider::One2Pays);
        let old = simulator.sign(&event, 1, now_ms - BEYOND_MS).map_err(unsignable)?;
        let fresh = sandbox::clock::now_ms().to_string();
        let request = old.replacing("X-Webhook-Timestamp", fresh);
        self.fire(&X5, &simulator, request, refused(&simulator)).await?;
        Ok(())
    }
}
