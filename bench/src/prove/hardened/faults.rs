//! A machine that fails: a full disk.

use anyhow::Result;

use crate::full;
use crate::prove::{Got, Proof, Tools};

/// Measures every claim of this file.
pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    proof.claim(
        "full_disk",
        "503 with Retry-After within 1 s, nothing acknowledged is lost, commands still work, webhooks \
         are taken again within 5 s of room, with no hand laid on",
        full_disk(tools),
    )
}

fn full_disk(tools: &Tools) -> Result<Got> {
    let cycles = match tools {
        Tools { short: true, .. } => 2,
        Tools { long: true, .. } => 200,
        _ => 10,
    };
    let found = full::Plan { binary: tools.binary.clone(), cycles }.run()?;
    let faults = found.faults();
    Ok(Got {
        got: serde_json::json!({
            "acknowledged": found.findings.acknowledged,
            "lost": found.findings.lost.len(),
            "refused": found.refused,
            "refused_after_max_ms": found.refused_after_max.as_millis(),
            "taken_after_max_ms": found.taken_after_max.as_millis(),
        }),
        ok: faults.is_empty(),
        n: u64::from(cycles),
        detail: if faults.is_empty() {
            "cycles of filling and emptying a 64 MiB disk under load, one with kill -9".to_owned()
        } else {
            faults.join("; ")
        },
    })
}
