//! The topic `orders`: what makes an order paid, and what does not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use super::{Got, Group, Proof, Tools, each};

const GROUPS: [Group; 1] = [("storm", storms)];

/// The program that lets storms loose, beside the gateway's binary.
const PROGRAM: &str = "examples/storm";

/// What is planted, to see that it would be found.
const DEFECTS: [&str; 3] = ["block-by-height", "tier-of-one-payment", "first-node-believed"];

/// Storms in which a planted defect must be found.
const PLANTED_RUNS: u64 = 40;

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    each(&GROUPS, tools, tools.only.as_deref(), proof)
}

/// What the program says.
#[derive(Deserialize)]
struct Storms {
    runs: u64,
    faults: Vec<u64>,
    seen: BTreeMap<String, u64>,
}

fn storms(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let runs = if tools.short { 200 } else { 1_000 };
    proof.claim(
        "storms of forks, lying nodes and crashes: orders paid without confirmations, or paid for good without their payment",
        "0 storms",
        run(&tools.binary, runs, None).and_then(|storms| {
            let times = |what: &str| storms.seen.get(what).copied().unwrap_or_default();
            let (paid, reversed) = (times("paid"), times("reversed"));
            ensure!(paid > 0 && reversed > 0, "nothing was paid or reversed");
            Ok(Got {
                got: json!(storms.faults.len()),
                ok: storms.faults.is_empty(),
                n: storms.runs,
                detail: format!("{paid} paid, {reversed} reversed, {} forks", times("reorgs")),
            })
        }),
    )?;
    let sabotaged = tools.sabotaged.as_deref().context("no build with planted defects");
    let found = sabotaged.and_then(|binary| {
        let without = run(binary, PLANTED_RUNS, None)?.faults.len();
        ensure!(without == 0, "{without} storms break it without a defect");
        let found =
            DEFECTS.iter().map(|defect| Ok(run(binary, PLANTED_RUNS, Some(defect))?.faults.len()));
        found.collect::<Result<Vec<_>>>()
    });
    proof.claim(
        "the same storms with a planted defect each: defects that are found",
        "all 3, or the claim above shows nothing",
        found.map(|found| {
            let seen = found.iter().filter(|storms| **storms > 0).count();
            let each: Vec<_> = DEFECTS
                .iter()
                .zip(&found)
                .map(|(name, storms)| format!("{name} in {storms}"))
                .collect();
            Got {
                got: json!(seen),
                ok: seen == DEFECTS.len(),
                n: PLANTED_RUNS,
                detail: format!("of {PLANTED_RUNS} storms each: {}", each.join(", ")),
            }
        }),
    )
}

/// Lets storms loose by the program that stands beside a binary.
fn run(beside: &Path, runs: u64, defect: Option<&str>) -> Result<Storms> {
    let program = beside.parent().context("a folder")?.join(PROGRAM);
    let mut command = Command::new(&program);
    command.arg(runs.to_string()).env_remove("COUNTERSIGN_SABOTAGE").stderr(Stdio::null());
    command.envs(defect.map(|defect| ("COUNTERSIGN_SABOTAGE", defect)));
    let output = command.output().with_context(|| program.display().to_string())?;
    ensure!(output.status.success(), "it failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}
