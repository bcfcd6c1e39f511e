//! One provider with one secret at one address: signs its events, posts them, and tries again.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use schemes::{Draft, Profile, Secret, SignError};

use crate::behaviour::Pace;
use crate::clock::now_ms;
use crate::ledger::{self, Ledger, Purpose, Sent};
use crate::provider::{Event, Provider};
use crate::wire::{self, Answer, Request, Route, SendError};

/// Where the gateway's public listener is. It may move when the gateway starts again.
#[derive(Debug, Clone)]
pub struct Target(Arc<RwLock<SocketAddr>>);

impl Target {
    /// This address, for now.
    pub fn new(address: SocketAddr) -> Self {
        Self(Arc::new(RwLock::new(address)))
    }

    /// The address now.
    pub fn address(&self) -> SocketAddr {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this one.
    pub fn move_to(&self, address: SocketAddr) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

/// What all simulators of a run share.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The gateway.
    pub target: Target,
    /// How addresses reach it.
    pub route: Route,
    /// How fast the providers' clocks run between attempts.
    pub pace: Pace,
    /// Where all is written down.
    pub ledger: Ledger,
}

/// How the sending of one event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The provider is content, after so many attempts.
    Acknowledged {
        /// The first included.
        attempts: u32,
    },
    /// The provider has given up.
    GaveUp,
}

/// One provider with one secret.
pub struct Simulator {
    /// Which provider.
    pub provider: Provider,
    /// The source it was told to send to.
    pub source: String,
    /// The URL it was given at registration; signed by URL-bound schemes.
    pub url: String,
    /// The address it sends from.
    pub from: IpAddr,
    profile: Arc<Profile>,
    secret: Secret,
    surroundings: Surroundings,
}

impl Simulator {
    /// A provider that sends to `source` from `from` and signs with `secret`.
    pub fn new(
        provider: Provider,
        profile: Arc<Profile>,
        secret: Secret,
        from: IpAddr,
        url: String,
        surroundings: Surroundings,
    ) -> Self {
        let source = provider.name().into();
        Self { provider, source, url, from, profile, secret, surroundings }
    }

    /// The profile it signs by.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What it shares with the others.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// The path it posts to.
    pub fn path(&self) -> String {
        format!("/in/{}", self.source)
    }

    /// The signed request of this attempt at this time.
    pub fn sign(&self, event: &Event, attempt: u32, at_ms: i64) -> Result<Request, SignError> {
        self.sign_body(event.body(attempt), &event.message_id, at_ms, &self.secret)
    }

    /// Signs any body with any secret, as this provider would.
    pub fn sign_body(
        &self,
        body: Vec<u8>,
        message_id: &str,
        at_ms: i64,
        secret: &Secret,
    ) -> Result<Request, SignError> {
        let draft = Draft {
            method: "POST",
            url: &self.url,
            headers: self.provider.headers(),
            body: &body,
            now_ms: at_ms,
            id: message_id,
        };
        let signed = schemes::sign(&self.profile, secret, draft)?;
        let own = self.provider.headers().iter().map(|(name, value)| (*name, (*value).to_owned()));
        let headers = own.map(|(name, value)| (name.to_owned(), value.into_bytes()));
        let signature = signed.headers.into_iter().map(|(name, value)| (name, value.into_bytes()));
        Ok(Request {
            method: "POST".into(),
            path: self.path(),
            headers: headers.chain(signature).collect(),
            body: signed.body,
        })
    }

    /// Signs any body with this provider's own secret.
    pub fn sign_own(
        &self,
        body: Vec<u8>,
        message_id: &str,
        at_ms: i64,
    ) -> Result<Request, SignError> {
        self.sign_body(body, message_id, at_ms, &self.secret)
    }

    /// Sends an event as the provider does: again and again until it is content or gives up.
    pub async fn send(&self, event: &Event) -> Result<Outcome, SignError> {
        self.send_from_attempt(event, 1).await
    }

    /// The same, but the answer to the first attempt is lost on the way: the provider hangs up
    /// `linger` after its request is out, and tries again like after any failure.
    pub async fn send_losing_the_answer(
        &self,
        event: &Event,
        linger: Duration,
    ) -> Result<Outcome, SignError> {
        let request = self.sign(event, 1, now_ms())?;
        let at_ms = now_ms();
        let target = self.surroundings.target.address();
        let route = self.surroundings.route;
        let lost = wire::send_and_hang_up(target, self.from, route, &request, linger).await;
        let purpose = Purpose::Event(event.name.clone());
        self.note(at_ms, purpose, 1, &request, Err(lost.code()));
        self.rest_after(1).await;
        self.send_from_attempt(event, 2).await
    }

    /// Sends an event that was acknowledged before once more, as providers now and then do.
    pub async fn send_again(&self, event: &Event) -> Result<Outcome, SignError> {
        self.send_from_attempt(event, 2).await
    }

    /// Posts one request once and writes it down.
    pub async fn post(
        &self,
        purpose: Purpose,
        attempt: u32,
        from: IpAddr,
        request: &Request,
    ) -> Result<Answer, SendError> {
        let at_ms = now_ms();
        let target = self.surroundings.target.address();
        let wait_ms = self.provider.behaviour().answer_ms_max;
        let sent = wire::send(target, from, self.surroundings.route, request, wait_ms).await;
        let answer = ledger::outcome(&sent);
        self.note(at_ms, purpose, attempt, request, answer);
        sent
    }

    async fn send_from_attempt(&self, event: &Event, first: u32) -> Result<Outcome, SignError> {
        let behaviour = self.provider.behaviour();
        let last = u32::try_from(behaviour.waits_ms.len()).unwrap_or(u32::MAX).saturating_add(1);
        for attempt in first..=last.max(first) {
            let request = self.sign(event, attempt, now_ms())?;
            let purpose = Purpose::Event(event.name.clone());
            let answer = self.post(purpose, attempt, self.from, &request).await;
            if answer.is_ok_and(|answer| behaviour.success.is_met_by(answer.status)) {
                return Ok(Outcome::Acknowledged { attempts: attempt });
            }
            if attempt < last {
                self.rest_after(attempt).await;
            }
        }
        Ok(Outcome::GaveUp)
    }

    async fn rest_after(&self, attempt: u32) {
        let nth = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait_ms = self.provider.behaviour().waits_ms.get(nth).copied().unwrap_or(0);
        tokio::time::sleep(self.surroundings.pace.scale(wait_ms)).await;
    }

    fn note(
        &self,
        at_ms: i64,
        purpose: Purpose,
        attempt: u32,
        request: &Request,
        answer: Result<Answer, &'static str>,
    ) {
        let path = request.path.split('?').next().unwrap_or_default();
        let source = path.trim_start_matches("/in/").to_owned();
        let body = request.body.clone();
        self.surroundings.ledger.add(Sent { at_ms, source, purpose, attempt, body, answer });
    }
}
