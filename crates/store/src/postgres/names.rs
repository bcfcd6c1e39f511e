//! Names of sources, providers and endpoints as small numbers.

use std::collections::{BTreeSet, HashMap};
use std::sync::PoisonError;

use model::Timestamp;

use super::bind::{int8, texts};
use super::failure::{Failure, Result};
use super::session::{Learned, Session, column};

/// The numbers that are known. They never change, unless another server takes the place of this
/// one.
#[derive(Default)]
pub(super) struct Names {
    generation: u64,
    names: HashMap<String, i32>,
    endpoints: HashMap<String, i32>,
}

impl Names {
    /// Forgets what was learned from connections of an older generation.
    pub(super) fn trust_only(&mut self, generation: u64) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
    }

    /// Takes over what was learned on a connection of this generation.
    pub(super) fn learn(&mut self, learned: Learned, generation: u64) {
        if self.generation == generation {
            self.names.extend(learned.names);
            self.endpoints.extend(learned.endpoints);
        }
    }
}

/// A table of names.
#[derive(Clone, Copy)]
enum Table {
    Name,
    Endpoint,
}

impl Session<'_> {
    /// The numbers of sources and providers, given to them now if they have none.
    pub(super) async fn name_numbers(&self, names: BTreeSet<&str>) -> Result<HashMap<String, i32>> {
        self.known(Table::Name, names, Timestamp::from_millis(0)).await
    }

    /// The numbers of endpoints, which are active when they are first heard of.
    pub(super) async fn endpoint_numbers(
        &self,
        names: BTreeSet<&str>,
        now: Timestamp,
    ) -> Result<HashMap<String, i32>> {
        self.known(Table::Endpoint, names, now).await
    }

    async fn known(
        &self,
        table: Table,
        wanted: BTreeSet<&str>,
        now: Timestamp,
    ) -> Result<HashMap<String, i32>> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let known = match table {
                Table::Name => &names.names,
                Table::Endpoint => &names.endpoints,
            };
            for name in wanted {
                match known.get(name) {
                    Some(number) => {
                        found.insert(name.to_owned(), *number);
                    }
                    None => missing.push(name),
                }
            }
        }
        if !missing.is_empty() {
            let made = self.make(table, &missing, now).await?;
            self.learn(|learned| match table {
                Table::Name => learned.names.extend(made.clone()),
                Table::Endpoint => learned.endpoints.extend(made.clone()),
            });
            found.extend(made);
        }
        Ok(found)
    }

    /// Inserted in the order of the names, so that nobody waits for somebody who waits for them.
    async fn make(
        &self,
        table: Table,
        names: &[&str],
        now: Timestamp,
    ) -> Result<HashMap<String, i32>> {
        let select = match table {
            Table::Name => {
                let insert = "INSERT INTO name (text) SELECT * FROM unnest($1)
                              ON CONFLICT DO NOTHING";
                self.run(insert, &[texts(&names)]).await?;
                "SELECT text, id FROM name WHERE text = ANY ($1)"
            }
            Table::Endpoint => {
                let insert = "INSERT INTO endpoint (name, state, changed_at)
                              SELECT name, 0, $2 FROM unnest($1) AS name ON CONFLICT DO NOTHING";
                self.run(insert, &[texts(&names), int8(&now.as_millis())]).await?;
                "SELECT name, id FROM endpoint WHERE name = ANY ($1)"
            }
        };
        let rows = self.rows(select, &[texts(&names)]).await?;
        let found: HashMap<String, i32> =
            rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?))).collect::<Result<_>>()?;
        match names.iter().find(|name| !found.contains_key(**name)) {
            None => Ok(found),
            Some(_) => Err(Failure::corrupt("a name that was just written is not there")),
        }
    }
}
