//! Taking in a copy of another store: pages of rows, and what follows from them.

mod statements;

use tokio_postgres::Row as Found;
use tokio_postgres::types::Type;

use super::Postgres;
use super::bind::{Owned, bytea, int8, text};
use super::codes::Sixteen;
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::StoreError;
use crate::command::{Answer, Command};
use crate::copy::{Begun, CopiedTable, CopyCommand, Ends, Import, Kind, Mark, Row, Value};
use crate::error::Kind as ErrorKind;

/// The row that says that the copy is whole. Its number of rows is that of the attempts.
const FINISHED: &str = "finished";

/// What reading for a copy may take, milliseconds.
const READ_MS: u64 = 120_000;

/// Whether a gateway has worked here since: it has duties, writes audit entries and makes attempts.
const SERVED: &str = "SELECT EXISTS (SELECT 1 FROM duty)
    OR EXISTS (SELECT 1 FROM copied WHERE what = 'audit'
        AND rows < (SELECT count(*) FROM audit_entry))
    OR EXISTS (SELECT 1 FROM copied WHERE what = 'finished'
        AND rows < (SELECT count(*) FROM attempt))";

impl Postgres {
    /// Does one transaction of a copy.
    pub(crate) async fn copy(&self, command: CopyCommand) -> std::result::Result<(), StoreError> {
        match self.ask(Command::Copy(command)).await? {
            Answer::Done => Ok(()),
            _ => Err(StoreError::new(ErrorKind::Internal)),
        }
    }

    /// Finds out how far a copy has come.
    pub(crate) async fn begin_copy(
        &self,
        source: [u8; 16],
    ) -> std::result::Result<Begun, StoreError> {
        match self.ask(Command::Copy(CopyCommand::Begin { source })).await? {
            Answer::Begun(begun) => Ok(begun),
            _ => Err(StoreError::new(ErrorKind::Internal)),
        }
    }

    /// Whether a copy into this store was begun and is not finished.
    pub(crate) async fn is_half_copied(&self) -> std::result::Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM copied)
            AND NOT EXISTS (SELECT 1 FROM copied WHERE what = 'finished')";
        let rows = self.look(sql, Vec::new()).await?;
        let is: Result<bool> =
            rows.first().map_or_else(|| Err(Failure::corrupt("no answer")), |row| column(row, 0));
        is.map_err(|failure| failure.error)
    }

    /// The rows of a table that have these keys, in any order.
    pub(crate) async fn copied(
        &self,
        table: CopiedTable,
        keys: Vec<Row>,
    ) -> std::result::Result<Vec<Row>, StoreError> {
        let parameters = arrays(table, &keys, table.key_columns()).map_err(|f| f.error)?;
        let rows = self.read(READ_MS, &statements::find(table), parameters).await?;
        let columns = table.columns().len();
        rows.iter().map(|row| values(row, columns).map_err(|failure| failure.error)).collect()
    }

    /// How many rows a table has.
    pub(crate) async fn copied_rows(
        &self,
        table: CopiedTable,
    ) -> std::result::Result<u64, StoreError> {
        let rows = self.read(READ_MS, statements::count(table), Vec::new()).await?;
        let count: Result<i64> =
            rows.first().map_or_else(|| Err(Failure::corrupt("no count")), |row| column(row, 0));
        Ok(u64::try_from(count.map_err(|failure| failure.error)?).unwrap_or(0))
    }
}

impl Session<'_> {
    /// Does one transaction of a copy.
    pub(super) async fn copy(&self, command: &CopyCommand) -> Result<Answer> {
        match command {
            CopyCommand::Begin { source } => self.begin_copy(*source).await.map(Answer::Begun),
            CopyCommand::Write(import) => self.import(import).await.map(|()| Answer::Done),
            CopyCommand::Arrange { ends } => self.arrange(ends).await.map(|()| Answer::Done),
            CopyCommand::Finish { source } => {
                self.finish_copy(*source).await.map(|()| Answer::Done)
            }
        }
    }

    async fn begin_copy(&self, source: [u8; 16]) -> Result<Begun> {
        // Two that begin at once must not both find it empty.
        self.take_turns().await?;
        let source = Sixteen(source);
        let rows = self.rows("SELECT what, source, after, rows FROM copied", &[]).await?;
        if rows.is_empty() {
            return self.take_for_copy(source).await;
        }
        for row in &rows {
            if column::<Sixteen>(row, 1)? != source {
                return Ok(Begun::OtherSource);
            }
        }
        if self.is(SERVED).await? {
            return Ok(Begun::Served);
        }
        let marked = |table: &CopiedTable| {
            let of_table = |row: &&Found| column::<&str>(row, 0).is_ok_and(|w| w == table.code());
            let row = rows.iter().find(of_table).ok_or_else(|| Failure::corrupt("no mark"))?;
            let moved: i64 = column(row, 3)?;
            Ok(Mark {
                table: *table,
                after: column(row, 2)?,
                rows: u64::try_from(moved).unwrap_or(0),
            })
        };
        Ok(Begun::Goes(CopiedTable::ALL.iter().map(marked).collect::<Result<_>>()?))
    }

    async fn take_for_copy(&self, source: Sixteen) -> Result<Begun> {
        if self.is(&statements::anything()).await? {
            return Ok(Begun::OtherData);
        }
        for table in CopiedTable::ALL {
            self.run(
                "INSERT INTO copied (what, source, after, rows) VALUES ($1, $2, '', 0)",
                &[text(&table.code()), bytea(&source)],
            )
            .await?;
        }
        let mark = |table: &CopiedTable| Mark { table: *table, after: Vec::new(), rows: 0 };
        Ok(Begun::Goes(CopiedTable::ALL.iter().map(mark).collect()))
    }

    /// Writes a page, unless somebody else has moved this table on.
    async fn import(&self, import: &Import) -> Result<()> {
        let table = import.table;
        let is_new = import.from != import.to;
        let more = if is_new { super::bind::count(import.rows.len()) } else { 0 };
        let marked = self
            .run(
                "UPDATE copied SET after = $4, rows = rows + $5
                 WHERE what = $1 AND source = $2 AND after = $3",
                &[
                    text(&table.code()),
                    bytea(&Sixteen(import.source)),
                    bytea(&import.from),
                    bytea(&import.to),
                    int8(&more),
                ],
            )
            .await?;
        if marked != 1 {
            return Err(ErrorKind::CopyDisturbed.into());
        }
        let arrays = arrays(table, &import.rows, table.columns().len())?;
        let parameters: Vec<_> = arrays.iter().map(Owned::borrow).collect();
        for sql in statements::write(table) {
            self.run(&sql, &parameters).await?;
        }
        Ok(())
    }

    /// Makes what follows from the rows: who is under way for an order key, how many are accepted,
    /// from where on events are numbered, and which days' dedup keys are forgotten.
    async fn arrange(&self, ends: &Ends) -> Result<()> {
        for sql in statements::ARRANGE {
            self.run(sql, &[]).await?;
        }
        self.run("DELETE FROM dedup WHERE day < $1", &[int8(&ends.first_day)]).await?;
        self.forget_undecided(ends.swept_day).await?;
        self.run(
            "UPDATE sweep SET swept_day = $1, first_day = $2",
            &[int8(&ends.swept_day), int8(&ends.first_day)],
        )
        .await?;
        self.run(
            "UPDATE audit_head SET size = $1, last = $2",
            &[int8(&ends.sealed), int8(&ends.sealed_last)],
        )
        .await?;
        self.run(
            "INSERT INTO audit_waiting SELECT sequence FROM audit_entry WHERE sequence > $1",
            &[int8(&ends.sealed_last)],
        )
        .await?;
        self.pass_numbers("event_sequence", ends.sequence).await?;
        self.pass_numbers("audit_entry_sequence_seq", ends.entry).await
    }

    /// Sees that a sequence gives no number up to this one any more.
    async fn pass_numbers(&self, sequence: &str, last: i64) -> Result<()> {
        let next = self.numbers(sequence, 1).await?.first().copied().unwrap_or(0);
        let left = last.saturating_sub(next);
        if left > 0 {
            let sql = format!("SELECT count(nextval('{sequence}')) FROM generate_series(1, $1)");
            self.rows(&sql, &[int8(&left)]).await?;
        }
        Ok(())
    }

    async fn finish_copy(&self, source: [u8; 16]) -> Result<()> {
        self.run(
            "INSERT INTO copied (what, source, after, rows)
             SELECT $1, $2, '', count(*) FROM attempt
             ON CONFLICT (what) DO UPDATE SET rows = excluded.rows",
            &[text(&FINISHED), bytea(&Sixteen(source))],
        )
        .await?;
        Ok(())
    }

    async fn is(&self, sql: &str) -> Result<bool> {
        let rows = self.rows(sql, &[]).await?;
        rows.first().map_or_else(|| Err(Failure::corrupt("no answer")), |row| column(row, 0))
    }
}

/// The first columns of rows as one array each.
fn arrays(table: CopiedTable, rows: &[Row], columns: usize) -> Result<Vec<Owned>> {
    let columns = table.columns().iter().take(columns).enumerate();
    columns.map(|(place, (_, kind))| array(*kind, rows, place)).collect()
}

fn array(kind: Kind, rows: &[Row], place: usize) -> Result<Owned> {
    let column = || rows.iter().map(move |row| row.get(place).unwrap_or(&Value::Null));
    Ok(match kind {
        Kind::Small => Owned::new(numbers::<i16>(column())?, Type::INT2_ARRAY),
        Kind::Medium => Owned::new(numbers::<i32>(column())?, Type::INT4_ARRAY),
        Kind::Number => Owned::new(numbers::<i64>(column())?, Type::INT8_ARRAY),
        Kind::Flag => {
            let flags = numbers::<i64>(column())?.into_iter();
            let flags: Vec<Option<bool>> = flags.map(|flag| flag.map(|flag| flag != 0)).collect();
            Owned::new(flags, Type::BOOL_ARRAY)
        }
        Kind::Id => {
            let ids = all(column(), |value| match value {
                Value::Bytes(bytes) => bytes.as_slice().try_into().ok().map(Sixteen),
                _ => None,
            })?;
            Owned::new(ids, Type::UUID_ARRAY)
        }
        Kind::Bytes => {
            let bytes = all(column(), |value| match value {
                Value::Bytes(bytes) => Some(bytes.clone()),
                _ => None,
            })?;
            Owned::new(bytes, Type::BYTEA_ARRAY)
        }
        Kind::Text => {
            let texts = all(column(), |value| match value {
                Value::Text(text) => Some(text.clone()),
                _ => None,
            })?;
            Owned::new(texts, Type::TEXT_ARRAY)
        }
    })
}

fn numbers<'v, T: TryFrom<i64>>(values: impl Iterator<Item = &'v Value>) -> Result<Vec<Option<T>>> {
    all(values, |value| match value {
        Value::Number(number) => T::try_from(*number).ok(),
        _ => None,
    })
}

/// Every value as what its column holds, or none; anything else is not what the schema allows.
fn all<'v, T>(
    values: impl Iterator<Item = &'v Value>,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<Option<T>>> {
    let one = |value: &Value| match value {
        Value::Null => Ok(None),
        value => read(value).map(Some).ok_or_else(|| Failure::corrupt("a column of the source")),
    };
    values.map(one).collect()
}

/// The columns of a row, as they are copied.
fn values(row: &Found, columns: usize) -> Result<Row> {
    let of = |place: usize| {
        let Some(found) = row.columns().get(place) else {
            return Err(Failure::corrupt("a column is missing"));
        };
        let value = match *found.type_() {
            Type::INT2 => column::<Option<i16>>(row, place)?.map(|n| Value::Number(n.into())),
            Type::INT4 => column::<Option<i32>>(row, place)?.map(|n| Value::Number(n.into())),
            Type::INT8 => column::<Option<i64>>(row, place)?.map(Value::Number),
            Type::BOOL => column::<Option<bool>>(row, place)?.map(|is| Value::Number(is.into())),
            Type::UUID => {
                column::<Option<Sixteen>>(row, place)?.map(|id| Value::Bytes(id.0.to_vec()))
            }
            Type::BYTEA => column::<Option<Vec<u8>>>(row, place)?.map(Value::Bytes),
            _ => column::<Option<String>>(row, place)?.map(Value::Text),
        };
        Ok(value.unwrap_or(Value::Null))
    };
    (0..columns).map(of).collect()
}
