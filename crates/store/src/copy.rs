//! Copying a store from a file to a server while the file's gateway keeps receiving.
//!
//! The cast: the **source** is a file, the **target** a server's store that is empty, or holds an
//! earlier part of this copy. Rows are moved as plain data, page by page in the order in which they
//! were written, what is sealed as it is, each page in one transaction with the place after which the
//! next one begins. So a copy may end at any moment and go on later, and nothing is there twice.
//!
//! What was moved may change on the source. When its gateway has stopped, the **ending** copy moves
//! the rest, reads again whatever can have changed, and then compares everything, row by row: only
//! a copy in which both sides agree is finished.

mod error;
mod table;
mod value;

use std::collections::HashMap;

pub use error::CopyError;
pub use table::CopiedTable;
pub(crate) use table::Kind;
pub(crate) use value::{Row, Value, decode, encode, weight};

use crate::error::Kind as ErrorKind;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::{Store, StoreError};
use value::Hash;

/// Rows of one page.
const PAGE_ROWS: usize = 1_000;

/// Rows of a table after a place in it.
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    /// The place after the last of them.
    pub(crate) after: Vec<u8>,
}

/// Where the numbers and days of a source have come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    /// The highest sequence of any event there ever was.
    pub(crate) sequence: i64,
    /// The highest sequence of an audit entry.
    pub(crate) entry: i64,
    /// How many entries have their place in the log, and the sequence of the last of them.
    pub(crate) sealed: i64,
    pub(crate) sealed_last: i64,
    pub(crate) swept_day: i64,
    pub(crate) first_day: i64,
}

/// What is asked of the target. Each is one transaction.
#[derive(Debug)]
pub(crate) enum CopyCommand {
    /// Finds out how far the copy has come, or takes the empty target for it.
    Begin { source: [u8; 16] },
    /// Writes a page and notes where the next begins. Rows that are there are brought up to date.
    Write(Import),
    /// Brings into line what follows from the rows: lanes, counts, numbers.
    Arrange { ends: Ends },
    /// Notes that everything is here and was compared.
    Finish { source: [u8; 16] },
}

/// A page to be written.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) source: [u8; 16],
    pub(crate) table: CopiedTable,
    pub(crate) rows: Vec<Row>,
    /// Where the page begins: nobody else may have written it.
    pub(crate) from: Vec<u8>,
    /// Where the next begins.
    pub(crate) to: Vec<u8>,
}

/// What the target says when a copy begins.
#[derive(Debug)]
pub(crate) enum Begun {
    Goes(Vec<Mark>),
    OtherData,
    OtherSource,
    Served,
}

/// How far a table has come.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) table: CopiedTable,
    pub(crate) after: Vec<u8>,
    pub(crate) rows: u64,
}

/// What a copy does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyStage {
    /// Moves what was not moved yet.
    Moving,
    /// Reads again what may have changed since it was moved.
    Renewing,
    /// Compares both sides.
    Comparing,
    /// Everything that can be done is.
    Done,
}

/// A page that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paged {
    /// What was done with it.
    pub stage: CopyStage,
    /// Its table.
    pub table: CopiedTable,
    /// Its rows.
    pub rows: usize,
}

/// How far a table has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableProgress {
    /// The table.
    pub table: CopiedTable,
    /// Rows that were moved.
    pub moved: u64,
    /// Rows that the source has, or a few more.
    pub rows: u64,
}

/// A table as it stands on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCompared {
    /// The table.
    pub table: CopiedTable,
    /// The source.
    pub source: Side,
    /// The target.
    pub target: Side,
}

/// A table on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over them, in the order of the source.
    pub sha256: String,
}

impl TableCompared {
    /// Whether both sides hold the same.
    pub fn agrees(&self) -> bool {
        self.source == self.target
    }
}

/// A copy under way.
pub struct StoreCopy {
    source: Sqlite,
    target: Postgres,
    identity: [u8; 16],
    marks: Vec<Mark>,
    totals: Vec<u64>,
    is_last: bool,
    stage: CopyStage,
    /// The table among those of the stage.
    place: usize,
    /// The place within the table, where it is read again.
    after: Vec<u8>,
    hashes: Hashes,
    compared: Vec<TableCompared>,
}

/// What was read of a table on both sides so far.
struct Hashes {
    source: Hash,
    target: Hash,
    rows: u64,
}

impl Hashes {
    fn new() -> Self {
        Self { source: Hash::new(), target: Hash::new(), rows: 0 }
    }
}

impl StoreCopy {
    /// Begins, or goes on with what was begun. The last copy renews and compares: nobody may write to
    /// the source from now on, so it must be opened as a gateway opens it.
    pub async fn begin(source: &Store, target: &Store, is_last: bool) -> Result<Self, CopyError> {
        let Store::Sqlite(source) = source else { return Err(CopyError::SourceIsServer) };
        let Store::Postgres(target) = target else { return Err(CopyError::TargetIsFile) };
        let identity = source.identity().await?.ok_or(CopyError::NothingToCopy)?;
        let marks = match target.begin_copy(identity).await? {
            Begun::Goes(marks) => marks,
            Begun::OtherData => return Err(CopyError::OtherData),
            Begun::OtherSource => return Err(CopyError::OtherSource),
            Begun::Served => return Err(CopyError::Served),
        };
        let mut totals = Vec::with_capacity(marks.len());
        for mark in &marks {
            totals.push(source.rows(mark.table).await?);
        }
        Ok(Self {
            source: source.clone(),
            target: target.clone(),
            identity,
            marks,
            totals,
            is_last,
            stage: CopyStage::Moving,
            place: 0,
            after: Vec::new(),
            hashes: Hashes::new(),
            compared: Vec::new(),
        })
    }

    /// What it does now.
    pub fn stage(&self) -> CopyStage {
        self.stage
    }

    /// How far each table has come.
    pub fn progress(&self) -> Vec<TableProgress> {
        let of = |(mark, rows): (&Mark, &u64)| TableProgress {
            table: mark.table,
            moved: mark.rows,
            rows: *rows.max(&mark.rows),
        };
        self.marks.iter().zip(&self.totals).map(of).collect()
    }

    /// The tables that were compared.
    pub fn compared(&self) -> &[TableCompared] {
        &self.compared
    }

    /// Whether everything was compared, and both sides agree.
    pub fn is_verified(&self) -> bool {
        self.is_last
            && self.stage == CopyStage::Done
            && self.compared.iter().all(TableCompared::agrees)
    }

    /// Does the next page; nothing is left to do when it gives none. Whoever stops asking can begin
    /// again later.
    pub async fn next(&mut self) -> Result<Option<Paged>, CopyError> {
        loop {
            let tables = match self.stage {
                CopyStage::Moving | CopyStage::Comparing => CopiedTable::ALL,
                CopyStage::Renewing => CopiedTable::CHANGING,
                CopyStage::Done => return Ok(None),
            };
            let Some(table) = tables.get(self.place).copied() else {
                self.end_stage().await?;
                continue;
            };
            let rows = match self.stage {
                CopyStage::Moving => self.move_page(table).await?,
                CopyStage::Renewing => self.renew_page(table).await?,
                CopyStage::Comparing => self.compare_page(table).await?,
                CopyStage::Done => 0,
            };
            if rows > 0 {
                return Ok(Some(Paged { stage: self.stage, table, rows }));
            }
            self.place += 1;
            self.after = Vec::new();
        }
    }

    /// What comes after the last table of a stage.
    async fn end_stage(&mut self) -> Result<(), CopyError> {
        self.stage = match self.stage {
            CopyStage::Moving if self.is_last => CopyStage::Renewing,
            CopyStage::Renewing => {
                let ends = self.source.ends().await?;
                self.target.copy(CopyCommand::Arrange { ends }).await?;
                CopyStage::Comparing
            }
            CopyStage::Comparing => {
                if self.compared.iter().all(TableCompared::agrees) {
                    self.target.copy(CopyCommand::Finish { source: self.identity }).await?;
                }
                CopyStage::Done
            }
            CopyStage::Moving | CopyStage::Done => CopyStage::Done,
        };
        self.place = 0;
        Ok(())
    }

    /// Moves a page that was not moved yet.
    async fn move_page(&mut self, table: CopiedTable) -> Result<usize, CopyError> {
        let Some(mark) = self.marks.iter_mut().find(|mark| mark.table == table) else {
            return Err(StoreError::new(ErrorKind::Internal).into());
        };
        let page = self.source.page(table, mark.after.clone(), PAGE_ROWS).await?;
        let rows = page.rows.len();
        if rows == 0 {
            return Ok(0);
        }
        let import = Import {
            source: self.identity,
            table,
            rows: page.rows,
            from: mark.after.clone(),
            to: page.after.clone(),
        };
        self.target.copy(CopyCommand::Write(import)).await?;
        mark.after = page.after;
        mark.rows += u64::try_from(rows).unwrap_or(0);
        Ok(rows)
    }

    /// Reads a page again and writes those of its rows that are not as they are on the target.
    async fn renew_page(&mut self, table: CopiedTable) -> Result<usize, CopyError> {
        let page = self.source.page(table, self.after.clone(), PAGE_ROWS).await?;
        let rows = page.rows.len();
        if rows == 0 {
            return Ok(0);
        }
        let found = self.found(table, &page.rows).await?;
        let is_there = |row: &Row| found.get(key(table, row)) == Some(row);
        let changed: Vec<Row> = page.rows.into_iter().filter(|row| !is_there(row)).collect();
        let mark = self.marks.iter().find(|mark| mark.table == table);
        if let (false, Some(mark)) = (changed.is_empty(), mark) {
            let import = Import {
                source: self.identity,
                table,
                rows: changed,
                from: mark.after.clone(),
                to: mark.after.clone(),
            };
            self.target.copy(CopyCommand::Write(import)).await?;
        }
        self.after = page.after;
        Ok(rows)
    }

    /// Reads a page on both sides.
    async fn compare_page(&mut self, table: CopiedTable) -> Result<usize, CopyError> {
        let page = self.source.page(table, self.after.clone(), PAGE_ROWS).await?;
        if page.rows.is_empty() {
            let hashes = std::mem::replace(&mut self.hashes, Hashes::new());
            self.compared.push(TableCompared {
                table,
                source: Side { rows: hashes.rows, sha256: hashes.source.text() },
                target: Side {
                    rows: self.target.copied_rows(table).await?,
                    sha256: hashes.target.text(),
                },
            });
            return Ok(0);
        }
        let found = self.found(table, &page.rows).await?;
        for row in &page.rows {
            let other = found.get(key(table, row));
            if table == CopiedTable::Dedup && other.is_some_and(|other| is_later(other, row)) {
                continue;
            }
            self.hashes.rows += 1;
            self.hashes.source.add(row);
            if let Some(other) = other {
                self.hashes.target.add(other);
            }
        }
        self.after = page.after;
        Ok(page.rows.len())
    }

    /// The rows of the target that have the keys of these, by their keys.
    async fn found(
        &self,
        table: CopiedTable,
        rows: &[Row],
    ) -> Result<HashMap<Vec<Value>, Row>, CopyError> {
        let keys = rows.iter().map(|row| key(table, row).to_vec()).collect();
        let found = self.target.copied(table, keys).await?;
        Ok(found.into_iter().map(|row| (key(table, &row).to_vec(), row)).collect())
    }
}

/// The columns that say which row it is.
fn key(table: CopiedTable, row: &Row) -> &[Value] {
    row.get(..table.key_columns()).unwrap_or(row)
}

/// Whether a dedup key is held by another event since a later day: the source names it, too.
fn is_later(other: &Row, row: &Row) -> bool {
    match (other.last(), row.last()) {
        (Some(Value::Number(other)), Some(Value::Number(day))) => other > day,
        _ => false,
    }
}
