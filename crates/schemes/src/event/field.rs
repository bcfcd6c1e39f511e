//! The fields of an event: their names, and the text of each.

use super::Fields;

/// A field of an event, as profiles name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Id,
    Kind,
    Order,
    Amount,
    Currency,
    Customer,
    Payee,
    Payment,
    Part,
    Refunded,
    Chain,
    Address,
    Sender,
    Card,
    Status,
    Live,
}

impl Field {
    pub(crate) const NAMES: &'static [(&'static str, Self)] = &[
        ("id", Self::Id),
        ("type", Self::Kind),
        ("order", Self::Order),
        ("amount", Self::Amount),
        ("currency", Self::Currency),
        ("customer", Self::Customer),
        ("payee", Self::Payee),
        ("payment", Self::Payment),
        ("part", Self::Part),
        ("refunded", Self::Refunded),
        ("chain", Self::Chain),
        ("address", Self::Address),
        ("sender", Self::Sender),
        ("card", Self::Card),
        ("status", Self::Status),
        ("live", Self::Live),
    ];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(other, _)| *other == name).map(|(_, field)| *field)
    }
}

impl Fields {
    pub(super) fn text(&self, field: Field) -> Option<&str> {
        match field {
            Field::Id => self.id.as_deref(),
            Field::Kind => Some(&self.kind),
            Field::Order => self.order.as_deref(),
            Field::Amount => self.amount.as_deref(),
            Field::Currency => self.currency.as_deref(),
            Field::Customer => self.customer.as_deref(),
            Field::Payee => self.payee.as_deref(),
            Field::Payment => self.payment.as_deref(),
            Field::Part => self.part.as_deref(),
            Field::Refunded => self.refunded.as_deref(),
            Field::Chain => self.chain.as_deref(),
            Field::Address => self.address.as_deref(),
            Field::Sender => self.sender.as_deref(),
            Field::Card => self.card.as_deref(),
            Field::Status => self.status.as_deref(),
            Field::Live => self.live.map(|live| if live { "live" } else { "test" }),
        }
    }
}
