//! What tries to get in: each attack is a few shots, and each shot has an expected answer.
//!
//! The name `X…` is that of a flaw in a guide's own sample; whoever pasted it would let this shot
//! pass. Each shot comes from an address of its own, so that the limit on failed signatures does
//! not answer in place of the verification.

mod address;
mod blocked;
mod content;
mod leak;
mod once;
mod payment;
mod signature;
mod start;
mod time;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use model::EventStatus;
use sandbox::{Answer, Event, Provider, Purpose, Request, Simulator};

use super::cannot;
use super::capture::Captured;
use super::observe::Observer;
use super::orders::Book;
use super::show::Show;
use super::stage::{self, Stage};
use super::stream::Stream;
use crate::failure::Failure;

/// An attack, as the table names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// What is sent, in a few words.
    pub(super) sent: &'static str,
}

/// What should become of a shot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Refused with this status, like every other failed verification.
    Refused(u16),
    /// Acknowledged, since it is authentic, but kept apart and never delivered.
    Quarantined,
    /// Acknowledged, since it is authentic, but it waits, for this reason.
    Held(&'static str),
    /// Acknowledged, since it is known already, and not delivered again.
    Duplicate,
    /// Told to wait, after its share of refusals.
    Limited,
    /// The gateway does not start.
    NoStart,
    /// Nothing is found.
    Clean,
}

impl Expected {
    /// As the table says it.
    pub(super) fn text(self) -> String {
        match self {
            Self::Refused(status) => status.to_string(),
            Self::Quarantined => "quarantine".into(),
            Self::Held(_) => "held".into(),
            Self::Duplicate => "duplicate".into(),
            Self::Limited => "401, 429".into(),
            Self::NoStart => "no start".into(),
            Self::Clean => "clean".into(),
        }
    }
}

/// One shot and what came of it.
#[derive(Debug)]
pub(super) struct Shot {
    pub(super) attack: &'static Attack,
    /// The source it was aimed at.
    pub(super) provider: String,
    pub(super) expected: Expected,
    /// The status of the answer, if there was a request and an answer.
    pub(super) status: Option<u16>,
    /// What the gateway counted it as, and how often.
    pub(super) reasons: Vec<(String, usize)>,
    /// The source and the body, of which nothing may reach the application.
    pub(super) body: Option<(String, Vec<u8>)>,
    /// The answer was the expected one.
    pub(super) is_as_expected: bool,
    /// And nothing of it reached the application: known when the books are closed.
    pub(super) is_good: bool,
}

impl Shot {
    /// Whether the gateway was to refuse a request, so that it has a reason for it.
    pub(super) fn is_refusal(&self) -> bool {
        let is_request = self.status.is_some();
        let is_refusal = matches!(
            self.expected,
            Expected::Refused(_) | Expected::Quarantined | Expected::Held(_) | Expected::Limited
        );
        is_request && is_refusal
    }
}

/// Fires all attacks, and gives them and the orders that were registered meanwhile. With `is_leaked`
/// one forger has the real secret: a planted defect.
pub(super) async fn run(
    stage: &mut Stage,
    show: &Show,
    stream: &Stream,
    is_leaked: bool,
) -> Result<(Vec<Shot>, Book), Failure> {
    show.attacks();
    let observer = Observer::new(stage).await?;
    let mut attacker = Attacker { stage, show, observer, hosts: HashMap::new(), shots: Vec::new() };
    attacker.forge(is_leaked).await?;
    attacker.time().await?;
    attacker.repeat(stream).await?;
    attacker.signatures().await?;
    attacker.contents().await?;
    // A block counts within a second: meanwhile other payments are tried.
    let blocked = attacker.block().await?;
    let book = attacker.payments().await?;
    attacker.pay_blocked(blocked).await?;
    attacker.addresses().await?;
    attacker.starts()?;
    attacker.leaks().await?;
    let Attacker { shots, observer, .. } = attacker;
    observer.close().await;
    show.attacked(shots.len(), book.orders.len());
    Ok((shots, book))
}

/// What can only be judged when all is over: leaks of secrets, and the statuses of all answers.
pub(super) async fn aftermath(stage: &Stage, shots: &[Shot], captured: &Captured) -> Vec<Shot> {
    vec![leak::search(stage, captured).await, leak::statuses(stage, shots)]
}

/// Whoever attacks.
struct Attacker<'s> {
    stage: &'s mut Stage,
    show: &'s Show,
    observer: Observer,
    hosts: HashMap<Provider, u8>,
    shots: Vec<Shot>,
}

impl Attacker<'_> {
    /// An address inside of the provider's network that nobody has used yet.
    fn address(&mut self, provider: Provider) -> IpAddr {
        let host = self.hosts.entry(provider).or_insert(100);
        *host = host.saturating_add(1);
        stage::address(provider, *host)
    }

    /// The last event of a new order: nobody has seen it yet.
    fn event(&mut self, provider: Provider) -> Event {
        let order = self.stage.drawn(|draw, making| provider.order(draw, making));
        order.events.into_iter().last().expect("something happens to every order")
    }

    /// Fires at the simulator's own source, from an address of its own.
    async fn fire(
        &mut self,
        attack: &'static Attack,
        simulator: &Arc<Simulator>,
        request: Request,
        expected: Expected,
    ) -> Result<Answer, Failure> {
        let from = self.address(simulator.provider);
        self.fire_from(attack, simulator, request, expected, from).await
    }

    /// Fires from this address and notes what came of it.
    async fn fire_from(
        &mut self,
        attack: &'static Attack,
        simulator: &Arc<Simulator>,
        request: Request,
        expected: Expected,
        from: IpAddr,
    ) -> Result<Answer, Failure> {
        self.show.attack(attack.name, attack.sent);
        let purpose = Purpose::Attack(attack.name.to_owned());
        let sent = simulator.post(purpose, 1, from, &request).await;
        let answer = sent.map_err(|error| cannot("get an answer to an attack", error))?;
        let outcomes = self.observer.since().await?;
        let outcome = outcomes.first().map(|(outcome, _)| outcome.clone());
        let outcome = outcome.unwrap_or_else(|| "nothing".into());
        let source = source_of(&request);
        let reason = self.why(&outcome, &source).await;
        let is_as_expected = match expected {
            Expected::Refused(status) => answer.status == status && is_refusal(&outcome),
            Expected::Quarantined => outcome == "quarantined",
            Expected::Held(wanted) => outcome == "held" && reason == wanted,
            Expected::Duplicate => outcome == "duplicate",
            Expected::Limited => answer.status == 429,
            Expected::NoStart | Expected::Clean => false,
        };
        self.shots.push(Shot {
            attack,
            provider: source.clone(),
            expected,
            status: Some(answer.status),
            reasons: vec![(reason, 1)],
            body: Some((source, request.body)),
            is_as_expected,
            is_good: false,
        });
        Ok(answer)
    }

    /// The reason for which the newest event of this source was kept apart or waits, if that is what
    /// became of it; else what became of it is the reason.
    async fn why(&self, outcome: &str, source: &str) -> String {
        let status = match outcome {
            "quarantined" => EventStatus::Quarantined,
            "held" => EventStatus::Held,
            _ => return outcome.to_owned(),
        };
        let reason = self.observer.newest(source, status).await;
        reason.unwrap_or_else(|| outcome.to_owned())
    }
}

/// The status that this provider's profile wants for a failed verification.
fn refused(simulator: &Simulator) -> Expected {
    Expected::Refused(simulator.profile().refusal_status())
}

/// The source a request goes to.
fn source_of(request: &Request) -> String {
    let path = request.path.split('?').next().unwrap_or_default();
    path.trim_start_matches("/in/").to_owned()
}

/// Whether the gateway's counter names a refusal, not something that it kept.
fn is_refusal(outcome: &str) -> bool {
    !matches!(outcome, "accepted" | "held" | "denied" | "quarantined" | "duplicate" | "conflict")
        && outcome != "repeated"
        && outcome != "nothing"
}

/// Signs what an attacker could have got hold of.
fn unsignable(error: schemes::SignError) -> Failure {
    cannot("sign a webhook", error)
}
