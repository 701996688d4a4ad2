//! The store: entries in a log of segments, a table in memory that says where they lie, and the journal of marks.

mod fences;
mod index;
mod journal;
mod log;
mod open;
pub(crate) mod record;
mod recover;
mod scan;
mod segment;
mod stats;

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use parking_lot::Mutex;
use stratacache_core::{
    EntryName,
    tier::{Got, PutItem, PutOutcome, TierError, Want},
};

use crate::{dir::Dir, error, marks::MarksFile};
use fences::Fences;
use index::{Index, Place};
use log::{Draft, Segments, Writer};
pub(crate) use open::Config;
use record::Opened;
pub(crate) use scan::ScanPlace;
use stats::Stats;

/// Most names that are looked up where they are asked for.
const NOW_NAMES: usize = 64;
/// Most bytes that are read where they are asked for: about the cost of handing the work to another thread.
const NOW_BYTES: u32 = 128 << 10;

/// An open store. All methods block.
///
/// Locks are taken in the order marks, writer, segments, shard of the table; readers take only the last two, one after
/// the other, and never wait for a write to the device.
#[derive(Debug)]
pub(crate) struct Store {
    fences: Fences,
    index: Arc<Index>,
    segments: Arc<Segments>,
    stats: Arc<Stats>,
    writer: Mutex<Writer>,
    marks: Mutex<MarksFile>,
    /// The shard of the table that is swept next.
    cursor: Mutex<usize>,
    max_entry: u64,
    durable: bool,
    dir: Dir,
}

/// What was found under a name.
enum Look {
    Here(Bytes),
    Nothing,
    Failed(io::Error),
}

impl Store {
    /// Reads entries.
    pub(crate) fn get_many(&self, names: &[EntryName], want: Want) -> Result<Vec<Got>, TierError> {
        let mut failure = None;
        let mut answered = false;
        let got = names.iter().map(|name| {
            let fence = Some(self.fences.get(*name));
            if want == Want::Fence {
                answered = true;
                return Got::new(None, fence);
            }
            match self.look(*name) {
                Look::Here(envelope) => {
                    answered = true;
                    Got::new(Some(envelope), fence)
                }
                Look::Nothing => {
                    answered = true;
                    Got::new(None, fence)
                }
                Look::Failed(error) => {
                    failure = Some(error);
                    Got::new(None, fence)
                }
            }
        });
        let got = got.collect();
        match failure {
            Some(error) if !answered => Err(error::tier(error, "reading an entry")),
            _ => Ok(got),
        }
    }

    /// Answers a read that needs no wait for the device, so that it can be done where it was asked; `None` when it may
    /// need one, or is more than a little work.
    pub(crate) fn get_many_now(&self, names: &[EntryName], want: Want) -> Option<Vec<Got>> {
        if names.len() > NOW_NAMES {
            return None;
        }
        let mut allowance = NOW_BYTES;
        let got = names.iter().map(|name| {
            let fence = Some(self.fences.get(*name));
            let place = if want == Want::Fence { None } else { self.index.touch(*name) };
            let Some(place) = place else { return Some(Got::new(None, fence)) };
            allowance = allowance.checked_sub(place.len)?;
            let segment = self.segments.read().get(&place.segment).cloned()?;
            let record = segment::read_now(&segment, place.offset, place.len)?;
            match record::open_entry(record, *name) {
                Opened::Entry(_, expires_at) if expires_at <= self.stats.time.load(Ordering::Relaxed) => {
                    Some(Got::new(None, fence))
                }
                Opened::Entry(envelope, _) => Some(Got::new(Some(envelope), fence)),
                // the other way looks into it
                Opened::Dead | Opened::Damaged => None,
            }
        });
        got.collect()
    }

    fn look(&self, name: EntryName) -> Look {
        // an entry may move or be replaced between the two tables; a third move in a row is a miss
        for _ in 0..3 {
            let Some(place) = self.index.touch(name) else { return Look::Nothing };
            let segment = self.segments.read().get(&place.segment).cloned();
            let Some(segment) = segment else {
                if self.index.find(name) == Some(place) {
                    self.drop_useless(name, place, false);
                }
                continue;
            };
            let record = match segment.read(place.offset, place.len) {
                Ok(record) => record,
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    self.drop_useless(name, place, true);
                    return Look::Nothing;
                }
                Err(e) => return Look::Failed(e),
            };
            return match record::open_entry(record, name) {
                Opened::Entry(_, expires_at) if expires_at <= self.stats.time.load(Ordering::Relaxed) => Look::Nothing,
                Opened::Entry(envelope, _) => Look::Here(envelope),
                Opened::Dead => {
                    self.drop_useless(name, place, false);
                    Look::Nothing
                }
                Opened::Damaged => {
                    self.drop_useless(name, place, true);
                    Look::Nothing
                }
            };
        }
        Look::Nothing
    }

    /// Forgets an entry whose record is of no use, unless another has taken its place.
    fn drop_useless(&self, name: EntryName, place: Place, damaged: bool) {
        let mut writer = self.writer.lock();
        if self.index.find(name) == Some(place) {
            writer.forget(name);
            if damaged {
                // it may read well the next time
                writer.leave_over();
                tracing::warn!(segment = place.segment, "a damaged record of the disk tier was dropped");
            }
        }
    }

    /// Writes entries.
    pub(crate) fn put_many(&self, items: &[PutItem]) -> Vec<PutOutcome> {
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(items.len());
        for item in items {
            // checksums are made before the lock is taken
            if self.fits(item) {
                record::encode_entry(&mut bytes, item.name, item.expires_at, &item.envelope);
            }
            ends.push(bytes.len());
        }
        let mut outcomes: Vec<Option<PutOutcome>> = vec![None; items.len()];
        let mut drafts = Vec::with_capacity(items.len());
        let mut writing = Vec::with_capacity(items.len());
        let mut start = 0;
        let mut writer = self.writer.lock();
        for (n, (item, end)) in items.iter().zip(ends).enumerate() {
            if start == end {
                outcomes[n] = Some(PutOutcome::TooLarge);
            } else if item.fence.is_some_and(|fence| !self.fences.holds(item.name, fence)) {
                outcomes[n] = Some(PutOutcome::Fenced);
            } else {
                let (name, expires_at) = (item.name, item.expires_at);
                drafts.push(Draft { name, expires_at, removal: false, bytes: &bytes[start..end] });
                writing.push(n);
            }
            start = end;
        }
        for (n, result) in writing.into_iter().zip(writer.append(&drafts)) {
            outcomes[n] = Some(match result {
                Ok(()) => PutOutcome::Stored,
                Err(e) => PutOutcome::Failed(error::tier(e, "writing an entry")),
            });
        }
        drop(writer);
        outcomes.into_iter().map(|outcome| outcome.unwrap_or(PutOutcome::TooLarge)).collect()
    }

    fn fits(&self, item: &PutItem) -> bool {
        item.envelope.len() as u64 <= self.max_entry
    }

    /// Removes entries and voids the fences of their names.
    pub(crate) fn remove_many(&self, names: &[EntryName]) -> Vec<Result<(), TierError>> {
        let mut results: Vec<Result<(), TierError>> = vec![Ok(()); names.len()];
        let mut writer = self.writer.lock();
        let found: Vec<(usize, Option<Place>)> = names
            .iter()
            .enumerate()
            .map(|(n, name)| (n, self.index.find(*name)))
            .filter(|(_, place)| place.is_some() || writer.has_leftovers())
            .collect();
        let mut bytes = Vec::with_capacity(found.len() * record::HEAD);
        found.iter().for_each(|(n, _)| record::encode_removal(&mut bytes, names[*n]));
        let drafts: Vec<Draft<'_>> = found
            .iter()
            .zip(bytes.chunks_exact(record::HEAD))
            .map(|((n, _), bytes)| Draft { name: names[*n], expires_at: 0, removal: true, bytes })
            .collect();
        for ((n, place), written) in found.iter().zip(writer.append(&drafts)) {
            let Err(error) = written else { continue };
            // no room for a removal: overwriting the entry in place needs none
            let killed = !writer.has_leftovers() && place.is_some_and(|place| writer.kill(place).is_ok());
            writer.forget(names[*n]);
            if !killed {
                // a second attempt must write the removal, though the table knows the name no more
                writer.leave_over();
                results[*n] = Err(error::tier(error, "removing an entry"));
            }
        }
        let dirty = if self.durable { writer.all() } else { Vec::new() };
        // last, so that a fence that was given when the old value could still be seen is void too
        names.iter().for_each(|name| self.fences.void(*name));
        drop(writer);
        if let Some(error) = dirty.iter().find_map(|segment| segment.sync().err()) {
            let error = error::tier(error, "syncing a removal");
            results.iter_mut().for_each(|result| *result = Err(error.clone()));
        }
        results
    }

    /// Returns the bytes of the live records.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.stats.live.load(Ordering::Relaxed)
    }

    /// Ends the run in order: everything is on the device when this returns, and the journal says so.
    pub(crate) fn close(self) -> Result<(), TierError> {
        let mut writer = self.writer.into_inner();
        writer.seal();
        for segment in writer.all() {
            segment.sync().map_err(|e| error::tier(e, "syncing entries"))?;
        }
        crate::dir::sync(self.dir.path()).map_err(|e| error::tier(e, "syncing the directory"))?;
        let mut marks = self.marks.into_inner();
        marks.append(&[crate::marks::Note::Clean], true).map_err(|e| error::tier(e, "closing the journal of marks"))
    }
}

#[cfg(test)]
mod tests;
