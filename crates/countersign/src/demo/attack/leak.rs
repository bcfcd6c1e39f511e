//! What must not leak: secrets into logs and answers, and the kind of a failure into its status.

use std::collections::BTreeSet;
use std::time::Duration;

use sandbox::{Answer, Provider, Purpose, Sent};

use super::{Attack, Attacker, Expected, Shot, refused, unsignable};
use crate::demo::capture::Captured;
use crate::demo::observe;
use crate::demo::stage::Stage;
use crate::failure::Failure;

static X13: Attack =
    Attack { name: "X13", sent: "secrets in headers, path and body; then logs searched" };
static X16: Attack = Attack { name: "X16", sent: "all the above: what statuses came back" };

impl Attacker<'_> {
    /// A sender that puts the secret everywhere, so that a careless log has something to say.
    pub(super) async fn leaks(&mut self) -> Result<(), Failure> {
        // Under a flood only some refusals of each second are logged; these have to be.
        let second_ms = sandbox::clock::now_ms().rem_euclid(1000);
        let rest_ms = u64::try_from(1000 - second_ms).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(rest_ms)).await;
        let simulator = self.stage.simulator(Provider::Stripe);
        let secret = self.stage.secret("stripe").to_owned();
        let event = self.event(Provider::Stripe);
        let signed = simulator.sign(&event, 1, sandbox::clock::now_ms()).map_err(unsignable)?;
        let mut everywhere = signed
            .replacing("Stripe-Signature", format!("t=1,v1={secret}"))
            .with("Authorization", format!("Bearer {secret}"))
            .with("X-Request-Id", secret.clone());
        everywhere.path = format!("/in/stripe?secret={secret}");
        everywhere.body = format!(r#"{{"id":"{secret}","secret":"{secret}"}}"#).into_bytes();
        let mut elsewhere = everywhere.clone();
        elsewhere.path = format!("/in/{secret}");
        self.fire(&X13, &simulator, everywhere, refused(&simulator)).await?;
        self.fire(&X13, &simulator, elsewhere, Expected::Refused(401)).await?;
        // The source of this shot is a secret: it is not to be printed by the demo either.
        if let Some(last) = self.shots.last_mut() {
            last.provider = "nobody".into();
        }
        Ok(())
    }
}

/// Searches everything that was logged and answered for every secret.
pub(super) async fn search(stage: &Stage, captured: &Captured) -> Shot {
    let log = captured.text();
    let entries = stage.surroundings.ledger.entries();
    let answers: Vec<String> = entries.iter().filter_map(answer_text).collect();
    let metrics = observe::metrics(stage.admin).await.unwrap_or_default();
    let places = || answers.iter().chain([&log, &metrics]);
    let leaked: BTreeSet<&str> = stage
        .secrets
        .iter()
        .filter(|kept| places().any(|text| spellings(&kept.text).any(|s| text.contains(s))))
        .map(|kept| kept.name.as_str())
        .collect();
    // A search of nothing finds nothing: those that carried secrets must be in the log, each by the
    // request id of its answer.
    let carried = |sent: &&Sent| sent.purpose == Purpose::Attack(X13.name.to_owned());
    let is_logged = entries.iter().filter(carried).all(|sent| is_logged(sent, &log));
    let is_searched = is_logged && !metrics.is_empty();
    let reason = if !is_searched {
        "the log is incomplete".to_owned()
    } else if leaked.is_empty() {
        let lines = log.lines().count();
        format!("{lines} log lines and {} answers without a secret", answers.len())
    } else {
        format!("leaked: {}", leaked.into_iter().collect::<Vec<_>>().join(", "))
    };
    let is_clean = is_searched && reason.ends_with("without a secret");
    finding(&X13, reason, is_clean)
}

/// The whole secret, and what it is without its prefix.
fn spellings(secret: &str) -> impl Iterator<Item = &str> {
    let bare = secret.rsplit('_').next().filter(|bare| bare.len() >= 16);
    std::iter::once(secret).chain(bare)
}

fn answer_text(sent: &Sent) -> Option<String> {
    let answer = sent.answer.as_ref().ok()?;
    Some(format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body)))
}

/// Whether a refusal can be found in the log by the request id of its answer.
fn is_logged(sent: &Sent, log: &str) -> bool {
    let Ok(answer) = &sent.answer else { return false };
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let id = problem.get("request").and_then(serde_json::Value::as_str);
    id.is_some_and(|id| log.contains(id))
}

/// No answer to an attack is a server's error, each failed verification has the one status that
/// its provider's profile gives it, and all of one status are alike but for date and request id.
pub(super) fn statuses(stage: &Stage, shots: &[Shot]) -> Shot {
    let entries = stage.surroundings.ledger.entries();
    let attacks = entries.iter().filter(|sent| matches!(sent.purpose, Purpose::Attack(_)));
    let answers: Vec<&Answer> = attacks.filter_map(|sent| sent.answer.as_ref().ok()).collect();
    let statuses: BTreeSet<u16> = answers.iter().map(|answer| answer.status).collect();
    let is_never_ours = statuses.iter().all(|status| *status < 500);
    let is_uniform = shots.iter().all(|shot| match shot.expected {
        Expected::Refused(status) => shot.status == Some(status) && [400, 401].contains(&status),
        _ => true,
    });
    let refusals = answers.iter().filter(|answer| [400, 401].contains(&answer.status));
    let faces: BTreeSet<(u16, String)> =
        refusals.map(|answer| (answer.status, face(answer))).collect();
    let refusals: BTreeSet<u16> = faces.iter().map(|(status, _)| *status).collect();
    let are_alike = faces.len() == refusals.len();
    let seen = statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let alike = if are_alike { "alike but for the request id" } else { "NOT alike" };
    let told = format!("only {seen}; refusals {alike}");
    finding(&X16, told, is_never_ours && is_uniform && are_alike)
}

/// What an answer looks like from outside, without what differs from request to request.
fn face(answer: &Answer) -> String {
    let headers = answer.headers.iter().filter(|(name, _)| name != "date");
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
    let mut body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body.as_object_mut().and_then(|members| members.remove("request"));
    format!("{} {body}", headers.join(", "))
}

fn finding(attack: &'static Attack, reason: String, is_as_expected: bool) -> Shot {
    Shot {
        attack,
        provider: "all".to_owned(),
        expected: Expected::Clean,
        status: None,
        reasons: vec![(reason, 1)],
        body: None,
        is_as_expected,
        is_good: is_as_expected,
    }
}
