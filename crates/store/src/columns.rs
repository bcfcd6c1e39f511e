//! Columns that both backends read in the same order.

/// An event's, with its names.
pub(crate) const EVENT: &str = "sequence, id, event.arrival,
    (SELECT text FROM name WHERE name.id = event.source),
    (SELECT text FROM name WHERE name.id = event.provider),
    kind, status, reason, covers, failed, received_at, count, range_start, range_end,
    coalesce((SELECT restated.sealed_key FROM restated WHERE restated.event = event.id), event.sealed_key),
    coalesce((SELECT restated.sealed FROM restated WHERE restated.event = event.id), event.sealed),
    original";
