//! `init`: a configuration that starts, and everything that keeps its secrets out of a repository.
//!
//! Nothing that exists is overwritten. To a `.gitignore` only what it lacks is added.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Ended, random, say};
use crate::args::Init;
use crate::failure::{Failure, Outcome};

const CONFIG: &str = include_str!("init/countersign.toml");
const ENV_EXAMPLE: &str = include_str!("init/env.example");
const ENV: &str = include_str!("init/env");

/// What must never be committed: the patterns that are usual, and those that they forget
/// (`.env.production`).
const IGNORED: [&str; 11] = [
    ".env",
    ".env.*",
    ".env.local",
    ".env.*.local",
    "!.env.example",
    "*.key",
    "*.pem",
    "*.db",
    "*.db-wal",
    "*.db-shm",
    "*.db.lock",
];

/// What became of a file.
enum Written {
    New,
    Extended,
    Kept,
}

impl Written {
    fn code(&self) -> &'static str {
        match self {
            Self::New => "written",
            Self::Extended => "extended",
            Self::Kept => "kept as it was",
        }
    }
}

/// Writes the files and says what to do next.
pub(super) fn run(init: &Init, json: bool) -> Ended {
    let folder = init.dir.as_path();
    fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    let config = inside(folder, "countersign.toml");
    if config.exists() {
        let message = format!("{} exists and is left as it is", config.display());
        let fix = "start it with `countersign serve`, or choose another folder with --dir";
        return Err(Failure::new("already_exists", message, fix));
    }
    let files = write(folder)?;
    if json {
        let files: Vec<_> = files
            .iter()
            .map(|(path, written)| {
                serde_json::json!({ "file": path.display().to_string(), "state": written.code() })
            })
            .collect();
        say(serde_json::json!({ "files": files }))?;
        return Ok(Outcome::Done);
    }
    for (path, written) in &files {
        say(format_args!("{}: {}", path.display(), written.code()))?;
    }
    say(next(folder))?;
    Ok(Outcome::Done)
}

fn write(folder: &Path) -> Result<Vec<(PathBuf, Written)>, Failure> {
    let root = vault::RootKey::generate(random()?);
    let stripe = hex(&random::<16>()?);
    let application = STANDARD.encode(random::<32>()?);
    let env = ENV.replace("{STRIPE}", &stripe).replace("{APPLICATION}", &application);
    // The configuration comes last: its being there says that the rest is.
    let mut files = vec![ignore(folder)?];
    let contents = [
        ("countersign.key", format!("{}\n", *root.to_text()), 0o600),
        (".env", env, 0o600),
        (".env.example", ENV_EXAMPLE.to_owned(), 0o644),
        ("countersign.toml", CONFIG.to_owned(), 0o644),
    ];
    for (name, content, mode) in contents {
        let path = inside(folder, name);
        let written = create(&path, &content, mode)?;
        files.push((path, written));
    }
    Ok(files)
}

fn create(path: &Path, content: &str, mode: u32) -> Result<Written, Failure> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    match options.open(path) {
        Ok(mut file) => {
            file.write_all(content.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(|error| cannot(path, &error))?;
            Ok(Written::New)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(Written::Kept),
        Err(error) => Err(cannot(path, &error)),
    }
}

/// Adds to `.gitignore` what it lacks.
fn ignore(folder: &Path) -> Result<(PathBuf, Written), Failure> {
    let path = inside(folder, ".gitignore");
    let before = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(cannot(&path, &error)),
    };
    let has =
        |pattern: &str| before.as_deref().unwrap_or("").lines().any(|line| line.trim() == pattern);
    let lacking: Vec<&str> = IGNORED.into_iter().filter(|pattern| !has(pattern)).collect();
    if lacking.is_empty() {
        return Ok((path, Written::Kept));
    }
    let gap = match before.as_deref() {
        None | Some("") => "",
        Some(text) if text.ends_with('\n') => "\n",
        Some(_) => "\n\n",
    };
    let added =
        format!("{gap}# Secrets and state, written by countersign init\n{}\n", lacking.join("\n"));
    let written = if before.is_some() { Written::Extended } else { Written::New };
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(added.as_bytes()))
        .map_err(|error| cannot(&path, &error))?;
    Ok((path, written))
}

/// A file of the folder, without a needless `./`.
fn inside(folder: &Path, name: &str) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("{} cannot be written ({})", path.display(), error.kind());
    Failure::new("cannot_write", message, "choose a folder that you may write to with --dir")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn next(folder: &Path) -> String {
    let of = |name: &str| inside(folder, name).display().to_string();
    let config = match of("countersign.toml") {
        here if here == "countersign.toml" => String::new(),
        there => format!(" --config {there}"),
    };
    let env = of(".env");
    format!(
        "\nStart it with the made-up test secrets of {env}:\n\
         \n  countersign serve{config} --env-file {env}\n\
         \nor with your own (Stripe shows the first; the second is between us and your \
         application):\n\
         \n  export STRIPE_WEBHOOK_SECRET=whsec_…\n  \
           export APP_WEBHOOK_SECRET=whsec_$(openssl rand -base64 32)\n  \
           countersign serve{config}\n\
         \nKeep a copy of {} apart from the database: without it nothing that is kept can be \
         read.",
        of("countersign.key")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn writes_what_keeps_secrets_out_of_a_repository() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path()).expect("written");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("it is there");
        for pattern in IGNORED {
            assert!(read(".gitignore").lines().any(|line| line == pattern), "{pattern}");
        }
        assert_eq!(mode(&folder.path().join("countersign.key")), 0o600);
        assert_eq!(mode(&folder.path().join(".env")), 0o600);
        assert!(vault::RootKey::parse(&read("countersign.key")).is_ok());
        // What is committed holds no value.
        for line in read(".env.example").lines().filter(|line| !line.starts_with('#')) {
            assert!(line.is_empty() || line.ends_with('='), "{line}");
        }
        assert!(!read("countersign.toml").contains("whsec_t"));
    }

    #[test]
    fn overwrites_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["countersign.key", ".env", ".env.example"] {
            fs::write(path(name), "mine").expect("written");
        }
        fs::write(path(".gitignore"), "/build\n.env").expect("written");
        let init = Init { dir: folder.path().to_path_buf() };
        run(&init, true).expect("written");
        for name in ["countersign.key", ".env", ".env.example"] {
            assert_eq!(fs::read_to_string(path(name)).expect("it is there"), "mine");
        }
        let ignored = fs::read_to_string(path(".gitignore")).expect("it is there");
        assert!(ignored.starts_with("/build\n.env\n\n#"), "{ignored}");
        assert_eq!(ignored.lines().filter(|line| *line == ".env").count(), 1);

        let before = fs::read(path(".gitignore")).expect("it is there");
        let again = run(&init, true).expect_err("there is a configuration");
        assert!(again.text(false).contains("already_exists"));
        assert_eq!(fs::read(path(".gitignore")).expect("it is there"), before);
    }
}
