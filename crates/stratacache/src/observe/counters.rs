//! Counters: one cell for each (tenant, namespace, keyspace) that is used, one for each tier.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use stratacache_core::{NamespacePath, TenantId, clock::Millis};

use super::{
    histogram::Histogram,
    labels::{Labels, TenantSums},
    striped::Striped,
};

/// So many tiers can lie below memory: an entry has a bit for each.
pub(crate) const MOST_TIERS: usize = 8;

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// What a cell counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(non_camel_case_types)]
        #[repr(usize)]
        pub(crate) enum Counter { $($name),* }

        impl Counter {
            pub(crate) const ALL: [Self; [$(Self::$name),*].len()] = [$(Self::$name),*];

            /// The name of its metric.
            pub(super) const fn metric(self) -> &'static str {
                match self { $(Self::$name => concat!("strata_", stringify!($name), "_total")),* }
            }
        }

        /// The sums of some cells.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub(crate) struct Sums {
            $(pub(crate) $name: u64,)*
            /// `lower_hits` of each tier.
            pub(super) below: [u64; MOST_TIERS],
        }

        impl Sums {
            pub(super) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                self.below.iter_mut().zip(other.below).for_each(|(own, other)| *own += other);
            }

            pub(super) fn take_away(&mut self, other: &Self) {
                $(self.$name = self.$name.saturating_sub(other.$name);)*
                self.below.iter_mut().zip(other.below).for_each(|(own, other)| *own = own.saturating_sub(other));
            }

            pub(super) const fn get(&self, counter: Counter) -> u64 {
                match counter { $(Counter::$name => self.$name),* }
            }
        }

        impl Cell {
            fn read(&self) -> Sums {
                let below = std::array::from_fn(|tier| self.below[tier].load(Relaxed));
                Sums { $($name: self.get(Counter::$name),)* below }
            }
        }
    };
}

counters! {
    memory_hits, lower_hits, misses, stale_hits, absent_hits, loads, load_errors, load_timeouts, flights_joined, lease_waits,
    promotions, evictions, expirations, invalidations, refreshes, refresh_errors, inserts, not_stored, type_changes, overloads, bypasses,
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
    below: [AtomicU64; MOST_TIERS],
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

    /// Counts a read that a tier below memory answered.
    pub(crate) fn count_below(&self, tier: usize) {
        self.count(Counter::lower_hits);
        if let Some(hits) = self.below.get(tier) {
            hits.fetch_add(1, Relaxed);
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
#[derive(Debug)]
pub(crate) struct Ledger(Mutex<Book>);

/// What is looked at together: a sum never goes backwards.
#[derive(Debug)]
struct Book {
    cells: Vec<Arc<Cell>>,
    /// So many cells are looked through for such as nobody uses any more.
    tidy_at: usize,
    gone: Sums,
    labels: Labels,
}

/// What one tenant has besides its cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) entries: u64,
    pub(crate) weight: u64,
    /// By its partition, which goes with it.
    pub(crate) evictions: u64,
}

/// The usage of each tenant in use.
pub(crate) type Usages = HashMap<TenantId, Usage, RandomState>;

impl Ledger {
    /// Makes an empty one, with metrics of their own for so many tenants.
    pub(crate) fn new(tenant_labels: usize) -> Self {
        Self(Mutex::new(Book {
            cells: Vec::new(),
            tidy_at: 1024,
            gone: Sums::default(),
            labels: Labels::new(tenant_labels),
        }))
    }

    pub(crate) fn cell(
        &self,
        tenant: &TenantId,
        namespace: &NamespacePath,
        keyspace: Option<&'static str>,
    ) -> Arc<Cell> {
        let cell = Arc::new(Cell {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            hits: Striped::default(),
            below: Default::default(),
            tenant: tenant.clone(),
            namespace: namespace.clone(),
            keyspace,
        });
        let mut book = self.0.lock();
        if book.cells.len() >= book.tidy_at {
            book.tidy();
        }
        book.cells.push(Arc::clone(&cell));
        cell
    }

    /// Adds up what nobody counts in any more: of a tenant that went away, or of a handle.
    pub(crate) fn tidy(&self) {
        self.0.lock().tidy();
    }

    /// Keeps the evictions of a tenant that is about to go away.
    pub(crate) fn keep_evictions(&self, tenant: &TenantId, evictions: u64) {
        let sums = Sums { evictions, ..Sums::default() };
        let mut book = self.0.lock();
        book.gone.add(&sums);
        book.labels.keep(tenant, &sums);
    }

    pub(crate) fn sums(&self, filter: Filter<'_>) -> Sums {
        let whole = filter.tenant.is_none() && filter.namespace.is_none() && filter.keyspace.is_none();
        let book = self.0.lock();
        let mut sums = if whole { book.gone } else { Sums::default() };
        for cell in &book.cells {
            let wanted = filter.tenant.is_none_or(|t| *t == cell.tenant)
                && filter.namespace.is_none_or(|n| *n == cell.namespace)
                && filter.keyspace.is_none_or(|k| Some(k) == cell.keyspace);
            if wanted {
                sums.add(&cell.read());
            }
        }
        sums
    }

    /// Returns the sums of the busiest tenants, and of all others together.
    ///
    /// `usages` was asked for before: an eviction is counted there or here.
    pub(crate) fn by_tenant(&self, usages: &Usages, now: Millis) -> Vec<TenantSums> {
        let mut book = self.0.lock();
        let Book { cells, gone, labels, .. } = &mut *book;
        let mut live: HashMap<&TenantId, Sums, RandomState> = HashMap::default();
        for cell in cells.iter() {
            live.entry(&cell.tenant).or_default().add(&cell.read());
        }
        for (tenant, usage) in usages {
            live.entry(tenant).or_default().evictions += usage.evictions;
        }
        labels.split(gone, &live, usages, now)
    }
}

impl Book {
    fn tidy(&mut self) {
        let Self { cells, gone, labels, tidy_at } = self;
        cells.retain(|cell| {
            // handles are given out by those who hold one, and under this lock
            let used = Arc::strong_count(cell) > 1;
            if !used {
                let sums = cell.read();
                gone.add(&sums);
                labels.keep(&cell.tenant, &sums);
            }
            used
        });
        *tidy_at = 2 * cells.len().max(512);
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
    pub(crate) read_time: Histogram,
    pub(crate) write_time: Histogram,
}

impl TierCounters {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Relaxed);
    }
}
