//! What is known of each endpoint while it is delivered to: attempts in flight, how many more it
//! may have, and its breaker.
//!
//! An endpoint begins with few attempts at once, and every success doubles them; a failure takes
//! them back. So endpoints that swallow attempts cannot take the slots of those that answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Timestamp;
use model::breaker::{Allowed, Breaker, Change, Said};
use model::limits::{
    ATTEMPTS_IN_FLIGHT_MAX, ATTEMPTS_PER_ENDPOINT_MAX, ATTEMPTS_PER_ENDPOINT_MIN, ATTEMPTS_RESERVED,
};
use tokio::sync::Notify;

/// The endpoints' lanes.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: Mutex<HashMap<String, Lane>>,
    /// Endpoints that any gateway leaves alone, and until when, as the store said last.
    rests: Mutex<HashMap<String, Timestamp>>,
    /// Rung when an attempt ends.
    pub(super) freed: Notify,
}

struct Lane {
    in_flight: usize,
    /// How many attempts may be in flight.
    window: usize,
    breaker: Breaker,
}

impl Default for Lane {
    fn default() -> Self {
        Self { in_flight: 0, window: ATTEMPTS_PER_ENDPOINT_MIN, breaker: Breaker::default() }
    }
}

/// The attempts that may start now.
pub(super) struct Free {
    /// In all.
    pub(super) all: usize,
    /// To these endpoints, those with none left out.
    pub(super) endpoints: Vec<(Arc<str>, usize)>,
}

impl Lanes {
    /// How many more attempts these endpoints may have now. The last slots are for endpoints that
    /// have hardly any.
    pub(super) fn free<'a>(
        &self,
        endpoints: impl Iterator<Item = &'a str>,
        now: Timestamp,
    ) -> Free {
        let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let lanes = self.lock();
        let in_flight: usize = lanes.values().map(|lane| lane.in_flight).sum();
        let common = (ATTEMPTS_IN_FLIGHT_MAX - ATTEMPTS_RESERVED).saturating_sub(in_flight);
        let cap = if common > 0 { ATTEMPTS_PER_ENDPOINT_MAX } else { ATTEMPTS_PER_ENDPOINT_MIN };
        let new = Lane::default();
        let free = endpoints.filter_map(|name| {
            let lane = lanes.get(name).unwrap_or(&new);
            let free = lane.window.min(cap).saturating_sub(lane.in_flight);
            let free = match lane.breaker.allows(now) {
                // Somebody else found it failing: after the pause one attempt at a time is made.
                Allowed::All => match rests.get(name) {
                    Some(until) if now < *until => 0,
                    Some(_) => free.min(1usize.saturating_sub(lane.in_flight)),
                    None => free,
                },
                Allowed::Probe => free.min(1),
                Allowed::Nothing => 0,
            };
            (free > 0).then(|| (Arc::from(name), free))
        });
        let reserved = ATTEMPTS_IN_FLIGHT_MAX.saturating_sub(in_flight);
        Free { all: if common > 0 { common } else { reserved }, endpoints: free.collect() }
    }

    /// An attempt starts. Whether it is the probe of an endpoint that is left alone.
    pub(super) fn enter(&self, endpoint: &str) -> bool {
        let mut lanes = self.lock();
        let lane = lanes.entry(endpoint.to_owned()).or_default();
        lane.in_flight += 1;
        lane.breaker.started()
    }

    /// What an attempt said about its endpoint.
    pub(super) fn heard(
        &self,
        endpoint: &str,
        is_probe: bool,
        said: Said,
        now: Timestamp,
    ) -> Option<Change> {
        let mut lanes = self.lock();
        let lane = lanes.get_mut(endpoint)?;
        match said {
            Said::Well => lane.window = (lane.window * 2).min(ATTEMPTS_PER_ENDPOINT_MAX),
            Said::Failing => lane.window = ATTEMPTS_PER_ENDPOINT_MIN,
            Said::Nothing => {}
        }
        let change = lane.breaker.ended(is_probe, said, now);
        drop(lanes);
        match said {
            Said::Well => self.forget_rest(endpoint).then_some(Change::Closed).or(change),
            Said::Failing | Said::Nothing => change,
        }
    }

    /// Takes note of the endpoints that any gateway leaves alone. Gives those that nobody does any
    /// more: they were heard from.
    pub(super) fn learn(&self, rests: Vec<(String, Timestamp)>) -> Vec<String> {
        let rests: HashMap<_, _> = rests.into_iter().collect();
        let mut known = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *known, rests);
        let heard_from: Vec<String> =
            before.into_keys().filter(|name| !known.contains_key(name)).collect();
        let mut lanes = self.lock();
        for name in &heard_from {
            if let Some(lane) = lanes.get_mut(name) {
                lane.breaker = Breaker::default();
            }
        }
        heard_from
    }

    fn forget_rest(&self, endpoint: &str) -> bool {
        let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        rests.remove(endpoint).is_some()
    }

    /// An attempt is over and settled.
    pub(super) fn leave(&self, endpoint: &str) {
        if let Some(lane) = self.lock().get_mut(endpoint) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
        }
        self.freed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn free(lanes: &Lanes, names: &[&str]) -> Vec<usize> {
        let free = lanes.free(names.iter().copied(), NOW).endpoints;
        let of = |name: &&str| free.iter().find(|(n, _)| **n == **name).map_or(0, |(_, n)| *n);
        names.iter().map(of).collect()
    }

    /// Attempts that start and succeed, and others that only start.
    fn lane(lanes: &Lanes, name: &str, successes: usize, in_flight: usize) {
        for _ in 0..successes {
            let is_probe = lanes.enter(name);
            lanes.heard(name, is_probe, Said::Well, NOW);
            lanes.leave(name);
        }
        for _ in 0..in_flight {
            lanes.enter(name);
        }
    }

    #[test]
    fn an_endpoint_earns_its_slots_and_loses_them() {
        let lanes = Lanes::default();
        assert_eq!(free(&lanes, &["a"]), [ATTEMPTS_PER_ENDPOINT_MIN]);
        lane(&lanes, "a", 2, 3);
        assert_eq!(free(&lanes, &["a"]), [4 * ATTEMPTS_PER_ENDPOINT_MIN - 3]);
        lane(&lanes, "a", 20, 0);
        assert_eq!(free(&lanes, &["a"]), [ATTEMPTS_PER_ENDPOINT_MAX - 3]);
        assert_eq!(lanes.heard("a", false, Said::Failing, NOW), None);
        assert_eq!(free(&lanes, &["a"]), [0]);
    }

    #[test]
    fn what_another_gateway_leaves_alone_is_left_alone_and_then_probed() {
        let lanes = Lanes::default();
        lane(&lanes, "a", 2, 0);
        let until = |ms| vec![("a".to_owned(), NOW.plus_millis(ms))];
        lanes.learn(until(1));
        assert_eq!(free(&lanes, &["a", "b"]), [0, ATTEMPTS_PER_ENDPOINT_MIN]);
        lanes.learn(until(0));
        assert_eq!(free(&lanes, &["a"]), [1]);
        let is_probe = lanes.enter("a");
        assert_eq!(free(&lanes, &["a"]), [0]);
        // Whoever hears that it is well says so to all.
        assert_eq!(lanes.heard("a", is_probe, Said::Well, NOW), Some(Change::Closed));
        lanes.leave("a");
        assert!(free(&lanes, &["a"])[0] > 1);
    }

    #[test]
    fn what_another_gateway_heard_from_is_no_longer_left_alone() {
        let lanes = Lanes::default();
        lane(&lanes, "a", 1, 0);
        let mut change = None;
        while change.is_none() {
            change = lanes.heard("a", false, Said::Failing, NOW);
        }
        assert_eq!(free(&lanes, &["a"]), [0]);
        // Nobody has heard of it yet: it stays so.
        assert_eq!(lanes.learn(Vec::new()), [""; 0]);
        assert_eq!(free(&lanes, &["a"]), [0]);
        assert_eq!(lanes.learn(vec![("a".to_owned(), NOW.plus_millis(5_000))]), [""; 0]);
        assert_eq!(lanes.learn(Vec::new()), ["a"]);
        assert_eq!(free(&lanes, &["a"]), [ATTEMPTS_PER_ENDPOINT_MIN]);
    }

    #[test]
    fn the_last_slots_are_for_those_that_have_none() {
        let lanes = Lanes::default();
        lane(&lanes, "a", 20, 30);
        lane(&lanes, "b", 20, 17);
        lane(&lanes, "c", 20, 0);
        // One slot is left for everybody, then sixteen for those with next to nothing.
        assert_eq!(lanes.free(["a", "b", "c"].into_iter(), NOW).all, 1);
        lane(&lanes, "b", 0, 1);
        assert_eq!(free(&lanes, &["a", "b", "c"]), [0, 0, ATTEMPTS_PER_ENDPOINT_MIN]);
        assert_eq!(lanes.free(["c"].into_iter(), NOW).all, ATTEMPTS_RESERVED);
    }

    #[test]
    fn one_probe_and_no_more_while_the_breaker_is_open() {
        let lanes = Lanes::default();
        lane(&lanes, "a", 1, 1);
        for _ in 0..5 {
            lanes.heard("a", false, Said::Failing, NOW);
        }
        lanes.leave("a");
        assert_eq!(free(&lanes, &["a"]), [0]);
        let later = NOW.plus_millis(5_000);
        assert_eq!(lanes.free(["a"].into_iter(), later).endpoints, [(Arc::from("a"), 1)]);
        assert!(lanes.enter("a"));
        assert!(lanes.free(["a"].into_iter(), later).endpoints.is_empty());
    }
}
