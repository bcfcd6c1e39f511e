//! What routes read of a request, beside its place.
//!
//! A route names it in its handler's arguments, so that it can be read before the handler is called:
//! nobody is asked to approve what could never be done.

use serde::de::DeserializeOwned;

use super::Asked;
use crate::api::refusal::Problem;

/// Something that a request says.
pub(super) trait Reads: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// It is not what it must be.
    fn of(asked: &Asked) -> Result<Self, Problem>;
}

/// Sees that a request says what its route reads.
pub(super) type Check = fn(&Asked) -> Result<(), Problem>;

/// The body. Where there is one, there are no parameters.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> Reads for Body<T> {
    fn of(asked: &Asked) -> Result<Self, Problem> {
        asked.body().map(Self)
    }
}

/// The parameters of the query.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> Reads for Query<T> {
    fn of(asked: &Asked) -> Result<Self, Problem> {
        asked.query().map(Self)
    }
}

/// Nothing.
impl Reads for () {
    fn of(asked: &Asked) -> Result<Self, Problem> {
        asked.no_query()
    }
}
