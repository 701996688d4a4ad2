//! Where each entry lies: a table in memory, in shards.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use parking_lot::Mutex;
use stratacache_core::{EntryName, clock::Millis};

const SHARDS: usize = 256;
const TOUCHED: u32 = 1 << 31;

/// The place of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

/// 16 bytes, so that an entry costs 32 in the table.
#[derive(Debug, Clone, Copy)]
struct Slot {
    segment: u32,
    offset: u32,
    /// The length of the envelope; the top bit says that it was read since it was written.
    len: u32,
    /// Seconds, rounded up; the exact time is in the record.
    expires_s: u32,
}

impl Slot {
    const fn place(self) -> Place {
        Place { segment: self.segment, offset: self.offset, len: self.len & !TOUCHED }
    }
}

/// Names are keyed hashes already; folding their halves is enough.
#[derive(Debug, Default)]
pub(crate) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u128(&mut self, n: u128) {
        // the multiplication spreads names that are not hashes, as tests have them
        self.0 = (n as u64 ^ (n >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

type Shard = HashMap<EntryName, Slot, BuildHasherDefault<NameHasher>>;

/// The table. It changes only under the lock of the log's writer.
#[derive(Debug)]
pub(crate) struct Index {
    shards: Box<[Mutex<Shard>]>,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, name: EntryName) -> &Mutex<Shard> {
        &self.shards[(name.low() >> 56) as usize % SHARDS]
    }

    /// Finds an entry without marking it as read.
    pub(crate) fn find(&self, name: EntryName) -> Option<Place> {
        self.shard(name).lock().get(&name).map(|slot| slot.place())
    }

    /// Finds an entry for a reader: it gets a second chance when its segment is evicted.
    pub(crate) fn touch(&self, name: EntryName) -> Option<Place> {
        let mut shard = self.shard(name).lock();
        let slot = shard.get_mut(&name)?;
        slot.len |= TOUCHED;
        Some(slot.place())
    }

    /// Tells whether an entry at a place was read since it was written there.
    pub(crate) fn is_touched(&self, name: EntryName, place: Place) -> bool {
        self.shard(name).lock().get(&name).is_some_and(|slot| slot.place() == place && slot.len & TOUCHED != 0)
    }

    /// Sets the place of an entry and returns the one before.
    pub(crate) fn set(&self, name: EntryName, place: Place, expires_at: Millis) -> Option<Place> {
        let slot = Slot {
            segment: place.segment,
            offset: place.offset,
            len: place.len,
            expires_s: u32::try_from(expires_at.div_ceil(1000)).unwrap_or(u32::MAX),
        };
        self.shard(name).lock().insert(name, slot).map(Slot::place)
    }

    /// Forgets an entry and returns where it was.
    pub(crate) fn remove(&self, name: EntryName) -> Option<Place> {
        self.shard(name).lock().remove(&name).map(Slot::place)
    }

    /// Forgets the expired entries of one shard, gives their places to `gone`, and returns how many were looked at.
    pub(crate) fn sweep(&self, shard: usize, now: Millis, mut gone: impl FnMut(Place)) -> usize {
        let mut shard = self.shards[shard % SHARDS].lock();
        let looked_at = shard.len();
        shard.retain(|_, slot| {
            let keep = slot.expires_s == u32::MAX || u64::from(slot.expires_s) * 1000 > now;
            if !keep {
                gone(slot.place());
            }
            keep
        });
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 8 {
            let keep = shard.len() * 2;
            shard.shrink_to(keep);
        }
        looked_at
    }

    /// Returns the entries of one shard after a name, in the order of their names.
    pub(crate) fn after(&self, shard: usize, after: Option<EntryName>) -> Vec<(EntryName, Place)> {
        let shard = self.shards[shard % SHARDS].lock();
        let left = shard.iter().filter(|(name, _)| after.is_none_or(|after| **name > after));
        let mut names: Vec<(EntryName, Place)> = left.map(|(name, slot)| (*name, slot.place())).collect();
        drop(shard);
        names.sort_unstable_by_key(|(name, _)| *name);
        names
    }

    /// Returns how many shards there are.
    pub(crate) const fn shards(&self) -> usize {
        SHARDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_as_read_only_where_it_was_read() {
        let (index, name) = (Index::new(), EntryName::from_bytes([1; 16]));
        let place = |offset| Place { segment: 1, offset, len: 5 };
        index.set(name, place(0), 10);
        assert!(!index.is_touched(name, place(0)));
        assert_eq!(index.touch(name), Some(place(0)));
        assert!(index.is_touched(name, place(0)));
        assert_eq!(index.set(name, place(9), 10), Some(place(0)));
        assert!(!index.is_touched(name, place(9)));
    }

    #[test]
    fn a_sweep_frees_what_has_expired_and_nothing_else() {
        let index = Index::new();
        for n in 0..100_u8 {
            index.set(
                EntryName::from_bytes([n; 16]),
                Place { segment: 0, offset: n.into(), len: 1 },
                u64::from(n) * 1000,
            );
        }
        let forever = EntryName::from_bytes([200; 16]);
        index.set(forever, Place { segment: 0, offset: 200, len: 1 }, u64::MAX);
        let mut gone = 0;
        for shard in 0..index.shards() {
            index.sweep(shard, 50_000, |_| gone += 1);
        }
        assert_eq!(gone, 51);
        assert!(index.find(EntryName::from_bytes([50; 16])).is_none());
        assert!(index.find(EntryName::from_bytes([51; 16])).is_some());
        assert!(index.find(forever).is_some());
    }
}
