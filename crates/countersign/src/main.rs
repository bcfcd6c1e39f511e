//! The `countersign` binary. Everything is in the library beside it, so that tests can reach it.

/// What a worker allocates for a webhook, the store's writer frees: that is where the system's
/// allocator costs most (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    countersign::run()
}
