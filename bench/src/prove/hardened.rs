//! The topic `hardened`: hostile input, hostile networks, failing machines.
//!
//! A file under `hardened/` a kind of claim; each adds its lines to the proof.

mod faults;
mod fuzz;
mod half_open;
mod hostile;
mod power;
mod ssrf;
mod timing;

use anyhow::Result;

use super::{Group, Proof, Tools, each};

const GROUPS: [Group; 7] = [
    ("hostile", hostile::prove),
    ("half-open", half_open::prove),
    ("ssrf", ssrf::prove),
    ("power", power::prove),
    ("faults", faults::prove),
    ("fuzz", fuzz::prove),
    ("timing", timing::prove),
];

/// Measures every claim of the topic.
pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    each(&GROUPS, tools, tools.only.as_deref(), proof)
}
