//! Claims: what is measured, what is aimed at, and whether it holds. One JSON line each.

mod acknowledgements;
mod deliveries;
mod hardened;
mod inbound;
mod keys;
mod millions;
mod orders;
mod peers;
mod replicas;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;

/// What a run measures with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The gateway's release binary.
    pub binary: PathBuf,
    /// This program, which serves the bare receiver too.
    pub bench: PathBuf,
    /// The gateway's binary with planted defects, which is a debug build.
    pub sabotaged: Option<PathBuf>,
    /// The gateway's binary without the audit log.
    pub unaudited: Option<PathBuf>,
    /// The folder of the peers, with the packages that they need.
    pub peers: Option<PathBuf>,
    /// Smaller counts, within a minute. Only the full run may claim a target.
    pub short: bool,
    /// The run that takes hours where a topic has one.
    pub long: bool,
    /// Events in the filled store of the full run.
    pub stored_events: u64,
    /// Of a topic's groups of claims this one alone.
    pub only: Option<String>,
}

/// Claims that are measured together with something, and the name by which they can be asked for
/// alone.
type Group<T = Tools> = (&'static str, fn(&T, &mut Proof) -> Result<()>);

/// Measures a topic's groups, or the one that was asked for, and tells on standard error how long each
/// took.
fn each<T>(groups: &[Group<T>], with: &T, only: Option<&str>, proof: &mut Proof) -> Result<()> {
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let names: Vec<_> = groups.iter().map(|(name, _)| *name).collect();
    ensure!(
        names.iter().any(|name| wanted(name)),
        "no such group: take one of {}",
        names.join(", ")
    );
    for (name, group) in groups.iter().filter(|(name, _)| wanted(name)) {
        let begun = Instant::now();
        group(with, proof)?;
        let seconds = begun.elapsed().as_secs_f64();
        writeln!(std::io::stderr(), "{name}: {seconds:.1} s")?;
    }
    Ok(())
}

/// What can be proved.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Topic {
    /// The way in: acknowledgements, deliveries, memory, starts, kills.
    Inbound,
    /// Hostile input, hostile networks, failing machines.
    Hardened,
    /// The audit log and API keys.
    Keys,
    /// What makes an order paid, and what does not.
    Orders,
    /// Receivers as they are commonly written.
    Peers,
    /// Several gateways on one PostgreSQL: kills, failovers, lost commits, outages, throughput.
    Replicas,
}

/// One line of the proof.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Claim {
    claim: &'static str,
    goal: &'static str,
    got: serde_json::Value,
    ok: bool,
    /// How much was counted: requests, seconds, starts or kills, as `detail` says.
    n: u64,
    short: bool,
    detail: String,
}

/// What a measurement found.
struct Got {
    got: serde_json::Value,
    ok: bool,
    n: u64,
    detail: String,
}

/// Prints claims as they are found, and remembers whether all hold.
struct Proof {
    short: bool,
    all_ok: bool,
}

impl Proof {
    /// A measurement that could not be made is a claim that does not hold.
    fn claim(&mut self, claim: &'static str, goal: &'static str, got: Result<Got>) -> Result<()> {
        let Got { got, ok, n, detail } = got.unwrap_or_else(|error| Got {
            got: serde_json::Value::Null,
            ok: false,
            n: 0,
            detail: format!("could not be measured: {error:#}"),
        });
        self.all_ok &= ok;
        let line = Claim { claim, goal, got, ok, n, short: self.short, detail };
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &line)?;
        writeln!(out)?;
        out.flush()?;
        Ok(())
    }
}

/// Measures a topic; whether every claim holds.
///
/// # Errors
/// When the lines cannot be printed. What cannot be measured is a claim that does not hold.
pub fn run(topic: Topic, tools: &Tools) -> Result<bool> {
    let mut proof = Proof { short: tools.short, all_ok: true };
    match topic {
        Topic::Inbound => inbound::prove(tools, &mut proof)?,
        Topic::Hardened => hardened::prove(tools, &mut proof)?,
        Topic::Keys => keys::prove(tools, &mut proof)?,
        Topic::Orders => orders::prove(tools, &mut proof)?,
        Topic::Replicas => replicas::prove(tools, &mut proof)?,
        Topic::Peers => {
            each(&[("peers", peers::prove)], tools, tools.only.as_deref(), &mut proof)?;
        }
    }
    Ok(proof.all_ok)
}

/// Two decimals, as a JSON number.
fn rounded(value: f64) -> serde_json::Value {
    serde_json::json!((value * 100.0).round() / 100.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_measured_does_not_hold() {
        let mut proof = Proof { short: true, all_ok: true };
        proof.claim("a claim", "a goal", Err(anyhow::anyhow!("no such tool"))).unwrap();
        assert!(!proof.all_ok);
    }

    #[test]
    fn one_failed_claim_fails_the_proof_for_good() {
        let got = |ok| Ok(Got { got: rounded(1.0), ok, n: 1, detail: String::new() });
        let mut proof = Proof { short: false, all_ok: true };
        proof.claim("first", "", got(true)).unwrap();
        assert!(proof.all_ok);
        proof.claim("second", "", got(false)).unwrap();
        proof.claim("third", "", got(true)).unwrap();
        assert!(!proof.all_ok);
    }

    #[test]
    fn a_group_that_is_not_there_is_an_error_and_one_that_is_stands_alone() {
        let mut proof = Proof { short: true, all_ok: true };
        let groups: [Group<()>; 2] =
            [("one", |_, _| Ok(())), ("two", |_, _| anyhow::bail!("the second was measured"))];
        assert!(each(&groups, &(), Some("one"), &mut proof).is_ok());
        let refused = each(&groups, &(), Some("three"), &mut proof).unwrap_err().to_string();
        assert_eq!(refused, "no such group: take one of one, two");
        assert!(each(&groups, &(), None, &mut proof).is_err());
    }

    #[test]
    fn figures_are_rounded_and_medians_are_measured_values() {
        assert_eq!(rounded(0.6789), serde_json::json!(0.68));
        assert_eq!(median(vec![9.0, 1.0, 3.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
    }
}
