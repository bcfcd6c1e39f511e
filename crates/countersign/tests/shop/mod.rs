//! A folder with a configuration and a store, in which commands are run.

#![expect(clippy::indexing_slicing, reason = "what is not there fails the test")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use store::{Options, Store};
use tempfile::TempDir;

use crate::stores::Backend;

/// A folder with a configuration and a store, as a gateway leaves it.
pub(crate) struct Shop(pub(crate) TempDir);

impl Shop {
    pub(crate) fn new(backend: Backend) -> Self {
        let shop = Self(tempfile::tempdir().expect("a folder"));
        assert!(shop.run(&["init"]).status.success());
        let config = shop.0.path().join("countersign.toml");
        let text = std::fs::read_to_string(&config).expect("it is there");
        std::fs::write(&config, backend.configure(&text)).expect("written");
        if matches!(backend, Backend::Sqlite) {
            let options = Options { reserve_bytes: 64 * 1024, ..Options::default() };
            let file = shop.0.path().join("countersign.db");
            drop(Store::open(&file, options).expect("a store"));
        }
        shop
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    /// Runs a command that reads this.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).current_dir(self.0.path()).env_clear();
        if self.0.path().join(".env").exists() {
            command.args(["--env-file", ".env"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let mut stdin = child.stdin.take().expect("an input");
        // Whoever asks for nothing may be gone already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }

    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        self.told(arguments, "")
    }

    pub(crate) fn told(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run_with(arguments, input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let out = self.text(&[arguments, &["--json"]].concat());
        out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    pub(crate) fn one(&self, arguments: &[&str]) -> Value {
        let mut lines = self.lines(arguments);
        assert_eq!(lines.len(), 1, "{arguments:?}: {lines:?}");
        lines.remove(0)
    }

    /// The exit code and the code of what is wrong.
    pub(crate) fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.refused_with(arguments, "")
    }

    /// [`Shop::refused`], of a command that reads this.
    pub(crate) fn refused_with(&self, arguments: &[&str], input: &str) -> (Option<i32>, String) {
        let output = self.run_with(&[arguments, &["--json"]].concat(), input);
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let errors: Value = serde_json::from_slice(&output.stderr).unwrap_or_default();
        let error = &errors["errors"][0];
        assert!(output.status.code() == Some(2) || error["fix"].is_string(), "{errors}");
        (output.status.code(), error["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// A member that is text.
pub(crate) fn text_of<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} in {value}"))
}
