//! The way in: admit ▸ verify ▸ read ▸ decide ▸ record ▸ acknowledge.
//!
//! [`Inbound::receive`] reads straight down; each step takes what the one before made. A step that
//! stops an arrival gives a [`Refusal`], which is counted, logged and answered in one place. What is
//! authentic is always recorded, whatever becomes of it: held, quarantined or accepted.

pub(crate) mod address;
mod admit;
mod blocks;
pub(crate) mod body;
mod certificates;
mod judge;
pub(crate) mod limits;
mod orders;
mod receipt;
mod record;
mod redaction;
pub(crate) mod transport;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use ipnet::IpNet;
use model::limits::{FAILED_SIGNATURES_MAX, FAILED_SIGNATURES_PERIOD_MS};
use model::rate::Rate;
use model::{ArrivalId, Environment, RequestId};
use sabotage::{Defect, Point};
use store::Store;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::answer::{self, Answer, Limited};
use crate::blocks::Blocks;
use crate::keys::KeyRing;
use crate::listener::{self, Peer};
use crate::log_budget::{Line, LogBudget};
use crate::metrics::Metrics;
use crate::orders::{Orders, TRIES};
use crate::secrets::SourceKeys;
use crate::sharing::{Counter, Sharing};
use crate::tallies::{Arrived, Tallies};
use crate::{Clock, Format, Refusal, SecurityTxt, Source, entropy};
use admit::Arrival;
pub(crate) use certificates::CertificateStore;
pub use certificates::{CertificateScript, Certificates, Fetch};
pub(crate) use judge::fate;
use limits::AddressLimit;
pub(crate) use record::plan;
pub(crate) use redaction::document_endpoints;

/// A source as it is served.
pub(crate) struct ActiveSource {
    name: Arc<str>,
    provider: Arc<str>,
    endpoints: Vec<Arc<str>>,
    /// Those of them that may get a redacted event.
    document_endpoints: Vec<Arc<str>>,
    limit: Option<AddressLimit>,
    keys: SourceKeys,
    settings: Source,
}

/// The way in, for all sources.
pub(crate) struct Inbound {
    parts: Parts,
    orders: Arc<Orders>,
    environment: Environment,
    hosts: Vec<String>,
    trusted_proxies: Vec<IpNet>,
    security_txt: Option<SecurityTxt>,
    sources: HashMap<String, Arc<ActiveSource>>,
    /// All sources, by name: see `stand_in`.
    stand_ins: Vec<Arc<ActiveSource>>,
    failed_signatures: AddressLimit,
    certificates: CertificateStore,
    log_budget: LogBudget,
}

/// What the way in and the way out share.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tallies: Arc<Tallies>,
    /// Whoever is blocked.
    pub(crate) blocks: Arc<Blocks>,
    /// Rung when deliveries were recorded.
    pub(crate) fresh_work: Arc<Notify>,
}

/// A refused arrival, and what its sender is told beyond the status.
struct Refused {
    refusal: Refusal,
    limited: Option<Limited>,
    source: Option<Arc<ActiveSource>>,
}

impl Inbound {
    pub(crate) fn new(parts: Parts, orders: Arc<Orders>, settings: InboundSettings) -> Self {
        let failed = Rate { count: FAILED_SIGNATURES_MAX, period_ms: FAILED_SIGNATURES_PERIOD_MS };
        let mut stand_ins: Vec<_> = settings
            .sources
            .into_iter()
            .filter_map(|source| {
                let keys = settings.keys.get(&source.name)?.clone();
                Some(Arc::new(ActiveSource::new(source, keys, &settings.formats)))
            })
            .collect();
        stand_ins.sort_by(|one, other| one.name.cmp(&other.name));
        let sources =
            stand_ins.iter().map(|source| (source.settings.name.clone(), source.clone())).collect();
        Self {
            parts,
            orders,
            environment: settings.environment,
            hosts: settings.hosts,
            trusted_proxies: settings.trusted_proxies,
            security_txt: settings.security_txt,
            sources,
            stand_ins,
            failed_signatures: AddressLimit::new(failed),
            certificates: settings.certificates,
            log_budget: LogBudget::default(),
        }
    }

    /// Failed signatures are counted over all gateways.
    pub(crate) async fn share_limits(self: Arc<Self>, counter: Counter, stop: CancellationToken) {
        let sharing = Sharing { name: "failed_signatures", limit: &self.failed_signatures.0 };
        let hash =
            |address: IpAddr| self.parts.keys.index("window", &[address.to_string().as_bytes()]);
        sharing.run(hash, counter, stop).await;
    }

    /// Takes one request to the public listener and answers it.
    pub(crate) async fn receive(&self, peer: Peer, request: hyper::Request<Incoming>) -> Answer {
        let is_secure = transport::is_secure(peer, request.headers());
        let arrival = self.arrival(peer, &request);
        // What the gate refused says nothing of its transport any more: that is answered in admit.
        let is_marker = listener::refused(&request).is_some();
        let is_refused = !is_secure && !is_marker && self.environment == Environment::Live;
        if is_refused && !sabotage::on(Defect::PlainHttpTaken) {
            return self.refuse_plain(&arrival, &request);
        }
        let file = self.security_txt.as_ref().filter(|_| self.host_allowed(request.headers()));
        let mut answer = match SecurityTxt::answer(file, &request) {
            Some(file) if !is_marker => file,
            _ => self.judge_arrival(&arrival, request).await,
        };
        if is_secure {
            answer::stay_on_https(&mut answer);
        }
        answer
    }

    async fn judge_arrival(&self, arrival: &Arrival, request: hyper::Request<Incoming>) -> Answer {
        let started = Instant::now();
        match self.pass(arrival, request).await {
            Ok(acknowledgement) => {
                self.parts.metrics.acknowledged(started.elapsed().as_secs_f64());
                acknowledgement
            }
            Err(refused) => self.refuse(arrival, refused),
        }
    }

    async fn pass(
        &self,
        arrival: &Arrival,
        request: hyper::Request<Incoming>,
    ) -> Result<Answer, Refused> {
        let received = self.admit(arrival, request).await?;
        let certificate = self.certificate(arrival, &received).await?;
        for _ in 0..TRIES {
            let mut judged = self.judge(arrival, &received, certificate.as_ref())?;
            let plan = self.match_orders(arrival, &received, &mut judged).await?;
            let record = self.seal(arrival, &received, judged, plan).await?;
            pass(Point::Sealed, &received.source)?;
            if self.record(arrival, &received, record).await? {
                pass(Point::Recorded, &received.source)?;
                return Ok(answer::acknowledgement(
                    received.source.settings.profile.acknowledgement(),
                ));
            }
        }
        Err(Refused::of(Refusal::Overloaded, &received.source))
    }

    fn arrival(&self, peer: Peer, request: &hyper::Request<Incoming>) -> Arrival {
        let at = self.parts.clock.now();
        let random = entropy::bytes::<20>();
        let (one, two) = random.split_at(10);
        Arrival {
            at,
            id: ArrivalId::new(at, one.try_into().unwrap_or_default()),
            request: RequestId::new(at, two.try_into().unwrap_or_default()),
            address: address::source_address(peer, request.headers(), &self.trusted_proxies),
        }
    }

    /// A live gateway takes nothing over plain HTTP; a reader is shown the way.
    fn refuse_plain(&self, arrival: &Arrival, request: &hyper::Request<Incoming>) -> Answer {
        let refused = self.refuse(arrival, Refusal::PlainHttp.into());
        let location = transport::https_location(request);
        match location.filter(|_| self.host_allowed(request.headers())) {
            Some(location) => answer::over_https(location, arrival.request),
            None => refused,
        }
    }

    /// Counts, logs and answers a refused arrival.
    fn refuse(&self, arrival: &Arrival, refused: Refused) -> Answer {
        let Refused { refusal, limited, source } = refused;
        let name = source.as_ref().map(|source| &source.name);
        self.parts.metrics.arrived(name, refusal.code());
        self.parts.tallies.count(Arrived {
            source: name.cloned(),
            address: arrival.address,
            step: refusal.step(),
            reason: refusal.code(),
            event: None,
            arrival: arrival.id,
            at: arrival.at,
        });
        if let Line::Write { skipped } = self.log_budget.line(arrival.at.as_seconds()) {
            tracing::info!(
                request = %arrival.request,
                source = name.map(|name| &**name),
                reason = refusal.code(),
                limited = limited.is_some(),
                skipped,
                "arrival refused"
            );
        }
        let unverified = source.map_or(401, |source| source.settings.profile.refusal_status());
        answer::refusal(refusal, limited, unverified, arrival.request)
    }

    /// A failed verification: an address that has had its share of those is told to wait.
    fn unverified(
        &self,
        arrival: &Arrival,
        refusal: Refusal,
        source: Option<Arc<ActiveSource>>,
    ) -> Refused {
        let taken = self.failed_signatures.take(arrival.address, arrival.at.as_millis());
        Refused { refusal, limited: taken.err(), source }
    }
}

/// The settings that concern the way in.
pub(crate) struct InboundSettings {
    pub(crate) environment: Environment,
    pub(crate) hosts: Vec<String>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Where to write about a weakness, if it is to be said here.
    pub(crate) security_txt: Option<SecurityTxt>,
    pub(crate) sources: Vec<Source>,
    /// What each source verifies with.
    pub(crate) keys: HashMap<String, SourceKeys>,
    /// What providers sign with where they sign with certificates.
    pub(crate) certificates: CertificateStore,
    /// What each endpoint takes.
    pub(crate) formats: Vec<(String, Format)>,
}

impl ActiveSource {
    fn new(settings: Source, keys: SourceKeys, formats: &[(String, Format)]) -> Self {
        Self {
            name: Arc::from(settings.name.as_str()),
            provider: Arc::from(settings.profile.name()),
            endpoints: settings.endpoints.iter().map(|name| Arc::from(name.as_str())).collect(),
            document_endpoints: redaction::document_endpoints(&settings, formats),
            limit: settings.rate_limit.map(AddressLimit::new),
            keys,
            settings,
        }
    }
}

impl Refused {
    fn of(refusal: Refusal, source: &Arc<ActiveSource>) -> Self {
        Self { refusal, limited: None, source: Some(source.clone()) }
    }
}

/// Passes a failpoint, or refuses as when the store cannot keep it.
fn pass(point: Point, source: &Arc<ActiveSource>) -> Result<(), Refused> {
    let fails = sabotage::fails(point);
    if fails { Err(Refused::of(Refusal::NotDurable, source)) } else { Ok(()) }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, limited: None, source: None }
    }
}
