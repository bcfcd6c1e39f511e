//! The tables of a copy: what each is called, and what stands in its columns.
//!
//! Rows name each other by what is the same everywhere: ids, and names of sources and endpoints. The
//! sequence of an event is the same, too: deliveries keep their order, and an application that
//! ignores what is older than what it has seen goes on doing so.
//!
//! Sessions of operators and what they ask each other to approve are over in hours, and are deleted
//! by the gateway that serves the source: they are not copied. Operators sign in again.

/// A table, as it is copied and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopiedTable {
    /// Names of sources and providers.
    Name,
    /// Endpoints and their states.
    Endpoint,
    /// Wrapped data keys, in the order in which they were made.
    Key,
    /// Events, with what was read of them sealed.
    Event,
    /// Sealed bodies of arrivals.
    Body,
    /// Dedup keys that count, and the day of each.
    Dedup,
    /// Events that are known by their bytes.
    Quarantine,
    /// Deliveries, pending or over.
    Delivery,
    /// Attempts.
    Attempt,
    /// Refused and duplicate arrivals.
    Tally,
    /// API keys, in the order in which they were created.
    ApiKey,
    /// Operators, in the order in which they were added.
    Operator,
    /// Audit entries.
    Entry,
    /// Hashes over the entries that have their place in the log.
    Tile,
    /// What was signed of the log.
    Checkpoint,
    /// Secrets of sources and endpoints.
    Secret,
    /// What each sink has got.
    Sink,
    /// Orders, in the order in which they were created.
    Order,
    /// Which order each payment serves.
    Payment,
    /// What was read of each chain.
    Chain,
    /// Orders that are watched on a chain.
    Watch,
    /// Which request each transaction of a receipt answers.
    Receipt,
    /// Blocks of parties, in the order in which they were added.
    Block,
    /// Events that may be decided on anew.
    Undecided,
    /// What events say since they were decided on anew.
    Restated,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Small,
    Medium,
    Number,
    Flag,
    Id,
    Bytes,
    Text,
}

/// A column and what it holds.
pub(crate) type Column = (&'static str, Kind);

impl CopiedTable {
    /// Every table, each after those that its rows name.
    pub const ALL: &'static [Self] = &[
        Self::Name,
        Self::Endpoint,
        Self::Key,
        Self::Event,
        Self::Body,
        Self::Dedup,
        Self::Quarantine,
        Self::Delivery,
        Self::Attempt,
        Self::Tally,
        Self::ApiKey,
        Self::Operator,
        Self::Entry,
        Self::Tile,
        Self::Checkpoint,
        Self::Secret,
        Self::Sink,
        Self::Order,
        Self::Payment,
        Self::Chain,
        Self::Watch,
        Self::Receipt,
        Self::Block,
        Self::Undecided,
        Self::Restated,
    ];

    /// Those whose rows change after they were written, or of which there come new ones between
    /// those that are there.
    pub(crate) const CHANGING: &'static [Self] = &[
        Self::Endpoint,
        Self::Event,
        Self::Quarantine,
        Self::Delivery,
        Self::Attempt,
        Self::Tally,
        Self::ApiKey,
        Self::Operator,
        Self::Tile,
        Self::Checkpoint,
        Self::Secret,
        Self::Sink,
        Self::Order,
        Self::Payment,
        Self::Chain,
        Self::Watch,
        Self::Receipt,
        Self::Block,
        Self::Undecided,
        Self::Restated,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Name => "names",
            Self::Endpoint => "endpoints",
            Self::Key => "keys",
            Self::Event => "events",
            Self::Body => "bodies",
            Self::Dedup => "dedup",
            Self::Quarantine => "quarantine",
            Self::Delivery => "deliveries",
            Self::Attempt => "attempts",
            Self::Tally => "tallies",
            Self::ApiKey => "api_keys",
            Self::Operator => "operators",
            Self::Entry => "audit",
            Self::Tile => "audit_tiles",
            Self::Checkpoint => "audit_checkpoints",
            Self::Secret => "secrets",
            Self::Sink => "audit_sinks",
            Self::Order => "orders",
            Self::Payment => "payments",
            Self::Chain => "chains",
            Self::Watch => "watches",
            Self::Receipt => "receipts",
            Self::Block => "blocks",
            Self::Undecided => "undecided",
            Self::Restated => "restated",
        }
    }

    /// The columns of a row, its key first.
    pub(crate) const fn columns(self) -> &'static [Column] {
        match self {
            Self::Name => &[("text", Kind::Text)],
            Self::Endpoint => {
                &[("name", Kind::Text), ("state", Kind::Small), ("changed_at", Kind::Number)]
            }
            Self::Key => &[
                ("id", Kind::Id),
                ("kind", Kind::Small),
                ("owner", Kind::Bytes),
                ("wrapped", Kind::Bytes),
                ("created_at", Kind::Number),
            ],
            Self::Event => EVENT,
            Self::Body => {
                &[("arrival", Kind::Id), ("sealed_key", Kind::Id), ("sealed", Kind::Bytes)]
            }
            Self::Dedup => &[
                ("key", Kind::Bytes),
                ("event", Kind::Id),
                ("projection", Kind::Bytes),
                ("day", Kind::Number),
            ],
            Self::Quarantine => {
                &[("body_key", Kind::Bytes), ("dedup_key", Kind::Bytes), ("event", Kind::Id)]
            }
            Self::Delivery => DELIVERY,
            Self::Attempt => &[
                ("delivery", Kind::Id),
                ("number", Kind::Medium),
                ("id", Kind::Id),
                ("started_at", Kind::Number),
                ("ended_at", Kind::Number),
                ("outcome", Kind::Small),
                ("http_status", Kind::Medium),
            ],
            Self::Tally => TALLY,
            Self::ApiKey => API_KEY,
            Self::Operator => OPERATOR,
            Self::Entry => ENTRY,
            Self::Tile => &[
                ("level", Kind::Small),
                ("number", Kind::Number),
                ("hashes", Kind::Bytes),
                ("entries", Kind::Bytes),
            ],
            Self::Secret => SECRET,
            Self::Sink => &[("name", Kind::Text), ("size", Kind::Number)],
            Self::Order => ORDER,
            Self::Payment => &[("key", Kind::Bytes), ("order_id", Kind::Id)],
            Self::Chain => &[
                ("name", Kind::Text),
                ("revision", Kind::Number),
                ("updated_at", Kind::Number),
                ("sealed_key", Kind::Id),
                ("sealed", Kind::Bytes),
            ],
            Self::Watch => &[
                ("order_id", Kind::Id),
                ("chain", Kind::Text),
                ("address_key", Kind::Bytes),
                ("stage", Kind::Small),
            ],
            Self::Receipt => {
                &[("key", Kind::Bytes), ("request", Kind::Bytes), ("taken_at", Kind::Number)]
            }
            Self::Block => BLOCK,
            Self::Restated => {
                &[("event", Kind::Id), ("sealed_key", Kind::Id), ("sealed", Kind::Bytes)]
            }
            Self::Undecided => &[
                ("event", Kind::Id),
                ("reference_key", Kind::Bytes),
                ("next_at", Kind::Number),
                ("tries", Kind::Number),
                ("since", Kind::Number),
            ],
            Self::Checkpoint => {
                &[("size", Kind::Number), ("at", Kind::Number), ("note", Kind::Text)]
            }
        }
    }

    /// How many of the first columns say which row it is.
    pub(crate) const fn key_columns(self) -> usize {
        match self {
            Self::Quarantine | Self::Attempt | Self::Tile => 2,
            Self::Tally => 6,
            _ => 1,
        }
    }
}

const EVENT: &[Column] = &[
    ("id", Kind::Id),
    ("sequence", Kind::Number),
    ("arrival", Kind::Id),
    ("source", Kind::Text),
    ("provider", Kind::Text),
    ("kind", Kind::Text),
    ("status", Kind::Small),
    ("reason", Kind::Text),
    ("covers", Kind::Small),
    ("failed", Kind::Small),
    ("received_at", Kind::Number),
    ("count", Kind::Number),
    ("range_start", Kind::Number),
    ("range_end", Kind::Number),
    ("order_key", Kind::Bytes),
    ("dedup_key", Kind::Bytes),
    ("projection", Kind::Bytes),
    ("sealed_key", Kind::Id),
    ("sealed", Kind::Bytes),
    ("original", Kind::Bytes),
];

const DELIVERY: &[Column] = &[
    ("id", Kind::Id),
    ("row", Kind::Number),
    ("event", Kind::Id),
    ("arrival", Kind::Id),
    ("endpoint", Kind::Text),
    ("order_key", Kind::Bytes),
    ("state", Kind::Small),
    ("tries", Kind::Medium),
    ("attempts", Kind::Medium),
    ("fence", Kind::Number),
    ("leased", Kind::Flag),
    ("next_at", Kind::Number),
    ("created_at", Kind::Number),
    ("updated_at", Kind::Number),
];

const TALLY: &[Column] = &[
    ("minute", Kind::Number),
    ("source", Kind::Text),
    ("event", Kind::Bytes),
    ("step", Kind::Small),
    ("reason", Kind::Text),
    ("address_key", Kind::Bytes),
    ("arrival", Kind::Id),
    ("count", Kind::Number),
    ("first_at", Kind::Number),
    ("last_at", Kind::Number),
    ("sealed_key", Kind::Id),
    ("sealed", Kind::Bytes),
];

const SECRET: &[Column] = &[
    ("id", Kind::Id),
    ("kind", Kind::Small),
    ("owner", Kind::Text),
    ("print", Kind::Bytes),
    ("since", Kind::Number),
    ("ends_at", Kind::Number),
    ("retired_at", Kind::Number),
    ("proven_at", Kind::Number),
    ("sealed_key", Kind::Id),
    ("sealed", Kind::Bytes),
];

const ENTRY: &[Column] = &[
    ("sequence", Kind::Number),
    ("at", Kind::Number),
    ("action", Kind::Small),
    ("actor", Kind::Text),
    ("resource", Kind::Bytes),
    ("outcome", Kind::Small),
    ("request", Kind::Id),
    ("changes", Kind::Text),
    ("address", Kind::Bytes),
    ("agent", Kind::Bytes),
    ("note", Kind::Bytes),
    ("sealed_key", Kind::Id),
    ("sealed", Kind::Bytes),
];

const API_KEY: &[Column] = &[
    ("id", Kind::Id),
    ("environment", Kind::Small),
    ("name", Kind::Text),
    ("secret_hash", Kind::Bytes),
    ("permissions", Kind::Text),
    ("sources", Kind::Text),
    ("providers", Kind::Text),
    ("customer", Kind::Bytes),
    ("networks", Kind::Text),
    ("created_at", Kind::Number),
    ("created_by", Kind::Text),
    ("expires_at", Kind::Number),
    ("rolled_from", Kind::Id),
    ("grace_until", Kind::Number),
    ("revoked_at", Kind::Number),
    ("revoked_cause", Kind::Small),
    ("last_used_at", Kind::Number),
    ("last_address_key", Kind::Id),
    ("last_address", Kind::Bytes),
    ("uses", Kind::Number),
    ("refusals", Kind::Number),
];

const OPERATOR: &[Column] = &[
    ("id", Kind::Id),
    ("login_key", Kind::Bytes),
    ("role", Kind::Small),
    ("sealed_key", Kind::Id),
    ("login", Kind::Bytes),
    ("password", Kind::Bytes),
    ("totp", Kind::Bytes),
    ("totp_step", Kind::Number),
    ("generation", Kind::Number),
    ("created_at", Kind::Number),
    ("created_by", Kind::Text),
    ("disabled_at", Kind::Number),
];

const ORDER: &[Column] = &[
    ("id", Kind::Id),
    ("reference_key", Kind::Bytes),
    ("customer_key", Kind::Bytes),
    ("provider", Kind::Text),
    ("source", Kind::Text),
    ("unit", Kind::Text),
    ("amount", Kind::Bytes),
    ("tolerance", Kind::Bytes),
    ("expires_at", Kind::Number),
    ("cancelled_at", Kind::Number),
    ("created_at", Kind::Number),
    ("created_by", Kind::Text),
    ("state", Kind::Small),
    ("paid", Kind::Bytes),
    ("pending", Kind::Bytes),
    ("refunded", Kind::Bytes),
    ("facts", Kind::Bytes),
    ("version", Kind::Number),
    ("revision", Kind::Number),
    ("updated_at", Kind::Number),
    ("sealed_key", Kind::Id),
    ("sealed", Kind::Bytes),
    ("address_key", Kind::Bytes),
];

const BLOCK: &[Column] = &[
    ("id", Kind::Id),
    ("kind", Kind::Small),
    ("scope", Kind::Text),
    ("party_key", Kind::Bytes),
    ("created_at", Kind::Number),
    ("created_by", Kind::Text),
    ("ends_at", Kind::Number),
    ("lifted_at", Kind::Number),
    ("lifted_by", Kind::Text),
    ("sealed_key", Kind::Id),
    ("sealed", Kind::Bytes),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_code_and_a_key() {
        let mut codes: Vec<_> = CopiedTable::ALL.iter().map(|table| table.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CopiedTable::ALL.len());
        for table in CopiedTable::ALL {
            assert!(table.key_columns() <= table.columns().len(), "{table:?}");
        }
    }
}
