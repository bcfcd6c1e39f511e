//! A shop that moves from a file to a server while it receives, as the manual says.
//!
//! The copy is interrupted once and goes on; then the gateway of the file stops, the copy is
//! finished, and a gateway at the same addresses starts on the server. The sender knows of none of
//! it: what is not acknowledged it sends again.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::fleet::Fleet;
use super::shop::application;
use super::traffic::Traffic;
use super::{Findings, Gateways};
use crate::deployment::{Deliveries, Deployment};
use crate::postgres::{Cluster, OWNER, SERVING};

const DATABASE: &str = "moved";

/// Acknowledgements of a gateway that is called well.
const WELL: u64 = 100;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// What to do to which binary.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gateways; there is one at a time.
    pub gateways: Gateways,
    /// Events in the file before the copy begins.
    pub events: u64,
    /// Events a second from then on.
    pub per_second: f64,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// As of a fleet on the server.
    pub found: Findings,
    /// Rows that were copied while the file's gateway received, and how long that took.
    pub rows: u64,
    /// See `rows`; with the interruption.
    pub copying: Duration,
    /// Of these rows the ones that had come before the interruption.
    pub rows_before: u64,
    /// Rows that were the same on both sides in the end.
    pub compared: u64,
    /// How long the copy took to be finished.
    pub finishing: Duration,
}

/// The command, and the gateway that its target is for.
struct Copy {
    target: Deployment,
    from: String,
    to: String,
}

impl Plan {
    /// Carries it out.
    ///
    /// # Errors
    /// When a gateway or the database cannot be started or asked, or a copy does not end well.
    pub fn run(&self, cluster: &Cluster) -> Result<Outcome> {
        let application = application()?;
        let (binary, endpoint) = (&self.gateways.binary, application.url());
        let source = Deployment::new(binary, &endpoint, Deliveries::Sent)?;
        cluster.make_database(DATABASE)?;
        let to = cluster.url(SERVING, DATABASE);
        let target = source.moved_to(&to)?;
        target.migrate(&cluster.url(OWNER, DATABASE), SERVING)?;
        let copy = Copy { target, from: format!("sqlite:{}", source.store().display()), to };

        let server = source.serve()?;
        let traffic = Traffic::endless(vec![source.public], 8);
        let before = Traffic { events: self.events, connections: 32, ..traffic.clone() };
        let mut outcome = Outcome::default();
        outcome.found.sent = before.flow().end()?;
        let flow = Traffic { per_second: self.per_second, ..traffic }.flow();
        ensure!(flow.wait_for(WELL, PATIENCE), "nothing is acknowledged");
        copy.beside(cluster, self.events, &mut outcome)?;
        server.stop().context("the gateway of the file")?;
        copy.finish(&mut outcome)?;
        let fleet = Fleet::start(copy.target, 1)?;
        let enough = flow.acknowledged() + WELL;
        ensure!(flow.wait_for(enough, PATIENCE), "nothing is acknowledged on the server");
        outcome.found.sent.take_in(flow.stop()?);
        let shop = self.gateways.shop(application, fleet, DATABASE);
        outcome.found = shop.conclude(cluster, outcome.found)?;
        Ok(outcome)
    }
}

/// What the command says of itself.
#[derive(Debug, Deserialize)]
struct Said {
    interrupted: bool,
    finished: bool,
    verified: Option<bool>,
    tables: Vec<Table>,
}

#[derive(Debug, Deserialize)]
struct Table {
    copied: u64,
    agrees: Option<bool>,
    source: Option<Side>,
    target: Option<Side>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Side {
    rows: u64,
    sha256: String,
}

impl Copy {
    /// Copies what there is beside the gateway, once interrupted when there are about so many rows.
    fn beside(&self, cluster: &Cluster, rows: u64, outcome: &mut Outcome) -> Result<()> {
        let begun = Instant::now();
        let mut first = self.start(&[])?;
        cluster.query(DATABASE, &until_copied(rows))?;
        ensure!(first.try_wait()?.is_none(), "the copy ended before it was interrupted");
        let interrupt = ["-s", "INT", &first.id().to_string()];
        Command::new("kill").args(interrupt).status().context("cannot run kill")?;
        let first = Said::at_the_end_of(first)?;
        ensure!(first.interrupted, "the copy was not interrupted: {first:?}");
        let second = Said::at_the_end_of(self.start(&[])?)?;
        outcome.copying = begun.elapsed();
        (outcome.rows_before, outcome.rows) = (first.copied(), second.copied());
        let goes_on = !second.interrupted && outcome.rows > outcome.rows_before;
        ensure!(goes_on, "the copy did not go on to its end: {second:?}");
        Ok(())
    }

    /// Copies the rest, when no gateway has the file, and notes whether both sides are the same.
    fn finish(&self, outcome: &mut Outcome) -> Result<()> {
        let begun = Instant::now();
        let said = Said::at_the_end_of(self.start(&["--finish"])?)?;
        outcome.finishing = begun.elapsed();
        for table in &said.tables {
            outcome.compared += table.source.as_ref().map_or(0, |side| side.rows);
            if table.agrees != Some(true) || table.source != table.target {
                outcome.found.broken_rules.push(format!("the sides differ: {table:?}"));
            }
        }
        if said.verified != Some(true) || !said.finished || outcome.compared == 0 {
            outcome.found.broken_rules.push(format!("the copy is not verified: {said:?}"));
        }
        Ok(())
    }

    fn start(&self, more: &[&str]) -> Result<Child> {
        let copy = ["store", "copy", "--json", "--from", &self.from, "--to", &self.to];
        self.target.start(&[&copy[..], more].concat())
    }
}

/// Waits at the server, which is told of every page, until there are so many rows or for a minute.
fn until_copied(rows: u64) -> String {
    format!(
        "DO $$ BEGIN
            FOR tries IN 1..12000 LOOP
                EXIT WHEN (SELECT coalesce(sum(rows), 0) FROM copied) >= {rows};
                PERFORM pg_sleep(0.005);
            END LOOP;
        END $$"
    )
}

impl Said {
    /// The line of JSON on standard output.
    fn at_the_end_of(copy: Child) -> Result<Self> {
        let output = copy.wait_with_output()?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("the copy ended with {}: {said}", output.status)
        })
    }

    fn copied(&self) -> u64 {
        self.tables.iter().map(|table| table.copied).sum()
    }
}
