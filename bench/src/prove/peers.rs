//! The topic `peers`: the gateway beside receivers as they are commonly written, in turns.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::acknowledgements::{BARE_CPU_US_MAX, BARE_STORE, Measured, bare};
use super::{Got, Proof, Tools, rounded};
use crate::deployment::{Deliveries, Deployment, NO_APPLICATION};
use crate::peers::{self, Keeps, Peer, examine};

/// Everybody who is measured.
struct Field {
    ours: Contender,
    bare: Contender,
    express_sqlite: Contender,
    express_postgres: Contender,
    nginx: Contender,
    /// What they do wrong, ourselves left to the tests.
    faults: Vec<String>,
    _deployment: Deployment,
}

struct Contender {
    claim: &'static str,
    durability: &'static str,
    measured: Measured,
    /// After the servers, which use it until they end.
    _keeps: Option<Keeps>,
}

/// How often and how long each is measured.
struct Rounds {
    count: u32,
    warm_up: Duration,
    measured: Duration,
}

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let rounds = if tools.short {
        Rounds { count: 1, warm_up: Duration::from_millis(500), measured: Duration::from_secs(2) }
    } else {
        Rounds { count: 5, warm_up: Duration::from_secs(1), measured: Duration::from_secs(6) }
    };
    let field = Field::measured(tools, &rounds);
    let with = |judge: &dyn Fn(&Field) -> Got| match &field {
        Ok(field) => Ok(judge(field)),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    proof.claim(
        "peers verify signatures and keep each event once: faults",
        "0",
        with(&|field| Got {
            got: json!(field.faults.len()),
            ok: field.faults.is_empty(),
            n: 4,
            detail: field.faults.join("; "),
        }),
    )?;
    for of in [
        (|field| &field.ours) as fn(&Field) -> &Contender,
        |field| &field.bare,
        |field| &field.express_sqlite,
        |field| &field.express_postgres,
        |field| &field.nginx,
    ] {
        let claim = field.as_ref().map_or("a receiver: acknowledgements", |field| of(field).claim);
        proof.claim(claim, "0 failed", with(&|field| of(field).got()))?;
    }
    proof.claim(
        "durable acknowledgements a second, beside the bare receiver in these runs",
        ">= 0.6",
        with(&|field| {
            let fair = field.bare.measured.cpu_us() <= BARE_CPU_US_MAX;
            let got = field.ours.beside(&field.bare, 0.6);
            Got { ok: got.ok && fair, ..got }
        }),
    )?;
    proof.claim(
        "durable acknowledgements a second, beside Express with the provider's SDK and SQLite",
        ">= 10",
        with(&|field| field.ours.beside(&field.express_sqlite, 10.0)),
    )
}

impl Field {
    fn measured(tools: &Tools, rounds: &Rounds) -> Result<Self> {
        let mut field = Self::start(tools)?;
        for _ in 0..rounds.count {
            for contender in [
                &mut field.ours,
                &mut field.bare,
                &mut field.express_sqlite,
                &mut field.express_postgres,
                &mut field.nginx,
            ] {
                contender
                    .measured
                    .closed(rounds.warm_up, rounds.measured)
                    .with_context(|| contender.claim)?;
                ensure!(contender.measured.requests() > 0, "{}: none", contender.claim);
            }
        }
        Ok(field)
    }

    fn start(tools: &Tools) -> Result<Self> {
        let installed = tools.peers.as_deref().context("the peers are not installed")?;
        let deployment = Deployment::new(&tools.binary, NO_APPLICATION, Deliveries::Paused)?;
        let ours = Contender {
            claim: "countersign: acknowledgements a second, CPU us each",
            durability: "SQLite, fsync before 2xx, group commit",
            measured: Measured::new(deployment.serve()?, deployment.public),
            _keeps: None,
        };
        let folder = tempfile::tempdir()?;
        let (server, address) = bare(tools, folder.path())?;
        let keeps = Keeps::Sqlite(folder.path().join(BARE_STORE), folder);
        let bare = Peer { server, database: None, address, keeps };
        let mut faults = Vec::new();
        Ok(Self {
            ours,
            bare: Contender::new(
                bare,
                "bare receiver: acknowledgements a second, CPU us each",
                "SQLite, fsync before 2xx, group commit",
                &mut faults,
            )?,
            express_sqlite: Contender::new(
                peers::express_sqlite(installed)?,
                "Express, better-sqlite3: acknowledgements a second, CPU us each",
                "SQLite, fsync before 2xx, a commit each; one process",
                &mut faults,
            )?,
            express_postgres: Contender::new(
                peers::express_postgres(installed)?,
                "Express, PostgreSQL: acknowledgements a second, CPU us each",
                "PostgreSQL, fsync before 2xx, ten connections; one process and the database's",
                &mut faults,
            )?,
            nginx: Contender::new(
                peers::nginx(installed)?,
                "nginx, Lua: acknowledgements a second, CPU us each",
                "stores nothing; two workers",
                &mut faults,
            )?,
            faults,
            _deployment: deployment,
        })
    }
}

impl Contender {
    fn new(
        peer: Peer,
        claim: &'static str,
        durability: &'static str,
        faults: &mut Vec<String>,
    ) -> Result<Self> {
        let found = examine(peer.address, &peer.keeps).context(claim)?;
        faults.extend(found.into_iter().map(|fault| format!("{claim}: {fault}")));
        let measured = Measured::new(peer.server, peer.address).with_database(peer.database);
        Ok(Self { claim, durability, measured, _keeps: Some(peer.keeps) })
    }

    fn got(&self) -> Got {
        let measured = &self.measured;
        Got {
            got: json!([rounded(measured.per_second()), rounded(measured.cpu_us())]),
            ok: measured.failed() == 0,
            n: measured.requests(),
            detail: format!("{}; {} failed", self.durability, measured.failed()),
        }
    }

    /// How many times the other's rate; whether that is enough, and nothing failed.
    fn beside(&self, other: &Self, enough: f64) -> Got {
        let (ours, theirs) = (&self.measured, &other.measured);
        let got = ours.per_second() / theirs.per_second();
        Got {
            got: rounded(got),
            ok: got >= enough && ours.failed() + theirs.failed() == 0,
            n: ours.requests(),
            detail: format!("{:.0} and {:.0} a second", ours.per_second(), theirs.per_second()),
        }
    }
}
