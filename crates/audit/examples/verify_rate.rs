//! How fast an export is verified, on one core: `cargo run --release -p audit --features testing
//! --example verify_rate [entries]`.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::time::Instant;

use audit::testing::{Log, keys};
use audit::{Witness, verify};

fn main() {
    let entries = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(500_000);
    let log = Log::of(entries, 1_000, 1);
    let export = log.export();
    for _ in 0..3 {
        let started = Instant::now();
        let verified = verify(&mut export.as_slice(), &keys(), &Witness::default(), &mut |_| ());
        let seconds = started.elapsed().as_secs_f64();
        let verified = verified.expect("nobody was at it");
        let bytes = export.len() as f64;
        println!(
            "{} entries of {:.0} bytes in {seconds:.3} s: {:.0} entries a second",
            verified.size,
            bytes / entries as f64,
            entries as f64 / seconds
        );
    }
}
