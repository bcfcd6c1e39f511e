//! The conformance suite on the embedded backend, and what is particular to its file.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic like tests"
)]

#[macro_use]
mod conformance;

mod file;

use conformance::fixture::{Backend, Holds};
use store::Store;

fn backend() -> Backend {
    Backend {
        open: |path, options| Box::pin(async move { Store::open(&path, options).unwrap() }),
        open_beside: |path| Box::pin(async move { Store::open_beside(&path).unwrap() }),
        holds: Holds { no_gaps: true, start_ends_leases: true, in_turn: true },
    }
}

every_case!();
