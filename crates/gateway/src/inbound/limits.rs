//! Sliding windows per address.

use std::net::IpAddr;

use model::rate::Rate;

use crate::answer::Limited;
use crate::limit::Limit;
use crate::listener::network;

/// One limit, counted for each address on its own.
pub(crate) struct AddressLimit(pub(crate) Limit<IpAddr>);

impl AddressLimit {
    pub(crate) fn new(rate: Rate) -> Self {
        Self(Limit::new(rate))
    }

    /// Counts one for this address, or says that it has had its share.
    pub(crate) fn take(&self, address: IpAddr, now_ms: i64) -> Result<(), Limited> {
        self.0.take(network(address), now_ms).map(drop)
    }
}
