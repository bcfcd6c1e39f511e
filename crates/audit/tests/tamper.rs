//! The tamper matrix: each way to tamper with a log, at random places, is found, and where.

use audit::testing::{Log, Random, Tamper, Tampered, keys};
use audit::{Verified, VerifyError, Witness, verify};

fn verified(export: &[u8], witness: &[u8]) -> Result<Verified, VerifyError> {
    let witness = Witness::read(&mut &*witness, &keys())?;
    verify(&mut &*export, &keys(), &witness, &mut |_| ())
}

#[track_caller]
fn found(tampered: &Tampered, with_witness: bool) {
    let witness = if with_witness { tampered.witness.as_slice() } else { &[] };
    let what = format!("{:?} at {}, witness {with_witness}", tampered.tamper, tampered.first);
    match verified(&tampered.export, witness) {
        Err(VerifyError::Fault(fault)) => {
            assert!(tampered.is_found_by(&fault, with_witness), "{what}: {fault}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

/// Each way, so often, at places that a seed chooses.
fn matrix(entries: u64, every: u64, times: usize, seed: u64) {
    let log = Log::of(entries, every, seed);
    let mut random = Random(seed);
    for tamper in Tamper::ALL {
        for _ in 0..times {
            let tampered = tamper.apply(&log, &mut random);
            if tamper.faults().0.is_some() {
                found(&tampered, false);
            } else {
                // This is why there must be a witness.
                let verdict = verified(&tampered.export, b"");
                assert!(verdict.is_ok(), "{tamper:?}: {verdict:?}");
            }
            found(&tampered, true);
        }
    }
}

#[test]
fn every_way_to_tamper_with_2000_entries_is_found() {
    matrix(2_000, 64, 2, 1);
}

#[test]
fn every_way_to_tamper_with_small_logs_is_found() {
    for (entries, every) in [(10, 1), (11, 3), (16, 8), (33, 32)] {
        matrix(entries, every, 6, entries);
    }
}

#[test]
fn a_log_as_it_was_made_verifies() {
    for (entries, every) in [(1, 1), (2, 0), (63, 64), (64, 64), (65, 64), (500, 7)] {
        let log = Log::of(entries, every, entries);
        let verified = verified(&log.export(), &log.witness()).expect("nobody was at it");
        let checkpoints = u64::try_from(log.checkpoints.len()).expect("few");
        assert_eq!((verified.from, verified.size), (0, entries));
        assert_eq!((verified.checkpoints, verified.witnessed), (checkpoints, checkpoints));
        assert_eq!(verified.root, log.checkpoints.last().expect("the head").root());
        for from in [0, 1, entries / 2, entries] {
            let export = log.export_from(usize::try_from(from).expect("small"));
            let witness = Witness::read(&mut log.witness().as_slice(), &keys()).expect("notes");
            let verified = verify(&mut export.as_slice(), &keys(), &witness, &mut |_| ());
            let verified = verified.expect("nobody was at it");
            assert_eq!((verified.from, verified.size), (from, entries));
            assert_eq!(verified.witnessed + verified.skipped, checkpoints);
        }
    }
}

#[test]
fn progress_is_told_and_ends_at_the_end() {
    let log = Log::of(20_000, 1_000, 1);
    let mut told = Vec::new();
    let verified =
        verify(&mut log.export().as_slice(), &keys(), &Witness::default(), &mut |progress| {
            told.push(progress.entries)
        });
    assert!(verified.is_ok());
    told.dedup();
    assert_eq!(told, [8_192, 16_384, 20_000]);
}
