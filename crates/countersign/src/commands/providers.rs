//! `providers`: the profiles that a source can name.

use serde_json::Value;

use super::{Ended, profiles, say, unknown_provider};
use crate::args::{Arguments, Providers};
use crate::failure::Outcome;
use crate::table::{Table, tame};

/// Lists or shows profiles.
pub(super) fn run(command: &Providers, arguments: &Arguments) -> Ended {
    let profiles = profiles(arguments)?;
    match command {
        Providers::List => {
            let mut table = Table::new(&["NAME", "PROVIDER", "COVERS", "FROM", "REVIEWED", "NOTE"]);
            for profile in profiles.all()? {
                let name = profile.name();
                let from = if profiles.is_own(name) { "folder" } else { "embedded" };
                let covers = profile.covers().code();
                if arguments.json {
                    say(serde_json::json!({
                        "name": name, "title": profile.title(), "covers": covers, "from": from,
                        "reviewed": profile.reviewed(), "weak": profile.weak(),
                    }))?;
                }
                let note = if profile.weak().is_some() { "weak: opt-in, warned about" } else { "" };
                let cells = [name, profile.title(), covers, from, profile.reviewed(), note];
                table.row(cells.map(str::to_owned));
            }
            if !arguments.json {
                say(table)?;
            }
        }
        Providers::Show { name } => {
            let profile = profiles.find(name)?.ok_or_else(|| unknown_provider(&profiles))?;
            let facts = profile.facts();
            if arguments.json {
                say(facts)?;
            } else {
                say(outline(&facts))?;
            }
        }
    }
    Ok(Outcome::Done)
}

/// Facts as indented lines, for people.
fn outline(facts: &Value) -> String {
    let mut lines = Vec::new();
    describe(facts, 0, &mut lines);
    lines.join("\n")
}

fn describe(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let Some(members) = value.as_object() else { return };
    let indent = "  ".repeat(depth);
    for (key, value) in members {
        match value {
            value if is_empty(value) => {}
            Value::Object(_) => {
                lines.push(format!("{indent}{key}:"));
                describe(value, depth + 1, lines);
            }
            Value::Array(items) => {
                lines.push(format!("{indent}{key}:"));
                for item in items {
                    if item.is_object() {
                        lines.push(format!("{indent}  -"));
                        describe(item, depth + 2, lines);
                    } else {
                        lines.push(format!("{indent}  - {}", plain(item)));
                    }
                }
            }
            value => lines.push(format!("{indent}{key}: {}", plain(value))),
        }
    }
}

/// Nothing that a person would miss.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        _ => false,
    }
}

fn plain(value: &Value) -> String {
    tame(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_outlined() {
        let facts = serde_json::json!({
            "name": "a", "docs": ["x", "y"], "weak": null, "dedup": { "key": null },
            "event": { "id": "/id" }, "alternatives": [{ "algorithm": "hmac" }],
        });
        insta::assert_snapshot!(outline(&facts), @r"
        alternatives:
          -
            algorithm: hmac
        docs:
          - x
          - y
        event:
          id: /id
        name: a
        ");
    }
}
