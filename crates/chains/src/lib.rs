//! Has it been paid on the chain? Payments followed by what nodes answer, whatever a provider says.
//!
//! An *order* is an opaque key with an [`Expectation`]: so much of an [`Asset`] at an address of its
//! own. *Nodes* are asked [`Question`]s in *rounds* and answer with [`Block`]s and the transfers in
//! them; a [`Dialogue`] makes these of what nodes say over JSON-RPC ([`evm`], [`bitcoin`]). The
//! [`State`] of a chain is the [`Trail`] of blocks that were read, whose newest is the cursor, and
//! the payments of each order. [`step()`] takes a state and answers and gives the next state, the
//! [`Fact`]s to be kept with it in one transaction, and the next questions. A crash between two steps
//! repeats one.
//!
//! A payment is *seen* (waits to be in a block), *confirming*, *counted* (it has the confirmations
//! that the order needed) and at last *final*. Aside it is *conflicted* (another transaction used
//! up the same), *orphaned* (its block is no longer in the chain), *dropped* (it waits no longer), or
//! *unaccounted* (another asset, dust and so on). Before it is final everything can be reversed.
//!
//! How many confirmations are needed follows from the sum of all payments of the order that may
//! still be lost ([`Classes`]): many small payments need what one large one needs.
//!
//! Everything here is pure: no clock, no randomness, no network. Time is a parameter.

mod agree;
mod asset;
pub mod bitcoin;
mod block;
pub mod evm;
pub mod limits;
mod node;
mod order;
mod payment;
mod rpc;
mod settings;
mod state;
mod step;
mod trail;
mod value;

pub use agree::{Hold, Trouble};
pub use asset::{Address, Asset, AssetId, ChainId, Hash, Malformed, Minor, OrderKey};
pub use block::{Block, Place, Spend, Spent, Transfer};
pub use node::{Answer, Failure, Head, NodeAnswers, Question, Round, Watch};
pub use order::{Expectation, Followed, Sums};
pub use payment::{Mined, Payment, PaymentKey, Reported, Standing, Unaccounted};
pub use rpc::{Call, Dialogue, Reply, Said};
pub use settings::{BadSettings, Finality, Settings};
pub use state::{BadState, State, Unfit, VERSION};
pub use step::{Change, Fact, Step, step};
pub use trail::Trail;
pub use value::{BadClasses, Class, Classes, Worth};
