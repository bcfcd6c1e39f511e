//! The verdict as tables for people, and as one JSON object for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Serialize;

use super::attack::Shot;
use super::orders::{Entry, Fate};
use super::verdict::{Account, Verdict};
use crate::table::tame;

/// What `--json` prints: `docs/demo.md` describes it.
#[derive(Serialize)]
struct Report<'v> {
    ok: bool,
    providers: Vec<ProviderLine<'v>>,
    attacks: Vec<AttackLine<'v>>,
    orders: Vec<OrderLine<'v>>,
    seconds: f64,
}

#[derive(Serialize)]
struct ProviderLine<'v> {
    name: &'v str,
    sent: usize,
    accepted: usize,
    delivered: usize,
    duplicates: usize,
    refused: usize,
}

#[derive(Serialize)]
struct AttackLine<'v> {
    name: &'v str,
    provider: &'v str,
    status: Option<u16>,
    reason: String,
    ok: bool,
}

#[derive(Serialize)]
struct OrderLine<'v> {
    guide: &'v str,
    provider: &'v str,
    paid: &'v str,
    expected: &'v Fate,
    seen: &'v Fate,
    told: &'v [String],
    ok: bool,
}

/// One JSON object on one line.
pub(super) fn json(verdict: &Verdict, seconds: f64) -> String {
    let attacks = groups(&verdict.shots, |shot| (shot.attack.name, shot.provider.as_str()));
    let report = Report {
        ok: verdict.is_good(),
        providers: verdict.accounts.iter().map(provider_line).collect(),
        attacks: attacks.iter().filter_map(|shots| attack_line(shots)).collect(),
        orders: verdict.orders.iter().map(order_line).collect(),
        seconds: (seconds * 1000.0).round() / 1000.0,
    };
    serde_json::to_string(&report).expect("texts and numbers are JSON")
}

fn provider_line(account: &Account) -> ProviderLine<'_> {
    ProviderLine {
        name: &account.name,
        sent: account.sent,
        accepted: account.accepted,
        delivered: account.delivered,
        duplicates: account.duplicates,
        refused: account.refused,
    }
}

/// What went wrong is what there is to say of an attack, if anything did.
fn attack_line<'v>(shots: &[&'v Shot]) -> Option<AttackLine<'v>> {
    let told = *shots.iter().find(|shot| !shot.is_good).or(shots.last())?;
    Some(AttackLine {
        name: told.attack.name,
        provider: &told.provider,
        status: told.status,
        reason: reasons(&[told]),
        ok: shots.iter().all(|shot| shot.is_good),
    })
}

fn order_line(entry: &Entry) -> OrderLine<'_> {
    OrderLine {
        guide: entry.guide.name,
        provider: entry.guide.provider.name(),
        paid: entry.difference.code(),
        expected: &entry.expected,
        seen: &entry.seen,
        told: &entry.told,
        ok: entry.is_good(),
    }
}

/// Tables of at most 100 columns, and a last line that says it all.
pub(super) fn text(verdict: &Verdict, seconds: f64) -> String {
    let mut text = String::from("\n");
    text.push_str(&providers(verdict));
    text.push('\n');
    text.push_str(&attacks(verdict));
    text.push('\n');
    text.push_str(&orders(verdict));
    text.push('\n');
    for line in wrongs(verdict) {
        push(&mut text, format_args!("{line}"));
    }
    let (failed, repeated) = (verdict.failed, verdict.repeated);
    push(
        &mut text,
        format_args!(
            "The application answered {failed} deliveries with an error, and got {repeated} of them twice."
        ),
    );
    let conclusion = if verdict.is_good() {
        "Every good event was delivered exactly once, every bad one kept out"
    } else {
        "NOT as it should be"
    };
    let right = verdict.orders.iter().filter(|entry| entry.is_good()).count();
    let all = verdict.orders.len();
    write!(text, "{conclusion}, {right} of {all} orders right. {seconds:.1} s")
        .expect("a text takes more text");
    text
}

/// Everything that is not as it should be, a line each.
pub(super) fn wrongs(verdict: &Verdict) -> Vec<String> {
    let faults = verdict.faults.iter().map(|fault| format!("WRONG: {fault}"));
    let shots = verdict.shots.iter().filter(|shot| !shot.is_good).map(|shot| {
        let reached = if shot.is_as_expected { ", and it reached the application" } else { "" };
        let (name, provider) = (shot.attack.name, &shot.provider);
        format!("WRONG: {name} against {provider}: {}{reached}", reasons(&[shot]))
    });
    let orders =
        verdict.orders.iter().filter_map(Entry::wrong).map(|wrong| format!("WRONG: {wrong}"));
    faults.chain(shots).chain(orders).collect()
}

fn providers(verdict: &Verdict) -> String {
    let mut rows = vec![Row::of(&[
        "PROVIDER",
        "SENT",
        "ACCEPTED",
        "DELIVERED",
        "DUPLICATES",
        "REFUSED",
        "WHY",
    ])];
    let count = |pick: fn(&Account) -> usize| verdict.accounts.iter().map(pick).sum::<usize>();
    for account in &verdict.accounts {
        let why: Vec<String> =
            account.why.iter().map(|(reason, n)| format!("{n}{TIED}{reason}")).collect();
        rows.push(Row::of(&[
            &account.name,
            &account.sent.to_string(),
            &account.accepted.to_string(),
            &account.delivered.to_string(),
            &account.duplicates.to_string(),
            &account.refused.to_string(),
            &why.join(", "),
        ]));
    }
    rows.push(Row::of(&[
        "all",
        &count(|account| account.sent).to_string(),
        &count(|account| account.accepted).to_string(),
        &count(|account| account.delivered).to_string(),
        &count(|account| account.duplicates).to_string(),
        &count(|account| account.refused).to_string(),
        "",
    ]));
    lay_out(&rows, &[Side::Left, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, Side::Wrapped(40)])
}

fn attacks(verdict: &Verdict) -> String {
    let mut rows = vec![Row::of(&["ATTACK", "WHAT WAS SENT", "TO", "EXPECTED", "GOT", "OK"])];
    for shots in groups(&verdict.shots, |shot| shot.attack.name) {
        let Some(first) = shots.first() else { continue };
        let mut providers: Vec<&str> = shots.iter().map(|shot| shot.provider.as_str()).collect();
        providers.sort_unstable();
        providers.dedup();
        let to = match providers.as_slice() {
            many if many.contains(&"all") => "all".to_owned(),
            [one] => (*one).to_owned(),
            many => format!("{} sources", many.len()),
        };
        let expected: BTreeSet<String> = shots.iter().map(|shot| shot.expected.text()).collect();
        let expected: Vec<String> = expected.into_iter().collect();
        let is_good = shots.iter().all(|shot| shot.is_good);
        rows.push(Row::of(&[
            first.attack.name,
            first.attack.sent,
            &to,
            &expected.join(", "),
            &got(&shots),
            if is_good { "ok" } else { "NO" },
        ]));
    }
    lay_out(
        &rows,
        &[
            Side::Left,
            Side::Wrapped(26),
            Side::Left,
            Side::Wrapped(10),
            Side::Wrapped(28),
            Side::Left,
        ],
    )
}

fn orders(verdict: &Verdict) -> String {
    let mut rows = vec![Row::of(&["GUIDE", "PAID", "EXPECTED", "SEEN", "OK"])];
    let mut last = "";
    for entry in &verdict.orders {
        let guide = entry.guide.name;
        rows.push(Row::of(&[
            if guide == last { "" } else { guide },
            entry.difference.code(),
            &entry.expected.to_string(),
            &entry.seen.to_string(),
            if entry.is_good() { "ok" } else { "NO" },
        ]));
        last = guide;
    }
    lay_out(&rows, &[Side::Left, Side::Left, Side::Left, Side::Wrapped(30), Side::Left])
}

/// Statuses, how often, and the reasons behind them.
fn got(shots: &[&Shot]) -> String {
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for status in shots.iter().filter_map(|shot| shot.status) {
        *statuses.entry(status).or_default() += 1;
    }
    let statuses: Vec<String> = statuses
        .into_iter()
        .map(|(status, n)| if n > 1 { format!("{n} x {status}") } else { status.to_string() })
        .collect();
    let reasons = reasons(shots);
    if statuses.is_empty() { reasons } else { format!("{}: {reasons}", statuses.join(", ")) }
}

fn reasons(shots: &[&Shot]) -> String {
    let mut known: Vec<&str> = Vec::new();
    for (reason, _) in shots.iter().flat_map(|shot| &shot.reasons) {
        if !known.contains(&reason.as_str()) {
            known.push(reason);
        }
    }
    known.join(", ")
}

/// Shots that belong together, in the order of their first ones.
fn groups<'s, K: PartialEq>(shots: &'s [Shot], key: impl Fn(&'s Shot) -> K) -> Vec<Vec<&'s Shot>> {
    let mut groups: Vec<(K, Vec<&Shot>)> = Vec::new();
    for shot in shots {
        let of = key(shot);
        match groups.iter_mut().find(|(known, _)| *known == of) {
            Some((_, group)) => group.push(shot),
            None => groups.push((of, vec![shot])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a text takes more text");
}

/// A space that a line is not broken at.
const TIED: char = '\u{a0}';

const RIGHT: Side = Side::Right;

/// How a column is set.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    /// Left, in lines of so many characters.
    Wrapped(usize),
}

struct Row(Vec<String>);

impl Row {
    fn of(cells: &[&str]) -> Self {
        Self(cells.iter().map(|cell| tame(cell)).collect())
    }
}

/// Sets rows in columns; the first row is the header.
fn lay_out(rows: &[Row], sides: &[Side]) -> String {
    let set: Vec<Vec<Vec<String>>> = rows
        .iter()
        .map(|Row(cells)| {
            let set = |(cell, side): (&String, &Side)| match side {
                Side::Wrapped(width) => wrap(cell, *width),
                Side::Left | Side::Right => vec![cell.clone()],
            };
            cells.iter().zip(sides).map(set).collect()
        })
        .collect();
    let width = |column: usize| {
        let lines = set.iter().filter_map(|row| row.get(column)).flatten();
        lines.map(|line| line.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..sides.len()).map(width).collect();
    let mut text = String::new();
    for row in &set {
        let height = row.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let mut out = String::new();
            for ((cell, side), width) in row.iter().zip(sides).zip(&widths) {
                let part = cell.get(line).map_or("", String::as_str);
                match side {
                    Side::Right => out.push_str(&format!("{part:>width$}  ")),
                    Side::Left | Side::Wrapped(_) => out.push_str(&format!("{part:<width$}  ")),
                }
            }
            push(&mut text, format_args!("{}", out.trim_end()));
        }
    }
    text
}

/// Lines of at most so many characters, broken at spaces but tied ones; a longer word stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        let is_full = line > 0 && line + 1 + word.chars().count() > width;
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word.replace(TIED, " "));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_wrapped_and_numbers_stand_right() {
        let rows = [
            Row::of(&["NAME", "N", "WHY"]),
            Row::of(&["a", "7", "one two three four"]),
            Row::of(&["longer", "120", ""]),
        ];
        insta::assert_snapshot!(lay_out(&rows, &[Side::Left, Side::Right, Side::Wrapped(9)]), @r"
        NAME      N  WHY
        a         7  one two
                     three
                     four
        longer  120
        ");
    }

    #[test]
    fn a_long_word_is_not_lost() {
        assert_eq!(wrap("a averyveryverylongword b", 5), ["a", "averyveryverylongword", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
