//! A request as received, in the form that the engine reads.

use sabotage::Defect;

use crate::reason::Rejection;

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

impl<'r> Request<'r> {
    /// The one value of a header; a repeated one is refused, since two readers could pick two.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&'r [u8]>, Rejection> {
        let mut values = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| *value);
        match values.next() {
            Some(_) if !sabotage::on(Defect::RepeatedHeader) => Err(Rejection::RepeatedHeader),
            _ => Ok(value),
        }
    }
}
