//! The claims about fuzzing: that nothing breaks, under how much, and that a planted bug is found.
//!
//! The full run builds the targets with the compiler's coverage instrumentation, by which libFuzzer
//! steers; that takes minutes. The short one runs them blind, as `./test` does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::prove::{Got, Proof, Tools};

/// What makes rustc instrument for libFuzzer without a sanitizer: 8-bit counters in each block, and
/// the values that are compared.
const FLAGS: [&str; 9] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// Executions that the long run reaches.
const LONG_EXECUTIONS: u64 = 10_000_000;

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let got = if tools.short { blind() } else { steered(&root, tools.long) };
    let (holds, planted) = match got {
        Ok(Found { holds, planted }) => (Ok(holds), Ok(planted)),
        Err(error) => (Err(anyhow::anyhow!("{error:#}")), Err(error)),
    };
    let goal = "none, in at least 10 s a target, steered by coverage";
    proof.claim("inputs that break a parser's oracle, or crash it", goal, holds)?;
    proof.claim("a planted bug is found by the same machinery", "found", planted)
}

/// What both claims got.
struct Found {
    holds: Got,
    planted: Got,
}

/// Half a second a target, without instrumentation.
fn blind() -> Result<Found> {
    let folder = std::env::current_exe()?.parent().map(Path::to_path_buf);
    let binary = folder.context("a folder of binaries")?.join("fuzz");
    let broken = tempfile::tempdir()?;
    let run = |arguments: &[&str]| {
        Command::new(&binary)
            .args(arguments)
            .arg("--broken")
            .arg(broken.path())
            .stdin(Stdio::null())
            .output()
    };
    let all = run(&["--seconds", "0.5"])?;
    let told = String::from_utf8_lossy(&all.stdout).into_owned();
    let last = told.lines().last().unwrap_or_default().to_owned();
    let n = last.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let broke: Vec<&str> = told.lines().filter(|line| line.contains("does not hold")).collect();
    let planted = run(&["--seconds", "10", "--target", "planted"])?;
    Ok(Found {
        holds: Got {
            got: json!(broke.len()),
            ok: all.status.success() && n > 0,
            n,
            detail: format!("blind, 0.5 s a target: {last}; {}", broke.join("; ")),
        },
        planted: Got {
            got: json!(!planted.status.success()),
            ok: planted.status.code() == Some(1),
            n: 1,
            detail: "blind, from a seed that is near".to_owned(),
        },
    })
}

/// libFuzzer over every target.
fn steered(root: &Path, long: bool) -> Result<Found> {
    let binary = build(root)?;
    let corpus = root.join("fuzz/corpus");
    let mut names: Vec<String> = std::fs::read_dir(&corpus)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    ensure!(!names.is_empty(), "there is no target");
    let mut runs = Vec::new();
    let mut broke = 0;
    loop {
        for name in &names {
            let run = libfuzzer(&binary, name, Some(&corpus.join(name)), 10)?;
            broke += usize::from(run.broke);
            runs.push(run);
        }
        let total: u64 = runs.iter().map(|run| run.executions).sum();
        if broke > 0 || !long || total >= LONG_EXECUTIONS {
            break;
        }
    }
    let planted = libfuzzer(&binary, "planted", None, 30)?;
    let told: Vec<String> = names
        .iter()
        .map(|name| {
            let own = runs.iter().filter(|run| run.name == *name);
            let (executions, broke) = own.fold((0, false), |(executions, broke), run| {
                (executions + run.executions, broke || run.broke)
            });
            format!("{name} {executions}{}", if broke { " BROKEN" } else { "" })
        })
        .collect();
    Ok(Found {
        holds: Got {
            got: json!(broke),
            ok: broke == 0 && runs.iter().all(|run| run.executions > 0),
            n: runs.iter().map(|run| run.executions).sum(),
            detail: format!("steered by coverage, executions: {}", told.join(", ")),
        },
        planted: Got {
            got: json!(planted.broke),
            ok: planted.broke,
            n: planted.executions,
            detail: format!("steered, from nothing, after {} executions", planted.executions),
        },
    })
}

/// Builds the instrumented binary in a target folder of its own.
fn build(root: &Path) -> Result<PathBuf> {
    let target = std::env::current_exe()?
        .ancestors()
        .nth(2)
        .context("a folder of builds")?
        .join("instrumented");
    let host = String::from_utf8(Command::new("rustc").arg("-vV").output()?.stdout)?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).context("a host")?;
    // With a named target the flags are for that alone, and build scripts stay as they are.
    let status = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--package", "fuzz", "--features", "libfuzzer"])
        .args(["--bin", "instrumented", "--target", host])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(root)
        .status()?;
    ensure!(status.success(), "the instrumented targets do not build");
    Ok(target.join(host).join("release/instrumented"))
}

/// What libFuzzer did with one target.
struct Run {
    name: String,
    executions: u64,
    broke: bool,
}

fn libfuzzer(binary: &Path, name: &str, seeds: Option<&Path>, seconds: u32) -> Result<Run> {
    let work = tempfile::tempdir()?;
    let output = Command::new(binary)
        // New inputs go to the first folder; the seeds are only read.
        .arg(work.path())
        .args(seeds)
        .arg(format!("-max_total_time={seconds}"))
        .args(["-print_final_stats=1", "-max_len=4096", "-timeout=10", "-rss_limit_mb=1024"])
        .arg(format!("-artifact_prefix={}/", work.path().display()))
        .env("FUZZ_TARGET", name)
        .stdin(Stdio::null())
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let executions = told
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0);
    let broke = !output.status.success();
    if broke && seeds.is_some() {
        keep(&told, name, work.path())?;
    }
    Ok(Run { name: name.to_owned(), executions, broke })
}

/// Keeps what broke a target beside the binaries, with what was said of it.
fn keep(told: &str, name: &str, work: &Path) -> Result<()> {
    let kept = std::env::current_exe()?.with_file_name("fuzz-broken").join(name);
    std::fs::create_dir_all(&kept)?;
    std::fs::write(kept.join("log"), told)?;
    for entry in std::fs::read_dir(work)? {
        let entry = entry?;
        let file = entry.file_name();
        if ["crash-", "timeout-", "oom-"]
            .iter()
            .any(|kind| file.to_str().is_some_and(|file| file.starts_with(kind)))
        {
            std::fs::copy(entry.path(), kept.join(file))?;
        }
    }
    Ok(())
}
