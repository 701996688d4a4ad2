//! The entries of one tenant in memory.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use foldhash::fast::RandomState;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync};
use smallvec::SmallVec;
use stratacache_core::clock::Millis;

use super::{LookupKey, MapKey, SlotRef};

#[derive(Clone)]
struct Weigh;

impl Weighter<MapKey, Kept> for Weigh {
    fn weight(&self, _: &MapKey, slot: &Kept) -> u64 {
        u64::from(slot.0.head().weight).max(1)
    }
}

/// Counts evictions, and takes what leaves out of the lock before it is dropped.
#[derive(Clone)]
struct Leaving(Arc<AtomicU64>);

impl Lifecycle<MapKey, Kept> for Leaving {
    type RequestState = SmallVec<[(MapKey, Kept); 1]>;

    fn before_evict(&self, _: &mut Self::RequestState, _: &MapKey, _: &mut Kept) {
        self.0.fetch_add(1, Relaxed);
    }

    fn on_evict(&self, leaving: &mut Self::RequestState, key: MapKey, slot: Kept) {
        leaving.push((key, slot));
    }
}

/// An entry in the map.
struct Kept(SlotRef);

impl Clone for Kept {
    /// Clones what a reader takes away.
    ///
    /// The counter and the metadata that every hit looks at are in two lines of memory; they are asked for at once,
    /// before the counter is changed, which else holds everything after it up until its line is there.
    #[inline]
    fn clone(&self) -> Self {
        let count = Arc::strong_count(&self.0);
        let attention_at = self.0.head().attention_at.load(Relaxed);
        std::hint::black_box((count, attention_at));
        Self(Arc::clone(&self.0))
    }
}

/// One tenant's entries: a `quick_cache` used as a plain map with eviction.
///
/// No insert here can evict an entry of another tenant: that one is in another map.
pub(crate) struct Partition {
    map: sync::Cache<MapKey, Kept, Weigh, RandomState, Leaving>,
    evicted: Arc<AtomicU64>,
    /// The earliest time at which an entry becomes useless; the sweep has nothing to do before it.
    next_useless: AtomicU64,
    /// Something was invalidated whose entries are still here.
    stale_marks: AtomicBool,
    /// The arbiter had nothing for this partition.
    pub(super) refused: AtomicBool,
    /// Evictions when the arbiter last looked.
    pub(super) seen_evictions: AtomicU64,
}

/// What came of putting an entry in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// There was room.
    Fitted,
    /// Others had to leave for it.
    Evicting,
    /// It is heavier than the partition takes.
    TooHeavy,
}

/// Each shard should have at least this many bytes, or large values find no room.
const SHARD: u64 = 4 << 20;
/// Remembered keys of evicted entries: one for each so many bytes of capacity.
const BYTES_PER_GHOST: u64 = 2048;

impl Partition {
    pub(crate) fn new(capacity: u64) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        let shards = (capacity / SHARD).clamp(1, 16) as usize;
        let items = (capacity / (BYTES_PER_GHOST / 2)).max(32) as usize;
        let options = OptionsBuilder::new()
            .shards(shards)
            .weight_capacity(capacity.max(1))
            .estimated_items_capacity(items.max(shards * 32))
            .build();
        let Ok(options) = options else { unreachable!("both capacities are set") };
        Self {
            map: sync::Cache::with_options(options, Weigh, RandomState::default(), Leaving(Arc::clone(&evicted))),
            evicted,
            next_useless: AtomicU64::new(Millis::MAX),
            stale_marks: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            seen_evictions: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: &LookupKey<'_>) -> Option<SlotRef> {
        self.map.get(key).map(|kept| kept.0)
    }

    /// Looks without counting as a use.
    pub(crate) fn peek(&self, key: &LookupKey<'_>) -> Option<SlotRef> {
        self.map.peek(key).map(|kept| kept.0)
    }

    /// Puts an entry in.
    pub(crate) fn insert(&self, key: MapKey, slot: SlotRef) -> Inserted {
        let head = slot.head();
        if u64::from(head.weight) > self.heaviest() {
            return Inserted::TooHeavy;
        }
        let idle = head.cold().map_or(0, |c| c.idle_ms);
        let mut useless = head.times().useful_until();
        if idle > 0 {
            useless = useless.min(head.times().created.saturating_add(u64::from(idle)));
        }
        self.next_useless.fetch_min(useless, Relaxed);
        let evicted = self.evicted();
        let mut leaving = SmallVec::new();
        self.map.insert_with_lifecycle(key, Kept(slot), &mut leaving);
        if self.evicted() == evicted { Inserted::Fitted } else { Inserted::Evicting }
    }

    /// Tells whether this partition may ask the arbiter for more; after a refusal not until the next pass.
    pub(crate) fn may_ask(&self) -> bool {
        !self.refused.load(Relaxed)
    }

    /// Returns the heaviest entry that fits.
    pub(crate) fn heaviest(&self) -> u64 {
        self.map.shard_capacity() / 100 * 96
    }

    /// Removes an entry if `condition` holds for what is there now.
    pub(crate) fn remove_if(&self, key: &LookupKey<'_>, condition: impl FnOnce(&SlotRef) -> bool) -> Option<SlotRef> {
        self.map.remove_if(key, |kept| condition(&kept.0)).map(|(_, kept)| kept.0)
    }

    pub(crate) fn clear(&self) {
        // drained, not cleared: values are dropped outside the lock
        drop(self.map.drain().collect::<Vec<_>>());
    }

    /// Returns entries and bytes.
    pub(crate) fn usage(&self) -> (usize, u64) {
        (self.map.len(), self.map.weight())
    }

    pub(super) fn set_capacity(&self, capacity: u64) {
        self.map.set_capacity(capacity.max(1));
    }

    /// Returns how many entries were evicted for want of capacity.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    /// Notes that marks were set which entries here may depend on.
    pub(crate) fn note_marks(&self) {
        self.stale_marks.store(true, Relaxed);
    }

    /// Tells whether a sweep at `now` has anything to do.
    pub(crate) fn wants_sweep(&self, now: Millis) -> bool {
        self.stale_marks.load(Relaxed) || now >= self.next_useless.load(Relaxed)
    }

    /// Removes every entry for which `useless_at` returns a time that has come, and returns how many.
    ///
    /// `useless_at` returns until when an entry is of use; 0 for one that is invalid.
    pub(crate) fn sweep(&self, now: Millis, useless_at: impl Fn(&MapKey, &SlotRef) -> Millis) -> usize {
        self.stale_marks.store(false, Relaxed);
        self.next_useless.store(Millis::MAX, Relaxed);
        let mut removed = 0;
        let mut next = Millis::MAX;
        for (key, Kept(slot)) in self.map.iter() {
            let at = useless_at(&key, &slot);
            if at <= now {
                removed += usize::from(self.map.remove_if(&key, |s| Arc::ptr_eq(&s.0, &slot)).is_some());
            } else {
                next = next.min(at);
            }
        }
        self.next_useless.fetch_min(next, Relaxed);
        removed
    }

    /// Returns up to `n` keys, for operators.
    pub(crate) fn sample(&self, n: usize) -> Vec<MapKey> {
        self.map.iter().take(n).map(|(key, _)| key).collect()
    }
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (entries, weight) = self.usage();
        f.debug_struct("Partition").field("entries", &entries).field("weight", &weight).finish_non_exhaustive()
    }
}
