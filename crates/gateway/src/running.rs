//! Starts the gateway's parts, keeps them running, and stops them in an order that loses nothing.

mod doors;
mod upkeep;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use audit::SigningKey;
use model::{Environment, Permission};
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::api::admin::{Office, ServedOffice};
use crate::api::{Api, Limits, Served, ServedEndpoint, ServedSource};
use crate::api_keys::ApiKeys;
use crate::auditing::{Auditing, Keeper, Shipper};
use crate::blocks::Blocks;
use crate::chains::{Chain, ChainAsset, Follower, Nodes};
use crate::inbound::{CertificateStore, Inbound, InboundSettings, Parts};
use crate::keys::{KeyError, KeyRing};
use crate::listener::{self, Doors};
use crate::metrics::Metrics;
use crate::operations::Desk;
use crate::operators::Operators;
use crate::orders::{Deciding, Orders};
use crate::outbound::{Client, Outbound};
use crate::secrets::{EndpointKeys, Secrets};
use crate::sharing::Counter;
use crate::tallies::Tallies;
use crate::{Clock, Endpoint, Proxy, Resolver, Settings, Source};

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be taken.
    #[error(
        "listen_failed: cannot listen on {address} ([server] {key}): {error}; stop what listens there or choose another address"
    )]
    Listen {
        /// The key of `[server]`.
        key: &'static str,
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The store's keys cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The gateway, before it runs.
pub struct Gateway;

/// A running gateway.
pub struct Running {
    public: SocketAddr,
    admin: SocketAddr,
    api: SocketAddr,
    store: Store,
    keys: Arc<KeyRing>,
    tallies: Arc<Tallies>,
    api_keys: Arc<ApiKeys>,
    operators: Arc<Operators>,
    stop_in: CancellationToken,
    stop_out: CancellationToken,
    failed: CancellationToken,
    inward: Vec<JoinHandle<()>>,
    outward: Vec<JoinHandle<()>>,
    stop_log: CancellationToken,
    keeping: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Starts every part and gives the handle that stops them.
    ///
    /// # Errors
    /// A listener's address is taken, or the root key does not open the store.
    pub async fn start(
        settings: Settings,
        store: Store,
        clock: Clock,
    ) -> Result<Running, StartError> {
        let public = doors::listen("public", settings.public)?;
        let admin = doors::listen("admin", settings.admin)?;
        let api = doors::listen("api", settings.api)?;
        let keys = Arc::new(KeyRing::open(settings.root, store.clone(), clock.now()).await?);
        let api_keys =
            ApiKeys::open(store.clone(), keys.clone(), settings.environment, clock.now()).await?;
        let operators = Operators::open(store.clone(), keys.clone(), clock.now()).await?;
        let parts = parts(&settings.sources, store, keys, &clock).await?;
        let orders = Arc::new(Orders::open(&parts, &settings.sources, &settings.endpoints).await?);
        let secrets = Secrets::open(&parts, &settings.sources, &settings.endpoints).await?;
        let origin = settings.auditing.origin.as_deref();
        let audit_key = parts.keys.audit_key(origin, clock.now()).await?;
        let addresses = [
            doors::address_of(&public, settings.public),
            doors::address_of(&admin, settings.admin),
            doors::address_of(&api, settings.api),
        ];
        let mut running = Running::over(&parts, addresses, api_keys, operators);
        let said = settings.security_txt;
        let asked = (settings.environment, settings.second_person);
        let shown = Admin {
            clock: parts.clock.clone(),
            store: parts.store.clone(),
            metrics: parts.metrics.clone(),
            office: office(&parts, running.operators.clone(), asked, &settings.sources),
            security_txt: said.clone(),
            certificates: doors::certificates([
                &settings.tls,
                &settings.admin_tls,
                &settings.api_tls,
            ]),
        };
        let admin_doors = doors::admin(settings.admin_allow, settings.admin_tls);
        let api_doors = doors::api(settings.trusted_proxies.clone(), settings.api_tls);
        let counter = Counter::of(&settings.windows, &parts.store);
        let around = (&settings.resolver, settings.proxy.as_ref());
        running.follow_chains(&parts, (&settings.chains, &settings.orders.assets), around, &orders);
        let orders_a_customer = settings.orders.per_customer;
        let served = Served::new(Api {
            clock: parts.clock.clone(),
            desk: Desk::over(parts.store.clone(), parts.keys.clone()),
            keys: parts.keys.clone(),
            callers: running.api_keys.clone(),
            environment: settings.environment,
            trusted_proxies: settings.trusted_proxies.clone(),
            security_txt: said.clone(),
            sources: settings.sources.iter().map(ServedSource::of).collect(),
            endpoints: settings.endpoints.iter().map(ServedEndpoint::of).collect(),
            fresh_work: parts.fresh_work.clone(),
            orders: orders.clone(),
            order_rules: settings.orders,
            limits: Limits::new(orders_a_customer),
            log_budget: Default::default(),
        });
        running.serve_api(api, api_doors, served, counter.clone());
        let formats: Vec<_> =
            settings.endpoints.iter().map(|e| (e.name.clone(), e.format)).collect();
        let client = Arc::new(Client::new(&settings.resolver, settings.proxy.as_ref()));
        running.keep_log(&parts, (settings.auditing, audit_key), client.clone());
        let (verifying, signing) = (secrets.of_sources(), secrets.of_endpoints());
        running.outward.push(tokio::spawn(secrets.run(running.stop_out.clone())));
        let asking = (settings.environment, &client);
        let deciding = Deciding::new(&parts, &orders, &settings.sources, &formats, asking);
        running.see_to_orders(deciding, &orders, &clock);
        let certificates = CertificateStore::new(settings.certificates, client.clone());
        running.deliver(&parts, (settings.endpoints, signing), settings.environment, client);
        running.housekeep(&parts);
        running.keep_api_keys(clock);
        running.keep_sessions();
        running.keep_blocks(&parts);
        running.retain(&parts, settings.retention);
        let trusted = settings.trusted_proxies.clone();
        let public_doors = doors::public(trusted, settings.proxy_protocol, settings.tls);
        let inbound = InboundSettings {
            environment: settings.environment,
            hosts: settings.hosts,
            trusted_proxies: settings.trusted_proxies,
            security_txt: said,
            sources: settings.sources,
            keys: verifying,
            certificates,
            formats,
        };
        let inbound = Arc::new(Inbound::new(parts, orders, inbound));
        running.serve_public(public, public_doors, inbound, counter);
        // Last: who is told `ready` may send at once.
        running.serve_admin(admin, admin_doors, shown);
        Ok(running)
    }
}

impl Running {
    /// Nothing runs yet.
    fn over(
        parts: &Parts,
        [public, admin, api]: [SocketAddr; 3],
        api_keys: ApiKeys,
        operators: Operators,
    ) -> Self {
        Self {
            public,
            admin,
            api,
            store: parts.store.clone(),
            keys: parts.keys.clone(),
            tallies: parts.tallies.clone(),
            api_keys: Arc::new(api_keys),
            operators: Arc::new(operators),
            stop_in: CancellationToken::new(),
            stop_out: CancellationToken::new(),
            failed: CancellationToken::new(),
            inward: Vec::new(),
            outward: Vec::new(),
            stop_log: CancellationToken::new(),
            keeping: None,
        }
    }

    /// Orders expire, and what waits for them is decided anew.
    fn see_to_orders(&mut self, deciding: Deciding, orders: &Arc<Orders>, clock: &Clock) {
        let stop = || self.stop_out.clone();
        let expiring = orders.clone().run(clock.clone(), stop());
        let deciding = Arc::new(deciding).run(stop());
        self.outward.extend([tokio::spawn(expiring), tokio::spawn(deciding)]);
    }

    /// Where webhooks are taken.
    pub fn public_address(&self) -> SocketAddr {
        self.public
    }

    /// Where health and metrics are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The API keys, as this gateway knows them.
    pub fn api_keys(&self) -> &Arc<ApiKeys> {
        &self.api_keys
    }

    /// The operators and their sessions.
    pub fn operators(&self) -> &Arc<Operators> {
        &self.operators
    }

    /// Where applications ask.
    pub fn api_address(&self) -> SocketAddr {
        self.api
    }

    /// Resolves when the store can no longer be trusted: the process must end rather than guess.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Stops: no new webhooks, running ones finish, attempts in flight are settled, counts are
    /// written, the store is closed.
    pub async fn stop(self) {
        self.stop_in.cancel();
        for task in self.inward {
            let _ = task.await;
        }
        self.stop_out.cancel();
        for task in self.outward {
            let _ = task.await;
        }
        upkeep::write_tallies(&self.store, &self.keys, &self.tallies).await;
        self.stop_log.cancel();
        if let Some(keeping) = self.keeping {
            let _ = keeping.await;
        }
        self.store.close().await;
    }

    fn serve_public(
        &mut self,
        socket: TcpListener,
        doors: Doors,
        inbound: Arc<Inbound>,
        counter: Option<Counter>,
    ) {
        if let Some(counter) = counter {
            let sharing = inbound.clone().share_limits(counter, self.stop_in.clone());
            self.inward.push(tokio::spawn(sharing));
        }
        let answer = |inbound: Arc<Inbound>, peer, request| async move {
            inbound.receive(peer, request).await
        };
        let stop = self.stop_in.clone();
        self.inward.push(tokio::spawn(listener::serve(socket, doors, stop, inbound, answer)));
    }

    fn serve_api(
        &mut self,
        socket: TcpListener,
        doors: Doors,
        served: Served,
        counter: Option<Counter>,
    ) {
        let served = Arc::new(served);
        if let Some(counter) = counter {
            let sharing = served.clone().share_limits(counter, self.stop_in.clone());
            self.inward.push(tokio::spawn(sharing));
        }
        let answer =
            |served: Arc<Served>, peer, request| async move { served.answer(peer, request).await };
        let stop = self.stop_in.clone();
        self.inward.push(tokio::spawn(listener::serve(socket, doors, stop, served, answer)));
    }

    fn serve_admin(&mut self, socket: TcpListener, doors: Doors, admin: Admin) {
        let admin = Arc::new(admin);
        let answer =
            |admin: Arc<Admin>, peer, request| async move { admin.answer(peer, request).await };
        let stop = self.stop_out.clone();
        self.outward.push(tokio::spawn(listener::serve(socket, doors, stop, admin, answer)));
    }

    fn deliver(
        &mut self,
        parts: &Parts,
        (endpoints, signing): (Vec<Endpoint>, HashMap<String, EndpointKeys>),
        environment: Environment,
        client: Arc<Client>,
    ) {
        let endpoints: HashMap<_, _> = endpoints
            .into_iter()
            .map(|endpoint| (endpoint.name.clone(), Arc::new(endpoint)))
            .collect();
        let outbound =
            Arc::new(Outbound::new(parts.clone(), (endpoints, signing), environment, client));
        if parts.store.is_shared() {
            self.outward.push(tokio::spawn(outbound.clone().share_breakers(self.stop_out.clone())));
        }
        self.outward.push(tokio::spawn(outbound.run(self.stop_out.clone())));
    }

    /// Looks for payments of orders on every chain that is watched.
    fn follow_chains(
        &mut self,
        parts: &Parts,
        (chains, assets): (&[Chain], &[ChainAsset]),
        (resolver, proxy): (&Resolver, Option<&Proxy>),
        orders: &Arc<Orders>,
    ) {
        let assets: Arc<[ChainAsset]> = assets.into();
        for chain in chains {
            let nodes = Nodes::new(chain.nodes.clone(), resolver, proxy);
            let follower =
                Follower::new(chain, nodes, assets.clone(), orders.clone(), parts.clone());
            self.outward.push(tokio::spawn(follower.run(self.stop_out.clone())));
        }
    }

    /// Gives audit entries their place and signs checkpoints, until after everything else has ended.
    fn keep_log(
        &mut self,
        parts: &Parts,
        (auditing, key): (Auditing, SigningKey),
        client: Arc<Client>,
    ) {
        let (store, clock) = (self.store.clone(), parts.clock.clone());
        for sink in &auditing.sinks {
            let (sink, store) = (sink.clone(), self.store.clone());
            let shipper = Shipper { sink, store, clock: clock.clone(), client: client.clone() };
            self.outward.push(tokio::spawn(shipper.run(self.stop_out.clone())));
        }
        let around = (client, parts.metrics.clone());
        let keeper = Keeper::new(store, clock, key, auditing, around);
        self.keeping = Some(tokio::spawn(keeper.run(self.stop_log.clone())));
    }
}

/// What operators ask, of a gateway with these sources.
fn office(
    parts: &Parts,
    operators: Arc<Operators>,
    (environment, second_person): (Environment, BTreeSet<Permission>),
    sources: &[Source],
) -> ServedOffice {
    ServedOffice::new(Office::new(
        parts.clock.clone(),
        Desk::over(parts.store.clone(), parts.keys.clone()),
        operators,
        environment,
        sources.iter().map(ServedSource::of).collect(),
        second_person,
        parts.blocks.clone(),
    ))
}

/// What the way in and the way out share.
async fn parts(
    sources: &[Source],
    store: Store,
    keys: Arc<KeyRing>,
    clock: &Clock,
) -> Result<Parts, KeyError> {
    let names: Vec<Arc<str>> =
        sources.iter().map(|source| Arc::from(source.name.as_str())).collect();
    let blocks = Blocks::open(store.clone(), keys.clone(), clock.clone()).await?;
    Ok(Parts {
        clock: clock.clone(),
        store,
        keys,
        metrics: Arc::new(Metrics::new(names.iter())),
        tallies: Arc::new(Tallies::default()),
        blocks: Arc::new(blocks),
        fresh_work: Arc::new(Notify::new()),
    })
}
