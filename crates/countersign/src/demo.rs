//! `demo`: the whole way on one machine, and what tries to get in beside it.
//!
//! The cast: the gateway, started from a configuration file as `serve` starts it; a **simulator**
//! of each provider of the five guides; the sample **application**. They live in one process and
//! speak HTTP over loopback only. The plot: a mixed **stream** of good events, in which answers
//! are lost, providers repeat themselves, the application fails and the gateway is restarted; then
//! the **attacks**, the guides' own flaws among them, and **orders** of each guide that are paid as
//! ordered and otherwise. The **verdict** is reached from what the simulators and the application have
//! written down, never from what was meant to happen; the gateway is asked only why it refused or
//! held something, and where an order stands.

mod attack;
mod capture;
mod observe;
mod operator;
mod orders;
mod report;
mod show;
mod stage;
mod stream;
mod verdict;

use std::io::Write;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::commands::Ended;
use crate::failure::{Failure, Outcome};
use orders::Book;
use show::Show;
use stage::Stage;
use verdict::Verdict;

/// How long the application may go without a delivery while some are still owed: longer than the
/// first wait between two attempts.
const PATIENCE: Duration = Duration::from_secs(8);
/// What should not arrive at all gets this long to arrive.
const STRAY: Duration = Duration::from_millis(500);

/// The options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave everything running afterwards, to look around; Ctrl-C stops it.
    #[arg(long)]
    pub(crate) keep_running: bool,
    /// Plant a defect that the demo must find.
    #[arg(long = "break", hide = true, value_name = "DEFECT")]
    pub(crate) defect: Option<Defect>,
    /// Send everything through one address, as a load balancer does.
    #[arg(long, hide = true)]
    pub(crate) behind_balancer: bool,
}

/// A defect that the demo must find, to show that it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Defect {
    /// The application fails on every delivery.
    #[value(name = "app-500")]
    AppFails,
    /// The application acknowledges deliveries and loses them.
    #[value(name = "drop")]
    AppDrops,
    /// The forger has got hold of the secret, so that the forgery is accepted and delivered.
    #[value(name = "forge-accept")]
    ForgeryAccepted,
}

/// Runs the demo and says whether everything was as it should be.
pub(crate) fn run(args: &Args, json: bool) -> Ended {
    let captured = capture::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| cannot("start the runtime", error))?;
    let ended = runtime.block_on(walk(args, json, &captured));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn walk(args: &Args, json: bool, captured: &capture::Captured) -> Ended {
    let started = Instant::now();
    let show = Show::new();
    let mut signals = Signals::new()?;
    // Whatever ends the play, the stage goes with it: no folder with secrets stays behind.
    let (stage, verdict) = tokio::select! {
        played = play(args, &show, captured) => played?,
        () = signals.next() => {
            show.finish();
            let fix = "run it again: it takes some seconds and leaves nothing behind";
            return Err(Failure::new("interrupted", "the demo was interrupted", fix));
        }
    };
    show.finish();
    let seconds = started.elapsed().as_secs_f64();
    let report = if json {
        show.wrongs(&report::wrongs(&verdict));
        report::json(&verdict, seconds)
    } else {
        report::text(&verdict, seconds)
    };
    writeln!(std::io::stdout(), "{report}")?;
    if args.keep_running {
        show.visitors(&stage)?;
        signals.next().await;
    }
    stage.close().await;
    Ok(if verdict.is_good() { Outcome::Done } else { Outcome::No })
}

async fn play(
    args: &Args,
    show: &Show,
    captured: &capture::Captured,
) -> Result<(Stage, Verdict), Failure> {
    let mut stage = Stage::set(args.behind_balancer).await?;
    show.cast(&stage);
    stage.application.feel(match args.defect {
        Some(Defect::AppFails) => sandbox::Mood::Failing { status: 500, times: u32::MAX },
        Some(Defect::AppDrops) => sandbox::Mood::Losing,
        Some(Defect::ForgeryAccepted) | None => stream::HICCUP,
    });
    let sent = stream::send(&mut stage, show).await?;
    let is_leaked = args.defect == Some(Defect::ForgeryAccepted);
    let (mut shots, book) = attack::run(&mut stage, show, &sent, is_leaked).await?;
    settle(&stage, &book, show).await;
    shots.extend(attack::aftermath(&stage, &shots, captured).await);
    let orders = book.close(&stage.application.diary()).await?;
    let verdict = Verdict::reach(&stage, &sent, shots, orders);
    Ok((stage, verdict))
}

/// What a person or a supervisor stops the demo with.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| cannot("listen for signals", error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Waits until the application has all it is owed, and then a little for what it is not.
async fn settle(stage: &Stage, book: &Book, show: &Show) {
    let owed = verdict::owed(&stage.surroundings.ledger) + book.owed();
    let accepted = || {
        let diary = stage.application.diary();
        verdict::accepted(&diary) + book.heard(&diary)
    };
    let mut last = (accepted(), Instant::now());
    while last.0 < owed && last.1.elapsed() < PATIENCE {
        show.waiting(last.0, owed);
        tokio::time::sleep(Duration::from_millis(25)).await;
        let accepted = accepted();
        if accepted != last.0 {
            last = (accepted, Instant::now());
        }
    }
    tokio::time::sleep(STRAY).await;
    show.delivered(accepted(), owed);
}

/// The demo itself could not go on.
fn cannot(what: &str, error: impl std::fmt::Display) -> Failure {
    let fix = "see that loopback, a temporary folder and enough open files are to be had";
    Failure::new("demo_failed", format!("cannot {what}: {error}"), fix)
}
