//! What each event of a batch is: new, known, or in conflict with an earlier one.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::limits::DEDUP_DAYS;
use model::{EventId, EventStatus, Quarantine, Step, Steps};
use sabotage::Defect;

use crate::error::Kind;
use crate::memory::DAYS_UNSWEPT_MAX;
use crate::postgres::bind::{bytea, byteas, int8, int8s, uuid, uuids};
use crate::postgres::codes::Sixteen;
use crate::postgres::failure::{Failure, Result};
use crate::postgres::session::{Session, column};
use crate::{NewDelivery, NewEvent, Outcome, Record, StoreError};

/// Takes the keys that nobody holds, or whose holder no longer counts. Says which it took; the
/// others are locked until the transaction ends.
const TAKE: &str = "INSERT INTO dedup (key, event, projection, day)
    SELECT * FROM unnest($1, $2, $3, $4)
    ON CONFLICT (key) DO UPDATE SET
        event = excluded.event, projection = excluded.projection, day = excluded.day
    WHERE dedup.day < greatest(
        (SELECT first_day FROM sweep),
        least(excluded.day, (SELECT CASE swept_day WHEN 0 THEN 9223372036854775807
            ELSE swept_day + $5 END FROM sweep)) - $6)
    RETURNING key";

/// Remembers bytes, or says which event has them. Whoever does the same is waited for.
const REMEMBER: &str = "INSERT INTO quarantine (body_key, dedup_key, event)
    SELECT * FROM unnest($1, $2, $3)
    ON CONFLICT (body_key, dedup_key) DO UPDATE SET event = quarantine.event
    RETURNING body_key, dedup_key, event";

/// What became of an event, and so how it is kept, if it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    outcome: Outcome,
    /// Whether it is the first with its dedup key.
    pub(super) holds_key: bool,
    /// How often its bytes came in this batch.
    pub(super) count: i64,
}

impl Fate {
    fn new(outcome: Outcome, holds_key: bool) -> Self {
        Self { outcome, holds_key, count: 1 }
    }

    pub(super) fn outcome(self) -> Outcome {
        self.outcome
    }

    pub(super) fn is_kept(&self) -> bool {
        matches!(self.outcome, Outcome::New | Outcome::Conflict { .. })
    }

    fn is_conflict(&self) -> bool {
        matches!(self.outcome, Outcome::Conflict { .. })
    }

    pub(super) fn status(&self, event: &NewEvent) -> EventStatus {
        if self.is_conflict() { EventStatus::Quarantined } else { event.status }
    }

    pub(super) fn reason(&self, event: &NewEvent) -> Option<&'static str> {
        if self.is_conflict() { Some(Quarantine::Conflict.code()) } else { event.reason }
    }

    pub(super) fn steps(&self, event: &NewEvent) -> Steps {
        if self.is_conflict() { Steps::failed_at(Step::Record) } else { event.steps }
    }

    pub(super) fn deliveries<'a>(&self, event: &'a NewEvent) -> &'a [NewDelivery] {
        if self.is_kept() && !self.is_conflict() { &event.deliveries } else { &[] }
    }
}

/// The dedup keys of a batch that were taken by its events.
pub(super) struct Seen {
    taken: HashSet<Sixteen>,
    /// Those that others hold.
    held: Vec<Sixteen>,
}

/// Who holds a dedup key.
#[derive(Clone, Copy)]
struct Holder {
    event: EventId,
    projection: [u8; 16],
    day: i64,
}

/// What identifies bytes: their keyed hash, and the dedup key that they could or could not say.
type Bytes = ([u8; 16], Vec<u8>);

impl Session<'_> {
    /// Takes the dedup keys of these events, in the order of the keys.
    pub(super) async fn take_keys(&self, events: &[(&Record, &NewEvent)]) -> Result<Seen> {
        let mut first: BTreeMap<Sixteen, (&Record, &NewEvent)> = BTreeMap::new();
        for (record, event) in events {
            if let Some(key) = event.dedup_key {
                first.entry(Sixteen(key)).or_insert((record, event));
            }
        }
        if first.is_empty() {
            return Ok(Seen { taken: HashSet::new(), held: Vec::new() });
        }
        let keys: Vec<Sixteen> = first.keys().copied().collect();
        let ids: Vec<Sixteen> = first.values().map(|(_, event)| event.id.into()).collect();
        let projections: Vec<Sixteen> =
            first.values().map(|(_, event)| Sixteen(event.projection)).collect();
        let days: Vec<i64> = first.values().map(|(record, _)| record.received_at.day()).collect();
        let rows = self
            .rows(
                TAKE,
                &[
                    byteas(&keys),
                    uuids(&ids),
                    byteas(&projections),
                    int8s(&days),
                    int8(&DAYS_UNSWEPT_MAX),
                    int8(&DEDUP_DAYS),
                ],
            )
            .await?;
        let taken: HashSet<Sixteen> =
            rows.iter().map(|row| column(row, 0)).collect::<Result<_>>()?;
        let held = keys.into_iter().filter(|key| !taken.contains(key)).collect();
        Ok(Seen { taken, held })
    }

    /// What became of each event, in their order.
    pub(super) async fn fates(
        &self,
        events: &[(&Record, &NewEvent)],
        seen: Seen,
    ) -> Result<Vec<Fate>> {
        let mut holders = self.holders(&seen.held).await?;
        let mut fates = Vec::with_capacity(events.len());
        for (record, event) in events {
            fates.push(of_key(record, event, &seen.taken, &mut holders)?);
        }
        let known = self.known_bytes(events, &fates).await?;
        let mut first: HashMap<Bytes, usize> = HashMap::new();
        for (place, (_, event)) in events.iter().enumerate() {
            let Some(bytes) = fates.get(place).and_then(|fate| bytes(event, fate)) else {
                continue;
            };
            if let Some(of) = known.get(&bytes) {
                set(&mut fates, place, Outcome::Repeated { of: *of });
            } else if let Some(earlier) = first.get(&bytes).copied() {
                let of = events.get(earlier).map_or(event.id, |(_, earlier)| earlier.id);
                set(&mut fates, place, Outcome::Repeated { of });
                if let Some(fate) = fates.get_mut(earlier) {
                    fate.count += 1;
                }
            } else {
                first.insert(bytes, place);
            }
        }
        Ok(fates)
    }

    async fn holders(&self, keys: &[Sixteen]) -> Result<HashMap<[u8; 16], Holder>> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let sql = "SELECT key, event, projection, day FROM dedup WHERE key = ANY ($1)";
        let rows = self.rows(sql, &[byteas(&keys)]).await?;
        if rows.len() != keys.len() {
            return Err(Failure::corrupt("a dedup key has no holder"));
        }
        rows.iter()
            .map(|row| {
                let holder = Holder {
                    event: column::<Sixteen>(row, 1)?.into(),
                    projection: column::<Sixteen>(row, 2)?.0,
                    day: column(row, 3)?,
                };
                Ok((column::<Sixteen>(row, 0)?.0, holder))
            })
            .collect()
    }

    /// The events that have these bytes already; their counts grow.
    async fn known_bytes(
        &self,
        events: &[(&Record, &NewEvent)],
        fates: &[Fate],
    ) -> Result<HashMap<Bytes, EventId>> {
        let mut asked: BTreeMap<Bytes, (EventId, i64)> = BTreeMap::new();
        for ((_, event), fate) in events.iter().zip(fates) {
            if let Some(bytes) = bytes(event, fate) {
                asked.entry(bytes).or_insert((event.id, 0)).1 += 1;
            }
        }
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let body_keys: Vec<&[u8]> = asked.keys().map(|(body, _)| &body[..]).collect();
        let dedup_keys: Vec<&[u8]> = asked.keys().map(|(_, dedup)| &dedup[..]).collect();
        let ids: Vec<Sixteen> = asked.values().map(|(id, _)| (*id).into()).collect();
        let parameters = [byteas(&body_keys), byteas(&dedup_keys), uuids(&ids)];
        let mut known: HashMap<Bytes, EventId> = HashMap::new();
        for row in self.rows(REMEMBER, &parameters).await? {
            let bytes = (column::<Sixteen>(&row, 0)?.0, column(&row, 1)?);
            let of: EventId = column::<Sixteen>(&row, 2)?.into();
            if asked.get(&bytes).is_some_and(|(id, _)| *id != of) {
                known.insert(bytes, of);
            }
        }
        if !known.is_empty() {
            self.count_again(&asked, &mut known).await?;
        }
        Ok(known)
    }

    /// Counts events that came again. One that is no longer there makes way for the new one.
    async fn count_again(
        &self,
        asked: &BTreeMap<Bytes, (EventId, i64)>,
        known: &mut HashMap<Bytes, EventId>,
    ) -> Result<()> {
        let more = |bytes| asked.get(bytes).map_or(0, |(_, count)| *count);
        let (ids, counts): (Vec<Sixteen>, Vec<i64>) =
            known.iter().map(|(bytes, of)| (Sixteen::from(*of), more(bytes))).unzip();
        let rows = self
            .rows(
                "UPDATE event SET count = least(count + more, 4294967295)
                 FROM unnest($1, $2) AS again (of, more) WHERE id = of RETURNING id",
                &[uuids(&ids), int8s(&counts)],
            )
            .await?;
        let counted: HashSet<Sixteen> =
            rows.iter().map(|row| column(row, 0)).collect::<Result<_>>()?;
        let gone: Vec<Bytes> = known
            .iter()
            .filter(|(_, of)| !counted.contains(&Sixteen::from(**of)))
            .map(|(bytes, _)| bytes.clone())
            .collect();
        for bytes in gone {
            known.remove(&bytes);
            let Some((id, _)) = asked.get(&bytes) else { continue };
            self.run(
                "UPDATE quarantine SET event = $3 WHERE body_key = $1 AND dedup_key = $2",
                &[bytea(&&bytes.0[..]), bytea(&bytes.1), uuid(&Sixteen::from(*id))],
            )
            .await?;
        }
        Ok(())
    }
}

/// What dedup makes of an event. Whatever is known by its bytes is not looked for here.
fn of_key(
    record: &Record,
    event: &NewEvent,
    taken: &HashSet<Sixteen>,
    holders: &mut HashMap<[u8; 16], Holder>,
) -> Result<Fate> {
    let Some(key) = event.dedup_key else { return Ok(Fate::new(Outcome::New, false)) };
    let day = record.received_at.day();
    let Some(holder) = holders.get(&key) else {
        if !taken.contains(&Sixteen(key)) {
            return Err(Failure::corrupt("a dedup key has no holder"));
        }
        holders.insert(key, Holder { event: event.id, projection: event.projection, day });
        return Ok(Fate::new(Outcome::New, true));
    };
    // Only the statement knows whether a key of another day still counts: not in one batch.
    if taken.contains(&Sixteen(key)) && day.saturating_sub(holder.day) > DEDUP_DAYS {
        return Err(StoreError::with(Kind::Internal, "a key of another day").into());
    }
    let same = holder.projection == event.projection;
    if sabotage::on(Defect::NoDedup) || !same && sabotage::on(Defect::ConflictPasses) {
        return Ok(Fate::new(Outcome::New, false));
    }
    Ok(Fate::new(
        if same {
            Outcome::Duplicate { of: holder.event }
        } else {
            Outcome::Conflict { of: holder.event }
        },
        false,
    ))
}

/// What an event is known by, if it is one that is known by its bytes.
fn bytes(event: &NewEvent, fate: &Fate) -> Option<Bytes> {
    match (event.dedup_key, fate.is_conflict()) {
        (None, _) => Some((event.body_key, Vec::new())),
        (Some(key), true) => Some((event.body_key, key.to_vec())),
        (Some(_), false) => None,
    }
}

fn set(fates: &mut [Fate], place: usize, outcome: Outcome) {
    if let Some(fate) = fates.get_mut(place) {
        fate.outcome = outcome;
    }
}
