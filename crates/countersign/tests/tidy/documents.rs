//! Documents: the commands that they show exist, and so do the files that they link to.

use clap::Command;
use countersign::config::Origin;

use super::{files, none, root};

/// The commands in one document: those in fenced blocks, and those between backticks.
fn shown(text: &str) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            let line = line.trim().trim_start_matches("$ ");
            let command = line
                .strip_prefix("countersign ")
                .or_else(|| line.strip_prefix("target/release/countersign "))
                .or_else(|| Some(line.split_once("cargo run")?.1.split_once(" -- ")?.1));
            commands.extend(command.map(|command| (number, command.to_owned())));
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            let ours = spans.filter_map(|span| span.strip_prefix("countersign "));
            commands.extend(ours.map(|command| (number, command.to_owned())));
        }
    }
    commands
}

/// What is wrong with a command, if anything.
fn fault(command: &str, root: &Command) -> Option<String> {
    let command = command.split(['#', '|', '>', '&', ';']).next().unwrap_or_default();
    let mut at = root;
    let mut globals: Vec<String> = options(root);
    for word in command.split_whitespace() {
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split(['=', ']', '`', ')']).next().unwrap_or_default();
            let known =
                globals.iter().any(|known| known == name) || ["help", "version"].contains(&name);
            if !known {
                return Some(format!("`{}` has no option --{name}", at.get_name()));
            }
        } else if at.has_subcommands() && word.bytes().all(|b| b.is_ascii_lowercase()) {
            match at.find_subcommand(word) {
                Some(sub) => {
                    at = sub;
                    globals.extend(options(sub));
                }
                None => return Some(format!("`{}` has no command {word}", at.get_name())),
            }
        }
    }
    None
}

fn options(command: &Command) -> Vec<String> {
    command.get_arguments().filter_map(|a| a.get_long()).map(str::to_owned).collect()
}

#[test]
fn commands_in_documents_exist() {
    let root = countersign::command();
    let mut faults = Vec::new();
    for file in files(&[".md"]) {
        for (line, command) in shown(&file.text) {
            // `events release|refuse ID` stands for two commands.
            let alternatives = alternatives(&command);
            let found = alternatives.iter().filter_map(|command| fault(command, &root));
            faults.extend(found.map(|fault| format!("{}:{line}: {fault}", file.name)));
        }
    }
    none(faults);
}

/// A command with `a|b` in one word as the commands that it stands for.
fn alternatives(command: &str) -> Vec<String> {
    let word = command.split_whitespace().find(|word| {
        word.contains('|') && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'|')
    });
    let Some(word) = word else { return vec![command.to_owned()] };
    word.split('|').map(|one| command.replacen(word, one, 1)).collect()
}

#[test]
fn commands_are_found_and_judged() {
    let text = "see `countersign events nothing`\n```sh\n$ countersign serve --config x\n\
                cargo run --release -- verify --vectorz f\n```\n`countersign init|serve --json`";
    let root = countersign::command();
    let faults: Vec<_> = shown(text)
        .iter()
        .flat_map(|(line, command)| alternatives(command).into_iter().map(|c| (*line, c)))
        .filter_map(|(line, command)| Some((line, fault(&command, &root)?)))
        .collect();
    let want = [(1, "`events` has no command nothing"), (4, "`verify` has no option --vectorz")];
    assert_eq!(faults, want.map(|(line, fault)| (line, fault.to_owned())));
}

#[test]
fn every_command_is_in_the_manual() {
    let manual = std::fs::read_to_string(root().join("docs/commands.md")).expect("the manual");
    let mut faults = Vec::new();
    let mut visit = vec![(String::new(), countersign::command())];
    while let Some((path, command)) = visit.pop() {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            visit.push((format!("{path} {}", sub.get_name()), sub.clone()));
        }
        if !command.has_subcommands() && !manual.contains(path.trim()) {
            faults.push(format!("docs/commands.md does not show{path}"));
        }
    }
    none(faults);
}

#[test]
fn links_lead_somewhere() {
    let mut faults = Vec::new();
    for file in files(&[".md"]) {
        let folder = root().join(&file.name);
        let folder = folder.parent().expect("a file stands in a folder");
        for part in file.text.split("](").skip(1) {
            let target = part.split([')', '#', ' ']).next().unwrap_or_default();
            let is_local = !target.is_empty() && !target.contains(':');
            if is_local && !folder.join(target).exists() {
                faults.push(format!("{}: {target} does not exist", file.name));
            }
        }
    }
    none(faults);
}

#[test]
fn every_key_of_the_configuration_is_in_the_manual() {
    let manual = std::fs::read_to_string(root().join("docs/configuration.md")).expect("the manual");
    // What is unknown is refused with the keys that are known.
    let wrong = "zzzzz = 1\n[server]\nzzzzz = 1\n[server.admin_tls]\nzzzzz = 1\n[server.security_txt]\nzzzzz = 1\n[admin]\nzzzzz = 1\n[store]\nzzzzz = 1\n[vault]\nzzzzz = 1\n\
                 [providers]\nzzzzz = 1\n[outbound]\nzzzzz = 1\n[retention]\nzzzzz = 1\n[[source]]\nzzzzz = 1\n[[endpoint]]\nzzzzz = 1\n\
                 [orders]\nzzzzz = 1\n[[chain]]\nzzzzz = 1\n[[chain.node]]\nzzzzz = 1\n[[asset]]\nzzzzz = 1\n";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("countersign.toml");
    std::fs::write(&file, wrong).expect("written");
    let problems = Origin::new(&file, None).profiles().err().expect("it has unknown keys");
    let known = problems.iter().filter_map(|p| p.fix.split_once("keys known here: "));
    let keys: Vec<&str> = known.flat_map(|(_, keys)| keys.split(", ")).collect();
    assert!(keys.len() > 25, "{keys:?}");
    let missing = keys.iter().filter(|key| !manual.contains(&format!("`{key}`")));
    none(missing.map(|key| format!("docs/configuration.md does not explain {key}")).collect());
}
