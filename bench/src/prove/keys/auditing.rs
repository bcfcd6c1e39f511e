//! What the audit log costs: acknowledgements a second beside a build that writes no entries.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::super::acknowledgements::{BARE_CPU_US_MAX, Measured, bare};
use super::super::inbound::Counts;
use super::super::{Got, Proof, Tools, rounded};
use crate::deployment::{Deliveries, Deployment, NO_APPLICATION};

/// The gateway with and without its audit log, and the bare receiver, side by side.
struct Beside {
    audited: Measured,
    unaudited: Measured,
    bare: Measured,
}

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let measured = beside(tools);
    let with = |judge: &dyn Fn(&Beside) -> Got| match &measured {
        Ok(beside) => Ok(judge(beside)),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    proof.claim(
        "durable acknowledgements a second, beside a build that writes no audit entries",
        ">= 0.85",
        with(&|beside| ratio(&beside.audited, &beside.unaudited, 0.85)),
    )?;
    proof.claim(
        "durable acknowledgements a second of that build, beside the bare receiver",
        ">= 0.6",
        with(&|beside| {
            let got = ratio(&beside.unaudited, &beside.bare, 0.6);
            Got { ok: got.ok && beside.bare.cpu_us() <= BARE_CPU_US_MAX, ..got }
        }),
    )
}

fn ratio(ours: &Measured, theirs: &Measured, goal: f64) -> Got {
    let got = ours.per_second() / theirs.per_second();
    let failed = ours.failed() + theirs.failed();
    Got {
        got: rounded(got),
        ok: got >= goal && failed == 0,
        n: ours.requests(),
        detail: format!(
            "{:.0} and {:.0} a second, CPU {:.1} and {:.1} us, {failed} failed",
            ours.per_second(),
            theirs.per_second(),
            ours.cpu_us(),
            theirs.cpu_us()
        ),
    }
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
    let folder = tempfile::tempdir()?;
    let (server, address) = bare(tools, folder.path())?;
    let mut bare = Measured::new(server, address);
    for _ in 0..counts.pairs {
        for one in [&mut audited, &mut unaudited, &mut bare] {
            one.closed(counts.warm_up, counts.throughput)?;
            ensure!(one.requests() > 0, "nothing was acknowledged");
        }
    }
    ensure!(entries(&with)? > audited.requests(), "the build with the audit log wrote none");
    ensure!(entries(&without)? == 0, "the build without the audit log wrote entries");
    Ok(Beside { audited, unaudited, bare })
}

/// Audit entries in the store of a deployment.
fn entries(deployment: &Deployment) -> Result<u64> {
    let store = rusqlite::Connection::open(deployment.store())?;
    let entries: i64 = store.query_row("SELECT count(*) FROM audit_entry", [], |row| row.get(0))?;
    Ok(u64::try_from(entries)?)
}
