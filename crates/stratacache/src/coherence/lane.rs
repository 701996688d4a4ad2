//! This node's copy of one lane.

use std::{
    fmt,
    sync::atomic::Ordering::{Acquire, Release, SeqCst},
};

use stratacache_core::stamp::{Incarnation, Lane, Position, Seq};

use super::{key_marks::KeyMarks, marks::Marks};

use crate::sync::{AtomicU64, Mutex, RwLock};

/// Position, discontinuities and marks of one lane.
pub(crate) struct LaneMirror {
    pub(super) lane: Lane,
    pub(super) incarnation: AtomicU64,
    /// Everything up to here is applied.
    applied: AtomicU64,
    /// What is being applied: at or above `applied`.
    pub(super) applying: AtomicU64,
    /// Count of discontinuities.
    pub(super) mep: AtomicU64,
    /// Everything that was ordered at this time is applied.
    pub(super) as_of: AtomicU64,
    pub(super) marks: RwLock<Marks>,
    pub(super) keys: Mutex<KeyMarks>,
}

impl LaneMirror {
    pub(super) fn new(lane: Lane, max_marks: usize, keep_keys: bool) -> Self {
        Self {
            lane,
            incarnation: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            applying: AtomicU64::new(0),
            mep: AtomicU64::new(0),
            as_of: AtomicU64::new(0),
            marks: RwLock::new(Marks::new(max_marks)),
            keys: Mutex::new(KeyMarks::new(keep_keys.then_some(max_marks))),
        }
    }

    pub(crate) fn applied(&self) -> Seq {
        self.applied.load(Acquire)
    }

    pub(super) fn publish(&self, seq: Seq) {
        self.applied.store(seq, SeqCst);
    }

    #[inline]
    pub(crate) fn mep(&self) -> u64 {
        self.mep.load(Acquire)
    }

    /// Returns the last soft mark of the lane.
    pub(super) fn soft_last(&self) -> Seq {
        self.marks.read().soft_last
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation(self.incarnation.load(Acquire))
    }

    pub(crate) fn position(&self) -> Position {
        Position { incarnation: self.incarnation(), seq: self.applied() }
    }

    /// Registers a fill and returns its position; both in one step, so that no mark above it can be forgotten.
    pub(super) fn begin_fill(&self) -> Seq {
        let mut keys = self.keys.lock();
        let applied = self.applied();
        keys.begin(applied)
    }

    pub(super) fn start(&self, seq: Seq) {
        self.applying.store(seq, Release);
    }
}

impl fmt::Debug for LaneMirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneMirror")
            .field("lane", &self.lane)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
