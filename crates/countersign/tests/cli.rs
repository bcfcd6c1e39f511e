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

#[test]
fn what_is_signed_verifies_and_what_is_changed_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = r#"{"id":"evt_1","object":"event","type":"invoice.paid","livemode":false,"data":{"object":{}}}"#;
    std::fs::write(folder.path().join("body.json"), body).expect("written");
    std::fs::write(folder.path().join("forged.json"), body.replace("paid", "free"))
        .expect("written");
    let variables = [("SECRET", "whsec_test_0123456789abcdef")];
    let from = ["--provider", "stripe", "--secret-env", "SECRET"];
    let run = |arguments: &[&str]| {
        let arguments = [arguments, &from].concat();
        told(&run_in(folder.path(), &arguments, &variables))
    };
    let (code, header, _) = run(&["sign", "--body", "body.json"]);
    assert_eq!(code, 0);
    let header = header.trim();
    let (code, out, _) = run(&["verify", "--body", "body.json", "--header", header]);
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("valid: the signature covers full\n"), "{out}");
    assert!(out.contains("invoice.paid evt_1"), "{out}");
    let forged = ["verify", "--body", "forged.json", "--header", header, "--json"];
    let (code, out, _) = run(&forged);
    assert_eq!(code, 1);
    let verdict = r#"{"covers":null,"reason":"no_matching_key","verdict":"invalid"}"#;
    assert_eq!(out.trim(), verdict);
    let later =
        ["verify", "--body", "body.json", "--header", header, "--at", "2100-01-01T00:00:00Z"];
    assert_eq!(run(&later).1, "invalid: too_old\n");
}

#[test]
fn a_receipt_is_signed_and_verified_by_its_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [("SECRET", "x402_test_receipt_secret_0123456789")];
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("draft.json"), r#"{"tx_ref":"x","amount":0.05,"meta":{"a":1}}"#)
        .expect("written");
    let from = ["--provider", "x402tele", "--receipt", "strong", "--secret-env", "SECRET"];
    let run = |arguments: &[&str]| {
        let arguments = [arguments, &from].concat();
        told(&run_in(folder.path(), &arguments, &variables))
    };
    let (code, out, err) = run(&["sign", "--body", "draft.json", "--json"]);
    assert_eq!(code, 0, "{err}");
    let signed: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let receipt = signed["body"].as_str().expect("a body");
    std::fs::write(path("receipt.json"), receipt).expect("written");
    let (code, out, err) = run(&["verify", "--body", "receipt.json"]);
    assert_eq!(code, 0, "{out}{err}");
    // What is nested is signed too.
    std::fs::write(path("receipt.json"), receipt.replace("\"a\":1", "\"a\":2")).expect("written");
    assert_eq!(run(&["verify", "--body", "receipt.json"]).0, 1);
    let other = ["verify", "--provider", "stripe", "--receipt", "strong", "--secret-env", "SECRET"];
    let (code, _, err) = told(&run_in(
        folder.path(),
        &[&other[..], &["--body", "-"]].concat(),
        &[("SECRET", "whsec_test_0123456789")],
    ));
    assert_eq!(code, 4);
    assert!(err.contains("unknown_receipt"), "{err}");
}

#[test]
fn vectors_are_judged_line_by_line() {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemes/tests/vectors/dev.jsonl");
    let (code, out, err) = run(&["verify", "--vectors", vectors]);
    let text = std::fs::read_to_string(vectors).expect("they are there");
    assert_eq!((code, out.lines().count()), (0, text.lines().count()), "{err}");
    let first = out.lines().next().expect("a line");
    assert_eq!(
        first,
        r#"{"id":"standard-webhooks-01","verdict":"valid","reason":null,"covers":"full"}"#
    );

    let folder = tempfile::tempdir().expect("a folder");
    let changed = folder.path().join("changed.jsonl");
    let wrong = text.replacen(r#""expected": "valid""#, r#""expected": "invalid""#, 1);
    assert_ne!(wrong, text);
    std::fs::write(&changed, wrong).expect("written");
    let (code, _, err) = run(&["verify", "--vectors", changed.to_str().expect("text")]);
    assert_eq!(code, 1);
    assert!(err.contains("1 differ") && err.contains("standard-webhooks-01"), "{err}");

    let unknown =
        text.lines().next().expect("a line").replace("\"standard-webhooks\"", "\"nobody\"");
    std::fs::write(&changed, format!("{unknown}\n\n")).expect("written");
    let path = changed.to_str().expect("text");
    assert_eq!(run(&["verify", "--vectors", path]).0, 1);
    let (code, out, _) = run(&["verify", "--vectors", path, "--known-only"]);
    assert_eq!(code, 0);
    assert!(out.contains(r#""verdict":"unsupported""#), "{out}");
}

#[test]
fn an_operators_own_profile_works_without_another_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join("profiles");
    std::fs::create_dir(&own).expect("made");
    let (_, stripe) =
        schemes::embedded().iter().find(|(name, _)| *name == "stripe").expect("it is embedded");
    std::fs::write(own.join("acme.toml"), stripe).expect("written");
    let config = "[providers]\ndirectory = \"profiles\"\n";
    std::fs::write(folder.path().join("countersign.toml"), config).expect("written");
    let (code, out, err) = told(&run_in(folder.path(), &["providers", "list"], &[]));
    assert_eq!(code, 0, "{err}");
    let row = out.lines().find(|line| line.starts_with("acme")).expect("it is listed");
    assert!(row.contains("folder"), "{row}");
    let (code, out, _) = told(&run_in(folder.path(), &["providers", "show", "acme"], &[]));
    assert!(code == 0 && out.contains("stripe-signature"), "{out}");
    let (code, _, err) = told(&run_in(folder.path(), &["providers", "show", "acmee"], &[]));
    assert_eq!(code, 4);
    assert!(err.contains("unknown_provider") && err.contains("acme"), "{err}");
}

#[test]
fn a_webhook_signed_with_a_certificate_is_verified_with_what_was_fetched() {
    let (_, text) =
        schemes::embedded().iter().find(|(name, _)| *name == "paypal").expect("it is embedded");
    let profile: toml::Table = text.parse().expect("TOML");
    let vector = &profile["vector"][0];
    let text = |key: &str| vector[key].as_str().expect("a text");
    let folder = tempfile::tempdir().expect("a folder");
    for (file, key) in [("body", "body"), ("chain.pem", "certificate"), ("roots.pem", "roots")] {
        std::fs::write(folder.path().join(file), text(key)).expect("written");
    }
    std::fs::write(folder.path().join("cut.pem"), &text("certificate")[..700]).expect("written");
    let headers: Vec<String> = vector["headers"]
        .as_table()
        .expect("headers")
        .iter()
        .flat_map(|(name, value)| {
            ["--header".to_owned(), format!("{name}: {}", value.as_str().expect("a text"))]
        })
        .collect();
    let verify = |more: &[&str]| {
        let start = ["verify", "--provider", "paypal", "--secret-env", "ID", "--body", "body"];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let arguments = [&start[..], &["--at", "2026-01-01T00:00:00Z"], &headers, more].concat();
        told(&run_in(folder.path(), &arguments, &[("ID", text("secret"))]))
    };
    let (code, out, err) =
        verify(&["--certificate", "chain.pem", "--certificate-roots", "roots.pem"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.starts_with("valid: the signature covers checksum"), "{out}");
    // Mozilla trusts nobody who vouches for a made-up one.
    let (code, out, _) = verify(&["--certificate", "chain.pem"]);
    assert_eq!((code, out.trim()), (1, "invalid: certificate_untrusted"));
    let (code, out, _) = verify(&["--certificate", "cut.pem"]);
    assert_eq!((code, out.trim()), (1, "invalid: certificate_unreadable"));
    let (code, _, err) = verify(&[]);
    assert_eq!(code, 4);
    assert!(
        err.contains("certificate_missing") && err.contains("https://api.paypal.com/"),
        "{err}"
    );
    let (code, _, err) = verify(&["--certificate", "chain.pem", "--certificate-roots", "body"]);
    assert_eq!(code, 4);
    assert!(err.contains("unreadable_roots"), "{err}");
}
