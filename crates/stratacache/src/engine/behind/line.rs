//! The writes of one tenant that wait, oldest first, one for each name.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use stratacache_core::EntryName;

use super::Waiting;

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
        let name = write.name();
        let place = match self.places.get(&name) {
            Some(place) => *place,
            None => {
                self.last += 1;
                self.places.insert(name, self.last);
                self.last
            }
        };
        let newer = |there: &Waiting| there.mep == write.mep && there.place > write.place;
        if self.writes.get(&place).is_some_and(newer) {
            return Some(write);
        }
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

    pub(super) fn take(&mut self, name: EntryName) -> Option<Waiting> {
        let write = self.writes.remove(&self.places.remove(&name)?)?;
        self.bytes -= write.size();
        Some(write)
    }
}
