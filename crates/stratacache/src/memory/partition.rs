//! The entries of one tenant in memory.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use stratacache_core::clock::Millis;

use super::{
    Hashed, LookupKey, MapKey, SlotRef,
    shard::{Account, Left, Shard},
};

/// One tenant's entries: maps with eviction, under locks of our own.
///
/// No insert here can evict an entry of another tenant: that one is in another map. What leaves is dropped when no lock
/// is held. The capacity covers the entries and the blocks of the maps.
pub(crate) struct Partition {
    /// The only shard, until the partition has grown.
    small: RwLock<Shard>,
    large: OnceLock<Box<[RwLock<Shard>]>>,
    /// What all shards may hold.
    capacity: AtomicU64,
    /// Held while the capacity changes or is spread over the shards; taken before any shard's lock.
    spreading: Mutex<()>,
    entries: AtomicU64,
    bytes: AtomicU64,
    /// The earliest time at which an entry becomes useless; the sweep has nothing to do before it.
    next_useless: AtomicU64,
    /// No sweep before this: a sweep that looks at many entries is followed by a longer pause.
    rested_at: AtomicU64,
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
    /// It is in; others may have had to leave for it.
    Stored,
    /// It is heavier than the partition takes.
    TooHeavy,
}

/// From this capacity on there are several shards, so that threads do not meet at one lock.
const LARGE: u64 = 2 << 20;
/// A power of two.
const SHARDS: usize = 16;
/// An entry takes at most this part of a partition with several shards.
const HEAVIEST_PART: u64 = 4;
/// Below this part of the capacity free, more is asked for.
const SPARE_PART: u64 = 32;
/// Entries a sweep may look at for each millisecond of pause after it.
const SWEPT_PER_MS: u64 = 200;

impl Partition {
    pub(crate) fn new(capacity: u64) -> Self {
        let partition = Self {
            small: RwLock::new(Shard::new(capacity)),
            large: OnceLock::new(),
            capacity: AtomicU64::new(capacity),
            spreading: Mutex::new(()),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            next_useless: AtomicU64::new(Millis::MAX),
            rested_at: AtomicU64::new(0),
            stale_marks: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            seen_evictions: AtomicU64::new(0),
        };
        drop(partition.split(capacity));
        partition
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        match self.large.get() {
            // the map uses the lowest and the highest bits
            Some(shards) => &shards[(hash >> 40) as usize % SHARDS],
            None => &self.small,
        }
    }

    fn shards(&self) -> &[RwLock<Shard>] {
        match self.large.get() {
            Some(shards) => shards,
            None => std::slice::from_ref(&self.small),
        }
    }

    fn lock(&self, hash: u64) -> RwLockWriteGuard<'_, Shard> {
        loop {
            let lock = self.shard(hash);
            let guard = lock.write();
            // the entries move to the large shards under the small one's lock
            if std::ptr::eq(lock, self.shard(hash)) {
                return guard;
            }
        }
    }

    /// Works on a locked shard and keeps the books; what left is dropped after the lock.
    fn work<R>(&self, mut shard: RwLockWriteGuard<'_, Shard>, work: impl FnOnce(&mut Shard) -> R) -> (R, Left) {
        let before = shard.account();
        let result = work(&mut shard);
        let after = shard.account();
        let left = shard.take_left();
        self.book(before, after);
        (result, left)
    }

    fn book(&self, before: Account, after: Account) {
        self.entries.fetch_add(after.entries.wrapping_sub(before.entries), Relaxed);
        self.bytes.fetch_add(after.bytes.wrapping_sub(before.bytes), Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self, key: &LookupKey<'_>) -> Option<SlotRef> {
        let key = Hashed::new(key);
        self.shard(key.hash()).read().get(&key)
    }

    /// Looks without counting as a use.
    pub(crate) fn peek(&self, key: &LookupKey<'_>) -> Option<SlotRef> {
        let key = Hashed::new(key);
        self.shard(key.hash()).read().peek(&key)
    }

    /// Puts an entry in.
    pub(crate) fn insert(&self, key: MapKey, slot: SlotRef) -> Inserted {
        let head = slot.head();
        let weight = u64::from(head.weight);
        let idle = head.cold().map_or(0, |c| c.idle_ms);
        let mut useless = head.times().useful_until();
        if idle > 0 {
            useless = useless.min(head.times().created + u64::from(idle));
        }
        if weight > self.heaviest() {
            return Inserted::TooHeavy;
        }
        let hash = key.hash_value();
        let mut shard = self.lock(hash);
        if !shard.has_room(weight) && (!shard.takes(weight) || self.has_room_elsewhere(weight)) {
            drop(shard);
            let left = {
                let _spreading = self.spreading.lock();
                self.spread(Some((hash, weight)))
            };
            drop(left);
            shard = self.lock(hash);
        }
        if !shard.takes(weight) {
            return Inserted::TooHeavy;
        }
        let ((), left) = self.work(shard, |shard| shard.insert(key, slot));
        // after the insert: a sweep between the two would miss the entry
        self.next_useless.fetch_min(useless, Relaxed);
        drop(left);
        Inserted::Stored
    }

    /// Tells whether an entry of this weight most likely fits without another leaving.
    pub(crate) fn has_room(&self, weight: u64) -> bool {
        let capacity = self.capacity.load(Relaxed);
        weight <= self.heaviest() && self.bytes.load(Relaxed) + weight + capacity / SPARE_PART <= capacity
    }

    /// Tells whether the shards are filled unevenly enough to spread the capacity anew.
    fn has_room_elsewhere(&self, weight: u64) -> bool {
        self.large.get().is_some() && self.has_room(weight)
    }

    /// Tells whether this partition may ask the arbiter for more; after a refusal not until the next pass.
    pub(crate) fn may_ask(&self) -> bool {
        !self.refused.load(Relaxed)
    }

    /// Returns the weight of the heaviest entry that may be put in.
    pub(crate) fn heaviest(&self) -> u64 {
        let capacity = self.capacity.load(Relaxed);
        if self.large.get().is_some() { capacity / HEAVIEST_PART } else { capacity / 100 * 90 }
    }

    /// Returns the capacity at which an entry of this weight could be put in.
    pub(crate) fn needed_for(&self, weight: u64) -> u64 {
        let small = weight + weight / 4 + 2048;
        if small < LARGE && self.large.get().is_none() { small } else { (weight + 1) * HEAVIEST_PART }
    }

    /// Removes an entry if `condition` holds for what is there now.
    pub(crate) fn remove_if(&self, key: &LookupKey<'_>, condition: impl FnOnce(&SlotRef) -> bool) -> Option<SlotRef> {
        self.remove_hashed(&Hashed::new(key), condition)
    }

    fn remove_hashed(&self, key: &Hashed<'_>, condition: impl FnOnce(&SlotRef) -> bool) -> Option<SlotRef> {
        let (removed, _left) = self.work(self.lock(key.hash()), |shard| shard.remove_if(key, condition));
        removed
    }

    pub(crate) fn clear(&self) {
        for shard in std::iter::once(&self.small).chain(self.large.get().into_iter().flatten()) {
            let (all, left) = self.work(shard.write(), Shard::take_all);
            drop((all, left));
        }
    }

    /// Returns entries and bytes, those of the maps included.
    pub(crate) fn usage(&self) -> (usize, u64) {
        (self.entries.load(Relaxed) as usize, self.bytes.load(Relaxed))
    }

    /// Changes the capacity. What has to leave is returned, to be dropped when no lock is held.
    #[must_use]
    pub(super) fn set_capacity(&self, capacity: u64) -> Vec<Left> {
        let _spreading = self.spreading.lock();
        self.capacity.store(capacity, Relaxed);
        let mut left = self.split(capacity);
        left.extend(self.spread(None));
        left
    }

    /// Spreads the capacity over the shards: each gets what it holds and an equal part of the rest; one gets room for an
    /// entry of a weight.
    fn spread(&self, wanted: Option<(u64, u64)>) -> Vec<Left> {
        let capacity = self.capacity.load(Relaxed);
        let shards = self.shards();
        let place = |hash: u64| if shards.len() == 1 { 0 } else { (hash >> 40) as usize % SHARDS };
        let held: Vec<u64> = shards.iter().map(|s| s.read().account().bytes).collect();
        let (extra_at, extra) = wanted.map_or((0, 0), |(hash, weight)| {
            let at = place(hash);
            (at, shards[at].read().needs_for(weight).min(capacity))
        });
        let (rest, all) = (capacity - extra, held.iter().sum::<u64>());
        let even = rest.saturating_sub(all) / shards.len() as u64;
        let targets: Vec<u64> = held
            .iter()
            .enumerate()
            .map(|(at, held)| {
                let kept =
                    if all > rest { (u128::from(*held) * u128::from(rest) / u128::from(all)) as u64 } else { *held };
                kept + even + if at == extra_at { extra } else { 0 }
            })
            .collect();
        // shrink first: the sum stays within the capacity
        let mut left = Vec::new();
        for growing in [false, true] {
            for (shard, target) in shards.iter().zip(&targets) {
                let shard = shard.write();
                if (*target > shard.granted()) == growing && *target != shard.granted() {
                    left.push(self.work(shard, |shard| shard.grant(*target)).1);
                }
            }
        }
        left
    }

    /// Makes the shards of a large partition, and moves the entries there.
    fn split(&self, capacity: u64) -> Vec<Left> {
        if capacity < LARGE || self.large.get().is_some() {
            return Vec::new();
        }
        let mut small = self.small.write();
        let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::new(capacity / SHARDS as u64)).collect();
        let before = small.account();
        for (key, slot) in small.take_all() {
            let shard = &mut shards[(key.hash_value() >> 40) as usize % SHARDS];
            if shard.takes(u64::from(slot.head().weight)) {
                shard.insert(key, slot);
            } else {
                small.leave(key, slot);
            }
        }
        let mut left: Vec<Left> = shards.iter_mut().map(Shard::take_left).collect();
        left.push(small.take_left());
        let after = shards.iter().map(Shard::account).fold(Account::default(), |sum, one| Account {
            entries: sum.entries + one.entries,
            bytes: sum.bytes + one.bytes,
        });
        self.book(before, after);
        let shards: Box<[_]> = shards.into_iter().map(RwLock::new).collect();
        let fresh = self.large.set(shards).is_ok();
        debug_assert!(fresh, "only set under the small shard's lock");
        left
    }

    /// Returns how many entries were evicted for want of capacity.
    pub(crate) fn evicted(&self) -> u64 {
        let large: u64 = self.large.get().into_iter().flatten().map(|s| s.read().evicted()).sum();
        self.small.read().evicted() + large
    }

    /// Notes that marks were set which entries here may depend on.
    pub(crate) fn note_marks(&self) {
        self.stale_marks.store(true, Relaxed);
    }

    /// Tells whether a sweep at `now` has anything to do.
    pub(crate) fn wants_sweep(&self, now: Millis) -> bool {
        now >= self.rested_at.load(Relaxed)
            && (self.stale_marks.load(Relaxed) || now >= self.next_useless.load(Relaxed))
    }

    /// Removes every entry for which `useless_at` returns a time that has come, and returns how many.
    ///
    /// `useless_at` returns until when an entry is of use; 0 for one that is invalid.
    pub(crate) fn sweep(&self, now: Millis, useless_at: impl Fn(&SlotRef) -> Millis) -> usize {
        self.stale_marks.store(false, Relaxed);
        self.next_useless.store(Millis::MAX, Relaxed);
        let (mut removed, mut swept, mut next) = (0, 0, Millis::MAX);
        for shard in self.shards() {
            let mut due = Vec::new();
            for (key, slot) in shard.read().iter() {
                swept += 1;
                let at = useless_at(slot);
                if at <= now {
                    due.push((key.clone(), Arc::clone(slot)));
                } else {
                    next = next.min(at);
                }
            }
            for (key, slot) in due {
                let gone = self.remove_hashed(&Hashed::stored(&key), |s| Arc::ptr_eq(s, &slot));
                removed += usize::from(gone.is_some());
            }
        }
        self.next_useless.fetch_min(next, Relaxed);
        self.rested_at.store(now + swept / SWEPT_PER_MS, Relaxed);
        removed
    }

    /// Gives blocks of the maps back that are mostly empty.
    pub(crate) fn tidy(&self) {
        for shard in self.shards() {
            let (_, left) = self.work(shard.write(), Shard::tidy);
            drop(left);
        }
    }

    /// Returns up to `n` keys, for operators.
    pub(crate) fn sample(&self, n: usize) -> Vec<MapKey> {
        let mut keys = Vec::new();
        for shard in self.shards() {
            keys.extend(shard.read().iter().take(n - keys.len()).map(|(key, _)| key.clone()));
        }
        keys
    }
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (entries, weight) = self.usage();
        f.debug_struct("Partition").field("entries", &entries).field("weight", &weight).finish_non_exhaustive()
    }
}
