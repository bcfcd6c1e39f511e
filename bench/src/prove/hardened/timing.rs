//! The claims about constant time: what compares secrets does not tell where they differ.

use anyhow::Result;

use crate::prove::{Got, Proof, Tools, rounded};
use crate::timing::{self, Measured, PLAIN, TOLD_APART};

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let samples = if tools.short { 100_000 } else { 1_000_000 };
    let measured = timing::product(samples);
    proof.claim(
        "time of a comparison of secrets, wrong in the first byte or in the last: largest |t|",
        "< 4.5",
        measured.map(|measured| {
            let largest = measured.iter().map(|one| one.t).fold(0.0, f64::max);
            Got {
                got: rounded(largest),
                ok: !measured.is_empty() && largest < TOLD_APART,
                n: measured.iter().map(|one| one.samples as u64).sum(),
                detail: told(&measured),
            }
        }),
    )?;
    let leaking = timing::leaking(samples);
    proof.claim(
        "time of a comparison that leaks on purpose: |t|",
        "> 20, or the claim above shows nothing",
        Ok(Got {
            got: rounded(leaking.t),
            ok: leaking.t > PLAIN,
            n: leaking.samples as u64,
            detail: told(&[leaking]),
        }),
    )
}

fn told(measured: &[Measured]) -> String {
    let one = |one: &Measured| format!("{} |t| = {:.2}", one.name, one.t);
    measured.iter().map(one).collect::<Vec<_>>().join(", ")
}
