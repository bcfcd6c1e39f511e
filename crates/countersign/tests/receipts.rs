//! `countersign receipt verify`: its verdicts, its exit codes, and what it says of a weak form.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

const SECRET: &str = "whsec_x402tele_test";
/// Signed by the example of the guide, and another tool.
const GOOD: &str = r#"{"tx_ref":"5KJp8...","amount":0.05,"currency":"USDC","chain":"solana","command":"analyze","user_id":"tg:123","idempotency_key":"abc-123","ts":"2025-11-05T10:00:00Z","settlement_ms":1850,"signature":"c0fcc07e52881af0d994786afcdd151f3b007f1056fe42dfef1dc6fd5f378b50"}"#;
/// The same, with a value inside of a value: the guide's form signs nothing of `price`.
const NESTED: &str = r#"{"tx_ref":"5KJp8...","amount":0.05,"currency":"USDC","chain":"solana","command":"analyze","user_id":"tg:123","idempotency_key":"abc-123","ts":"2025-11-05T10:00:00Z","settlement_ms":1850,"details":{"price":9999,"chain":"solana"},"signature":"27fb2f91cfef82a4c6ab9be37d2b3e29b1f1876922350ab2d92c42b75eed273d"}"#;

/// Gives the receipt on standard input; the exit code, standard output and standard error.
fn verify(receipt: &[u8], more: &[&str]) -> (i32, String, String) {
    judge("x402tele", SECRET, "-", receipt, more)
}

fn judge(
    provider: &str,
    secret: &str,
    file: &str,
    receipt: &[u8],
    more: &[&str],
) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["receipt", "verify", file, "--provider", provider, "--secret-env", "SECRET"])
        .args(more)
        .current_dir(Path::new("/"))
        .env_clear()
        .env("SECRET", secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // What is refused before it is read leaves nobody to write to.
    let _ = child.stdin.take().expect("a pipe").write_all(receipt);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn document(out: &str) -> Value {
    serde_json::from_str(out).expect("JSON")
}

#[test]
fn a_good_receipt_is_valid_in_both_forms() {
    for (more, form, covers) in [
        (&[][..], "strong", "full"),
        (&["--form", "strong"], "strong", "full"),
        (&["--form", "weak"], "weak", "top_level_only"),
    ] {
        let (code, out, err) = verify(GOOD.as_bytes(), more);
        assert_eq!(code, 0, "{out}{err}");
        assert!(
            out.starts_with(&format!("valid: signed in the form {form}, which covers {covers}"))
        );
        let (code, out, _) = verify(GOOD.as_bytes(), &[more, &["--json"]].concat());
        let said = document(&out);
        assert_eq!((code, said["form"].as_str()), (0, Some(form)));
        assert_eq!(said["covers"], covers);
        assert_eq!(said["receipt"]["amount"], "0.05");
        assert_eq!((&said["uncovered"], &said["matches"]), (&false.into(), &true.into()));
    }
}

#[test]
fn a_nested_value_passes_only_where_it_is_asked_for() {
    let (code, out, _) = verify(NESTED.as_bytes(), &["--form", "weak"]);
    assert_eq!(code, 1);
    assert!(out.starts_with("invalid: nested_value\n") && out.contains("--allow-nested"), "{out}");
    let (code, out, _) = verify(NESTED.as_bytes(), &["--json"]);
    assert_eq!((code, document(&out)["reason"].as_str()), (1, Some("nested_value")));
    let (code, out, _) = verify(NESTED.as_bytes(), &["--allow-nested"]);
    assert_eq!(code, 0);
    assert!(out.contains("covers top_level_only") && out.contains("warning:"), "{out}");
    assert!(!out.contains("9999"), "what is not signed is not shown: {out}");
    let (code, out, _) = verify(NESTED.as_bytes(), &["--allow-nested", "--json"]);
    assert_eq!((code, &document(&out)["uncovered"]), (0, &true.into()));
    // Asked for or not, the strong form did not sign this.
    assert_eq!(verify(NESTED.as_bytes(), &["--allow-nested", "--form", "strong"]).0, 1);
}

#[test]
fn a_receipt_that_answers_another_request_is_told_from_it() {
    let same = [
        "--command",
        "analyze",
        "--amount",
        "0.0500",
        "--currency",
        "USDC",
        "--chain",
        "solana",
        "--user",
        "tg:123",
        "--idempotency-key",
        "abc-123",
    ];
    assert_eq!(verify(GOOD.as_bytes(), &same).0, 0);
    let (code, out, _) = verify(GOOD.as_bytes(), &["--amount", "0.5", "--user", "tg:124"]);
    assert_eq!(code, 1);
    assert!(out.contains("differs: amount is 0.05, not 0.5"), "{out}");
    assert!(out.contains("differs: user is tg:123, not tg:124"), "{out}");
    let (code, out, _) = verify(GOOD.as_bytes(), &["--chain", "base", "--json"]);
    let said = document(&out);
    assert_eq!((code, &said["verdict"], &said["matches"]), (1, &"valid".into(), &false.into()));
    assert_eq!(said["differences"][0]["found"], "solana");
}

#[test]
fn what_is_not_signed_is_invalid() {
    for (receipt, reason) in [
        (GOOD.replace("0.05", "0.01"), "no_matching_key"),
        (GOOD.replace("b50\"", "b5\""), "malformed_signature"),
        (GOOD.replace("signature", "sig"), "missing_field"),
        (GOOD.replace("{\"tx_ref\"", "{\"amount\":9,\"tx_ref\""), "malformed_body"),
        (GOOD[..GOOD.len() - 1].to_owned(), "malformed_body"),
        (String::new(), "malformed_body"),
    ] {
        let (code, out, err) = verify(receipt.as_bytes(), &["--json"]);
        assert_eq!(code, 1, "{err}");
        let said = document(&out);
        assert_eq!((&said["verdict"], &said["reason"]), (&"invalid".into(), &reason.into()));
        assert_eq!(said["forms"].as_array().map(Vec::len), Some(2));
    }
    assert_eq!(judge("x402tele", "another_test_secret", "-", GOOD.as_bytes(), &[]).0, 1);
    assert_eq!(verify(b"\xff\xfe", &[]).0, 1);
}

#[test]
fn what_cannot_be_done_is_told_with_what_to_do() {
    let failed = |answer: (i32, String, String), code: &str| {
        assert_eq!(answer.0, 4, "{}", answer.2);
        assert!(answer.2.contains(code), "{}", answer.2);
        assert!(!answer.2.contains(SECRET), "{}", answer.2);
    };
    let good = GOOD.as_bytes();
    let (code, _, err) = judge("x402tele", "", "-", good, &[]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("variable_empty"), "{err}");
    failed(judge("stripe", SECRET, "-", good, &[]), "unknown_receipt");
    failed(judge("nobody", SECRET, "-", good, &[]), "unknown_provider");
    failed(judge("x402tele", SECRET, "/nowhere/receipt.json", b"", &[]), "unreadable_file");
    failed(verify(good, &["--form", "other"]), "unknown_receipt");
    failed(verify(&vec![b' '; 5 * 1024 * 1024 + 1], &[]), "body_too_large");
    let no_secret = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["receipt", "verify", "-", "--provider", "x402tele"])
        .stdin(Stdio::null())
        .env_clear()
        .current_dir("/")
        .output()
        .expect("the binary runs");
    assert_ne!(no_secret.status.code(), Some(0));
    assert_eq!(judge("x402tele", SECRET, "-", good, &["--secret", SECRET]).0, 2);
}
