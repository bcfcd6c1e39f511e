//! The topic `keys`: the audit log that cannot be changed unseen, what it costs, API keys, and signing in.

mod api_keys;
mod auditing;
mod sign_in;
mod tamper;
mod verification;

use anyhow::Result;

use super::{Group, Proof, Tools, each};

const GROUPS: [Group; 5] = [
    ("api_keys", api_keys::prove),
    ("sign_in", sign_in::prove),
    ("tamper", tamper::prove),
    ("verification", verification::prove),
    ("auditing", auditing::prove),
];

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    each(&GROUPS, tools, tools.only.as_deref(), proof)
}
