//! Operators and their sessions.

use model::limits::SESSIONS_KEPT_MS;
use model::{OperatorId, Timestamp};

use super::{Store, on, unexpected};
use crate::command::{Answer, Command};
use crate::{
    NewOperator, NewSession, Note, OperatorChange, OperatorChanged, OperatorRow, SessionOpened,
    SessionRow, StoreError,
};

impl Store {
    /// Adds an operator, unless somebody signs in by that name.
    pub async fn add_operator(
        &self,
        operator: NewOperator,
        note: Note,
    ) -> Result<OperatorChanged, StoreError> {
        self.operator_changed(Command::AddOperator { operator, note }).await
    }

    /// Changes something about an operator. Who is disabled or gets another password or seed has no
    /// session any more.
    pub async fn change_operator(
        &self,
        id: OperatorId,
        change: OperatorChange,
        note: Note,
    ) -> Result<OperatorChanged, StoreError> {
        let spares_last = false;
        self.operator_changed(Command::ChangeOperator { id, change, spares_last, note }).await
    }

    /// The same, unless it might lock out the last administrator who is enabled: one who cannot open
    /// the store could not undo it.
    pub async fn change_operator_but_the_last(
        &self,
        id: OperatorId,
        change: OperatorChange,
        note: Note,
    ) -> Result<OperatorChanged, StoreError> {
        let spares_last = true;
        self.operator_changed(Command::ChangeOperator { id, change, spares_last, note }).await
    }

    /// Opens a session, or lets one go on under a new token, for a code that no other was opened for.
    /// What is refused is in the audit log as well.
    pub async fn open_session(
        &self,
        session: NewSession,
        note: Note,
    ) -> Result<SessionOpened, StoreError> {
        match self.wait(Command::OpenSession { session, note }).await? {
            Answer::SessionOpened(opened) => Ok(opened),
            _ => Err(unexpected()),
        }
    }

    /// Notes when sessions were used last.
    pub async fn note_session_uses(
        &self,
        mut uses: Vec<([u8; 16], Timestamp)>,
    ) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        // In one order, so that of two gateways that write at once none waits for the other twice.
        uses.sort_unstable();
        self.done(Command::NoteSessionUses(uses)).await
    }

    /// Ends a session; says whether it had not ended before.
    pub async fn end_session(&self, token_hash: [u8; 16], note: Note) -> Result<bool, StoreError> {
        let ended = self.count(Command::EndSession { token_hash, note }).await?;
        Ok(ended > 0)
    }

    /// Ends every session of an operator; says how many had not ended before.
    pub async fn end_sessions(
        &self,
        operator: OperatorId,
        note: Note,
    ) -> Result<usize, StoreError> {
        self.count(Command::EndSessions { operator, note }).await
    }

    /// Deletes the sessions that were over a day ago, in slices between which others get their turn;
    /// says how many. A clock that is ahead costs no more than signing in again.
    pub(super) async fn forget_sessions(&self, now: Timestamp) -> Result<usize, StoreError> {
        let before = now.plus_millis(-SESSIONS_KEPT_MS);
        let mut all = 0;
        loop {
            match self.count(Command::ForgetSessions { before }).await? {
                0 => return Ok(all),
                forgotten => all += forgotten,
            }
        }
    }

    /// Every operator there ever was, in the order in which they were added.
    pub async fn operators(&self) -> Result<Vec<OperatorRow>, StoreError> {
        on!(self, backend => backend.operators().await)
    }

    /// Operators, in the order in which they were added: at most `limit` after a number, each with its own.
    pub async fn operators_page(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, OperatorRow)>, StoreError> {
        on!(self, backend => backend.operators_page(after, limit).await)
    }

    /// One operator.
    pub async fn operator(&self, id: OperatorId) -> Result<Option<OperatorRow>, StoreError> {
        on!(self, backend => backend.operator(id).await)
    }

    /// The operator who signs in as what this is the keyed hash of.
    pub async fn operator_by_login(
        &self,
        login_key: [u8; 16],
    ) -> Result<Option<OperatorRow>, StoreError> {
        on!(self, backend => backend.operator_by_login(login_key).await)
    }

    /// The session of a token, however it stands.
    pub async fn session(&self, token_hash: [u8; 16]) -> Result<Option<SessionRow>, StoreError> {
        on!(self, backend => backend.session(token_hash).await)
    }

    /// A number that grows with every change of any operator, and with every session that is ended.
    /// Cheap: every gateway asks for it several times a second. Read it before what it is about.
    pub async fn operators_version(&self) -> Result<i64, StoreError> {
        on!(self, backend => backend.operators_version().await)
    }

    async fn operator_changed(&self, command: Command) -> Result<OperatorChanged, StoreError> {
        match self.wait(command).await? {
            Answer::OperatorChanged(changed) => Ok(changed),
            _ => Err(unexpected()),
        }
    }
}
