//! Faithful local simulators of the providers that send webhooks, and a sample application that
//! takes our deliveries. For the demo and the tests; nothing of the product depends on it.
//!
//! The cast:
//!
//! - a [`Provider`] knows the shapes of its payloads, how long it waits for an answer, what counts
//!   as success and when it tries again ([`Behaviour`]);
//! - an [`Order`] is what happens to one purchase at a provider: a few [`Event`]s in order;
//! - a [`Guide`] is one of the five: what its application orders, and how its provider tells the
//!   [`Payment`] of that, or of something else ([`Difference`]);
//! - a [`Simulator`] is one provider with one secret: it signs each event with that provider's
//!   profile and posts it over HTTP, and tries again as the provider would, on a scaled clock
//!   ([`Pace`]), signing anew where the scheme signs a time;
//! - the [`Ledger`] is what was sent and what came back, written by the simulators alone;
//! - the [`Application`] is the other side: an HTTP server that verifies our deliveries with a
//!   Standard Webhooks check of its own, keeps what it accepted, and can be told to misbehave. At
//!   its [`Till`] it registers what it expects to be paid.
//!
//! What is known of the providers, and what is only assumed, stands in each provider's file.

pub mod application;
pub mod behaviour;
pub mod clock;
pub mod draw;
pub mod ledger;
pub mod payment;
pub mod provider;
pub mod simulator;
pub mod wire;

pub use application::{Application, Mood, Placed, Till};
pub use behaviour::{Behaviour, Pace, Success};
pub use draw::Draw;
pub use ledger::{Ledger, Purpose, Sent};
pub use payment::Payment;
pub use provider::{Difference, Event, Guide, Order, Provider};
pub use simulator::{Outcome, Simulator};
pub use wire::{Answer, Request, Route, SendError};
