//! The audit log as it is sealed. Transactions commit in another order than their entries are
//! numbered in, so those that have no place yet stand in a table of their own.

use std::collections::HashMap;

use audit::tree::TileId;
use model::Timestamp;
use sabotage::Defect;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Postgres;
use super::audit::{COLUMNS, Entries, entries};
use super::bind::{Owned, byteas, count, int2s, int8, int8s, text};
use super::failure::{Failure, Result};
use super::session::{Session, column};
use crate::audit::Entry;
use crate::log::{CheckpointRow, Deed, LogHead, LogTile, Seal, from_bytes, size, to_bytes};
use crate::{EntryRow, StoreError};

impl Session<'_> {
    /// Gives entries their place, if the log is as long as whoever seals believes.
    pub(super) async fn seal(&self, seal: &Seal) -> Result<bool> {
        let grown = self
            .rows(
                "UPDATE audit_head SET size = $2, last = $3 WHERE size = $1 RETURNING one",
                &[int8(&size(seal.from)), int8(&size(seal.checkpoint.size)), int8(&seal.last())],
            )
            .await?;
        if grown.is_empty() && !sabotage::on(Defect::ForkSigned) {
            return Ok(false);
        }
        let placed = self
            .rows(
                "WITH placed AS (
                    DELETE FROM audit_waiting WHERE sequence = ANY ($1) RETURNING sequence)
                 SELECT count(DISTINCT sequence) FROM placed",
                &[int8s(&seal.entries)],
            )
            .await?;
        let placed: i64 = placed.first().map_or(Ok(0), |row| column(row, 0))?;
        if placed != count(seal.entries.len()) {
            return Err(Failure::corrupt("an entry that has its place already"));
        }
        self.keep_tiles(&seal.tiles).await?;
        self.keep_checkpoint(&seal.checkpoint).await?;
        Ok(true)
    }

    async fn keep_tiles(&self, tiles: &[LogTile]) -> Result<()> {
        let levels: Vec<i16> =
            tiles.iter().map(|tile| i16::try_from(tile.id.level).unwrap_or(i16::MAX)).collect();
        let numbers: Vec<i64> = tiles.iter().map(|tile| size(tile.id.number)).collect();
        let hashes: Vec<&[u8]> = tiles.iter().map(|tile| tile.hashes.as_slice()).collect();
        let entries: Vec<Vec<u8>> = tiles.iter().map(|tile| to_bytes(&tile.entries)).collect();
        self.run(
            "INSERT INTO audit_tile (level, number, hashes, entries)
             SELECT * FROM unnest($1, $2, $3, $4)
             ON CONFLICT (level, number) DO UPDATE SET
                hashes = excluded.hashes, entries = excluded.entries",
            &[int2s(&levels), int8s(&numbers), byteas(&hashes), byteas(&entries)],
        )
        .await?;
        Ok(())
    }

    /// Keeps a checkpoint, and of each minute only the last one.
    async fn keep_checkpoint(&self, checkpoint: &CheckpointRow) -> Result<()> {
        let at = checkpoint.at.as_millis();
        self.run(
            "DELETE FROM audit_checkpoint WHERE at / 60000 = $1 / 60000
                AND size = (SELECT max(size) FROM audit_checkpoint)",
            &[int8(&at)],
        )
        .await?;
        self.run(
            "INSERT INTO audit_checkpoint (size, at, note) VALUES ($1, $2, $3)",
            &[int8(&size(checkpoint.size)), int8(&at), text(&checkpoint.note.as_str())],
        )
        .await?;
        Ok(())
    }

    /// Notes until where a sink has got entries.
    pub(super) async fn mark_sink(&self, name: &str, to: u64) -> Result<()> {
        self.run(
            "INSERT INTO audit_sink (name, size) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET size = greatest(audit_sink.size, excluded.size)",
            &[text(&name), int8(&size(to))],
        )
        .await?;
        Ok(())
    }

    /// Writes an entry about what leaves no other trace.
    pub(super) async fn deed(&self, deed: &Deed) -> Result<()> {
        let changes = deed.changes();
        let resource = deed.resource.as_bytes();
        let entry = Entry::by_hand(deed.action, resource, deed.refused, &deed.note, &changes);
        entry.check()?;
        self.see_personal(&deed.note).await?;
        let mut entries = Entries::default();
        entries.push(&entry);
        self.audit(&entries).await
    }
}

impl Postgres {
    pub(crate) async fn log_head(&self) -> std::result::Result<LogHead, StoreError> {
        let sql = "SELECT audit_head.size, audit_checkpoint.size, at, note FROM audit_head
            LEFT JOIN audit_checkpoint
                ON audit_checkpoint.size = (SELECT max(size) FROM audit_checkpoint)";
        let rows = self.look(sql, Vec::new()).await?;
        let head = |row: &Row| -> Result<LogHead> {
            let checkpoint = match column::<Option<i64>>(row, 1)? {
                Some(covered) => Some(CheckpointRow {
                    size: u64::try_from(covered).unwrap_or(0),
                    at: Timestamp::from_millis(column(row, 2)?),
                    note: column(row, 3)?,
                }),
                None => None,
            };
            let grown = column::<i64>(row, 0)?;
            Ok(LogHead { size: u64::try_from(grown).unwrap_or(0), checkpoint })
        };
        let row = rows.first().ok_or_else(|| Failure::corrupt("no head of the log").error)?;
        head(row).map_err(|failure| failure.error)
    }

    pub(crate) async fn waiting_entries(
        &self,
        most: usize,
    ) -> std::result::Result<Vec<EntryRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_entry
             WHERE sequence IN (SELECT sequence FROM audit_waiting LIMIT $1) ORDER BY sequence"
        );
        entries(&self.list(&sql, vec![Owned::new(count(most), Type::INT8)]).await?)
    }

    pub(crate) async fn entries_of(
        &self,
        sequences: Vec<i64>,
    ) -> std::result::Result<Vec<EntryRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM audit_entry WHERE sequence = ANY ($1)");
        let places: HashMap<i64, usize> =
            sequences.iter().enumerate().map(|(place, sequence)| (*sequence, place)).collect();
        let wanted = vec![Owned::new(sequences, Type::INT8_ARRAY)];
        let mut found = entries(&self.list(&sql, wanted).await?)?;
        found.sort_by_key(|entry| places.get(&entry.sequence).copied());
        Ok(found)
    }

    pub(crate) async fn sink_mark(
        &self,
        name: String,
    ) -> std::result::Result<Option<u64>, StoreError> {
        let sql = "SELECT size FROM audit_sink WHERE name = $1";
        let rows = self.look(sql, vec![Owned::new(name, Type::TEXT)]).await?;
        let mark = rows.first().map(|row| column::<i64>(row, 0)).transpose();
        let mark = mark.map_err(|failure| failure.error)?;
        Ok(mark.map(|mark| u64::try_from(mark).unwrap_or(0)))
    }

    pub(crate) async fn log_tiles(
        &self,
        tiles: Vec<TileId>,
    ) -> std::result::Result<Vec<LogTile>, StoreError> {
        let sql = "SELECT level, number, hashes, entries FROM audit_tile
            WHERE (level, number) IN (SELECT * FROM unnest($1, $2))";
        let levels: Vec<i16> =
            tiles.iter().map(|tile| i16::try_from(tile.level).unwrap_or(i16::MAX)).collect();
        let numbers: Vec<i64> = tiles.iter().map(|tile| size(tile.number)).collect();
        let wanted =
            vec![Owned::new(levels, Type::INT2_ARRAY), Owned::new(numbers, Type::INT8_ARRAY)];
        let rows = self.list(sql, wanted).await?;
        rows.iter().map(|row| tile(row).map_err(|failure| failure.error)).collect()
    }

    pub(crate) async fn checkpoints(
        &self,
        after: u64,
        most: usize,
    ) -> std::result::Result<Vec<CheckpointRow>, StoreError> {
        let sql = "SELECT size, at, note FROM audit_checkpoint WHERE size > $1
            ORDER BY size LIMIT $2";
        let parameters =
            vec![Owned::new(size(after), Type::INT8), Owned::new(count(most), Type::INT8)];
        let rows = self.list(sql, parameters).await?;
        let checkpoint = |row: &Row| -> Result<CheckpointRow> {
            Ok(CheckpointRow {
                size: u64::try_from(column::<i64>(row, 0)?).unwrap_or(0),
                at: Timestamp::from_millis(column(row, 1)?),
                note: column(row, 2)?,
            })
        };
        rows.iter().map(|row| checkpoint(row).map_err(|failure| failure.error)).collect()
    }
}

fn tile(row: &Row) -> Result<LogTile> {
    let corrupt = || Failure::corrupt("a tile of the log");
    let id = TileId {
        level: u32::try_from(column::<i16>(row, 0)?).map_err(|_| corrupt())?,
        number: u64::try_from(column::<i64>(row, 1)?).map_err(|_| corrupt())?,
    };
    let entries = from_bytes(column::<&[u8]>(row, 3)?).ok_or_else(corrupt)?;
    Ok(LogTile { id, hashes: column(row, 2)?, entries })
}
