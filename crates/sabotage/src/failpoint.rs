//! Failpoints: places where a process is made to fail, or to die, the n-th time it comes there.
//!
//! Without the feature `planted` nothing ever fails here, and the compiler removes the question.
//! With it, `COUNTERSIGN_FAILPOINT=name:error|kill[:nth]` chooses one for the process. That it was
//! reached is said on standard error, so that no test is green because nothing came there.

coded! {
    /// Where a process can be made to fail.
    Point:
    /// The writer, before it begins a transaction.
    Begin = "begin",
    /// The writer, when all statements of a transaction are done and it is not committed.
    Commit = "commit",
    /// The writer, when a transaction is committed and nobody has heard of it.
    Committed = "committed",
    /// A settlement, half written.
    Settle = "settle",
    /// An audit entry, before it is written.
    Audit = "audit",
    /// Entries that get their place in the audit log, half written.
    Seal = "seal",
    /// A run of dedup keys, half written.
    DedupRun = "dedup-run",
    /// Before a part of the log is written back into the store's file.
    WriteBack = "write-back",
    /// A webhook is sealed and not recorded.
    Sealed = "sealed",
    /// A webhook is recorded and not answered.
    Recorded = "recorded",
    /// An attempt was made and is not settled.
    Attempted = "attempted",
}

/// Whether this process is to fail here. One that is to die does not return.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn fails(_point: Point) -> bool {
    false
}

/// Whether this process is to fail here. One that is to die does not return.
///
/// # Panics
/// When the variable cannot be read: a misspelt failpoint would make its test pass for nothing.
#[cfg(feature = "planted")]
pub fn fails(point: Point) -> bool {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Some(chosen) = chosen().filter(|chosen| chosen.point == point) else { return false };
    if PASSED.fetch_add(1, Ordering::Relaxed) + 1 != chosen.nth {
        return false;
    }
    let _ = writeln!(std::io::stderr(), "failpoint {}", point.code());
    if chosen.kills {
        std::process::abort();
    }
    true
}

/// Whether this process is to fail at this point at some time: what comes seldom then comes soon.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn aims_at(_point: Point) -> bool {
    false
}

/// Whether this process is to fail at this point at some time: what comes seldom then comes soon.
///
/// # Panics
/// As [`fails`].
#[cfg(feature = "planted")]
pub fn aims_at(point: Point) -> bool {
    chosen().is_some_and(|chosen| chosen.point == point)
}

#[cfg(feature = "planted")]
#[derive(Debug, Clone, Copy, PartialEq)]
struct Chosen {
    point: Point,
    kills: bool,
    /// From 1.
    nth: u64,
}

#[cfg(feature = "planted")]
fn chosen() -> Option<Chosen> {
    static CHOSEN: std::sync::OnceLock<Option<Chosen>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let text = std::env::var_os("COUNTERSIGN_FAILPOINT")?;
        let chosen = text.to_str().and_then(read);
        assert!(chosen.is_some(), "COUNTERSIGN_FAILPOINT is not name:error|kill[:nth]");
        chosen
    })
}

#[cfg(feature = "planted")]
fn read(text: &str) -> Option<Chosen> {
    let mut words = text.split(':');
    let name = words.next()?;
    let point = *Point::ALL.iter().find(|point| point.code() == name)?;
    let kills = match words.next()? {
        "error" => false,
        "kill" => true,
        _ => return None,
    };
    let nth = words.next().map_or(Some(1), |nth| nth.parse().ok().filter(|nth| *nth > 0))?;
    words.next().is_none().then_some(Chosen { point, kills, nth })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "planted")]
    #[test]
    fn what_is_not_a_failpoint_is_not_read() {
        let audit = |kills, nth| Some(Chosen { point: Point::Audit, kills, nth });
        assert_eq!(read("audit:error"), audit(false, 1));
        assert_eq!(read("audit:kill:12"), audit(true, 12));
        for text in ["", "audit", "audi:kill", "audit:die", "audit:kill:0", "audit:kill:1:1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[cfg(not(feature = "planted"))]
    #[test]
    fn without_the_feature_nothing_fails() {
        const NONE: bool = fails(Point::Commit) || aims_at(Point::Commit);
        assert!(Point::ALL.iter().all(|point| !fails(*point) && !aims_at(*point)) && !NONE);
    }
}
