//! The busiest keys of one kind.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use stratacache_core::clock::Millis;

use super::KeyId;

/// So many keys are known.
pub(super) const MOST: usize = 128;
/// One of so many keys that are new to a full table takes the place of the one that was read least.
const ADMITTED: u64 = 8;
/// A name is cut to so many characters.
const LONGEST_NAME: usize = 80;

/// Keys that were read often, and why they were loaded again. Bounded: a key that takes the place of another is given its
/// standing (Metwally and others, 2005), but is counted from then on.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: HashMap<KeyId, Slot, RandomState>,
    turned_away: u64,
    /// Grows with each load and invalidation.
    tick: u64,
    /// When all keys were invalidated.
    all_touched: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) reads: u64,
    /// What the key whose place it took was read; only who gives way next rests on it.
    standing: u64,
    pub(super) loads: u64,
    /// Loads again, since the life of the value had ended.
    pub(super) expired: u64,
    /// Loads again, since it had been invalidated.
    pub(super) written: u64,
    /// Loads again for other reasons: it had been evicted, or the load before had failed.
    pub(super) other: u64,
    last: Option<Loaded>,
    touched: u64,
}

#[derive(Debug, Clone, Copy)]
struct Loaded {
    at: Millis,
    tick: u64,
}

impl Table {
    pub(super) fn read(&mut self, key: KeyId, name: impl FnOnce() -> String) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.reads += 1;
            return;
        }
        let mut standing = 0;
        if self.slots.len() >= MOST {
            self.turned_away += 1;
            if !self.turned_away.is_multiple_of(ADMITTED) {
                return;
            }
            let least =
                self.slots.iter().map(|(key, slot)| (slot.standing + slot.reads, *key)).min_by_key(|least| least.0);
            if let Some((reads, least)) = least {
                self.slots.remove(&least);
                standing = reads;
            }
        }
        let mut name = name();
        if let Some((end, _)) = name.char_indices().nth(LONGEST_NAME) {
            name.truncate(end);
            name.push_str("..");
        }
        self.slots.insert(key, Slot { name, reads: 1, standing, ..Slot::default() });
    }

    pub(super) fn loaded(&mut self, key: KeyId, now: Millis, ttl: Millis) {
        self.tick += 1;
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.loads += 1;
        if let Some(last) = slot.last {
            // jitter shortens lives, by a twentieth where nothing else is said
            let lived = now.saturating_sub(last.at) >= ttl - ttl / 10;
            match slot.touched.max(self.all_touched) > last.tick {
                true => slot.written += 1,
                false if lived => slot.expired += 1,
                false => slot.other += 1,
            }
        }
        slot.last = Some(Loaded { at: now, tick: self.tick });
    }

    pub(super) fn touched(&mut self, key: KeyId) {
        self.tick += 1;
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.touched = self.tick;
        }
    }

    pub(super) fn all_touched(&mut self) {
        self.tick += 1;
        self.all_touched = self.tick;
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_keeps_what_is_read_often_and_grows_no_further() {
        let mut table = Table::default();
        for n in 0..100_000 {
            table.read(KeyId(n), || format!("{n}"));
            table.read(KeyId(7), || "seven".to_owned());
        }
        assert_eq!(table.slots.len(), MOST);
        let seven = &table.slots[&KeyId(7)];
        assert_eq!((seven.name.as_str(), seven.reads), ("seven", 100_001));
    }

    #[test]
    fn a_load_again_is_told_from_others_by_what_came_before_it() {
        let mut table = Table::default();
        let (key, ttl) = (KeyId(1), 1_000);
        table.read(key, String::new);
        table.loaded(key, 0, ttl);
        table.loaded(key, 960, ttl); // its life was shortened by the jitter
        table.touched(key);
        table.loaded(key, 970, ttl);
        table.all_touched();
        table.loaded(key, 5_000, ttl);
        table.loaded(key, 5_010, ttl);
        let slot = &table.slots[&key];
        assert_eq!((slot.loads, slot.expired, slot.written, slot.other), (5, 1, 2, 1));
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        let mut table = Table::default();
        table.read(KeyId(1), || "é".repeat(1_000));
        assert_eq!(table.slots[&KeyId(1)].name.chars().count(), LONGEST_NAME + 2);
    }
}
