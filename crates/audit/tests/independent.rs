//! An independent verifier, in another language, comes to the same verdict in every case of the
//! tamper matrix: `tests/audit/verify.py`.

use std::path::{Path, PathBuf};
use std::process::Command;

use audit::testing::{Log, Random, Tamper, keys};
use audit::{VerifyError, Witness, verify};

/// Python with what `tests/audit/requirements.txt` names: where `./test` puts it, or as told.
fn python() -> PathBuf {
    let told = std::env::var_os("AUDIT_PYTHON").map(PathBuf::from);
    told.unwrap_or_else(|| {
        let own = std::env::current_exe().expect("a test has a path");
        let target = own.ancestors().nth(3).expect("it stands in target/debug/deps");
        target.join("sdk/python/bin/python")
    })
}

/// What is given to both.
struct Case {
    name: String,
    export: Vec<u8>,
    witness: Vec<u8>,
}

fn ours(case: &Case) -> String {
    let verdict = Witness::read(&mut case.witness.as_slice(), &keys())
        .and_then(|witness| verify(&mut case.export.as_slice(), &keys(), &witness, &mut |_| ()));
    match verdict {
        Ok(verified) => verified.to_json(),
        Err(VerifyError::Fault(fault)) => fault.to_json(),
        Err(VerifyError::Read(error)) => panic!("{}: {error}", case.name),
    }
}

fn theirs(case: &Case, folder: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/audit/verify.py");
    let (export, witness) = (folder.join("export"), folder.join("witness"));
    std::fs::write(&export, &case.export).expect("written");
    std::fs::write(&witness, &case.witness).expect("written");
    let [key] = keys();
    let mut command = Command::new(python());
    let output = command.arg(script).arg(key.to_string()).args([export, witness]).output();
    let output = output.expect("Python starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.is_empty(), "{}: {complaint}", case.name);
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |name: &str, export: &[u8], witness: &[u8]| {
        let (export, witness) = (export.to_vec(), witness.to_vec());
        cases.push(Case { name: name.to_owned(), export, witness });
    };
    let mut random = Random(7);
    for (entries, every) in [(2_000, 64), (13, 4)] {
        let log = Log::of(entries, every, entries);
        push("as it was made", &log.export(), &log.witness());
        push("from an entry on", &log.export_from(9), &log.witness());
        for tamper in Tamper::ALL {
            let tampered = tamper.apply(&log, &mut random);
            push(tamper.name(), &tampered.export, b"");
            push(tamper.name(), &tampered.export, &tampered.witness);
        }
    }
    // What is no export at all, and what is one by a hair.
    let log = Log::of(10, 4, 3);
    let export = String::from_utf8(log.export()).expect("text");
    for (from, to) in [
        ("{\"audit_export\":1", "{\"audit_export\":2"),
        ("{\"audit_export\":1", "{\"audit_export\":true"),
        ("\"from\":0", "\"from\":1"),
        ("\"from\":0", "\"from\":00"),
        ("\"from\":0", "\"from\":-0"),
        ("\"frontier\":[]", "\"frontier\": []"),
        ("\"frontier\":[]", "\"frontier\":[1]"),
        ("\\n4\\n", "\\n04\\n"),
        ("{\"checkpoint\":", "{\"checkpoints\":"),
        ("{\"checkpoint\":", "{\"checkpoint\":1,\"checkpoint\":"),
        ("\"entry\":{", "\"entry\":["),
        ("\"v\":1,\"index\":3", "\"v\":1,\"index\":03"),
        ("— test", "- test"),
        ("\\u0000", "\\u0001"),
        ("\\n", "\\u000a"),
    ] {
        push(&format!("{from} as {to}"), export.replacen(from, to, 1).as_bytes(), b"");
    }
    for garbage in ["", "\n", "{}\n", "[]\n", "null\n", "\u{feff}\n", "{\"audit_export\":1}"] {
        push(&format!("{garbage:?} as an export"), garbage.as_bytes(), b"");
        push(&format!("{garbage:?} as a witness"), export.as_bytes(), garbage.as_bytes());
        push(&format!("{garbage:?} at the end"), format!("{export}{garbage}").as_bytes(), b"");
    }
    cases
}

#[test]
#[ignore = "needs Python with tests/audit/requirements.txt, which ./test installs"]
fn an_independent_verifier_agrees_on_every_verdict() {
    let cases = cases();
    let (left, folder) = (std::sync::Mutex::new(cases.iter()), std::env::temp_dir());
    let work = |number: usize| {
        let own = folder.join(format!("audit-independent-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&own).expect("a folder");
        let next = || left.lock().expect("nobody panics with it").next();
        while let Some(case) = next() {
            let wanted: serde_json::Value = serde_json::from_str(&ours(case)).expect("JSON");
            let found: serde_json::Value =
                serde_json::from_str(&theirs(case, &own)).expect("Python prints JSON");
            assert_eq!(found, wanted, "{}", case.name);
        }
        std::fs::remove_dir_all(&own).expect("removed");
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|number| scope.spawn(move || work(number))).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("they agree"));
    });
}
