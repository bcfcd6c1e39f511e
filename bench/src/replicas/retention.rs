//! What is old enough is deleted while webhooks come, and nobody waits for it.
//!
//! A store holds events of more than two months. At a steady load retention deletes the oldest five
//! weeks of it: on a server as whole partitions, in a file in slices, as a gateway does it when it
//! starts and twice a day.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use model::Timestamp;
use store::{EVENTS_DAYS_MIN, PostgresOptions, Retention, Store};

use super::fleet::deploy;
use super::number;
use crate::clock::now_ms;
use crate::deployment::{Deliveries, Deployment, NO_APPLICATION, SOURCE_PATH};
use crate::load::{Latencies, Load, Outcome, Pace};
use crate::postgres::{Cluster, OWNER, SERVING};
use crate::preload::Fill;

const DATABASE: &str = "retention";

const DAY_MS: i64 = 86_400_000;

/// For how long events are kept.
const KEPT_MS: i64 = EVENTS_DAYS_MIN as i64 * DAY_MS;

/// Partitions are weeks that begin on Mondays; 1970-01-05 was one.
const WEEK_MS: i64 = 7 * DAY_MS;
const MONDAY_MS: i64 = 4 * DAY_MS;

/// Weeks that are old enough.
const OLD_WEEKS: u32 = 5;

/// Partitions that are dropped: of events, bodies, deliveries and attempts.
const OLD_PARTITIONS: u32 = 4 * OLD_WEEKS;

/// How often a file is asked what its oldest event is.
const LOOK: Duration = Duration::from_millis(10);

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// Events that are stored at first, each with a body and a delivery that was made.
    pub events: u64,
    /// Events a second.
    pub per_second: f64,
    /// How long they are sent before anything is deleted, and as long again.
    pub half: Duration,
    /// How much longer a file may take.
    pub longer: Duration,
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// Events that were stored.
    pub stored: u64,
    /// Rows that were deleted: events, and whatever there was of them.
    pub deleted: u64,
    /// How long that took.
    pub took: Duration,
    /// Whether everything was deleted that was old enough.
    pub is_whole: bool,
    /// Acknowledgements before.
    pub before: Latencies,
    /// Acknowledgements of whoever waited while it was deleted.
    pub during: Latencies,
    /// Requests that were not acknowledged, at any time.
    pub failed: u64,
}

impl Plan {
    /// Drops the partitions of a server.
    ///
    /// # Errors
    /// When the gateway or the database cannot be started or asked, or something else is deleted.
    pub fn run_on_server(&self, cluster: &Cluster) -> Result<Seen> {
        let (url, paused) = (cluster.url(SERVING, DATABASE), Deliveries::Paused);
        let gateway = deploy(&url, cluster, DATABASE, &self.binary, NO_APPLICATION, paused)?;
        let till = monday(now_ms() - KEPT_MS);
        let count = |which: &str| {
            number(cluster, DATABASE, &format!("SELECT count(*) FROM event WHERE {which}"))
        };
        fill(cluster, till - i64::from(OLD_WEEKS) * WEEK_MS, self.events)?;
        let old = format!("id < id_bound({till})");
        let (stored, old_events) = (count("true")?, count(&old)?);
        ensure!(stored == self.events && old_events > 0, "{stored} stored, {old_events} are old");

        let server = gateway.serve()?;
        let load = self.load(&gateway, 2 * self.half);
        std::thread::sleep(self.half);
        let from = Instant::now();
        let partitions = retain(&url)?;
        let to = Instant::now();
        let outcome = load.join().ok().context("the load's thread")??;
        server.stop()?;
        let (kept, left) = (count("true")?, count(&old)?);
        let least = stored - (old_events - left) + outcome.acknowledged();
        // Who is told to come again may have been recorded all the same.
        let most = least + outcome.failed();
        ensure!((least..=most).contains(&kept), "{kept} events are kept, not {least} to {most}");
        Ok(Seen {
            stored,
            // Each has a body, a delivery and an attempt.
            deleted: 4 * (old_events - left),
            took: to - from,
            is_whole: left == 0 && u32::try_from(partitions)? == OLD_PARTITIONS,
            before: outcome.latencies.between(from - self.half, from),
            during: outcome.latencies.between(from, to),
            failed: outcome.failed(),
        })
    }

    /// Deletes the rows of a file: as soon as a gateway is started that is told to.
    ///
    /// # Errors
    /// When the gateway cannot be started, or the file not be read.
    pub fn run_on_file(&self) -> Result<Seen> {
        let gateway = Deployment::new(&self.binary, NO_APPLICATION, Deliveries::Paused)?;
        let days = u64::from(EVENTS_DAYS_MIN + 7 * OLD_WEEKS);
        let fill = Fill { events: self.events, delivered: self.events, days };
        fill.run(&gateway.store(), gateway.root_key()).context("filling the store")?;

        let server = gateway.serve()?;
        let before = self.load(&gateway, self.half).join().ok().context("the load's thread")??;
        server.stop()?;
        let retention = format!("\n[retention]\nevents_days = {EVENTS_DAYS_MIN}\n");
        gateway.configure(|text| text.to_owned() + &retention)?;
        let file = File(rusqlite::Connection::open(gateway.store())?);
        let gone = file.gone()?;
        // Whole days, in UTC.
        let kept_from_ms = (now_ms() - KEPT_MS).div_euclid(DAY_MS) * DAY_MS;
        let server = gateway.serve()?;
        let from = Instant::now();
        let load = self.load(&gateway, self.half);
        let mut to = None;
        let patience = self.half + self.longer;
        while !load.is_finished() || (to.is_none() && from.elapsed() < patience) {
            if to.is_none() && file.oldest_ms()? >= kept_from_ms {
                to = Some(Instant::now());
            }
            std::thread::sleep(LOOK);
        }
        let during = load.join().ok().context("the load's thread")??;
        let deleted = (file.gone()? - gone).unsigned_abs();
        server.stop()?;
        let end = to.unwrap_or_else(Instant::now);
        Ok(Seen {
            stored: self.events,
            deleted,
            took: end - from,
            is_whole: to.is_some(),
            during: during.latencies.between(from, end),
            failed: before.failed() + during.failed(),
            before: before.latencies,
        })
    }

    fn load(
        &self,
        gateway: &Deployment,
        duration: Duration,
    ) -> std::thread::JoinHandle<Result<Outcome>> {
        let load = Load::new(gateway.public, SOURCE_PATH, Pace::Open(self.per_second), duration);
        std::thread::spawn(move || load.run())
    }
}

/// The store of a gateway that runs.
struct File(rusqlite::Connection);

impl File {
    /// When the oldest event came.
    fn oldest_ms(&self) -> Result<i64> {
        self.number("SELECT received_at FROM event ORDER BY sequence LIMIT 1")
    }

    /// Rows that stood before the oldest that are there, of which each event has one: itself, its
    /// body, its delivery, and its attempt.
    fn gone(&self) -> Result<i64> {
        self.number(
            "SELECT (SELECT min(sequence) FROM event) + (SELECT min(row) FROM body)
                + 2 * (SELECT min(row) / 1024 FROM delivery)",
        )
    }

    fn number(&self, sql: &str) -> Result<i64> {
        Ok(self.0.query_row(sql, (), |row| row.get(0))?)
    }
}

/// The beginning of a week.
fn monday(at: i64) -> i64 {
    (at - MONDAY_MS).div_euclid(WEEK_MS) * WEEK_MS + MONDAY_MS
}

/// Stores events since a Monday as if they had come and been delivered.
fn fill(cluster: &Cluster, begins: i64, events: u64) -> Result<()> {
    let stored = format!(
        include_str!("stored.sql"),
        owner = OWNER,
        begins = begins,
        now = now_ms(),
        events = events
    );
    cluster.query(DATABASE, &stored)?;
    // What has to be done once is not done while somebody measures.
    cluster.query(DATABASE, "ANALYZE; CHECKPOINT").map(drop)
}

/// Does what a gateway does twice a day; says how many partitions are gone.
fn retain(url: &str) -> Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::connect(&PostgresOptions::new(url)).await?;
        let kept = Retention { events_days: Some(EVENTS_DAYS_MIN), ..Retention::default() };
        let removed = store.retain(Timestamp::from_millis(now_ms()), kept).await;
        store.close().await;
        Ok(removed?.partitions)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_mondays() {
        let (monday_ms, sunday_ms) = (1_764_547_200_000, 1_764_547_199_999);
        assert_eq!(monday(monday_ms), monday_ms);
        assert_eq!(monday(monday_ms + WEEK_MS - 1), monday_ms);
        assert_eq!(monday(sunday_ms), monday_ms - WEEK_MS);
    }
}
