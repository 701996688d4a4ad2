//! What can go wrong, and where.

use std::time::Duration;

use stratacache_core::tier::TierErrorKind;

/// An operation of a tier, or any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum On {
    /// `get_many`.
    Get,
    /// `put_many`.
    Put,
    /// `remove_many`.
    Remove,
    /// `ping`.
    Ping,
    /// Every one of them.
    Any,
}

impl On {
    pub(super) const SINGLE: [Self; 4] = [Self::Get, Self::Put, Self::Remove, Self::Ping];

    pub(super) fn covers(self, operation: Self) -> bool {
        self == Self::Any || self == operation
    }
}

/// What happens to one call instead of, before or after its work.
///
/// Those that wait need a tokio runtime with time enabled; under paused time they take no time at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Fails at once; nothing is done.
    Error(TierErrorKind),
    /// Succeeds as a batch, while every single put or removal in it fails and nothing is done. A get or ping fails.
    EachError(TierErrorKind),
    /// Waits until [`Faults::release`](super::Faults::release), then does its work and answers.
    Hang,
    /// Waits, by tokio's time, then does its work and answers.
    Slow(Duration),
    /// Does its work, then waits by tokio's time before it answers.
    SlowReply(Duration),
    /// Flips one bit of every envelope it returns or stores. A removal or ping fails as
    /// [`Corrupt`](TierErrorKind::Corrupt).
    Corrupt,
    /// Does its work, then fails as [`ReplyLost`](TierErrorKind::ReplyLost).
    LostReply,
    /// Does its work, then never answers until [`Faults::release`](super::Faults::release).
    NoReply,
    /// Fails as [`Timeout`](TierErrorKind::Timeout) at once, and does its work that much later by tokio's time.
    Late(Duration),
}

/// The kinds of [`Fault`], to count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// [`Fault::Error`].
    Error,
    /// [`Fault::EachError`].
    EachError,
    /// [`Fault::Hang`].
    Hang,
    /// [`Fault::Slow`].
    Slow,
    /// [`Fault::SlowReply`].
    SlowReply,
    /// [`Fault::Corrupt`].
    Corrupt,
    /// [`Fault::LostReply`].
    LostReply,
    /// [`Fault::NoReply`].
    NoReply,
    /// [`Fault::Late`].
    Late,
}

impl FaultKind {
    pub(super) const COUNT: usize = 9;
}

impl Fault {
    /// Returns its kind.
    #[must_use]
    pub const fn kind(self) -> FaultKind {
        match self {
            Self::Error(_) => FaultKind::Error,
            Self::EachError(_) => FaultKind::EachError,
            Self::Hang => FaultKind::Hang,
            Self::Slow(_) => FaultKind::Slow,
            Self::SlowReply(_) => FaultKind::SlowReply,
            Self::Corrupt => FaultKind::Corrupt,
            Self::LostReply => FaultKind::LostReply,
            Self::NoReply => FaultKind::NoReply,
            Self::Late(_) => FaultKind::Late,
        }
    }
}
