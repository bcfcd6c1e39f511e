//! The keys that seal what rests: a bounded cache over the wrapped keys in the store.
//!
//! One key a source and day (a *bucket*), one or more a person (a *subject*), and one of the
//! system's own for blind indexes. The root wraps them; it is never used on a record itself. New
//! subject keys travel with the first record that needs them, so no acknowledgement waits for a
//! second commit.

use std::sync::Arc;

use audit::SigningKey;
use model::OperatorId;
use model::Timestamp;
use model::api_key::ApiKey;
use moka::sync::Cache;
use store::{KeyKind, NewKey, SealedRow, Store, StoreError, StoredKey};
use vault::{DataKey, IndexKey, KeyId, Owner, Place, RootKey, Sealed};
use zeroize::Zeroizing;

use crate::entropy;

/// A key of the gateway's own. It is found before there is an index, so its owner is a constant.
struct SystemKey {
    name: &'static str,
    owner: [u8; 16],
}

const INDEX_KEY: SystemKey = SystemKey { name: "blind-index", owner: *b"blind-index-v1\0\0" };
const PEPPER: SystemKey = SystemKey { name: "api-key-pepper", owner: *b"api-key-pepperv1" };
const AUDIT_KEY: SystemKey = SystemKey { name: "audit-signing", owner: *b"audit-signing-v1" };

/// Why a key or a sealed value cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root key is not the one this store was made with.
    #[error(
        "wrong_root_key: [vault] key does not open this store; use the key it was created with"
    )]
    WrongRoot,
    /// The key of a record is gone.
    #[error("key_missing: the key of this record does not exist any more")]
    Missing,
    /// A configured secret makes no key.
    #[error(
        "bad_secret: a configured secret does not fit its source or endpoint; see countersign check"
    )]
    BadSecret,
    /// The audit log's origin is no name of a key.
    #[error(
        "bad_audit_origin: [audit] origin is 1 to 256 bytes without spaces, control characters and plus"
    )]
    BadOrigin,
    /// The record does not open: it was changed or moved.
    #[error("not_authentic: the record was changed behind the gateway's back")]
    NotAuthentic,
}

/// A data key, whose it is, and the row to store if it is new.
#[derive(Clone)]
pub(crate) struct Held {
    key: Arc<DataKey>,
    subject: [u8; 16],
    new: Option<Arc<NewKey>>,
}

impl Held {
    /// The row that must be stored with the first record sealed under this key.
    pub(crate) fn to_store(&self) -> Option<NewKey> {
        self.new.as_deref().cloned()
    }

    /// Seals a value for the place where it will live.
    pub(crate) fn seal(
        &self,
        table: &str,
        column: &str,
        row: &[u8],
        plaintext: &[u8],
    ) -> SealedRow {
        let place = Place { table, column, row, subject: &self.subject };
        let sealed = vault::seal(&self.key, entropy::bytes(), place, plaintext);
        SealedRow { key: self.key.id(), sealed }
    }

    /// A key that is kept nowhere, for values of nobody: opening them takes as long as any other.
    pub(crate) fn of_nobody() -> Self {
        let key = DataKey::new(KeyId(entropy::bytes()), entropy::bytes());
        Self { key: Arc::new(key), subject: entropy::bytes(), new: None }
    }

    pub(crate) fn open(
        &self,
        table: &str,
        column: &str,
        row: &[u8],
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let place = Place { table, column, row, subject: &self.subject };
        vault::open(&self.key, place, sealed).map_err(|_| KeyError::NotAuthentic)
    }
}

/// The keys in use.
pub(crate) struct KeyRing {
    root: RootKey,
    store: Store,
    index: IndexKey,
    by_owner: Cache<[u8; 16], Held>,
    by_id: Cache<[u8; 16], Held>,
}

impl KeyRing {
    /// Opens the ring: finds or makes the index key, which also proves that the root is right.
    pub(crate) async fn open(
        root: RootKey,
        store: Store,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let key = system_key(&root, &store, &INDEX_KEY, now).await?;
        let cached = model::limits::KEYS_CACHED_MAX;
        Ok(Self {
            root,
            store,
            index: IndexKey::new(&key),
            by_owner: Cache::new(cached),
            by_id: Cache::new(cached),
        })
    }

    /// What signs the audit log; made with the first checkpoint. Without an origin the log is
    /// called after its key.
    pub(crate) async fn audit_key(
        &self,
        origin: Option<&str>,
        now: Timestamp,
    ) -> Result<SigningKey, KeyError> {
        let key = system_key(&self.root, &self.store, &AUDIT_KEY, now).await?;
        let own = || {
            let [a, b, c, d, ..] = key.id().0;
            format!("countersign/{a:02x}{b:02x}{c:02x}{d:02x}")
        };
        let name = origin.map_or_else(own, str::to_owned);
        SigningKey::from_seed(&name, &vault::signing_seed(&key)).map_err(|_| KeyError::BadOrigin)
    }

    /// A keyed hash of parts, for lookups of what rests sealed.
    pub(crate) fn index(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 16] {
        self.index.index(purpose, parts)
    }

    /// The key of the hashes of API keys' secrets and of sessions' tokens; made when it is first asked for.
    pub(crate) async fn pepper(&self, now: Timestamp) -> Result<Pepper, KeyError> {
        let key = system_key(&self.root, &self.store, &PEPPER, now).await?;
        Ok(Pepper(IndexKey::new(&key)))
    }

    /// The key of a source's day. It is stored before it is used.
    pub(crate) async fn bucket(&self, source: &str, now: Timestamp) -> Result<Held, KeyError> {
        let owner = self.index("key.bucket", &[source.as_bytes(), &now.day().to_be_bytes()]);
        self.kept(KeyKind::Bucket, owner, now).await
    }

    /// The key of an operator, who is a person. It is stored before it is used.
    pub(crate) async fn operator(&self, id: OperatorId, now: Timestamp) -> Result<Held, KeyError> {
        let owner = self.index("key.operator", &[id.as_bytes()]);
        self.kept(KeyKind::Subject, owner, now).await
    }

    async fn kept(&self, kind: KeyKind, owner: [u8; 16], now: Timestamp) -> Result<Held, KeyError> {
        if let Some(held) = self.by_owner.get(&owner) {
            return Ok(held);
        }
        let stored = match self.store.data_keys(kind, owner).await? {
            Some(stored) => stored,
            None => {
                let (new, _) = self.make(kind, owner, now);
                self.store.add_key(new).await?
            }
        };
        let held = self.unwrap(&stored)?;
        self.by_owner.insert(owner, held.clone());
        Ok(held)
    }

    /// The keyed hash under which the store knows a person.
    pub(crate) fn customer(&self, provider: &str, customer: &str) -> [u8; 16] {
        self.index("key.subject", &[provider.as_bytes(), customer.as_bytes()])
    }

    /// The key of a person. A new one is not cached until [`KeyRing::stored`] says that it is kept.
    pub(crate) async fn subject(
        &self,
        provider: &str,
        customer: &str,
        now: Timestamp,
    ) -> Result<Held, KeyError> {
        let owner = self.customer(provider, customer);
        if let Some(held) = self.by_owner.get(&owner) {
            return Ok(held);
        }
        if let Some(stored) = self.store.data_keys(KeyKind::Subject, owner).await? {
            let held = self.unwrap(&stored)?;
            self.by_owner.insert(owner, held.clone());
            return Ok(held);
        }
        let (new, key) = self.make(KeyKind::Subject, owner, now);
        Ok(Held { key: Arc::new(key), subject: owner, new: Some(Arc::new(new)) })
    }

    /// The record that carried this key is durable, so it may be used again.
    pub(crate) fn stored(&self, held: &Held) {
        if held.new.is_some() {
            let kept = Held { new: None, ..held.clone() };
            self.by_id.insert(kept.key.id().0, kept.clone());
            self.by_owner.insert(kept.subject, kept);
        }
    }

    /// Opens a sealed value from the place where it lives.
    pub(crate) async fn open_row(
        &self,
        table: &str,
        column: &str,
        row: &[u8],
        sealed: &SealedRow,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.by_id(sealed.key).await?.open(table, column, row, &sealed.sealed)
    }

    /// The key that something was sealed under.
    pub(crate) async fn of_row(&self, sealed: &SealedRow) -> Result<Held, KeyError> {
        self.by_id(sealed.key).await
    }

    async fn by_id(&self, id: KeyId) -> Result<Held, KeyError> {
        if let Some(held) = self.by_id.get(&id.0) {
            return Ok(held);
        }
        let stored = self.store.data_key(id).await?.ok_or(KeyError::Missing)?;
        let held = self.unwrap(&stored)?;
        self.by_id.insert(id.0, held.clone());
        Ok(held)
    }

    fn unwrap(&self, stored: &StoredKey) -> Result<Held, KeyError> {
        let owner = owner_of(stored.kind, &stored.owner);
        let key = vault::unwrap(&self.root, &stored.wrapped, stored.id, owner)
            .map_err(|_| KeyError::WrongRoot)?;
        Ok(Held { key: Arc::new(key), subject: stored.owner, new: None })
    }

    fn make(&self, kind: KeyKind, owner: [u8; 16], now: Timestamp) -> (NewKey, DataKey) {
        let key = DataKey::new(KeyId(entropy::bytes()), entropy::bytes());
        let wrapped = vault::wrap(&self.root, &key, owner_of(kind, &owner), entropy::bytes());
        (NewKey { id: key.id(), kind, owner, wrapped, created_at: now }, key)
    }
}

/// What secrets and tokens are hashed with: whoever has the store alone can try none of them.
pub(crate) struct Pepper(IndexKey);

impl Pepper {
    /// The hash of a key's secret, which is that key's alone: of no other id and environment.
    pub(crate) fn hash(&self, key: &ApiKey) -> [u8; 16] {
        let environment = key.environment.code().as_bytes();
        let secret = key.secret.as_bytes();
        self.0.index("api_key.secret", &[environment, key.id.as_bytes(), secret])
    }

    /// The hash of a session's token.
    pub(crate) fn of_token(&self, token: &[u8; 32]) -> [u8; 16] {
        self.0.index("session.token", &[token])
    }
}

fn owner_of(kind: KeyKind, owner: &[u8; 16]) -> Owner<'_> {
    match kind {
        KeyKind::Subject => Owner::Subject(owner),
        KeyKind::Bucket => Owner::Bucket(owner),
        // These are unwrapped by their names, and nothing is sealed under them.
        KeyKind::System => Owner::System(""),
    }
}

/// Finds or makes a key of the gateway's own.
async fn system_key(
    root: &RootKey,
    store: &Store,
    named: &SystemKey,
    now: Timestamp,
) -> Result<DataKey, KeyError> {
    let name = Owner::System(named.name);
    let stored = match store.data_keys(KeyKind::System, named.owner).await? {
        Some(stored) => stored,
        None => {
            let key = DataKey::new(KeyId(entropy::bytes()), entropy::bytes());
            let wrapped = vault::wrap(root, &key, name, entropy::bytes());
            let (id, kind, owner) = (key.id(), KeyKind::System, named.owner);
            store.add_key(NewKey { id, kind, owner, wrapped, created_at: now }).await?
        }
    };
    vault::unwrap(root, &stored.wrapped, stored.id, Owner::System(named.name))
        .map_err(|_| KeyError::WrongRoot)
}
