//! Reasons: each has its meaning, its cure and its test in `docs/reasons.md`.

use std::collections::BTreeSet;

use super::{none, root};

/// One row of a table: a reason and the test that shows it.
struct Row {
    section: String,
    code: String,
    meaning: String,
    cure: String,
    test: String,
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("docs/reasons.md")).expect("the table");
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, code, meaning, cure, test, _] = cells.as_slice() else { continue };
        let Some(code) = code.strip_prefix('`').and_then(|code| code.strip_suffix('`')) else {
            continue;
        };
        rows.push(Row {
            section: section.clone(),
            code: code.to_owned(),
            meaning: (*meaning).to_owned(),
            cure: (*cure).to_owned(),
            test: test.trim_matches('`').to_owned(),
        });
    }
    rows
}

/// The section of `docs/reasons.md` and the codes that it must have, no more and no fewer.
fn enums() -> Vec<(&'static str, BTreeSet<&'static str>)> {
    vec![
        ("Admission", gateway::Refusal::ALL.iter().map(|r| r.code()).collect()),
        ("Verification", schemes::Rejection::ALL.iter().map(|r| r.code()).collect()),
        ("Reading", schemes::Unreadable::ALL.iter().map(|r| r.code()).collect()),
        ("Quarantine", model::Quarantine::ALL.iter().map(|r| r.code()).collect()),
        (
            "Decision",
            policy::HoldReason::ALL
                .iter()
                .map(|r| r.code())
                .chain(policy::DenyReason::ALL.iter().map(|r| r.code()))
                .collect(),
        ),
        ("Start", countersign::config::Refusal::ALL.iter().map(|r| r.code()).collect()),
        ("Audit log", audit::FaultKind::ALL.iter().map(|r| r.code()).collect()),
        ("API keys", gateway::api_keys::Denied::ALL.iter().map(|r| r.code()).collect()),
        ("New API keys", gateway::api_keys::Unfit::ALL.iter().map(|r| r.code()).collect()),
        ("Signing in", gateway::operators::Refused::ALL.iter().map(|r| r.code()).collect()),
        ("Operators", gateway::operators::NoOperator::ALL.iter().map(|r| r.code()).collect()),
        ("HTTP API", gateway::api::ApiRefusal::ALL.iter().map(|r| r.code()).collect()),
        ("Receipts", gateway::ReceiptRefusal::ALL.iter().map(|r| r.code()).collect()),
        ("Chains", chains::Hold::ALL.iter().map(|r| r.code()).collect()),
        ("Payments that do not count", chains::Unaccounted::ALL.iter().map(|r| r.code()).collect()),
        ("Orders on chains", chains::Unfit::ALL.iter().map(|r| r.code()).collect()),
        ("Store", store::OpenError::ALL.iter().map(|r| r.code()).collect()),
    ]
}

#[test]
fn the_table_and_the_code_have_the_same_reasons() {
    let rows = rows();
    let mut faults = Vec::new();
    for (section, codes) in enums() {
        let told: Vec<&str> =
            rows.iter().filter(|row| row.section == section).map(|row| row.code.as_str()).collect();
        let set: BTreeSet<&str> = told.iter().copied().collect();
        if set.len() < told.len() {
            faults.push(format!("{section}: a code stands there twice"));
        }
        let missing = codes.difference(&set);
        faults.extend(missing.map(|code| format!("{section}: {code} is missing")));
        let stale = set.difference(&codes);
        faults.extend(stale.map(|code| format!("{section}: {code} is in no code")));
    }
    none(faults);
}

#[test]
fn every_action_of_the_audit_log_is_told() {
    let page = std::fs::read_to_string(root().join("docs/audit.md")).expect("the page");
    let untold = |action: &&store::Action| !page.contains(&format!("`{}`", action.code()));
    let untold = store::Action::ALL.iter().filter(untold);
    none(untold.map(|action| format!("docs/audit.md: {} is missing", action.code())).collect());
}

#[test]
fn every_reason_has_a_meaning_a_cure_and_a_test() {
    let mut faults = Vec::new();
    for row in rows() {
        let place = format!("{}: {}", row.section, row.code);
        if row.meaning.is_empty() || row.cure.is_empty() {
            faults.push(format!("{place}: say what it means and what to do"));
        }
        let Some((file, function)) = row.test.split_once("::") else {
            faults.push(format!("{place}: name its test as FILE::FUNCTION"));
            continue;
        };
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        if !is_test(&text, function) {
            faults.push(format!("{place}: {file} has no test {function}"));
        }
    }
    none(faults);
}

/// Whether the text holds a test function of this name, not one that is ignored.
fn is_test(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let heads = ["fn", "async fn"].map(|head| format!("{head} {function}("));
    let starts = |line: &str| heads.iter().any(|head| line.starts_with(head.as_str()));
    let Some(at) = lines.iter().position(|line| starts(line)) else { return false };
    let attributes: Vec<&&str> =
        lines.iter().take(at).rev().take_while(|line| line.starts_with("#[")).collect();
    let marked = |mark: &str| attributes.iter().any(|attribute| attribute.contains(mark));
    // Inside of `proptest!` the attribute is the same.
    (marked("#[test]") || marked("tokio::test")) && !marked("ignore")
}

#[test]
fn tests_are_found_by_name() {
    let text = "#[test]\nfn a() {}\n#[tokio::test(flavor = \"x\")]\nasync fn b() {}\nfn c() {}\n\
                #[test]\n#[ignore]\nfn d() {}";
    let found = |name| is_test(text, name);
    assert!(found("a") && found("b"));
    assert!(!found("c") && !found("d") && !found("e"));
}
