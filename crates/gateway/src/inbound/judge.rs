//! Steps two to four: *verify* (is it really the provider?), *read* (what does it say?), *decide*
//! (may it pass?). No I/O: a request and a time go in, a judgement comes out.

use std::ops::Range;

use model::{Covers, Environment, EventStatus, Quarantine, Step, Steps, Timestamp};
use policy::{Decided, Evidence, Permit, Rules};
use redact::Redacted;
use sabotage::Defect;
use schemes::{Fields, Freshness, Keys, Verified};
use store::Awaits;

use super::admit::{Arrival, Received};
use super::certificates::Fetched;
use super::{Inbound, Refused, receipt};
use crate::{Facts, Refusal};

/// An authentic arrival, judged.
pub(super) struct Judged {
    pub(super) covers: Covers,
    /// The scheme's form is known to be weak.
    pub(super) weak: bool,
    /// The body as it may be kept, where that is not as it came.
    pub(super) redacted: Option<Redacted>,
    pub(super) events: Vec<JudgedEvent>,
}

/// One event of it.
pub(super) struct JudgedEvent {
    pub(super) status: EventStatus,
    pub(super) reason: Option<&'static str>,
    pub(super) steps: Steps,
    /// Only what the policy permits has deliveries.
    pub(super) permit: Option<Permit>,
    pub(super) kind: Option<String>,
    /// None where no key could be read: then the bytes are the identity.
    pub(super) dedup_key: Option<Vec<u8>>,
    pub(super) projection: Vec<u8>,
    pub(super) range: Range<usize>,
    pub(super) facts: Facts,
    /// What it waits for, if it may be decided on anew.
    pub(super) awaits: Option<Awaits>,
}

impl Inbound {
    /// Verifies a received request and judges what it says.
    pub(super) fn judge(
        &self,
        arrival: &Arrival,
        received: &Received,
        certificate: Option<&Fetched>,
    ) -> Result<Judged, Refused> {
        let settings = &received.source.settings;
        let lines = received.header_lines();
        let request = received.request(&lines);
        let freshness = settings.tolerance_s.map_or(Freshness::Profile, Freshness::Seconds);
        let now_ms = arrival.at.as_millis();
        let verifying = received.source.keys.load();
        let certified = certificate.map(|fetched| self.certified(fetched));
        let verify = |keys: &Keys| {
            let profile = &settings.profile;
            schemes::verify_certified(profile, keys, &request, now_ms, freshness, certified)
        };
        let verified = verify(&verifying.keys).map_err(Refusal::Unverified);
        let source = || Some(received.source.clone());
        let verified = match (received.refused_anyway, verified) {
            (None, Ok(verified)) => verified,
            (None, Err(refusal)) => return Err(self.unverified(arrival, refusal, source())),
            (Some(Refusal::UnknownSource), _) => {
                return Err(self.unverified(arrival, Refusal::UnknownSource, None));
            }
            (Some(refusal), _) => return Err(self.unverified(arrival, refusal, source())),
        };
        received.source.keys.prove(&verifying, |alone| verify(alone).is_ok());
        let covers = covers(&verified);
        let redacted = self.redact(arrival, received);
        let original_only = redacted.is_some() && received.source.takes_only_originals();
        let events = self.read_and_decide(arrival, received, &verified, original_only);
        Ok(Judged { covers, weak: verified.weak(), redacted, events })
    }

    /// Reads the receipt and the events of a verified webhook, and decides about each event.
    fn read_and_decide(
        &self,
        arrival: &Arrival,
        received: &Received,
        verified: &Verified<'_>,
        original_only: bool,
    ) -> Vec<JudgedEvent> {
        let settings = &received.source.settings;
        let facts = facts(arrival, received, verified);
        let receipt = receipt::read(settings, verified, arrival.at);
        let read = schemes::read(&settings.profile, verified, settings.amount_unit.as_deref());
        let (receipt, events) = match (receipt, read) {
            (Ok(receipt), Ok(events)) => (receipt, events),
            (Err(quarantine), _) => {
                return vec![unread(quarantine.code(), received.body.len(), facts)];
            }
            (Ok(_), Err(unreadable)) => {
                return vec![unread(unreadable.code(), received.body.len(), facts)];
            }
        };
        let rules = Rules { accept_unconfirmed: settings.accept_unconfirmed };
        let covers = covers(verified);
        let evidence = Evidence { covers, weak: verified.weak(), original_only };
        let decided = policy::decide(rules, evidence);
        let facts = std::iter::repeat_n(facts, events.len());
        let judged = |(fields, facts): (Fields, Facts)| {
            if receipt.as_ref().is_some_and(|receipt| !receipt.contradicts(&fields).is_empty()) {
                return contradicted(fields, facts);
            }
            decide(fields, decided, self.environment, facts)
        };
        events.into_iter().zip(facts).map(judged).collect()
    }
}

/// What is authentic and was not read: known by its bytes, so that it never stands in the way of
/// the same event that can be.
fn unread(reason: &'static str, bytes: usize, facts: Facts) -> JudgedEvent {
    JudgedEvent {
        status: EventStatus::Quarantined,
        reason: Some(reason),
        steps: Steps::failed_at(Step::Read),
        permit: None,
        kind: None,
        dedup_key: None,
        projection: Vec::new(),
        range: 0..bytes,
        facts,
        awaits: None,
    }
}

/// What says something else than its own receipt. Neither of the two is believed.
fn contradicted(fields: Fields, facts: Facts) -> JudgedEvent {
    let unread = unread(Quarantine::ReceiptContradicts.code(), 0, facts);
    JudgedEvent { kind: Some(fields.kind), range: fields.range, ..unread }
}

fn decide(fields: Fields, decided: Decided, environment: Environment, facts: Facts) -> JudgedEvent {
    let elsewhere = fields.live.is_some_and(|live| live != (environment == Environment::Live))
        && !sabotage::on(Defect::TestPassesLive);
    let (status, reason, steps, permit) = match decided {
        _ if elsewhere => (
            EventStatus::Quarantined,
            Some(Quarantine::WrongEnvironment.code()),
            Steps::failed_at(Step::Read),
            None,
        ),
        decided => fate(decided),
    };
    JudgedEvent {
        status,
        reason,
        steps,
        permit,
        kind: Some(fields.kind),
        dedup_key: Some(fields.dedup_key),
        projection: fields.projection,
        range: fields.range,
        facts: Facts {
            provider_event_id: fields.id,
            order: fields.order,
            amount: fields.amount,
            amount_unit: fields.amount_unit,
            currency: fields.currency,
            customer: fields.customer,
            payee: fields.payee,
            payment: fields.payment,
            part: fields.part,
            refunded: fields.refunded,
            chain: fields.chain,
            receiver: fields.address,
            sender: fields.sender,
            card: fields.card,
            status: fields.status,
            live: fields.live,
            ..facts
        },
        awaits: None,
    }
}

/// What a decision makes of an event: its status, why, the verdicts, and leave to deliver it.
pub(crate) fn fate(decided: Decided) -> (EventStatus, Option<&'static str>, Steps, Option<Permit>) {
    let stopped = Steps::failed_at(Step::Decide);
    match decided {
        Decided::Permit(permit) => (EventStatus::Accepted, None, Steps::PASSED, Some(permit)),
        Decided::Hold(reason) => (EventStatus::Held, Some(reason.code()), stopped, None),
        Decided::Deny(reason) => (EventStatus::Denied, Some(reason.code()), stopped, None),
    }
}

/// What is known of the arrival before its body is read, with what must not be kept masked.
fn facts(arrival: &Arrival, received: &Received, verified: &Verified<'_>) -> Facts {
    let mut content_type = received.content_type().map(str::to_owned);
    content_type.iter_mut().for_each(redact::value);
    Facts {
        address: arrival.address.to_string(),
        alternative: verified.alternative().to_owned(),
        key: verified.key(),
        signed_at: verified.signed_at_ms().map(|millis| Timestamp::from_millis(millis).to_string()),
        evidence: Facts::evidence_of(&verified.evidence()),
        content_type,
        ..Facts::default()
    }
}

fn covers(verified: &Verified<'_>) -> Covers {
    match verified.covers() {
        schemes::Covers::Full => Covers::Full,
        // Only receipts are signed so.
        schemes::Covers::Fields | schemes::Covers::TopLevelOnly => Covers::Fields,
        schemes::Covers::Identifiers => Covers::Identifiers,
        schemes::Covers::Checksum => Covers::Checksum,
        schemes::Covers::None => Covers::None,
    }
}
