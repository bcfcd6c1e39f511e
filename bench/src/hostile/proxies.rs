//! The hostile requests through a proxy: does it, or the gateway behind it, make two of one?
//!
//! The proxies run with the configurations of `docs/http.md`, letter for letter but for addresses.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use super::{HOST, Maker, arrivals, good, hostile, kept, send};
use crate::deployment::Deployment;
use crate::server::{Server, free_address};

const DOCUMENT: &str = include_str!("../../../docs/http.md");

/// How long an answer may be followed by another, or by one more arrival.
const SETTLE: Duration = Duration::from_millis(20);

/// A proxy that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
}

/// What came of the cases.
#[derive(Debug, Default)]
pub struct Passed {
    /// Cases that were sent.
    pub sent: u64,
    /// Of those, how many reached the gateway.
    pub arrived: u64,
    /// What is wrong.
    pub faults: Vec<String>,
}

impl Proxy {
    /// Its configuration in the document, for these addresses.
    fn configuration(
        self,
        listen: SocketAddr,
        gateway: SocketAddr,
        folder: &Path,
    ) -> Result<String> {
        let (language, before) = match self {
            Self::Haproxy => ("haproxy", String::new()),
            Self::Nginx => {
                let folder = folder.display();
                let bodies = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
                    .concat();
                let main = format!("daemon off;\nmaster_process off;\npid {folder}/pid;\n");
                (
                    "nginx",
                    format!(
                        "{main}error_log {folder}/log;\nevents {{}}\nhttp {{\naccess_log off;\n{bodies}"
                    ),
                )
            }
        };
        let (_, block) =
            DOCUMENT.split_once(&format!("```{language}\n")).context("no such block")?;
        let (block, _) = block.split_once("```").context("the block has no end")?;
        ensure!(block.contains("127.0.0.1:8480") && block.contains("8080"), "other addresses");
        let block = block
            .replace("127.0.0.1:8480", &gateway.to_string())
            .replace("127.0.0.1:8080", &listen.to_string())
            .replace("listen 8080", &format!("listen {listen}"))
            .replace("hooks.example.com", HOST);
        let after = if self == Self::Nginx { "}\n" } else { "" };
        Ok(format!("{before}{block}{after}"))
    }

    fn start(self, gateway: SocketAddr) -> Result<(Server, SocketAddr, TempDir)> {
        let folder = tempfile::Builder::new().prefix("countersign-proxy-").tempdir()?;
        let listen = free_address()?;
        let file = folder.path().join("configuration");
        std::fs::write(&file, self.configuration(listen, gateway, folder.path())?)?;
        let (program, option) = match self {
            Self::Nginx => ("nginx", "-c"),
            Self::Haproxy => ("haproxy", "-f"),
        };
        let mut command = Command::new(program);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        if self == Self::Haproxy {
            command.arg("-db");
        }
        command.arg(option).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server::listening(command, listen)?;
        Ok((server, listen, folder))
    }
}

/// Sends every case through the proxy, one after the other, and counts what arrives.
///
/// # Errors
/// When the proxy or the gateway cannot be started or asked.
pub fn through(proxy: Proxy, deployment: &Deployment) -> Result<Passed> {
    let (server, listen, _folder) = proxy.start(deployment.public)?;
    let mut maker = Maker::default();
    let mut passed = Passed::default();
    let mut hidden = Vec::new();
    let mut before = arrivals(deployment.admin)?;
    for case in hostile().chain(good()) {
        // Two requests, by the standard: see the document.
        if case.group == "no-length" {
            continue;
        }
        let made = maker.make(case);
        send(listen, &made.bytes, made.ends, Some(SETTLE))?;
        let after = arrivals(deployment.admin)?;
        passed.sent += 1;
        passed.arrived += u64::from(after > before);
        if after > before + 1 {
            passed.faults.push(format!(
                "{}: {:?}: {} arrivals of one request",
                case.group,
                case.text,
                after - before
            ));
        }
        before = after;
        hidden.extend(made.hidden);
    }
    let kept = kept(deployment)?;
    for id in hidden.iter().filter(|id| kept.contains(id)) {
        passed.faults.push(format!("{id} was hidden in a body, and is kept"));
    }
    // Otherwise nothing was seen because nothing comes through.
    let own = plain(&mut maker, listen, deployment)?;
    if !own {
        bail!("a good request does not come through the proxy");
    }
    drop(server);
    Ok(passed)
}

/// Whether a good request comes through.
fn plain(maker: &mut Maker, listen: SocketAddr, deployment: &Deployment) -> Result<bool> {
    let (bytes, id) = maker.good();
    let answers = send(listen, &bytes, false, Some(SETTLE))?;
    Ok(answers.statuses == [200] && kept(deployment)?.contains(&id))
}

#[cfg(test)]
mod tests {
    use super::super::{Body, Part};
    use super::*;

    #[test]
    fn the_document_has_both_configurations() {
        let (listen, gateway) = (free_address().unwrap(), free_address().unwrap());
        for proxy in [Proxy::Nginx, Proxy::Haproxy] {
            let text = proxy.configuration(listen, gateway, Path::new("/nowhere")).unwrap();
            assert!(text.contains(&gateway.to_string()) && text.contains(&listen.to_string()));
            assert!(!text.contains("8480") && !text.contains("hooks.example.com"), "{text}");
        }
    }

    #[test]
    fn requests_are_hidden_in_bodies_and_nowhere_else() {
        let mut maker = Maker::default();
        for case in hostile() {
            let hides = matches!(case.body, Body::Request | Body::EmptyChunkThenRequest);
            assert_eq!(maker.make(case).hidden.is_some(), hides, "{case:?}");
        }
        assert!(hostile().any(|case| case.part == Part::Length && case.body == Body::Request));
    }
}
