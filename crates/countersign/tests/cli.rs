//! The binary as people meet it: its help, its answers, its exit codes.

use std::path::Path;
use std::process::{Command, Output};

fn run_in(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the binary runs")
}

/// The exit code, standard output and standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    told(&run_in(Path::new("/"), arguments, &[]))
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn it_has_a_version() {
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out), (0, format!("countersign {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn it_explains_itself() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(out);
}

#[test]
fn every_command_has_a_help_that_says_what_it_is_for() {
    let mut visit = vec![countersign::command()];
    while let Some(command) = visit.pop() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty(), "{}", command.get_name());
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "{} {}", command.get_name(), argument.get_id());
        }
        visit.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    assert_eq!(run(&["nothing"]).0, 2);
    assert_eq!(run(&["verify"]).0, 2);
    assert_eq!(run(&["events", "show", "not-an-id"]).0, 2);
    assert_eq!(run(&["verify", "--vectors", "x", "--provider", "y"]).0, 2);
}

#[test]
fn a_missing_configuration_exits_with_3_and_says_what_to_do() {
    let (code, out, err) = run(&["serve", "--config", "/nowhere/countersign.toml"]);
    assert_eq!((code, out.as_str()), (3, ""));
    insta::assert_snapshot!(err, @r"
    error: /nowhere/countersign.toml: there is no such file [config_unreadable]
      fix: name it with --config FILE, or make one with `countersign init`
    1 fault in the configuration
    ");
    let (code, _, err) = run(&["events", "list", "--json", "--config", "/nowhere/x.toml"]);
    assert_eq!(code, 3);
    let errors: serde_json::Value = serde_json::from_str(&err).expect("JSON");
    assert_eq!(errors["errors"][0]["code"], "config_unreadable");
}

#[test]
fn what_init_writes_names_the_variables_that_it_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, err) = told(&run_in(folder.path(), &["init"], &[]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("countersign serve --env-file .env"), "{out}");

    let (code, out, err) = told(&run_in(folder.path(), &["serve"], &[]));
    assert_eq!((code, out.as_str()), (3, ""));
    insta::assert_snapshot!(err, @r"
    error: countersign.toml:21: source[0].secrets[0]: the variable STRIPE_WEBHOOK_SECRET is not set [variable_unset]
      fix: export STRIPE_WEBHOOK_SECRET=… before the start (or start with --env-file .env, if it is set there)
    countersign.toml:27: endpoint[0].secret: the variable APP_WEBHOOK_SECRET is not set [variable_unset]
      fix: export APP_WEBHOOK_SECRET=… before the start (or start with --env-file .env, if it is set there)
    2 faults in the configuration
    ");
}

#[test]
fn a_literal_secret_stops_the_start_and_is_not_said() {
    let folder = tempfile::tempdir().expect("a folder");
    run_in(folder.path(), &["init"], &[]);
    let path = folder.path().join("countersign.toml");
    let text = std::fs::read_to_string(&path).expect("it is there");
    let text = text.replace("${env:STRIPE_WEBHOOK_SECRET}", "whsec_test_hush");
    std::fs::write(&path, text).expect("written");
    for arguments in [["serve", "--env-file", ".env"].as_slice(), &["serve", "--json"]] {
        let (code, out, err) = told(&run_in(folder.path(), arguments, &[]));
        assert_eq!(code, 3);
        assert!(err.contains("literal_secret") && err.contains("21"), "{err}");
        assert!(!out.contains("hush") && !err.contains("hush"), "{err}");
    }
}

#[test]
fn secrets_are_not_taken_from_the_command_line() {
    let (code, _, err) =
        run(&["verify", "--provider", "stripe", "--secret", "hush", "--body", "-"]);
    assert_eq!(code, 2);
    assert!(err.contains("--secret"), "{err}");
    let unset = ["verify", "--provider", "stripe", "--secret-env", "NOT_SET", "--body", "-"];
    let (code, _, err) = run(&unset);
    assert_eq!(code, 3);
    assert!(err.contains("variable_unset"), "{err}");
}
