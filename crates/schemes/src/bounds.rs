//! Every bound of the engine in one place.

/// Secrets of a source that are tried.
pub const KEYS_MAX: usize = 4;
/// Signatures of one request that are tried.
pub const CANDIDATES_MAX: usize = 8;
/// Templates of one alternative that are tried.
pub const VARIANTS_MAX: usize = 4;
/// Events in one arrival.
pub const ITEMS_MAX: usize = 1000;
/// Nesting of a JSON body.
pub const JSON_DEPTH_MAX: usize = 64;
/// Values and names in a JSON body.
pub const JSON_NODES_MAX: usize = 200_000;
/// Pairs of a form or a query.
pub const PAIRS_MAX: usize = 1000;
/// Bytes of a text that an event is known by.
pub const FIELD_BYTES_MAX: usize = 512;
/// Digits and sign of an amount.
pub const AMOUNT_BYTES_MAX: usize = 64;
/// Bytes of a part of a signature header.
pub const PART_BYTES_MAX: usize = 8192;
/// Bytes of a chain of certificates in PEM.
pub const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
/// Certificates in a chain.
pub const CERTIFICATES_MAX: usize = 8;
/// Bytes of the URL of a certificate.
pub const URL_BYTES_MAX: usize = 512;

const _: () = assert!(AMOUNT_BYTES_MAX <= FIELD_BYTES_MAX);
