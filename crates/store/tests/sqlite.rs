//! The conformance suite on the embedded backend, and what is particular to its file.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic like tests"
)]

#[macro_use]
mod conformance;

mod file;

use conformance::fixture::Backend;
use store::Store;

fn backend() -> Backend {
    Backend {
        open: |path, options| Store::open(path, options).unwrap(),
        open_beside: |path| Store::open_beside(path).unwrap(),
    }
}

every_case!();
