//! The entries of one tenant in memory.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use parking_lot::{RwLock, RwLockWriteGuard};
use stratacache_core::clock::Millis;

use super::{
    Hashed, LookupKey, MapKey, SlotRef,
    shard::{Account, Left, Shard, weight},
};

/// One tenant's entries: shards under locks of their own, and one count of bytes for all.
///
/// No insert here can evict an entry of another tenant: that one is in another partition. What leaves is dropped when no
/// lock is held. The capacity covers the entries and the blocks of the shards.
pub(crate) struct Partition {
    /// The only shard, until the partition has grown.
    small: RwLock<Shard>,
    large: OnceLock<Box<[RwLock<Shard>]>>,
    capacity: AtomicU64,
    entries: AtomicU64,
    /// What entries take, those just about to come in, and the blocks of the shards.
    bytes: AtomicU64,
    /// What the blocks of the shards take.
    structure: AtomicU64,
    evicted: AtomicU64,
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

/// What was taken out of a partition. Dropping it frees it, entry by entry, and only then its bytes are free for others.
#[must_use = "it may be large: drop it where that may take a while"]
pub(crate) struct Cleared {
    partition: Arc<Partition>,
    shards: Vec<Shard>,
    entries: u64,
}

impl Cleared {
    /// Tells whether dropping it takes so long that others should not have to wait for it.
    pub(crate) fn is_much(&self) -> bool {
        self.entries > MUCH
    }
}

impl Drop for Cleared {
    fn drop(&mut self) {
        for shard in self.shards.drain(..) {
            let held = shard.account();
            drop(shard);
            self.partition.bytes.fetch_sub(held.bytes(), Relaxed);
            self.partition.structure.fetch_sub(held.structure, Relaxed);
        }
    }
}

/// Work on more entries than this takes milliseconds, and is not done between awaits.
pub(crate) const MUCH: u64 = 4096;
/// From this capacity on there are several shards, so that threads do not meet at one lock.
const LARGE: u64 = 2 << 20;
/// A power of two.
const SHARDS: usize = 16;
/// A partition is of little use with less.
pub(super) const SMALLEST: u64 = 16 << 10;
/// Below this part of the capacity free, more is asked for.
const SPARE_PART: u64 = 32;
/// What the blocks of a shard with few entries take.
const FIRST_BLOCKS: u64 = 512;
/// Entries a sweep may look at for each millisecond of pause after it.
const SWEPT_PER_MS: u64 = 200;

impl Partition {
    pub(crate) fn new(capacity: u64) -> Self {
        let partition = Self {
            small: RwLock::new(Shard::default()),
            large: OnceLock::new(),
            capacity: AtomicU64::new(capacity),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            structure: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            next_useless: AtomicU64::new(Millis::MAX),
            rested_at: AtomicU64::new(0),
            stale_marks: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            seen_evictions: AtomicU64::new(0),
        };
        partition.split_if_large();
        partition
    }

    /// Returns which of the large shards a hash belongs to; their tables look at other bits.
    #[inline]
    fn place(hash: u64) -> usize {
        (hash >> 40) as usize % SHARDS
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        match self.large.get() {
            Some(shards) => &shards[Self::place(hash)],
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

    /// Works on a locked shard and keeps the books.
    fn work<R>(&self, shard: &mut Shard, work: impl FnOnce(&mut Shard) -> R) -> R {
        let before = shard.account();
        let result = work(shard);
        self.book(before, shard.account());
        result
    }

    fn book(&self, before: Account, after: Account) {
        self.entries.fetch_add(after.entries.wrapping_sub(before.entries), Relaxed);
        self.bytes.fetch_add(after.bytes().wrapping_sub(before.bytes()), Relaxed);
        if after.structure != before.structure {
            self.structure.fetch_add(after.structure.wrapping_sub(before.structure), Relaxed);
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: &LookupKey<'_>) -> Option<SlotRef> {
        self.look(&Hashed::new(key), Shard::get)
    }

    /// Looks without counting as a use.
    pub(crate) fn peek(&self, key: &LookupKey<'_>) -> Option<SlotRef> {
        self.look(&Hashed::new(key), Shard::peek)
    }

    #[inline]
    fn look(&self, key: &Hashed<'_>, look: impl Fn(&Shard, &Hashed<'_>) -> Option<SlotRef>) -> Option<SlotRef> {
        let lock = self.shard(key.hash());
        let found = look(&lock.read(), key);
        if found.is_none() && !std::ptr::eq(lock, self.shard(key.hash())) {
            // it moved to the large shards meanwhile
            return look(&self.shard(key.hash()).read(), key);
        }
        found
    }

    /// Puts an entry in.
    pub(crate) fn insert(&self, slot: SlotRef) -> Inserted {
        let (weight, useless) = (weight(&slot), slot.useless_at());
        let hash = slot.head().key.hash_value();
        let mut left = Left::new();
        if weight > self.heaviest() || !self.make_room(hash, weight, &mut left) {
            return Inserted::TooHeavy;
        }
        let mut shard = self.lock(hash);
        left.extend(self.work(&mut shard, |shard| shard.insert(hash, slot)));
        // from now on the shard counts it
        self.bytes.fetch_sub(weight, Relaxed);
        // its blocks may have grown
        while self.is_over() && self.evict(&mut shard, &mut left) {}
        drop(shard);
        // after the insert: a sweep between the two would miss the entry
        self.next_useless.fetch_min(useless, Relaxed);
        drop(left);
        Inserted::Stored
    }

    /// Counts bytes that are about to come in, if they fit.
    fn reserve(&self, weight: u64) -> bool {
        let capacity = self.capacity.load(Relaxed);
        let fits = |bytes: u64| Some(bytes.saturating_add(weight)).filter(|sum| *sum <= capacity);
        self.bytes.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    /// Reserves bytes, and evicts for them where it must: first in the shard of `hash`. `false` if that is not enough.
    fn make_room(&self, hash: u64, weight: u64, left: &mut Left) -> bool {
        loop {
            if self.reserve(weight) {
                return true;
            }
            let shards = self.shards();
            for n in 0..shards.len() {
                let mut shard = shards[(Self::place(hash) + n) % shards.len()].write();
                while self.evict(&mut shard, left) {
                    if self.reserve(weight) {
                        return true;
                    }
                }
                self.work(&mut shard, Shard::tidy);
            }
            if shards.len() == self.shards().len() {
                return self.reserve(weight);
            }
        }
    }

    fn evict(&self, shard: &mut Shard, left: &mut Left) -> bool {
        let evicted = self.work(shard, Shard::evict);
        let any = evicted.is_some();
        self.evicted.fetch_add(u64::from(any), Relaxed);
        left.extend(evicted);
        any
    }

    fn is_over(&self) -> bool {
        self.bytes.load(Relaxed) > self.capacity.load(Relaxed)
    }

    /// Tells whether an entry of this weight fits without another leaving, even if the blocks of the shards double.
    pub(crate) fn has_room(&self, weight: u64) -> bool {
        let capacity = self.capacity.load(Relaxed);
        let growth = self.structure.load(Relaxed).max(FIRST_BLOCKS);
        weight <= self.heaviest() && self.bytes.load(Relaxed) + weight + growth + capacity / SPARE_PART <= capacity
    }

    /// Tells whether this partition may ask the arbiter for more; after a refusal not until the next pass.
    pub(crate) fn may_ask(&self) -> bool {
        !self.refused.load(Relaxed)
    }

    /// Returns the weight of the heaviest entry that may be put in.
    pub(crate) fn heaviest(&self) -> u64 {
        let capacity = self.capacity.load(Relaxed);
        (capacity - capacity / 10).saturating_sub(FIRST_BLOCKS)
    }

    /// Returns the capacity at which an entry of this weight could be put in.
    pub(crate) fn needed_for(weight: u64) -> u64 {
        (weight + FIRST_BLOCKS).saturating_mul(5) / 4
    }

    /// Removes an entry if `condition` holds for what is there now.
    pub(crate) fn remove_if(&self, key: &LookupKey<'_>, condition: impl FnOnce(&SlotRef) -> bool) -> Option<SlotRef> {
        self.remove_hashed(&Hashed::new(key), condition)
    }

    /// Removes the entries whose keys have this hash, if `condition` holds: more than one only if keys collide.
    pub(crate) fn remove_by_hash(&self, hash: u64, condition: impl Fn(&SlotRef) -> bool) {
        let left = self.work(&mut self.lock(hash), |shard| shard.remove_by_hash(hash, condition));
        drop(left); // when nothing is locked
    }

    /// Returns an entry whose key has this hash and that `wanted` picks, without counting as a use.
    pub(crate) fn find_by_hash(&self, hash: u64, wanted: impl Fn(&SlotRef) -> bool) -> Option<SlotRef> {
        let lock = self.shard(hash);
        let found = lock.read().find_by_hash(hash, &wanted);
        if found.is_none() && !std::ptr::eq(lock, self.shard(hash)) {
            // it moved to the large shards meanwhile
            return self.shard(hash).read().find_by_hash(hash, &wanted);
        }
        found
    }

    /// Returns an entry that `wanted` picks, without counting as a use. It looks at no more than `left` entries, which it
    /// lowers, and begins with some shard.
    pub(crate) fn find(&self, start: usize, left: &mut usize, wanted: impl Fn(&SlotRef) -> bool) -> Option<SlotRef> {
        let shards = self.shards();
        for n in 0..shards.len() {
            for slot in shards[start.wrapping_add(n) % shards.len()].read().iter() {
                if *left == 0 {
                    return None;
                }
                *left -= 1;
                if wanted(slot) {
                    return Some(SlotRef::clone(slot));
                }
            }
        }
        None
    }

    fn remove_hashed(&self, key: &Hashed<'_>, condition: impl FnOnce(&SlotRef) -> bool) -> Option<SlotRef> {
        self.work(&mut self.lock(key.hash()), |shard| shard.remove_if(key, condition))
    }

    /// Takes everything out at once, however much it is.
    pub(crate) fn clear(self: &Arc<Self>) -> Cleared {
        let taken = |shard: &RwLock<Shard>| std::mem::take(&mut *shard.write());
        // first, since what is in it may move to the large ones
        let mut shards = vec![taken(&self.small)];
        shards.extend(self.large.get().into_iter().flatten().map(taken));
        let entries = shards.iter().map(|shard| shard.account().entries).sum();
        self.entries.fetch_sub(entries, Relaxed);
        Cleared { partition: Arc::clone(self), shards, entries }
    }

    /// Returns entries and bytes, those of the blocks included.
    pub(crate) fn usage(&self) -> (usize, u64) {
        (self.entries.load(Relaxed) as usize, self.bytes.load(Relaxed))
    }

    /// Changes the capacity. What has to leave is returned, to be dropped when no lock is held.
    #[must_use]
    pub(super) fn set_capacity(&self, capacity: u64) -> Left {
        self.capacity.store(capacity, Relaxed);
        self.split_if_large();
        let mut left = Left::new();
        let held = self.bytes.load(Relaxed);
        if held <= capacity {
            return left;
        }
        // every shard gives the same part; what is left to do after that is done by whoever has something
        let part = |bytes: u64| (u128::from(bytes) * u128::from(capacity) / u128::from(held)) as u64;
        for last in [false, true] {
            for shard in self.shards() {
                let mut shard = shard.write();
                let target = if last { 0 } else { part(shard.account().bytes()) };
                while self.is_over() && shard.account().bytes() > target && self.evict(&mut shard, &mut left) {}
                self.work(&mut shard, Shard::tidy);
            }
        }
        left
    }

    /// Makes the shards of a large partition, and moves the entries there.
    fn split_if_large(&self) {
        if self.capacity.load(Relaxed) < LARGE || self.large.get().is_some() {
            return;
        }
        let mut small = self.small.write();
        if self.large.get().is_some() {
            return;
        }
        let mut shards: Vec<Shard> = std::iter::repeat_with(Shard::default).take(SHARDS).collect();
        let before = small.account();
        for slot in small.take_all() {
            shards[Self::place(slot.head().key.hash_value())].adopt(slot);
        }
        self.book(before, shards.iter().map(Shard::account).sum());
        let fresh = self.large.set(shards.into_iter().map(RwLock::new).collect()).is_ok();
        debug_assert!(fresh, "only set under the small shard's lock");
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
            for slot in shard.read().iter() {
                swept += 1;
                let at = useless_at(slot);
                if at <= now {
                    due.push(SlotRef::clone(slot));
                } else {
                    next = next.min(at);
                }
            }
            for slot in due {
                let key = Hashed::stored(&slot.head().key);
                let gone = self.remove_hashed(&key, |there| SlotRef::ptr_eq(there, &slot));
                removed += usize::from(gone.is_some());
            }
        }
        self.next_useless.fetch_min(next, Relaxed);
        self.rested_at.store(now + swept / SWEPT_PER_MS, Relaxed);
        removed
    }

    /// Gives blocks back that are mostly empty.
    pub(crate) fn tidy(&self) {
        for shard in self.shards() {
            self.work(&mut shard.write(), Shard::tidy);
        }
    }

    /// Looks at every entry, without counting as a use, as long as `look` returns true. It runs under the lock of a shard.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&SlotRef) -> bool) {
        for shard in self.shards() {
            if !shard.read().iter().all(&mut look) {
                return;
            }
        }
    }

    /// Hands over the entries that are `wanted`, those of one shard after the other, as long as `look` returns true. It does so when
    /// nothing is locked: `look` may take its time.
    pub(crate) fn for_each_shard(&self, wanted: impl Fn(&SlotRef) -> bool, mut look: impl FnMut(Vec<SlotRef>) -> bool) {
        for shard in self.shards() {
            let slots = shard.read().iter().filter(|slot| wanted(slot)).cloned().collect();
            if !look(slots) {
                return;
            }
        }
    }

    /// Returns up to `n` keys, for operators.
    pub(crate) fn sample(&self, n: usize) -> Vec<MapKey> {
        let mut keys = Vec::new();
        for shard in self.shards() {
            keys.extend(shard.read().iter().take(n - keys.len()).map(|slot| slot.head().key.clone()));
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
