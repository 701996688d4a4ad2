//! A promise that was broken.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::history::Invalidation;
use crate::{
    log::{Event, Seen},
    time::Nanos,
    world::{Key, Scope},
};

/// Which promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Broken {
    /// A read returned what an invalidation before it had ended.
    Stale,
    /// A read returned what was never written.
    NeverWritten,
    /// A read returned a value of another tenant or key.
    Foreign,
    /// A read took longer than a load and a lease may take together.
    Late,
    /// A node panicked, or ended by itself.
    Ended,
    /// A lease outlived its life by more than a second.
    OldLease,
    /// Tasks or loads were left when a cache had closed.
    LeftOver,
    /// The hit rate did not come back.
    NotRecovered,
    /// Keys were loaded more often than once for each node, and what happened does not say why.
    TooManyLoads,
    /// A node said that it would serve what was invalidated, when another probed it.
    Incoherent,
    /// No invalidation met a load: the run means nothing.
    NoOverlap,
    /// A fault hit nothing, or a part of the stage had nothing to do: the run means less than it says.
    NoEffect,
}

impl Broken {
    /// Tells whether it is about what a read returned.
    pub(crate) fn is_wrong_answer(self) -> bool {
        matches!(self, Self::Stale | Self::NeverWritten | Self::Foreign)
    }

    /// Tells whether a probe found it.
    pub(crate) fn is_of_probe(self) -> bool {
        self == Self::Incoherent
    }
}

/// One case of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Violation {
    pub(crate) broken: Broken,
    pub(crate) node: u32,
    pub(crate) key: Option<Key>,
    pub(crate) read: Option<Event>,
    /// The oldest version that would have been right, or the newest that there was.
    pub(crate) required: u64,
    pub(crate) by: Option<(Scope, Invalidation)>,
    pub(crate) note: String,
}

impl Violation {
    /// Makes one that no log shows.
    pub(crate) fn noted(broken: Broken, node: u32, note: impl Into<String>) -> Self {
        Self { broken, node, key: None, read: None, required: 0, by: None, note: note.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at node {}", self.broken, self.node)?;
        if let (Some(key), Some(Event::Read { op, asked, seen, hit, began, ended, .. })) = (self.key, self.read) {
            let hit = if hit { "without" } else { "with" };
            write!(f, ": {op:?} of {key}, {asked:?}, [{began}, {ended}] {hit} a load: {seen:?}")?;
            if matches!(seen, Seen::Version(_) | Seen::Absent) {
                write!(f, ", required {}", self.required)?;
            }
        }
        if let Some((scope, Invalidation { called, returned, token })) = self.by {
            write!(f, " by the invalidation of {scope}, [{called}, {returned}], {token:?}")?;
            if let Some(Event::Read { began, .. }) = self.read {
                write!(f, ", {} us before", microseconds(began.saturating_sub(returned)))?;
            }
        }
        if self.note.is_empty() { Ok(()) } else { write!(f, ": {}", self.note) }
    }
}

const fn microseconds(nanos: Nanos) -> u64 {
    nanos / 1000
}
