//! `audit verify`: of an export, with nothing but the log's key; or of the log in the store.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek as _, SeekFrom};
use std::path::Path;

use audit::{Progress, VerifierKey, VerifyError, Witness};
use gateway::AuditLog;
use store::Action;

use super::super::beside::Office;
use super::super::{Ended, now, say};
use super::{note, progress};
use crate::args::audit::Verify;
use crate::failure::{Failure, Outcome};

/// Verifies an export.
pub(super) fn file(export: &Path, wanted: &Verify, json: bool) -> Ended {
    let keys = keys(&wanted.key)?;
    if export == Path::new("-") {
        return verify(&mut io::stdin().lock(), &keys, wanted, json);
    }
    let file = File::open(export).map_err(|error| unreadable(export, &error))?;
    verify(&mut BufReader::new(file), &keys, wanted, json)
}

/// Verifies the log in the store as whoever gets an export of it would.
pub(super) async fn store(office: &Office, log: &AuditLog, wanted: &Verify, json: bool) -> Ended {
    note(office, Action::LogRead, "verification").await?;
    let mut known = keys(&wanted.key)?;
    if known.is_empty() {
        known.push(office.desk.audit_key(office.audit_origin.as_deref(), now()).await?);
    }
    let mut export = tempfile::tempfile()?;
    log.export(BufWriter::new(&export), 0, |_, _| {}).await?;
    export.seek(SeekFrom::Start(0))?;
    verify(&mut BufReader::new(export), &known, wanted, json)
}

fn verify(export: &mut dyn BufRead, keys: &[VerifierKey], wanted: &Verify, json: bool) -> Ended {
    let bar = progress(json);
    let mut shown = |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.entries);
    };
    let verdict =
        witness(wanted, keys).and_then(|witness| audit::verify(export, keys, &witness, &mut shown));
    bar.finish_and_clear();
    match verdict {
        Ok(verified) if json => say(verified.to_json())?,
        Ok(verified) => {
            let (first, entries) = (verified.from, verified.size - verified.from);
            say(format!("ok: {entries} entries from {first} on are those that were signed"))?;
            match (&wanted.witness, verified.witnessed) {
                (None, _) => say(
                    "without a witness: a log that was rolled back, or signed twice with its key, \
                     looks like this too",
                )?,
                (Some(_), seen) => say(format!("{seen} checkpoints of the witness fit"))?,
            }
        }
        Err(VerifyError::Fault(fault)) => {
            if json {
                say(fault.to_json())?
            } else {
                say(format!("not ok: {fault}"))?
            }
            return Ok(Outcome::No);
        }
        Err(VerifyError::Read(error)) => return Err(error.into()),
    }
    Ok(Outcome::Done)
}

fn witness(wanted: &Verify, keys: &[VerifierKey]) -> Result<Witness, VerifyError> {
    match &wanted.witness {
        Some(path) => Witness::read(&mut BufReader::new(File::open(path)?), keys),
        None => Ok(Witness::default()),
    }
}

fn keys(texts: &[String]) -> Result<Vec<VerifierKey>, Failure> {
    let key = |text: &String| {
        text.trim().parse().map_err(|error| {
            Failure::new("bad_audit_key", error, "give what countersign audit key prints")
        })
    };
    texts.iter().map(key).collect()
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be read ({})", path.display(), error.kind());
    Failure::new("unreadable_file", message, "name a file that can be read, or - for stdin")
}
