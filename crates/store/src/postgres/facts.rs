//! What is to be said about a server that works, and could lose what it acknowledged.

use std::fmt;

use model::Timestamp;
use tokio_postgres::Row;

use super::Postgres;
use super::failure::{Failure, Result};
use super::session::column;
use crate::StoreError;

/// How far the clocks may be apart, milliseconds.
const SKEW_MS_MAX: i64 = 2_000;

/// Something about the server that an operator should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerWarning {
    /// `synchronous_commit` is off: a crash of the server loses commits that it answered.
    CommitsNotWaitedFor,
    /// `fsync` is off: a crash of its machine loses and damages anything.
    NothingSynced,
    /// `full_page_writes` is off: a crash of its machine may damage pages.
    TornPages,
    /// There is a standby, and commits do not wait until it has them: a failover loses some.
    StandbyNotWaitedFor,
    /// Commits wait until the standby's system has them, not its disk: both must not lose power.
    StandbyNotSynced,
    /// No standby is waited for: the loss of the server's disk loses commits.
    NoStandby,
    /// Its clock and ours differ by more than two seconds: leases of others end early or late.
    ClocksDiffer {
        /// How far the server's clock is ahead of ours, milliseconds.
        ahead_ms: i64,
    },
}

impl ServerWarning {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::CommitsNotWaitedFor => "commits_not_waited_for",
            Self::NothingSynced => "nothing_synced",
            Self::TornPages => "torn_pages",
            Self::StandbyNotWaitedFor => "standby_not_waited_for",
            Self::StandbyNotSynced => "standby_not_synced",
            Self::NoStandby => "no_standby",
            Self::ClocksDiffer { .. } => "clocks_differ",
        }
    }
}

impl fmt::Display for ServerWarning {
    /// What it means, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CommitsNotWaitedFor => {
                "synchronous_commit is off: a crash of the server loses acknowledged events; set it \
                 to on"
            }
            Self::NothingSynced => {
                "fsync is off: a crash of its machine loses and damages anything; set it to on"
            }
            Self::TornPages => {
                "full_page_writes is off: a crash of its machine may damage pages; set it to on"
            }
            Self::StandbyNotWaitedFor => {
                "synchronous_commit is local, and there is a standby: a failover loses acknowledged \
                 events; set it to on"
            }
            Self::StandbyNotSynced => {
                "synchronous_commit is remote_write: if server and standby lose power together, \
                 acknowledged events are lost; set it to on"
            }
            Self::NoStandby => {
                "no standby is waited for: the loss of the server's disk loses acknowledged events; \
                 set synchronous_standby_names"
            }
            Self::ClocksDiffer { ahead_ms } => {
                return write!(
                    f,
                    "its clock is {ahead_ms} ms ahead of ours: leases of other gateways end early \
                     or late; see to the clocks"
                );
            }
        })
    }
}

/// The settings that decide what a commit is worth.
struct Facts {
    synchronous_commit: String,
    has_standby: bool,
    fsync: bool,
    full_page_writes: bool,
    server_now_ms: i64,
}

impl Postgres {
    pub(crate) async fn server_facts(
        &self,
        now: Timestamp,
    ) -> std::result::Result<Vec<ServerWarning>, StoreError> {
        let rows = self
            .look(
                "SELECT current_setting('synchronous_commit'),
                    current_setting('synchronous_standby_names') <> '',
                    current_setting('fsync')::boolean,
                    current_setting('full_page_writes')::boolean,
                    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
                Vec::new(),
            )
            .await?;
        let row = rows.first().ok_or_else(|| Failure::corrupt("no settings").error)?;
        Ok(facts(row).map_err(|failure| failure.error)?.warnings(now))
    }
}

fn facts(row: &Row) -> Result<Facts> {
    Ok(Facts {
        synchronous_commit: column(row, 0)?,
        has_standby: column(row, 1)?,
        fsync: column(row, 2)?,
        full_page_writes: column(row, 3)?,
        server_now_ms: column(row, 4)?,
    })
}

impl Facts {
    fn warnings(&self, now: Timestamp) -> Vec<ServerWarning> {
        let mut warnings = Vec::new();
        let mut warn = |when: bool, warning| {
            if when {
                warnings.push(warning);
            }
        };
        let waits = self.synchronous_commit.as_str();
        warn(!self.fsync, ServerWarning::NothingSynced);
        warn(!self.full_page_writes, ServerWarning::TornPages);
        warn(waits == "off", ServerWarning::CommitsNotWaitedFor);
        let standby = |when| self.has_standby && when;
        warn(standby(waits == "local"), ServerWarning::StandbyNotWaitedFor);
        warn(standby(waits == "remote_write"), ServerWarning::StandbyNotSynced);
        warn(!self.has_standby, ServerWarning::NoStandby);
        let ahead_ms = self.server_now_ms.saturating_sub(now.as_millis());
        warn(ahead_ms.abs() > SKEW_MS_MAX, ServerWarning::ClocksDiffer { ahead_ms });
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(synchronous_commit: &str, has_standby: bool, expected: &[ServerWarning]) {
        let facts = Facts {
            synchronous_commit: synchronous_commit.to_owned(),
            has_standby,
            fsync: true,
            full_page_writes: true,
            server_now_ms: 5_000,
        };
        let warnings = facts.warnings(Timestamp::from_millis(4_000));
        assert_eq!(warnings, expected, "{synchronous_commit}, standby {has_standby}");
    }

    #[test]
    fn whatever_can_lose_a_commit_is_said() {
        use ServerWarning::*;
        check("on", true, &[]);
        check("remote_apply", true, &[]);
        check("remote_write", true, &[StandbyNotSynced]);
        check("local", true, &[StandbyNotWaitedFor]);
        check("off", true, &[CommitsNotWaitedFor]);
        check("on", false, &[NoStandby]);
        check("off", false, &[CommitsNotWaitedFor, NoStandby]);
    }

    #[test]
    fn clocks_that_differ_are_said() {
        let facts = Facts {
            synchronous_commit: "on".to_owned(),
            has_standby: true,
            fsync: false,
            full_page_writes: false,
            server_now_ms: 0,
        };
        let expected = [
            ServerWarning::NothingSynced,
            ServerWarning::TornPages,
            ServerWarning::ClocksDiffer { ahead_ms: -2_001 },
        ];
        assert_eq!(facts.warnings(Timestamp::from_millis(2_001)), expected);
    }
}
