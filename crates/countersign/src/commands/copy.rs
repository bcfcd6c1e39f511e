//! `store copy`: moves a store from a file to a server while its gateway keeps receiving, page by
//! page, and compares both when it is finished.

use std::io::IsTerminal;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use store::{
    CopyError, CopyStage, OpenError, Options, Paged, PostgresOptions, Side, Store, StoreCopy,
};

use super::beside::block_on;
use super::signals::Signals;
use super::{Ended, origin, say};
use crate::args::{Arguments, CopySource, CopyStore, CopyTarget};
use crate::config::{self, StorePlace};
use crate::failure::{Failure, Outcome};
use crate::table::Table;

/// Copies what there is, or finishes.
pub(super) fn run(copy: &CopyStore, arguments: &Arguments) -> Ended {
    let source = source(&copy.source, arguments)?;
    let options = target(&copy.target, arguments)?;
    block_on(async {
        let mut signals = Signals::new()?;
        let target = Store::connect(&options).await?;
        let source = open(Path::new(&source), copy.finish)?;
        let copied = pages(&source, &target, copy, arguments.json, &mut signals).await;
        source.close().await;
        target.close().await;
        let (copied, is_whole) = copied?;
        told(&copied, copy.finish, is_whole, arguments.json)
    })
}

/// The path of the file that is copied.
fn source(written: &CopySource, arguments: &Arguments) -> Result<String, Failure> {
    let url = url("--from-env", written.from.as_ref(), written.from_env.as_ref(), arguments)?;
    if config::is_server(&url) {
        return Err(CopyError::SourceIsServer.into());
    }
    match config::file_of(&url) {
        Some(path) => Ok(path.to_owned()),
        None => {
            Err(Failure::new("usage", "the source is no store that we know", "write sqlite:PATH"))
        }
    }
}

/// How the target is reached: as the configuration says of a server, if it names one.
fn target(written: &CopyTarget, arguments: &Arguments) -> Result<PostgresOptions, Failure> {
    let url = url("--to-env", written.to.as_ref(), written.to_env.as_ref(), arguments)?;
    if !config::is_server(&url) {
        return Err(CopyError::TargetIsFile.into());
    }
    let is_configured = arguments.is_config_named() || arguments.config().exists();
    let mut options = match is_configured.then(|| origin(arguments).store()).transpose()? {
        Some(StorePlace::Server { options, .. }) => *options,
        Some(StorePlace::File(_)) | None => PostgresOptions::new(&url),
    };
    options.url = url;
    options.listen_url = None;
    options.check()?;
    Ok(options)
}

/// A URL as it is written, or as the variable says that is named.
fn url(
    option: &str,
    written: Option<&String>,
    variable: Option<&String>,
    arguments: &Arguments,
) -> Result<String, Failure> {
    match (written, variable) {
        (Some(url), _) if config::has_password(url) => {
            let message = "a URL with a password is a secret, and others see command lines";
            let fix = format!("put it into a variable and name that with {option}");
            Err(Failure::new("usage", message, fix))
        }
        (Some(url), _) => Ok(url.clone()),
        (None, Some(name)) => Ok(config::url_of(option, name, arguments.env_file.as_deref())?),
        (None, None) => Err(Failure::new("usage", "a URL is missing", format!("give {option}"))),
    }
}

/// Opens the source beside its gateway, or, to finish, in place of it.
fn open(path: &Path, finish: bool) -> Result<Store, Failure> {
    let beside = Store::open_beside(path)?;
    if !finish {
        return Ok(beside);
    }
    drop(beside);
    Store::open(path, Options::default()).map_err(|error| match error {
        OpenError::InUse => Failure::new(
            error.code(),
            "a gateway has the source open, so more may come",
            "stop it, then run this again; until then run it without --finish",
        ),
        error => error.into(),
    })
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Store(error) => error.into(),
            error => Self::told(error.code(), &error.to_string()),
        }
    }
}

/// Does page after page until there is none, or a signal comes; says whether all were done.
async fn pages(
    source: &Store,
    target: &Store,
    copy: &CopyStore,
    json: bool,
    signals: &mut Signals,
) -> Result<(StoreCopy, bool), Failure> {
    let mut copying = StoreCopy::begin(source, target, copy.finish).await?;
    let mut show = Show::new(json);
    show.stage(&copying);
    loop {
        // A page that is under way is waited for: what it wrote is noted with it.
        let mut is_told = false;
        let page = {
            let mut next = std::pin::pin!(copying.next());
            tokio::select! {
                page = &mut next => page,
                () = signals.next() => {
                    is_told = true;
                    next.await
                }
            }
        };
        match page? {
            None => return Ok((copying, true)),
            Some(page) => show.page(&copying, page),
        }
        if is_told {
            return Ok((copying, false));
        }
    }
}

/// A moving line on standard error, where that is a terminal.
struct Show {
    line: ProgressBar,
    stage: Option<CopyStage>,
}

impl Drop for Show {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}

impl Show {
    fn new(json: bool) -> Self {
        let line = if !json && std::io::stderr().is_terminal() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        let template = "  {msg:24} {bar:30} {percent:>3}%  {human_pos} of {human_len} rows";
        if let Ok(style) = ProgressStyle::with_template(template) {
            line.set_style(style);
        }
        Self { line, stage: None }
    }

    /// Begins anew when the stage does.
    fn stage(&mut self, copying: &StoreCopy) {
        let stage = copying.stage();
        if self.stage.replace(stage) == Some(stage) {
            return;
        }
        let progress = copying.progress();
        self.line.set_length(progress.iter().map(|table| table.rows).sum());
        let moved = progress.iter().map(|table| table.moved).sum();
        self.line.set_position(if stage == CopyStage::Moving { moved } else { 0 });
    }

    fn page(&mut self, copying: &StoreCopy, page: Paged) {
        self.stage(copying);
        let does = match page.stage {
            CopyStage::Moving => "copying",
            CopyStage::Renewing => "renewing",
            CopyStage::Comparing | CopyStage::Done => "comparing",
        };
        self.line.set_message(format!("{does} {}", page.table.code()));
        self.line.inc(u64::try_from(page.rows).unwrap_or(0));
    }
}

/// How far it is, and what comes next.
fn told(copy: &StoreCopy, finish: bool, is_whole: bool, as_json: bool) -> Ended {
    let verified = (finish && is_whole).then(|| copy.is_verified());
    let ended = if is_whole && verified.unwrap_or(true) { Outcome::Done } else { Outcome::No };
    if as_json {
        say(json!({
            "interrupted": !is_whole, "finished": copy.is_verified(), "verified": verified,
            "tables": tables(copy),
        }))?;
        return Ok(ended);
    }
    if verified.is_some() {
        say(compared(copy))?;
    } else {
        say(progress(copy))?;
    }
    say(match (is_whole, verified) {
        (false, _) => "\nStopped. Run the same command again: it goes on from here.",
        (true, None) => {
            "\nThe target has what the source had a moment ago; serve nothing from it yet. To switch \
             over:\n  1. stop the gateway of the source\n  2. run this again with --finish\n  3. \
             start the gateway on the target"
        }
        (true, Some(true)) => {
            "\nBoth sides hold the same. Start the gateway on the target, and none on the source \
             any more."
        }
        (true, Some(false)) => {
            "\nThe two sides differ: do not serve from the target. Give the copy an empty database."
        }
    })?;
    Ok(ended)
}

fn tables(copy: &StoreCopy) -> Vec<Value> {
    let side = |side: &Side| json!({ "rows": side.rows, "sha256": side.sha256 });
    let progress = copy.progress().into_iter();
    progress
        .map(|table| {
            let compared = copy.compared().iter().find(|one| one.table == table.table);
            json!({
                "table": table.table.code(), "copied": table.moved, "of": table.rows,
                "source": compared.map(|one| side(&one.source)),
                "target": compared.map(|one| side(&one.target)),
                "agrees": compared.map(store::TableCompared::agrees),
            })
        })
        .collect()
}

fn progress(copy: &StoreCopy) -> Table {
    let mut table = Table::new(&["TABLE", "COPIED", "OF"]);
    for one in copy.progress() {
        table.row([one.table.code().to_owned(), one.moved.to_string(), one.rows.to_string()]);
    }
    table
}

fn compared(copy: &StoreCopy) -> Table {
    let mut table = Table::new(&["TABLE", "SOURCE", "TARGET", "SHA-256", ""]);
    for one in copy.compared() {
        let agrees = if one.agrees() { "the same" } else { "DIFFERS" };
        let hash = if one.source.sha256 == one.target.sha256 {
            one.source.sha256.clone()
        } else {
            format!("{} {}", one.source.sha256, one.target.sha256)
        };
        table.row([
            one.table.code().to_owned(),
            one.source.rows.to_string(),
            one.target.rows.to_string(),
            hash,
            agrees.to_owned(),
        ]);
    }
    table
}
