//! Takes decisions from the front of the fuzzer's bytes, so that equal bytes decide equally.

/// What is left of the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte; 0 after the end.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// The next two bytes as a number.
    pub fn number(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// A place in something that is so long; 0 where it is empty.
    pub fn place(&mut self, length: usize) -> usize {
        self.number().checked_rem(length).unwrap_or(0)
    }

    /// The next bytes up to so many, as told by one byte.
    pub fn piece(&mut self, bytes_max: usize) -> &'a [u8] {
        let length = usize::from(self.byte()).min(bytes_max).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// One of several.
    pub fn one_of<'o, T>(&mut self, all: &'o [T]) -> Option<&'o T> {
        let at = usize::from(self.byte()).checked_rem(all.len())?;
        all.get(at)
    }
}
