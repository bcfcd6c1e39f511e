//! Verdicts that the tamper matrix does not come to, and cases that are none.

use audit::testing::{Log, Random, Tamper, keys};
use audit::{Fault, FaultKind, Verified, VerifyError, Witness, verify};

fn judged(export: &[u8], witness: &[u8]) -> Result<Verified, Fault> {
    let verdict = Witness::read(&mut &*witness, &keys())
        .and_then(|witness| verify(&mut &*export, &keys(), &witness, &mut |_| ()));
    verdict.map_err(|error| match error {
        VerifyError::Fault(fault) => fault,
        VerifyError::Read(error) => panic!("memory can be read: {error}"),
    })
}

#[track_caller]
fn found(export: &[u8], witness: &[u8], kind: FaultKind, line: u64) -> Fault {
    let fault = judged(export, witness).expect_err("something is wrong");
    assert_eq!((fault.kind, fault.line), (kind, line), "{fault}");
    fault
}

/// Ten entries, with checkpoints at 4, 8 and 10: a header and thirteen lines.
fn log() -> Log {
    Log::of(10, 4, 1)
}

fn text() -> String {
    String::from_utf8(log().export()).expect("text")
}

#[test]
fn malformed_lines_are_named() {
    for first in ["", "\n", "{}\n", "{\"audit_export\":1}\n", &text()[..100]] {
        found(first.as_bytes(), b"", FaultKind::Malformed, 1);
    }
    let header = |from: &str, to: &str| text().replacen(from, to, 1);
    for changed in [
        header("\"audit_export\":1", "\"audit_export\":2"),
        header("\"from\":0", "\"from\":1"),
        header("\"from\":0", "\"from\":00"),
        header("\"frontier\":[]", "\"frontier\":[ ]"),
        header("\"head\"", "\"heads\""),
        header("}\n", "}\r\n"),
    ] {
        found(changed.as_bytes(), b"", FaultKind::Malformed, 1);
    }
    for line in ["\n", "{}\n", "x\n", "{\"leaf\":\"\",\"entry\":{}}\n", "{\"checkpoint\":1}\n"] {
        let changed = text().replacen("}\n", &format!("}}\n{line}"), 1);
        let fault = found(changed.as_bytes(), b"", FaultKind::Malformed, 2);
        assert_eq!((fault.index, fault.until), (0, 1));
    }
    let long = text().replacen("}\n", &format!("}}\n{}\n", " ".repeat(300_000)), 1);
    found(long.as_bytes(), b"", FaultKind::Malformed, 2);
    let bytes = [&log().export()[..], b"\xff\n"].concat();
    found(&bytes, b"", FaultKind::Malformed, 15);
}

#[test]
fn checkpoint_malformed_in_the_head_and_between_entries() {
    let changed = text().replacen("— ", "- ", 1);
    found(changed.as_bytes(), b"", FaultKind::CheckpointMalformed, 1);
    let at = text().find("{\"checkpoint\"").expect("there is one");
    let (before, after) = (text()[..at].to_owned(), text()[at..].to_owned());
    let changed = before + &after.replacen("— ", "- ", 1);
    let fault = found(changed.as_bytes(), b"", FaultKind::CheckpointMalformed, 6);
    assert_eq!((fault.index, fault.until), (4, 4));
}

#[test]
fn what_a_witness_has_must_be_signed() {
    let (export, notes) = (log().export(), String::from_utf8(log().witness()).expect("text"));
    let changed = |from: &str, to: &str| notes.replacen(from, to, 1).into_bytes();
    found(&export, &changed("— ", "- "), FaultKind::WitnessMalformed, 1);
    found(&export, &changed("\n4\n", "\n5\n"), FaultKind::WitnessSignature, 1);
    found(
        &export,
        &changed("— test.example/audit ", "— test.example/other "),
        FaultKind::WitnessUnsigned,
        1,
    );
    found(&export, b"garbage", FaultKind::WitnessMalformed, 1);
    found(&export, notes.trim_end().as_bytes(), FaultKind::WitnessMalformed, 13);
    // What follows the last signature is the next note, and must be one.
    let more = [notes.as_bytes(), b"garbage\n"].concat();
    found(&export, &more, FaultKind::WitnessMalformed, 19);
}

#[test]
fn a_witness_of_another_log_is_none() {
    let log = log();
    let tampered = Tamper::OtherLog.apply(&log, &mut Random(1));
    let export = String::from_utf8(tampered.export).expect("text");
    let line =
        export.lines().find(|line| line.contains("test.example/other")).expect("it is there");
    let note =
        line.trim_start_matches("{\"checkpoint\":\"").trim_end_matches("\"}").replace("\\n", "\n");
    found(&log.export(), note.as_bytes(), FaultKind::WitnessOrigin, 1);
}

#[test]
fn notes_may_stand_in_any_order_and_twice() {
    let log = log();
    let notes: Vec<&str> = log.checkpoints.iter().map(|signed| signed.note()).collect();
    let [one, two, three] = notes.as_slice() else { panic!("three of them") };
    for witness in [
        format!("{three}{one}{two}"),
        format!("\n\n{one}\n\n\n{two}{three}\n"),
        format!("{one}{one}{one}"),
    ] {
        let verified = judged(&log.export(), witness.as_bytes()).expect("nobody was at it");
        assert_eq!((verified.witnessed, verified.skipped), (3, 0));
    }
}

/// Where the witness has a checkpoint that the export lacks, a change is told more closely.
#[test]
fn a_witness_in_between_narrows_what_was_changed() {
    let close = Log::of(64, 4, 5);
    let sparse = Log::of(64, 32, 5);
    assert_eq!(close.rows, sparse.rows);
    let mut changed = sparse.clone();
    let other = Log::of(64, 32, 6);
    changed.rows[9] = other.rows[9].clone();
    let alone = found(&changed.export(), b"", FaultKind::RootMismatch, 34);
    assert_eq!((alone.index, alone.until), (0, 32));
    let with = found(&changed.export(), &close.witness(), FaultKind::RootMismatch, 34);
    assert_eq!((with.index, with.until), (8, 12));
}

/// Two of the witness's own checkpoints that contradict each other are a fork too.
#[test]
fn a_witness_that_has_seen_both_histories_shows_the_fork() {
    let (one, other) = (Log::of(16, 4, 1), Log::of(16, 4, 2));
    let both = [one.witness(), other.witness()].concat();
    let fault = found(&one.export(), &both, FaultKind::Fork, 25);
    assert_eq!((fault.index, fault.until), (0, 4));
}

#[test]
fn an_end_of_a_log_is_held_against_what_it_can_be() {
    let log = log();
    let verified = judged(&log.export_from(6), &log.witness()).expect("nobody was at it");
    assert_eq!((verified.from, verified.size), (6, 10));
    assert_eq!((verified.witnessed, verified.skipped), (2, 1));
    // Another frontier is another history.
    let export = String::from_utf8(log.export_from(6)).expect("text");
    let at = export.find("\"frontier\":[\"").expect("it has one") + 13;
    let mut changed = export.into_bytes();
    changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
    let fault = found(&changed, b"", FaultKind::RootMismatch, 4);
    assert_eq!((fault.index, fault.until), (6, 8));
}

#[test]
fn an_error_of_the_reader_is_no_verdict() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let mut reader = std::io::BufReader::new(Broken);
    let verdict = verify(&mut reader, &keys(), &Witness::default(), &mut |_| ());
    assert!(matches!(verdict, Err(VerifyError::Read(_))));
}
