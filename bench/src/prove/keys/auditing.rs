//! What the audit log costs: acknowledgements a second beside a build that writes no entries.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::super::acknowledgements::Measured;
use super::super::inbound::Counts;
use super::super::{Got, Proof, Tools, rounded};
use crate::deployment::{Deliveries, Deployment, NO_APPLICATION};

/// The gateway with and without its audit log, side by side.
struct Beside {
    audited: Measured,
    unaudited: Measured,
}

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    proof.claim(
        "durable acknowledgements a second, beside a build that writes no audit entries",
        ">= 0.85",
        beside(tools).map(|Beside { audited, unaudited }| {
            let got = audited.per_second() / unaudited.per_second();
            let failed = audited.failed() + unaudited.failed();
            Got {
                got: rounded(got),
                ok: got >= 0.85 && failed == 0,
                n: audited.requests(),
                detail: format!(
                    "{:.0} and {:.0} a second, CPU {:.1} and {:.1} us, {failed} failed",
                    audited.per_second(),
                    unaudited.per_second(),
                    audited.cpu_us(),
                    unaudited.cpu_us()
                ),
            }
        }),
    )
}

fn beside(tools: &Tools) -> Result<Beside> {
    let counts = Counts::of(tools);
    let unaudited = tools.unaudited.as_deref().context("no build without the audit log")?;
    let serve = |binary: &Path| -> Result<(Deployment, Measured)> {
        let deployment = Deployment::new(binary, NO_APPLICATION, Deliveries::Paused)?;
        let server = deployment.serve()?;
        let measured = Measured::new(server, deployment.public);
        Ok((deployment, measured))
    };
    let (with, mut audited) = serve(&tools.binary)?;
    let (without, mut unaudited) = serve(unaudited)?;
    for _ in 0..counts.pairs {
        for one in [&mut audited, &mut unaudited] {
            one.closed(counts.warm_up, counts.throughput)?;
            ensure!(one.requests() > 0, "nothing was acknowledged");
        }
    }
    ensure!(entries(&with)? > audited.requests(), "the build with the audit log wrote none");
    ensure!(entries(&without)? == 0, "the build without the audit log wrote entries");
    Ok(Beside { audited, unaudited })
}

/// Audit entries in the store of a deployment.
fn entries(deployment: &Deployment) -> Result<u64> {
    let store = rusqlite::Connection::open(deployment.store())?;
    let entries: i64 = store.query_row("SELECT count(*) FROM audit_entry", [], |row| row.get(0))?;
    Ok(u64::try_from(entries)?)
}
