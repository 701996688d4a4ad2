//! The engine: where memory, flights, coherence, codecs, guards and counters meet.

mod answer;
mod ask;
mod behind;
mod bucket;
mod bulk;
mod bulk_load;
mod catch;
mod door;
mod fill;
mod find;
mod form;
mod hit;
mod hot;
mod inspect;
mod invalidate;
mod judge;
mod lead;
mod lease;
mod life;
mod listeners;
mod lock;
mod lower;
mod maintenance;
mod make;
mod metrics;
mod packing;
mod places;
mod probe;
mod promote;
mod protect;
mod queue;
mod read;
mod recent_scopes;
mod refresh;
mod rest;
mod said;
mod scan;
mod seal;
mod space;
mod standing;
mod start;
mod statistics;
mod tenant;
mod tenants;
mod tier;
mod timeline;
mod touch;
mod update;
mod used;
mod warm;
mod write;
mod write_many;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Acquire},
    },
};

use stratacache_core::{
    Ceilings, Deployment, Error, ErrorKind, KeyspaceInfo, Policy, Result,
    coordinator::{AnyCoordinator, Gaps},
    event::EventKind,
};

use parking_lot::Mutex;

pub(crate) use behind::{Behind, BehindLimits};
pub(crate) use bulk_load::{BulkCall, BulkLoad, BulkRequest};
pub(crate) use catch::catching;
pub(crate) use door::{Door, nearest};
pub use find::{FoundKey, FoundKeys};
pub(crate) use hit::{Quick, Seen};
pub use hot::HotKeys;
pub(crate) use hot::{HotGroup, HotTenant};
pub use inspect::{Inspection, TierView};
pub(crate) use invalidate::{Target, Targets};
pub(crate) use lead::{BoxedLoad, Call, Request};
pub(crate) use life::{Jitter, Life, back_off};
pub use lock::LockGuard;
pub(crate) use lock::Locks;
pub(crate) use maintenance::maintain;
pub(crate) use places::Place;
pub(crate) use probe::{Asked, Prober};
pub(crate) use protect::{Loading, Protection};
pub(crate) use queue::{Floor, Queue, QueueLimits, What, Work};
pub use said::KeyHash;
pub(crate) use scan::ScanPlan;
pub use scan::{ScanCursor, ScannedKeys};
pub(crate) use seal::{KeySlot, Sealing};
pub(crate) use space::Space;
pub(crate) use standing::{Standing, stricter};
pub(crate) use tenant::{Limits, Tenant};
pub(crate) use tenants::Tenants;
pub(crate) use tier::TierHandle;
pub(crate) use timeline::Timeline;
pub(crate) use update::{BoxedChange, Change, Changed, Turns, UpdateRequest, Updates};
pub(crate) use used::{MOST_TIERS, check_names};
pub(crate) use warm::Warmed;
pub(crate) use write::{WriteItem, WriteRequest};
pub(crate) use write_many::error_of_item;

use crate::{
    coherence::{Mirror, Rules},
    flight::FlightTable,
    loaders::Loaders,
    memory::{Arbiter, Cleared, MapKey, Partition},
    observe::{CompressionCounters, EventHub, FollowCounters, Histogram, Ledger},
    spawn::Spawner,
};

/// Everything one cache is made of.
pub(crate) struct Engine {
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) deployment: Deployment,
    pub(crate) ceilings: Ceilings,
    pub(crate) limits: Limits,
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) coordinator: AnyCoordinator,
    /// Nodes share the coordinator: this one may be behind.
    pub(crate) shared: bool,
    pub(crate) arbiter: Arbiter,
    pub(crate) memory_fraction: Option<f64>,
    pub(crate) flights: Arc<FlightTable<MapKey>>,
    /// How much may wait for a tier.
    pub(crate) behind: BehindLimits,
    /// Invalidations that could not be ordered yet.
    pub(crate) queue: Queue,
    pub(crate) tiers: Vec<TierHandle>,
    /// What is below memory is encrypted.
    pub(crate) sealing: Option<Sealing>,
    /// Where the hottest keys are kept over a restart.
    pub(crate) hot_keys: Option<HotKeys>,
    pub(crate) tenants: Tenants,
    /// Changes of values that are under way.
    pub(crate) updates: Updates,
    /// Locks that no other process shares.
    pub(crate) locks: Locks,
    pub(crate) ledger: Ledger,
    pub(crate) events: Arc<EventHub>,
    pub(crate) compression: CompressionCounters,
    pub(crate) followed: FollowCounters,
    pub(crate) load_time: Histogram,
    /// Counted by the coordinator.
    pub(crate) bus_gaps: Gaps,
    pub(crate) spawner: Spawner,
    /// The tasks that give events to sinks; they end last.
    pub(crate) listeners: Spawner,
    pub(crate) jitter: Jitter,
    /// The loaders that were declared.
    pub(crate) loaders: Loaders,
    pub(crate) rules: Rules,
    /// Where invalidations are probed.
    pub(crate) prober: Option<Prober>,
    pub(crate) asked: Asked,
    pub(crate) default_policy: Policy,
    /// Keyspaces whose policy was cut down to a ceiling, so that it is said once.
    pub(crate) clamped: Mutex<Vec<&'static str>>,
    /// The last attempt to learn of other nodes' invalidations failed.
    pub(crate) disconnected: AtomicBool,
    pub(crate) closed: AtomicBool,
}

impl Engine {
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the cache is closed"));
        }
        Ok(())
    }

    /// Returns the policy of a keyspace; one that was not registered is cut down to the ceilings.
    pub(crate) fn keyspace_policy<V>(&self, keyspace: &KeyspaceInfo<V>) -> Result<Policy> {
        let (policy, cut) = keyspace.policy().clamped(&self.ceilings);
        if cut {
            let mut said = self.clamped.lock();
            if !said.contains(&keyspace.name()) {
                said.push(keyspace.name());
                tracing::warn!(keyspace = keyspace.name(), "the policy is above max_ttl or max_stale and was cut down");
                self.report(None, EventKind::PolicyClamped { keyspace: keyspace.name() });
            }
        }
        policy.check(&self.ceilings)?;
        Ok(policy)
    }

    /// Runs a write to its end even if its caller goes away. Without tiers below nothing in a write waits.
    pub(crate) async fn write_to_the_end<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        if self.tiers.is_empty() {
            return write.await;
        }
        self.spawner.to_the_end(write).await?
    }

    pub(crate) fn report(&self, tenant: Option<&Tenant>, kind: EventKind) {
        self.events.send(self.timeline.now(), tenant.map(|t| &t.id), kind);
    }

    /// Ends every task, closes every tier, and drops what memory holds.
    pub(crate) async fn close(self: &Arc<Self>) -> Result<()> {
        use stratacache_core::{coordinator::Coordinator, tier::Tier};
        if self.closed.swap(true, std::sync::atomic::Ordering::AcqRel) {
            return Ok(());
        }
        // while tasks still run: the keys that it is sealed with are asked for in one
        self.save_hot_keys().await;
        self.close_tasks().await;
        let mut result = self.close_queue().await;
        result = result.and(self.close_behind());
        // the coordinator first: its journal lives in a tier
        result = result.and(self.coordinator.close().await);
        for tier in &self.tiers {
            result = result.and(tier.tier.close().await.map_err(Error::from));
        }
        let all: Vec<Cleared> =
            self.tenants.all().iter().filter_map(|tenant| tenant.partition()).map(Partition::clear).collect();
        self.close_listeners().await;
        result.and(crate::spawn::blocking(move || drop(all)).await)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("tiers", &self.tiers.len()).finish_non_exhaustive()
    }
}
