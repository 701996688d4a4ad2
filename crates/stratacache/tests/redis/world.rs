//! A Redis, and caches that share it, each behind a proxy.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use stratacache::{Cache, Cached, Consistency, Namespace, Policy, Redis, TenantId, minutes};
use stratacache_testkit::{
    proxy::{Command, FaultProxy},
    servers::RedisServer,
};

/// One cache, and its way to the server.
pub(crate) struct Node {
    pub(crate) cache: Cache,
    pub(crate) proxy: FaultProxy,
}

impl Node {
    pub(crate) async fn start(server: &RedisServer) -> Self {
        Self::with_policy(server, Policy::ttl(minutes(5))).await
    }

    pub(crate) async fn with_policy(server: &RedisServer, policy: Policy) -> Self {
        let proxy = FaultProxy::start(server.addr(), 7).await.unwrap();
        let redis = Redis::connect(proxy.url()).await.unwrap();
        let cache = Cache::builder().seed(7).default_policy(policy).tier(redis).build().await.unwrap();
        Self { cache, proxy }
    }

    pub(crate) fn tenant(&self, name: &str) -> Namespace {
        self.cache.tenant(&TenantId::parse(name).unwrap())
    }

    /// Counts only what the reads and writes of a test ask for: not what goes on in the background, of which the test is
    /// told by the number of words: asking a lane for news, and a shard for its history.
    pub(crate) fn count_from_now(&self) {
        self.proxy.exclude(Command::matching(is_sync));
        self.count_syncs_too();
    }

    /// Counts the question for news, too: of reads, and of the background.
    pub(crate) fn count_syncs_too(&self) {
        let proxy = &self.proxy;
        for name in ["XREAD", "XADD", "PING", "SUBSCRIBE", "HELLO", "CLIENT", "INFO"] {
            proxy.exclude(Command::named(name));
        }
        proxy.exclude(Command::matching(|words| words.len() == 4 && words[0].eq_ignore_ascii_case(b"EVALSHA")));
        proxy.reset_counts();
    }
}

/// EVALSHA, hash, 4, four keys, three arguments.
fn is_sync(words: &[bytes::Bytes]) -> bool {
    words.len() == 10 && words[0].eq_ignore_ascii_case(b"EVALSHA") && words[2] == "4".as_bytes()
}

/// Counts the entries in Redis.
pub(crate) async fn entries(server: &RedisServer) -> usize {
    server.command(&["KEYS", "*:e"]).await.unwrap().elements().len()
}

/// Waits until so many entries are in Redis: the request of a fill passes the proxy before it is carried out.
pub(crate) async fn until_stored(server: &RedisServer, count: usize) {
    while entries(server).await < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) const LATEST: Consistency = Consistency::Latest;

/// Counts the runs of a loader, on whatever node.
#[derive(Clone, Default)]
pub(crate) struct Loads(Arc<AtomicUsize>);

impl Loads {
    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// Returns a number that is newer than all before it.
    pub(crate) fn next(&self) -> usize {
        self.0.fetch_add(1, SeqCst) + 1
    }

    /// Reads a number through: how often the loader has run.
    pub(crate) async fn read(&self, ns: &Namespace, key: &str, consistency: Consistency) -> usize {
        self.read_slowly(ns, key, consistency, Duration::ZERO).await
    }

    pub(crate) async fn read_slowly(&self, ns: &Namespace, key: &str, how: Consistency, takes: Duration) -> usize {
        let loads = self.clone();
        let load = async move || {
            let n = loads.next();
            tokio::time::sleep(takes).await;
            Ok::<_, Infallible>(n)
        };
        let found: Cached<usize> = ns.get_or_load(key, load).tag("all").consistency(how).await.unwrap();
        *found
    }
}
