//! Files: what each says of itself, how long it is, what it is called, and whether it is alive.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{File, files, none, root};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 100;

/// Names that say nothing. A thing that is hard to name is in the wrong place.
const FORBIDDEN_NAMES: [&str; 9] =
    ["utils", "util", "helpers", "helper", "common", "core", "misc", "types", "manager"];

fn sources() -> Vec<File> {
    files(&[".rs"])
}

/// The text before the tests of a file; nothing of a file that is a test.
fn production(file: &File) -> Vec<&str> {
    let is_test = file.name.ends_with("/tests.rs") || file.name.contains("/tests/");
    if is_test {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let tests = lines.windows(2).position(
        |pair| matches!(pair, [one, two] if *one == "#[cfg(test)]" && two.starts_with("mod tests")),
    );
    lines.into_iter().take(tests.unwrap_or(usize::MAX)).collect()
}

#[test]
fn every_source_says_what_it_is_for() {
    let silent = sources().into_iter().filter(|file| !file.text.starts_with("//! "));
    none(silent.map(|file| format!("{}: begin with //! and its purpose", file.name)).collect());
}

#[test]
fn files_are_short_enough_to_read() {
    let faults = sources().into_iter().filter_map(|file| {
        let lines = production(&file).len();
        let long = lines > FILE_LINES_MAX;
        long.then(|| format!("{}: {lines} lines, at most {FILE_LINES_MAX}", file.name))
    });
    none(faults.collect());
}

#[test]
fn functions_are_short_enough_to_read() {
    let mut faults = Vec::new();
    for file in sources() {
        for (line, length) in functions(&production(&file)) {
            if length > FUNCTION_LINES_MAX {
                let name = &file.name;
                faults.push(format!("{name}:{line}: {length} lines, at most {FUNCTION_LINES_MAX}"));
            }
        }
    }
    none(faults);
}

/// Where each function begins, and how many lines it has. Formatting puts the end of a function
/// under its beginning.
fn functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().take(5).collect();
        let before = words.iter().position(|word| *word == "fn");
        let is_function = before.is_some_and(|at| {
            words
                .iter()
                .take(at)
                .all(|word| ["async", "const", "unsafe"].contains(word) || word.starts_with("pub"))
        });
        if !is_function || line.trim_end().ends_with('}') {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines.iter().skip(start).position(|line| *line == end) {
            functions.push((start + 1, length + 1));
        }
    }
    functions
}

#[test]
fn the_length_of_functions_is_measured() {
    let text = "fn a() {\n    1\n}\nimpl X {\n    pub(crate) async fn b(\n        x: u8,\n    ) {\n    }\n}";
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(functions(&lines), [(1, 3), (5, 4)]);
}

#[test]
fn names_say_something() {
    let faults = sources().into_iter().filter_map(|file| {
        let path = file.name.strip_suffix(".rs").unwrap_or(&file.name);
        let name = path.split('/').find(|part| FORBIDDEN_NAMES.contains(part))?;
        Some(format!("{}: `{name}` says nothing", file.name))
    });
    none(faults.collect());
}

#[test]
fn nothing_is_left_undone_or_speaks_of_one_machine() {
    // Put together here, so that this file does not find itself.
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["/wo", "rk/"].concat()];
    let endings = [".rs", ".md", ".toml", ".sql", ".sh", ".py", ".js", ".mjs", ".ts", ".json"];
    let mut faults = Vec::new();
    for file in files(&endings) {
        for (number, line) in (1..).zip(file.text.lines()) {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                faults.push(format!("{}:{number}: {word}", file.name));
            }
        }
    }
    none(faults);
}

#[test]
fn every_source_is_a_part_of_something() {
    let sources = sources();
    let mut alive = BTreeSet::new();
    for file in &sources {
        if is_root(&file.name) {
            follow(&root().join(&file.name), &mut alive);
        }
    }
    let dead = sources.iter().filter(|file| !alive.contains(&root().join(&file.name)));
    none(dead.map(|file| format!("{}: no `mod` leads here", file.name)).collect());
}

/// The files that cargo finds by itself.
fn is_root(name: &str) -> bool {
    let Some((_, inside)) = name.split_once("/src/") else {
        let parts: Vec<&str> = name.rsplit('/').take(3).collect();
        return matches!(
            parts.as_slice(),
            ["build.rs", ..]
                | [_, "tests" | "examples" | "benches", ..]
                | ["main.rs", _, "tests" | "examples" | "benches"]
        );
    };
    inside == "lib.rs" || inside == "main.rs" || inside.starts_with("bin/")
}

fn follow(file: &Path, alive: &mut BTreeSet<PathBuf>) {
    if !alive.insert(file.to_path_buf()) {
        return;
    }
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let folder = file.parent().unwrap_or(Path::new(""));
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = file.strip_prefix(root()).ok().and_then(Path::to_str).unwrap_or_default();
    let is_own_folder = is_root(name) || stem == "mod";
    let inside = if is_own_folder { folder.to_path_buf() } else { folder.join(stem) };
    for line in text.lines().map(str::trim_start) {
        let Some(module) = line.strip_suffix(';').and_then(|line| line.split("mod ").nth(1)) else {
            continue;
        };
        if line.starts_with("//") {
            continue;
        }
        // `mod.rs` is for what several test binaries share.
        for path in [format!("{module}.rs"), format!("{module}/mod.rs")] {
            if inside.join(&path).is_file() {
                follow(&inside.join(&path), alive);
            }
        }
    }
}

#[test]
fn every_provider_is_embedded() {
    let on_disk: BTreeSet<String> = files(&[".toml"])
        .into_iter()
        .filter_map(|file| {
            let name = file.name.strip_prefix("providers/")?.strip_suffix(".toml")?;
            (!name.contains('/')).then(|| name.to_owned())
        })
        .collect();
    let embedded: BTreeSet<String> =
        schemes::embedded().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(on_disk, embedded);
}
