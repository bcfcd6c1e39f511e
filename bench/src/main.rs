//! The command line of the measurements.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use bench::load::{Load, Pace};
use bench::preload::{DAYS, Fill};
use bench::prove::{self, Tools, Topic};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Load, a baseline, an application and the proofs of the stated targets")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the baseline: hyper, one HMAC, one group-committed insert
    BareReceiver {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        store: PathBuf,
    },
    /// Send signed 1 KiB Stripe events and print what came back
    Load {
        #[arg(long)]
        target: SocketAddr,
        #[arg(long, default_value = "/in/stripe")]
        path: String,
        #[arg(long, default_value_t = bench::load::CONNECTIONS)]
        connections: usize,
        /// Events a second; without it each connection sends as fast as it is answered
        #[arg(long)]
        rate: Option<f64>,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Measure the claims of a topic: one JSON line each, exit 1 when any does not hold
    Prove {
        topic: Topic,
        #[arg(long)]
        binary: PathBuf,
        /// The gateway's binary with planted defects, for the topic `hardened`
        #[arg(long)]
        sabotaged: Option<PathBuf>,
        /// The gateway's binary without the audit log, for the topic `keys`
        #[arg(long)]
        unaudited: Option<PathBuf>,
        /// The folder of the peers with their packages, for the topics `peers` and `replicas`
        #[arg(long)]
        peers: Option<PathBuf>,
        /// Smaller counts, within a minute
        #[arg(long, conflicts_with = "long")]
        short: bool,
        /// Every count at its highest: takes long
        #[arg(long)]
        long: bool,
        /// Events in the filled store of the full run; the target is stated for ten million
        #[arg(long, default_value_t = 10_000_000)]
        stored_events: u64,
        /// One group of the topic's claims; a wrong name lists them
        #[arg(long)]
        only: Option<String>,
    },
    /// Fill the store of a gateway that does not run
    Preload {
        #[arg(long)]
        store: PathBuf,
        /// The file with the root key
        #[arg(long)]
        key: PathBuf,
        #[arg(long)]
        events: u64,
        /// The newest so many have a delivery that was made
        #[arg(long, default_value_t = 0)]
        delivered: u64,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::BareReceiver { listen, store } => {
            bench::bare::serve(listen, &store, bench::stripe::SECRET)?;
        }
        Command::Load { target, path, connections, rate, seconds } => {
            let pace = rate.map_or(Pace::Closed, Pace::Open);
            let duration = Duration::from_secs(seconds);
            let outcome = Load { target, path, connections, pace, duration }.run()?;
            writeln!(
                std::io::stdout(),
                "{:.0} acknowledged/s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, {:?}, broken {}",
                outcome.per_second(),
                outcome.latencies.quantile_ms(500),
                outcome.latencies.quantile_ms(990),
                outcome.latencies.quantile_ms(999),
                outcome.statuses,
                outcome.broken,
            )?;
        }
        Command::Prove {
            topic,
            binary,
            sabotaged,
            unaudited,
            peers,
            short,
            long,
            stored_events,
            only,
        } => {
            let bench = std::env::current_exe()?;
            let tools = Tools {
                binary,
                bench,
                sabotaged,
                unaudited,
                peers,
                short,
                long,
                stored_events,
                only,
            };
            if !prove::run(topic, &tools)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Preload { store, key, events, delivered } => {
            let key = std::fs::read_to_string(key)?;
            Fill { events, delivered, days: DAYS }.run(&store, key.trim())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
