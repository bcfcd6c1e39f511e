//! A request as received, in the form that the engine reads.

/// A request whose signature is to be verified. Borrowed: nothing of it is copied.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    /// The method, upper case.
    pub method: &'r str,
    /// The registered public URL for schemes that sign it, else as received.
    pub url: &'r str,
    /// Names in any case, repeats kept, values without surrounding white space.
    pub headers: &'r [(&'r str, &'r [u8])],
    /// The exact bytes.
    pub body: &'r [u8],
}
