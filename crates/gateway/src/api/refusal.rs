//! Why a request to the API was not carried out, and what its sender is told.

use model::Permission;

/// On which routes a refusal can be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// On those that need a key.
    WithAKey,
    /// On those that change something.
    Changing,
    /// On those for operators.
    ByOperators,
    /// Where there is no route for what was asked.
    Nowhere,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $met:ident, $detail:literal;)*) => {
        /// Why a request to the API was not carried out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ApiRefusal { $($(#[$doc])* $variant,)* }

        impl ApiRefusal {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What it means, and what to do.
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$variant => $detail,)* }
            }

            pub(crate) const fn met(self) -> Met {
                match self { $(Self::$variant => Met::$met,)* }
            }
        }
    };
}

refusals! {
    /// There is no route with this path.
    RouteUnknown = "route_unknown", Nowhere,
        "No route has this path: see /v1/openapi.json.";
    /// The route does not know this method.
    MethodNotAllowed = "method_not_allowed", Nowhere,
        "The route has other methods: see Allow.";
    /// Nobody is known by what was presented, or not from here, or not any more.
    Unauthorized = "unauthorized", WithAKey,
        "Send `Authorization: Bearer` with an API key of this gateway that has not ended and may be used from your address.";
    /// The address failed to authenticate too often.
    FailedTooOften = "failed_too_often", WithAKey,
        "Your address presented keys or tokens that do not count too often: wait as long as Retry-After says. Good ones are still taken.";
    /// The key or its customer had its share.
    RateLimited = "rate_limited", WithAKey,
        "Too many requests: wait as long as Retry-After says.";
    /// The key lacks the permission that the route needs.
    PermissionMissing = "permission_missing", WithAKey,
        "The key, or the operator's role, lacks the permission named in `place`.";
    /// It is another's, or not there: a bound key is not told which.
    OutOfReach = "out_of_reach", WithAKey,
        "It is not within the reach of the key, whether it exists or not.";
    /// There is no such thing.
    NotFound = "not_found", WithAKey,
        "There is nothing with this id or name.";
    /// A parameter of the query is unknown, repeated or not what it must be.
    QueryInvalid = "query_invalid", WithAKey,
        "The parameter named in `place` is unknown, repeated, or not as /v1/openapi.json says.";
    /// The cursor was not made by this list for this key.
    CursorInvalid = "cursor_invalid", WithAKey,
        "Take `next` of the page before, unchanged, of the same list; or begin without a cursor.";
    /// The key of idempotency is absent.
    IdempotencyKeyMissing = "idempotency_key_missing", Changing,
        "Send `Idempotency-Key` with a value of your own, such as a random UUID: new for each thing that you want done, the same when you ask for it again.";
    /// The key of idempotency is not one.
    IdempotencyKeyInvalid = "idempotency_key_invalid", Changing,
        "An `Idempotency-Key` is 1 to 255 visible ASCII characters, sent once.";
    /// The key of idempotency came before with another request.
    IdempotencyKeyReused = "idempotency_key_reused", Changing,
        "This `Idempotency-Key` came before with another request: take a new one.";
    /// The first request with this key of idempotency is under way.
    RequestRunning = "request_running", Changing,
        "The first request with this `Idempotency-Key` is under way: send it again in a moment.";
    /// The body is in another format.
    ContentType = "content_type", Changing,
        "Send the body as `Content-Type: application/json`.";
    /// The body is compressed.
    ContentEncoding = "content_encoding", Changing,
        "Send the body without `Content-Encoding`.";
    /// The body is too long.
    BodyTooLarge = "body_too_large", Changing,
        "The body is longer than 16 KiB.";
    /// The body came too slowly.
    BodyTooSlow = "body_too_slow", Changing,
        "The body came too slowly: send it again.";
    /// The body ended early.
    BodyIncomplete = "body_incomplete", Changing,
        "The body ended before its length: send it again.";
    /// The body is not JSON.
    BodyMalformed = "body_malformed", Changing,
        "The body is not JSON: `place` says where it ceases to be.";
    /// A member of the body is unknown, repeated or not what it must be.
    BodyInvalid = "body_invalid", Changing,
        "The member named in `place` is unknown, repeated, missing, or not as /v1/openapi.json says.";
    /// The event is not held.
    NotHeld = "not_held", Changing,
        "Only held events are decided on; `place` says what it is.";
    /// The body of the event was deleted by retention.
    BodyGone = "body_gone", Changing,
        "The body of the event was deleted by retention, so there is nothing to deliver: ask the provider to send it again.";
    /// Every endpoint of the source takes original bytes, which are not kept.
    RedactedOriginalOnly = "redacted_original_only", Changing,
        "Every endpoint of the source takes the original bytes, which are not kept of this event: give the source an endpoint with format = \"event\".";
    /// Members of an order are not what they must be.
    OrderInvalid = "order_invalid", Changing,
        "The order is not as it must be: `place` lists every fault, each as `member: code`.";
    /// There is an order with this reference.
    ReferenceTaken = "reference_taken", Changing,
        "There is an order with this reference already: ask GET /v1/orders?reference= for it, or take another.";
    /// The address is another order's.
    AddressTaken = "address_taken", Changing,
        "The address is another order's, whose payments are still looked for: give each order an address of its own.";
    /// The source has no secrets for receipts.
    NoReceipts = "no_receipts", Changing,
        "The source has no `receipt_secrets`, so nothing says whose receipts are good: add those that its provider signs receipts with.";
    /// A party of the order is blocked.
    PartyBlocked = "party_blocked", Changing,
        "No order is created for the party named in `place`: it is blocked. An operator can lift the block.";
    /// The customer had their share of orders.
    OrdersLimited = "orders_limited", Changing,
        "Too many orders were created for this customer: wait as long as Retry-After says.";
    /// The order would break a limit on what one party may order.
    OrderLimitReached = "order_limit_reached", Changing,
        "The order would break the limit in `place`. If Retry-After is there, it will not any more after that, unless others come.";
    /// The delivery is on its way already.
    DeliveryPending = "delivery_pending", Changing,
        "The delivery is on its way already: wait until it is delivered or dead.";
    /// The audit entry could not be written, so nothing was done.
    AuditUnavailable = "audit_unavailable", Changing,
        "What leaves no audit entry is not done: send it again, with the same `Idempotency-Key`, after as long as Retry-After says.";
    /// The key has a successor.
    AlreadyRolled = "already_rolled", ByOperators,
        "The key has a successor already: roll that one.";
    /// The key was revoked.
    AlreadyRevoked = "already_revoked", ByOperators,
        "The key is revoked already.";
    /// It is so already.
    AlreadySo = "already_so", ByOperators,
        "It is so already: nothing was changed.";
    /// The party is blocked as long already.
    AlreadyBlocked = "already_blocked", ByOperators,
        "The party is blocked at least as long already, by the block named in `place`: lift that one to change its end.";
    /// The block is over.
    AlreadyOver = "already_over", ByOperators,
        "The block is over already: it was lifted, or its time is over.";
    /// Somebody signs in as that, or did.
    LoginTaken = "login_taken", ByOperators,
        "Somebody signs in as that, or did: choose another login, or enable that operator.";
    /// Nobody else is an administrator who is enabled.
    LastAdministrator = "last_administrator", ByOperators,
        "Nobody else is an administrator who is enabled, and this might lock them out: add or enable another first, or do it on the host with `countersign operators`.";
    /// The password is not good enough.
    PasswordWeak = "password_weak", ByOperators,
        "The password is not good enough: `place` says why. Length counts.";
    /// What stands in the header is no approval.
    ApprovalMalformed = "approval_malformed", ByOperators,
        "`Countersign-Approval` is the id of one approval, sent once: take it from the answer to the first request.";
    /// Too many requests of the same operator wait for a second person.
    ApprovalsMany = "approvals_many", ByOperators,
        "Too many of your requests wait for a second person: let them be decided on, or wait a quarter of an hour.";
    /// Nobody has decided yet.
    ApprovalWaits = "approval_waits", ByOperators,
        "Nobody has approved it yet: another operator does at /admin/v1/approvals.";
    /// Nobody decides on what they asked for themselves.
    ApprovalOwn = "approval_own", ByOperators,
        "You asked for it yourself: another operator must decide.";
    /// Somebody else asked for it.
    ApprovalNotYours = "approval_not_yours", ByOperators,
        "Another operator asked for this approval: only they can use it.";
    /// It is about another request.
    ApprovalOtherRequest = "approval_other_request", ByOperators,
        "The approval is of another request: send the very same one again, or ask for another approval.";
    /// Its time is over.
    ApprovalExpired = "approval_expired", ByOperators,
        "An approval counts for a quarter of an hour from when it was asked for: ask for another one.";
    /// It was refused.
    ApprovalRefused = "approval_refused", ByOperators,
        "Another operator has refused it.";
    /// It was approved already.
    ApprovalGiven = "approval_given", ByOperators,
        "It is approved already.";
    /// It was used already.
    ApprovalUsed = "approval_used", ByOperators,
        "An approval counts once, and this one was used: ask for another one.";
    /// One of the two operators is disabled, or may not do it any more.
    ApprovalVoid = "approval_void", ByOperators,
        "One of the two operators, named in `place`, is disabled or may not do it any more: ask for another approval.";
    /// There is no session, or it is over.
    NotSignedIn = "not_signed_in", ByOperators,
        "Sign in at /admin/v1/sign-in, and send `Authorization: Bearer` with the token, or the cookie.";
    /// Login, password and code do not belong together.
    SignInRefused = "sign_in_refused", ByOperators,
        "Login, password and code do not belong together, or the code was used before: try again with the next code.";
    /// Too many sign-ins have failed.
    SignInsLimited = "sign_ins_limited", ByOperators,
        "Too many sign-ins have failed: wait as long as Retry-After says.";
    /// Too many sign in at this moment.
    SignInsBusy = "sign_ins_busy", ByOperators,
        "Too many sign in at this moment: try again after as long as Retry-After says.";
    /// The operator has not said lately who they are.
    ConfirmationNeeded = "confirmation_needed", ByOperators,
        "This needs an operator who has said within five minutes who they are: ask /admin/v1/confirm first.";
    /// The cookie came without the header.
    CsrfHeaderMissing = "csrf_header_missing", ByOperators,
        "Send `X-Countersign-Csrf: 1` with the cookie.";
    /// It cannot be done now.
    TryAgain = "try_again", WithAKey,
        "It cannot be done now: send it again, with the same `Idempotency-Key`, after as long as Retry-After says.";
    /// A fault of ours.
    Internal = "internal", WithAKey,
        "A fault of the gateway: its log tells of it under the id in `request`.";
}

/// A refusal, and what its sender is told beyond its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) refusal: ApiRefusal,
    /// What of the request it is about.
    pub(crate) place: Option<String>,
    /// How long to wait, milliseconds.
    pub(crate) retry_after_ms: Option<i64>,
    /// What failed here, for the log alone.
    pub(crate) fault: Option<String>,
}

impl Problem {
    /// With the place that it is about.
    pub(crate) fn at(refusal: ApiRefusal, place: impl Into<String>) -> Self {
        Self { place: Some(place.into()), ..refusal.into() }
    }

    pub(crate) fn lacks(permission: Permission) -> Self {
        Self::at(ApiRefusal::PermissionMissing, permission.code())
    }

    /// Of what failed here.
    pub(crate) fn failed(refusal: ApiRefusal, fault: impl ToString) -> Self {
        Self { fault: Some(fault.to_string()), ..refusal.into() }
    }

    pub(crate) fn wait(refusal: ApiRefusal, retry_after_ms: i64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..refusal.into() }
    }
}

impl From<ApiRefusal> for Problem {
    fn from(refusal: ApiRefusal) -> Self {
        Self { refusal, place: None, retry_after_ms: None, fault: None }
    }
}
