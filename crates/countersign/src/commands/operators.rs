//! `operators`: who signs in, and what they are trusted with.

use std::path::Path;

use gateway::operators::{Last, NoOperator, Seed};
use model::Role;
use model::operator::Login;
use serde_json::{Value, json};
use store::{OperatorChange, OperatorChanged, OperatorRow};
use zeroize::Zeroizing;

use super::beside::{Office, block_on, order};
use super::{Ended, bytes, say};
use crate::args::Arguments;
use crate::args::operators::{Operators, Why};
use crate::failure::{Failure, Outcome};
use crate::table::{Table, or_dash};

/// What stands beside what is printed when somebody is added.
const ONCE: &str = "Password and seed are shown this once. Hand them over by two ways, and let the \
                    password be changed: countersign operators password";

/// Adds, lists or changes.
pub(super) fn run(command: &Operators, arguments: &Arguments) -> Ended {
    block_on(async {
        let office = Office::open(arguments).await?;
        let json = arguments.json;
        let ended = match command {
            Operators::Add { login, role, why } => add(&office, login, *role, why, json).await,
            Operators::List { all } => list(&office, *all, json).await,
            Operators::Role { login, role, why } => {
                change(&office, login, OperatorChange::Role(*role), why, json).await
            }
            Operators::Disable { login, why } => {
                change(&office, login, OperatorChange::Disable, why, json).await
            }
            Operators::Enable { login, why } => {
                change(&office, login, OperatorChange::Enable, why, json).await
            }
            Operators::Password { login, password_file, why } => {
                set_password(&office, login, password_file.as_deref(), why, json).await
            }
            Operators::Totp { login, why } => make_seed(&office, login, why, json).await,
        };
        office.close().await;
        ended
    })
}

async fn add(office: &Office, login: &Login, role: Role, why: &Why, as_json: bool) -> Ended {
    let added = office.desk.add_operator(login, role, order(&why.reason)).await?;
    let welcome = added.map_err(|no| refused(no, login))?;
    let (secret, uri) = (welcome.seed.to_text(), welcome.seed.to_uri(login));
    if as_json {
        return say(json!({
            "id": welcome.id.to_string(), "login": login.as_str(), "role": role.code(),
            "password": welcome.password.as_str(), "totp_secret": secret.as_str(),
            "totp_uri": uri.as_str(),
        }))
        .map(|()| Outcome::Done);
    }
    say(format_args!("{} signs in as {login}, {role}", welcome.id))?;
    say(format_args!("\npassword  {}", welcome.password.as_str()))?;
    say_seed(&welcome.seed, login)?;
    say(format_args!("\n{ONCE}")).map(|()| Outcome::Done)
}

async fn list(office: &Office, all: bool, as_json: bool) -> Ended {
    let rows = office.store().operators().await?.into_iter();
    let rows: Vec<OperatorRow> = rows.filter(|row| all || row.disabled_at.is_none()).collect();
    let mut table = Table::new(&["LOGIN", "ROLE", "STATE", "ADDED", "BY", "ID"]);
    for row in &rows {
        let login = office.desk.login(row).await?;
        if as_json {
            say(line(row, &login))?;
        } else {
            table.row([
                login.to_string(),
                row.role.to_string(),
                state(row).to_owned(),
                row.created_at.to_string(),
                or_dash(Some(&row.created_by)),
                row.id.to_string(),
            ]);
        }
    }
    if !as_json {
        if rows.is_empty() { say("nobody")? } else { say(table)? }
    }
    Ok(Outcome::Done)
}

async fn change(
    office: &Office,
    login: &Login,
    change: OperatorChange,
    why: &Why,
    as_json: bool,
) -> Ended {
    let row = kept(office, login).await?;
    let order = order(&why.reason);
    let changed = office.desk.change_operator(row.id, change, Last::MayGo, order).await?;
    changed.map_err(|no| refused(no, login))?;
    say_changed(office, login, as_json).await
}

async fn set_password(
    office: &Office,
    login: &Login,
    file: Option<&Path>,
    why: &Why,
    as_json: bool,
) -> Ended {
    let row = kept(office, login).await?;
    let password = match file {
        Some(file) => first_line(file)?,
        None => typed(login)?,
    };
    let order = order(&why.reason);
    let changed = office.desk.set_password(&row, &password, Last::MayGo, order).await?;
    changed.map_err(|no| refused(no, login))?;
    say_changed(office, login, as_json).await
}

async fn make_seed(office: &Office, login: &Login, why: &Why, as_json: bool) -> Ended {
    let row = kept(office, login).await?;
    let made = office.desk.new_seed(&row, Last::MayGo, order(&why.reason)).await?;
    let seed = made.map_err(|no| refused(no, login))?;
    if as_json {
        let (secret, uri) = (seed.to_text(), seed.to_uri(login));
        say(json!({
            "id": row.id.to_string(), "login": login.as_str(), "totp_secret": secret.as_str(),
            "totp_uri": uri.as_str(),
        }))?;
    } else {
        say_seed(&seed, login)?;
        say("\nThe seed is shown this once; codes of the old one count no more.")?;
    }
    Ok(Outcome::Done)
}

fn say_seed(seed: &Seed, login: &Login) -> Result<(), Failure> {
    say(format_args!("seed      {}", seed.to_text().as_str()))?;
    say(format_args!("for apps  {}", seed.to_uri(login).as_str()))
}

async fn say_changed(office: &Office, login: &Login, as_json: bool) -> Ended {
    let row = kept(office, login).await?;
    if as_json {
        say(line(&row, login))?;
    } else {
        say(format_args!("{login}: {}, {}", row.role, state(&row)))?;
    }
    Ok(Outcome::Done)
}

async fn kept(office: &Office, login: &Login) -> Result<OperatorRow, Failure> {
    let found = office.desk.operator_named(login).await?;
    found.ok_or_else(|| refused(NoOperator::Changed(OperatorChanged::NotFound), login))
}

/// The first line of a file.
fn first_line(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(bytes(file)?);
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| {
        Failure::new("unreadable_file", "the password is not UTF-8", "write it as UTF-8")
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What somebody types twice, without seeing it.
fn typed(login: &Login) -> Result<Zeroizing<String>, Failure> {
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
            let fix = "run it in a terminal, or name a file with --password-file";
            Failure::new("no_terminal", format!("nobody can type a password: {error}"), fix)
        })
    };
    let password = ask(format!("New password of {login}: "))?;
    if ask("Once more: ".to_owned())? == password {
        return Ok(password);
    }
    Err(Failure::new("passwords_differ", "the two passwords are not the same", "type it again"))
}

/// Why it was not done.
fn refused(no: NoOperator, login: &Login) -> Failure {
    let fix = match no {
        NoOperator::Weak(_) => "a few words that nobody would guess are good",
        NoOperator::Changed(OperatorChanged::LoginTaken) => {
            "choose another login; see `operators list --all`"
        }
        NoOperator::Changed(OperatorChanged::NotFound) => "see `operators list --all`",
        NoOperator::Changed(_) => "there is nothing to do",
        NoOperator::NoMemory => "see that 19 MiB of memory are free",
    };
    Failure::new(no.code(), format!("{login}: {no}"), fix)
}

fn state(row: &OperatorRow) -> &'static str {
    if row.disabled_at.is_some() { "disabled" } else { "enabled" }
}

/// An operator for `--json`.
fn line(row: &OperatorRow, login: &Login) -> Value {
    json!({
        "id": row.id.to_string(), "login": login.as_str(), "role": row.role.code(),
        "state": state(row), "created_at": row.created_at.to_string(),
        "created_by": row.created_by,
        "disabled_at": row.disabled_at.map(|at| at.to_string()),
    })
}
