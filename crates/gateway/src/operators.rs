//! Operators at the door: who signs in with password and code has a session, and whoever shows its
//! token is let in.
//!
//! Whoever cannot sign in hears the same, in bytes and in time: for a name that is not there, a wrong
//! password and a wrong code the same is looked up, opened, hashed, counted and written to the audit
//! log. Five failures in a quarter of an hour are enough, of one operator and of one address.
//!
//! A session counts at every gateway at once, and no longer a quarter of a second after it was ended
//! or its operator changed (`sessions.rs`). When the store does not answer nobody is let in.

mod failed;
mod manage;
mod nobody;
mod passwords;
mod refused;
mod sessions;
mod token;
mod totp;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use model::operator::Login;
use model::{OperatorId, Permission, RequestId, Role, Timestamp, limits};
use sabotage::Defect;
use store::{Action, Deed, NewSession, Note, OperatorRow, SessionOpened, Store};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::keys::{KeyError, KeyRing, Pepper};
use crate::operations::Order;
use crate::{entropy, personal};
use failed::{Attempt, Failed, TooMany, Who};
use nobody::{Candidate, Nobody};
use passwords::{Hasher, Turn};
use refused::{Why, not_hashed, unavailable};
use sessions::Sessions;

pub use manage::{Last, NoOperator, Welcome};
pub use refused::Refused;
pub use token::Token;
pub use totp::Seed;

/// Where the sealed values of an operator stand.
const TABLE: &str = "operator";
const LOGIN: &str = "login";
const PASSWORD: &str = "password";
const TOTP: &str = "totp";

/// Who an entry says tried, as long as nobody knows.
const NOBODY: &str = "nobody";

/// What somebody shows to sign in.
pub struct SignIn {
    /// As whom.
    pub login: String,
    /// The password.
    pub password: Zeroizing<String>,
    /// The code that the app shows now.
    pub code: Zeroizing<String>,
}

/// Where a request comes from. It goes to the audit log.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The request.
    pub request: RequestId,
    /// From which network address.
    pub address: IpAddr,
    /// With which user agent.
    pub agent: Option<String>,
    /// When.
    pub now: Timestamp,
}

impl Asking {
    fn order(&self, actor: String) -> Order {
        Order {
            actor,
            reason: String::new(),
            at: self.now,
            request: Some(self.request),
            address: Some(self.address),
            agent: self.agent.clone(),
        }
    }
}

/// Somebody who has signed in, or has confirmed it.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub operator: OperatorId,
    /// What the session goes by from now on. It is nowhere else: show it once.
    pub token: Token,
}

/// An operator whose session lets them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// Who.
    pub id: OperatorId,
    /// What they are trusted with.
    pub role: Role,
    /// Whether they have said a moment ago who they are, as what cannot be undone needs.
    pub confirmed: bool,
    /// When their session ends, however much it is used.
    pub ends_at: Timestamp,
    session: [u8; 16],
}

impl Operator {
    /// Whether they may do something.
    pub fn may(&self, permission: Permission) -> bool {
        self.role.may(permission)
    }
}

/// The operators that there are, and their sessions.
pub struct Operators {
    store: Store,
    ring: Arc<KeyRing>,
    pepper: Pepper,
    hasher: Hasher,
    failed: Failed,
    sessions: Sessions,
    nobody: Nobody,
}

impl Operators {
    /// Those of a store by itself, without a gateway: for what measures them.
    ///
    /// # Errors
    /// The store fails, or the root key is not the one it was made with.
    pub async fn of_store(
        store: Store,
        root: vault::RootKey,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let ring = KeyRing::open(root, store.clone(), now).await?;
        Self::open(store, Arc::new(ring), now).await
    }

    pub(crate) async fn open(
        store: Store,
        ring: Arc<KeyRing>,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let pepper = ring.pepper(now).await?;
        let opened = Self {
            pepper,
            hasher: Hasher::default(),
            failed: Failed::new(store.clone()),
            sessions: Sessions::new(store.clone()),
            nobody: Nobody::new(),
            store,
            ring,
        };
        opened.sessions.refresh().await?;
        Ok(opened)
    }

    /// Signs somebody in.
    ///
    /// # Errors
    /// They are not let in.
    pub async fn sign_in(&self, shown: SignIn, asking: &Asking) -> Result<SignedIn, Refused> {
        let login = login_key(&self.ring, &shown.login);
        let attempt = self.begin(Who::new(&self.ring, login, asking.address), asking).await?;
        let row = self.store.operator_by_login(login).await.map_err(unavailable)?;
        let candidate = self.candidate(row).await.map_err(unavailable)?;
        self.prove(candidate, shown.password, &shown.code, attempt, None, asking).await
    }

    /// Lets an operator say once more who they are. Their session goes on under a new token.
    ///
    /// # Errors
    /// They are not who they are.
    pub async fn confirm(
        &self,
        operator: &Operator,
        password: Zeroizing<String>,
        code: &str,
        asking: &Asking,
    ) -> Result<SignedIn, Refused> {
        let row = self.store.operator(operator.id).await.map_err(unavailable)?;
        let row = row.ok_or(Refused::Session)?;
        // Counted apart from sign-ins: strangers who know a login must not keep its operator, who is
        // signed in, from what only a confirmation allows.
        let who = Who::confirming(&self.ring, operator.id, asking.address);
        let attempt = self.begin(who, asking).await?;
        let candidate = self.candidate(Some(row)).await.map_err(unavailable)?;
        let session = Some(operator.session);
        let confirmed = self.prove(candidate, password, code, attempt, session, asking).await?;
        self.sessions.forget(operator.session);
        Ok(confirmed)
    }

    /// Ends an operator's session.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn sign_out(&self, operator: &Operator, asking: &Asking) -> Result<(), Refused> {
        let note = self.note(operator.id.to_string(), asking).await?;
        self.store.end_session(operator.session, note).await.map_err(unavailable)?;
        self.sessions.forget(operator.session);
        Ok(())
    }

    /// Lets in whoever shows the token of a session.
    ///
    /// # Errors
    /// It is none that lets anybody in. Whoever asks is to hear no more than that it is so.
    pub async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Operator, Refused> {
        let token = Token::parse(token).ok_or(Refused::Session)?;
        let session = self.pepper.of_token(token.as_bytes());
        let found = self.sessions.find(session, now).await.map_err(unavailable)?;
        let found = found.ok_or(Refused::Session)?;
        Ok(Operator {
            id: found.operator,
            role: found.role,
            confirmed: found.life.is_confirmed(now),
            ends_at: found.life.ends_at(),
            session,
        })
    }

    /// A turn to hash a password: it takes as much memory as one that is shown.
    pub(crate) async fn turn_to_hash(&self) -> Result<Turn<'_>, Refused> {
        self.hasher.turn().await.map_err(not_hashed)
    }

    async fn begin(&self, who: Who, asking: &Asking) -> Result<Attempt<'_>, Refused> {
        let begun = self.failed.begin(who, asking.now).await;
        begun.map_err(|TooMany { retry_after_ms }| Refused::Limited { retry_after_ms })
    }

    async fn candidate(&self, row: Option<OperatorRow>) -> Result<Candidate, KeyError> {
        let Some(row) = row else { return self.nobody.open() };
        let id = row.id.as_bytes();
        let phc = self.ring.open_row(TABLE, PASSWORD, id, &row.password).await?;
        let seed = self.ring.open_row(TABLE, TOTP, id, &row.totp).await?;
        Ok(Candidate { phc, seed, row: Some(row) })
    }

    /// Opens a session for whoever shows password and code of an operator.
    async fn prove(
        &self,
        candidate: Candidate,
        password: Zeroizing<String>,
        code: &str,
        attempt: Attempt<'_>,
        instead_of: Option<[u8; 16]>,
        asking: &Asking,
    ) -> Result<SignedIn, Refused> {
        let Candidate { row, phc, seed } = candidate;
        let is_right = if row.is_none() && sabotage::on(Defect::SignInLeaks) {
            false
        } else {
            self.hasher.is_right(password, phc).await.map_err(not_hashed)?
        };
        let seed = Seed::from_bytes(&seed).ok_or(Refused::Unavailable)?;
        let step = seed.step_of(code, asking.now);
        let why = match (&row, is_right, step) {
            (Some(row), true, Some(step)) => {
                let token = Token::new(entropy::bytes());
                let session = NewSession {
                    token_hash: self.pepper.of_token(token.as_bytes()),
                    operator: row.id,
                    generation: row.generation,
                    step,
                    instead_of,
                };
                let note = self.note(row.id.to_string(), asking).await?;
                let opened = self.store.open_session(session, note).await.map_err(unavailable)?;
                if opened == SessionOpened::Done {
                    return Ok(SignedIn { operator: row.id, token });
                }
                // The refusal is written down already.
                self.count(attempt, Some(row.id), opened.code(), asking).await;
                return Err(if opened == SessionOpened::Over {
                    Refused::Session
                } else {
                    Refused::SignIn
                });
            }
            (Some(_), true, None) => Why::WrongCode,
            (Some(_), false, _) => Why::WrongPassword,
            (None, ..) => Why::Unknown,
        };
        let operator = row.map(|row| row.id);
        let login = attempt.who.login;
        self.count(attempt, operator, why.code(), asking).await;
        self.write_refusal(operator, login, why, asking).await?;
        Err(Refused::SignIn)
    }

    /// Counts a failure, and warns when it was one too many.
    async fn count(
        &self,
        attempt: Attempt<'_>,
        operator: Option<OperatorId>,
        reason: &'static str,
        asking: &Asking,
    ) {
        for of in attempt.count(asking.now).await {
            let operator = operator.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
            let request = asking.request;
            tracing::warn!(
                code = "sign_ins_failing",
                of,
                operator,
                reason,
                %request,
                "too many sign-ins have failed: no more are looked at for a while"
            );
        }
    }

    async fn write_refusal(
        &self,
        operator: Option<OperatorId>,
        login: [u8; 16],
        why: Why,
        asking: &Asking,
    ) -> Result<(), Refused> {
        let resource = match operator {
            Some(id) => id.to_string(),
            None => format!("login:{:032x}", u128::from_be_bytes(login)),
        };
        let note = self.note(NOBODY.to_owned(), asking).await?;
        let changes = vec![("because", None, Some(why.code().to_owned()))];
        let deed = Deed { action: Action::SessionRefused, resource, refused: true, note, changes };
        self.store.audit(deed).await.map_err(unavailable)
    }

    async fn note(&self, actor: String, asking: &Asking) -> Result<Note, Refused> {
        personal::note(&self.ring, asking.order(actor)).await.map_err(unavailable)
    }

    /// Keeps sessions as the store has them, and writes when they were used, until it is to stop.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let every = |ms| {
            let mut tick = tokio::time::interval(Duration::from_millis(ms));
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tick
        };
        let mut poll = every(limits::OPERATORS_POLL_MS);
        let mut write = every(limits::SESSION_USES_MS);
        let mut is_blind = false;
        loop {
            tokio::select! {
                _ = poll.tick() => match self.sessions.refresh().await {
                    Ok(()) => is_blind = false,
                    Err(error) if !is_blind => {
                        is_blind = true;
                        let code = error.code();
                        tracing::error!(code, "cannot see whether sessions have ended");
                    }
                    Err(_) => {}
                },
                _ = write.tick() => self.write_uses().await,
                () = stop.cancelled() => break,
            }
        }
        self.write_uses().await;
    }

    async fn write_uses(&self) {
        if self.store.is_full() {
            return;
        }
        if let Err(error) = self.sessions.write_uses().await {
            tracing::error!(code = error.code(), "when sessions were used was not written");
        }
    }
}

/// What an operator is found by.
fn login_key(ring: &KeyRing, login: &str) -> [u8; 16] {
    ring.index("operator.login", &[login.as_bytes()])
}

/// What an operator signs in as.
async fn login_of(ring: &KeyRing, row: &OperatorRow) -> Result<Login, KeyError> {
    let bytes = ring.open_row(TABLE, LOGIN, row.id.as_bytes(), &row.login).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::NotAuthentic)?;
    text.parse().map_err(|_| KeyError::NotAuthentic)
}

#[cfg(test)]
mod tests;
