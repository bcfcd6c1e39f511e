//! Operators added and changed, by whoever may open the store.

use std::fmt;

use model::operator::{Login, WeakPassword, check_password};
use model::{OperatorId, Role};
use store::{NewOperator, OperatorChange, OperatorChanged, OperatorRow};
use zeroize::Zeroizing;

use super::totp::Seed;
use super::{LOGIN, PASSWORD, TABLE, TOTP, login_key, login_of, passwords};
use crate::entropy;
use crate::keys::{Held, KeyError};
use crate::operations::{Desk, Order};

/// A new operator: what they sign in with is nowhere else.
pub struct Welcome {
    /// Who.
    pub id: OperatorId,
    /// Their first password.
    pub password: Zeroizing<String>,
    /// What their app makes codes from.
    pub seed: Seed,
}

/// Whether the last administrator who is enabled may be changed so that they might be locked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// They may: whoever asks may open the store, and so can make another.
    MayGo,
    /// They may not.
    Stays,
}

/// Why an operator cannot be added or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoOperator {
    /// The password is not good enough.
    Weak(WeakPassword),
    /// The store says why.
    Changed(OperatorChanged),
    /// There was no memory to hash the password.
    NoMemory,
}

impl NoOperator {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::Weak(WeakPassword::Short),
        Self::Weak(WeakPassword::Long),
        Self::Weak(WeakPassword::Login),
        Self::Weak(WeakPassword::Common),
        Self::Changed(OperatorChanged::LoginTaken),
        Self::Changed(OperatorChanged::AlreadySo),
        Self::Changed(OperatorChanged::NotFound),
        Self::Changed(OperatorChanged::LastAdministrator),
        Self::NoMemory,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Weak(weak) => weak.code(),
            Self::Changed(OperatorChanged::LoginTaken) => "login_taken",
            Self::Changed(OperatorChanged::AlreadySo | OperatorChanged::Done) => "already_so",
            Self::Changed(OperatorChanged::NotFound) => "not_found",
            Self::Changed(OperatorChanged::LastAdministrator) => "last_administrator",
            Self::NoMemory => "password_not_hashed",
        }
    }
}

impl fmt::Display for NoOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weak(weak) => weak.fmt(f),
            Self::Changed(OperatorChanged::LoginTaken) => f.write_str(
                "another operator signs in as that: choose another login, or enable that one",
            ),
            Self::Changed(OperatorChanged::AlreadySo | OperatorChanged::Done) => {
                f.write_str("it is so already: nothing was changed")
            }
            Self::Changed(OperatorChanged::NotFound) => {
                f.write_str("there is no such operator: see `operators list`")
            }
            Self::Changed(OperatorChanged::LastAdministrator) => {
                f.write_str("nobody else is an administrator who is enabled")
            }
            Self::NoMemory => {
                f.write_str("the password was not hashed: 19 MiB of memory are free?")
            }
        }
    }
}

impl std::error::Error for NoOperator {}

impl Desk {
    /// Adds an operator, with a random first password and seed.
    ///
    /// # Errors
    /// The store fails. Who cannot be added is answered, and nothing is made.
    pub async fn add_operator(
        &self,
        login: &Login,
        role: Role,
        order: Order,
    ) -> Result<Result<Welcome, NoOperator>, KeyError> {
        let (password, seed) = (passwords::random(), Seed::new(entropy::bytes()));
        let Some(phc) = hash(&password).await else { return Ok(Err(NoOperator::NoMemory)) };
        let id = OperatorId::new(order.at, entropy::bytes());
        let key = self.keys.operator(id, order.at).await?;
        let operator = NewOperator {
            id,
            login_key: login_key(&self.keys, login.as_str()),
            role,
            login: seal(&key, id, LOGIN, login.as_str().as_bytes()),
            password: seal(&key, id, PASSWORD, phc.as_bytes()),
            totp: seal(&key, id, TOTP, seed.as_bytes()),
        };
        let note = self.note(order).await?;
        Ok(match self.store.add_operator(operator, note).await? {
            OperatorChanged::Done => Ok(Welcome { id, password, seed }),
            changed => Err(NoOperator::Changed(changed)),
        })
    }

    /// The operator who signs in as that.
    ///
    /// # Errors
    /// The store fails.
    pub async fn operator_named(&self, login: &Login) -> Result<Option<OperatorRow>, KeyError> {
        let key = login_key(&self.keys, login.as_str());
        Ok(self.store.operator_by_login(key).await?)
    }

    /// What an operator signs in as.
    ///
    /// # Errors
    /// Its key is gone, or the record was changed.
    pub async fn login(&self, operator: &OperatorRow) -> Result<Login, KeyError> {
        login_of(&self.keys, operator).await
    }

    /// Changes an operator's role, or whether they are let in.
    ///
    /// # Errors
    /// The store fails.
    pub async fn change_operator(
        &self,
        id: OperatorId,
        change: OperatorChange,
        last: Last,
        order: Order,
    ) -> Result<Result<(), NoOperator>, KeyError> {
        let note = self.note(order).await?;
        let changed = match last {
            Last::MayGo => self.store.change_operator(id, change, note).await?,
            Last::Stays => self.store.change_operator_but_the_last(id, change, note).await?,
        };
        Ok(match changed {
            OperatorChanged::Done => Ok(()),
            changed => Err(NoOperator::Changed(changed)),
        })
    }

    /// Gives an operator another password. Their sessions end.
    ///
    /// # Errors
    /// The store fails. A password that is not good enough is answered, and nothing is changed.
    pub async fn set_password(
        &self,
        operator: &OperatorRow,
        password: &Zeroizing<String>,
        last: Last,
        order: Order,
    ) -> Result<Result<(), NoOperator>, KeyError> {
        if let Err(weak) = check_password(&self.login(operator).await?, password) {
            return Ok(Err(NoOperator::Weak(weak)));
        }
        let Some(phc) = hash(password).await else { return Ok(Err(NoOperator::NoMemory)) };
        let key = self.keys.operator(operator.id, order.at).await?;
        let sealed = seal(&key, operator.id, PASSWORD, phc.as_bytes());
        self.change_operator(operator.id, OperatorChange::Password(sealed), last, order).await
    }

    /// Gives an operator a random password, which is nowhere else. Their sessions end.
    ///
    /// # Errors
    /// The store fails.
    pub async fn reset_password(
        &self,
        operator: &OperatorRow,
        last: Last,
        order: Order,
    ) -> Result<Result<Zeroizing<String>, NoOperator>, KeyError> {
        let password = passwords::random();
        let set = self.set_password(operator, &password, last, order).await?;
        Ok(set.map(|()| password))
    }

    /// Gives an operator another seed. Their sessions end, and codes of the old one count no more.
    ///
    /// # Errors
    /// The store fails.
    pub async fn new_seed(
        &self,
        operator: &OperatorRow,
        last: Last,
        order: Order,
    ) -> Result<Result<Seed, NoOperator>, KeyError> {
        let seed = Seed::new(entropy::bytes());
        let key = self.keys.operator(operator.id, order.at).await?;
        let sealed = seal(&key, operator.id, TOTP, seed.as_bytes());
        let change = OperatorChange::Totp(sealed);
        let changed = self.change_operator(operator.id, change, last, order).await?;
        Ok(changed.map(|()| seed))
    }
}

fn seal(key: &Held, id: OperatorId, column: &str, value: &[u8]) -> store::SealedRow {
    key.seal(TABLE, column, id.as_bytes(), value)
}

/// The hash of a password, made where nothing waits for it.
async fn hash(password: &Zeroizing<String>) -> Option<Zeroizing<String>> {
    let password = password.clone();
    tokio::task::spawn_blocking(move || passwords::hash(&password)).await.ok()?
}
