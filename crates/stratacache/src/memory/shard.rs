//! One shard of a partition: a `quick_cache` map under the lock of its owner, charged for its own blocks too.

use std::{
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter, unsync};
use smallvec::SmallVec;

use super::{Hashed, MapKey, SlotRef};

/// What left a map. It is dropped when no lock is held: a value's `drop` may call back into the cache.
pub(crate) type Left = SmallVec<[(MapKey, SlotRef); 2]>;

/// Bytes of one slot of the map's list. A test holds it to what the map says.
const SLOT: u64 = 80;
/// Bytes of one slot of the map's table, free ones included.
const TABLE_SLOT: u64 = 8;
/// Slots the list begins with; then it doubles.
const FIRST_SLOTS: u64 = 4;
/// Remembered keys of evicted entries: one for each so many bytes of capacity.
const BYTES_PER_GHOST: u64 = 2048;

#[derive(Clone)]
struct Weigh;

impl Weighter<MapKey, SlotRef> for Weigh {
    fn weight(&self, _: &MapKey, slot: &SlotRef) -> u64 {
        u64::from(slot.head().weight).max(1)
    }
}

/// Hands on the hash that a key brings.
#[derive(Default)]
struct Finished(u64);

impl Hasher for Finished {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys bring their hash as one number")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Counts evictions and keeps what leaves until the lock is released.
#[derive(Clone, Default)]
struct Leaving(Arc<Bin>);

#[derive(Default)]
struct Bin {
    left: Mutex<Left>,
    evicted: AtomicU64,
}

impl Lifecycle<MapKey, SlotRef> for Leaving {
    type RequestState = ();

    fn before_evict(&self, (): &mut (), _: &MapKey, _: &mut SlotRef) {
        self.0.evicted.fetch_add(1, Relaxed);
    }

    fn on_evict(&self, (): &mut (), key: MapKey, slot: SlotRef) {
        self.0.left.lock().push((key, slot));
    }
}

type Map = unsync::Cache<MapKey, SlotRef, Weigh, BuildHasherDefault<Finished>, Leaving>;

/// What a shard holds: entries, and bytes with those of the map itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Account {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

pub(super) struct Shard {
    map: Map,
    leaving: Leaving,
    /// Bytes for entries and for the blocks of the map.
    granted: u64,
    /// Slots reserved when the map was made.
    reserved: u64,
    /// How many ghosts the map keeps; it rounds down whenever its capacity changes.
    ghosts: usize,
}

fn ghosts(capacity: u64) -> usize {
    (capacity / BYTES_PER_GHOST) as usize
}

fn map(capacity: u64, leaving: Leaving) -> Map {
    let options = OptionsBuilder::new()
        .shards(1)
        .weight_capacity(capacity.max(1))
        .estimated_items_capacity(ghosts(capacity))
        .ghost_allocation(1.0)
        .build();
    let Ok(options) = options else { unreachable!("both capacities are set") };
    Map::with_options(options, Weigh, BuildHasherDefault::default(), leaving)
}

impl Shard {
    pub(super) fn new(granted: u64) -> Self {
        let leaving = Leaving::default();
        Self { map: map(granted, leaving.clone()), leaving, granted, reserved: 0, ghosts: ghosts(granted) }
    }

    #[inline]
    pub(super) fn get(&self, key: &Hashed<'_>) -> Option<SlotRef> {
        self.map.get(key).cloned()
    }

    pub(super) fn peek(&self, key: &Hashed<'_>) -> Option<SlotRef> {
        self.map.peek(key).cloned()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&MapKey, &SlotRef)> {
        self.map.iter()
    }

    pub(super) fn account(&self) -> Account {
        Account { entries: self.map.len() as u64, bytes: self.map.weight() + self.structure() }
    }

    pub(super) fn evicted(&self) -> u64 {
        self.leaving.0.evicted.load(Relaxed)
    }

    /// Tells whether an entry of this weight could stay, whatever had to leave for it.
    pub(super) fn takes(&self, weight: u64) -> bool {
        // the map refuses what is heavier than 97 % of its capacity
        weight <= self.map.capacity() / 100 * 96
    }

    /// Tells whether an entry of this weight fits beside the others.
    pub(super) fn has_room(&self, weight: u64) -> bool {
        self.map.weight() + weight <= self.map.capacity()
    }

    /// Returns what the shard needs to take an entry of this weight, were it empty.
    pub(super) fn needs_for(&self, weight: u64) -> u64 {
        weight + weight / 16 + 1024 + self.structure()
    }

    /// Puts an entry in; the caller made sure that the shard takes it.
    pub(super) fn insert(&mut self, key: MapKey, slot: SlotRef) {
        self.map.insert_with_lifecycle(key, slot, &mut ());
        self.refit();
    }

    pub(super) fn remove_if(&mut self, key: &Hashed<'_>, condition: impl FnOnce(&SlotRef) -> bool) -> Option<SlotRef> {
        self.map.remove_if(key, condition).map(|(_, slot)| slot)
    }

    /// Returns what left since this was last asked.
    pub(super) fn take_left(&mut self) -> Left {
        std::mem::take(&mut self.leaving.0.left.lock())
    }

    pub(super) fn grant(&mut self, bytes: u64) {
        self.granted = bytes;
        // with far fewer bytes the old list would leave none for entries
        if self.structure() * 3 > bytes && (self.fitting() + ghosts(bytes) as u64) * 3 < self.slots() {
            return self.rebuild();
        }
        self.refit();
        let wanted = ghosts(self.map.capacity());
        if wanted >= 16 && self.ghosts * 4 < wanted {
            self.rebuild();
        }
    }

    /// Estimates how many entries like those here the granted bytes have room for, ghosts included.
    fn fitting(&self) -> u64 {
        let each = self.map.weight() / (self.map.len() as u64).max(1) + SLOT + TABLE_SLOT;
        (self.granted / each).min(self.map.len() as u64)
    }

    /// Lets an entry leave that never was in the map.
    pub(super) fn leave(&mut self, key: MapKey, slot: SlotRef) {
        self.leaving.0.left.lock().push((key, slot));
    }

    pub(super) fn granted(&self) -> u64 {
        self.granted
    }

    /// Takes everything out, and gives the blocks of the map back.
    pub(super) fn take_all(&mut self) -> Vec<(MapKey, SlotRef)> {
        let mut old = std::mem::replace(&mut self.map, map(self.granted, self.leaving.clone()));
        self.reserved = 0;
        self.ghosts = ghosts(self.granted);
        old.drain().collect()
    }

    /// Gives blocks back that the entries have no use for; most of the slots must be empty for it.
    pub(super) fn tidy(&mut self) {
        let entries = self.map.len() as u64;
        let wasteful = match entries {
            0 => self.structure() > 0,
            _ => self.slots() > 64 && entries * 4 < self.slots(),
        };
        if wasteful {
            self.rebuild();
        }
    }

    /// Moves the entries to a new map that is no larger than they need.
    fn rebuild(&mut self) {
        let room = (self.fitting() + self.fitting() / 4) as usize;
        let all = self.take_all();
        if !all.is_empty() {
            self.map.reserve(room);
            self.reserved = (room + room.min(self.ghosts)) as u64;
        }
        self.refit();
        for (key, slot) in all {
            if self.takes(u64::from(slot.head().weight)) {
                self.insert(key, slot);
            } else {
                self.leave(key, slot);
            }
        }
    }

    /// Slots the list has room for: it doubles when it is full.
    fn slots(&self) -> u64 {
        let used = self.map.memory_used().entries as u64 / SLOT;
        if used == 0 && self.reserved == 0 {
            return 0;
        }
        let mut room = self.reserved.max(FIRST_SLOTS);
        while room < used {
            room *= 2;
        }
        room
    }

    /// Bytes of the map's own blocks.
    fn structure(&self) -> u64 {
        self.slots() * SLOT + self.map.memory_used().map as u64
    }

    /// What the map's own blocks take is not there for entries.
    fn refit(&mut self) {
        let capacity = self.granted.saturating_sub(self.structure()).max(1);
        let old = self.map.capacity();
        if capacity != old && self.slots() == 0 {
            // nothing in it yet: the map's own proportions do not survive small capacities
            self.map = map(capacity, self.leaving.clone());
            self.ghosts = ghosts(capacity);
        } else if capacity != old {
            self.map.set_capacity(capacity);
            self.ghosts = (self.ghosts as f64 * (capacity as f64 / old as f64)) as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stratacache_core::{
        NamespacePath, Stamp,
        stamp::{Incarnation, Position},
    };

    use super::*;
    use crate::memory::{Entry, EntryScopes, Head, Held, LookupKey, NamespacePrefix, Times};

    fn key(n: u64) -> MapKey {
        let prefix = NamespacePrefix::new(NamespacePath::default());
        MapKey::from(LookupKey { prefix: &prefix, key: &n.to_le_bytes() })
    }

    fn slot(weight: u32) -> SlotRef {
        let scopes = Arc::new(EntryScopes::default());
        let nowhere = Position { incarnation: Incarnation(0), seq: 0 };
        let mut head = Head::new(&Stamp { lane: nowhere, global: nowhere, mep: 0 }, 0, Times::default(), scopes, None);
        head.weight = weight;
        Arc::new(Entry { head, held: Held::Own(0_u64) })
    }

    #[test]
    fn a_slot_is_as_large_as_the_map_says() {
        let mut shard = Shard::new(1 << 20);
        shard.insert(key(1), slot(100));
        assert_eq!(shard.map.memory_used().entries as u64, SLOT);
    }

    #[test]
    fn entries_and_the_maps_own_blocks_never_take_more_than_was_granted() {
        let mut shard = Shard::new(64 << 10);
        for n in 0..20_000 {
            shard.insert(key(n), slot(100 + n as u32 % 300));
            if n % 1000 == 999 {
                shard.grant((16 << 10) + (n * 37) % (256 << 10));
            }
            assert!(shard.account().bytes <= shard.granted(), "{n}");
            shard.take_left();
        }
        assert!(shard.ghosts > 0 && shard.ghosts <= ghosts(shard.granted()));
    }

    #[test]
    fn a_map_emptied_of_most_gives_its_blocks_back() {
        let mut shard = Shard::new(4 << 20);
        for n in 0..5_000 {
            shard.insert(key(n), slot(100));
        }
        let full = shard.structure();
        for n in 0..5_000 {
            if n % 50 != 0 {
                assert!(shard.remove_if(&Hashed::stored(&key(n)), |_| true).is_some());
            }
        }
        shard.tidy();
        assert!(shard.structure() < full / 8, "{} of {full}", shard.structure());
        assert!((0..5_000).step_by(50).all(|n| shard.peek(&Hashed::stored(&key(n))).is_some()));
        shard.take_all();
        assert_eq!(shard.account(), Account::default());
    }
}
