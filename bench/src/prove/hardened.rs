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

use super::{Proof, Tools};

/// Measures every claim of the topic.
pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    hostile::prove(tools, proof)?;
    half_open::prove(tools, proof)?;
    ssrf::prove(tools, proof)?;
    power::prove(tools, proof)?;
    faults::prove(tools, proof)?;
    fuzz::prove(tools, proof)?;
    timing::prove(tools, proof)
}
