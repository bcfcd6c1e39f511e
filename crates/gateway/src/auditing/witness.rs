//! Places where checkpoints go, so that whoever can change the store cannot take them back.

use std::fmt;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit::{Signed, VerifierKey};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};
use http_body_util::Full;
use model::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Auditing;
use super::mail::{Mail, MailError};
use super::syslog::{Syslog, SyslogError};
use crate::Clock;
use crate::metrics::Metrics;
use crate::outbound::Client;

/// How long a witness may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The end of a witness file that is read at the start: several hundred notes.
const TAIL_BYTES: u64 = 128 * 1024;

/// A place for checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// A file, best on a volume that the gateway's operator cannot rewrite. The only one that can
    /// be asked what it has: a log that was rolled back is not signed on.
    File(PathBuf),
    /// Each note is sent to this URL by POST.
    Http {
        /// Where to.
        url: url::Url,
        /// Private and loopback addresses may be dialled.
        allow_private: bool,
    },
    /// Each note is a message.
    Syslog(Syslog),
    /// Each note is a mail.
    Mail(Mail),
}

/// Why a witness cannot be told or asked.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The file cannot be read or written.
    #[error("witness_file: the witness's file cannot be read or written: {0}")]
    File(#[from] io::Error),
    /// The file holds something, and no checkpoint of this log.
    #[error(
        "witness_foreign: the witness's file holds no checkpoint of this log: give it a file of its own"
    )]
    Foreign,
    /// The syslog server cannot be reached.
    #[error(transparent)]
    Syslog(#[from] SyslogError),
    /// The mail server did not take it.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The URL did not take it.
    #[error("witness_refused: the witness's URL did not answer 2xx")]
    Refused,
    /// It took too long.
    #[error("witness_late: the witness did not answer in time")]
    Late,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "file",
            Self::Http { .. } => "http",
            Self::Syslog(_) => "syslog",
            Self::Mail(_) => "mail",
        })
    }
}

impl Witness {
    /// Hands it a checkpoint.
    pub(super) async fn tell(
        &self,
        checkpoint: &Signed,
        client: &Client,
        now: Timestamp,
    ) -> Result<(), WitnessError> {
        let telling = async {
            match self {
                Self::File(path) => {
                    let (path, note) = (path.clone(), checkpoint.note().to_owned());
                    let written = tokio::task::spawn_blocking(move || append(&path, &note)).await;
                    Ok(written.map_err(io::Error::other)??)
                }
                Self::Http { url, allow_private } => {
                    post(client, url, *allow_private, checkpoint.note()).await
                }
                Self::Mail(mail) => Ok(mail.send(checkpoint, LIMIT).await?),
                Self::Syslog(syslog) => {
                    let note = std::iter::once(checkpoint.note().to_owned());
                    Ok(syslog.send("checkpoint", note, now).await?)
                }
            }
        };
        tokio::time::timeout(LIMIT, telling).await.map_err(|_| WitnessError::Late)?
    }

    /// The largest checkpoint that it has, as far as it can be asked.
    pub(super) async fn newest(&self, key: &VerifierKey) -> Result<Option<Signed>, WitnessError> {
        let Self::File(path) = self else { return Ok(None) };
        let (path, key) = (path.clone(), key.clone());
        let read = tokio::task::spawn_blocking(move || {
            let tail = tail(&path)?;
            match newest(&tail, &key) {
                None if !tail.is_empty() => Err(WitnessError::Foreign),
                found => Ok(found),
            }
        });
        read.await.map_err(io::Error::other)?
    }
}

/// Hands checkpoints to witnesses, beside the keeper: one that takes its time holds nothing up.
pub(super) struct Teller {
    witnesses: Vec<Witness>,
    every: Duration,
    client: Arc<Client>,
    clock: Clock,
    /// Until where each has heard of the log.
    heard: Vec<u64>,
}

impl Teller {
    pub(super) fn new(auditing: &Auditing, client: Arc<Client>, clock: Clock) -> Self {
        let (witnesses, every) = (auditing.witnesses.clone(), auditing.witness_every);
        let heard = vec![0; witnesses.len()];
        Self { witnesses, every, client, clock, heard }
    }

    /// Tells the newest checkpoint every so often, and the last one when there will be no more.
    pub(super) async fn run(
        mut self,
        mut newest: watch::Receiver<Option<Signed>>,
        metrics: Arc<Metrics>,
    ) {
        let mut tick = tokio::time::interval(self.every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut goes_on = true;
        while goes_on {
            tokio::select! {
                _ = tick.tick() => {}
                // Fails once the keeper is gone.
                ended = newest.wait_for(|_| false) => goes_on = ended.is_ok(),
            }
            let checkpoint = newest.borrow().clone();
            if let Some(checkpoint) = checkpoint {
                metrics.witnesses_behind(self.tell(&checkpoint).await);
            }
        }
    }

    /// Tells all that have not heard of it, at once; gives how many still have not.
    async fn tell(&mut self, checkpoint: &Signed) -> usize {
        let mut telling = JoinSet::new();
        for (place, witness) in self.witnesses.iter().enumerate() {
            if self.heard.get(place) == Some(&checkpoint.size()) {
                continue;
            }
            let (witness, checkpoint) = (witness.clone(), checkpoint.clone());
            let (client, now) = (self.client.clone(), self.clock.now());
            telling.spawn(async move {
                let told = witness.tell(&checkpoint, &client, now).await;
                if let Err(error) = &told {
                    tracing::error!(%witness, %error, "a witness did not hear of a checkpoint");
                }
                (place, told.is_ok())
            });
        }
        while let Some(Ok((place, is_told))) = telling.join_next().await {
            if let (true, Some(heard)) = (is_told, self.heard.get_mut(place)) {
                *heard = checkpoint.size();
            }
        }
        self.heard.iter().filter(|heard| **heard != checkpoint.size()).count()
    }
}

/// One write, so that a crash leaves the notes before it whole, and a sync.
fn append(path: &Path, note: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{note}\n").as_bytes())?;
    file.sync_all()
}

/// The end of a file; nothing of one that is not there.
fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The largest checkpoint among the notes that begin in these bytes. What comes before the first, and
/// a last one that was cut short, is left alone.
fn newest(tail: &[u8], key: &VerifierKey) -> Option<Signed> {
    let text = String::from_utf8_lossy(tail);
    let begin = format!("{}\n", key.name());
    let mut starts: Vec<usize> = text
        .match_indices(&begin)
        .map(|(start, _)| start)
        .filter(|start| *start == 0 || text.as_bytes().get(start - 1) == Some(&b'\n'))
        .collect();
    starts.push(text.len());
    let keys = [key.clone()];
    starts
        .windows(2)
        .filter_map(|window| match window {
            [start, end] => text.get(*start..*end),
            _ => None,
        })
        .filter_map(|note| Signed::open(format!("{}\n", note.trim_end()).as_bytes(), &keys).ok())
        .max_by_key(Signed::size)
}

async fn post(
    client: &Client,
    url: &url::Url,
    allow_private: bool,
    note: &str,
) -> Result<(), WitnessError> {
    let mut request = Request::new(Full::new(Bytes::from(note.to_owned())));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    request
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let answer = client.call(request, allow_private).await.map_err(|_| WitnessError::Refused)?;
    if answer.status().is_success() { Ok(()) } else { Err(WitnessError::Refused) }
}

#[cfg(test)]
mod tests {
    use audit::{Sealer, SigningKey};

    use super::*;

    fn key(name: &str) -> SigningKey {
        SigningKey::from_seed(name, &[3; 32]).expect("a key")
    }

    /// Signed notes of an empty and some longer logs.
    fn notes(name: &str, sizes: usize) -> Vec<Signed> {
        let key = key(name);
        let mut sealer = Sealer::begin(name);
        let entry = audit::Entry {
            time_ms: 1,
            action: "a".to_owned(),
            outcome: "done".to_owned(),
            actor: "x".to_owned(),
            resource: String::new(),
            changes: Vec::new(),
            request: None,
            address: None,
            agent: None,
            note: None,
        };
        let body = audit::Body::of(&entry).expect("an entry");
        let next = |_| {
            sealer.append(&body).expect("room");
            sealer.sign(&key, None).expect("signs")
        };
        (0..sizes).map(next).collect()
    }

    #[tokio::test]
    async fn a_file_gives_back_the_largest_that_it_was_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoints");
        let witness = Witness::File(path.clone());
        let key = key("log");
        let newest = async || witness.newest(key.verifier()).await;
        assert_eq!(newest().await.expect("nothing yet"), None);
        let notes = notes("log", 3);
        for note in [&notes[0], &notes[2], &notes[1]] {
            append(&path, note.note()).expect("writes");
        }
        assert_eq!(newest().await.expect("reads").as_ref(), Some(&notes[2]));
        // A crash in the middle of the next one.
        let half = notes[2].note().get(..20).expect("long").to_owned();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(half.as_bytes()))
            .expect("writes");
        assert_eq!(newest().await.expect("reads").as_ref(), Some(&notes[2]));
        // It reads as a witness of the offline verifier's too, but for the half one.
        let text = std::fs::read_to_string(&path).expect("reads");
        let whole = text.strip_suffix(&half).expect("half a note");
        let keys = [key.verifier().clone()];
        let read = audit::Witness::read(&mut whole.as_bytes(), &keys).expect("reads");
        assert_eq!(read.len(), 3);
    }

    #[tokio::test]
    async fn a_file_of_something_else_is_no_witness() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoints");
        let other = notes("other", 1);
        append(&path, other[0].note()).expect("writes");
        let read = Witness::File(path).newest(key("log").verifier()).await;
        assert!(matches!(read, Err(WitnessError::Foreign)));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let witness = Witness::File(folder.path().join("not/there"));
        let client = Client::new(&crate::Resolver::System, None);
        let (note, now) = (notes("log", 1).remove(0), Timestamp::from_millis(0));
        let told = witness.tell(&note, &client, now).await;
        assert!(matches!(told, Err(WitnessError::File(_))));
    }

    #[tokio::test]
    async fn a_url_gets_the_note_and_must_answer_2xx() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("an address");
        let answers = tokio::spawn(async move {
            let mut asked = Vec::new();
            for status in ["204 No Content", "500 Internal Server Error"] {
                let (mut stream, _) = server.accept().await.expect("a connection");
                let mut buffer = vec![0; 4096];
                let mut length = 0;
                while !String::from_utf8_lossy(&buffer[..length]).contains("— log ") {
                    length += stream.read(&mut buffer[length..]).await.expect("reads");
                }
                asked.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
                let answer =
                    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.expect("writes");
            }
            asked
        });
        let url: url::Url = format!("http://{address}/checkpoints").parse().expect("a URL");
        let client = Client::new(&crate::Resolver::System, None);
        let (note, now) = (notes("log", 1).remove(0), Timestamp::from_millis(0));
        let witness = |allow_private| Witness::Http { url: url.clone(), allow_private };
        witness(true).tell(&note, &client, now).await.expect("it took it");
        let refused = witness(true).tell(&note, &client, now).await;
        assert!(matches!(refused, Err(WitnessError::Refused)));
        let forbidden = witness(false).tell(&note, &client, now).await;
        assert!(matches!(forbidden, Err(WitnessError::Refused)));
        let asked = answers.await.expect("a server");
        assert!(
            asked[0].starts_with("POST /checkpoints ") && asked[0].contains(note.note().trim_end())
        );
    }

    #[tokio::test]
    async fn a_long_file_is_read_from_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoints");
        let notes = notes("log", 1_200);
        let text: String = notes.iter().map(|note| format!("{}\n", note.note())).collect();
        assert!(text.len() as u64 > TAIL_BYTES);
        std::fs::write(&path, text).expect("writes");
        let read = Witness::File(path).newest(key("log").verifier()).await.expect("reads");
        assert_eq!(read.as_ref(), notes.last());
    }
}
