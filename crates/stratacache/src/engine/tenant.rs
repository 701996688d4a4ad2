//! What a cache knows of one tenant.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::AcqRel},
    },
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use stratacache_core::{Error, ErrorKind, NamespacePath, Result, TenantId, clock::Millis, stamp::Lane};

use super::{Floor, KeySlot, Space, Timeline, Turns, bucket::Bucket, places::Places};
use crate::{
    coherence::TenantMarks,
    loaders::{Budget, Failing, Pace},
    memory::{Arbiter, Partition, Quota},
};

/// Limits that hold for each tenant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    pub(crate) max_loads: usize,
    pub(crate) max_waiters: usize,
    pub(crate) max_tags: usize,
    pub(crate) max_namespace_depth: usize,
    pub(crate) invalidations_per_s: Option<u32>,
    pub(crate) loads_per_s: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_loads: 64,
            max_waiters: 10_000,
            max_tags: 32,
            max_namespace_depth: 8,
            invalidations_per_s: None,
            loads_per_s: None,
        }
    }
}

/// Namespaces beyond this many are not shared between handles; they work the same, but count apart.
const MAX_SPACES: usize = 1024;

/// One tenant: its marks, its partition, its namespaces, its loads.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    /// Tells tenants apart in tables, for the life of the process.
    pub(crate) number: u64,
    pub(crate) lane: Lane,
    /// The low half of the tenant's scope.
    pub(crate) scope_low: u64,
    pub(crate) marks: Arc<TenantMarks>,
    pub(crate) quota: Quota,
    pub(crate) loads: Arc<Places>,
    /// How fast loads may be begun; whoever waits for it stands behind its lock.
    pub(crate) pace: Option<tokio::sync::Mutex<Pace>>,
    /// For loads that no declared loader has a budget for.
    pub(crate) retries: Budget,
    /// Keys that rest after a failure.
    pub(crate) failing: Failing,
    /// Up to when nothing is served, as long as its invalidations wait.
    pub(crate) floor: Floor,
    /// Made with the first insert.
    turns: OnceLock<Box<Turns>>,
    partition: OnceLock<Arc<Partition>>,
    keys: OnceLock<Arc<KeySlot>>,
    waiting: AtomicUsize,
    spaces: Mutex<HashMap<NamespacePath, Arc<Space>, RandomState>>,
    invalidations: Mutex<Bucket>,
}

impl Tenant {
    pub(crate) fn new(
        id: TenantId,
        number: u64,
        scope_low: u64,
        marks: Arc<TenantMarks>,
        quota: Quota,
        limits: &Limits,
    ) -> Self {
        Self {
            lane: Lane::of(&id),
            id,
            number,
            scope_low,
            marks,
            quota,
            loads: Arc::new(Places::new(limits.max_loads)),
            pace: limits.loads_per_s.map(|rate| tokio::sync::Mutex::new(Pace::new(rate))),
            retries: Budget::default(),
            failing: Failing::default(),
            floor: Floor::default(),
            turns: OnceLock::new(),
            partition: OnceLock::new(),
            keys: OnceLock::new(),
            waiting: AtomicUsize::new(0),
            spaces: Mutex::default(),
            invalidations: Mutex::new(Bucket::full()),
        }
    }

    /// Returns who may write which key.
    pub(super) fn turns(&self) -> &Turns {
        self.turns.get_or_init(Box::default)
    }

    #[inline]
    pub(crate) fn partition(&self) -> Option<&Arc<Partition>> {
        self.partition.get()
    }

    pub(crate) fn partition_or_admit(&self, arbiter: &Arbiter) -> &Arc<Partition> {
        if let Some(partition) = self.partition.get() {
            return partition;
        }
        let mut leaving = None;
        let partition = self.partition.get_or_init(|| {
            let (partition, left) = arbiter.admit(self.quota);
            leaving = Some(left);
            partition
        });
        drop(leaving); // values of others, dropped when nothing is locked
        partition
    }

    /// What this node has of the tenant's keys, where it encrypts.
    pub(crate) fn keys(&self) -> &Arc<KeySlot> {
        self.keys.get_or_init(Arc::default)
    }

    pub(crate) fn keys_if_any(&self) -> Option<&Arc<KeySlot>> {
        self.keys.get()
    }

    pub(crate) fn space(&self, path: &NamespacePath, make: impl FnOnce() -> Space) -> Arc<Space> {
        let mut spaces = self.spaces.lock();
        if let Some(space) = spaces.get(path) {
            return Arc::clone(space);
        }
        let space = Arc::new(make());
        if spaces.len() < MAX_SPACES {
            spaces.insert(path.clone(), Arc::clone(&space));
        }
        space
    }

    pub(crate) fn spaces(&self) -> Vec<Arc<Space>> {
        self.spaces.lock().values().cloned().collect()
    }

    /// Tells whether loads are held back, by a rate or a rest: a tenant that was made anew would not know.
    pub(crate) fn holds_back(&self, timeline: &Timeline) -> bool {
        let paced = |pace: &tokio::sync::Mutex<Pace>| {
            pace.try_lock().map_or(true, |pace| !pace.is_idle(timeline.clock().now()))
        };
        self.pace.as_ref().is_some_and(paced) || self.failing.any_rests(timeline.now())
    }

    /// Takes a place among those who wait for a load; `None` when all are taken.
    pub(crate) fn wait_place(self: &Arc<Self>, limits: &Limits) -> Option<WaitPlace> {
        if self.waiting.fetch_add(1, AcqRel) >= limits.max_waiters {
            self.waiting.fetch_sub(1, AcqRel);
            return None;
        }
        Some(WaitPlace(Arc::clone(self)))
    }

    /// Takes the permission for one invalidation, where they are limited.
    pub(crate) fn permit_invalidation(&self, limits: &Limits, now: Millis) -> Result<()> {
        let Some(rate) = limits.invalidations_per_s else { return Ok(()) };
        if !self.invalidations.lock().take(rate, now) {
            return Err(Error::new(
                ErrorKind::Overloaded,
                format!("the tenant is over its invalidations_per_s ({rate}); try again, or clear a namespace instead"),
            ));
        }
        Ok(())
    }
}

/// A place among those who wait for a load.
pub(crate) struct WaitPlace(Arc<Tenant>);

impl Drop for WaitPlace {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, AcqRel);
    }
}
