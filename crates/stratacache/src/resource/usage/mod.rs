//! What is read how often: small tables that know the busiest keys of each kind, and forget the others.

mod advice;
mod report;
mod table;

use std::{
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use stratacache_core::clock::Millis;

pub use advice::Advice;
pub use report::{KindUsage, UsageReport, UsedKey};

use crate::engine::Door;
use table::Table;

/// The kinds of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Items,
    Pages,
    Lists,
    Counts,
    Queries,
    Partitions,
}

impl Kind {
    pub(super) const ALL: [Self; 6] =
        [Self::Items, Self::Pages, Self::Lists, Self::Counts, Self::Queries, Self::Partitions];

    /// Those that every write touches.
    pub(super) const LISTS: [Self; 4] = [Self::Pages, Self::Lists, Self::Counts, Self::Queries];

    const fn name(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Pages => "pages",
            Self::Lists => "lists",
            Self::Counts => "counts",
            Self::Queries => "queries",
            Self::Partitions => "partitions",
        }
    }
}

/// Where the use of resources is counted: of one, or of all that were given it
/// ([`Resource::counted_in`](super::Resource::counted_in)).
///
/// It takes 120 kB at most: each of the six kinds knows up to 128 keys. Cheap to clone; clones are the same table.
#[derive(Clone, Default)]
pub struct Usage(Arc<Inner>);

#[derive(Default)]
struct Inner {
    kinds: [PerKind; Kind::ALL.len()],
    hasher: RandomState,
    writes: AtomicU64,
    /// Uses that found their table taken, and were not noted in it.
    skipped: AtomicU64,
    first: AtomicU64,
    last: AtomicU64,
}

#[derive(Default)]
struct PerKind {
    reads: AtomicU64,
    loads: AtomicU64,
    failed: AtomicU64,
    micros: AtomicU64,
    ttl: AtomicU64,
    table: Mutex<Table>,
}

/// A key among those of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KeyId(u64);

impl Usage {
    /// Makes an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what was counted until now.
    #[must_use]
    pub fn report(&self) -> UsageReport {
        report::of(&self.0)
    }

    pub(super) fn key(&self, door: &Door, key: &[u8]) -> KeyId {
        KeyId(self.0.hasher.hash_one((door.tenant.number, door.space.prefix.path().as_bytes(), key)))
    }

    fn table(&self, kind: Kind, note: impl FnOnce(&mut Table)) {
        match self.0.kinds[kind as usize].table.try_lock() {
            Some(mut table) => note(&mut table),
            // a reader does not wait for statistics
            None => {
                self.0.skipped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Notes a read; `name` is asked for keys that are to be shown.
    pub(super) fn read(&self, kind: Kind, key: KeyId, now: Millis, name: impl FnOnce() -> String) {
        let inner = &*self.0;
        inner.kinds[kind as usize].reads.fetch_add(1, Relaxed);
        if inner.first.load(Relaxed) == 0 {
            // the first of several is as good as any
            inner.first.store(now, Relaxed);
        }
        inner.last.store(now, Relaxed);
        self.table(kind, |table| table.read(key, name));
    }

    /// Notes a load, and how long it took.
    pub(super) fn loaded(&self, kind: Kind, key: KeyId, now: Millis, ttl: Duration) {
        let (now, ttl) = (now, ttl.as_millis() as u64);
        self.table(kind, |table| table.loaded(key, now, ttl));
    }

    /// Notes one call of the source.
    pub(super) fn called(&self, kind: Kind, keys: usize, took: Duration, ttl: Duration, failed: bool) {
        let per_kind = &self.0.kinds[kind as usize];
        per_kind.ttl.store(ttl.as_millis() as u64, Relaxed);
        per_kind.loads.fetch_add(keys as u64, Relaxed);
        per_kind.micros.fetch_add(took.as_micros() as u64, Relaxed);
        if failed {
            per_kind.failed.fetch_add(keys as u64, Relaxed);
        }
    }

    /// Notes a write.
    pub(super) fn written(&self) {
        self.0.writes.fetch_add(1, Relaxed);
    }

    /// Notes that a key was invalidated.
    pub(super) fn touched(&self, kind: Kind, key: KeyId) {
        self.table(kind, |table| table.touched(key));
    }

    /// Notes that all keys of a kind were invalidated.
    pub(super) fn all_touched(&self, kinds: &[Kind]) {
        for kind in kinds {
            self.table(*kind, Table::all_touched);
        }
    }
}

impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Usage(..)")
    }
}
