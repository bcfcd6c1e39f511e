//! The profiles of providers: the embedded ones, and the operator's own over them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemes::{Profile, ProfileError};

use super::problem::{Found, Place, Refusal};

/// Every profile that a source can name. Each is parsed when it is asked for.
#[derive(Default)]
pub struct Profiles {
    own: BTreeMap<String, String>,
}

impl Profiles {
    /// The embedded ones alone.
    pub fn embedded() -> Self {
        Self::default()
    }

    /// Those of a folder, `NAME.toml` each, which override the embedded ones of the same name.
    pub(super) fn of_folder(folder: &Path, place: &Place, found: &mut Found) -> Self {
        let mut profiles = Self::default();
        let mut files = match files(folder) {
            Ok(files) => files,
            Err(error) => {
                let message = format!("the folder of profiles cannot be read ({})", error.kind());
                let fix = "correct the path (relative ones start at the configuration's folder)";
                found.add(Refusal::BadProvidersDirectory, place, message, fix);
                return profiles;
            }
        };
        files.sort();
        for (name, path) in files {
            let loaded = match std::fs::read_to_string(&path) {
                Ok(text) => match Profile::parse(&name, &text) {
                    Ok(_) => Ok(text),
                    Err(error) => Err(error.to_string()),
                },
                Err(error) => Err(error.kind().to_string()),
            };
            match loaded {
                Ok(text) => {
                    profiles.own.insert(name, text);
                }
                Err(error) => {
                    let message = format!("{name}.toml in this folder does not load: {error}");
                    let fix = "correct the profile (docs/profiles.md) or take it out of the folder";
                    found.add(Refusal::BadProfile, place, message, fix);
                }
            }
        }
        profiles
    }

    /// The profile of this name, if there is one.
    pub fn find(&self, name: &str) -> Result<Option<Profile>, ProfileError> {
        let embedded = || schemes::embedded().iter().find(|(n, _)| *n == name).map(|(_, t)| *t);
        let text = self.own.get(name).map(String::as_str).or_else(embedded);
        text.map(|text| Profile::parse(name, text)).transpose()
    }

    /// Every name, sorted.
    pub fn names(&self) -> Vec<&str> {
        let embedded = schemes::embedded().iter().map(|(name, _)| *name);
        let all: BTreeSet<&str> = embedded.chain(self.own.keys().map(String::as_str)).collect();
        all.into_iter().collect()
    }

    /// Whether this one is the operator's own.
    pub fn is_own(&self, name: &str) -> bool {
        self.own.contains_key(name)
    }

    /// Every profile, sorted by name.
    pub fn all(&self) -> Result<Vec<Profile>, ProfileError> {
        self.names().into_iter().filter_map(|name| self.find(name).transpose()).collect()
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        if let Some(name) = name.filter(|_| path.extension().is_some_and(|e| e == "toml")) {
            files.push((name, path));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_profile_loads() {
        let profiles = Profiles::embedded();
        for name in profiles.names() {
            if let Err(error) = profiles.find(name) {
                panic!("{error}");
            }
        }
    }
}
