//! Every way to tamper with a log, at random places of a large one, and two verifiers that must agree.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use audit::testing::{Log, Random, Tamper, keys};
use audit::{VerifyError, Witness, verify};
use serde_json::{Value, json};

use super::super::{Got, Proof, Tools};
use crate::clock::fresh_seed;

/// Entries from one checkpoint to the next: what a minute of a busy gateway is at least.
const EVERY: u64 = 1_000;

/// The script of the other verifier.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/audit/verify.py");

/// How much is done.
struct Counts {
    entries: u64,
    /// Places at which each way is tried.
    times: usize,
    /// Verdicts that are asked of the other verifier too.
    compared: usize,
}

/// What was done, and what came of it.
#[derive(Default)]
struct Found {
    tampered: u64,
    missed: Vec<String>,
    compared: u64,
    differing: Vec<String>,
}

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let counts = if tools.short {
        Counts { entries: 25_000, times: 1, compared: 6 }
    } else {
        Counts { entries: 100_000, times: 40, compared: 2 * Tamper::ALL.len() }
    };
    let seed = fresh_seed();
    let found = tamper(tools, seed, &counts).with_context(|| format!("seed {seed}"));
    let told = |found: Vec<String>| found.into_iter().take(5).collect::<Vec<_>>().join("; ");
    let (missed, differing) = match found {
        Ok(found) => {
            let entries = format!("of a log of {} entries, seed {seed}", counts.entries);
            let missed = Got {
                got: json!(found.missed.len()),
                ok: found.missed.is_empty() && found.tampered > 0,
                n: found.tampered,
                detail: format!(
                    "{} ways, {} places each, {entries}; those that need a witness pass \
                     without one {}",
                    Tamper::ALL.len(),
                    counts.times,
                    told(found.missed)
                ),
            };
            let differing = Got {
                got: json!(found.differing.len()),
                ok: found.differing.is_empty() && found.compared > 0,
                n: found.compared,
                detail: format!(
                    "verdicts of tests/audit/verify.py, {entries} {}",
                    told(found.differing)
                ),
            };
            (Ok(missed), Ok(differing))
        }
        Err(error) => {
            let again = anyhow::anyhow!("{error:#}");
            (Err(error), Err(again))
        }
    };
    proof.claim("tampering that is not found, or found elsewhere", "0", missed)?;
    proof.claim("verdicts on which the independent verifier differs", "0", differing)
}

fn tamper(tools: &Tools, seed: u64, counts: &Counts) -> Result<Found> {
    let log = Log::of(counts.entries, EVERY, seed);
    let mut random = Random(seed);
    let folder = tempfile::tempdir()?;
    let python = python(tools)?;
    let mut found = Found::default();
    let export = log.export();
    let whole = judged(&export, &log.witness())?;
    ensure!(whole.get("verdict") == Some(&json!("ok")), "as it was made: {whole}");
    for round in 0..counts.times {
        for (number, tamper) in Tamper::ALL.iter().enumerate() {
            let tampered = tamper.apply(&log, &mut random);
            found.tampered += 1;
            let name = || format!("{} at {}", tamper.name(), tampered.first);
            for with_witness in [false, true] {
                let witness = if with_witness { tampered.witness.as_slice() } else { &[] };
                let verdict = Witness::read(&mut &*witness, &keys()).and_then(|witness| {
                    verify(&mut tampered.export.as_slice(), &keys(), &witness, &mut |_| ())
                });
                let needs_witness = tamper.faults().0.is_none() && !with_witness;
                let is_right = match verdict {
                    Ok(_) => needs_witness,
                    Err(VerifyError::Fault(fault)) => tampered.is_found_by(&fault, with_witness),
                    Err(VerifyError::Read(error)) => return Err(error.into()),
                };
                if !is_right {
                    found.missed.push(name());
                }
            }
            let spread = Tamper::ALL.len() * counts.times / counts.compared.max(1);
            let turn = round * Tamper::ALL.len() + number;
            if turn.is_multiple_of(spread.max(1)) {
                let ours = judged(&tampered.export, &tampered.witness)?;
                let theirs =
                    judged_by(&python, &tampered.export, &tampered.witness, folder.path())?;
                found.compared += 1;
                if ours != theirs {
                    found.differing.push(name());
                }
            }
        }
    }
    Ok(found)
}

fn judged(export: &[u8], witness: &[u8]) -> Result<Value> {
    let verdict = Witness::read(&mut &*witness, &keys())
        .and_then(|witness| verify(&mut &*export, &keys(), &witness, &mut |_| ()));
    let text = match verdict {
        Ok(verified) => verified.to_json(),
        Err(VerifyError::Fault(fault)) => fault.to_json(),
        Err(VerifyError::Read(error)) => return Err(error.into()),
    };
    Ok(serde_json::from_str(&text)?)
}

/// The other verifier, where `./prove` has installed what it needs.
fn python(tools: &Tools) -> Result<PathBuf> {
    let target = tools.peers.as_ref().and_then(|peers| peers.parent()).context("no folder")?;
    let python = target.join("sdk/python/bin/python");
    ensure!(python.exists(), "no Python of ./prove: its packages could not be installed");
    Ok(python)
}

fn judged_by(python: &Path, export: &[u8], witness: &[u8], folder: &Path) -> Result<Value> {
    let (of_export, of_witness) = (folder.join("export"), folder.join("witness"));
    std::fs::write(&of_export, export)?;
    std::fs::write(&of_witness, witness)?;
    let [key] = keys();
    let mut command = Command::new(python);
    let output = command.arg(SCRIPT).arg(key.to_string()).args([of_export, of_witness]).output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
