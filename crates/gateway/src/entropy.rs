//! The one place where random bytes come from.
//!
//! Ids and salts need some hundred bytes a webhook, and a call of the generator costs as much for
//! ten bytes as for a thousand, so each thread draws a page and hands it out. Bytes are wiped as
//! they are given, and no byte is given twice.

use std::cell::RefCell;

use zeroize::Zeroize;

const PAGE_BYTES: usize = 1024;

struct Page {
    bytes: [u8; PAGE_BYTES],
    left: usize,
}

thread_local! {
    static PAGE: RefCell<Page> = const { RefCell::new(Page { bytes: [0; PAGE_BYTES], left: 0 }) };
}

/// Random bytes from the process's generator, seeded by the operating system.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    const { assert!(N <= PAGE_BYTES) };
    PAGE.with_borrow_mut(|page| {
        if page.left < N {
            aws_lc_rs::rand::fill(&mut page.bytes)
                .expect("the operating system always has random bytes");
            page.left = PAGE_BYTES;
        }
        let start = page.left - N;
        let end = page.left;
        page.left = start;
        let taken = page.bytes.get_mut(start..end).expect("at least N bytes are left");
        let mut given = [0; N];
        given.copy_from_slice(taken);
        taken.zeroize();
        given
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_come_twice_over_many_pages() {
        let mut seen = std::collections::HashSet::new();
        assert!((0..1000).all(|_| seen.insert(bytes::<32>())));
        assert!((0..1000).all(|_| bytes::<10>() != [0; 10]));
    }

    #[test]
    fn what_was_given_is_wiped() {
        let _ = bytes::<32>();
        PAGE.with_borrow(|page| {
            assert!(page.bytes[page.left..page.left + 32].iter().all(|byte| *byte == 0));
        });
    }
}
