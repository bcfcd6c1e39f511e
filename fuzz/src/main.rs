//! Runs the targets on their seeds and on changed ones, without instrumentation, several at once.

#![expect(clippy::print_stdout, reason = "the counts are what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use fuzz::mutate::{self, Outcome};
use fuzz::{Target, corpus_folder, targets};

/// Feeds every parser of outside bytes with bytes that nobody meant.
#[derive(Parser)]
struct Arguments {
    /// Seconds for each target, or a part of one.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Where the random numbers begin: a run is repeated by its seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this target; `planted` has a bug that must be found.
    #[arg(long)]
    target: Option<String>,
    /// Where an input that breaks a target is written.
    #[arg(long, default_value = "target/fuzz")]
    broken: PathBuf,
    /// Runs this one input again.
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let known = || targets::TARGETS.iter().chain([&targets::PLANTED]);
    let chosen: Vec<Target> = match &arguments.target {
        None => targets::TARGETS.to_vec(),
        Some(name) => vec![*known().find(|t| t.name == name).context("there is no such target")?],
    };
    if let (Some(path), [target]) = (&arguments.input, chosen.as_slice()) {
        (target.run)(&std::fs::read(path)?);
        return Ok(ExitCode::SUCCESS);
    }
    // One line a failure is enough; the input repeats it with all that it says.
    std::panic::set_hook(Box::new(|panic| println!("{panic}")));
    let outcomes = on_every_core(&arguments, &chosen)?;
    let executions: u64 = outcomes.iter().map(|(_, outcome)| outcome.executions).sum();
    let mut all_hold = true;
    for (target, outcome) in &outcomes {
        println!("{:12} {:>10} executions", target.name, outcome.executions);
        if let Some(bytes) = &outcome.broke {
            all_hold = false;
            std::fs::create_dir_all(&arguments.broken)?;
            let path = arguments.broken.join(target.name);
            std::fs::write(&path, bytes)?;
            println!("{} does not hold: --target {0} --input {}", target.name, path.display());
        }
    }
    println!("{executions} executions of {} targets, --seed {}", outcomes.len(), arguments.seed);
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The seeds of a target; `planted` has one that is near its bug.
fn seeds(target: Target) -> Result<Vec<Vec<u8>>> {
    if target.name == targets::PLANTED.name {
        return Ok(vec![b"pay?".to_vec()]);
    }
    fuzz::seeds(target.name)
        .with_context(|| format!("{} has no seeds", corpus_folder(target.name).display()))
}

fn on_every_core(arguments: &Arguments, chosen: &[Target]) -> Result<Vec<(Target, Outcome)>> {
    let left = Mutex::new(chosen.iter());
    let outcomes = Mutex::new(Vec::new());
    let time = Duration::try_from_secs_f64(arguments.seconds).context("--seconds is no time")?;
    let work = || -> Result<()> {
        loop {
            let next = left.lock().ok().and_then(|mut left| left.next().copied());
            let Some(target) = next else { return Ok(()) };
            let outcome = mutate::run(target, &seeds(target)?, arguments.seed, time);
            if let Ok(mut outcomes) = outcomes.lock() {
                outcomes.push((target, outcome));
            }
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("panics are caught"))
    })?;
    Ok(outcomes.into_inner().unwrap_or_default())
}
