//! Opens the cache of a node.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::Result;
use stratacache::{
    Cache, Disk, FileKeys, MasterKey, Object, Policy,
    clock::{Clock, SystemClock},
    tier::TierParts,
};
use stratacache_core::{coordinator::AnyCoordinator, tier::AnyTier};
use stratacache_redis::Redis;
use stratacache_testkit::s3::S3Server;

use super::{
    Setup,
    failpoint::{FailingCoordinator, FailingTier, Failpoints},
    full::FullTier,
    leases::Leases,
    setup::{BUCKET, LEASE, LEASE_WAIT, LOAD_TIMEOUT, PREFIX, STORE_DEADLINE},
};
use crate::{log::Writer, mutants, time};

/// The servers may be down when a node starts.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
const MEMORY: u64 = 8 << 20;
const DISK: u64 = 64 << 20;
/// On a device that is to have room left.
const SMALL_DISK: u64 = 8 << 20;
/// A lane has about twice as many scopes that are not keys.
const FEW_MARKS: u64 = 10;
const FEW_TAGS: u64 = 7;
const SHORT_STREAM: u64 = 100;
/// Shorter than usual: what is left alone tests nothing.
const WINDOW: Duration = Duration::from_millis(150);

/// Lives longer than a run.
pub(super) const POLICY: Policy = Policy::ttl(stratacache::hours(1))
    .negative_ttl(stratacache::hours(1))
    .load_timeout(LOAD_TIMEOUT)
    .lease(LEASE)
    .lease_wait(LEASE_WAIT);

/// The system's clock, but wrong.
#[derive(Debug)]
struct Skewed {
    clock: SystemClock,
    by_ms: i64,
}

impl Skewed {
    fn shifted(&self, time: Duration) -> Duration {
        let by = Duration::from_millis(self.by_ms.unsigned_abs());
        if self.by_ms < 0 { time.saturating_sub(by) } else { time + by }
    }
}

impl Clock for Skewed {
    fn now(&self) -> Duration {
        self.clock.now() + Duration::from_millis(self.by_ms.unsigned_abs()) // its origin is arbitrary, and not below 0
    }

    fn coarse(&self) -> Duration {
        self.clock.coarse() + Duration::from_millis(self.by_ms.unsigned_abs())
    }

    fn wall(&self) -> Duration {
        self.shifted(self.clock.wall())
    }

    fn refresh(&self) {
        self.clock.refresh();
    }
}

/// What stands around the tiers.
pub(super) struct Wraps<'a> {
    pub(super) failpoints: &'a Arc<Failpoints>,
    pub(super) log: &'a Arc<Writer>,
    pub(super) disk_full: &'a Arc<AtomicBool>,
}

/// Opens the keys that all nodes share; the first node makes the master key.
async fn keys(folder: &Path) -> Result<FileKeys> {
    let master = folder.join("master.key");
    if let Err(error) = MasterKey::create_file(&master)
        && !master.exists()
    {
        return Err(error.into());
    }
    // the one that is being made may not be whole yet: who opens it tries again
    Ok(FileKeys::open(folder.join("keys"), MasterKey::from_file(&master)?).await?)
}

/// Opens it, as soon as the servers can be reached.
pub(super) async fn open(setup: &Setup, wraps: &Wraps<'_>) -> Result<Cache> {
    let give_up = time::now() + time::nanos(PATIENCE);
    loop {
        match try_open(setup, wraps).await {
            Ok(cache) => return Ok(cache),
            Err(error) if time::now() > give_up => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn try_open(setup: &Setup, wraps: &Wraps<'_>) -> Result<Cache> {
    let Wraps { failpoints, log, disk_full } = *wraps;
    let mut redis = Redis::builder(&setup.url).prefix("campaign").breaker_window(WINDOW).connections(setup.connections);
    if setup.few_marks {
        redis = redis.max_marks(FEW_MARKS).max_tenant_marks(FEW_TAGS).stream_length(SHORT_STREAM);
    }
    let redis = mutants::redis_without(redis, setup.without_rule.as_deref());
    let mut parts = TierParts::from(redis.build().await?);
    let leases = Arc::new(Leases::new(Arc::clone(log))?);
    parts.tier = AnyTier::new(FailingTier::new(parts.tier, Arc::clone(failpoints), Arc::clone(&leases)));
    let failing =
        |inner| AnyCoordinator::new(FailingCoordinator::new(inner, Arc::clone(failpoints), Arc::clone(&leases)));
    parts.coordinator = parts.coordinator.map(failing);
    let mut builder = Cache::builder()
        .seed(setup.seed ^ u64::from(setup.node) << 32 ^ u64::from(setup.life))
        .clock(Skewed { clock: SystemClock::new(), by_ms: setup.skew_ms })
        .memory(MEMORY)
        .default_policy(POLICY);
    if let Some(path) = &setup.disk {
        let capacity = if setup.store.is_some() { SMALL_DISK } else { DISK };
        let mut disk = TierParts::from(Disk::builder(path).capacity(capacity).open().await?);
        disk.tier = AnyTier::new(FullTier::new(disk.tier, Arc::clone(disk_full)));
        builder = builder.tier(disk);
    }
    if setup.encrypted {
        builder = builder.encryption(keys(&setup.folder).await?);
    }
    if let Some(n) = setup.probe {
        builder = builder.probe(n);
    }
    let mut builder = builder.tier(parts);
    if let Some(url) = &setup.store {
        let object = Object::builder(format!("s3://{BUCKET}/{PREFIX}"))
            .endpoint(url)
            .allow_http(true)
            .access_key(S3Server::ACCESS_KEY, S3Server::SECRET_KEY)
            .deadline(STORE_DEADLINE)
            .breaker_window(WINDOW);
        builder = builder.tier(object.open().await?);
    }
    Ok(mutants::engine_without(builder, setup.without_rule.as_deref()).build().await?)
}
