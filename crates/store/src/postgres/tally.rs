//! Counts of refused and duplicate arrivals.

use std::collections::{BTreeSet, HashMap};

use super::audit::Entries;
use super::bind::{byteas, int2s, int4s, int8s, texts, uuids};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::session::Session;
use crate::Tally;
use crate::audit::refused;
use crate::codes::Coded as _;
use crate::error::Kind;

/// Rows are inserted in the order of what they count, so that nobody waits for somebody who waits
/// for them, and numbered in the order in which they came.
const ADD: &str = "INSERT INTO tally (row, minute, source, event, step, reason, address_key,
        arrival, count, first_at, last_at, sealed_key, sealed)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        AS new (row, minute, source, event, step, reason, address_key, arrival, count, first_at,
            last_at, sealed_key, sealed)
    ORDER BY minute, source, event, step, reason, address_key
    ON CONFLICT (minute, source, event, step, reason, address_key) DO UPDATE SET
        count = least(tally.count + excluded.count, 4294967295),
        first_at = least(tally.first_at, excluded.first_at),
        last_at = greatest(tally.last_at, excluded.last_at)";

#[derive(Default)]
struct Rows {
    minute: Vec<i64>,
    source: Vec<i32>,
    event: Vec<Vec<u8>>,
    step: Vec<i16>,
    reason: Vec<&'static str>,
    address_key: Vec<Sixteen>,
    arrival: Vec<Sixteen>,
    count: Vec<i64>,
    first_at: Vec<i64>,
    last_at: Vec<i64>,
    sealed_key: Vec<Sixteen>,
    sealed: Vec<Vec<u8>>,
}

impl Session<'_> {
    /// Adds counts to the rows of their minute.
    pub(super) async fn tally(&self, tallies: &[Tally]) -> Result<()> {
        if tallies.is_empty() {
            return Ok(());
        }
        let keys: BTreeSet<Sixteen> =
            tallies.iter().map(|tally| tally.address.key.into()).collect();
        let kept = self.kept_keys(&keys.into_iter().collect::<Vec<_>>()).await?;
        let names = tallies.iter().filter_map(|tally| tally.source.as_deref()).collect();
        let names = self.name_numbers(names).await?;
        let mut rows = Rows::default();
        for tally in added_up(tallies) {
            kept.see(&tally.address)?;
            let source = match &tally.source {
                Some(source) => *names.get(&**source).ok_or(Failure::from(Kind::Internal))?,
                None => 0,
            };
            rows.push(&tally, source);
        }
        let row = self.numbers("tally_row", rows.minute.len()).await?;
        self.run(
            ADD,
            &[
                int8s(&row),
                int8s(&rows.minute),
                int4s(&rows.source),
                byteas(&rows.event),
                int2s(&rows.step),
                texts(&rows.reason),
                byteas(&rows.address_key),
                uuids(&rows.arrival),
                int8s(&rows.count),
                int8s(&rows.first_at),
                int8s(&rows.last_at),
                uuids(&rows.sealed_key),
                byteas(&rows.sealed),
            ],
        )
        .await?;
        let mut entries = Entries::default();
        refused(tallies).iter().for_each(|refused| entries.push(&refused.entry()));
        self.audit(&entries).await
    }
}

impl Rows {
    fn push(&mut self, tally: &Tally, source: i32) {
        self.minute.push(tally.minute);
        self.source.push(source);
        self.event.push(tally.event.map_or_else(Vec::new, |event| event.as_bytes().to_vec()));
        self.step.push(tally.step.number());
        self.reason.push(tally.reason);
        self.address_key.push(Sixteen(tally.address_key));
        self.arrival.push(tally.arrival.into());
        self.count.push(i64::from(tally.count));
        self.first_at.push(tally.first_at.as_millis());
        self.last_at.push(tally.last_at.as_millis());
        self.sealed_key.push(tally.address.key.into());
        self.sealed.push(tally.address.sealed.as_bytes().to_vec());
    }
}

/// One of each that looks alike: a statement may not change a row twice.
fn added_up(tallies: &[Tally]) -> Vec<Tally> {
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut all: Vec<Tally> = Vec::new();
    for tally in tallies {
        let alike = (
            tally.minute,
            tally.source.clone(),
            tally.event,
            tally.step.number(),
            tally.reason,
            tally.address_key,
        );
        let place = *places.entry(alike).or_insert(all.len());
        match all.get_mut(place) {
            Some(first) => {
                first.count = first.count.saturating_add(tally.count);
                first.first_at = first.first_at.min(tally.first_at);
                first.last_at = first.last_at.max(tally.last_at);
            }
            None => all.push(tally.clone()),
        }
    }
    all
}
