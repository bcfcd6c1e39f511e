//! The claims about power cuts.

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::power::{Findings, Plan};
use crate::prove::{Got, Proof, Tools};

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let seed = crate::clock::fresh_seed();
    let (lives, cuts_per_life) = if tools.short { (2, 5) } else { (20, 5) };
    let binary = tools.binary.clone();
    let plan = Plan { binary, lives, cuts_per_life, seed, connections: 16, sabotage: None };
    let findings = plan.run();
    proof.claim(
        "power cuts under load: acknowledged events lost",
        "0, and no other promise broken",
        Ok(Got {
            got: json!(findings.lost),
            ok: findings.lost == 0 && findings.faults.is_empty() && findings.in_write_back > 0,
            n: findings.cuts.into(),
            detail: told(seed, &findings),
        }),
    )?;
    proof.claim(
        "power cuts under load: stores that SQLite calls damaged",
        "0",
        Ok(Got {
            got: json!(findings.damaged),
            ok: findings.damaged == 0 && findings.cuts == lives * cuts_per_life,
            n: findings.cuts.into(),
            detail: "integrity_check of what each cut left".into(),
        }),
    )?;
    proof.claim(
        "power cuts notice a store that does not sync its log: acknowledged events lost",
        "> 0",
        unsynced(tools),
    )
}

/// A test that cannot fail shows nothing: the same cuts, `synchronous=NORMAL`.
fn unsynced(tools: &Tools) -> Result<Got> {
    let seed = crate::clock::fresh_seed();
    let binary = tools.sabotaged.clone().context("no binary with planted defects was given")?;
    let sabotage = Some("synchronous-normal");
    let lives = if tools.short { 1 } else { 3 };
    let plan = Plan { binary, lives, cuts_per_life: 3, seed, connections: 16, sabotage };
    let findings = plan.run();
    Ok(Got {
        got: json!(findings.lost),
        ok: findings.lost > 0,
        n: findings.cuts.into(),
        detail: format!("seed {seed}: of {} acknowledged; debug build", findings.acknowledged),
    })
}

fn told(seed: u64, findings: &Findings) -> String {
    let Findings { cuts, torn, in_write_back, acknowledged, .. } = findings;
    format!(
        "seed {seed}: {acknowledged} acknowledged, {cuts} cuts, {torn} of them tore what was not \
         synced, {in_write_back} came in a write-back, ready again within {} ms{}{}",
        findings.ready_after_max.as_millis(),
        if findings.faults.is_empty() { "" } else { ": " },
        findings.faults.join("; "),
    )
}
