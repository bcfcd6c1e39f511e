//! What is stored: opened only where it was sealed, and only unchanged.

use std::sync::LazyLock;

use vault::{DataKey, KeyId, Owner, Place, RootKey, Sealed, WrappedKey};

use crate::input::Input;

static KEY: LazyLock<DataKey> = LazyLock::new(|| DataKey::new(KeyId([7; 16]), [9; 32]));
static ROOT: LazyLock<RootKey> = LazyLock::new(|| RootKey::generate([3; 32]));

/// Sealed records: garbage never opens; what was sealed opens; what was changed does not.
pub(super) fn sealed(bytes: &[u8]) {
    let place = Place { table: "event", column: "facts", row: b"row", subject: b"subject" };
    assert!(vault::open(&KEY, place, &Sealed::from_bytes(bytes.to_vec())).is_err());

    let mut input = Input(bytes);
    let (at, bit) = (input.number(), input.byte() % 8);
    let sealed = vault::seal(&KEY, [5; 32], place, input.0);
    let opened = vault::open(&KEY, place, &sealed).expect("it was sealed here");
    assert_eq!(opened.as_slice(), input.0);
    let mut changed = sealed.as_bytes().to_vec();
    let at = at % changed.len();
    changed.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
    assert!(vault::open(&KEY, place, &Sealed::from_bytes(changed)).is_err(), "changed at {at}");
    let elsewhere = Place { row: input.0, ..place };
    assert!(input.0 == b"row" || vault::open(&KEY, elsewhere, &sealed).is_err());
}

/// Wrapped keys: likewise.
pub(super) fn wrapped(bytes: &[u8]) {
    let owner = Owner::System("fuzz");
    let id = KEY.id();
    assert!(vault::unwrap(&ROOT, &WrappedKey::from_bytes(bytes.to_vec()), id, owner).is_err());

    let mut input = Input(bytes);
    let (at, bit) = (input.number(), input.byte() % 8);
    let good = vault::wrap(&ROOT, &KEY, owner, [1; 12]);
    let mut changed = good.as_bytes().to_vec();
    let at = at % changed.len();
    changed.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
    assert!(vault::unwrap(&ROOT, &good, id, owner).is_ok());
    assert!(vault::unwrap(&ROOT, &WrappedKey::from_bytes(changed), id, owner).is_err());
}

/// Facts: what is read is written so that it is read again as the same.
pub(super) fn facts(bytes: &[u8]) {
    if let Some(written) = gateway::fuzzing::facts(bytes) {
        assert_eq!(gateway::fuzzing::facts(&written).as_ref(), Some(&written));
    }
}

/// Redaction: as many bytes as there were, none changed but what was found, and JSON still JSON.
pub(super) fn redact(bytes: &[u8]) {
    let Some(redacted) = redact::payload(bytes) else { return };
    assert!(!redacted.findings.is_empty());
    assert_eq!(redacted.bytes.len(), bytes.len());
    for (at, (before, after)) in bytes.iter().zip(&redacted.bytes).enumerate() {
        let is_found = redacted.findings.iter().any(|finding| finding.range.contains(&at));
        assert!(before == after || is_found, "changed at {at}, where nothing was found");
    }
    if std::str::from_utf8(bytes).is_ok() {
        assert!(std::str::from_utf8(&redacted.bytes).is_ok(), "no text any more");
    }
    if serde_json::from_slice::<serde_json::Value>(bytes).is_ok() {
        let after = serde_json::from_slice::<serde_json::Value>(&redacted.bytes);
        assert!(after.is_ok(), "no JSON any more");
    }
}
