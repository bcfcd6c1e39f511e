//! How long a look at a payload takes: the fastest of many rounds, on whatever machine this is.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use redact::{line, payload};

const ROUNDS: usize = 300;
const CALLS: u32 = 200;

fn event(extra: &str) -> String {
    let mut body = String::from(
        "{\"id\":\"evt_1PqR2sT3uV4wX5yZ\",\"object\":\"event\",\"api_version\":\"2024-06-20\",\
         \"created\":1700000000,\"livemode\":false,\"type\":\"payment_intent.succeeded\",\
         \"request\":{\"id\":\"req_AbCdEfGhIjKlMn\",\"idempotency_key\":\
         \"550e8400-e29b-41d4-a716-446655440000\"},\"data\":{\"object\":{\"id\":\"pi_3MtwBwLkdIwHu7ix28a3tqPa\",\
         \"object\":\"payment_intent\",\"amount\":1999,\"amount_received\":1999,\"currency\":\"usd\",\
         \"customer\":\"cus_NffrFeUfNV2Hib\",\"payment_method_types\":[\"card\"],",
    );
    body.push_str(extra);
    while body.len() < 1000 {
        body.push_str("\"statement_descriptor\":null,\"receipt_email\":null,");
    }
    body.push_str("\"status\":\"succeeded\"}}}");
    body
}

/// Nanoseconds a call, the fastest round.
fn fastest(mut call: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        started.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    for (name, extra) in [
        ("nothing in it", ""),
        (
            "times in ms and a hash",
            "\"at\":1700000000123,\"h\":\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\",",
        ),
        ("a card", "\"number\":\"4242 4242 4242 4242\",\"cvc\":\"123\","),
    ] {
        let body = event(extra);
        let ns = fastest(|| drop(black_box(payload(black_box(body.as_bytes())))));
        writeln!(out, "payload of {} bytes, {name}: {ns:.0} ns", body.len())?;
    }
    let text = "{\"timestamp\":\"2026-01-01T00:00:00.000000Z\",\"level\":\"INFO\",\"message\":\"arrival refused\",\
                \"request\":\"req_01jz0000000000000000000000\",\"reason\":\"signature_mismatch\",\"target\":\"gateway::inbound\"}";
    let ns = fastest(|| drop(black_box(line(black_box(text)))));
    writeln!(out, "log line of {} bytes, nothing in it: {ns:.0} ns", text.len())
}
