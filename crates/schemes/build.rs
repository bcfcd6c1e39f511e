//! Embeds every profile of `providers/`, sorted by name.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or_else(|| io::Error::other(format!("cargo did not set {name}")))
    };
    let folder = variable("CARGO_MANIFEST_DIR")?.join("../../providers");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path.canonicalize()?);
        }
    }
    files.sort();

    let mut code = String::from("const EMBEDDED: &[(&str, &str)] = &[\n");
    for path in &files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        writeln!(code, "    ({name:?}, include_str!({path:?})),").map_err(io::Error::other)?;
    }
    code.push_str("];\n");
    fs::write(variable("OUT_DIR")?.join("embedded.rs"), code)?;
    println!("cargo::rerun-if-changed={}", folder.display());
    Ok(())
}
