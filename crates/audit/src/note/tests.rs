//! Notes and keys against published examples, and under changes.

use super::*;
use proptest::prelude::*;

/// The example of Go's sumdb/note: text, keys and signatures are published there.
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// The type of the key, then its seed.
const PETER_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER_SIGNS: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const ENOCH_SIGNS: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> VerifierKey {
    text.parse().expect("a key")
}

fn peter() -> SigningKey {
    let seed = STANDARD.decode(PETER_SEED).expect("base64");
    SigningKey::from_seed("PeterNeumann", seed[1..].try_into().expect("32 bytes")).expect("a key")
}

fn judged(note: &str, keys: &[&str]) -> Result<String, NoteError> {
    let keys: Vec<VerifierKey> = keys.iter().map(|text| key(text)).collect();
    let note = Note::parse(note.as_bytes())?;
    note.verify(&keys).map(|key| key.name().to_owned())
}

#[test]
fn the_published_seed_signs_as_published() {
    assert_eq!(peter().verifier().to_string(), PETER);
    let note = Note::sign(TEXT.to_owned(), &[&peter()]).expect("signed");
    assert_eq!(note.to_string(), format!("{TEXT}\n{PETER_SIGNS}"));
}

#[test]
fn published_notes_verify() {
    let both = format!("{TEXT}\n{PETER_SIGNS}{ENOCH_SIGNS}");
    assert_eq!(judged(&both, &[PETER]), Ok("PeterNeumann".to_owned()));
    assert_eq!(judged(&both, &[ENOCH]), Ok("EnochRoot".to_owned()));
    assert_eq!(judged(&both, &[ENOCH, PETER]), Ok("PeterNeumann".to_owned()));
    assert_eq!(judged(&both, &[]), Err(NoteError::Unsigned));
    let one = format!("{TEXT}\n{ENOCH_SIGNS}");
    assert_eq!(judged(&one, &[PETER]), Err(NoteError::Unsigned));
    // A head of Go's checksum database, as it was served.
    let go = "go.sum database tree\n31700353\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n\n\
              — sum.golang.org Az3grnmrIUEDFqHzAElIQCPNoRFRAAdFo47fooyWKMHb89k11GJh5zHIfNCOBmwn/C3YI8oW9/C8DJ87F61QqspBYwM=\n";
    let golang = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    assert_eq!(judged(go, &[golang]), Ok("sum.golang.org".to_owned()));
    assert_eq!(judged(&go.replace("31700353", "31700354"), &[golang]), Err(NoteError::Signature));
}

/// The example of C2SP's signed-note. Its key is not published, its form is.
#[test]
fn the_example_of_the_specification_is_read() {
    let example = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n\
                   ed è subito sera.\n\n\
                   — quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let note = Note::parse(example.as_bytes()).expect("a note");
    assert!(note.text().ends_with("\n\ned è subito sera.\n"));
    assert_eq!(note.signatures()[0].name(), "quasimodo.example/salvatore");
    assert_eq!(note.signatures()[0].key_id(), [0x36, 0x7b, 0xa0, 0x4b]);
    assert_eq!(note.to_string(), example);
}

#[test]
fn a_signature_that_does_not_fit_spoils_the_note() {
    let wrong = ENOCH_SIGNS.replace("rwz+eBzm", "rwz+eBzn");
    assert_eq!(
        judged(&format!("{TEXT}\n{PETER_SIGNS}{wrong}"), &[PETER, ENOCH]),
        Err(NoteError::Signature)
    );
    assert_eq!(
        judged(&format!("{TEXT}\n{wrong}{PETER_SIGNS}"), &[PETER, ENOCH]),
        Err(NoteError::Signature)
    );
    // It is nobody's business where the key is not given.
    assert!(judged(&format!("{TEXT}\n{PETER_SIGNS}{wrong}"), &[PETER]).is_ok());
    let renamed = PETER_SIGNS.replace("PeterNeumann", "CarmenSandiego");
    assert_eq!(judged(&format!("{TEXT}\n{renamed}"), &[PETER]), Err(NoteError::Unsigned));
    let other_id = PETER_SIGNS.replace("x08g", "xxxx");
    assert_eq!(judged(&format!("{TEXT}\n{other_id}"), &[PETER]), Err(NoteError::Unsigned));
}

#[test]
fn what_is_no_note_is_refused() {
    let signs = PETER_SIGNS;
    for text in [
        String::new(),
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        format!("{TEXT}\n{}", signs.trim_end()),
        format!("{TEXT}{signs}"),
        format!("\u{1}{TEXT}\n{signs}"),
        format!("{TEXT}\r\n{signs}"),
        format!("{TEXT}\n— Bad Name x08go/Zj\n"),
        format!("{TEXT}\n— Bad+Name x08go/Zj\n"),
        format!("{TEXT}\n—  x08go/Zj\n"),
        format!("{TEXT}\n- PeterNeumann x08go/Zj\n"),
        format!("{TEXT}\n— PeterNeumann x08gow==\n"),
        format!("{TEXT}\n— PeterNeumann x08go/Z\n"),
        // The last bits of base64 are zero.
        format!("{TEXT}\n{}", signs.replace("JnAM=", "JnAN=")),
        format!("{TEXT}\n{signs}Unexpected line.\n"),
        format!("{TEXT}\n{signs}\n"),
        format!("{TEXT}\n{}", signs.repeat(SIGNATURES_MAX + 1)),
        format!("{}\n{signs}", "x".repeat(NOTE_BYTES_MAX)),
    ] {
        assert_eq!(judged(&text, &[PETER]), Err(NoteError::Malformed), "{text:?}");
    }
    let not_text = [b"\xff", TEXT.as_bytes(), b"\n", signs.as_bytes()].concat();
    assert_eq!(Note::parse(&not_text), Err(NoteError::Malformed));
    assert!(judged(&format!("{TEXT}\n{}", signs.repeat(SIGNATURES_MAX)), &[PETER]).is_ok());
}

#[test]
fn what_could_not_be_read_back_is_not_signed() {
    for text in ["no line end", "", "bell\u{7}\n"] {
        assert_eq!(Note::sign(text.to_owned(), &[&peter()]), Err(NoteError::Malformed));
    }
    assert_eq!(Note::sign("text\n".to_owned(), &[]), Err(NoteError::Malformed));
}

#[test]
fn no_part_and_no_change_of_a_key_is_a_key() {
    for start in 0..PETER.len() {
        for end in start..=PETER.len() {
            if (start, end) != (0, PETER.len()) {
                assert!(PETER[start..end].parse::<VerifierKey>().is_err());
            }
        }
    }
    for at in 0..PETER.len() {
        let mut changed = PETER.as_bytes().to_vec();
        changed[at] += 1;
        let changed = String::from_utf8(changed).expect("ASCII");
        assert!(changed.parse::<VerifierKey>().is_err(), "{changed}");
    }
    // Another length and another algorithm, each with the id that would be right for it.
    let long = "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==";
    let other = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert!(long.parse::<VerifierKey>().is_err());
    assert_eq!(other.parse::<VerifierKey>(), Err(KeyError::Algorithm));
    assert_eq!("a+b".parse::<VerifierKey>(), Err(KeyError::Form));
    assert_eq!(VerifierKey::new("a b", [1; 32]), Err(KeyError::Name));
    assert_eq!(VerifierKey::new("", [1; 32]), Err(KeyError::Name));
    let upper = PETER.replace("c74f20a3", "C74F20A3");
    assert_eq!(upper.parse::<VerifierKey>(), Err(KeyError::Id));
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", peter());
    assert!(shown.contains(PETER) && shown.len() < PETER.len() + 20, "{shown}");
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_no_change_does(
        text in "[ -~\u{e9}\n]{0,80}\n", seed: [u8; 32], at: usize, bit in 0u32..8,
    ) {
        let key = SigningKey::from_seed("example.com/log", &seed).expect("a key");
        let note = Note::sign(text, &[&key]).expect("signed").to_string();
        let keys = [key.verifier().clone()];
        prop_assert!(Note::parse(note.as_bytes()).expect("a note").verify(&keys).is_ok());
        let mut changed = note.into_bytes();
        let at = at % changed.len();
        changed[at] ^= 1 << bit;
        let verdict = Note::parse(&changed).and_then(|note| note.verify(&keys).map(|_| ()));
        prop_assert!(verdict.is_err());
    }

    #[test]
    fn what_is_read_prints_as_the_same(text in ".{0,30}\n\n— [a-z]{0,3} [A-Za-z0-9+/]{4,12}={0,2}\n") {
        if let Ok(note) = Note::parse(text.as_bytes()) {
            prop_assert_eq!(note.to_string(), text);
        }
    }
}
