//! What Prometheus sees. Labels are configured names and our own codes, never what a sender chose.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use store::{Counts, TransactionCount};

use crate::Tls;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Arrival {
    source: Arc<str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    endpoint: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Redacted {
    source: Arc<str>,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Confirmed {
    source: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lane {
    endpoint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfChain {
    chain: String,
}

/// How far chains are followed.
#[derive(Default)]
struct Chains {
    height: Family<OfChain, Gauge>,
    held: Family<OfChain, Gauge>,
    nodes_failing: Family<OfChain, Gauge>,
    orders: Family<OfChain, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Owner {
    kind: &'static str,
    owner: String,
}

/// The counters of the process.
pub(crate) struct Metrics {
    registry: Registry,
    arrivals: Family<Arrival, Counter>,
    recorded: HashMap<Arc<str>, Counter>,
    attempts: Family<Attempt, Counter>,
    redacted: Family<Redacted, Counter>,
    confirmations: Family<Confirmed, Counter>,
    acknowledgement: Histogram,
    stale: Counter,
    breakers: Family<Lane, Gauge>,
    clock_steps: Counter,
    audit_size: Gauge,
    audit_stopped: Gauge,
    witnesses_behind: Gauge,
    secret_ages: Family<Owner, Gauge>,
    chains: Chains,
}

impl Chains {
    fn register(registry: &mut Registry) -> Self {
        let chains = Self::default();
        let mut register = |name: &str, help: &str, family: &Family<OfChain, Gauge>| {
            registry.register(name, help, family.clone());
        };
        register("chain_height", "Newest block that was read of a chain", &chains.height);
        register(
            "chain_held",
            "1 while nothing advances on a chain: nodes are away, behind or disagree",
            &chains.held,
        );
        register(
            "chain_nodes_failing",
            "Nodes of a chain that do not answer as they should",
            &chains.nodes_failing,
        );
        register("chain_orders", "Orders that are watched on a chain", &chains.orders);
        chains
    }
}

/// Upper bounds of the acknowledgement histogram, seconds.
const BUCKETS_S: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

impl Metrics {
    /// The counters for these sources.
    pub(crate) fn new<'a>(sources: impl Iterator<Item = &'a Arc<str>>) -> Self {
        let mut registry = Registry::with_prefix("countersign");
        let arrivals = Family::<Arrival, Counter>::default();
        registry.register(
            "arrivals",
            "Arrivals by source and outcome: an event status, duplicate, or the code of a refusal",
            arrivals.clone(),
        );
        let attempts = Family::<Attempt, Counter>::default();
        registry.register("attempts", "Attempts by endpoint and outcome", attempts.clone());
        let redacted = Family::<Redacted, Counter>::default();
        registry.register(
            "redacted",
            "Cards and secrets that were masked before an event was kept, by source and kind",
            redacted.clone(),
        );
        let confirmations = Family::<Confirmed, Counter>::default();
        registry.register(
            "confirmations",
            "Questions to providers whether an event is so, by source and what came of them",
            confirmations.clone(),
        );
        let acknowledgement = Histogram::new(BUCKETS_S);
        registry.register(
            "acknowledgement_seconds",
            "From the end of a webhook's headers to its acknowledgement",
            acknowledgement.clone(),
        );
        let stale = Counter::default();
        registry.register("stale_attempts", "Attempts that ended after their lease", stale.clone());
        let breakers = Family::<Lane, Gauge>::default();
        registry.register(
            "breaker_open",
            "1 while an endpoint keeps failing and is left alone but for probes",
            breakers.clone(),
        );
        let clock_steps = Counter::default();
        registry.register("clock_steps", "Times that the clock was set", clock_steps.clone());
        let (audit_size, audit_stopped) = (Gauge::default(), Gauge::default());
        registry.register(
            "audit_entries_signed",
            "Entries under the last checkpoint that this gateway signed or read",
            audit_size.clone(),
        );
        registry.register(
            "audit_stopped",
            "1 while the audit log must not be signed: it was rolled back, rewritten or damaged",
            audit_stopped.clone(),
        );
        let witnesses_behind = Gauge::default();
        registry.register(
            "audit_witnesses_behind",
            "Witnesses that have not heard of the newest checkpoint",
            witnesses_behind.clone(),
        );
        let secret_ages = Family::<Owner, Gauge>::default();
        registry.register(
            "secret_age_days",
            "Age of the oldest secret that counts, by source or endpoint",
            secret_ages.clone(),
        );
        let chains = Chains::register(&mut registry);
        let recorded = sources
            .map(|source| {
                let label = Arrival { source: source.clone(), outcome: "accepted" };
                (source.clone(), arrivals.get_or_create_owned(&label))
            })
            .collect();
        Self {
            registry,
            arrivals,
            recorded,
            attempts,
            redacted,
            confirmations,
            acknowledgement,
            stale,
            breakers,
            clock_steps,
            audit_size,
            audit_stopped,
            witnesses_behind,
            secret_ages,
            chains,
        }
    }

    /// How far a chain is followed.
    pub(crate) fn chain(&self, name: &str, step: &::chains::Step) {
        let label = OfChain { chain: name.to_owned() };
        let set = |family: &Family<OfChain, Gauge>, value: usize| {
            family.get_or_create(&label).set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        let height = step.state.trail().tip().map_or(0, |(height, _)| height);
        set(&self.chains.height, usize::try_from(height).unwrap_or(usize::MAX));
        set(&self.chains.held, usize::from(step.state.held().is_some()));
        set(&self.chains.nodes_failing, step.troubles.iter().flatten().count());
        set(&self.chains.orders, step.state.orders().len());
    }

    /// Counts an arrival.
    pub(crate) fn arrived(&self, source: Option<&Arc<str>>, outcome: &'static str) {
        // A refusal takes the same way whether its source is known or not: its time tells nothing.
        let accepted = source.filter(|_| outcome == "accepted");
        match accepted.and_then(|source| self.recorded.get(source)) {
            Some(counter) => drop(counter.inc()),
            None => {
                let source = source.cloned().unwrap_or_else(|| Arc::from("unknown"));
                self.arrivals.get_or_create(&Arrival { source, outcome }).inc();
            }
        }
    }

    /// Notes how long an acknowledgement took, seconds.
    pub(crate) fn acknowledged(&self, seconds: f64) {
        self.acknowledgement.observe(seconds);
    }

    /// Counts what was masked before an event was kept.
    pub(crate) fn redacted(&self, source: &Arc<str>, kind: &'static str, count: usize) {
        let label = Redacted { source: source.clone(), kind };
        self.redacted.get_or_create(&label).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Counts a question to a provider.
    pub(crate) fn confirmed(&self, source: &str, outcome: &'static str) {
        let label = Confirmed { source: source.to_owned(), outcome };
        self.confirmations.get_or_create(&label).inc();
    }

    /// Counts an attempt.
    pub(crate) fn attempted(&self, endpoint: &str, outcome: &'static str) {
        let label = Attempt { endpoint: endpoint.to_owned(), outcome };
        self.attempts.get_or_create(&label).inc();
    }

    /// Notes whether an endpoint is left alone.
    pub(crate) fn breaker(&self, endpoint: &str, is_open: bool) {
        let label = Lane { endpoint: endpoint.to_owned() };
        self.breakers.get_or_create(&label).set(i64::from(is_open));
    }

    /// Counts an attempt that ended after its lease was taken over.
    pub(crate) fn stale(&self) {
        self.stale.inc();
    }

    /// Notes how far the audit log is signed, and whether it must not be any more.
    pub(crate) fn audit(&self, size: u64, is_stopped: bool) {
        self.audit_size.set(i64::try_from(size).unwrap_or(i64::MAX));
        self.audit_stopped.set(i64::from(is_stopped));
    }

    /// Notes how many witnesses have not heard of the newest checkpoint.
    pub(crate) fn witnesses_behind(&self, count: usize) {
        self.witnesses_behind.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Notes how old the oldest secret of a source or endpoint is.
    pub(crate) fn secret_age(&self, kind: &'static str, owner: &str, days: i64) {
        let label = Owner { kind, owner: owner.to_owned() };
        self.secret_ages.get_or_create(&label).set(days);
    }

    /// Counts that the clock was set.
    pub(crate) fn clock_stepped(&self) {
        self.clock_steps.inc();
    }

    /// The text that Prometheus scrapes, with the store's counts and the listeners' certificates.
    pub(crate) fn scrape(
        &self,
        counts: Option<&Counts>,
        transactions: &[TransactionCount],
        certificates: &[(&str, Tls)],
    ) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            return text;
        }
        let mut gauges = String::new();
        let mut gauge = |name: &str, help: &str, value: u64| {
            let _ = write!(
                gauges,
                "# HELP countersign_{name} {help}.\n# TYPE countersign_{name} gauge\ncountersign_{name} {value}\n"
            );
        };
        gauge("store_up", "1 while the store can be asked", u64::from(counts.is_some()));
        if let Some(counts) = counts {
            gauge("deliveries_pending", "Deliveries that wait", counts.pending);
            gauge("deliveries_parked", "Deliveries whose ordering key has moved on", counts.parked);
            gauge("deliveries_dead", "Dead letters", counts.dead);
            gauge("events_held", "Authentic events that wait for a fact or a person", counts.held);
            let help = "Authentic events that cannot be trusted";
            gauge("events_quarantined", help, counts.quarantined);
            let full = u64::from(counts.full);
            gauge("store_full", "1 while the disk is full and webhooks are refused", full);
        }
        gauges += &transactions_text(transactions);
        let family = |name: &str, help: &str, value: fn(&Tls) -> i64| {
            let mut text =
                format!("# HELP countersign_{name} {help}.\n# TYPE countersign_{name} gauge\n");
            for (listener, tls) in certificates {
                let value = value(tls);
                let _ = writeln!(text, "countersign_{name}{{listener=\"{listener}\"}} {value}");
            }
            text
        };
        gauges += &family(
            "certificate_expiry_timestamp_seconds",
            "When the certificate that a listener shows expires, unix time",
            |tls| tls.expires().as_seconds(),
        );
        gauges += &family(
            "certificate_outdated",
            "1 while the certificate's files hold a newer one that cannot be used",
            |tls| i64::from(tls.outdated()),
        );
        let body = text.strip_suffix("# EOF\n").unwrap_or(&text);
        format!("{body}{gauges}# EOF\n")
    }
}

/// The store's transactions by name, and how they ended.
fn transactions_text(transactions: &[TransactionCount]) -> String {
    let mut text = "# HELP countersign_transactions The store's transactions by name and how they \
                    ended.\n# TYPE countersign_transactions counter\n"
        .to_owned();
    for TransactionCount { name, committed, retried, failed } in transactions {
        for (outcome, count) in [("committed", committed), ("retried", retried), ("failed", failed)]
        {
            let _ = writeln!(
                text,
                "countersign_transactions_total{{name=\"{name}\",outcome=\"{outcome}\"}} {count}"
            );
        }
    }
    text
}
