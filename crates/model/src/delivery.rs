//! A delivery (one event to one endpoint) and the outcome of its attempts.

use crate::event::codes;
use std::fmt;

codes! {
    /// The state of a delivery.
    DeliveryStatus {
        /// Will be tried, or is being tried.
        Pending = "pending",
        /// The endpoint answered 2xx.
        Delivered = "delivered",
        /// Given up: a dead letter, until somebody redelivers it.
        Dead = "dead",
    }
}

codes! {
    /// How an attempt ended.
    AttemptOutcome {
        /// The endpoint answered 2xx.
        Delivered = "delivered",
        /// The endpoint answered something else.
        Refused = "refused",
        /// The endpoint answered 410: it wants no more.
        Gone = "gone",
        /// No connection, or it broke before an answer.
        Unreachable = "unreachable",
        /// No answer in time.
        TimedOut = "timed_out",
        /// The address may not be dialled.
        Forbidden = "forbidden",
        /// The stored event could not be opened.
        Unreadable = "unreadable",
    }
}
