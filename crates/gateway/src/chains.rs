//! The watch over chains: nodes are asked over HTTP or WebSocket, and what they answer goes through
//! `::chains`.
//!
//! *Nouns.* A [`Node`] is a server that the operator configured; it may be private. A [`Watcher`] asks
//! all nodes of one chain the questions of a round, at once, and takes one step with their answers; then
//! it rests, until it is time again or a node on a kept connection says that there is something new.
//! A [`Follower`] does so for the orders in the [`ChainAsset`]s of a [`Chain`]. *Owners.* The follower
//! keeps the state of a step and what it makes of orders in one transaction, and only then goes on with
//! that state; before, nothing happened. *Retries.* A turn that was not kept is asked again. A node that
//! does not answer in time has not answered; a connection that failed is made anew in a later round.

mod asset;
mod follow;
mod kept;
mod node;
mod watcher;

pub use asset::ChainAsset;
pub(crate) use asset::{of_name, of_unit};
pub use follow::Chain;
pub(crate) use follow::Follower;
pub(crate) use kept::Kept;
pub use node::{Node, Nodes};
pub use watcher::Watcher;
