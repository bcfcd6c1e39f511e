//! Edges: which crate may know which, and what the pure ones never reach.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::{none, root};

/// Every crate of the workspace and those of ours that it may use.
const EDGES: [(&str, &[&str]); 14] = [
    ("fuzz", &["model", "redact", "schemes", "vault", "audit", "chains", "gateway", "countersign"]),
    ("sabotage", &[]),
    ("model", &[]),
    ("schemes", &[]),
    ("vault", &[]),
    ("policy", &["model"]),
    ("redact", &[]),
    ("audit", &[]),
    ("chains", &[]),
    ("store", &["model", "vault", "audit"]),
    ("gateway", &["model", "schemes", "vault", "policy", "redact", "audit", "chains", "store"]),
    ("sandbox", &["model", "schemes"]),
    (
        "countersign",
        &[
            "model", "schemes", "vault", "policy", "redact", "audit", "chains", "store", "gateway",
            "sandbox",
        ],
    ),
    ("bench", &["model", "schemes", "vault", "policy", "audit", "store", "gateway", "sandbox"]),
];

/// These take bytes and a time and give values.
const PURE: [&str; 7] = ["model", "schemes", "vault", "policy", "redact", "audit", "chains"];

/// What the pure crates reach by no way.
const IMPURE: [&str; 7] =
    ["tokio", "hyper", "hyper-util", "rusqlite", "refinery", "tower", "getrandom"];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints text")
}

/// Each crate of ours and what it names as a dependency, but for its tests.
fn named() -> BTreeMap<String, BTreeSet<String>> {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo prints JSON");
    let packages = metadata.get("packages").and_then(Value::as_array).expect("a list of packages");
    let member =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let name = |value: &Value| member(value, "name").expect("a name");
    let edges = packages.iter().map(|package| {
        let dependencies = package.get("dependencies").and_then(Value::as_array);
        let dependencies = dependencies.expect("a list of dependencies").iter();
        let normal = dependencies.filter(|one| member(one, "kind").as_deref() != Some("dev"));
        (name(package), normal.map(name).collect())
    });
    edges.collect()
}

#[test]
fn the_table_of_edges_names_every_crate() {
    let table: BTreeSet<String> = EDGES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let workspace: BTreeSet<String> = named().into_keys().collect();
    assert_eq!(table, workspace);
    let known = |name: &&str| table.contains(*name);
    assert!(PURE.iter().all(known));
    assert!(EDGES.iter().flat_map(|(_, edges)| edges.iter()).all(known));
}

#[test]
fn crates_use_only_what_they_may() {
    let named = named();
    let mut faults = Vec::new();
    for (name, allowed) in EDGES {
        let used = named.get(name).expect("the table names every crate");
        for other in used.iter().filter(|other| named.contains_key(*other)) {
            // In a release it is a constant, so everybody may ask it.
            if !allowed.contains(&other.as_str()) && other != "sabotage" {
                faults.push(format!("{name} uses {other}"));
            }
        }
    }
    none(faults);
}

/// Everything that a crate reaches, by name.
fn reached(name: &str) -> BTreeSet<String> {
    let tree = cargo(&["tree", "--package", name, "--edges", "normal", "--prefix", "none"]);
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn pure_crates_reach_no_runtime_and_no_store() {
    // A misspelt name would be reached by nobody: each must be reached by somebody.
    let whole = reached("countersign");
    let mut faults: Vec<String> = IMPURE
        .iter()
        .filter(|name| !whole.contains(**name))
        .map(|name| format!("{name} does not exist"))
        .collect();
    for name in PURE {
        let reached = reached(name);
        let impure = IMPURE.iter().filter(|impure| reached.contains(**impure));
        faults.extend(impure.map(|impure| format!("{name} reaches {impure}")));
    }
    none(faults);
}

#[test]
fn only_the_store_has_sql() {
    let users = named().into_iter().filter(|(_, used)| used.contains("rusqlite"));
    let users: Vec<String> = users.map(|(name, _)| name).filter(|name| name != "bench").collect();
    assert_eq!(users, ["store"]);
}
