//! What is forgotten by whole partitions, where the backend has any.

/// What stands in partitions of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartitionClass {
    /// Events.
    Event,
    /// The bodies of arrivals.
    Body,
    /// Deliveries that are over.
    Delivery,
    /// Attempts.
    Attempt,
}

impl PartitionClass {
    /// Every class.
    pub const ALL: &'static [Self] = &[Self::Event, Self::Body, Self::Delivery, Self::Attempt];
}
