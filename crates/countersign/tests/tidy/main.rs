//! The repository keeps itself tidy: what a reviewer would say each time, a test says once.

mod documents;
mod edges;
mod files;
mod reasons;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the crate stands two folders deep").to_path_buf()
}

/// A file of the repository.
struct File {
    /// From the root, with slashes.
    name: String,
    text: String,
}

/// Every text file with one of these endings, sorted by name.
fn files(endings: &[&str]) -> Vec<File> {
    let mut files = Vec::new();
    walk(&root(), &mut |path| {
        let Some(name) = path.strip_prefix(root()).ok().and_then(Path::to_str) else { return };
        if !endings.iter().any(|ending| name.ends_with(ending)) {
            return;
        }
        if let Ok(text) = std::fs::read_to_string(path) {
            files.push(File { name: name.to_owned(), text });
        }
    });
    files.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!files.is_empty(), "nothing ends in {endings:?}");
    files
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let skipped = ["target", "node_modules", ".git", ".venv", "__pycache__"];
        if path.is_dir() && !path.is_symlink() {
            if !skipped.contains(&name) {
                walk(&path, visit);
            }
        } else {
            visit(&path);
        }
    }
}

/// Fails with every fault, not only the first.
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
