//! Hostile HTTP: requests that could be read in two ways, and what becomes of them.
//!
//! Each is a good, signed request with one thing wrong ([`cases`]). After it on the wire comes a
//! second one that nothing is wrong with: whoever reads the first in another way than it was meant,
//! or goes on after refusing it, takes the second.

mod cases;
pub mod crowd;
pub mod proxies;
pub mod slow;
pub mod timing;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::clock::now_ms;
use crate::deployment::{Deliveries, Deployment, NO_APPLICATION, SOURCE_PATH};
use crate::stripe::{SECRET, Series, Signer};
pub use cases::{Body, Case, Part, good, hostile};

/// The only name that the gateway answers to.
pub const HOST: &str = "hooks.example.test";

/// How long an answer, or the end of a connection, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an answer that are kept.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Makes requests, each with events of its own.
#[derive(Debug)]
pub struct Maker {
    signer: Signer,
    series: Series,
    made: u64,
}

/// A case as it goes over the wire.
#[derive(Debug)]
pub struct Made {
    /// The request.
    pub bytes: Vec<u8>,
    /// The sender closes its side after it.
    pub ends: bool,
    /// The provider's id of the event that the request carries.
    pub own: String,
    /// The id of the event that is hidden in its body, if one is.
    pub hidden: Option<String>,
}

/// What came back on one connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Answers {
    /// The statuses, in order, interim ones left out.
    pub statuses: Vec<u16>,
    /// The connection was closed.
    pub closed: bool,
}

impl Default for Maker {
    fn default() -> Self {
        Self { signer: Signer::new(SECRET), series: Series::fresh(), made: 0 }
    }
}

impl Maker {
    /// A good request, and the id of its event.
    pub fn good(&mut self) -> (Vec<u8>, String) {
        let made = self.make(&Case {
            group: "good",
            status: 200,
            part: Part::Added,
            text: "",
            body: Body::Plain,
        });
        (made.bytes, made.own)
    }

    /// A case, signed now.
    pub fn make(&mut self, case: &Case) -> Made {
        let now_s = now_ms() / 1000;
        self.made += 1;
        let own = self.series.id(self.made);
        let body = self.series.body(self.made, now_s);
        let signature = self.signer.header(now_s, &body);
        let (sent, hidden) = self.body(case.body, body);
        let n = match case.body {
            Body::Half => sent.len() * 2,
            _ => sent.len(),
        };
        let text = fill(case.text, n);
        let part = |part: Part, good: String| if case.part == part { text.clone() } else { good };
        let path = part(Part::Path, SOURCE_PATH.to_owned());
        let mut bytes = part(Part::Before, String::new()).into_bytes();
        bytes.extend_from_slice(part(Part::First, format!("POST {path} HTTP/1.1")).as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(part(Part::Host, format!("host: {HOST}\r\n")).as_bytes());
        let fixed = format!("content-type: application/json\r\nstripe-signature: {signature}\r\n");
        bytes.extend_from_slice(fixed.as_bytes());
        bytes.extend_from_slice(part(Part::Length, format!("content-length: {n}\r\n")).as_bytes());
        bytes.extend_from_slice(part(Part::Added, String::new()).as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&sent);
        Made { bytes, ends: case.body == Body::Half, own, hidden }
    }

    /// The head of a good request that announces so many bytes.
    pub fn announcing(&mut self, bytes: usize) -> Vec<u8> {
        let (request, _) = self.good();
        let text = String::from_utf8_lossy(&request);
        let (head, _) = text.split_once("content-length").unwrap_or((&text, ""));
        format!("{head}content-length: {bytes}\r\n\r\n").into_bytes()
    }

    fn body(&mut self, form: Body, body: Vec<u8>) -> (Vec<u8>, Option<String>) {
        match form {
            Body::Plain => (body, None),
            Body::Half => (body.get(..body.len() / 2).unwrap_or_default().to_vec(), None),
            Body::Chunked => {
                let mut chunked = format!("{:x}\r\n", body.len()).into_bytes();
                chunked.extend_from_slice(&body);
                chunked.extend_from_slice(b"\r\n0\r\n\r\n");
                (chunked, None)
            }
            Body::Request | Body::EmptyChunkThenRequest => {
                let (request, id) = self.good();
                let mut bytes = Vec::new();
                if form == Body::EmptyChunkThenRequest {
                    bytes.extend_from_slice(b"0\r\n\r\n");
                }
                bytes.extend_from_slice(&request);
                (bytes, Some(id))
            }
        }
    }
}

/// Puts in what a text leaves open.
fn fill(text: &str, n: usize) -> String {
    let text = text.replace("{n}", &n.to_string()).replace("{host}", HOST);
    let text = repeat(&text, "{fill ", "a");
    repeat(&text, "{lines ", "a: b\r\n")
}

fn repeat(text: &str, open: &str, what: &str) -> String {
    let Some((before, rest)) = text.split_once(open) else { return text.to_owned() };
    let (count, after) = rest.split_once('}').unwrap_or((rest, ""));
    format!("{before}{}{after}", what.repeat(count.parse().unwrap_or(0)))
}

/// Sends bytes on a connection of its own and reads answers until it is closed, or until `enough`
/// of them have come and nothing more does for `settle`.
///
/// # Errors
/// When there is no connection to be had.
pub fn send(
    address: SocketAddr,
    bytes: &[u8],
    ends: bool,
    settle: Option<Duration>,
) -> Result<Answers> {
    let mut stream = TcpStream::connect(address).context("nobody listens")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Whoever refuses may close before everything is read.
    let _ = stream.write_all(bytes);
    if ends {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let closed = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(n) => answer.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                break !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            }
        }
        if let Some(settle) = settle.filter(|_| !statuses(&answer).is_empty()) {
            stream.set_read_timeout(Some(settle))?;
        }
        ensure!(answer.len() <= ANSWER_BYTES_MAX, "an endless answer");
    };
    Ok(Answers { statuses: statuses(&answer), closed })
}

/// Every answer begins a line with its version: no body of ours or of a proxy holds such a line.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    let heads = text.split("HTTP/1.").skip(1);
    let statuses = heads.filter_map(|head| head.get(2..5)?.parse().ok());
    statuses.filter(|status| *status >= 200).collect()
}

/// A gateway that answers to [`HOST`] only and sends nothing on.
///
/// # Errors
/// When its folder cannot be written.
pub fn deployment(binary: &Path) -> Result<Deployment> {
    let deployment = Deployment::new(binary, NO_APPLICATION, Deliveries::Paused)?;
    deployment
        .configure(|text| text.replace("[store]", &format!("hosts = [\"{HOST}\"]\n\n[store]")))?;
    Ok(deployment)
}

/// What is wrong with how a gateway takes the cases when they come straight to it.
///
/// # Errors
/// When it does not run, or cannot be asked.
pub fn faults(deployment: &Deployment) -> Result<Vec<String>> {
    let mut maker = Maker::default();
    let mut faults = Vec::new();
    for case in hostile() {
        let Made { mut bytes, ends, .. } = maker.make(case);
        if !ends {
            bytes.extend_from_slice(&maker.good().0);
        }
        let expected = Answers { statuses: vec![case.status], closed: true };
        let got = send(deployment.public, &bytes, ends, None)?;
        if got != expected {
            faults.push(format!("{}: {:?}: {got:?}, not {}", case.group, case.text, case.status));
        }
    }
    let mut taken = Vec::new();
    for case in good() {
        // A good request is followed by another as well: it is answered, the other is not looked at.
        let Made { mut bytes, own, .. } = maker.make(case);
        bytes.extend_from_slice(&maker.good().0);
        let got = send(deployment.public, &bytes, false, None)?;
        if got != (Answers { statuses: vec![case.status], closed: true }) {
            faults.push(format!("{}: {:?}: {got:?}, not {}", case.group, case.text, case.status));
        }
        taken.push(own);
    }
    let mut kept = kept(deployment)?;
    kept.sort();
    taken.sort();
    if kept != taken {
        faults.push(format!("{} events are kept, {} were good", kept.len(), taken.len()));
    }
    Ok(faults)
}

/// The provider's ids of all events that are kept.
///
/// # Errors
/// When the store cannot be read.
pub fn kept(deployment: &Deployment) -> Result<Vec<String>> {
    let rows = deployment.lines(&["events", "list", "--json", "--limit", "10000"])?;
    let ids = rows.iter().filter_map(|row| row.get("provider_event_id")?.as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// How many requests the gateway has counted, whatever became of them.
///
/// # Errors
/// When its metrics cannot be read.
pub fn arrivals(admin: SocketAddr) -> Result<u64> {
    let mut stream = TcpStream::connect(admin).context("nobody listens")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    ensure!(text.starts_with("HTTP/1.1 200"), "no metrics: {text}");
    let counts = text.lines().filter(|line| line.starts_with("countersign_arrivals_total{"));
    counts
        .map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<u64>())
        .sum::<Result<u64, _>>()
        .context("a count that is none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_many_cases_and_no_two_are_the_same() {
        let texts: BTreeSet<_> =
            hostile().map(|case| (case.group, case.text, format!("{:?}", case.part))).collect();
        assert_eq!(texts.len(), hostile().count());
        assert!(texts.len() >= 120, "{}", texts.len());
        assert!(good().count() >= 10);
    }

    #[test]
    fn every_case_differs_from_a_good_request_in_what_it_says() {
        let mut maker = Maker::default();
        for case in hostile() {
            let made = maker.make(case);
            let text = fill(case.text, 1024);
            let shown = String::from_utf8_lossy(&made.bytes);
            assert!(case.text.contains("{n}") || shown.contains(&text), "{case:?}");
        }
    }

    #[test]
    fn answers_are_counted() {
        assert_eq!(statuses(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), [200]);
        assert_eq!(statuses(b"HTTP/1.1 400 x\r\n\r\n{}HTTP/1.0 502 x\r\n\r\n"), [400, 502]);
        assert_eq!(statuses(b""), [0; 0]);
    }

    #[test]
    fn every_group_stands_in_the_document() {
        let document = include_str!("../../docs/http.md");
        let groups: BTreeSet<_> = hostile().map(|case| case.group).collect();
        let rows: BTreeSet<_> = document
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(group, _)| group))
            .filter(|group| *group != "pipelined")
            .collect();
        assert_eq!(groups, rows);
        for case in hostile() {
            let row =
                document.lines().find(|line| line.starts_with(&format!("| `{}` ", case.group)));
            let told = format!("| {} |", case.status);
            assert!(row.is_some_and(|row| row.contains(&told)), "{}: {told}", case.group);
        }
    }
}
