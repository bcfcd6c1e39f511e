//! Leasing: which deliveries may be tried now, and by whom, among any number of replicas.
//!
//! Candidates are locked, and those that another replica has locked are passed over, so that no two
//! lease the same. But passing over must not reorder a key: what has an older delivery of its key
//! before it is no candidate, whether that one can be locked or not. Of several keys' candidates
//! those win that insert the key's **lane**, which can be there only once.
//!
//! What is found behind a lane is marked blocked and not looked at again until the lane is given up,
//! so that a long backlog of one key costs nothing. It is marked only while the lane is held: whoever
//! gives it up waits for that, and then looks for what is blocked.
//!
//! Nothing waits here but the insertion of lanes, in their order, while no other lane is held.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::DeliveryId;
use sabotage::Defect;
use tokio_postgres::Row;

use super::bind::{byteas, count, int4, int4s, int8, texts, uuids};
use super::codes::{Sixteen, Unsigned};
use super::failure::{Failure, Result};
use super::read::event_row;
use super::session::{Session, column};
use crate::columns::EVENT;
use crate::slots::{Candidate, Slots};
use crate::{LeaseRequest, Leased, SealedRow};

/// Fresh deliveries looked at for one endpoint in one transaction.
const FRESH_EXAMINED_MAX: usize = 1024;

/// Fresh deliveries read at a time, at least; four times as many each time that too few of them are
/// candidates.
const FRESH_SLICE_MIN: usize = 16;

/// An endpoint and an order key.
type Lane = (i32, Sixteen);

/// What was found out about one endpoint.
struct Line {
    name: String,
    endpoint: i32,
    /// How many it may take.
    slots: usize,
    in_flight: usize,
    retries_in_flight: usize,
    chosen: Vec<Candidate>,
    /// Whether there may be more than was looked at.
    may_have_more: bool,
}

/// What was learned of deliveries on the way.
#[derive(Default)]
struct Found {
    delivery_of: HashMap<i64, Sixteen>,
    /// The order keys of fresh candidates.
    key_of: HashMap<i64, Lane>,
    /// Fresh ones that wait for their key, by key.
    behind: BTreeMap<Lane, Vec<Sixteen>>,
    seen: HashSet<i64>,
}

impl Session<'_> {
    /// Leases what is due to the endpoints that are asked for, at most `max` in all.
    pub(super) async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Leased>> {
        let mut lines = self.lines(request).await?;
        let mut found = Found::default();
        let mut total = 0;
        // First everybody's fair share, then what is left over.
        for shared in [true, false] {
            let endpoints = lines.len();
            for (place, line) in lines.iter_mut().enumerate() {
                let left = request.max.saturating_sub(total);
                let share = left.div_ceil((endpoints - place).max(1));
                let free = line.slots.saturating_sub(line.chosen.len());
                let wanted = free.min(if shared { share } else { left });
                if wanted > 0 && line.may_have_more {
                    total += self.choose(line, wanted, request, &mut found).await?;
                }
            }
        }
        let won = self.take_lanes(&lines, &found).await?;
        self.mark_blocked(&won, &found).await?;
        self.claim(&lines, &won, &found, request).await
    }

    /// The endpoints that are active and have something due: the others cost no statement each.
    async fn lines(&self, request: &LeaseRequest) -> Result<Vec<Line>> {
        let names: Vec<&str> = request.endpoints.iter().map(|(name, _)| &**name).collect();
        if request.max == 0 || names.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self
            .rows(
                "SELECT name, id,
                    (SELECT count(*) FROM pending WHERE leased AND endpoint = endpoint.id),
                    (SELECT count(*) FROM pending
                        WHERE leased AND endpoint = endpoint.id AND tries > 0)
                 FROM endpoint WHERE state = 0 AND name = ANY ($1) AND (
                    EXISTS (SELECT 1 FROM pending WHERE state = 0 AND endpoint = endpoint.id)
                    OR EXISTS (SELECT 1 FROM pending
                        WHERE state IN (2, 3) AND endpoint = endpoint.id AND next_at <= $2))",
                &[texts(&names), int8(&request.now.as_millis())],
            )
            .await?;
        let mut active: HashMap<String, &Row> = HashMap::new();
        for row in &rows {
            active.insert(column(row, 0)?, row);
        }
        let mut lines = Vec::new();
        for (name, slots) in &request.endpoints {
            // One that is named twice is one.
            let Some(row) = active.remove(&**name) else { continue };
            lines.push(Line {
                name: name.to_string(),
                endpoint: column(row, 1)?,
                slots: *slots,
                in_flight: column::<Unsigned>(row, 2)?.0 as usize,
                retries_in_flight: column::<Unsigned>(row, 3)?.0 as usize,
                chosen: Vec::new(),
                may_have_more: true,
            });
        }
        Ok(lines)
    }

    /// Chooses candidates of one endpoint; says how many.
    async fn choose(
        &self,
        line: &mut Line,
        wanted: usize,
        request: &LeaseRequest,
        found: &mut Found,
    ) -> Result<usize> {
        let before = line.chosen.len();
        let (retries, tries) = self.due_retries(line, wanted, request, found).await?;
        let fresh = self.unblocked_fresh(line, wanted, found).await?;
        line.may_have_more = retries.len() >= wanted || fresh.len() >= wanted;
        let slots = Slots {
            free: wanted,
            in_flight: line.in_flight,
            retries_in_flight: line.retries_in_flight,
        };
        line.chosen.extend(slots.share(&fresh, &retries));
        for candidate in line.chosen.iter().skip(before) {
            found.seen.insert(candidate.row);
            line.in_flight += 1;
            line.retries_in_flight += usize::from(tries.contains(&candidate.row));
        }
        Ok(line.chosen.len() - before)
    }

    /// Heads and parked deliveries whose time has come, and those whose lease ran out; and which of
    /// them were tried before.
    async fn due_retries(
        &self,
        line: &Line,
        wanted: usize,
        request: &LeaseRequest,
        found: &mut Found,
    ) -> Result<(Vec<Candidate>, HashSet<i64>)> {
        let rows = self
            .rows(
                "SELECT row, next_at, delivery, tries, leased FROM pending
                 WHERE state IN (2, 3) AND endpoint = $1 AND next_at <= $2
                 ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED",
                &[
                    int4(&line.endpoint),
                    int8(&request.now.as_millis()),
                    int8(&count(wanted + line.chosen.len())),
                ],
            )
            .await?;
        let (mut candidates, mut tried) = (Vec::new(), HashSet::new());
        for row in &rows {
            let candidate = Candidate { row: column(row, 0)?, since: column(row, 1)? };
            let is_kept = sabotage::on(Defect::LeasesKept) && column(row, 4)?;
            if found.seen.contains(&candidate.row) || candidates.len() == wanted || is_kept {
                continue;
            }
            found.delivery_of.insert(candidate.row, column(row, 2)?);
            if column::<i32>(row, 3)? > 0 {
                tried.insert(candidate.row);
            }
            candidates.push(candidate);
        }
        Ok((candidates, tried))
    }

    /// The oldest fresh deliveries that wait for nobody of their key.
    async fn unblocked_fresh(
        &self,
        line: &Line,
        wanted: usize,
        found: &mut Found,
    ) -> Result<Vec<Candidate>> {
        let mut candidates: Vec<Candidate> = Vec::new();
        let (mut after, mut examined) = (-1, 0);
        let mut slice = (wanted + line.chosen.len()).max(FRESH_SLICE_MIN);
        while candidates.len() < wanted && examined < FRESH_EXAMINED_MAX {
            slice = slice.min(FRESH_EXAMINED_MAX - examined);
            let rows = self.fresh_after(line.endpoint, after, slice).await?;
            examined += rows.len();
            for row in &rows {
                let candidate = Candidate { row: column(row, 0)?, since: column(row, 1)? };
                after = candidate.row;
                let (delivery, key): (Sixteen, Option<Sixteen>) =
                    (column(row, 2)?, column(row, 3)?);
                if found.seen.contains(&candidate.row) || candidates.len() == wanted {
                    continue;
                }
                let key = key.filter(|_| !sabotage::on(Defect::OrderIgnored));
                let lane = key.map(|key| (line.endpoint, key));
                match lane {
                    Some(lane) if column(row, 4)? => {
                        found.behind.entry(lane).or_default().push(delivery);
                        found.seen.insert(candidate.row);
                        continue;
                    }
                    Some(lane) => {
                        found.key_of.insert(candidate.row, lane);
                    }
                    None => {}
                }
                found.delivery_of.insert(candidate.row, delivery);
                candidates.push(candidate);
            }
            if rows.len() < slice {
                break;
            }
            slice *= 4;
        }
        Ok(candidates)
    }

    /// Fresh deliveries, and whether each is behind another of its key: one that is older and not
    /// parked, or whoever has the lane.
    async fn fresh_after(&self, endpoint: i32, after: i64, max: usize) -> Result<Vec<Row>> {
        self.rows(
            "SELECT row, next_at, delivery, order_key, order_key IS NOT NULL AND (
                EXISTS (SELECT 1 FROM pending older
                    WHERE older.endpoint = fresh.endpoint AND older.order_key = fresh.order_key
                        AND older.row < fresh.row AND older.state <> 3)
                OR EXISTS (SELECT 1 FROM lane
                    WHERE lane.endpoint = fresh.endpoint AND lane.order_key = fresh.order_key))
             FROM pending fresh WHERE state = 0 AND endpoint = $1 AND row > $2
             ORDER BY row LIMIT $3 FOR UPDATE SKIP LOCKED",
            &[int4(&endpoint), int8(&after), int8(&count(max))],
        )
        .await
    }

    /// Takes the lanes of the chosen, in their order; gives those that nobody else has taken.
    async fn take_lanes(&self, lines: &[Line], found: &Found) -> Result<HashSet<Lane>> {
        let chosen = lines.iter().flat_map(|line| &line.chosen);
        let wanted: BTreeMap<Lane, Sixteen> = chosen
            .filter_map(|chosen| {
                let lane = *found.key_of.get(&chosen.row)?;
                Some((lane, *found.delivery_of.get(&chosen.row)?))
            })
            .collect();
        if wanted.is_empty() {
            return Ok(HashSet::new());
        }
        let (endpoints, keys) = split(wanted.keys());
        let deliveries: Vec<Sixteen> = wanted.values().copied().collect();
        let won = self
            .rows(
                "INSERT INTO lane (endpoint, order_key, delivery) SELECT * FROM unnest($1, $2, $3)
                 ON CONFLICT DO NOTHING RETURNING endpoint, order_key",
                &[int4s(&endpoints), byteas(&keys), uuids(&deliveries)],
            )
            .await?;
        won.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?))).collect()
    }

    /// Marks what is behind lanes that are held until the transaction ends: our own, and those of
    /// others that nobody is giving up.
    async fn mark_blocked(&self, won: &HashSet<Lane>, found: &Found) -> Result<()> {
        let others: Vec<&Lane> = found.behind.keys().filter(|lane| !won.contains(lane)).collect();
        let mut held: HashSet<Lane> = won.clone();
        if !others.is_empty() {
            let (endpoints, keys) = split(others.into_iter());
            let rows = self
                .rows(
                    "SELECT endpoint, order_key FROM lane WHERE (endpoint, order_key) IN (
                        SELECT * FROM unnest($1, $2) AS behind (endpoint, order_key))
                     FOR SHARE SKIP LOCKED",
                    &[int4s(&endpoints), byteas(&keys)],
                )
                .await?;
            for row in &rows {
                held.insert((column(row, 0)?, column(row, 1)?));
            }
        }
        let of_held = found.behind.iter().filter(|(lane, _)| held.contains(lane));
        let blocked: Vec<Sixteen> = of_held.flat_map(|(_, behind)| behind).copied().collect();
        if !blocked.is_empty() {
            let sql = "UPDATE pending SET state = 1 WHERE delivery = ANY ($1)";
            self.run(sql, &[uuids(&blocked)]).await?;
        }
        Ok(())
    }

    /// Leases those of the chosen that need no lane, or won it.
    async fn claim(
        &self,
        lines: &[Line],
        won: &HashSet<Lane>,
        found: &Found,
        request: &LeaseRequest,
    ) -> Result<Vec<Leased>> {
        let may_go = |row: &i64| found.key_of.get(row).is_none_or(|lane| won.contains(lane));
        let deliveries: Vec<Sixteen> = lines
            .iter()
            .flat_map(|line| line.chosen.iter().map(|chosen| chosen.row))
            .filter(may_go)
            .filter_map(|row| found.delivery_of.get(&row).copied())
            .collect();
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = self
            .rows(
                "UPDATE pending SET state = CASE state WHEN 3 THEN 3 ELSE 2 END, leased = true,
                    fence = fence + 1, next_at = $2, updated_at = $3
                 WHERE delivery = ANY ($1) RETURNING row, delivery, fence, tries, event",
                &[
                    uuids(&deliveries),
                    int8(&request.until.as_millis()),
                    int8(&request.now.as_millis()),
                ],
            )
            .await?;
        let events: Vec<Sixteen> =
            claimed.iter().map(|row| column(row, 4)).collect::<Result<_>>()?;
        let events = self.events_with_bodies(&events).await?;
        let mut leased = HashMap::new();
        for row in &claimed {
            let event: Sixteen = column(row, 4)?;
            leased.insert(column::<i64>(row, 0)?, (row, event));
        }
        let mut answer = Vec::with_capacity(deliveries.len());
        for line in lines {
            for (row, event) in line.chosen.iter().filter_map(|chosen| leased.get(&chosen.row)) {
                let (event, body) = events
                    .get(event)
                    .ok_or_else(|| Failure::corrupt("a pending delivery has no event"))?;
                answer.push(Leased {
                    delivery: DeliveryId::from(column::<Sixteen>(row, 1)?),
                    fence: column(row, 2)?,
                    attempt: column::<Unsigned>(row, 3)?.0.saturating_add(1),
                    endpoint: line.name.clone(),
                    event: event.clone(),
                    body: body.clone(),
                });
            }
        }
        Ok(answer)
    }

    async fn events_with_bodies(
        &self,
        ids: &[Sixteen],
    ) -> Result<HashMap<Sixteen, (crate::EventRow, SealedRow)>> {
        let sql = format!(
            "SELECT {EVENT}, body.sealed_key, body.sealed
             FROM event JOIN body ON body.arrival = event.arrival WHERE event.id = ANY ($1)"
        );
        let rows = self.rows(&sql, &[uuids(&ids)]).await?;
        rows.iter()
            .map(|row| {
                let body = super::read::sealed_row(row, 17)?;
                Ok((column(row, 1)?, (event_row(row)?, body)))
            })
            .collect()
    }
}

/// Endpoints and keys as two columns.
fn split<'a>(lanes: impl Iterator<Item = &'a Lane>) -> (Vec<i32>, Vec<Sixteen>) {
    lanes.copied().unzip()
}
