//! Asks the gateway what an operator can ask: its counters over HTTP, and its quarantine.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use model::EventStatus;
use sandbox::wire;
use sandbox::{Request, Route};
use store::{EventQuery, Store};

use super::cannot;
use super::stage::Stage;
use crate::failure::Failure;

const ANSWER_MS_MAX: u64 = 5_000;
const ARRIVALS: &str = "countersign_arrivals_total{";

/// How many arrivals had each outcome so far, over all sources.
pub(super) type Outcomes = BTreeMap<String, u64>;

/// An operator with the gateway's own means.
pub(super) struct Observer {
    admin: SocketAddr,
    store: Store,
    last: Outcomes,
}

impl Observer {
    /// Takes a first look.
    pub(super) async fn new(stage: &Stage) -> Result<Self, Failure> {
        let store = Store::open_beside(&stage.store())
            .map_err(|error| cannot("look into the store", error))?;
        let last = outcomes(&metrics(stage.admin).await?);
        Ok(Self { admin: stage.admin, store, last })
    }

    /// The outcomes since the last look, the most frequent first.
    pub(super) async fn since(&mut self) -> Result<Vec<(String, u64)>, Failure> {
        let now = outcomes(&metrics(self.admin).await?);
        let mut grown: Vec<(String, u64)> = now
            .iter()
            .map(|(name, count)| (name.clone(), count - self.last.get(name).unwrap_or(&0)))
            .filter(|(_, count)| *count > 0)
            .collect();
        grown.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        self.last = now;
        Ok(grown)
    }

    /// Why the newest event of this source with this status has it.
    pub(super) async fn newest(&self, source: &str, status: EventStatus) -> Option<String> {
        let query = EventQuery {
            statuses: vec![status],
            source: Some(source.to_owned()),
            limit: 1,
            ..EventQuery::default()
        };
        let events = self.store.events(query).await.ok()?;
        events.into_iter().last()?.reason
    }

    /// Leaves the store.
    pub(super) async fn close(self) {
        self.store.close().await;
    }
}

/// The text of `/metrics`.
pub(super) async fn metrics(admin: SocketAddr) -> Result<String, Failure> {
    let mut request = Request::post_json("/metrics", Vec::new());
    request.method = "GET".into();
    let sent = wire::send(admin, Route::BALANCER, Route::Direct, &request, ANSWER_MS_MAX).await;
    let answer = sent.map_err(|error| cannot("read the gateway's metrics", error))?;
    if answer.status != 200 {
        return Err(cannot("read the gateway's metrics", format!("status {}", answer.status)));
    }
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

/// Reads `countersign_arrivals_total{source="…",outcome="…"} n`.
fn outcomes(text: &str) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for line in text.lines() {
        let Some((labels, count)) = line.strip_prefix(ARRIVALS).and_then(|l| l.split_once("} "))
        else {
            continue;
        };
        let outcome = labels.split(',').find_map(|label| label.strip_prefix("outcome=\""));
        let outcome = outcome.map(|label| label.trim_end_matches('"'));
        if let (Some(outcome), Ok(count)) = (outcome, count.trim().parse::<u64>()) {
            *outcomes.entry(outcome.to_owned()).or_default() += count;
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_summed_over_sources() {
        let text = "# TYPE countersign_arrivals counter\n\
                    countersign_arrivals_total{source=\"stripe\",outcome=\"too_old\"} 2\n\
                    countersign_arrivals_total{source=\"bropay\",outcome=\"too_old\"} 1\n\
                    countersign_arrivals_total{source=\"bropay\",outcome=\"accepted\"} 7\n\
                    countersign_attempts_total{endpoint=\"app\",outcome=\"delivered\"} 9\n";
        let expected = [("accepted".to_owned(), 7), ("too_old".to_owned(), 3)];
        assert_eq!(outcomes(text), Outcomes::from(expected));
    }
}
