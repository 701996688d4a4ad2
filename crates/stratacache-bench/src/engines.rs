//! The engines that are compared, each made the way its users make it.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use foyer::{EvictionConfig, S3FifoConfig};
use stratacache::{Cache, Namespace, TenantId, hours};
use tokio::runtime::{Builder, Runtime};

use crate::keys::{VALUE, key, mark};

/// What the peers store: a shared block that a reader clones.
pub(crate) type Shared = Arc<[u8]>;
/// What Strata stores: it shares the entry itself.
pub(crate) type Own = Box<[u8]>;

pub(crate) type Quick = quick_cache::sync::Cache<String, Shared>;
/// The hand-made ttl: when the value is too old, beside the value.
pub(crate) type QuickTtl = quick_cache::sync::Cache<String, (Instant, Shared)>;
pub(crate) type Moka = moka::sync::Cache<String, Shared>;
pub(crate) type Foyer = foyer::Cache<String, Shared>;

pub(crate) const TTL: Duration = Duration::from_secs(3600);

/// Makes the value of a key with this mark.
pub(crate) fn shared(mark: u8) -> Shared {
    Arc::from([mark; VALUE])
}

/// Makes the value of a key with this mark.
pub(crate) fn own(mark: u8) -> Own {
    Box::from([mark; VALUE])
}

pub(crate) fn quick(capacity: usize) -> Quick {
    Quick::new(capacity)
}

pub(crate) fn quick_ttl(capacity: usize) -> QuickTtl {
    QuickTtl::new(capacity)
}

pub(crate) fn moka(capacity: usize) -> Moka {
    Moka::builder().max_capacity(capacity as u64).time_to_live(TTL).build()
}

pub(crate) fn foyer(capacity: usize) -> Foyer {
    let eviction = EvictionConfig::from(S3FifoConfig::default());
    foyer::CacheBuilder::new(capacity).with_eviction_config(eviction).build()
}

/// Runs Strata's maintenance while other threads measure.
fn home() -> Result<&'static Runtime> {
    static HOME: OnceLock<Runtime> = OnceLock::new();
    if let Some(home) = HOME.get() {
        return Ok(home);
    }
    let home = Builder::new_multi_thread().worker_threads(1).enable_time().build().context("cannot start a runtime")?;
    Ok(HOME.get_or_init(|| home))
}

/// Drives a future to its end on this thread, with a runtime of its own.
pub(crate) fn drive<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().build();
    match runtime {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => unreachable!("a runtime without threads and sockets starts: {error}"),
    }
}

/// A Strata cache with one namespace of one tenant, as an application has it.
#[derive(Clone)]
pub(crate) struct Strata {
    pub(crate) cache: Cache,
    pub(crate) ns: Namespace,
}

impl Strata {
    /// Makes a cache whose maintenance runs beside the measurement.
    pub(crate) fn new(bytes: u64) -> Result<Self> {
        home()?.block_on(Self::here(bytes))
    }

    /// Makes a cache in the runtime that drives this future.
    pub(crate) async fn here(bytes: u64) -> Result<Self> {
        let cache = Cache::builder().memory(bytes).max_waiters(20_000).build().await?;
        let tenant = cache.tenant(&TenantId::parse("acme")?);
        let ns = tenant.namespace("customers").with_ttl(hours(1));
        Ok(Self { cache, ns })
    }
}

/// Returns the budget that lets Strata keep about `entries` of the benches' entries.
///
/// A twentieth of a budget is headroom for tenants that wake up.
pub(crate) fn budget_for(entries: usize, weight: u64) -> u64 {
    (entries as u64 * weight).div_ceil(95) * 100
}

/// Asks Strata what one of the benches' entries weighs.
pub(crate) fn weight_of_an_entry(tagged: bool) -> Result<u64> {
    let strata = Strata::new(8 << 20)?;
    drive(async {
        let key = key(1);
        let insert = strata.ns.insert(key.as_str(), own(mark(&key)));
        if tagged { insert.tag("customers").await } else { insert.await }
    })?;
    strata.ns.tenant_stats().weight.context("the tenant has no memory yet")
}
