//! `audit`: reads the audit log, verifies it, proves what is in it, and writes it out.

mod list;
mod verify;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway::{AuditLog, LogError, Placed};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use store::Action;

use super::beside::{Office, block_on, order};
use super::{Ended, now, say};
use crate::args::Arguments;
use crate::args::audit::Audit;
use crate::failure::{Failure, Outcome};

/// Reads, verifies, proves or writes.
pub(super) fn run(command: &Audit, arguments: &Arguments) -> Ended {
    if let Audit::Verify(verify) = command
        && let Some(export) = &verify.export
    {
        return verify::file(export, verify, arguments.json);
    }
    block_on(async {
        let office = Office::open(arguments).await?;
        let log = AuditLog::new(office.store().clone());
        let json = arguments.json;
        let ended = match command {
            Audit::List(wanted) => list::list(&office, &log, wanted, json).await,
            Audit::Show { index } => show(&office, &log, *index, json).await,
            Audit::Key => key(&office, json).await,
            Audit::Verify(wanted) => verify::store(&office, &log, wanted, json).await,
            Audit::Prove { index } => prove(&office, &log, *index, json).await,
            Audit::Consistency { earlier } => consistency(&office, &log, *earlier, json).await,
            Audit::Export { from, out } => export(&office, &log, *from, out.as_deref(), json).await,
        };
        office.close().await;
        ended
    })
}

async fn show(office: &Office, log: &AuditLog, index: u64, json: bool) -> Ended {
    note(office, Action::LogRead, &format!("entry {index}")).await?;
    let placed = entry(log, index).await?;
    let Some(found) = &placed.entry else {
        let message = format!("entry {index} is not in the store any more");
        return Err(Failure::new("entry_gone", message, "run audit verify, and restore a backup"));
    };
    let shown = office.desk.shown(found).await?;
    let fits = placed.leaf().is_some_and(|leaf| audit::leaf_hash(&leaf) == placed.hash);
    let mut value = list::json(Some(index), found);
    if let Some(members) = value.as_object_mut() {
        members.insert("leaf".to_owned(), placed.hash.to_string().into());
        members.insert("unchanged".to_owned(), fits.into());
        if let Some(shown) = &shown {
            members.insert("address".to_owned(), json!(shown.address));
            members.insert("agent".to_owned(), json!(shown.agent));
            members.insert("note".to_owned(), json!(shown.note));
        }
    }
    if json {
        say(&value)?;
    } else {
        for (name, value) in value.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            say(format!("{name:10} {}", crate::table::tame(&text)))?;
        }
    }
    Ok(if fits { Outcome::Done } else { Outcome::No })
}

async fn key(office: &Office, json: bool) -> Ended {
    let key = office.desk.audit_key(office.audit_origin.as_deref(), now()).await?;
    if json {
        say(json!({ "key": key.to_string() }))?
    } else {
        say(key)?
    }
    Ok(Outcome::Done)
}

/// A proof in the form of C2SP tlog-proof, which any of its verifiers takes with the log's key.
async fn prove(office: &Office, log: &AuditLog, index: u64, json: bool) -> Ended {
    note(office, Action::LogRead, &format!("proof of entry {index}")).await?;
    let head = log.head().await?;
    let placed = entry(log, index).await?;
    let hashes = log.inclusion(index, head.size).await?;
    let lines: Vec<String> = hashes.iter().map(|hash| STANDARD.encode(hash.0)).collect();
    let mut proof = format!("c2sp.org/tlog-proof@v1\nindex {index}\n");
    lines.iter().for_each(|line| proof.push_str(&format!("{line}\n")));
    proof.push_str(&format!("\n{}", head.note));
    if json {
        let leaf = placed.leaf().map(|leaf| String::from_utf8_lossy(&leaf).into_owned());
        let hash = placed.hash.to_string();
        say(json!({ "index": index, "leaf": leaf, "leaf_hash": hash, "proof": proof }))?;
    } else {
        write!(io::stdout(), "{proof}")?;
    }
    Ok(Outcome::Done)
}

async fn consistency(office: &Office, log: &AuditLog, earlier: u64, json: bool) -> Ended {
    note(office, Action::LogRead, &format!("consistency from {earlier}")).await?;
    let head = log.head().await?;
    let hashes = log.consistency(earlier, head.size).await?;
    let lines: Vec<String> = hashes.iter().map(|hash| STANDARD.encode(hash.0)).collect();
    if json {
        let size = head.size;
        say(json!({ "from": earlier, "to": size, "proof": lines, "checkpoint": head.note }))?;
    } else {
        say(format!("from {earlier} to {}", head.size))?;
        lines.iter().try_for_each(say)?;
        write!(io::stdout(), "\n{}", head.note)?;
    }
    Ok(Outcome::Done)
}

async fn export(
    office: &Office,
    log: &AuditLog,
    from: u64,
    out: Option<&Path>,
    json: bool,
) -> Ended {
    note(office, Action::LogExported, &format!("from entry {from}")).await?;
    let bar = progress(json);
    let shown = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let written = match out {
        Some(path) => {
            let cannot = |error: io::Error| {
                let message = format!("{} cannot be written ({})", path.display(), error.kind());
                Failure::new("unwritable_file", message, "name a file that can be written")
            };
            let file = File::create(path).map_err(cannot)?;
            log.export(BufWriter::new(file), from, shown).await?
        }
        None => log.export(BufWriter::new(io::stdout()), from, shown).await?,
    };
    bar.finish_and_clear();
    if let Some(path) = out {
        let key = office.desk.audit_key(office.audit_origin.as_deref(), now()).await?;
        let key = key.to_string();
        if json {
            say(json!({ "entries": written, "file": path, "key": key }))?;
        } else {
            say(format!("{written} entries in {}", path.display()))?;
            say(format!("verify: countersign audit verify {} --key '{key}'", path.display()))?;
        }
    }
    Ok(Outcome::Done)
}

/// Writes down that the log is read: what cannot be written down is not read.
async fn note(office: &Office, action: Action, what: &str) -> Result<(), Failure> {
    Ok(office.desk.audit(action, what, order("")).await?)
}

async fn entry(log: &AuditLog, index: u64) -> Result<Placed, Failure> {
    let size = log.head().await?.size;
    let found = log.entries(index..size.min(index.saturating_add(1))).await?.pop();
    Ok(found.ok_or(LogError::NoSuchEntry { size })?)
}

/// A bar on a terminal.
fn progress(json: bool) -> ProgressBar {
    if json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let template = "  {bar:30} {percent:>3}%  {human_pos} of {human_len} entries";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A value that is a JSON text already.
fn raw(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
