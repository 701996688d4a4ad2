//! The writes of one tenant that wait, oldest first, one for each name.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use stratacache_core::EntryName;

use super::{Age, Waiting};

#[derive(Default)]
pub(super) struct Line {
    places: HashMap<EntryName, u64, RandomState>,
    writes: BTreeMap<u64, Waiting>,
    last: u64,
    bytes: usize,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a write, or puts it where an older one of its name waits. Returns the older of the two.
    pub(super) fn put(&mut self, write: Waiting) -> Option<Waiting> {
        if self.has_newer(write.name(), write.age) {
            return Some(write);
        }
        let name = write.name();
        let place = match self.places.get(&name) {
            Some(place) => *place,
            None => {
                self.last += 1;
                self.places.insert(name, self.last);
                self.last
            }
        };
        self.bytes += write.size();
        let older = self.writes.insert(place, write);
        self.bytes -= older.as_ref().map_or(0, Waiting::size);
        older
    }

    pub(super) fn take_first(&mut self) -> Option<Waiting> {
        let (_, write) = self.writes.pop_first()?;
        self.places.remove(&write.name());
        self.bytes -= write.size();
        Some(write)
    }

    /// Takes out what waits under a name, unless it is newer.
    pub(super) fn take_older(&mut self, name: EntryName, than: Age) -> Option<Waiting> {
        if self.has_newer(name, than) { None } else { self.take(name) }
    }

    fn has_newer(&self, name: EntryName, than: Age) -> bool {
        let there = self.places.get(&name).and_then(|place| self.writes.get(place));
        there.is_some_and(|there| there.age.mep == than.mep && there.age.place > than.place)
    }

    pub(super) fn take(&mut self, name: EntryName) -> Option<Waiting> {
        let write = self.writes.remove(&self.places.remove(&name)?)?;
        self.bytes -= write.size();
        Some(write)
    }
}
