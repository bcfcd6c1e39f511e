//! What the audit log is read from: one form for everything, and nothing verifies that was not signed.

use std::sync::LazyLock;

use audit::testing::{Log, keys};
use audit::{Body, Checkpoint, Entry, Note, Signed, VerifierKey, Witness, verify};

use crate::input::Input;

/// The log that the seeds are exports of.
static LOG: LazyLock<Log> = LazyLock::new(|| Log::of(6, 2, 1));
static EXPORT: LazyLock<Vec<u8>> = LazyLock::new(|| LOG.export());

/// Leaves: what is taken is written as the same bytes, and others read it too.
pub(super) fn leaf(bytes: &[u8]) {
    if let Ok((index, entry)) = Entry::parse(bytes) {
        let body = Body::of(&entry).expect("it was read");
        assert_eq!(body.leaf(index), bytes);
        let read: serde_json::Value = serde_json::from_slice(bytes).expect("it is JSON");
        assert_eq!(read.get("index").and_then(serde_json::Value::as_u64), Some(index));
        assert_eq!(read.get("actor").and_then(|actor| actor.as_str()), Some(entry.actor.as_str()));
    }
}

/// Notes: what is taken prints as the same bytes; what was changed says nothing else and verifies.
pub(super) fn note(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            assert_eq!(checkpoint.to_string(), note.text());
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = text.parse::<VerifierKey>()
    {
        assert_eq!(key.to_string(), text);
    }
    let mut input = Input(bytes);
    for signed in &LOG.checkpoints {
        let mut changed = signed.note().as_bytes().to_vec();
        let start = input.place(changed.len());
        let end = (start + input.place(16)).min(changed.len());
        changed.splice(start..end, input.piece(32).iter().copied());
        // Whoever adds a signature of another key has changed nothing.
        if let Ok(opened) = Signed::open(&changed, &keys()) {
            assert_eq!(opened.checkpoint(), signed.checkpoint());
        }
    }
}

/// Exports: whatever verifies is the log that was signed.
pub(super) fn export(mut bytes: &[u8]) {
    if let Ok(verified) = verify(&mut bytes, &keys(), &Witness::default(), &mut |_| ()) {
        let is_signed =
            |signed: &Signed| (signed.size(), signed.root()) == (verified.size, verified.root);
        assert!(LOG.checkpoints.iter().any(is_signed), "{verified:?}");
    }
}

/// What a witness keeps: whatever is taken was signed, so the log fits it.
pub(super) fn witness(mut bytes: &[u8]) {
    if let Ok(witness) = Witness::read(&mut bytes, &keys()) {
        let verified = verify(&mut EXPORT.as_slice(), &keys(), &witness, &mut |_| ());
        assert!(verified.is_ok(), "{verified:?}");
    }
}
