//! The watch over chains: nodes are asked over HTTP, and what they answer goes through `::chains`.
//!
//! *Nouns.* A [`Node`] is a server that the operator configured; it may be private. A [`Watcher`] asks
//! all nodes of one chain the questions of a round, at once, and takes one step with their answers.
//! *Owners.* Whoever calls [`Watcher::turn`] keeps the state and the facts of the step in one
//! transaction, and only then goes on with that state; before, nothing happened. *Retries.* A turn
//! that was not kept is asked again. A node that does not answer in time has not answered.

mod node;
mod watcher;

pub use node::{Node, Nodes};
pub use watcher::Watcher;
