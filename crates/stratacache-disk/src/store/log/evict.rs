//! Eviction: whole segments, the oldest first, with a second chance for what was read.

use std::{io, sync::atomic::Ordering};

use stratacache_core::{EntryName, clock::Millis};

use super::{Draft, START, Writer, item_end};
use crate::store::{
    index::Place,
    record::{self, Kind},
    segment::{self, Item, LIST_END, LIST_ITEM},
};

/// An entry that leaves an evicted segment for the newest one.
pub(super) struct Survivor {
    name: EntryName,
    expires_at: Millis,
    bytes: Vec<u8>,
}

impl Writer {
    /// Evicts until `bytes` in `records` more records fit, of which `entries` are entries; true when something was evicted.
    ///
    /// Entries read since they were written move to the newest segment, up to half a segment for each one
    /// evicted; so do the live entries of a segment that is mostly dead.
    pub(super) fn make_room(&mut self, bytes: u64, records: u64, entries: u64) -> bool {
        let need = bytes + records * LIST_ITEM + START + 2 * LIST_END;
        let mut survivors = Vec::new();
        let mut evicted = false;
        while (self.committed() + need > self.shape.capacity || self.stats.over(self.shape.max_entries, entries))
            && !self.parts.is_empty()
        {
            evicted = true;
            survivors.append(&mut self.evict_oldest(true));
        }
        for survivor in survivors {
            self.readmit(&survivor, need);
        }
        evicted
    }

    /// Writes a survivor, if it fits; it is evicted otherwise.
    fn readmit(&mut self, survivor: &Survivor, need: u64) {
        let size = survivor.bytes.len() as u64;
        let fits = self.committed() + need + size + LIST_ITEM + START + LIST_END <= self.shape.capacity;
        let draft =
            Draft { name: survivor.name, expires_at: survivor.expires_at, removal: false, bytes: &survivor.bytes };
        let room = self.active_length().is_some_and(|used| used == START || used + size <= self.shape.segment_size);
        // an eviction ends with the same table whether a survivor could be written or not
        if fits && (room || self.rotate().is_ok()) && self.write(&survivor.bytes).is_ok() {
            self.account(&draft);
        }
    }

    /// Tells whether there is a segment to evict besides the one that is written to.
    pub(super) fn can_evict(&self) -> bool {
        self.parts.len() > 1
    }

    /// Evicts the oldest segment for somebody else's write to a full device; false when there is none to spare.
    pub(crate) fn give_way(&mut self) -> bool {
        let can = self.can_evict();
        if can {
            drop(self.evict_oldest(false));
        }
        can
    }

    /// Evicts until the capacity holds, which may have been lowered since the run before.
    pub(crate) fn fit(&mut self) {
        while (self.committed() > self.shape.capacity || self.stats.over(self.shape.max_entries, 0))
            && !self.parts.is_empty()
        {
            drop(self.evict_oldest(false));
        }
    }

    /// Forgets the oldest segment and unlinks it.
    pub(super) fn evict_oldest(&mut self, second_chance: bool) -> Vec<Survivor> {
        let Some((&id, part)) = self.parts.first_key_value() else { return Vec::new() };
        let (segment, length, live) = (part.segment.clone(), part.length, part.live);
        let items = match self.active.take_if(|active| active.id == id) {
            Some(active) => {
                self.ended = length;
                Ok(active.items)
            }
            None => items_of(&segment, length),
        };
        let mut survivors = Vec::new();
        let mut allowance = if second_chance { self.shape.segment_size / 2 } else { 0 };
        match items {
            Ok(items) => {
                for item in items.iter().filter(|item| !item.removal) {
                    let place = Place { segment: id, offset: item.offset, len: item.len };
                    if self.index.find(item.name) != Some(place) {
                        continue;
                    }
                    let size = item_end(*item) - u64::from(item.offset);
                    let wanted = live <= length / 4 || self.index.is_touched(item.name, place);
                    if wanted
                        && size <= allowance
                        && let Some(bytes) = self.rescue(&segment, item)
                    {
                        allowance -= size;
                        survivors.push(Survivor { name: item.name, expires_at: item.expires_at, bytes });
                    }
                    self.forget(item.name);
                }
            }
            // an unreadable list leaves entries in the table whose segment is gone: readers find nothing there, and the
            // sweep drops them when they expire
            Err(error) => tracing::warn!(segment = id, %error, "an evicted segment of the disk tier could not be read"),
        }
        self.parts.remove(&id);
        self.segments.write().remove(&id);
        self.stats.directory.fetch_sub(length, Ordering::Relaxed);
        self.stats.evicted();
        if let Err(error) = std::fs::remove_file(&segment.path).and_then(|()| self.sync_dir()) {
            tracing::warn!(segment = id, %error, "an evicted segment of the disk tier could not be removed");
            self.leave_over();
        }
        survivors
    }

    fn rescue(&self, segment: &segment::Segment, item: &Item) -> Option<Vec<u8>> {
        let bytes = segment.read(item.offset, item.len).ok()?;
        let head = record::decode_head(&bytes)?;
        let whole = head.kind == Kind::Entry && head.name == item.name && head.proves(&bytes[record::HEAD..]);
        (whole && head.expires_at > self.stats.time.load(Ordering::Relaxed)).then_some(bytes)
    }

    /// Evicts segments from the oldest on while they hold nothing alive.
    pub(crate) fn drop_dead(&mut self) {
        while self.can_evict() && self.parts.first_key_value().is_some_and(|(_, part)| part.live == 0) {
            drop(self.evict_oldest(false));
        }
    }
}

fn items_of(segment: &segment::Segment, length: u64) -> io::Result<Vec<Item>> {
    match segment::read_list(&segment.file, length)? {
        Some((items, _)) => Ok(items),
        None => Ok(segment::scan(&segment.file, length)?.items),
    }
}
