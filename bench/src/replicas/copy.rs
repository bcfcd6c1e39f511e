//! A shop that moves from a file to a server while it receives, as the manual says.
//!
//! The copy is interrupted once and goes on; then the gateway of the file stops, the copy is
//! finished, and a gateway at the same addresses starts on the server. The sender knows of none of
//! it: what is not acknowledged it sends again.

use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

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
    pub fn run(&self) -> Result<Outcome> {
        let application = application()?;
        let (binary, endpoint) = (&self.gateways.binary, application.url());
        let source = Deployment::new(binary, &endpoint, Deliveries::Sent)?;
        let cluster = Cluster::start(&[])?;
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
        copy.beside(&cluster, self.events, &mut outcome)?;
        server.stop().context("the gateway of the file")?;
        copy.finish(&mut outcome)?;
        let fleet = Fleet::start(copy.target, 1)?;
        let enough = flow.acknowledged() + WELL;
        ensure!(flow.wait_for(enough, PATIENCE), "nothing is acknowledged on the server");
        outcome.found.sent.take_in(flow.stop()?);
        let shop = self.gateways.shop(application, fleet, DATABASE);
        outcome.found = shop.conclude(&cluster, outcome.found)?;
        Ok(outcome)
    }
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
        let said = said(&first.wait_with_output()?)?;
        ensure!(said["interrupted"] == true, "the copy was not interrupted: {said}");
        outcome.rows_before = copied(&said);
        let whole = said_of(self.start(&[])?)?;
        outcome.copying = begun.elapsed();
        ensure!(whole["interrupted"] == false, "the copy did not end: {whole}");
        outcome.rows = copied(&whole);
        ensure!(outcome.rows > outcome.rows_before, "the copy did not go on: {whole}");
        Ok(())
    }

    /// Copies the rest, when no gateway has the file, and notes whether both sides are the same.
    fn finish(&self, outcome: &mut Outcome) -> Result<()> {
        let begun = Instant::now();
        let said = said_of(self.start(&["--finish"])?)?;
        outcome.finishing = begun.elapsed();
        for table in tables(&said) {
            let rows = table["source"]["rows"].as_u64();
            if table["agrees"] != true || rows.is_none() || table["source"] != table["target"] {
                outcome.found.broken_rules.push(format!("the sides differ: {table}"));
            }
            outcome.compared += rows.unwrap_or(0);
        }
        if said["verified"] != true || said["finished"] != true || outcome.compared == 0 {
            outcome.found.broken_rules.push(format!("the copy is not verified: {said}"));
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

/// The line of JSON on standard output.
fn said(output: &Output) -> Result<Value> {
    let parsed = serde_json::from_slice(&output.stdout);
    parsed.with_context(|| {
        format!(
            "the copy ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

fn said_of(copy: Child) -> Result<Value> {
    said(&copy.wait_with_output()?)
}

fn tables(said: &Value) -> impl Iterator<Item = &Value> {
    said["tables"].as_array().into_iter().flatten()
}

fn copied(said: &Value) -> u64 {
    tables(said).filter_map(|table| table["copied"].as_u64()).sum()
}
