//! References: `${env:NAME}` and `${file:PATH}`, whole values only, and what they stand for.
//!
//! This is the only place that reads variables and secret files, once, before the start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::document::At;
use super::problem::{Found, Place, Refusal};

/// Bytes of a file that a reference may name, at most.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What a text of the configuration is.
enum Written<'t> {
    /// Plain text.
    Literal,
    /// `${env:NAME}`.
    Variable(&'t str),
    /// `${file:PATH}`.
    File(&'t str),
    /// A reference with something around it.
    Partial,
    /// A reference to something else.
    Malformed,
}

fn parse(text: &str) -> Written<'_> {
    let Some(inside) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        return if text.contains("${") { Written::Partial } else { Written::Literal };
    };
    if inside.contains("${") || inside.contains('}') {
        return Written::Partial;
    }
    match inside.split_once(':') {
        Some(("env", name)) if is_variable_name(name) => Written::Variable(name),
        Some(("file", path)) if !path.trim().is_empty() => Written::File(path),
        _ => Written::Malformed,
    }
}

/// Upper case only: a secret that was pasted between the braces is not taken for a name, and so
/// is never printed as one.
fn is_variable_name(name: &str) -> bool {
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_uppercase() || b == b'_');
    let rest = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    starts && rest && name.len() <= 128
}

/// Looks up one variable.
type Lookup = dyn Fn(&str) -> Option<OsString>;

/// Where variables come from: the process's environment, then a file that was named.
pub struct Variables {
    given: Box<Lookup>,
    file: BTreeMap<String, String>,
}

impl Variables {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self { given: Box::new(|name| std::env::var_os(name)), file: BTreeMap::new() }
    }

    /// Only these.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let map: BTreeMap<String, OsString> =
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { given: Box::new(move |name| map.get(name).cloned()), file: BTreeMap::new() }
    }

    /// Adds `NAME=VALUE` lines of a file. What the environment sets wins.
    pub(super) fn add_file(&mut self, path: &Path, found: &mut Found) {
        let mut refuse = |refusal, message: String, fix: &str| {
            found.add(refusal, &Place::file(), format!("{}: {message}", path.display()), fix);
        };
        let text = match read_private(path) {
            Ok(text) => text,
            Err(fault) => {
                let fix = "give --env-file a text file of mode 0600 with NAME=VALUE lines";
                return refuse(Refusal::BadEnvFile, fault.message(), fix);
            }
        };
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            match line.split_once('=') {
                Some((name, value)) if is_variable_name(name.trim()) => {
                    self.file.insert(name.trim().to_owned(), unquote(value.trim()).to_owned());
                }
                _ => refuse(
                    Refusal::BadEnvFile,
                    format!("line {number} is not NAME=VALUE"),
                    "write NAME=VALUE with an upper-case name, or start the line with #",
                ),
            }
        }
    }

    fn get(&self, name: &str) -> Option<OsString> {
        (self.given)(name).or_else(|| self.file.get(name).map(OsString::from))
    }
}

fn unquote(value: &str) -> &str {
    let within = |quote: char| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// Turns texts into what they stand for.
pub(super) struct Resolver<'a> {
    pub(super) variables: &'a Variables,
    /// The configuration's folder: relative paths start here.
    pub(super) folder: &'a Path,
}

impl Resolver<'_> {
    /// A secret: a reference, never a text of the configuration.
    pub(super) fn secret(&self, text: &At<String>, found: &mut Found) -> Option<String> {
        let At { value, place } = text;
        let value = match parse(value) {
            Written::Literal => {
                let message = "a secret stands in the configuration itself";
                let fix = "put it in the environment and write \"${env:NAME}\", or in a file of \
                           mode 0600 and write \"${file:PATH}\"; if this file was ever \
                           committed, replace the secret at the provider";
                found.add(Refusal::LiteralSecret, place, message, fix);
                return None;
            }
            written => self.referred(written, place, found)?,
        };
        if value.trim() != value {
            let message = "the secret begins or ends with white space";
            let fix = "store the secret alone, with at most one line end after it";
            found.add(Refusal::SecretPadded, place, message, fix);
            return None;
        }
        Some(value)
    }

    /// A text that is no secret: itself, or a reference.
    pub(super) fn text(&self, text: &At<String>, found: &mut Found) -> Option<String> {
        match parse(&text.value) {
            Written::Literal => Some(text.value.clone()),
            written => self.referred(written, &text.place, found),
        }
    }

    /// A path that may also be written as a reference: the file itself, not its text.
    pub(super) fn file_named(&self, text: &At<String>, found: &mut Found) -> Option<PathBuf> {
        match parse(&text.value) {
            Written::Literal if text.value.contains("-----BEGIN") => {
                let message = "this is the content of a file, not its path";
                let fix = "put it into a file of mode 0600 and write its path; replace the key if \
                           this file was ever committed";
                found.add(Refusal::LiteralSecret, &text.place, message, fix);
                None
            }
            Written::Literal => Some(self.path(&text.value)),
            Written::File(path) => Some(self.path(path)),
            written => Some(self.path(&self.referred(written, &text.place, found)?)),
        }
    }

    /// A path, from the configuration's folder.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    fn referred(&self, written: Written<'_>, place: &Place, found: &mut Found) -> Option<String> {
        match written {
            Written::Variable(name) => self.variable(name, place, found),
            Written::File(path) => self.file(path, place, found),
            Written::Partial => {
                let message = "a reference is a part of this text";
                let fix = "references are whole values: write \"${env:NAME}\" alone and put the \
                           whole text into the variable";
                found.add(Refusal::PartialReference, place, message, fix);
                None
            }
            Written::Malformed | Written::Literal => {
                let message = "this is neither ${env:NAME} nor ${file:PATH}";
                let fix = "write \"${env:NAME}\" (upper-case letters, digits and _) or \
                           \"${file:PATH}\"";
                found.add(Refusal::BadReference, place, message, fix);
                None
            }
        }
    }

    fn variable(&self, name: &str, place: &Place, found: &mut Found) -> Option<String> {
        let Some(value) = self.variables.get(name) else {
            let hint = if self.folder.join(".env").is_file() {
                " (or start with --env-file .env, if it is set there)"
            } else {
                ""
            };
            let message = format!("the variable {name} is not set");
            let fix = format!("export {name}=… before the start{hint}");
            found.add(Refusal::VariableUnset, place, message, fix);
            return None;
        };
        let Ok(value) = value.into_string() else {
            let message = format!("the variable {name} is not UTF-8");
            let fix = format!("set {name} to text, or use ${{file:PATH}}");
            found.add(Refusal::VariableNotText, place, message, fix);
            return None;
        };
        if value.trim().is_empty() {
            let message = format!("the variable {name} is empty");
            let fix = format!("set {name}: an empty secret would sign for everybody");
            found.add(Refusal::VariableEmpty, place, message, fix);
            return None;
        }
        Some(value)
    }

    fn file(&self, path: &str, place: &Place, found: &mut Found) -> Option<String> {
        match read_private(&self.path(path)) {
            Ok(mut text) => {
                if text.ends_with('\n') {
                    text.pop();
                    if text.ends_with('\r') {
                        text.pop();
                    }
                }
                Some(text)
            }
            Err(fault) => {
                let message = format!("the file {}", fault.message());
                found.add(fault.refusal(), place, message, fault.fix());
                None
            }
        }
    }
}

/// Why a file with secrets is not used. Paths stay out: the line of the configuration has them.
pub(super) enum FileFault {
    Missing,
    Unreadable(std::io::ErrorKind),
    TooLarge,
    NotText,
    Empty,
    Exposed,
}

impl FileFault {
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Missing => Refusal::FileMissing,
            Self::Unreadable(_) | Self::TooLarge | Self::NotText => Refusal::FileUnreadable,
            Self::Empty => Refusal::FileEmpty,
            Self::Exposed => Refusal::FileExposed,
        }
    }

    pub(super) fn message(&self) -> String {
        match self {
            Self::Missing => "does not exist".into(),
            Self::Unreadable(kind) => format!("cannot be read ({kind})"),
            Self::TooLarge => "is larger than 64 KiB".into(),
            Self::NotText => "is not UTF-8 text".into(),
            Self::Empty => "is empty".into(),
            Self::Exposed => "can be read or changed by other users".into(),
        }
    }

    fn fix(&self) -> &'static str {
        match self {
            Self::Missing => {
                "create it with mode 0600, or correct the path (relative paths start at the \
                 configuration's folder); `countersign init` makes a key file"
            }
            Self::Unreadable(_) => "let the user that runs the gateway read it, and nobody else",
            Self::TooLarge | Self::NotText => "the file holds one secret as text, and nothing else",
            Self::Empty => "put the secret into the file: an empty one would sign for everybody",
            Self::Exposed => "chmod 600 the file",
        }
    }
}

/// Reads a file that others must not read. What a container's runtime mounts under `/run/secrets`
/// is readable for all inside of the container by design.
pub(super) fn read_private(path: &Path) -> Result<String, FileFault> {
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if is_exposed(&metadata) && !path.starts_with("/run/secrets") {
        return Err(FileFault::Exposed);
    }
    bounded(file)
}

/// Reads a file that is no secret.
pub(super) fn read_text(path: &Path) -> Result<String, FileFault> {
    bounded(std::fs::File::open(path).map_err(unreadable)?)
}

fn unreadable(error: std::io::Error) -> FileFault {
    match error.kind() {
        std::io::ErrorKind::NotFound => FileFault::Missing,
        kind => FileFault::Unreadable(kind),
    }
}

fn bounded(file: std::fs::File) -> Result<String, FileFault> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(FileFault::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| FileFault::NotText)?;
    if text.trim().is_empty() { Err(FileFault::Empty) } else { Ok(text) }
}

/// Others may read or write, or the group may write.
#[cfg(unix)]
fn is_exposed(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.is_file() && metadata.permissions().mode() & 0o026 != 0
}

#[cfg(not(unix))]
fn is_exposed(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn check(written: &str, variables: &[(&str, &str)], folder: &Path) -> Result<String, Refusal> {
        let mut found = Found::default();
        let variables = Variables::of(variables);
        let resolver = Resolver { variables: &variables, folder };
        let text = At { value: written.to_owned(), place: Place { line: 3, key: "k".into() } };
        let secret = resolver.secret(&text, &mut found);
        let problems = found.into_list();
        for problem in &problems {
            assert!(!format!("{problem:?}").contains("hush"), "{problem:?}");
            assert!(!problem.fix.is_empty());
        }
        secret.ok_or_else(|| problems[0].refusal)
    }

    fn variable(written: &str, value: &str) -> Result<String, Refusal> {
        check(written, &[("A", value)], Path::new("/nowhere"))
    }

    fn file(name: &str, content: &[u8], mode: u32) -> Result<String, Refusal> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        std::fs::write(&path, content).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("set");
        check(name, &[], folder.path())
    }

    #[test]
    fn a_whole_reference_is_resolved() {
        assert_eq!(variable("${env:A}", "hush"), Ok("hush".into()));
        assert_eq!(file("${file:secret}", b"hush\n", 0o600), Ok("hush".into()));
        assert_eq!(file("${file:secret}", b"hush\r\n", 0o640), Ok("hush".into()));
        assert_eq!(file("${file:secret}", b"hush", 0o400), Ok("hush".into()));
    }

    #[test]
    fn a_literal_secret_is_refused() {
        for literal in ["hush", "", "$A", "env:A", "{env:A}", "whsec_test_hush"] {
            assert_eq!(variable(literal, "x"), Err(Refusal::LiteralSecret), "{literal}");
        }
    }

    #[test]
    fn a_part_of_a_text_is_refused() {
        for partial in ["hush${env:A}", "${env:A}hush", "${env:A}${env:A}", "${env:${env:A}}", "${"]
        {
            assert_eq!(variable(partial, "x"), Err(Refusal::PartialReference), "{partial}");
        }
    }

    #[test]
    fn other_references_are_refused() {
        let bad = ["${A}", "${env:}", "${env: A}", "${env:a}", "${env:1A}", "${ENV:A}", "${}"];
        for bad in
            bad.into_iter().chain(["${env:whsec_hush}", "${file:}", "${file: }", "${vault:A}"])
        {
            assert_eq!(variable(bad, "x"), Err(Refusal::BadReference), "{bad}");
        }
    }

    #[test]
    fn an_unset_variable_is_refused() {
        assert_eq!(variable("${env:B}", "x"), Err(Refusal::VariableUnset));
    }

    #[test]
    fn an_empty_variable_is_refused() {
        for blank in ["", " ", "\t\n"] {
            assert_eq!(variable("${env:A}", blank), Err(Refusal::VariableEmpty));
        }
    }

    #[test]
    fn a_variable_that_is_not_text_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let variables = Variables {
            given: Box::new(|_| Some(OsString::from_vec(vec![0xff]))),
            file: BTreeMap::new(),
        };
        let resolver = Resolver { variables: &variables, folder: Path::new("/") };
        let mut found = Found::default();
        let text = At { value: "${env:A}".to_owned(), place: Place::file() };
        assert!(resolver.secret(&text, &mut found).is_none());
        assert_eq!(found.into_list()[0].refusal, Refusal::VariableNotText);
    }

    #[test]
    fn white_space_around_a_secret_is_refused() {
        assert_eq!(variable("${env:A}", "hush\n"), Err(Refusal::SecretPadded));
        assert_eq!(variable("${env:A}", " hush"), Err(Refusal::SecretPadded));
        assert_eq!(file("${file:secret}", b"hush\n\n", 0o600), Err(Refusal::SecretPadded));
    }

    #[test]
    fn a_missing_file_is_refused() {
        assert_eq!(file("${file:other}", b"hush", 0o600), Err(Refusal::FileMissing));
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert_eq!(file("${file:secret}", b"", 0o600), Err(Refusal::FileEmpty));
        assert_eq!(file("${file:secret}", b" \n", 0o600), Err(Refusal::FileEmpty));
    }

    #[test]
    fn a_file_that_is_not_a_secret_is_refused() {
        assert_eq!(file("${file:secret}", &[0xff], 0o600), Err(Refusal::FileUnreadable));
        assert_eq!(file("${file:secret}", &[b'x'; 70_000], 0o600), Err(Refusal::FileUnreadable));
        assert_eq!(file("${file:.}", b"hush", 0o600), Err(Refusal::FileUnreadable));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        for mode in [0o644, 0o604, 0o602, 0o620, 0o666] {
            assert_eq!(file("${file:secret}", b"hush", mode), Err(Refusal::FileExposed));
        }
    }

    #[test]
    fn an_env_file_adds_what_the_environment_does_not_set() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        std::fs::write(&path, "# words\n\nA=one\nexport B=\"two\"\nC='three'\n").expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("set");
        let mut variables = Variables::of(&[("A", "given")]);
        let mut found = Found::default();
        variables.add_file(&path, &mut found);
        assert!(found.is_empty());
        let get = |name| variables.get(name).and_then(|v| v.into_string().ok());
        assert_eq!(get("A").as_deref(), Some("given"));
        assert_eq!(get("B").as_deref(), Some("two"));
        assert_eq!(get("C").as_deref(), Some("three"));
    }

    #[test]
    fn a_bad_env_file_is_refused_and_not_quoted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        let refusal = |content: &str, mode| {
            std::fs::write(&path, content).expect("written");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("set");
            let mut found = Found::default();
            Variables::of(&[]).add_file(&path, &mut found);
            let problems = found.into_list();
            assert!(!format!("{problems:?}").contains("hush"));
            problems.first().map(|problem| problem.refusal)
        };
        assert_eq!(refusal("A=hush", 0o600), None);
        assert_eq!(refusal("A=hush", 0o644), Some(Refusal::BadEnvFile));
        assert_eq!(refusal("hush", 0o600), Some(Refusal::BadEnvFile));
        assert_eq!(refusal("hush=1", 0o600), Some(Refusal::BadEnvFile));
    }
}
