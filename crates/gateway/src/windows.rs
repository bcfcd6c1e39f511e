//! Where the windows that gateways share are counted: in their store, or by a Valkey or Redis server.

#[cfg(feature = "redis")]
pub(crate) use of_redis::Counter;
#[cfg(feature = "redis")]
pub use of_redis::Redis;

/// Who counts over all gateways.
#[derive(Debug, Clone, Default)]
pub enum Windows {
    /// The store, where several gateways share it.
    #[default]
    Store,
    /// A server of its own.
    #[cfg(feature = "redis")]
    Redis(Redis),
}

#[cfg(feature = "redis")]
mod of_redis {
    use std::fmt;
    use std::time::Duration;

    use redis::aio::{ConnectionManager, ConnectionManagerConfig};
    use redis::{Client, ConnectionAddr, RedisError, RedisResult};
    use store::{WindowAdd, WindowCounts};

    /// What an answer may take. Nobody waits for it but the next count.
    const ANSWER: Duration = Duration::from_millis(200);

    /// What connecting may take.
    const CONNECT: Duration = Duration::from_millis(500);

    /// A Valkey or Redis server, and the connection to it, which is made again when it is lost.
    #[derive(Clone)]
    pub struct Redis(Box<Client>);

    impl fmt::Debug for Redis {
        /// Without the URL: it may hold a password.
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Redis").finish_non_exhaustive()
        }
    }

    impl Redis {
        /// The server at a `redis://`, `rediss://` (TLS) or `unix://` URL; none if it is no such URL.
        /// Nothing is connected yet.
        pub fn at(url: &str) -> Option<Self> {
            Client::open(url).ok().map(|client| Self(Box::new(client)))
        }

        /// Whether what is said to it crosses a network in the clear.
        pub fn is_in_the_clear(&self) -> bool {
            match self.0.get_connection_info().addr() {
                ConnectionAddr::Tcp(host, _) => {
                    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
                    host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
                }
                _ => false,
            }
        }

        /// Starts to count. A server that is away makes no difference until it is asked.
        pub(crate) fn counter(&self) -> RedisResult<Counter> {
            let config = ConnectionManagerConfig::new()
                .set_response_timeout(Some(ANSWER))
                .set_connection_timeout(Some(CONNECT))
                .set_number_of_retries(1);
            ConnectionManager::new_lazy_with_config((*self.0).clone(), config).map(Counter)
        }
    }

    /// Counts by a server.
    #[derive(Clone)]
    pub(crate) struct Counter(ConnectionManager);

    impl Counter {
        /// Adds to the counts of a name, and gives what all gateways counted: one an addition.
        pub(crate) async fn count(
            &self,
            name: &str,
            adds: &[WindowAdd],
        ) -> Result<Vec<WindowCounts>, RedisError> {
            let mut all = redis::pipe();
            for add in adds {
                let start = add.period_start.as_millis();
                let current = key(name, add, start);
                let previous = key(name, add, start.saturating_sub(add.period_ms));
                // An addition of nothing reads, and makes the key if it is not there.
                all.incr(&current, add.add)
                    .pexpire(&current, add.period_ms.saturating_mul(2))
                    .ignore()
                    .get(&previous);
            }
            let counts: Vec<Option<u32>> = all.query_async(&mut self.0.clone()).await?;
            Ok(counts
                .chunks(2)
                .map(|two| WindowCounts {
                    current: two.first().copied().flatten().unwrap_or(0),
                    previous: two.get(1).copied().flatten().unwrap_or(0),
                })
                .collect())
        }
    }

    fn key(name: &str, add: &WindowAdd, start: i64) -> String {
        let key = u128::from_be_bytes(add.key);
        format!("countersign:{name}:{key:032x}:{start}")
    }

    #[cfg(test)]
    mod tests {
        use std::path::Path;
        use std::process::{Child, Command, Stdio};

        use model::Timestamp;

        use super::*;

        /// A server on a socket in a folder; killed when it is dropped.
        struct Server(Child);

        impl Server {
            async fn start(folder: &Path) -> Self {
                let child = Command::new("redis-server")
                    .args(["--port", "0", "--unixsocket", "redis.sock", "--save", ""])
                    .current_dir(folder)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .spawn()
                    .expect("redis-server is installed: ./test does that");
                let server = Self(child);
                for _ in 0..500 {
                    if std::os::unix::net::UnixStream::connect(folder.join("redis.sock")).is_ok() {
                        return server;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                panic!("redis-server does not start");
            }
        }

        impl Drop for Server {
            fn drop(&mut self) {
                let _ = self.0.kill();
                let _ = self.0.wait();
            }
        }

        fn adds(adds: &[(u8, i64, u32)]) -> Vec<WindowAdd> {
            let of = |&(key, period, add): &(u8, i64, u32)| WindowAdd {
                key: [key; 16],
                period_start: Timestamp::from_millis(60_000 * period),
                period_ms: 60_000,
                add,
            };
            adds.iter().map(of).collect()
        }

        fn counts(current: u32, previous: u32) -> WindowCounts {
            WindowCounts { current, previous }
        }

        #[tokio::test]
        async fn gateways_count_together_and_each_hears_of_a_server_that_is_away() {
            let folder = tempfile::tempdir().expect("a folder");
            let url = format!("unix://{}", folder.path().join("redis.sock").display());
            let (here, there) = (Redis::at(&url).expect("a URL"), Redis::at(&url).expect("a URL"));
            let here = here.counter().expect("a counter");
            assert!(here.count("test", &adds(&[(1, 7, 1)])).await.is_err(), "nobody is there yet");

            let server = Server::start(folder.path()).await;
            let there = there.counter().expect("a counter");
            let mut first = here.count("test", &adds(&[(1, 7, 3), (2, 7, 1)])).await;
            for _ in 0..100 {
                // It connects again a moment later.
                if first.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                first = here.count("test", &adds(&[(1, 7, 3), (2, 7, 1)])).await;
            }
            assert_eq!(first.expect("it counts"), [counts(3, 0), counts(1, 0)]);
            let second = there.count("test", &adds(&[(1, 7, 2), (1, 8, 4), (2, 8, 0)])).await;
            assert_eq!(second.expect("it counts"), [counts(5, 0), counts(4, 5), counts(0, 1)]);
            let other = there.count("another", &adds(&[(1, 7, 1)])).await;
            assert_eq!(other.expect("it counts"), [counts(1, 0)]);

            drop(server);
            let begun = std::time::Instant::now();
            assert!(there.count("test", &adds(&[(1, 7, 1)])).await.is_err());
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        }

        #[test]
        fn a_url_is_judged_before_anything_is_connected() {
            for (url, in_the_clear) in [
                ("redis://127.0.0.1:6379", false),
                ("redis://[::1]:6379/3", false),
                ("redis://localhost", false),
                ("unix:///run/valkey.sock", false),
                ("rediss://cache.example", false),
                ("redis://:p_test_1@cache.example", true),
                ("redis://10.0.0.7:6379", true),
            ] {
                let redis = Redis::at(url).expect(url);
                assert_eq!(redis.is_in_the_clear(), in_the_clear, "{url}");
                assert!(!format!("{redis:?}").contains("p_test_1"));
            }
            for url in ["", "cache.example", "http://cache.example", "redis://cache:port"] {
                assert!(Redis::at(url).is_none(), "{url}");
            }
        }
    }
}
