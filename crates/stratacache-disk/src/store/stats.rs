//! Counts that readers see without the writer's lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of a store; all are exact between two operations.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Bytes of all segments.
    pub(crate) directory: AtomicU64,
    /// Bytes of the records that are alive.
    pub(crate) live: AtomicU64,
    /// How many are alive.
    pub(crate) entries: AtomicU64,
    /// How many segments were evicted in this run.
    pub(crate) evictions: AtomicU64,
    /// The highest time seen.
    pub(crate) time: AtomicU64,
}

impl Stats {
    pub(crate) fn count(&self, size: u64, alive: bool) {
        if alive {
            self.live.fetch_add(size, Ordering::Relaxed);
            self.entries.fetch_add(1, Ordering::Relaxed);
        } else {
            self.live.fetch_sub(size, Ordering::Relaxed);
            self.entries.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn evicted(&self) {
        self.evictions.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells whether `more` entries would be too many.
    pub(crate) fn over(&self, max_entries: u64, more: u64) -> bool {
        self.entries.load(Ordering::Relaxed) + more > max_entries
    }
}
