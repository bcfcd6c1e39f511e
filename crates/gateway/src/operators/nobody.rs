//! An operator that nobody is, and what must be shown of one that may be.

use store::OperatorRow;
use zeroize::Zeroizing;

use super::{PASSWORD, TABLE, TOTP, passwords};
use crate::entropy;
use crate::keys::{Held, KeyError};

/// Somebody who may be an operator: what they must show, opened.
pub(super) struct Candidate {
    /// None if there is no such operator.
    pub(super) row: Option<OperatorRow>,
    pub(super) phc: Zeroizing<Vec<u8>>,
    pub(super) seed: Zeroizing<Vec<u8>>,
}

/// An operator that nobody is, so that whoever is not there takes as long as whoever is.
pub(super) struct Nobody {
    key: Held,
    row: [u8; 16],
    password: store::SealedRow,
    totp: store::SealedRow,
}

impl Nobody {
    pub(super) fn new() -> Self {
        let (key, row): (Held, [u8; 16]) = (Held::of_nobody(), entropy::bytes());
        let seed: [u8; 20] = entropy::bytes();
        let password = key.seal(TABLE, PASSWORD, &row, passwords::of_nobody().as_bytes());
        let totp = key.seal(TABLE, TOTP, &row, &seed);
        Self { key, row, password, totp }
    }

    pub(super) fn open(&self) -> Result<Candidate, KeyError> {
        Ok(Candidate {
            row: None,
            phc: self.key.open(TABLE, PASSWORD, &self.row, &self.password.sealed)?,
            seed: self.key.open(TABLE, TOTP, &self.row, &self.totp.sealed)?,
        })
    }
}
