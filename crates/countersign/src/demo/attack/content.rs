//! Signed well, and yet not to be trusted: what a careless reader would believe or choke on.

use sandbox::provider::Making;
use sandbox::{Event, Guide, Provider};

use super::{Attack, Attacker, Expected, refused, unsignable};
use crate::failure::Failure;

static TEST_FOR_LIVE: Attack =
    Attack { name: "test-for-live", sent: "a live event to this test gateway" };
static DUPLICATE_KEY: Attack =
    Attack { name: "duplicate-key", sent: "the same key twice in the JSON, also escaped" };
static X21: Attack = Attack { name: "X21", sent: "NaN, Infinity, 1e400, null, array, megabyte id" };
static X29: Attack = Attack { name: "X29", sent: "bytes that are not UTF-8, signed and not" };

impl Attacker<'_> {
    /// All of them.
    pub(super) async fn contents(&mut self) -> Result<(), Failure> {
        let order = self
            .stage
            .drawn(|draw, making| Provider::Stripe.order(draw, Making { is_live: true, ..making }));
        let live = order.events.into_iter().last().expect("something happens to every order");
        self.quarantine(&TEST_FOR_LIVE, &live, live.body(1)).await?;
        self.duplicate_keys().await?;
        self.odd_values().await?;
        self.not_utf8().await
    }

    async fn duplicate_keys(&mut self) -> Result<(), Failure> {
        for guide in Guide::ALL {
            let event = self.event(guide.provider);
            let body = text(&event);
            let first = body.split_inclusive(',').next().unwrap_or_default();
            let twice =
                body.replacen(first, &format!("{first}{}", first.trim_start_matches('{')), 1);
            self.quarantine(&DUPLICATE_KEY, &event, twice.into_bytes()).await?;
        }
        let event = self.event(Provider::Stripe);
        let escaped = text(&event).replacen('{', r#"{"\u0069d":"evt_another","#, 1);
        self.quarantine(&DUPLICATE_KEY, &event, escaped.into_bytes()).await
    }

    async fn odd_values(&mut self) -> Result<(), Failure> {
        for number in ["NaN", "Infinity", "1e400"] {
            let event = self.event(Provider::Stripe);
            let body = with_amount(&text(&event), number);
            self.quarantine(&X21, &event, body.into_bytes()).await?;
        }
        let bodies = [
            "null".to_owned(),
            "[]".to_owned(),
            r#"{"id":"evt_1","type":null,"data":{"orderId":"ord_1","status":"PAID"}}"#.into(),
            r#"{"id":"evt_1","type":["order.paid"],"data":{"orderId":"ord_1"}}"#.into(),
            r#"{"id":"evt_1","type":"order.paid","data":[]}"#.into(),
            format!(
                r#"{{"id":"{}","type":"order.paid","data":{{"orderId":"ord_1","status":"PAID"}}}}"#,
                "9".repeat(1_000_000)
            ),
        ];
        for body in bodies {
            let event = self.event(Provider::Koywe);
            self.quarantine(&X21, &event, body.into_bytes()).await?;
        }
        Ok(())
    }

    async fn not_utf8(&mut self) -> Result<(), Failure> {
        let simulator = self.stage.simulator(Provider::Stripe);
        let event = self.event(Provider::Stripe);
        let mut body = event.body(1);
        if let Some(byte) = body.iter_mut().rev().nth(2) {
            *byte = 0xff;
        }
        let now_ms = sandbox::clock::now_ms();
        let signed = simulator.sign(&event, 1, now_ms).map_err(unsignable)?;
        let unsigned = sandbox::Request { body: body.clone(), ..signed };
        self.fire(&X29, &simulator, unsigned, refused(&simulator)).await?;
        self.quarantine(&X29, &event, body).await
    }

    /// Signs this body as the event's provider would, and expects it to be kept apart.
    async fn quarantine(
        &mut self,
        attack: &'static Attack,
        event: &Event,
        body: Vec<u8>,
    ) -> Result<(), Failure> {
        let simulator = self.stage.simulator(event.provider);
        let now_ms = sandbox::clock::now_ms();
        let request = simulator.sign_own(body, &event.message_id, now_ms).map_err(unsignable)?;
        self.fire(attack, &simulator, request, Expected::Quarantined).await?;
        Ok(())
    }
}

fn text(event: &Event) -> String {
    String::from_utf8_lossy(&event.body(1)).into_owned()
}

/// The body with every amount replaced by something that is no amount.
fn with_amount(body: &str, number: &str) -> String {
    ["\"amount\":", "\"amount_received\":", "\"amount_total\":"].iter().fold(
        body.to_owned(),
        |body, member| match body.split_once(member) {
            Some((before, after)) => {
                let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
                format!("{before}{member}{number}{after}")
            }
            None => body,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_replaced_and_nothing_else() {
        let body = r#"{"amount":100,"amount_received":100,"id":"pi_100"}"#;
        let odd = r#"{"amount":NaN,"amount_received":NaN,"id":"pi_100"}"#;
        assert_eq!(with_amount(body, "NaN"), odd);
    }
}
