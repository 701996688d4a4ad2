//! One combination, and caches that are opened with it one after the other.

use std::time::Duration;

use stratacache::{Cache, Codec, Compress, Consistency, Policy, WriteMode, hours, minutes, seconds, tier::TierParts};
use stratacache_disk::Disk;
use stratacache_testkit::{clock::ManualClock, tiers::MemoryTier};
use tempfile::TempDir;

/// What lies below memory and outlives the cache.
pub(crate) enum Below {
    Nothing,
    Disk(TempDir),
    Memory(MemoryTier),
    /// Two that give fences, and one that does not and is shared, as an object store.
    Three([MemoryTier; 3]),
}

impl Below {
    pub(crate) fn nothing() -> Self {
        Self::Nothing
    }

    pub(crate) fn disk() -> Self {
        Self::Disk(tempfile::tempdir().unwrap())
    }

    pub(crate) fn persistent_memory() -> Self {
        Self::Memory(MemoryTier::new("below").persistent(true))
    }

    pub(crate) fn three() -> Self {
        let below = MemoryTier::new("below").persistent(true);
        Self::Three([MemoryTier::new("near"), below, MemoryTier::unfenced("far").persistent(true)])
    }
}

pub(crate) struct Setting {
    below: Below,
    pub(crate) policy: Policy,
    pub(crate) clock: ManualClock,
}

impl Setting {
    pub(crate) fn new(
        below: Below,
        codec: Codec,
        compress: Compress,
        consistency: Consistency,
        write: WriteMode,
    ) -> Self {
        let policy = Policy::ttl(minutes(5))
            .jitter(0.0)
            .stale_if_error(hours(1))
            .codec(codec)
            .compress(compress)
            .consistency(consistency)
            .write(write);
        Self { below, policy, clock: ManualClock::new() }
    }

    /// Tells whether entries are still there after the cache was closed and opened again.
    pub(crate) fn keeps(&self) -> bool {
        !matches!(self.below, Below::Nothing) && self.policy.write_mode() != WriteMode::MemoryOnly
    }

    /// Opens a cache over what lies below.
    pub(crate) async fn open(&self) -> Cache {
        let builder = Cache::builder().memory(8 << 20).clock(self.clock.clone()).seed(7).default_policy(self.policy);
        // a slow machine is no broken tier
        let patient: Duration = seconds(60);
        let builder = match &self.below {
            Below::Nothing => builder,
            Below::Disk(dir) => {
                let disk = Disk::builder(dir.path().join("cache")).capacity(4 << 20).open().await.unwrap();
                builder.tier(TierParts::from(disk)).tier_deadline("disk", patient)
            }
            Below::Memory(tier) => builder.tier(tier.with_journal()).tier_deadline("below", patient),
            Below::Three([near, below, far]) => builder.tier(near.clone()).tier(below.with_journal()).tier(far.clone()),
        };
        builder.build().await.unwrap()
    }
}
