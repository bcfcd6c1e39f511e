//! Every bound of following payments on chains in one place. Units last in names.

/// Blocks whose hashes are remembered at most, behind the newest that was read.
pub const TRAIL_BLOCKS_MAX: usize = 8_192;
/// Blocks that are read in one step.
pub const BLOCKS_PER_STEP_MAX: u16 = 64;
/// Hashes that are asked for at once where a fork is looked for.
pub const FORK_HASHES_MAX: usize = 16;
/// Payments of one order that are counted, beside those that waited already; more are told of, and counted
/// by nobody.
pub const PAYMENTS_PER_ORDER_MAX: usize = 256;
/// Payments of one order that were never in a block: to let a transaction wait costs nothing, so they
/// must not take the place of others.
pub const WAITING_PER_ORDER_MAX: usize = 32;
/// Transfers to the address of one order that do not count, and are listed all the same.
pub const UNACCOUNTED_PER_ORDER_MAX: usize = 32;
/// What one transaction spends, as far as it is watched for being spent elsewhere.
pub const SPENDS_PER_PAYMENT_MAX: usize = 64;
/// Classes of value.
pub const CLASSES_MAX: usize = 16;
/// Confirmations that somebody may ask for.
pub const CONFIRMATIONS_MAX: u32 = 4_096;
/// Nodes of one chain.
pub const NODES_MAX: usize = 16;
/// Places after the point of an asset.
pub const DECIMALS_MAX: u8 = 36;
/// Characters of an address.
pub const ADDRESS_CHARS_MAX: usize = 120;
/// Addresses that a node is asked about by name; where there are more it tells of all transfers.
pub const ADDRESSES_ASKED_MAX: usize = 500;
/// Bytes of one answer of a node.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Transactions of one block, and transfers in them, that are read.
pub const TRANSACTIONS_MAX: usize = 100_000;

const _: () = assert!(CONFIRMATIONS_MAX as usize <= TRAIL_BLOCKS_MAX);
