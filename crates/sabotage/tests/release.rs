//! A release cannot be built with a planted defect.

use std::path::Path;
use std::process::{Command, Output};

/// Checks this crate in the release profile.
fn check_release(features: &[&str]) -> Output {
    let target = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO"))
        .args(["check", "--release", "--quiet", "--offline", "--locked", "--lib"])
        .args(features)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .env("CARGO_TARGET_DIR", target.path())
        .output()
        .expect("cargo runs")
}

#[test]
fn a_release_with_a_planted_defect_does_not_build() {
    let planted = check_release(&["--features", "planted"]);
    let said = String::from_utf8_lossy(&planted.stderr).into_owned();
    assert!(!planted.status.success() && said.contains("must not be released"), "{said}");
    // It is the feature that is refused.
    assert!(check_release(&[]).status.success());
}
