//! Renewal of certificates: their files are looked at again and again, and a new pair is shown
//! without a restart. A broken one is said loudly and the old one stays.

use std::time::Duration;

use gateway::Clock;
use model::Timestamp;
use model::limits::CERTIFICATE_POLL_MS;

use crate::config::{IdentityFault, Shown, Stamp};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long before the end it is said again, days, the last first.
const WARN_DAYS: [i64; 4] = [0, 1, 7, 21];

/// Looks after one listener's certificate until the process ends.
pub(crate) async fn watch(shown: Shown) {
    let mut renewal = Renewal::of(shown);
    loop {
        let looked = tokio::task::spawn_blocking(move || {
            let now = Clock::System.now();
            renewal.look(now);
            renewal.warn(now);
            renewal
        });
        // It ends early only when the process does.
        let Ok(back) = looked.await else { return };
        renewal = back;
        tokio::time::sleep(Duration::from_millis(CERTIFICATE_POLL_MS)).await;
    }
}

/// One listener's certificate, and what is known of its files.
struct Renewal {
    shown: Shown,
    seen: Stamp,
    warned: Option<i64>,
}

/// What became of the files.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    Unchanged,
    /// They change right now: a certificate and its key are two files.
    Changing,
    Renewed,
    /// The reason's code.
    Kept(&'static str),
}

impl Renewal {
    fn of(shown: Shown) -> Self {
        Self { seen: shown.stamp.clone(), shown, warned: None }
    }

    /// Shows what the files hold, once they have been the same for two looks.
    fn look(&mut self, now: Timestamp) -> Looked {
        let stamp = self.shown.files.stamp();
        let is_settled = stamp == self.seen;
        self.seen = stamp.clone();
        if stamp == self.shown.stamp {
            return Looked::Unchanged;
        }
        if !is_settled {
            return Looked::Changing;
        }
        self.shown.stamp = stamp;
        let listener = self.shown.listener;
        match self.shown.files.load(now) {
            Ok(identity) => {
                let expires = identity.expires().date();
                self.shown.tls.renew(identity);
                self.warned = None;
                tracing::info!(listener, expires, "a new certificate is shown");
                Looked::Renewed
            }
            Err(IdentityFault { refusal, key, message, fix }) => {
                self.shown.tls.keep();
                let expires = self.shown.tls.expires().date();
                tracing::error!(
                    listener,
                    code = refusal.code(),
                    file = key,
                    message,
                    fix,
                    expires,
                    "the new certificate cannot be used: the old one stays"
                );
                Looked::Kept(refusal.code())
            }
        }
    }

    /// Says once a step that the end is near; gives the step, days.
    fn warn(&mut self, now: Timestamp) -> Option<i64> {
        let expires = self.shown.tls.expires();
        let left_ms = expires.as_millis().saturating_sub(now.as_millis());
        let step = WARN_DAYS.into_iter().find(|days| left_ms <= days * DAY_MS)?;
        if self.warned == Some(step) {
            return None;
        }
        self.warned = Some(step);
        let (listener, days, expires) =
            (self.shown.listener, left_ms.div_euclid(DAY_MS), expires.date());
        match step {
            0 => tracing::error!(listener, expires, "the certificate has expired: renew it now"),
            1 => tracing::error!(listener, expires, "the certificate expires within a day"),
            _ => tracing::warn!(listener, expires, days, "the certificate expires soon: renew it"),
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::certificates::{Folder, until};

    fn renewal(folder: &Folder) -> Renewal {
        Renewal::of(folder.shown().unwrap_or_else(|fault| panic!("{}", fault.message)))
    }

    fn now() -> Timestamp {
        Clock::System.now()
    }

    #[test]
    fn a_new_pair_is_shown_once_both_files_are_there() {
        let folder = Folder::with(&until(2090));
        let mut renewal = renewal(&folder);
        assert_eq!(renewal.look(now()), Looked::Unchanged);
        let new = until(2091);
        folder.write("cert.pem", &new.certificate, 0o644);
        assert_eq!(renewal.look(now()), Looked::Changing);
        folder.write("key.pem", &new.key, 0o600);
        assert_eq!(renewal.look(now()), Looked::Changing);
        assert_eq!(renewal.look(now()), Looked::Renewed);
        assert_eq!(renewal.shown.tls.expires().date(), "2091-01-01");
        assert_eq!(renewal.look(now()), Looked::Unchanged);
    }

    #[test]
    fn a_broken_pair_is_said_once_and_the_old_one_stays() {
        let old = until(2090);
        let folder = Folder::with(&old);
        let mut renewal = renewal(&folder);
        let mut check = |file: &str, text: &str, mode, expected: Looked| {
            folder.write(file, text, mode);
            assert_eq!(renewal.look(now()), Looked::Changing);
            assert_eq!(renewal.look(now()), expected);
            assert_eq!(renewal.look(now()), Looked::Unchanged);
            assert_eq!(renewal.shown.tls.expires().date(), "2090-01-01");
        };
        check("key.pem", &until(2091).key, 0o600, Looked::Kept("tls_key_mismatch"));
        check("key.pem", "hush", 0o600, Looked::Kept("bad_tls_key"));
        check("key.pem", &old.key, 0o644, Looked::Kept("file_exposed"));
        check("key.pem", &old.key, 0o600, Looked::Renewed);
        check("cert.pem", "", 0o644, Looked::Kept("file_empty"));
        let expired = until(2020);
        folder.write("key.pem", &expired.key, 0o600);
        check("cert.pem", &expired.certificate, 0o644, Looked::Kept("certificate_expired"));
        std::fs::remove_file(folder.path("cert.pem")).expect("removed");
        assert_eq!(renewal.look(now()), Looked::Changing);
        assert_eq!(renewal.look(now()), Looked::Kept("file_missing"));
    }

    #[test]
    fn the_end_is_announced_at_21_7_and_1_days_and_when_it_is_there() {
        let mut renewal = renewal(&Folder::with(&until(2090)));
        let end = renewal.shown.tls.expires();
        let mut warn = |days_left: i64| renewal.warn(end.plus_millis(-days_left * DAY_MS));
        let said: Vec<_> = [40, 22, 21, 20, 8, 7, 6, 2, 1, 0, -1].map(&mut warn).into();
        let want = [None, None, Some(21), None, None, Some(7), None, None, Some(1), Some(0), None];
        assert_eq!(said, want);
    }
}
