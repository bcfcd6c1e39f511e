//! The `countersign` binary. Everything is in the library beside it, so that tests can reach it.

fn main() -> std::process::ExitCode {
    countersign::run()
}
