//! How fast an export is verified, on one core: entries in a second of its own time, whatever else
//! runs on the machine. `cargo run --release -p audit --features testing --example verify_rate`
#![expect(clippy::print_stdout, reason = "a measurement prints")]

use std::time::Instant;

use audit::testing::{Log, keys};
use audit::{Witness, verify};

const ENTRIES: u32 = 300_000;

fn main() {
    let log = Log::of(u64::from(ENTRIES), 1_000, 1);
    let export = log.export();
    let mean = export.len() / log.rows.len();
    for _ in 0..5 {
        let (started, before) = (Instant::now(), on_a_core());
        let verified = verify(&mut export.as_slice(), &keys(), &Witness::default(), &mut |_| ());
        let (wall, own) = (started.elapsed().as_secs_f64(), on_a_core() - before);
        assert!(verified.is_ok(), "nobody was at it");
        let rate = |seconds: f64| f64::from(ENTRIES) / seconds;
        println!(
            "lines of {mean} bytes: {:.0} entries a second of its own, {:.0} by the clock",
            rate(own),
            rate(wall)
        );
    }
}

/// Seconds that this thread has had a core for, as Linux counts them.
fn on_a_core() -> f64 {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = counted.split(' ').next().and_then(|text| text.parse::<f64>().ok());
    nanoseconds.unwrap_or_default() / 1e9
}
