//! What is asked of a tier, and what it answers.

use std::time::Duration;

use bytes::Bytes;

use crate::{EntryName, clock::Millis};

/// A tier's permission to write one name, void once the name is removed.
///
/// Its meaning is the tier's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence(pub u128);

/// What a read wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Want {
    /// The envelope and a fence.
    #[default]
    Envelope,
    /// Only a fence, for a load that does not look at what is stored.
    Fence,
}

/// Asks for entries.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetMany {
    /// The names.
    pub names: Vec<EntryName>,
    /// What is wanted of each.
    pub want: Want,
    /// The tier makes sure, within this read, that it still speaks for all nodes: a store that was cut off from the others,
    /// or went back to an older state, answers nothing. Means nothing to a tier that nodes do not share.
    pub latest: bool,
    /// How long fences live that are leases; `None` leaves it to the tier. Means nothing for other fences.
    pub life: Option<Duration>,
}

impl GetMany {
    /// Asks for the envelopes of some names.
    #[must_use]
    pub fn new(names: Vec<EntryName>) -> Self {
        Self { names, want: Want::Envelope, latest: false, life: None }
    }

    /// Asks for fences only.
    #[must_use]
    pub fn fences(names: Vec<EntryName>) -> Self {
        Self { names, want: Want::Fence, latest: false, life: None }
    }

    /// Sets [`latest`](Self::latest).
    #[must_use]
    pub const fn latest(mut self, latest: bool) -> Self {
        self.latest = latest;
        self
    }

    /// Sets [`life`](Self::life).
    #[must_use]
    pub const fn life(mut self, life: Duration) -> Self {
        self.life = Some(life);
        self
    }
}

/// What a tier has for one name.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Got {
    /// The envelope, if there is one.
    pub envelope: Option<Bytes>,
    /// The permission to write this name, where the tier gives fences.
    pub fence: Option<Fence>,
}

impl Got {
    /// Makes an answer.
    #[must_use]
    pub const fn new(envelope: Option<Bytes>, fence: Option<Fence>) -> Self {
        Self { envelope, fence }
    }
}

/// One entry to write.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PutItem {
    /// The name.
    pub name: EntryName,
    /// The whole envelope.
    pub envelope: Bytes,
    /// When the tier may forget the entry, in coordinator time: [`Millis`] since the Unix epoch. It may be sooner, and need not be
    /// at all: the envelope says what is served. A store that wants a span takes the difference to its own clock, and rounds up.
    pub expires_at: Millis,
    /// The permission under which it is written; `None` writes without one, whatever is there.
    pub fence: Option<Fence>,
}

impl PutItem {
    /// Makes an item.
    #[must_use]
    pub const fn new(name: EntryName, envelope: Bytes, expires_at: Millis, fence: Option<Fence>) -> Self {
        Self { name, envelope, expires_at, fence }
    }
}

/// Asks to write entries.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PutMany {
    /// The entries.
    pub items: Vec<PutItem>,
}

impl PutMany {
    /// Asks to write some entries.
    #[must_use]
    pub const fn new(items: Vec<PutItem>) -> Self {
        Self { items }
    }
}

/// What became of one item.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PutOutcome {
    /// It is stored.
    Stored,
    /// Its fence was void: nothing was stored.
    Fenced,
    /// It is too large for the tier: nothing was stored, and what was there may be there still.
    TooLarge,
    /// It could not be stored, or that is not known.
    Failed(super::TierError),
}

/// Asks to remove entries.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RemoveMany {
    /// The names.
    pub names: Vec<EntryName>,
}

impl RemoveMany {
    /// Asks to remove some names.
    #[must_use]
    pub const fn new(names: Vec<EntryName>) -> Self {
        Self { names }
    }
}
