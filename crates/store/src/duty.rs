//! Duties: what one replica does for all, such as sealing the audit log, as long as its lease lasts.
//!
//! A duty has one holder at a time. The fence grows whenever it changes hands or has lapsed, so that
//! what a holder wrote that did not notice the end of its lease can be told from what its successor
//! wrote.

use model::Timestamp;

/// Asks for a duty.
#[derive(Debug, Clone)]
pub(crate) struct Duty {
    pub(crate) name: String,
    pub(crate) holder: [u8; 16],
    pub(crate) now: Timestamp,
    pub(crate) until: Timestamp,
}

/// Name, holder, until, now: gives the fence, or nothing while another has it.
pub(crate) const TAKE: &str = "INSERT INTO duty (name, holder, until, fence) VALUES ($1, $2, $3, 1)
    ON CONFLICT (name) DO UPDATE SET
        fence = CASE WHEN duty.until > $4 THEN duty.fence ELSE duty.fence + 1 END,
        holder = excluded.holder, until = excluded.until
    WHERE duty.holder = excluded.holder OR duty.until <= $4
    RETURNING fence";

/// Name, holder. The row stays, so that the fence goes on growing.
pub(crate) const RELEASE: &str = "UPDATE duty SET until = 0 WHERE name = $1 AND holder = $2";
