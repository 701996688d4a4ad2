//! The counters behind the tier's fences.

use std::sync::atomic::{AtomicU64, Ordering};

use stratacache_core::{EntryName, tier::Fence};

const STRIPES: usize = 4096;

/// A counter for each stripe of names, moved by every removal.
///
/// A removal moves it when it has taken effect, before it lets go of the lock of the log's writer, under which every write
/// compares its fence: a fence read while the old value could still be seen is void for every write behind the removal.
/// Sharing a stripe voids a fence too many, never one too few.
#[derive(Debug)]
pub(crate) struct Fences {
    stripes: Box<[AtomicU64]>,
}

impl Fences {
    /// Makes the counters; `start` differs in every run, so that no fence outlives the one it was given in.
    pub(crate) fn new(start: u64) -> Self {
        Self { stripes: (0..STRIPES).map(|_| AtomicU64::new(start)).collect() }
    }

    fn stripe(&self, name: EntryName) -> &AtomicU64 {
        &self.stripes[name.low() as usize % STRIPES]
    }

    /// Returns the permission to write a name; to be called before the entry is read.
    pub(crate) fn get(&self, name: EntryName) -> Fence {
        Fence(self.stripe(name).load(Ordering::SeqCst).into())
    }

    /// Voids the fences handed out so far; to be called under the lock of the log's writer.
    pub(crate) fn void(&self, name: EntryName) {
        self.stripe(name).fetch_add(1, Ordering::SeqCst);
    }

    /// Tells whether a permission still holds; to be called under the lock of the log's writer.
    pub(crate) fn holds(&self, name: EntryName, fence: Fence) -> bool {
        self.get(name) == fence
    }
}
