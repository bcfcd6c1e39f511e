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
            Value::Null => {}
            Value::Object(_) => {
                lines.push(format!("{indent}{key}:"));
                describe(value, depth + 1, lines);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                lines.push(format!("{indent}{key}:"));
                for (number, item) in items.iter().enumerate() {
                    lines.push(format!("{indent}  {}.", number + 1));
                    describe(item, depth + 2, lines);
                }
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(plain).collect();
                lines.push(format!("{indent}{key}: {}", items.join(", ")));
            }
            value => lines.push(format!("{indent}{key}: {}", plain(value))),
        }
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
            "name": "a", "docs": ["x", "y"], "weak": null,
            "event": { "id": "/id" }, "alternatives": [{ "algorithm": "hmac" }],
        });
        insta::assert_snapshot!(outline(&facts), @r"
        alternatives:
          1.
            algorithm: hmac
        docs: x, y
        event:
          id: /id
        name: a
        ");
    }
}
