//! Events, deliveries and endpoints as they are shown outside: by the API, and by the commands with
//! `--json`. Nothing here is sealed: what an event says of a person is not among it.

mod block;
mod order;

use serde::Serialize;
use store::{AttemptRow, DeliveryRow, EndpointState, EventRow};
use utoipa::ToSchema;

pub use block::Block;
pub use order::Order;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident of $model:ty { $($variant:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $(
            /// As in the model.
            $variant,
        )* }

        impl From<$model> for $name {
            fn from(word: $model) -> Self {
                match word { $(<$model>::$variant => Self::$variant,)* }
            }
        }

        impl From<$name> for $model {
            fn from(word: $name) -> Self {
                match word { $($name::$variant => Self::$variant,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                let known = <$model>::ALL.iter().find(|word| word.code() == text);
                known.map(|word| (*word).into()).ok_or(())
            }
        }
    )*};
}

words! {
    /// What became of an event.
    EventStatus of model::EventStatus { Accepted, Held, Denied, Quarantined, }
    /// What the provider's signature vouches for.
    Covers of model::Covers { Full, Fields, Identifiers, Checksum, None, }
    /// The state of a delivery.
    DeliveryStatus of model::DeliveryStatus { Pending, Delivered, Dead, }
    /// How an attempt ended.
    AttemptOutcome of model::AttemptOutcome {
        Delivered, Refused, Gone, Unreachable, TimedOut, Forbidden, Unreadable,
    }
    /// What kind of party is blocked.
    PartyKind of model::block::PartyKind { Customer, Address, Payee, Card, }
    /// Where a block stands.
    BlockState of model::block::BlockState { Standing, Ended, Lifted, }
    /// Where an order stands.
    OrderState of model::OrderState {
        Awaiting, Partial, Detected, Confirming, Paid, Overpaid, Expired, Late, Reversed, Disputed, Refunded,
        Failed, Cancelled,
    }
    /// Whether deliveries to an endpoint are made.
    State of EndpointState { Active, Paused, Disabled, }
}

/// An event. What it says, and its body, are not shown here.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Event {
    /// The event.
    #[schema(pattern = "^evt_[0-9a-hjkmnp-tv-z]{26}$")]
    pub id: String,
    /// The request of the provider that brought it.
    #[schema(pattern = "^arr_[0-9a-hjkmnp-tv-z]{26}$")]
    pub arrival: String,
    /// The name of its source.
    pub source: String,
    /// The name of its provider.
    pub provider: String,
    /// The provider's word for its type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// What became of it.
    pub status: EventStatus,
    /// Why, if it was not accepted.
    pub reason: Option<String>,
    /// What the signature vouches for.
    pub covers: Covers,
    /// When it arrived.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// How often it came, as far as that is counted.
    #[schema(minimum = 1)]
    pub count: u32,
    /// It held what must not be kept, which is masked.
    pub redacted: bool,
}

impl From<&EventRow> for Event {
    fn from(row: &EventRow) -> Self {
        Self {
            id: row.id.to_string(),
            arrival: row.arrival.to_string(),
            source: row.source.clone(),
            provider: row.provider.clone(),
            kind: row.kind.clone(),
            status: row.status.into(),
            reason: row.reason.clone(),
            covers: row.covers.into(),
            received_at: row.received_at.to_string(),
            count: row.count,
            redacted: row.original.is_some(),
        }
    }
}

/// One event to one endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Delivery {
    /// The delivery.
    #[schema(pattern = "^dlv_[0-9a-hjkmnp-tv-z]{26}$")]
    pub id: String,
    /// The event.
    #[schema(pattern = "^evt_[0-9a-hjkmnp-tv-z]{26}$")]
    pub event: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// Its state.
    pub status: DeliveryStatus,
    /// It failed so often that its order key no longer waits for it.
    pub parked: bool,
    /// Attempts in all.
    pub attempts: u32,
    /// When it may next be tried; none while it is being tried and when nothing is left to try.
    #[schema(format = DateTime)]
    pub next_at: Option<String>,
    /// When it was planned.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

impl From<&DeliveryRow> for Delivery {
    fn from(row: &DeliveryRow) -> Self {
        Self {
            id: row.id.to_string(),
            event: row.event.to_string(),
            endpoint: row.endpoint.clone(),
            status: row.status.into(),
            parked: row.parked,
            attempts: row.attempts,
            next_at: row.next_at.map(|time| time.to_string()),
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        }
    }
}

/// A delivery with its attempts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeliveryWithTries {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Its attempts, newest last.
    pub tries: Vec<Attempt>,
}

/// An attempt as it was.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Attempt {
    /// The attempt.
    #[schema(pattern = "^att_[0-9a-hjkmnp-tv-z]{26}$")]
    pub id: String,
    /// When it started.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    pub ended_at: String,
    /// How.
    pub outcome: AttemptOutcome,
    /// What the endpoint answered, if it did.
    pub http_status: Option<u16>,
}

impl From<&AttemptRow> for Attempt {
    fn from(row: &AttemptRow) -> Self {
        Self {
            id: row.id.to_string(),
            started_at: row.started_at.to_string(),
            ended_at: row.ended_at.to_string(),
            outcome: row.outcome.into(),
            http_status: row.http_status,
        }
    }
}

/// An endpoint, and whether anything is sent there now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Whether deliveries are made.
    pub state: State,
    /// Since when, if it was ever changed or delivered to.
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// The configuration pauses it.
    pub paused_by_configuration: bool,
    /// It keeps failing and is left alone until then.
    #[schema(format = DateTime)]
    pub left_alone_until: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<W: Serialize + std::str::FromStr, M: Copy + Into<W>>(
        all: &[M],
        code: fn(M) -> &'static str,
    ) {
        for word in all {
            let shown = serde_json::to_value((*word).into()).expect("a word");
            assert_eq!(shown, code(*word));
            assert!(code(*word).parse::<W>().is_ok());
        }
        assert!("Accepted".parse::<W>().is_err());
    }

    #[test]
    fn words_are_the_codes_of_the_model() {
        check::<EventStatus, _>(model::EventStatus::ALL, model::EventStatus::code);
        check::<Covers, _>(model::Covers::ALL, model::Covers::code);
        check::<DeliveryStatus, _>(model::DeliveryStatus::ALL, model::DeliveryStatus::code);
        check::<AttemptOutcome, _>(model::AttemptOutcome::ALL, model::AttemptOutcome::code);
        check::<State, _>(EndpointState::ALL, EndpointState::code);
    }
}
