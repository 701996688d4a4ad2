//! Counters: one cell for each (tenant, namespace, keyspace) that is used, one for each tier.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;
use stratacache_core::{NamespacePath, TenantId};

use super::striped::Striped;

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// What a cell counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(non_camel_case_types)]
        #[repr(usize)]
        pub(crate) enum Counter { $($name),* }

        impl Counter {
            pub(crate) const ALL: [Self; [$(Self::$name),*].len()] = [$(Self::$name),*];
        }

        /// The sums of some cells.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub(crate) struct Sums { $(pub(crate) $name: u64),* }

        impl Sums {
            fn add(&mut self, cell: &Cell) {
                $(self.$name += cell.get(Counter::$name);)*
            }
        }
    };
}

counters! {
    memory_hits, lower_hits, misses, stale_hits, absent_hits, loads, load_errors, load_timeouts, flights_joined, lease_waits,
    promotions, expirations, invalidations, refreshes, refresh_errors, inserts, not_stored, type_changes, overloads, bypasses,
    probes, probes_unanswered, probes_dropped, coherence_violations,
    invalidations_queued, key_failures, load_retries, loader_busy, loader_down, keys_resting,
}

const COUNTERS: usize = Counter::ALL.len();

/// The counters of one keyspace in one namespace of one tenant.
#[derive(Debug)]
pub(crate) struct Cell {
    counts: [AtomicU64; COUNTERS],
    /// `memory_hits`: no other counter is counted as often.
    hits: Striped,
    tenant: TenantId,
    namespace: NamespacePath,
    keyspace: Option<&'static str>,
}

impl Cell {
    #[inline]
    pub(crate) fn count(&self, counter: Counter) {
        if counter == Counter::memory_hits {
            self.hits.count();
        } else {
            self.counts[counter as usize].fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn add(&self, counter: Counter, n: u64) {
        self.counts[counter as usize].fetch_add(n, Relaxed);
    }

    fn get(&self, counter: Counter) -> u64 {
        let hits = if counter == Counter::memory_hits { self.hits.get() } else { 0 };
        hits + self.counts[counter as usize].load(Relaxed)
    }
}

/// Which cells to add up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filter<'a> {
    pub(crate) tenant: Option<&'a TenantId>,
    pub(crate) namespace: Option<&'a NamespacePath>,
    pub(crate) keyspace: Option<&'a str>,
}

/// All cells, and what those that are gone had counted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    cells: Mutex<Vec<Weak<Cell>>>,
    gone: Mutex<Sums>,
}

impl Ledger {
    pub(crate) fn cell(
        &self,
        tenant: &TenantId,
        namespace: &NamespacePath,
        keyspace: Option<&'static str>,
    ) -> Arc<Cell> {
        let cell = Arc::new(Cell {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            hits: Striped::default(),
            tenant: tenant.clone(),
            namespace: namespace.clone(),
            keyspace,
        });
        self.cells.lock().push(Arc::downgrade(&cell));
        cell
    }

    /// Keeps what a tenant that goes away has counted, for the sums of the whole cache.
    pub(crate) fn retire(&self, cells: impl IntoIterator<Item = Arc<Cell>>) {
        let mut gone = self.gone.lock();
        for cell in cells {
            gone.add(&cell);
        }
        drop(gone);
        self.cells.lock().retain(|cell| cell.strong_count() > 0);
    }

    pub(crate) fn sums(&self, filter: Filter<'_>) -> Sums {
        let whole = filter.tenant.is_none() && filter.namespace.is_none() && filter.keyspace.is_none();
        let mut sums = if whole { *self.gone.lock() } else { Sums::default() };
        for cell in self.cells.lock().iter().filter_map(Weak::upgrade) {
            let wanted = filter.tenant.is_none_or(|t| *t == cell.tenant)
                && filter.namespace.is_none_or(|n| *n == cell.namespace)
                && filter.keyspace.is_none_or(|k| Some(k) == cell.keyspace);
            if wanted {
                sums.add(&cell);
            }
        }
        sums
    }
}

/// The counters of one tier below memory.
#[derive(Debug, Default)]
pub(crate) struct TierCounters {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) read_failures: AtomicU64,
    pub(crate) write_failures: AtomicU64,
    pub(crate) fenced: AtomicU64,
    pub(crate) writes_coalesced: AtomicU64,
    pub(crate) writes_lost: AtomicU64,
    pub(crate) foreign_envelopes: AtomicU64,
    pub(crate) corrupt_envelopes: AtomicU64,
    pub(crate) unknown_envelopes: AtomicU64,
    pub(crate) breaker_opens: AtomicU64,
}

impl TierCounters {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Relaxed);
    }
}
