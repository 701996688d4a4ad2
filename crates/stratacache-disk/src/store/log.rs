//! The log: segments in the order of writing, one of them written to, the oldest evicted when there is no room.

mod evict;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use parking_lot::RwLock;
use stratacache_core::{EntryName, clock::Millis, stamp::Incarnation};

use super::{
    index::{Index, Place},
    record,
    segment::{self, Item, LIST_END, LIST_ITEM, START, Segment, Start},
    stats::Stats,
};
use crate::{dir, error};

/// The segments as readers see them.
pub(crate) type Segments = RwLock<HashMap<u32, Arc<Segment>>>;

/// How often a write that finds the device full evicts a segment and tries again.
const MAKE_ROOM_TRIES: usize = 8;

/// What a log is made with.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) dir: PathBuf,
    pub(crate) incarnation: Incarnation,
    pub(crate) capacity: u64,
    pub(crate) segment_size: u64,
    pub(crate) max_entries: u64,
    pub(crate) durable: bool,
}

/// What the writer knows of a segment.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) segment: Arc<Segment>,
    /// The length of the file.
    pub(super) length: u64,
    pub(super) live: u64,
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) id: u32,
    pub(super) items: Vec<Item>,
    /// A write failed and could not be taken back: nothing more is written behind it.
    pub(super) broken: bool,
}

/// One record to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft<'a> {
    pub(crate) name: EntryName,
    pub(crate) expires_at: Millis,
    pub(crate) removal: bool,
    /// The encoded record.
    pub(crate) bytes: &'a [u8],
}

/// The writing side of the log; there is one, under a lock.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) shape: Shape,
    pub(super) index: Arc<Index>,
    pub(super) segments: Arc<Segments>,
    pub(super) stats: Arc<Stats>,
    pub(super) parts: BTreeMap<u32, Part>,
    pub(super) active: Option<Active>,
    pub(super) next_id: u32,
    /// Where the records of the segment before the active one end.
    pub(super) ended: u64,
    /// The device may hold records that the table does not know; see [`Writer::leave_over`].
    pub(super) leftovers: bool,
}

impl Writer {
    pub(crate) fn new(shape: Shape, index: Arc<Index>, segments: Arc<Segments>, stats: Arc<Stats>) -> Self {
        Self {
            shape,
            index,
            segments,
            stats,
            parts: BTreeMap::new(),
            active: None,
            next_id: 1,
            ended: 0,
            leftovers: false,
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.shape.dir
    }

    pub(super) const fn incarnation(&self) -> Incarnation {
        self.shape.incarnation
    }

    /// Returns what readers share with the writer.
    pub(super) fn shared(&self) -> (Arc<Index>, Arc<Segments>, Arc<Stats>) {
        (self.index.clone(), self.segments.clone(), self.stats.clone())
    }

    pub(super) fn set_time(&self, at: Millis) {
        self.stats.time.store(at, Ordering::Relaxed);
    }

    pub(super) fn time(&self) -> Millis {
        self.stats.time.load(Ordering::Relaxed)
    }

    /// Tells whether a removal must be written even for a name that the table does not know.
    pub(crate) const fn has_leftovers(&self) -> bool {
        self.leftovers
    }

    /// Notes that the device may hold a record that the table does not know and that a restart would bring back.
    pub(crate) const fn leave_over(&mut self) {
        self.leftovers = true;
    }

    /// Appends records, in order; the reply says of each whether it was written.
    ///
    /// Records that share a write share its fate.
    pub(crate) fn append(&mut self, drafts: &[Draft<'_>]) -> Vec<io::Result<()>> {
        let mut results = Vec::with_capacity(drafts.len());
        let mut rest = drafts;
        while !rest.is_empty() {
            let mut tries = 0;
            let outcome = loop {
                let attempt = self.append_some(rest);
                match attempt {
                    // a full device is no reason to give up while there is something of ours to evict
                    Err((e, _)) if error::is_full(&e) && tries < MAKE_ROOM_TRIES && self.can_evict() => {
                        tries += 1;
                        drop(self.evict_oldest(false));
                    }
                    other => break other,
                }
            };
            let taken = match outcome {
                Ok(count) => {
                    results.extend((0..count).map(|_| Ok(())));
                    count
                }
                Err((e, count)) => {
                    results.extend((0..count).map(|_| Err(copy_of(&e))));
                    count
                }
            };
            rest = &rest[taken..];
        }
        results
    }

    /// Writes as many records as fit into the active segment with one write; at least one.
    fn append_some(&mut self, drafts: &[Draft<'_>]) -> Result<usize, (io::Error, usize)> {
        let first = drafts[0].bytes.len() as u64;
        let used = self.active_length();
        if used.is_none_or(|used| used > START && used + first > self.shape.segment_size) {
            self.rotate().map_err(|e| (e, 1))?;
        }
        let mut length = self.active_length().unwrap_or(START);
        let mut bytes = Vec::new();
        let mut count = 0;
        for draft in drafts {
            let more = draft.bytes.len() as u64;
            if count > 0 && length + bytes.len() as u64 + more > self.shape.segment_size {
                break;
            }
            bytes.extend_from_slice(draft.bytes);
            count += 1;
        }
        let entries = drafts[..count].iter().filter(|draft| !draft.removal).count();
        if self.make_room(bytes.len() as u64, count as u64, entries as u64) {
            // survivors of what was evicted went first; look again whether this still fits
            length = self.active_length().unwrap_or(START);
            if length > START && length + bytes.len() as u64 > self.shape.segment_size {
                self.rotate().map_err(|e| (e, count))?;
            }
        }
        self.write(&bytes).map_err(|e| (e, count))?;
        for draft in &drafts[..count] {
            self.account(draft);
        }
        Ok(count)
    }

    /// Writes bytes behind the active segment, or leaves it as it was.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.active_length().is_none() {
            self.rotate()?;
        }
        let Some((active, part)) = self.active.as_mut().and_then(|a| self.parts.get_mut(&a.id).map(|p| (a, p))) else {
            return Err(io::Error::other("the active segment is not in the table of segments"));
        };
        if let Err(e) = part.segment.write(bytes, part.length) {
            // without this, whole records of a failed write would come back after a restart
            if part.segment.file.set_len(part.length).is_err() {
                active.broken = true;
                self.leftovers = true;
            }
            return Err(e);
        }
        part.length += bytes.len() as u64;
        self.stats.directory.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Notes a record that lies behind the ones noted before.
    fn account(&mut self, draft: &Draft<'_>) {
        let Some(active) = &mut self.active else { return };
        let offset = active.items.last().map_or(START, |last| item_end(*last));
        let place = Place { segment: active.id, offset: offset as u32, len: (draft.bytes.len() - record::HEAD) as u32 };
        active.items.push(Item {
            offset: place.offset,
            len: place.len,
            removal: draft.removal,
            name: draft.name,
            expires_at: draft.expires_at,
        });
        if draft.removal {
            self.forget(draft.name);
        } else {
            self.place(draft.name, place, draft.expires_at);
        }
    }

    /// Notes where an entry lies now.
    pub(super) fn place(&mut self, name: EntryName, place: Place, expires_at: Millis) {
        self.live(place, true);
        if let Some(before) = self.index.set(name, place, expires_at) {
            self.live(before, false);
        }
    }

    /// Counts an entry in or out.
    pub(super) fn live(&mut self, place: Place, alive: bool) {
        let size = record::HEAD as u64 + u64::from(place.len);
        if let Some(part) = self.parts.get_mut(&place.segment) {
            part.live = if alive { part.live + size } else { part.live.saturating_sub(size) };
        }
        self.stats.count(size, alive);
    }

    /// Forgets an entry in memory only.
    pub(crate) fn forget(&mut self, name: EntryName) {
        if let Some(place) = self.index.remove(name) {
            self.live(place, false);
        }
    }

    /// Forgets the expired entries of a shard of the table and returns how many were looked at.
    pub(crate) fn sweep_shard(&mut self, shard: usize, now: Millis) -> usize {
        let mut gone = Vec::new();
        let looked_at = self.index.sweep(shard, now, |place| gone.push(place));
        gone.into_iter().for_each(|place| self.live(place, false));
        looked_at
    }

    /// Overwrites an entry in place where a removal could not be appended.
    pub(crate) fn kill(&mut self, place: Place) -> io::Result<()> {
        match self.parts.get(&place.segment) {
            Some(part) => part.segment.kill(place.offset),
            None => Ok(()),
        }
    }

    fn active_length(&self) -> Option<u64> {
        let active = self.active.as_ref().filter(|a| !a.broken)?;
        self.parts.get(&active.id).map(|part| part.length)
    }

    /// Ends the active segment and begins the next.
    fn rotate(&mut self) -> io::Result<()> {
        self.seal();
        if self.shape.durable
            && let Some(part) = self.parts.last_key_value().map(|(_, part)| part)
        {
            // a later segment must not reach the device before an earlier one
            part.segment.sync()?;
        }
        let id = self.next_id;
        let path = self.shape.dir.join(dir::segment_name(id));
        let file = dir::create(&path)?;
        let segment = Arc::new(Segment::new(id, file, path));
        let start = Start { incarnation: self.shape.incarnation, before: self.ended };
        if let Err(e) = segment.write(&start.encode(), 0).and_then(|()| self.sync_dir()) {
            std::fs::remove_file(&segment.path)?;
            return Err(e);
        }
        self.next_id += 1;
        self.adopt(segment, START);
        self.active = Some(Active { id, items: Vec::new(), broken: false });
        Ok(())
    }

    /// Takes a segment into the tables.
    pub(super) fn adopt(&mut self, segment: Arc<Segment>, length: u64) {
        self.stats.directory.fetch_add(length, Ordering::Relaxed);
        self.segments.write().insert(segment.id, segment.clone());
        self.parts.insert(segment.id, Part { segment, length, live: 0 });
    }

    /// Takes over what a run before left: its segments in order, the last one to be written on.
    pub(super) fn resume(&mut self, id: u32, items: Vec<Item>) {
        self.next_id = id + 1;
        self.active = Some(Active { id, items, broken: false });
    }

    /// Ends the active segment with its list.
    pub(crate) fn seal(&mut self) {
        let Some(active) = self.active.take() else { return };
        let Some(part) = self.parts.get_mut(&active.id) else { return };
        self.ended = part.length;
        if active.broken {
            return;
        }
        let list = segment::encode_list(&active.items, part.length);
        if let Err(error) = part.segment.write(&list, part.length) {
            // the list only saves time at the next start: without it the segment is walked
            tracing::debug!(segment = active.id, %error, "a segment of the disk tier has no list");
            if part.segment.file.set_len(part.length).is_err() {
                self.leftovers = true;
            }
            return;
        }
        part.length += list.len() as u64;
        self.stats.directory.fetch_add(list.len() as u64, Ordering::Relaxed);
    }

    /// Returns the bytes of the directory once the active segment has its list.
    pub(super) fn committed(&self) -> u64 {
        let list = self.active.as_ref().map_or(0, |a| LIST_END + a.items.len() as u64 * LIST_ITEM);
        self.stats.directory.load(Ordering::Relaxed) + list
    }

    pub(super) fn sync_dir(&self) -> io::Result<()> {
        if self.shape.durable { File::open(&self.shape.dir)?.sync_all() } else { Ok(()) }
    }

    /// Returns the segments, so that they can be synced without the lock.
    pub(crate) fn all(&self) -> Vec<Arc<Segment>> {
        self.parts.values().map(|part| part.segment.clone()).collect()
    }
}

/// Returns where the record of an item ends.
pub(super) const fn item_end(item: Item) -> u64 {
    item.offset as u64 + record::HEAD as u64 + item.len as u64
}

/// `io::Error` cannot be cloned; kind and text are kept.
fn copy_of(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}
