//! Every planted defect is caught: the test that `docs/testing.md` names for it fails with the
//! defect, and passes without.
//!
//! The table of that page is the data, so it cannot say what is not so. The test binaries are the
//! ones that the whole suite was built into, run again one test at a time.
#![cfg(feature = "planted")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sabotage::Defect;
use serde_json::Value;

/// How long one test may take.
const PATIENCE: Duration = Duration::from_secs(300);

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the crate stands two folders deep").to_path_buf()
}

/// One row of the table: a defect, and a test that must notice it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    defect: String,
    file: String,
    test: String,
}

fn rows(page: &str) -> Vec<Row> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let quoted = |cell: &str| cell.strip_prefix('`')?.strip_suffix('`').map(str::to_owned);
    page.lines()
        .filter_map(|line| match cells(line).as_slice() {
            [_, defect, _, test, _] => {
                let (file, test) =
                    quoted(test)?.split_once("::").map(|(f, t)| (f.into(), t.into()))?;
                Some(Row { defect: quoted(defect)?, file, test })
            }
            _ => None,
        })
        .collect()
}

/// A test binary: where its source begins, and the file.
struct Binary {
    source: PathBuf,
    folder: PathBuf,
    file: PathBuf,
}

/// The features that `./test` builds with: with others, everything would be built a second time.
fn features() -> String {
    let script = std::fs::read_to_string(root().join("test")).expect("the test command");
    let features = script
        .lines()
        .find_map(|line| line.strip_prefix("features=(--features ")?.strip_suffix(')'));
    features.expect("the test command names its features").to_owned()
}

/// The test binaries of the workspace, built as `./test` builds them.
fn binaries() -> Vec<Binary> {
    let output = Command::new(env!("CARGO"))
        .args(["test", "--workspace", "--features", &features(), "--no-run"])
        .args(["--message-format", "json", "--quiet", "--offline", "--locked"])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the workspace does not build");
    let text = |value: &Value, path: &str| value.pointer(path)?.as_str().map(PathBuf::from);
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/profile/test") == Some(&Value::Bool(true)))
        .filter_map(|message| {
            Some(Binary {
                source: text(&message, "/target/src_path")?,
                folder: text(&message, "/manifest_path")?.parent()?.to_path_buf(),
                file: text(&message, "/executable")?,
            })
        })
        .collect()
}

impl Binary {
    /// Whether a source file is a part of it.
    fn holds(&self, file: &Path) -> bool {
        let unit = self.folder.join("src");
        if file.starts_with(&unit) {
            return self.source == unit.join("lib.rs");
        }
        self.source == file
            || file.parent().is_some_and(|folder| self.source == folder.join("main.rs"))
    }

    /// The full name of the only test that is called so.
    fn full_name(&self, test: &str) -> Option<String> {
        let output =
            Command::new(&self.file).args(["--list", "--format", "terse"]).output().ok()?;
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let end = format!("::{test}");
        let mut named = listed
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .filter(|name| *name == test || name.ends_with(&end));
        let only = named.next()?.to_owned();
        named.next().is_none().then_some(only)
    }

    /// Runs one test, with a defect or without; whether it passed.
    fn passes(&self, name: &str, defect: Option<&str>) -> Result<bool, String> {
        let mut command = Command::new(&self.file);
        command.args(["--exact", name]).current_dir(&self.folder);
        command.env_remove("COUNTERSIGN_SABOTAGE");
        command.envs(defect.map(|defect| ("COUNTERSIGN_SABOTAGE", defect)));
        let output = tempfile::tempfile().expect("a file");
        let error = output.try_clone().expect("the same file");
        command.stdin(Stdio::null()).stdout(output).stderr(error);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                return Ok(status.success());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("takes longer than {} s", PATIENCE.as_secs()))
    }
}

/// A row, and the test that it names.
struct Found<'a> {
    row: &'a Row,
    binary: &'a Binary,
    name: String,
}

impl Row {
    fn place(&self) -> String {
        format!("{}: {}::{}", self.defect, self.file, self.test)
    }

    fn find<'a>(&'a self, binaries: &'a [Binary]) -> Result<Found<'a>, String> {
        let file = root().join(&self.file);
        let binary = binaries.iter().find(|binary| binary.holds(&file));
        let binary = binary.ok_or(format!("{}: no test binary holds this file", self.place()))?;
        let name = binary.full_name(&self.test);
        let name = name.ok_or(format!("{}: not exactly one test is called so", self.place()))?;
        Ok(Found { row: self, binary, name })
    }
}

impl Found<'_> {
    /// What is wrong if the test, run with its defect or without, does not end so.
    fn fault(&self, defect: Option<&str>, wanted: bool) -> Option<String> {
        let place = self.row.place();
        match (self.binary.passes(&self.name, defect), defect) {
            (Ok(passes), _) if passes == wanted => None,
            (Ok(_), Some(_)) => Some(format!("{place}: the test does not notice the defect")),
            (Ok(_), None) => Some(format!("{place}: the test fails without the defect")),
            (Err(error), _) => Some(format!("{place}: {error}")),
        }
    }
}

/// What is wrong with items, found two at a time on every core: most tests wait for something.
fn faults<T: Sync>(items: &[T], fault: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let left = Mutex::new(items.iter());
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 * std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(item) = left.lock().expect("no panic").next() else { break };
                    let fault = fault(item);
                    found.lock().expect("no panic").extend(fault);
                }
            });
        }
    });
    found.into_inner().expect("no panic")
}

/// What is wrong with the rows: each test must fail with its defect, and pass without any.
fn check(rows: &[Row], binaries: &[Binary]) -> Vec<String> {
    let (found, missing): (Vec<_>, Vec<_>) =
        rows.iter().map(|row| row.find(binaries)).partition(Result::is_ok);
    let found: Vec<Found<'_>> = found.into_iter().flatten().collect();
    let mut tests = BTreeSet::new();
    let once: Vec<_> =
        found.iter().filter(|one| tests.insert((&one.binary.file, &one.name))).collect();
    let mut wrong: Vec<String> = missing.into_iter().filter_map(Result::err).collect();
    wrong.extend(faults(&once, |one| one.fault(None, true)));
    wrong.extend(faults(&found, |one| one.fault(Some(&one.row.defect), false)));
    wrong
}

#[test]
fn every_planted_defect_is_caught() {
    let page = std::fs::read_to_string(root().join("docs/testing.md")).expect("the table");
    let rows = rows(&page);
    let told: BTreeSet<&str> = rows.iter().map(|row| row.defect.as_str()).collect();
    let planted: BTreeSet<&str> = Defect::ALL.iter().map(|defect| defect.code()).collect();
    assert_eq!(told, planted, "docs/testing.md names each defect that there is");

    let started = Instant::now();
    let binaries = binaries();
    let faults = check(&rows, &binaries);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    let (defects, tests) = (planted.len(), rows.len());
    println!("{defects} defects caught by {tests} tests in {} s", started.elapsed().as_secs());

    // A test that looks elsewhere, and one that is not there, would be noticed.
    let row = |test: &str| Row {
        defect: Defect::JitterNegative.code().to_owned(),
        file: "crates/model/src/retry.rs".to_owned(),
        test: test.to_owned(),
    };
    let blind = check(&[row("the_schedule_is_ten_attempts")], &binaries).concat();
    assert!(blind.contains("does not notice"), "{blind}");
    let missing = check(&[row("nothing_is_called_so")], &binaries).concat();
    assert!(missing.contains("not exactly one"), "{missing}");
}
