//! Every bound of the gateway in one place. Units last in names.

/// Bytes of a webhook's body, unless the source says otherwise.
pub const BODY_BYTES_DEFAULT: usize = 1024 * 1024;
/// Bytes of a webhook's body that a source may allow at most.
pub const BODY_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Bytes of a request's line and headers.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a request's method.
pub const METHOD_BYTES_MAX: usize = 16;
/// Bytes of a request's target: path and query, and the authority where it has one.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// Header lines of a request.
pub const HEADERS_MAX: usize = 64;
/// From the accepted connection to the end of the TLS handshake, a PROXY header included.
pub const GREETING_MS_MAX: u64 = 10_000;
/// Bytes of a PROXY header with all its extensions.
pub const PROXY_HEADER_BYTES_MAX: usize = 2048;
/// How often the files of a certificate are looked at; a change is shown after two looks.
pub const CERTIFICATE_POLL_MS: u64 = 2_000;
/// From the first byte to the end of the headers; also how long a kept connection may idle.
pub const HEADER_MS_MAX: u64 = 10_000;
/// From the end of the headers to the end of the body.
pub const BODY_MS_MAX: u64 = 30_000;
/// Bytes a second that a body must keep up, after the first second.
pub const BODY_BYTES_PER_SECOND_MIN: u64 = 1024;
/// Bytes that are still read of a request that was refused, so that the answer arrives.
pub const LINGER_BYTES_MAX: usize = 64 * 1024;
/// A write of an answer that makes no progress.
pub const WRITE_STALL_MS_MAX: u64 = 15_000;
/// Open connections of the public listener.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Connections that wait to be accepted; the kernel may allow fewer. A sender that finds no place is
/// not refused but waits for seconds, so a crowd that comes at once must fit.
pub const BACKLOG_MAX: u32 = 4096;
/// Open connections of the public listener from one address.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 256;
/// Addresses, keys or customers that one limit remembers before it forgets the quietest.
pub const LIMITED_TRACKED_MAX: usize = 65_536;
/// Failed signatures of one address in [`FAILED_SIGNATURES_PERIOD_MS`].
pub const FAILED_SIGNATURES_MAX: u32 = 10;
/// Certificates of providers that are kept.
pub const CERTIFICATES_KEPT_MAX: usize = 64;
/// How long one is kept at most, whatever its own end is.
pub const CERTIFICATE_KEPT_MS_MAX: i64 = 24 * 3_600_000;
/// How long one that could not be fetched is not asked for again.
pub const CERTIFICATE_FAILED_MS: i64 = 10_000;
/// How long fetching one may take.
pub const CERTIFICATE_FETCH_MS_MAX: u64 = 5_000;
/// How many are fetched at once.
pub const CERTIFICATE_FETCHES_AT_ONCE_MAX: usize = 4;
/// How many the requests of one address may cause to be fetched, in a period.
pub const CERTIFICATE_FETCHES_MAX: u32 = 10;
/// That period.
pub const CERTIFICATE_FETCHES_PERIOD_MS: i64 = 60_000;
/// See [`FAILED_SIGNATURES_MAX`].
pub const FAILED_SIGNATURES_PERIOD_MS: i64 = 60_000;
/// Failed authentications of one address at the API in [`FAILED_KEYS_PERIOD_MS`].
pub const FAILED_KEYS_MAX: u32 = 10;
/// See [`FAILED_KEYS_MAX`].
pub const FAILED_KEYS_PERIOD_MS: i64 = 60_000;
/// Requests of one API key in a second.
pub const REQUESTS_PER_KEY_MAX: u32 = 100;
/// Requests for one customer in [`REQUESTS_PER_CUSTOMER_PERIOD_MS`], by whatever key is bound to it.
pub const REQUESTS_PER_CUSTOMER_MAX: u32 = 100;
/// See [`REQUESTS_PER_CUSTOMER_MAX`].
pub const REQUESTS_PER_CUSTOMER_PERIOD_MS: i64 = 15 * 60_000;
/// Bytes of the body of a request to the API.
pub const API_BODY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an API key as it is presented.
pub const API_KEY_BYTES_MAX: usize = 512;
/// Bytes of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// How long a request with an `Idempotency-Key` is taken to be under way: longer than one can take.
pub const IDEMPOTENCY_LEASE_MS: i64 = 60_000;
/// How long its answer is kept.
pub const IDEMPOTENCY_KEPT_MS: i64 = 24 * 3_600_000;
/// How far from now a receipt may have been written, either way, unless its source says otherwise. It
/// comes with the answer to the request that it is for.
pub const RECEIPT_WINDOW_MS: i64 = 5 * 60_000;
/// Things in one page of a list.
pub const PAGE_MAX: u8 = 100;
/// Characters of the reason that somebody gives for what they do.
pub const REASON_CHARS_MAX: usize = 500;
/// Open connections of the API listener, and from one address.
pub const API_CONNECTIONS_MAX: usize = 1_024;
/// One call to a node of a chain, its answer included.
pub const NODE_CALL_MS_MAX: u64 = 10_000;
/// All calls of one round to a node.
pub const NODE_ROUND_MS_MAX: u64 = 30_000;
/// From one look at a chain to the next, however often nodes say that there is something new.
pub const NODE_NEWS_MS_MIN: u64 = 100;
/// Calls to a node for one block: one for each transaction that pays somebody who is waited for.
pub const NODE_CALLS_MAX: usize = 2_000;
/// Commands that the store's writer commits in one transaction.
pub const BATCH_COMMANDS_MAX: usize = 128;
/// Commands that wait for the store's writer; more are refused with 503.
pub const QUEUE_COMMANDS_MAX: usize = 4096;
/// Kept free on the disk beside the store, so that what was begun can be settled when it is full.
pub const RESERVE_BYTES: u64 = 16 * 1024 * 1024;
/// A clock that moves by so much more or less than the time that passed was set.
pub const CLOCK_STEP_MS: i64 = 1_000;
/// How long dedup keys are remembered: longer than the longest retry horizon of any provider.
pub const DEDUP_DAYS: i64 = 35;
/// How long an event waits for its order, or for its provider's answer: after that only a person decides
/// on it anew.
pub const UNDECIDED_DAYS: i64 = DEDUP_DAYS;
/// How long a provider is asked about an event.
pub const CONFIRM_DAY_MS: i64 = 24 * 3_600_000;
/// How long one question may take, its answer included.
pub const CONFIRM_MS_MAX: u64 = 10_000;
/// Bytes of an answer.
pub const CONFIRM_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long is waited before the second question; each further wait is twice as long.
pub const CONFIRM_PAUSE_MS: i64 = 2_000;
/// How long is waited at most, unless the provider asks for more.
pub const CONFIRM_PAUSE_MS_MAX: i64 = 15 * 60_000;
/// Questions of one gateway that run at once.
pub const CONFIRMS_AT_ONCE_MAX: usize = 16;
/// How long a gateway that looks at such an event has it for itself.
pub const UNDECIDED_LEASE_MS: i64 = 60_000;
/// Dedup keys in memory before they are written side by side (8 MiB; the filter of a run is made for
/// so many).
pub const DEDUP_RUN_KEYS: usize = 65_536;
/// Attempts in flight at once, over all endpoints.
pub const ATTEMPTS_IN_FLIGHT_MAX: usize = 64;
/// Of these, kept for endpoints with fewer than [`ATTEMPTS_PER_ENDPOINT_MIN`] in flight.
pub const ATTEMPTS_RESERVED: usize = 16;
/// Attempts in flight at once to an endpoint that did not succeed yet, or failed last; doubled by
/// every success.
pub const ATTEMPTS_PER_ENDPOINT_MIN: usize = 2;
/// Attempts in flight at once to one endpoint.
pub const ATTEMPTS_PER_ENDPOINT_MAX: usize = 32;
/// Failures in a row after which an endpoint is left alone for a while.
pub const BREAKER_FAILURES: u32 = 5;
/// For how long it is left alone at first; doubled by every probe that fails.
pub const BREAKER_PAUSE_MS_MIN: i64 = 5_000;
/// For how long it is left alone at most.
pub const BREAKER_PAUSE_MS_MAX: i64 = 300_000;
/// From dialling an endpoint to the head of its answer.
pub const ATTEMPT_MS_MAX: u64 = 20_000;
/// Header lines of an endpoint's answer.
pub const ANSWER_HEADERS_MAX: usize = 100;
/// How long the body of an endpoint's answer is read, once the answer is known.
pub const ANSWER_BODY_MS_MAX: u64 = 1_000;
/// Bytes of an endpoint's answer that are read, of its head and of its body.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How long a lease on a delivery lasts: longer than an attempt can.
pub const LEASE_MS: i64 = 60_000;
/// Keys held in memory to seal and open records.
pub const KEYS_CACHED_MAX: u64 = 10_000;
/// How long an API key lives unless it is said, and at most, days.
pub const API_KEY_DAYS_DEFAULT: u32 = 90;
/// See [`API_KEY_DAYS_DEFAULT`].
pub const API_KEY_DAYS_MAX: u32 = 366;
/// Days before an API key's end on which a warning is logged, the earliest first.
pub const API_KEY_WARN_DAYS: [i64; 3] = [14, 7, 1];
/// How often each gateway asks whether any API key has changed.
pub const API_KEYS_POLL_MS: u64 = 250;
/// For how long API keys are believed when the store does not answer.
pub const API_KEYS_STALE_MS_MAX: u64 = 5_000;
/// How often it is written how API keys were used.
pub const API_KEY_USES_MS: u64 = 1_000;
/// Networks that one API key may be bound to, sources, and providers: an audit entry has room for so
/// many of the longest.
pub const API_KEY_BOUNDS_MAX: usize = 15;
/// Characters of an API key's name.
pub const API_KEY_NAME_CHARS_MAX: usize = 64;
/// Characters of what an operator signs in as.
pub const LOGIN_CHARS_MAX: usize = 64;
/// Characters of an operator's password.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Bytes of an operator's password.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// How long an operator's session may be without use.
pub const SESSION_IDLE_MS_MAX: i64 = 15 * 60_000;
/// How long an operator's session lasts, however much it is used.
pub const SESSION_MS_MAX: i64 = 12 * 3_600_000;
/// For how long it counts that an operator has said once more who they are.
pub const CONFIRMED_MS: i64 = 5 * 60_000;
/// Failed sign-ins of one operator, and of one address, in [`FAILED_SIGN_INS_PERIOD_MS`].
pub const FAILED_SIGN_INS_MAX: u32 = 5;
/// See [`FAILED_SIGN_INS_MAX`].
pub const FAILED_SIGN_INS_PERIOD_MS: i64 = 15 * 60_000;
/// Passwords that are hashed at once; each takes 19 MiB and a core.
pub const PASSWORDS_HASHED_MAX: usize = 2;
/// Sign-ins that wait for their password to be hashed; more are told to come again.
pub const SIGN_INS_WAITING_MAX: usize = 32;
/// Sessions of operators that are held in memory.
pub const SESSIONS_CACHED_MAX: usize = 4_096;
/// Orders that are created for one customer in [`ORDERS_PER_CUSTOMER_PERIOD_MS`], unless it is said.
pub const ORDERS_PER_CUSTOMER_MAX: u32 = 5;
/// See [`ORDERS_PER_CUSTOMER_MAX`].
pub const ORDERS_PER_CUSTOMER_PERIOD_MS: i64 = 60_000;
/// How far back a limit on orders looks at most, milliseconds: a year.
pub const ORDER_LIMIT_WINDOW_MS_MAX: i64 = 366 * 86_400_000;
/// How many limits on orders there may be.
pub const ORDER_LIMITS_MAX: usize = 50;
/// How often each gateway asks whether any block has changed.
pub const BLOCKS_POLL_MS: u64 = 250;
/// Bytes of what a blocked party is called, and of its provider or chain.
pub const PARTY_BYTES_MAX: usize = 255;
/// How often each gateway asks whether any operator or session has changed.
pub const OPERATORS_POLL_MS: u64 = 250;
/// For how long sessions in memory are believed when the store does not answer.
pub const OPERATORS_STALE_MS_MAX: u64 = 1_000;
/// How long an operator's session is kept after it was over, so that whoever looks into what happened
/// finds it. The function `forget_sessions` of PostgreSQL has it, too.
pub const SESSIONS_KEPT_MS: i64 = 24 * 3_600_000;
/// How often it is written when sessions were used.
pub const SESSION_USES_MS: u64 = 5_000;
/// For how long an approval counts that one operator asked another for.
pub const APPROVAL_MS: i64 = 15 * 60_000;
/// Approvals that one operator may be waiting for.
pub const APPROVALS_WAITING_MAX: i64 = 16;
/// How long an approval is kept after it was asked for, so that whoever is late learns why it does not
/// count.
pub const APPROVALS_KEPT_MS: i64 = 24 * 3_600_000;
/// Requests that may still finish after a stop was asked for.
pub const DRAIN_MS_MAX: u64 = 25_000;

const _: () = assert!(BODY_BYTES_DEFAULT <= BODY_BYTES_MAX);
const _: () = assert!(METHOD_BYTES_MAX + TARGET_BYTES_MAX < HEADER_BYTES_MAX);
const _: () = assert!(NODE_CALL_MS_MAX < NODE_ROUND_MS_MAX);
const _: () = assert!(LEASE_MS as u64 > 2 * (ATTEMPT_MS_MAX + ANSWER_BODY_MS_MAX));
const _: () = assert!(ATTEMPTS_PER_ENDPOINT_MAX < ATTEMPTS_IN_FLIGHT_MAX - ATTEMPTS_RESERVED);
const _: () = assert!(ATTEMPTS_PER_ENDPOINT_MIN < ATTEMPTS_RESERVED);
const _: () = assert!(QUEUE_COMMANDS_MAX >= BATCH_COMMANDS_MAX);
const _: () = assert!(API_KEY_DAYS_DEFAULT <= API_KEY_DAYS_MAX);
// A revocation counts everywhere within a second.
const _: () = assert!(API_KEYS_POLL_MS * 2 <= 1_000 && API_KEYS_POLL_MS < API_KEYS_STALE_MS_MAX);
// A block counts everywhere within a second.
const _: () = assert!(BLOCKS_POLL_MS * 2 <= 1_000);
const _: () = assert!(OPERATORS_POLL_MS * 2 <= 1_000 && OPERATORS_POLL_MS < OPERATORS_STALE_MS_MAX);
const _: () = assert!(CONFIRMED_MS < SESSION_IDLE_MS_MAX && SESSION_IDLE_MS_MAX < SESSION_MS_MAX);
// A session is never idle only because its use was not written yet.
const _: () = assert!((SESSION_USES_MS as i64) * 10 < SESSION_IDLE_MS_MAX);
const _: () = assert!(CONFIRMED_MS < APPROVAL_MS && APPROVAL_MS < APPROVALS_KEPT_MS);
const _: () = assert!(PASSWORD_CHARS_MIN * 4 <= PASSWORD_BYTES_MAX);
// A provider's longest known retry horizon is ten days.
const _: () = assert!(DEDUP_DAYS > 10);
// Nobody else takes an event while its provider is asked about it.
const _: () = assert!(UNDECIDED_LEASE_MS > 3 * CONFIRM_MS_MAX.cast_signed());

/// What is known of an order's payments, facts: far more than anybody needs to pay one.
pub const ORDER_FACTS_MAX: usize = 1_000;
