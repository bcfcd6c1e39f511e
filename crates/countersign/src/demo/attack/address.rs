//! Headers that claim an address: for a list of allowed ones, and to escape a limit.

use std::net::{IpAddr, Ipv4Addr};

use sandbox::{Provider, Purpose};
use schemes::Secret;

use super::{Attack, Attacker, Expected, Shot, unsignable};
use crate::failure::Failure;

static X7: Attack = Attack { name: "X7", sent: "an allowed address, claimed in X-Forwarded-For" };
static X18: Attack = Attack { name: "X18", sent: "16 forgeries, X-Forwarded-For new each time" };

/// Outside of every network that a source allows.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 66, 0, 7));
/// More than the share of failed signatures of an address in a minute, at the edge of two too.
const FORGERIES: u8 = 16;

impl Attacker<'_> {
    /// Both of them, against the guide's own provider.
    pub(super) async fn addresses(&mut self) -> Result<(), Failure> {
        let simulator = self.stage.simulator(Provider::One2Pays);
        let event = self.event(Provider::One2Pays);
        let signed = simulator.sign(&event, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
        let claimed = signed.with("X-Forwarded-For", simulator.from.to_string());
        self.fire_from(&X7, &simulator, claimed, Expected::Refused(401), STRANGER).await?;
        self.flood().await
    }

    /// From one address, with another claimed each time, and none the last time. A good event from
    /// the same address gets through all the same: a forger cannot starve a provider.
    async fn flood(&mut self) -> Result<(), Failure> {
        let simulator = self.stage.simulator(Provider::One2Pays);
        let from = self.address(Provider::One2Pays);
        let forger = Secret::new(Provider::One2Pays.secret([0x5a; 20]));
        let mut answers = Vec::new();
        let mut body = Vec::new();
        for claimed in 1..=FORGERIES {
            let event = self.event(Provider::One2Pays);
            let now_ms = sandbox::clock::now_ms();
            let mut request = simulator
                .sign_body(event.body(1), &event.message_id, now_ms, &forger)
                .map_err(unsignable)?;
            if claimed < FORGERIES {
                request = request.with("X-Forwarded-For", format!("198.51.100.{claimed}"));
            }
            body.clone_from(&request.body);
            let purpose = Purpose::Attack(X18.name.to_owned());
            answers.push(simulator.post(purpose, 1, from, &request).await);
        }
        let good = self.event(Provider::One2Pays);
        let request = simulator.sign(&good, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
        let passed = simulator.post(Purpose::Event(good.name), 1, from, &request).await;
        let outcomes = self.observer.since().await?;
        let limited = |answer: &sandbox::Answer| {
            answer.status == 429 && answer.header("retry-after").is_some()
        };
        let is_limited_at_last = matches!(answers.last(), Some(Ok(answer)) if limited(answer));
        let are_refused =
            answers.iter().flatten().all(|answer| answer.status == 401 || limited(answer));
        let is_good_let_in = passed.is_ok_and(|answer| answer.status == 200);
        let waiting = answers.iter().flatten().filter(|answer| limited(answer)).count();
        let refused = outcomes.into_iter().find(|(outcome, _)| super::is_refusal(outcome));
        let refused = refused.map_or_else(|| "nothing".to_owned(), |(outcome, _)| outcome);
        self.shots.push(Shot {
            attack: &X18,
            provider: simulator.source.clone(),
            expected: Expected::Limited,
            status: answers.last().and_then(|last| last.as_ref().ok()).map(|last| last.status),
            reasons: vec![
                (refused, answers.len() - waiting),
                // The gateway knows these by their signatures too; their senders are told this.
                ("rate_limited".to_owned(), waiting),
            ],
            body: Some((simulator.source.clone(), body)),
            is_as_expected: is_limited_at_last && are_refused && is_good_let_in,
            is_good: false,
        });
        Ok(())
    }
}
