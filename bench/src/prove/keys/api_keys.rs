//! API keys on three gateways: how soon a revoked one is refused everywhere, and a roll under load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::super::{Got, Proof, Tools};
use crate::deployment::{Deliveries, NO_APPLICATION};
use crate::postgres::{Cluster, SERVING};
use crate::replicas::fleet::{Fleet, deploy};
use crate::wire::Connection;

const REPLICAS: usize = 3;

/// A key may ask a hundred times a second: less than that, at each gateway.
const PAUSE: Duration = Duration::from_millis(20);

/// How long it is waited for what must come within a second.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn prove(tools: &Tools, proof: &mut Proof) -> Result<()> {
    let (revocations, load) =
        if tools.short { (4, Duration::from_secs(3)) } else { (30, Duration::from_secs(60)) };
    let shop = Shop::open(tools);
    let with = |measure: &dyn Fn(&Shop) -> Result<Got>| match &shop {
        Ok(shop) => measure(shop),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    proof.claim(
        "from the command to the last of three gateways that refuses a revoked key, milliseconds",
        "<= 1000",
        with(&|shop| shop.revoke(revocations)),
    )?;
    proof.claim(
        "requests that fail inside the overlap of a roll, with the old key or the new one",
        "0, and the old one is refused after it",
        with(&|shop| shop.roll(load)),
    )
}

/// Three gateways on one database.
struct Shop {
    runtime: tokio::runtime::Runtime,
    fleet: Fleet,
    _cluster: Cluster,
}

/// A key as it was printed, and its id.
struct Key {
    text: String,
    id: String,
}

impl Shop {
    fn open(tools: &Tools) -> Result<Self> {
        let cluster = Cluster::start(&[])?;
        let url = cluster.url(SERVING, "keys");
        let first =
            deploy(&url, &cluster, "keys", &tools.binary, NO_APPLICATION, Deliveries::Paused)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { runtime, fleet: Fleet::start(first, REPLICAS)?, _cluster: cluster })
    }

    fn command(&self, arguments: &[&str]) -> Result<Value> {
        self.fleet.any()?.lines(arguments)?.pop().context("no answer")
    }

    fn create(&self) -> Result<Key> {
        key(&self.command(&["keys", "create", "shop", "--allow", "endpoints:read", "--json"])?)
    }

    fn gateways(&self) -> Vec<SocketAddr> {
        self.fleet.deployments().map(|deployment| deployment.api).collect()
    }

    /// Waits until every gateway lets a key in, or none does any more; gives when the last one did. A
    /// new key is given the time to be heard of first: strangers who ask often are told to wait.
    fn until(&self, key: &Key, is_let_in: bool) -> Result<Instant> {
        if is_let_in {
            std::thread::sleep(Duration::from_millis(500));
        }
        let waiting = self.gateways().into_iter().map(|gateway| {
            let request = request(gateway, key);
            self.runtime.spawn(async move {
                let begun = Instant::now();
                let mut connection = Connection::open(gateway).await?;
                while begun.elapsed() < PATIENCE {
                    if (connection.exchange(request.as_bytes()).await? == 200) == is_let_in {
                        return Ok(Instant::now());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(anyhow::anyhow!("never {}", if is_let_in { "let in" } else { "refused" }))
            })
        });
        let waiting: Vec<_> = waiting.collect();
        let mut last = Instant::now();
        for one in waiting {
            last = last.max(self.runtime.block_on(one)??);
        }
        Ok(last)
    }

    fn revoke(&self, times: u32) -> Result<Got> {
        let mut longest = Duration::ZERO;
        for _ in 0..times {
            let key = self.create()?;
            self.until(&key, true)?;
            let begun = Instant::now();
            self.command(&["keys", "revoke", &key.id, "--cause", "leaked", "--json"])?;
            longest = longest.max(self.until(&key, false)?.saturating_duration_since(begun));
        }
        Ok(Got {
            got: json!(longest.as_millis()),
            ok: longest <= Duration::from_secs(1),
            n: times.into(),
            detail: format!("the longest of {times}, the command's own start included"),
        })
    }

    fn roll(&self, load: Duration) -> Result<Got> {
        let old = self.create()?;
        self.until(&old, true)?;
        let rolled = self.command(&["keys", "roll", &old.id, "--overlap", "1h", "--json"])?;
        let new = key(&rolled)?;
        self.until(&new, true)?;
        let mut asking = Vec::new();
        for gateway in self.gateways() {
            for key in [&old, &new] {
                let request = request(gateway, key);
                asking.push(self.runtime.spawn(async move {
                    let (mut good, mut bad) = (0_u64, 0_u64);
                    let begun = Instant::now();
                    let mut connection = Connection::open(gateway).await?;
                    while begun.elapsed() < load {
                        let status = connection.exchange(request.as_bytes()).await?;
                        if status == 200 {
                            good += 1
                        } else {
                            bad += 1
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                    Ok::<_, anyhow::Error>((good, bad))
                }));
            }
        }
        let (mut good, mut bad) = (0, 0);
        for one in asking {
            let (of_one, not_of_one) = self.runtime.block_on(one)??;
            good += of_one;
            bad += not_of_one;
        }
        ensure!(good > 0, "nothing was asked");
        // Rolling the new one ends what is left of the old one's grace.
        let begun = Instant::now();
        self.command(&["keys", "roll", &new.id, "--overlap", "24h", "--json"])?;
        let ended = self.until(&old, false)?.saturating_duration_since(begun);
        Ok(Got {
            got: json!(bad),
            ok: bad == 0 && ended <= Duration::from_secs(1),
            n: good + bad,
            detail: format!(
                "at three gateways; the old one is refused everywhere {} ms after its grace was ended",
                ended.as_millis()
            ),
        })
    }
}

fn key(made: &Value) -> Result<Key> {
    let text = |name: &str| made.get(name).and_then(Value::as_str).map(str::to_owned);
    let (text, id) = text("key").zip(text("id")).with_context(|| format!("no key: {made}"))?;
    Ok(Key { text, id })
}

fn request(gateway: SocketAddr, key: &Key) -> String {
    format!(
        "GET /v1/endpoints HTTP/1.1\r\nhost: {gateway}\r\nauthorization: Bearer {}\r\n\r\n",
        key.text
    )
}
