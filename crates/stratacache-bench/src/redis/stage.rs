//! A server, nodes of Strata on it, and a bare client beside them.

use std::{future::Future, time::Duration};

use anyhow::{Context as _, Result};
use redis::aio::MultiplexedConnection;
use stratacache::{Cache, Namespace, Policy, Redis, TenantId, minutes};
use stratacache_testkit::servers::RedisServer;
use tokio::task::JoinSet;

use crate::measure::now;

/// Tasks that ask at the same time.
pub(super) const TASKS: usize = 64;
/// How long an answer may take, of either client.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that ends with the bench.
pub(super) struct Stage(RedisServer);

/// One node: its cache and a namespace of a tenant.
pub(super) struct Node {
    pub(super) cache: Cache,
    pub(super) ns: Namespace,
}

impl Stage {
    pub(super) async fn build() -> Result<Self> {
        Ok(Self(RedisServer::start().await.context("the benches of redis need redis-server")?))
    }

    pub(super) fn url(&self) -> String {
        self.0.url()
    }

    /// Starts a node whose reads do not fill its memory if `below` is set.
    pub(super) async fn node(&self, below: bool) -> Result<Node> {
        node(&self.url(), below).await
    }

    /// Opens a connection of the bare client, as fast as it can be set.
    pub(super) async fn client(&self) -> Result<MultiplexedConnection> {
        let mut info = redis::IntoConnectionInfo::into_connection_info(self.url().as_str())?;
        info = info.set_tcp_settings(redis::io::tcp::TcpSettings::default().set_nodelay(true));
        let config =
            redis::AsyncConnectionConfig::new().set_pipeline_buffer_size(1024).set_response_timeout(Some(PATIENCE));
        Ok(redis::Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await?)
    }
}

pub(super) async fn node(url: &str, below: bool) -> Result<Node> {
    // a machine that stands still for a moment is not what is measured
    let redis = Redis::builder(url).deadline(PATIENCE).build().await?;
    let policy = Policy::ttl(minutes(30)).promote(!below).compress(stratacache::Compress::Off);
    let cache = Cache::builder().memory(256 << 20).default_policy(policy).tier(redis).build().await?;
    let ns = cache.tenant(&TenantId::parse("acme")?);
    Ok(Node { cache, ns })
}

/// Runs a bench on a runtime of two threads.
pub(super) fn on_two_threads<T>(bench: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(bench)
}

/// Lets the tasks share so many operations, and returns how many a second were done. Each begins when its task comes to it:
/// thousands of futures that lie ready would measure how large they are.
pub(super) async fn per_second<F, Fut>(operations: usize, ask: F) -> Result<f64>
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let each = operations / TASKS;
    let mut tasks = JoinSet::new();
    let start = now();
    for task in 0..TASKS {
        let ask = ask.clone();
        #[allow(clippy::disallowed_methods)] // a bench has tasks of its own
        tasks.spawn(async move {
            for n in 0..each {
                ask(task * each + n).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok((each * TASKS) as f64 / start.elapsed().as_secs_f64())
}

pub(super) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
