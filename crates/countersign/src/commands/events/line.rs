//! One line of `events list`: an event, or arrivals that were repeated or refused.
//!
//! The members and their order are a contract with whoever reads `--json`.

use gateway::operations::Desk;
use model::{Covers, Step, Steps, Timestamp};
use serde::Serialize;
use store::{EventRow, TallyRow};

use super::super::beside::Office;
use crate::args::Status;
use crate::failure::Failure;
use crate::table::or_dash;

/// What a person is told of a redacted event.
const REDACTED: &str = "yes: it held what must not be kept, which is masked (docs/redaction.md)";

/// What is printed of an event or a refusal.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    id: Option<String>,
    arrival: String,
    source: Option<String>,
    provider: Option<String>,
    provider_event_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    status: &'static str,
    reason: Option<String>,
    covers: Option<&'static str>,
    received_at: String,
    steps: Vec<Stamp>,
    count: u32,
    /// What is kept is truncated.
    redacted: bool,
    #[serde(skip)]
    at: Timestamp,
}

/// The verdict of one step.
#[derive(Debug, Serialize)]
struct Stamp {
    step: &'static str,
    verdict: &'static str,
    reason: Option<String>,
}

impl Line {
    /// An event that is recorded. One that does not open has no id of its provider's.
    pub(super) async fn of_event(desk: &Desk, event: &EventRow) -> Self {
        let facts = desk.facts(event).await.ok();
        Self {
            id: Some(event.id.to_string()),
            arrival: event.arrival.to_string(),
            source: Some(event.source.clone()),
            provider: Some(event.provider.clone()),
            provider_event_id: facts.and_then(|facts| facts.provider_event_id),
            kind: event.kind.clone(),
            status: event.status.code(),
            reason: event.reason.clone(),
            covers: Some(event.covers.code()),
            received_at: event.received_at.to_string(),
            steps: stamps_of(event),
            count: event.count,
            redacted: event.original.is_some(),
            at: event.received_at,
        }
    }

    /// Arrivals that were counted: of an event that was there already, or refused.
    pub(super) async fn of_tally(office: &Office, tally: &TallyRow) -> Result<Self, Failure> {
        let first = match tally.event {
            Some(id) => office.store().event(id).await?,
            None => None,
        };
        let facts = match &first {
            Some(event) => office.desk.facts(event).await.ok(),
            None => None,
        };
        let provider = tally
            .source
            .as_ref()
            .and_then(|source| office.sources.get(source))
            .and_then(|source| source.provider.clone());
        Ok(Self {
            id: tally.event.map(|id| id.to_string()),
            arrival: tally.arrival.to_string(),
            source: tally.source.clone(),
            provider: first.as_ref().map(|event| event.provider.clone()).or(provider),
            provider_event_id: facts.and_then(|facts| facts.provider_event_id),
            kind: first.as_ref().and_then(|event| event.kind.clone()),
            status: if tally.event.is_some() { "duplicate" } else { "refused" },
            reason: Some(tally.reason.clone()),
            covers: first.as_ref().map(|event| Covers::code(event.covers)),
            received_at: tally.first_at.to_string(),
            steps: stamps(Steps::failed_at(tally.step), Some(&tally.reason)),
            count: tally.count,
            redacted: first.as_ref().is_some_and(|event| event.original.is_some()),
            at: tally.first_at,
        })
    }

    /// When it came, for the order of lines.
    pub(super) fn received_at(&self) -> Timestamp {
        self.at
    }

    /// Whether it has this status.
    pub(super) fn is(&self, status: Status) -> bool {
        match status {
            Status::Duplicate => self.status == "duplicate",
            Status::Refused => self.status == "refused",
            other => other.of_event().is_some_and(|status| status.code() == self.status),
        }
    }

    /// The line for `--json`.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers always serialise")
    }

    /// The cells of a table.
    pub(super) fn cells(&self) -> [String; 9] {
        [
            self.received_at.clone(),
            self.status.to_owned(),
            or_dash(self.reason.as_ref()),
            or_dash(self.source.as_ref()),
            or_dash(self.kind.as_ref()),
            or_dash(self.covers),
            self.count.to_string(),
            self.stamped(),
            or_dash(self.id.as_ref()),
        ]
    }

    /// Names and values, for people.
    pub(super) fn described(&self) -> Vec<(&'static str, String)> {
        vec![
            ("event", or_dash(self.id.as_ref())),
            ("arrival", self.arrival.clone()),
            ("source", or_dash(self.source.as_ref())),
            ("provider", or_dash(self.provider.as_ref())),
            ("type", crate::table::tame(&or_dash(self.kind.as_ref()))),
            ("status", self.status.to_owned()),
            ("reason", or_dash(self.reason.as_ref())),
            ("covers", or_dash(self.covers)),
            ("received at", self.received_at.clone()),
            ("steps", self.stamped()),
            ("count", self.count.to_string()),
            ("redacted", if self.redacted { REDACTED } else { "no" }.to_owned()),
        ]
    }

    /// The steps in short: what passed, what failed, what was not reached.
    fn stamped(&self) -> String {
        let stamp = |stamp: &Stamp| match stamp.verdict {
            "pass" => stamp.step.to_owned(),
            "fail" => format!("{}!", stamp.step),
            _ => "-".to_owned(),
        };
        self.steps.iter().map(stamp).collect::<Vec<_>>().join(" ")
    }
}

/// The verdicts on an event. That something was masked is said by the step that read it.
fn stamps_of(event: &EventRow) -> Vec<Stamp> {
    let mut stamps = stamps(event.steps, event.reason.as_deref());
    let read = stamps.iter_mut().find(|stamp| stamp.step == Step::Read.code());
    if let Some(read) = read.filter(|read| event.original.is_some() && read.reason.is_none()) {
        read.reason = Some("redacted".to_owned());
    }
    stamps
}

fn stamps(steps: Steps, reason: Option<&str>) -> Vec<Stamp> {
    Step::ALL
        .iter()
        .map(|step| Stamp {
            step: step.code(),
            verdict: steps.verdict(*step).code(),
            reason: reason.filter(|_| steps.failed() == Some(*step)).map(str::to_owned),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            id: Some("evt_1".into()),
            arrival: "arr_1".into(),
            source: Some("stripe".into()),
            provider: Some("stripe".into()),
            provider_event_id: Some("evt_1".into()),
            kind: Some("payment_intent.succeeded".into()),
            status: "held",
            reason: Some("needs_confirmation".into()),
            covers: Some("fields"),
            received_at: "2026-01-01T00:00:00.000Z".into(),
            steps: stamps(Steps::failed_at(Step::Decide), Some("needs_confirmation")),
            count: 1,
            redacted: false,
            at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn members_stand_in_the_order_of_the_contract() {
        insta::assert_snapshot!(line().json(), @r#"{"id":"evt_1","arrival":"arr_1","source":"stripe","provider":"stripe","provider_event_id":"evt_1","type":"payment_intent.succeeded","status":"held","reason":"needs_confirmation","covers":"fields","received_at":"2026-01-01T00:00:00.000Z","steps":[{"step":"admit","verdict":"pass","reason":null},{"step":"verify","verdict":"pass","reason":null},{"step":"read","verdict":"pass","reason":null},{"step":"decide","verdict":"fail","reason":"needs_confirmation"},{"step":"record","verdict":"pass","reason":null}],"count":1,"redacted":false}"#);
    }

    #[test]
    fn steps_are_stamped_in_short() {
        assert_eq!(line().stamped(), "admit verify read decide! record");
        let refused = stamps(Steps::failed_at(Step::Verify), None);
        assert_eq!(Line { steps: refused, ..line() }.stamped(), "admit verify! - - -");
    }

    #[test]
    fn a_line_knows_its_status() {
        assert!(line().is(Status::Held));
        assert!(!line().is(Status::Refused));
        assert!(Line { status: "refused", ..line() }.is(Status::Refused));
        assert!(Line { status: "duplicate", ..line() }.is(Status::Duplicate));
    }
}
