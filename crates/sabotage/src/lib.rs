//! Planted defects: a suite that never fails proves nothing, so each of these must make it fail.
//!
//! A place that must be right asks [`on`] whether it is to be wrong. Without the feature `planted`
//! the answer is a constant `false`, and the compiler removes the question. With it, the variable
//! `COUNTERSIGN_SABOTAGE` names the one defect that a process has. `docs/testing.md` names the test
//! that catches each; `tests/caught.rs` runs them.
//!
//! A failure is planted in the same way: [`fails`] asks whether the process is to fail here and now.

#[cfg(all(feature = "planted", not(debug_assertions)))]
compile_error!("the feature `planted` plants defects for the tests and must not be released");

/// Whether this build writes no audit log: to measure what it costs, and for nothing else.
pub const UNAUDITED: bool = cfg!(feature = "unaudited");

/// Makes the enum, its codes and its list from one table.
macro_rules! coded {
    ($(#[$all:meta])* $enum:ident: $($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        $(#[$all])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $enum {
            $($(#[$doc])* $name,)*
        }

        impl $enum {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code, by which a variable of the environment names it.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

mod failpoint;

pub use failpoint::{Point, aims_at, fails};

coded! {
    /// What can be made wrong on purpose.
    Defect:
    /// Only the first eight bytes of a signature are compared.
    MacPrefix = "mac-prefix",
    /// A signature may be as short as its sender likes.
    MacAnyLength = "mac-any-length",
    /// A signature that is old is taken.
    OldAccepted = "old-accepted",
    /// A signature from the future is taken.
    FutureAccepted = "future-accepted",
    /// An empty secret is a secret.
    EmptySecret = "empty-secret",
    /// Only the first of several signatures is looked at.
    FirstSignatureOnly = "first-signature-only",
    /// Of a repeated header the first line counts.
    RepeatedHeader = "repeated-header",
    /// A length beside a transfer coding is let in.
    LengthBesideCoding = "length-beside-coding",
    /// Of a repeated JSON name the last value counts.
    DuplicateKeys = "duplicate-keys",
    /// Amounts are read as binary floating point.
    AmountByFloat = "amount-by-float",
    /// The row is no part of what a record is bound to.
    RowNotBound = "row-not-bound",
    /// Every record has the same salt.
    OneSalt = "one-salt",
    /// The key commitment is not looked at.
    CommitmentIgnored = "commitment-ignored",
    /// Whatever root a checkpoint has, the entries before it fit.
    RootIgnored = "root-ignored",
    /// A log that was rolled back or rewritten is signed on.
    RollBackSigned = "roll-back-signed",
    /// Who seals the log need not know how long it is.
    ForkSigned = "fork-signed",
    /// What only a person may release passes by itself.
    HeldPasses = "held-passes",
    /// An equal number of another currency pays an order.
    CurrencyIgnored = "currency-ignored",
    /// Jitter is taken from the wait instead of added.
    JitterNegative = "jitter-negative",
    /// A step of the retry schedule is left out.
    RetryStepSkipped = "retry-step-skipped",
    /// SQLite does not sync its log at a commit.
    SynchronousNormal = "synchronous-normal",
    /// A batch of several commands is answered and then rolled back.
    BatchDropped = "batch-dropped",
    /// Nothing is a duplicate.
    NoDedup = "no-dedup",
    /// The source is no part of the dedup key.
    DedupAcrossSources = "dedup-across-sources",
    /// An event that comes again and says something else passes as new.
    ConflictPasses = "conflict-passes",
    /// Whoever held a lease once may settle.
    FenceIgnored = "fence-ignored",
    /// The leases of a process that crashed do not end.
    LeasesKept = "leases-kept",
    /// Deliveries of one order do not wait for each other.
    OrderIgnored = "order-ignored",
    /// An event is kept although its audit entry is not.
    AuditOptional = "audit-optional",
    /// A failed fsync is an error like any other.
    FsyncErrorIgnored = "fsync-error-ignored",
    /// The webhook is acknowledged before it is durable.
    AckBeforeCommit = "ack-before-commit",
    /// Test money passes at a live gateway.
    TestPassesLive = "test-passes-live",
    /// Cards and secrets of a payload are kept and delivered.
    CardKept = "card-kept",
    /// `X-Forwarded-For` is believed whoever sends it.
    ForwardedBelieved = "forwarded-believed",
    /// A live gateway takes plain HTTP.
    PlainHttpTaken = "plain-http-taken",
    /// `X-Forwarded-Proto` is believed whoever sends it.
    SchemeBelieved = "scheme-believed",
    /// Anybody may begin with a PROXY header.
    ProxyHeaderOfAnybody = "proxy-header-of-anybody",
    /// Clients of the admin listener need no certificate.
    ClientCertificateIgnored = "client-certificate-ignored",
    /// Whoever signs in with a name that is not there is answered without hashing.
    SignInLeaks = "sign-in-leaks",
    /// Whoever asks for an approval may give it themselves.
    ApprovalOwn = "approval-own",
    /// An approval counts as often as somebody comes with it.
    ApprovalTwice = "approval-twice",
    /// An approval counts for any request.
    ApprovalOfAnything = "approval-of-anything",
    /// The last administrator who is enabled can be locked out.
    LastAdministratorGone = "last-administrator-gone",
    /// Private addresses are dialled.
    PrivateDialled = "private-dialled",
    /// An IPv6 address is not looked at for the IPv4 address that it carries.
    CarriedAddress = "carried-address",
    /// A key reaches whatever there is.
    ReachIgnored = "reach-ignored",
    /// A key may do whatever there is to do.
    PermissionIgnored = "permission-ignored",
    /// A request that came before with its key of idempotency is done again.
    AnswerNotReplayed = "answer-not-replayed",
    /// An unknown source is told so.
    UnknownSourceTold = "unknown-source-told",
    /// Each attempt has its own `webhook-id`.
    FreshWebhookId = "fresh-webhook-id",
    /// A redirect counts as delivered.
    RedirectDelivers = "redirect-delivers",
    /// An API key that was revoked lets in.
    RevokedKeyWorks = "revoked-key-works",
    /// A block of a chain is known by its height alone.
    BlockByHeight = "block-by-height",
    /// Each payment needs the confirmations of its own value, whatever else the order got.
    TierOfOnePayment = "tier-of-one-payment",
    /// What the first of several nodes says is believed.
    FirstNodeBelieved = "first-node-believed",
    /// Whatever is paid, an event that says so passes.
    UnderpaidPasses = "underpaid-passes",
    /// More may be paid back than was paid.
    RefundUnbounded = "refund-unbounded",
    /// What a provider says of a watched order counts.
    HintBelieved = "hint-believed",
    /// Events of a blocked party pass.
    BlockedPasses = "blocked-passes",
    /// Nothing is too much for a limit of orders.
    LimitIgnored = "limit-ignored",
    /// An event passes although its provider says something else.
    DifferenceIgnored = "difference-ignored",
    /// What a person releases is delivered and does not count.
    ReleaseUncounted = "release-uncounted",
    /// A transaction answers as many requests as somebody likes.
    ReceiptReused = "receipt-reused",
    /// Payments of a block that is no longer in the chain count on.
    LostBlockCounts = "lost-block-counts",
    /// What was read of a chain is kept, whoever has read on meanwhile.
    ChainRevisionIgnored = "chain-revision-ignored",
    /// Over a connection to a node, whatever comes next is the reply.
    AnyReplyTaken = "any-reply-taken",
    /// An API key may be used from anywhere, whatever networks it is bound to.
    KeyAddressIgnored = "key-address-ignored",
}

/// Whether this process is to have the defect.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn on(_defect: Defect) -> bool {
    false
}

/// Whether this process is to have the defect.
///
/// # Panics
/// When the variable names none: a misspelt defect would make its test pass for nothing.
#[cfg(feature = "planted")]
pub fn on(defect: Defect) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<Defect>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let code = std::env::var_os("COUNTERSIGN_SABOTAGE")?;
        let found = Defect::ALL.iter().find(|defect| code == defect.code());
        assert!(found.is_some(), "COUNTERSIGN_SABOTAGE names no defect");
        found.copied()
    });
    *chosen == Some(defect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defect_and_every_failpoint_has_a_code_of_its_own() {
        let defects = Defect::ALL.iter().map(|defect| defect.code());
        let mut codes: Vec<&str> =
            defects.chain(Point::ALL.iter().map(|point| point.code())).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Defect::ALL.len() + Point::ALL.len());
    }

    #[cfg(not(feature = "planted"))]
    #[test]
    fn without_the_feature_nothing_is_wrong() {
        const NONE: bool = on(Defect::AckBeforeCommit);
        assert!(Defect::ALL.iter().all(|defect| !on(*defect)) && !NONE);
    }
}
