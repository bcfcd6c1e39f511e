//! Checkpoints (C2SP tlog-checkpoint): the size and the root of a log, in a signed note.
//!
//! ```text
//! origin
//! size
//! base64(root)
//! extension lines, if any
//!
//! — origin base64(key id || signature)
//! ```
//!
//! The **origin** names the log, and is the name of the key that signs for it. A [`Signed`]
//! checkpoint is made in two ways only: by signing, and by verifying.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::limits::{EXTENSIONS_MAX, LEAVES_MAX};
use crate::note::{Note, NoteError, SigningKey, VerifierKey};

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root of the tree of so many leaves.
    pub root: Hash,
    /// Lines that mean nothing here. We write none.
    pub extensions: Vec<String>,
}

/// Why a checkpoint is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckpointError {
    /// It is not a signed note, or its text is not that of a checkpoint.
    Malformed,
    /// None of the given keys has signed it.
    Unsigned,
    /// A signature of a given key does not fit it.
    Signature,
    /// It is signed, but speaks of another log.
    Origin,
}

impl CheckpointError {
    /// Every reason.
    pub const ALL: &'static [Self] =
        &[Self::Malformed, Self::Unsigned, Self::Signature, Self::Origin];
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "this is not a checkpoint",
            Self::Unsigned => "none of the given keys has signed the checkpoint",
            Self::Signature => "the checkpoint was changed: its signature does not fit",
            Self::Origin => "the checkpoint is of another log",
        })
    }
}

impl std::error::Error for CheckpointError {}

impl From<NoteError> for CheckpointError {
    fn from(error: NoteError) -> Self {
        match error {
            NoteError::Malformed => Self::Malformed,
            NoteError::Unsigned => Self::Unsigned,
            NoteError::Signature => Self::Signature,
        }
    }
}

impl Checkpoint {
    /// Reads the text of a note. Strict: what is taken prints as the same text.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        Self::read(text).ok_or(CheckpointError::Malformed)
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty())?.to_owned();
        let size = decimal(lines.next()?)?;
        let root = STANDARD.decode(lines.next()?).ok()?;
        let root = Hash(root.try_into().ok()?);
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        let fits = extensions.len() <= EXTENSIONS_MAX && !extensions.iter().any(String::is_empty);
        fits.then_some(Self { origin, size, root, extensions })
    }
}

/// A number of leaves or an index: no sign, no leading zero, not too large.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
        && text.len() <= 16;
    let number = text.parse().ok().filter(|_| is_plain)?;
    (number <= LEAVES_MAX).then_some(number)
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root.0))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A checkpoint with a signature that was made or verified here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    checkpoint: Checkpoint,
    note: String,
}

impl Signed {
    /// Verifies a note by the keys of a log, whose name is its origin.
    pub fn open(note: &[u8], keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let signer = note.verify(keys)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != signer.name() {
            return Err(CheckpointError::Origin);
        }
        Ok(Self { checkpoint, note: note.to_string() })
    }

    /// Signs by one key, or by two while the log's key is being rotated.
    ///
    /// Nothing is asked here: whoever signs for a log goes through [`Sealer`](crate::Sealer), which
    /// signs nothing that does not fit what was signed before.
    pub(crate) fn sign(
        size: u64,
        root: Hash,
        key: &SigningKey,
        next: Option<&SigningKey>,
    ) -> Result<Self, CheckpointError> {
        let origin = key.verifier().name().to_owned();
        if next.is_some_and(|next| next.verifier().name() != origin) {
            return Err(CheckpointError::Origin);
        }
        let checkpoint = Checkpoint { origin, size, root, extensions: Vec::new() };
        let keys: Vec<&SigningKey> = [key].into_iter().chain(next).collect();
        let note = Note::sign(checkpoint.to_string(), &keys)?.to_string();
        Ok(Self { checkpoint, note })
    }

    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// The root of the tree of so many leaves.
    pub fn root(&self) -> Hash {
        self.checkpoint.root
    }

    /// The note, to be kept and handed on.
    pub fn note(&self) -> &str {
        &self.note
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::empty_root;
    use proptest::prelude::*;

    /// The example of C2SP's tlog-checkpoint. Its key is not published, its form is.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\n\
                           CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
                           — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    fn key(origin: &str) -> SigningKey {
        SigningKey::from_seed(origin, &[7; 32]).expect("a key")
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let note = Note::parse(EXAMPLE.as_bytes()).expect("a note");
        let checkpoint = Checkpoint::parse(note.text()).expect("a checkpoint");
        assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
        assert_eq!(checkpoint.size, 20_852_163);
        let root = "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62";
        assert_eq!(checkpoint.root.to_string(), root);
        assert_eq!(checkpoint.to_string(), note.text());
        assert_eq!(
            Signed::open(
                EXAMPLE.as_bytes(),
                &[key("example.com/behind-the-sofa").verifier().clone()]
            ),
            Err(CheckpointError::Unsigned)
        );
    }

    /// The form of what we sign can never change silently.
    #[test]
    fn known_answer() {
        let signed = Signed::sign(0, empty_root(), &key("example.com/log"), None).expect("signed");
        assert_eq!(
            signed.note(),
            "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\
             — example.com/log cC88cMDY+F2scM7oHmYuLh0dab5bBhJfhA1ZAcihLOGONkzwIuUbCMBe3tjRqdt7fEf3KXsTbNqpFgoSd1QQtmpmMQ0=\n"
        );
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert!(Checkpoint::parse(&format!("log\n0\n{root}\n")).is_ok());
        assert!(Checkpoint::parse(&format!("log\n1\n{root}\nextension\n")).is_ok());
        let many = "line\n".repeat(EXTENSIONS_MAX + 1);
        for text in [
            String::new(),
            format!("\n0\n{root}\n"),
            format!("log\n0\n{root}"),
            format!("log\n\n{root}\n"),
            format!("log\n00\n{root}\n"),
            format!("log\n01\n{root}\n"),
            format!("log\n+1\n{root}\n"),
            format!("log\n-1\n{root}\n"),
            format!("log\n1 \n{root}\n"),
            format!("log\n1e3\n{root}\n"),
            format!("log\n9007199254740993\n{root}\n"),
            format!("log\n18446744073709551616\n{root}\n"),
            "log\n1\n".to_owned(),
            format!("log\n1\n{}\n", &root[..40]),
            format!("log\n1\n{}\n", root.replace("FU=", "FV=")),
            format!("log\n1\n{root} \n"),
            format!("log\n1\n{root}\n\nextension\n"),
            format!("log\n1\n{root}\n{many}"),
        ] {
            assert_eq!(Checkpoint::parse(&text), Err(CheckpointError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_key_signs_for_the_log_of_its_name_only() {
        let key = key("example.com/log");
        let text = format!("example.com/other\n0\n{}\n", STANDARD.encode(empty_root().0));
        let note = Note::sign(text, &[&key]).expect("signed").to_string();
        let opened = Signed::open(note.as_bytes(), &[key.verifier().clone()]);
        assert_eq!(opened, Err(CheckpointError::Origin));
        let next = SigningKey::from_seed("example.com/other", &[8; 32]).expect("a key");
        let signed = Signed::sign(0, empty_root(), &key, Some(&next));
        assert_eq!(signed, Err(CheckpointError::Origin));
    }

    #[test]
    fn two_keys_sign_while_one_takes_over() {
        let (old, new) = (key("log"), SigningKey::from_seed("log", &[8; 32]).expect("a key"));
        let signed = Signed::sign(3, empty_root(), &old, Some(&new)).expect("signed");
        for keys in [vec![&old], vec![&new], vec![&new, &old]] {
            let keys: Vec<_> = keys.into_iter().map(|key| key.verifier().clone()).collect();
            assert_eq!(Signed::open(signed.note().as_bytes(), &keys).as_ref(), Ok(&signed));
        }
    }

    proptest! {
        #[test]
        fn what_is_signed_opens_and_no_change_does(size in 0..=LEAVES_MAX, root: [u8; 32], at: usize, bit in 0u32..8) {
            let key = key("example.com/log");
            let keys = [key.verifier().clone()];
            let signed = Signed::sign(size, Hash(root), &key, None).expect("signed");
            let opened = Signed::open(signed.note().as_bytes(), &keys);
            prop_assert_eq!(opened.as_ref(), Ok(&signed));
            let mut changed = signed.note().as_bytes().to_vec();
            let at = at % changed.len();
            changed[at] ^= 1 << bit;
            prop_assert!(Signed::open(&changed, &keys).is_err());
        }

        #[test]
        fn what_is_read_prints_as_the_same(text in "[a-z]{0,2}\n[0-9]{0,3}\n[A-Za-z0-9+/]{43}=\n([a-z]{0,3}\n){0,2}") {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert_eq!(checkpoint.to_string(), text);
            }
        }
    }
}
