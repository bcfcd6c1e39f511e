//! The topic `keys`: the audit log that cannot be changed unseen, what it costs, and API keys.

mod api_keys;
mod auditing;
mod tamper;
mod verification;

use anyhow::Result;

use super::{Group, Proof, Tools, each};

const GROUPS: [Group; 4] = [
    ("api_keys", api_keys::prove),
    ("tamper", tamper::prove),
    ("verification", verification::prove),
    ("auditing", auditing::prove),
];

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    each(&GROUPS, tools, tools.only.as_deref(), proof)
}
