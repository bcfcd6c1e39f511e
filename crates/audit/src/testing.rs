//! Logs to tamper with: made from a seed, changed in every way that somebody may try.

mod attack;
mod random;
mod tamper;

pub use random::Random;
pub use tamper::{Tamper, Tampered};

use std::io::Write as _;

use crate::checkpoint::Signed;
use crate::commitment::Commitment;
use crate::entry::{Body, Change, Entry, Value};
use crate::export::Exporter;
use crate::hash::{Hash, leaf_hash};
use crate::note::{SigningKey, VerifierKey};
use crate::seal::Sealer;
use crate::tree::Frontier;

/// The origin of these logs.
pub const ORIGIN: &str = "test.example/audit";

/// The key that signs for them.
pub fn key() -> SigningKey {
    key_of(1)
}

fn key_of(seed: u8) -> SigningKey {
    SigningKey::from_seed(ORIGIN, &[seed; 32]).expect("any seed is one of Ed25519")
}

/// What verifies it.
pub fn keys() -> [VerifierKey; 1] {
    [key().verifier().clone()]
}

/// An entry as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The hash that is kept beside it.
    pub hash: Hash,
    /// Its bytes.
    pub leaf: Vec<u8>,
}

/// A log as a store keeps it: entries, and checkpoints in the order of their sizes.
#[derive(Debug, Clone)]
pub struct Log {
    /// The entries.
    pub rows: Vec<Row>,
    /// The checkpoints; the last one covers every entry.
    pub checkpoints: Vec<Signed>,
}

impl Log {
    /// A log of so many entries, with a checkpoint after `every` of them and at the end.
    pub fn of(entries: u64, every: u64, seed: u64) -> Self {
        let mut random = Random(seed);
        let bodies = (0..entries).map(|index| body(index, &mut random));
        Self::seal(bodies, every, &key())
    }

    /// Seals entries as a log of their own.
    pub(crate) fn seal(
        bodies: impl IntoIterator<Item = Body>,
        every: u64,
        key: &SigningKey,
    ) -> Self {
        let (mut rows, mut checkpoints) = (Vec::new(), Vec::new());
        let mut sealer = Sealer::begin(ORIGIN);
        for body in bodies {
            let appended = sealer.append(&body).expect("there is room");
            rows.push(Row { hash: leaf_hash(&appended.leaf), leaf: appended.leaf });
            if every > 0 && sealer.size().is_multiple_of(every) {
                checkpoints.push(sealer.sign(key, None).expect("the key is the log's"));
            }
        }
        if checkpoints.last().map(Signed::size) != Some(sealer.size()) {
            checkpoints.push(sealer.sign(key, None).expect("the key is the log's"));
        }
        Self { rows, checkpoints }
    }

    /// The export of all of it.
    pub fn export(&self) -> Vec<u8> {
        self.export_from(0)
    }

    /// The export from an entry on.
    pub fn export_from(&self, from: usize) -> Vec<u8> {
        let mut frontier = Frontier::new();
        self.rows.iter().take(from).for_each(|row| frontier.append(row.hash, |_, _| ()));
        let head = self.checkpoints.last().map_or("", Signed::note);
        let write = || {
            let mut exporter = Exporter::begin(Vec::new(), head, &frontier)?;
            let mut checkpoints = self.checkpoints.iter().peekable();
            for (size, row) in (1..).zip(&self.rows) {
                if size > frontier.size() {
                    exporter.entry(row.hash, &row.leaf)?;
                }
                while let Some(signed) = checkpoints.next_if(|signed| signed.size() <= size) {
                    if size > frontier.size() {
                        exporter.checkpoint(signed.note())?;
                    }
                }
            }
            exporter.finish()
        };
        write().expect("memory takes everything")
    }

    /// What a witness keeps that is given every checkpoint.
    pub fn witness(&self) -> Vec<u8> {
        let mut notes = Vec::new();
        for signed in &self.checkpoints {
            writeln!(notes, "{}", signed.note()).expect("memory takes everything");
        }
        notes
    }
}

/// An entry like those of a gateway.
fn body(index: u64, random: &mut Random) -> Body {
    const ACTIONS: [&str; 5] =
        ["arrival.recorded", "event.released", "key.rolled", "operator.signed_in", "audit.read"];
    let action = ACTIONS.get(random.below(ACTIONS.len())).copied().unwrap_or("audit.read");
    let salt = [random.byte(); 32];
    let text = |random: &mut Random| Value::Text(format!("{:x} \"é\"\n", random.next()));
    let changes = (0..random.below(3)).map(|_| Change {
        name: "status".to_owned(),
        before: if random.below(2) == 0 { Value::Nothing } else { text(random) },
        after: text(random),
    });
    let changes = changes.collect();
    let entry = Entry {
        // Clocks are set back now and then.
        time_ms: 1_767_225_600_000 + index * 1000 - u64::from(random.byte()) * 100 + 25_500,
        action: action.to_owned(),
        outcome: "done".to_owned(),
        actor: format!("operator:{}", random.below(9)),
        resource: format!("evt_{:026x}", random.next()),
        changes,
        request: (random.below(2) == 0).then(|| format!("req_{:026x}", random.next())),
        address: Some(Commitment::of("address", &salt, b"192.0.2.1")),
        agent: (random.below(2) == 0).then(|| Commitment::of("agent", &salt, b"curl")),
        note: None,
    };
    Body::of(&entry).expect("it is within bounds")
}
