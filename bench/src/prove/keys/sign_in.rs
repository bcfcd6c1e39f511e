//! Whether the time of a refused sign-in tells what was wrong with it, and that it would be seen if it
//! did: the same measurement of a build that is made to leak.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::super::{Got, Proof, Tools, rounded};
use crate::timing::{PLAIN, TOLD_APART};

/// The program that measures, beside the gateway's binary.
const PROGRAM: &str = "examples/sign_in_times";

/// Memory, where a folder of it is there: a disk is louder than what is looked for.
const QUIET: &str = "/dev/shm";

/// The leak that is planted.
const LEAK: &str = "sign-in-leaks";

/// The pair that the leak is in.
const LEAKING: &str = "unknown login";

/// What the program says of a pair.
#[derive(Deserialize)]
struct Pair {
    name: String,
    t: f64,
    samples: u64,
}

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let (samples, leaking) = if tools.short { (100, 100) } else { (100_000, 5_000) };
    proof.claim(
        "time of a refused sign-in, by what was wrong: largest |t|",
        "< 4.5",
        measure(&tools.binary, samples, None).map(|pairs| {
            let largest = pairs.iter().map(|pair| pair.t).fold(0.0, f64::max);
            got(&pairs, largest, largest < TOLD_APART)
        }),
    )?;
    let sabotaged = tools.sabotaged.as_deref().context("no build with planted defects");
    let leaks = sabotaged.and_then(|binary| measure(binary, leaking, Some(LEAK)));
    proof.claim(
        "time of a refused sign-in where unknown logins are not hashed, on purpose: |t|",
        "> 20, or the claim above shows nothing",
        leaks.map(|pairs| {
            let first = pairs.first().map_or(0.0, |pair| pair.t);
            got(&pairs, first, first > PLAIN)
        }),
    )
}

fn got(pairs: &[Pair], t: f64, ok: bool) -> Got {
    let one = |pair: &Pair| format!("{}: |t| = {:.2}", pair.name, pair.t);
    Got {
        got: rounded(t),
        ok,
        n: pairs.iter().map(|pair| pair.samples).sum(),
        detail: pairs.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}

/// Runs the program that stands beside a binary.
fn measure(beside: &Path, samples: usize, defect: Option<&str>) -> Result<Vec<Pair>> {
    let program = beside.parent().context("a folder")?.join(PROGRAM);
    let mut command = Command::new(&program);
    command.arg(samples.to_string()).env_remove("COUNTERSIGN_SABOTAGE");
    let quiet = Path::new(QUIET);
    command.arg(if quiet.is_dir() { quiet.to_owned() } else { std::env::temp_dir() });
    command.args(defect.map(|_| LEAKING));
    command.envs(defect.map(|defect| ("COUNTERSIGN_SABOTAGE", defect)));
    let output = command.output().with_context(|| program.display().to_string())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let pairs: Vec<Pair> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(!pairs.is_empty(), "nothing was measured");
    Ok(pairs)
}
