//! What sealing costs: microseconds to seal and to open a record of 1 KiB.
//! `cargo run --release -p vault --example seal_rate`
#![expect(clippy::print_stdout, reason = "a measurement prints")]

use std::hint::black_box;
use std::time::Instant;

use vault::{DataKey, KeyId, Place, open, seal};

const ROUNDS: u32 = 100_000;

fn main() {
    let key = DataKey::new(KeyId([1; 16]), [2; 32]);
    let place = Place { table: "body", column: "bytes", row: &[3; 16], subject: &[4; 16] };
    let body = [b'x'; 1024];
    let sealed = seal(&key, [5; 32], place, &body);
    report("seal", || {
        black_box(seal(&key, black_box([5; 32]), place, black_box(&body)));
    });
    report("open", || {
        black_box(open(&key, place, black_box(&sealed)).is_ok());
    });
}

fn report(name: &str, mut work: impl FnMut()) {
    let started = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    let each = started.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
    println!("{name} {each:.2} us");
}
