//! A machine that fails: a full disk, and calls that fail one by one.

use anyhow::Result;

use crate::full;
use crate::prove::{Got, Proof, Tools};
use crate::refused::{FAULTS, Plan};

/// Measures every claim of this file.
pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    proof.claim(
        "a disk that fills under load",
        "503 with Retry-After within 1 s, nothing acknowledged is lost, commands still work, webhooks \
         are taken again within 5 s of room, with no hand laid on",
        full_disk(tools),
    )?;
    proof.claim(
        "the n-th system call fails under load",
        "whichever call fails, nothing acknowledged is lost; a failed sync ends the process and is \
         never tried again",
        nth_call_fails(tools),
    )
}

fn full_disk(tools: &Tools) -> Result<Got> {
    let cycles = match tools {
        Tools { short: true, .. } => 2,
        Tools { long: true, .. } => 200,
        _ => 10,
    };
    let found = full::Plan { binary: tools.binary.clone(), cycles }.run()?;
    let faults = found.faults(1);
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
            "cycles of filling and emptying a 256 MiB disk under load, one with kill -9".to_owned()
        } else {
            faults.join("; ")
        },
    })
}

fn nth_call_fails(tools: &Tools) -> Result<Got> {
    let nth: Vec<u32> = match tools {
        Tools { short: true, .. } => vec![1, 3, 9],
        Tools { long: true, .. } => (1..=200).collect(),
        _ => (1..=50).collect(),
    };
    let (mut faults, mut rounds) = (Vec::new(), 0);
    let (mut injected, mut acknowledged, mut lost, mut ended, mut not_started) = (0, 0, 0, 0, 0);
    for fault in FAULTS {
        let binary = tools.binary.clone();
        let found = Plan { binary, fault, nth: nth.clone(), sabotage: None }.run()?;
        let named = format!("{} {}", fault.calls, fault.error);
        faults.extend(found.faults().into_iter().map(|wrong| format!("{named}: {wrong}")));
        rounds += nth.len();
        injected += found.injected;
        acknowledged += found.findings.acknowledged;
        lost += found.findings.lost.len();
        ended += found.ended;
        not_started += found.not_started;
    }
    Ok(Got {
        got: serde_json::json!({
            "calls_failed": injected, "acknowledged": acknowledged, "lost": lost,
            "ended": ended, "not_started": not_started,
        }),
        ok: faults.is_empty(),
        n: u64::try_from(rounds)?,
        detail: if faults.is_empty() {
            format!(
                "rounds over {} kinds of fault, each followed by a start on a disk that works",
                FAULTS.len()
            )
        } else {
            faults.join("; ")
        },
    })
}
