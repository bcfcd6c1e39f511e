//! How the embedded store is opened.

/// When a commit counts as made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// When it is on the disk. The only one that keeps what was acknowledged.
    Full,
    /// When the operating system has it: a power cut loses commits. It exists so that the crash
    /// tests can show that they would notice.
    DangerNormal,
}

/// How the writer works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// When a commit counts as made.
    pub synchronous: Synchronous,
    /// Commands in one transaction.
    pub batch_commands_max: usize,
    /// Commands that may wait; more records are refused as overload.
    pub queue_commands_max: usize,
    /// Dedup keys kept in memory before they are written as a run.
    pub dedup_run_keys: usize,
    /// Kept free on the disk, so that what was begun can be settled when it is full; 0 is none.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            batch_commands_max: model::limits::BATCH_COMMANDS_MAX,
            queue_commands_max: model::limits::QUEUE_COMMANDS_MAX,
            dedup_run_keys: model::limits::DEDUP_RUN_KEYS,
            reserve_bytes: model::limits::RESERVE_BYTES,
        }
    }
}
