//! Doors to the reader of the configuration, for the fuzz targets alone. Behind a feature.

use std::path::Path;

use super::document::{self, At};
use super::problem::{Found, Place};
use super::reference::{Resolver, Variables};

/// What is wrong with the text of a configuration before any of it is given a meaning: the messages.
pub fn faults(text: &str) -> Vec<String> {
    let mut found = Found::default();
    document::read(text, &mut found);
    found
        .into_list()
        .into_iter()
        .map(|problem| format!("{} {}", problem.message, problem.fix))
        .collect()
}

/// What a secret of the configuration stands for where no variable is set.
pub fn secret(text: &str) -> Option<String> {
    let variables = Variables::of(&[]);
    let resolver = Resolver { variables: &variables, folder: Path::new("/nonexistent") };
    let place = Place { line: 1, key: "secret".to_owned() };
    resolver.secret(&At { value: text.to_owned(), place }, &mut Found::default())
}
