//! The one place where random bytes come from.

/// Random bytes from the process's generator, seeded by the operating system.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system always has random bytes");
    bytes
}
