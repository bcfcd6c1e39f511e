//! The claim about where deliveries may go, as far as a start can tell: the rest, with names that
//! change what they mean, is in `crates/gateway/tests/gateway/ssrf.rs` over the same targets.

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::deployment::{Deliveries, Deployment};
use crate::prove::{Got, Proof, Tools};

const TARGETS: &str = include_str!("../../../../crates/gateway/tests/ssrf/targets.tsv");

/// Stands in the configuration until a target takes its place.
const PLACEHOLDER: &str = "http://placeholder.example.com/";

/// Measures every claim of this file.
pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    proof.claim(
        "starts with a private address, a foreign port or credentials as the endpoint, or connections to it",
        "0",
        starts(tools),
    )
}

fn starts(tools: &Tools) -> Result<Got> {
    let trap = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0"))?;
    trap.set_nonblocking(true)?;
    let port = trap.local_addr()?.port().to_string();
    let deployment = Deployment::new(&tools.binary, PLACEHOLDER, Deliveries::Sent)?;
    let mut base = String::new();
    deployment.configure(|text| {
        base = text.replace("allow_private = true", "allow_private = false");
        base.clone()
    })?;

    let (mut faults, mut tried) = (Vec::new(), 0);
    for line in TARGETS.lines().filter(|line| !line.starts_with('#')) {
        let (rest, want) = line.rsplit_once('\t').context("three columns")?;
        let (url, _) = rest.split_once('\t').context("three columns")?;
        if want == "starts" {
            continue;
        }
        tried += 1;
        let written = format!("'{}'", url.replace("{port}", &port));
        let quoted = format!("\"{PLACEHOLDER}\"");
        deployment.configure(|_| base.replace(&quoted, &written))?;
        match deployment.serve() {
            Ok(server) => {
                server.stop()?;
                faults.push(format!("{url} starts"));
            }
            Err(_) => {
                let said = std::fs::read_to_string(deployment.log())?;
                if !said.contains(want) {
                    faults.push(format!("{url} is not refused as {want}"));
                }
            }
        }
    }
    let connections = std::iter::from_fn(|| trap.accept().ok()).count();
    if connections > 0 {
        faults.push(format!("{connections} connections"));
    }
    Ok(Got {
        got: json!(faults.len()),
        ok: faults.is_empty(),
        n: tried,
        detail: format!("starts of the binary, one target each: {}", faults.join("; ")),
    })
}
