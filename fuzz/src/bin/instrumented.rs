//! One target under libFuzzer, which steers by coverage: the variable `FUZZ_TARGET` names it.
//!
//! Built with the compiler's coverage instrumentation; `docs/testing.md` has the flags.
#![no_main]

use std::sync::LazyLock;

use fuzz::{Target, targets};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var_os("FUZZ_TARGET").unwrap_or_default();
    let mut known = targets::TARGETS.iter().chain([&targets::PLANTED]);
    *known.find(|target| name == target.name).expect("FUZZ_TARGET names a target")
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
