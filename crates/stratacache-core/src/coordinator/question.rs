//! What nodes ask each other: whether one still serves what another has invalidated.

use super::ScopeKind;
use crate::{
    clock::Millis,
    key::Scope,
    stamp::{Lane, Position, Seq},
};

/// Asks the other nodes whether they would still serve what an invalidation has made invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Question {
    /// The lane of the invalidation.
    pub lane: Lane,
    /// Its position: what depends on the scope and began before it is never to be served again.
    pub position: Position,
    /// What was invalidated.
    pub scope: Scope,
    /// What the scope names.
    pub kind: ScopeKind,
    /// The tenant it belongs to, as in [`Marked`](super::Marked); 0 for global tags.
    pub tenant: u64,
    /// How far behind a read may be that would be served, in milliseconds.
    pub bound: Millis,
}

impl Question {
    /// Asks about one scope of an invalidation.
    #[must_use]
    pub const fn new(
        lane: Lane,
        position: Position,
        scope: Scope,
        kind: ScopeKind,
        tenant: u64,
        bound: Millis,
    ) -> Self {
        Self { lane, position, scope, kind, tenant, bound }
    }
}

/// What a node finds when it is asked a [`Question`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// It would serve nothing of it.
    Nothing,
    /// It goes by another history of the lane, whose positions cannot be compared.
    OtherHistory,
    /// It would serve an entry of this stamp, which is before the position asked about.
    Served(Seq),
}

/// The answer of one node to a [`Question`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// Tells the nodes apart, for as long as they run.
    pub peer: u64,
    /// What it found.
    pub finding: Finding,
}

impl Answer {
    /// Makes the answer of a node.
    #[must_use]
    pub const fn new(peer: u64, finding: Finding) -> Self {
        Self { peer, finding }
    }
}
