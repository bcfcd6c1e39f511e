//! Operators and their sessions as they are kept: names, passwords and seeds sealed, of a session's
//! token only a keyed hash.

use model::operator::{SessionLife, SessionState};
use model::{OperatorId, Role, Timestamp};
use sabotage::Defect;
use vault::KeyId;

use crate::SealedRow;

/// An operator to be added. The sealed values are all under the operator's own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOperator {
    /// Its id.
    pub id: OperatorId,
    /// Keyed hash of what they sign in as, to be found by.
    pub login_key: [u8; 16],
    /// What they are trusted with.
    pub role: Role,
    /// What they sign in as.
    pub login: SealedRow,
    /// The hash of their password.
    pub password: SealedRow,
    /// The seed of their codes.
    pub totp: SealedRow,
}

impl NewOperator {
    /// The one key that seals it; none if there are several.
    pub(crate) fn key(&self) -> Option<KeyId> {
        let key = self.login.key;
        (self.password.key == key && self.totp.key == key).then_some(key)
    }
}

/// An operator as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRow {
    /// Its id.
    pub id: OperatorId,
    /// What they are trusted with.
    pub role: Role,
    /// What they sign in as.
    pub login: SealedRow,
    /// The hash of their password.
    pub password: SealedRow,
    /// The seed of their codes.
    pub totp: SealedRow,
    /// The time step of the last code that was used: none up to it counts again.
    pub totp_step: Option<i64>,
    /// Grows with every new password and seed: a session is opened for those that were shown.
    pub generation: i64,
    /// When they were added.
    pub created_at: Timestamp,
    /// Who added them.
    pub created_by: String,
    /// Since when they are let in no more.
    pub disabled_at: Option<Timestamp>,
}

/// What is to be different about an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorChange {
    /// What they are trusted with.
    Role(Role),
    /// They are let in no more, and their sessions end.
    Disable,
    /// They are let in again.
    Enable,
    /// The hash of a new password; their sessions end.
    Password(SealedRow),
    /// The seed of new codes; their sessions end.
    Totp(SealedRow),
}

impl OperatorChange {
    /// Whether the sessions that are open end with it.
    pub(crate) const fn ends_sessions(&self) -> bool {
        match self {
            Self::Disable | Self::Password(_) | Self::Totp(_) => true,
            Self::Role(_) | Self::Enable => false,
        }
    }

    /// What it replaces sealed values by.
    pub(crate) const fn sealed(&self) -> Option<&SealedRow> {
        match self {
            Self::Password(sealed) | Self::Totp(sealed) => Some(sealed),
            Self::Role(_) | Self::Disable | Self::Enable => None,
        }
    }

    /// Whether an enabled administrator may be locked out by it: they are none any more, or what they
    /// sign in with is shown once, and may be lost on its way.
    pub(crate) fn may_lock_out(&self) -> bool {
        if sabotage::on(Defect::LastAdministratorGone) {
            return false;
        }
        match self {
            Self::Role(wanted) => !matches!(wanted, Role::Administrator),
            Self::Disable | Self::Password(_) | Self::Totp(_) => true,
            Self::Enable => false,
        }
    }

    /// Whether it would change nothing.
    pub(crate) fn is_so(&self, role: Role, is_disabled: bool) -> bool {
        match self {
            Self::Role(wanted) => *wanted == role,
            Self::Disable => is_disabled,
            Self::Enable => !is_disabled,
            Self::Password(_) | Self::Totp(_) => false,
        }
    }

    /// What the log says of it.
    pub(crate) fn told(&self, role: Role) -> Changed<'static> {
        match self {
            Self::Role(wanted) => ("role", Some(role.code()), Some(wanted.code())),
            Self::Disable => ("state", Some(ENABLED), Some(DISABLED)),
            Self::Enable => ("state", Some(DISABLED), Some(ENABLED)),
            Self::Password(_) => ("password", None, Some("new")),
            Self::Totp(_) => ("totp", None, Some("new")),
        }
    }
}

const ENABLED: &str = "enabled";
const DISABLED: &str = "disabled";

/// A change as the log has it: its name, what was before, and what is now.
type Changed<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// Whether a change of an operator counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorChanged {
    /// It did.
    Done,
    /// There is no such operator.
    NotFound,
    /// It was so already.
    AlreadySo,
    /// Somebody else signs in as that.
    LoginTaken,
    /// It might lock out the last administrator who is enabled.
    LastAdministrator,
}

impl OperatorChanged {
    /// What the log says of a change that did not count.
    pub(crate) fn because(self) -> Changed<'static> {
        let why = match self {
            Self::Done => None,
            Self::NotFound => Some("not_found"),
            Self::AlreadySo => Some("already_so"),
            Self::LoginTaken => Some("login_taken"),
            Self::LastAdministrator => Some("last_administrator"),
        };
        ("because", None, why)
    }
}

/// Who showed password and code, and the token that they are to have for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Keyed hash of the token.
    pub token_hash: [u8; 16],
    /// Whose it is.
    pub operator: OperatorId,
    /// The operator's generation whose password and code were shown.
    pub generation: i64,
    /// The time step of the code.
    pub step: i64,
    /// The session that goes on under the new token, if it is not a new one.
    pub instead_of: Option<[u8; 16]>,
}

/// Whether a session was opened, or goes on under its new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionOpened {
    /// It was.
    Done,
    /// There is no such operator.
    NotFound,
    /// The operator is let in no more.
    Disabled,
    /// Password or seed were changed meanwhile.
    Outdated,
    /// The code, or a later one, was used before.
    CodeUsed,
    /// The session that was to go on is over.
    Over,
}

impl SessionOpened {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotFound => "unknown",
            Self::Disabled => "disabled",
            Self::Outdated => "outdated",
            Self::CodeUsed => "code_used",
            Self::Over => "session_over",
        }
    }
}

/// What decides whether a session may be opened.
pub(crate) struct Standing {
    pub(crate) is_disabled: bool,
    pub(crate) generation: i64,
    pub(crate) totp_step: Option<i64>,
}

/// Whether a session may be opened for an operator who stands like this.
pub(crate) fn may_open(new: &NewSession, standing: Option<&Standing>) -> SessionOpened {
    match standing {
        None => SessionOpened::NotFound,
        Some(standing) if standing.is_disabled => SessionOpened::Disabled,
        Some(standing) if standing.generation != new.generation => SessionOpened::Outdated,
        Some(standing) if standing.totp_step.is_some_and(|used| new.step <= used) => {
            SessionOpened::CodeUsed
        }
        Some(_) => SessionOpened::Done,
    }
}

/// Whether a session may go on under a new token.
pub(crate) fn may_go_on(
    new: &NewSession,
    session: Option<(OperatorId, SessionLife)>,
    now: Timestamp,
) -> Option<SessionLife> {
    let (operator, life) = session?;
    let is_open = operator == new.operator && life.state(now) == SessionState::Open;
    is_open.then_some(SessionLife { last_seen_at: now, confirmed_at: now, ..life })
}

/// A session as it stands, and who it lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRow {
    /// Whose it is.
    pub operator: OperatorId,
    /// What they are trusted with.
    pub role: Role,
    /// Whether they are let in no more.
    pub is_disabled: bool,
    /// What happened to it when.
    pub life: SessionLife,
}

/// The columns of an operator, in the order in which both backends read them.
pub(crate) const COLUMNS: &str = "id, role, sealed_key, login, password, totp, totp_step,
    generation, created_at, created_by, disabled_at";

/// The columns of a session and of its operator, in the order in which both backends read them.
pub(crate) const SESSION: &str = "SELECT session.operator, role, disabled_at IS NOT NULL,
    session.created_at, last_seen_at, confirmed_at, ended_at
    FROM session JOIN operator ON operator.id = session.operator";

#[cfg(test)]
mod tests {
    use super::*;

    fn new(step: i64, generation: i64) -> NewSession {
        let operator = OperatorId::from_bytes([1; 16]);
        NewSession { token_hash: [2; 16], operator, generation, step, instead_of: None }
    }

    #[test]
    fn a_code_counts_once_and_none_before_it_does() {
        let standing = |totp_step| Standing { is_disabled: false, generation: 3, totp_step };
        let judge = |step, used| may_open(&new(step, 3), Some(&standing(used)));
        assert_eq!(judge(7, None), SessionOpened::Done);
        assert_eq!(judge(7, Some(6)), SessionOpened::Done);
        assert_eq!(judge(7, Some(7)), SessionOpened::CodeUsed);
        assert_eq!(judge(7, Some(8)), SessionOpened::CodeUsed);
    }

    #[test]
    fn nobody_is_let_in_who_is_disabled_or_was_changed() {
        let standing = Standing { is_disabled: true, generation: 3, totp_step: None };
        assert_eq!(may_open(&new(7, 3), Some(&standing)), SessionOpened::Disabled);
        let standing = Standing { is_disabled: false, ..standing };
        assert_eq!(may_open(&new(7, 2), Some(&standing)), SessionOpened::Outdated);
        assert_eq!(may_open(&new(7, 3), None), SessionOpened::NotFound);
    }

    #[test]
    fn a_session_goes_on_for_its_operator_as_long_as_it_is_open() {
        let at = Timestamp::from_millis;
        let life = SessionLife::begun(at(0));
        let mine = OperatorId::from_bytes([1; 16]);
        let goes_on = may_go_on(&new(1, 1), Some((mine, life)), at(60_000)).unwrap();
        let now = at(60_000);
        assert_eq!(goes_on, SessionLife { last_seen_at: now, confirmed_at: now, ..life });
        let other = OperatorId::from_bytes([9; 16]);
        assert_eq!(may_go_on(&new(1, 1), Some((other, life)), at(1)), None);
        let ended = SessionLife { ended_at: Some(at(1)), ..life };
        assert_eq!(may_go_on(&new(1, 1), Some((mine, ended)), at(1)), None);
        assert_eq!(may_go_on(&new(1, 1), Some((mine, life)), at(16 * 60_000)), None);
        assert_eq!(may_go_on(&new(1, 1), None, at(1)), None);
    }
}
