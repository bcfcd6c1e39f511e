//! Which migrations a store has, compared with those that this version knows.

use refinery::Migration;

use crate::OpenError;

/// A migration as the store's history has it.
pub(crate) struct Applied {
    pub(crate) version: i64,
    pub(crate) name: String,
    pub(crate) checksum: String,
}

/// Migrations with their versions, names and checksums.
pub(crate) fn known(migrations: &[(&str, &str)]) -> Result<Vec<Migration>, OpenError> {
    migrations
        .iter()
        .map(|(name, sql)| Migration::unapplied(name, sql).map_err(|_| OpenError::Failed))
        .collect()
}

/// How many of the known migrations are applied; refuses any that is not known.
pub(crate) fn applied(found: &[Applied], known: &[Migration]) -> Result<usize, OpenError> {
    if found.len() > known.len() {
        return Err(OpenError::NewerSchema);
    }
    let same = found.iter().zip(known).all(|(found, known)| {
        found.version == i64::from(known.version())
            && found.name == known.name()
            && found.checksum == known.checksum().to_string()
    });
    if same { Ok(found.len()) } else { Err(OpenError::UnknownSchema) }
}
