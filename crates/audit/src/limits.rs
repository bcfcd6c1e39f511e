//! Every bound of what is written and read, in one place.

/// Bytes of a leaf. Well below the 65,535 that C2SP's tiles can hold.
pub const LEAF_BYTES_MAX: usize = 16_384;

/// Leaves of a log: every reader of JSON holds integers so large exactly.
pub const LEAVES_MAX: u64 = 1 << 53;

/// The latest time, the end of the year 9999, in unix milliseconds.
pub const TIME_MS_MAX: u64 = 253_402_300_799_999;

/// Bytes of a code: an action, an outcome, the name of what changed.
pub const CODE_BYTES_MAX: usize = 64;

/// Bytes of an actor.
pub const ACTOR_BYTES_MAX: usize = 128;

/// Bytes of a resource.
pub const RESOURCE_BYTES_MAX: usize = 512;

/// Bytes of a request's id.
pub const REQUEST_BYTES_MAX: usize = 64;

/// Changes of an entry.
pub const CHANGES_MAX: usize = 32;

/// Bytes of a value that changed.
pub const VALUE_BYTES_MAX: usize = 1_024;

/// Bytes of a signed note: room for the sixteen signatures that C2SP wants taken, large ones too.
pub const NOTE_BYTES_MAX: usize = 131_072;

/// Signatures of a note.
pub const SIGNATURES_MAX: usize = 32;

/// Bytes of a key's name and of a log's origin.
pub const NAME_BYTES_MAX: usize = 256;

/// Extension lines of a checkpoint.
pub const EXTENSIONS_MAX: usize = 16;

/// Bytes of a line of an export: a note as a JSON string, where a character may take six.
pub const LINE_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX;

/// Hashes of an inclusion or consistency proof: one a level, and one more.
pub const PROOF_HASHES_MAX: usize = 64;

const _: () = assert!(LEAF_BYTES_MAX < 65_536);
const _: () = assert!(LEAF_BYTES_MAX + 128 < LINE_BYTES_MAX);
const _: () = assert!(SIGNATURES_MAX >= 16);
