//! How fast an export of the audit log is verified, on one core.

use std::time::Instant;

use anyhow::{Result, ensure};
use audit::testing::{Log, keys};
use audit::{Witness, verify};
use serde_json::json;

use super::super::{Got, Proof, Tools, median};

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let entries = if tools.short { 200_000 } else { 1_000_000 };
    proof.claim("audit entries verified a second, on one core", ">= 500000", rate(entries))
}

fn rate(entries: u32) -> Result<Got> {
    let log = Log::of(entries.into(), 1_000, 1);
    let export = log.export();
    let bytes = export.len() / log.rows.len();
    drop(log);
    let mut rates = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let verified = verify(&mut export.as_slice(), &keys(), &Witness::default(), &mut |_| ());
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(verified.is_ok_and(|verified| verified.size == u64::from(entries)));
        rates.push(f64::from(entries) / seconds);
    }
    let rate = median(rates);
    Ok(Got {
        got: json!(rate.round()),
        ok: rate >= 500_000.0,
        n: entries.into(),
        detail: format!(
            "the median of five, lines of {bytes} bytes, a checkpoint every 1,000 entries"
        ),
    })
}
