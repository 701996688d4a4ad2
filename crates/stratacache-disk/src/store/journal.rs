//! The journal's side of the store.

use std::{io, sync::atomic::Ordering};

use stratacache_core::{
    clock::Millis,
    coordinator::{Applied, JournalSnapshot},
    stamp::Seq,
    tier::{TierError, TierErrorKind},
};

use super::Store;
use crate::{
    error,
    marks::{MarksFile, Note, marks_of},
};

/// How many entries of the table one tick looks at, at least; a tick ends with the shard that reaches it.
const SWEEP: usize = 100_000;
/// How often a note that finds the device full evicts a segment and tries again.
const MAKE_ROOM_TRIES: usize = 8;

impl Store {
    /// Reads what the runs before left, and this one.
    pub(crate) fn load(&self) -> JournalSnapshot {
        self.marks.lock().state.snapshot()
    }

    /// Keeps positions below a ceiling from being used again.
    pub(crate) fn reserve(&self, ceiling: Seq) -> Result<(), TierError> {
        let mut marks = self.marks.lock();
        if ceiling <= marks.state.ceiling() {
            return Ok(());
        }
        // rare, so it is always synced
        self.note(&mut marks, vec![Note::Ceiling(ceiling)], true).map_err(|e| error::tier(e, "reserving positions"))
    }

    /// Keeps the marks of an invalidation.
    pub(crate) fn append(&self, message: &Applied) -> Result<(), TierError> {
        let kept = marks_of(message);
        if kept.is_empty() {
            return Ok(());
        }
        let mut marks = self.marks.lock();
        let mut notes = marks.state.make_room(kept.len());
        notes.push(Note::Marks(kept));
        self.note(&mut marks, notes, self.durable).map_err(|e| error::tier(e, "keeping a mark"))
    }

    /// Writes notes and takes them into the state; evicts entries when the device is full.
    fn note(&self, marks: &mut MarksFile, notes: Vec<Note>, sync: bool) -> io::Result<()> {
        let mut tries = 0;
        loop {
            match marks.append(&notes, sync) {
                Err(e) if error::is_full(&e) && tries < MAKE_ROOM_TRIES && self.writer.lock().give_way() => tries += 1,
                Err(e) => return Err(e),
                Ok(()) => break,
            }
        }
        notes.into_iter().for_each(|note| marks.state.note(note));
        Ok(())
    }

    /// Notes the time, forgets old marks, drops expired entries.
    pub(crate) fn tick(&self, now: Millis, keep_since: Millis) -> Result<(), TierError> {
        let now = now.max(self.stats.time.fetch_max(now, Ordering::Relaxed));
        let mut marks = self.marks.lock();
        let mut notes = marks.state.forget_before(keep_since);
        if now > marks.state.time() {
            notes.push(Note::Time(now));
        }
        if !notes.is_empty() {
            self.note(&mut marks, notes, self.durable).map_err(|e| error::tier(e, "noting the time"))?;
        }
        drop(marks);
        // only after the time is noted: a restart must see the same entries as expired, since what is swept gets no
        // removal of its own
        self.sweep(now);
        Ok(())
    }

    fn sweep(&self, now: Millis) {
        let mut cursor = self.cursor.lock();
        let mut looked_at = 0;
        for _ in 0..self.index.shards() {
            looked_at += self.writer.lock().sweep_shard(*cursor, now);
            *cursor = (*cursor + 1) % self.index.shards();
            if looked_at >= SWEEP {
                break;
            }
        }
        self.writer.lock().drop_dead();
    }

    /// Makes the contents unusable after a restart.
    pub(crate) fn quarantine(&self) -> Result<(), TierError> {
        self.dir.set_live(false, self.durable).map_err(|e| error::tier(e, "quarantining it"))
    }

    /// Ends a quarantine, if notes can be written.
    pub(crate) fn restore(&self) -> Result<(), TierError> {
        self.probe()?;
        self.dir.set_live(true, self.durable).map_err(|e| error::tier(e, "ending its quarantine"))
    }

    /// Checks that the device takes writes.
    pub(crate) fn probe(&self) -> Result<(), TierError> {
        let mut marks = self.marks.lock();
        let note = Note::Time(marks.state.time());
        self.note(&mut marks, vec![note], false).map_err(|e| error::tier(e, "probing it"))?;
        if marks.is_broken() {
            return Err(TierError::new(TierErrorKind::Unavailable, "the journal of marks cannot be written"));
        }
        Ok(())
    }
}
