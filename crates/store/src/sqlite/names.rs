//! Names of sources, providers and endpoints as small numbers.

use std::collections::HashMap;

use model::Timestamp;
use rusqlite::{Connection, params};

use super::codes::Code;
use super::failure::Result;
use super::session::Session;
use crate::EndpointState;

/// Sources and providers whose number is known.
#[derive(Default)]
pub(super) struct Names(HashMap<String, i64>);

impl Names {
    /// The number of a name, given to it now if it has none.
    pub(super) fn number(&mut self, connection: &Connection, name: &str) -> Result<i64> {
        if let Some(number) = self.0.get(name) {
            return Ok(*number);
        }
        connection
            .prepare_cached("INSERT INTO name (text) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([name])?;
        let number = connection
            .prepare_cached("SELECT id FROM name WHERE text = ?1")?
            .query_row([name], |row| row.get(0))?;
        self.0.insert(name.to_owned(), number);
        Ok(number)
    }
}

impl Session<'_> {
    /// The number of an endpoint, which is active when it is first heard of.
    pub(super) fn endpoint(&mut self, name: &str, now: Timestamp) -> Result<i64> {
        if let Some(number) = self.endpoints.get(name) {
            return Ok(*number);
        }
        self.connection
            .prepare_cached(
                "INSERT INTO endpoint (name, state, changed_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![name, Code(EndpointState::Active), now.as_millis()])?;
        let number = self
            .connection
            .prepare_cached("SELECT id FROM endpoint WHERE name = ?1")?
            .query_row([name], |row| row.get(0))?;
        self.endpoints.insert(name.to_owned(), number);
        Ok(number)
    }
}
