//! Where a local coordinator keeps its marks across restarts.

use std::fmt;

use super::{Applied, ScopeKind, Strength};
use crate::{
    clock::Millis,
    key::Scope,
    stamp::{Incarnation, Lane, Seq},
    tier::TierError,
};

/// One mark as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkRecord {
    /// The lane.
    pub lane: Lane,
    /// What was invalidated.
    pub scope: Scope,
    /// What the scope names.
    pub kind: ScopeKind,
    /// How.
    pub strength: Strength,
    /// The tenant it belongs to, as in [`Marked`](super::Marked); 0 for global tags.
    pub tenant: u64,
    /// Where in the lane.
    pub seq: Seq,
    /// When.
    pub at: Millis,
}

/// What a journal kept of the runs before.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JournalSnapshot {
    /// The history, the same in all lanes; a new one when the store opened empty.
    pub incarnation: Incarnation,
    /// Every position of the runs before is below this.
    pub ceiling: Seq,
    /// For each lane: entries stamped below are invalid, since marks up to there were forgotten.
    pub floors: Vec<Seq>,
    /// The marks.
    pub marks: Vec<MarkRecord>,
    /// The highest coordinator time seen.
    pub time: Millis,
}

impl JournalSnapshot {
    /// Makes the snapshot of a store that opened empty.
    #[must_use]
    pub fn empty(incarnation: Incarnation) -> Self {
        Self { incarnation, ceiling: 1, floors: vec![0; crate::stamp::LANES + 1], marks: Vec::new(), time: 0 }
    }
}

/// Keeps the marks of a local coordinator beside the entries of a persistent tier, so that a restart never brings back
/// what was invalidated.
///
/// All methods block for as long as a write to the store takes; the coordinator calls them off the runtime's threads.
/// Marks of keys need not be kept: the tier itself has removed the entry when an invalidation is ordered.
pub trait MarkJournal: Send + Sync + fmt::Debug + 'static {
    /// Reads what the runs before left.
    ///
    /// # Errors
    /// [`TierError`] when the store cannot be read.
    fn load(&self) -> Result<JournalSnapshot, TierError>;

    /// Makes every position below `ceiling` safe to use: after a restart, positions start above it.
    ///
    /// # Errors
    /// [`TierError`] when it was not written.
    fn reserve(&self, ceiling: Seq) -> Result<(), TierError>;

    /// Appends an invalidation; it is as durable as the entries of the tier when this returns.
    ///
    /// # Errors
    /// [`TierError`] when it was not written, or may not have been.
    fn append(&self, message: &Applied) -> Result<(), TierError>;

    /// Notes the time and forgets marks made before `keep_since`, raising the floors of their lanes where needed.
    ///
    /// # Errors
    /// [`TierError`] when that failed; nothing is lost by it.
    fn tick(&self, now: Millis, keep_since: Millis) -> Result<(), TierError>;

    /// Makes what the store holds unusable after a restart, by the cheapest means there is (removing a marker file),
    /// because an invalidation could not be written to it.
    ///
    /// # Errors
    /// [`TierError`] when even that failed; the invalidation then fails too.
    fn quarantine(&self) -> Result<(), TierError>;

    /// Ends a quarantine after everything that was missing has been written.
    ///
    /// # Errors
    /// [`TierError`] when the store is still out of order.
    fn restore(&self) -> Result<(), TierError>;
}
