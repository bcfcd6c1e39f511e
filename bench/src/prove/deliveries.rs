//! Deliveries as fast as events come: what is left at the end, and the highest rate kept.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::inbound::Counts;
use super::{Got, Proof, Tools};
use crate::application::{Application, Reading};
use crate::deployment::{Deliveries, Deployment, SOURCE_PATH};
use crate::load::{Load, Pace};

/// After the last acknowledgement, deliveries under way may take so long.
const DRAIN: Duration = Duration::from_secs(1);

/// Tried one after the other until one is not kept.
const RATES: [u32; 9] = [1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 12_000];

/// A rate that was offered, and what was left of it.
struct Kept {
    accepted: u64,
    failed: u64,
    backlog: u64,
}

pub(super) fn prove(tools: &Tools, counts: &Counts, proof: &mut Proof) -> Result<()> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let application = Application::start(listen, Reading::Headers)?;
    let keep = |per_second: u32, duration: Duration| -> Result<Kept> {
        application.reset();
        let deployment = Deployment::new(&tools.binary, &application.url(), Deliveries::Sent)?;
        let server = deployment.serve()?;
        let pace = Pace::Open(per_second.into());
        let outcome = Load::new(deployment.public, SOURCE_PATH, pace, duration).run()?;
        let accepted = outcome.acknowledged();
        application.wait_for(usize::try_from(accepted)?, DRAIN);
        let backlog = accepted.saturating_sub(u64::try_from(application.distinct())?);
        server.kill();
        Ok(Kept { accepted, failed: outcome.failed(), backlog })
    };
    let seconds = counts.delivery.as_secs();
    let sustained = keep(1_000, counts.delivery).map(|kept| Got {
        got: json!(kept.backlog),
        ok: kept.backlog == 0 && kept.failed == 0 && kept.accepted > 0,
        n: kept.accepted,
        detail: format!("1000 a second for {seconds} s, {} failed; one second to end", kept.failed),
    });
    proof.claim("backlog after deliveries at 1,000 events a second", "0", sustained)?;

    let highest = (|| {
        let mut highest = 0;
        for rate in RATES {
            let kept = keep(rate, counts.highest_rate)?;
            let offered = f64::from(rate) * counts.highest_rate.as_secs_f64();
            if kept.backlog > 0 || kept.failed > 0 || (kept.accepted as f64) < offered * 0.99 {
                break;
            }
            highest = rate;
        }
        let seconds = counts.highest_rate.as_secs();
        Ok(Got {
            got: json!(highest),
            ok: highest >= 1_000,
            n: seconds,
            detail: format!("each rate for {seconds} s, the application on the same two cores"),
        })
    })();
    proof.claim("highest rate of deliveries kept, events a second", ">= 1000, stated", highest)
}
