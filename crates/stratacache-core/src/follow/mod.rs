//! The contract of what says which data has changed: an outbox in a database, a stream.

mod any;
mod change;
mod json;
mod part;
mod target;
#[cfg(test)]
mod tests;

use std::{fmt, future::Future, time::Duration};

pub use any::AnyInvalidationSource;
pub use change::{Change, Position};
pub use json::{MAX_CHANGE_TARGETS, MAX_CHANGE_TEXT, targets_from_json, targets_to_json};
pub use target::{ChangeTarget, KeyspaceShape, Located, LocatedTarget};

use crate::Result;

/// Something that says which data has changed, so that a cache can invalidate it: at least once, in the order of each tenant,
/// from where it stopped.
///
/// A cache follows it (`cache.follow(source)` of `stratacache`): one task asks for the next changes, invalidates, and acknowledges
/// what was applied. The duty of a source:
///
/// * [`next`](Self::next) returns changes in the order in which they took place, as far as they are of one tenant, each with a
///   [`Position`] above that of all before it. It goes on after what it returned last, whether that was acknowledged or not, and
///   returns nothing twice while it lives, not even after it has lost its connection.
/// * A source that begins anew goes on after what was acknowledged: what was not is returned again.
/// * What cannot be understood is a change too, with the reason in place of its targets ([`Change::unreadable`]). What was lost
///   before it could be returned is said by [`Batch::gap`].
/// * Among sources of the same name one delivers and the others stand by ([`Batch::standby`]), and one takes over when it is gone. For a
///   while both may deliver; an invalidation that is applied twice harms nobody.
///
/// One task calls `next`, one call after the other; the other calls may come while it waits. Every future may be dropped at any point, and the next call repairs what that left
/// behind; what `next` had taken and not returned, it returns then. Every call ends by itself within a bounded time. There are no
/// default methods.
pub trait InvalidationSource: Send + Sync + 'static {
    /// Returns its name, for logs and counters: that of the outbox and the consumer.
    fn name(&self) -> &str;

    /// Waits for changes and returns at most `request.limit` of them, or none after `request.wait`. Once it delivers and did not
    /// before, it may say so at once by a batch without changes.
    ///
    /// # Errors
    /// When the changes cannot be had now; the caller asks again after a pause.
    fn next(&self, request: NextChanges) -> impl Future<Output = Result<Batch>> + Send;

    /// Notes that every change up to a position was applied or set aside, so that a source that begins anew goes on after it.
    ///
    /// # Errors
    /// When it is not known whether that was noted; the caller says it again, maybe with a later position.
    fn acknowledge(&self, through: Position) -> impl Future<Output = Result<()>> + Send;

    /// Keeps changes that nobody can apply where an operator finds them, with the reason. Doing it twice is as doing it once.
    ///
    /// # Errors
    /// When it is not known whether they were kept; the caller tries again, and acknowledges none of them before.
    fn set_aside(&self, changes: Vec<SetAside>) -> impl Future<Output = Result<()>> + Send;

    /// Asks how much has not been acknowledged yet.
    ///
    /// # Errors
    /// When it cannot be found out.
    fn lag(&self) -> impl Future<Output = Result<Lag>> + Send;

    /// Lets go of connections and of the right to deliver, so that another can take over at once.
    ///
    /// # Errors
    /// When something could not be let go of; it is gone soon after all the same.
    fn close(&self) -> impl Future<Output = Result<()>> + Send;
}

/// What [`InvalidationSource::next`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextChanges {
    /// How many changes at most; at least 1.
    pub limit: usize,
    /// How long to wait where there are none.
    pub wait: Duration,
}

impl NextChanges {
    /// Asks for up to `limit` changes, within `wait`.
    #[must_use]
    pub const fn new(limit: usize, wait: Duration) -> Self {
        Self { limit: if limit == 0 { 1 } else { limit }, wait }
    }
}

/// What [`InvalidationSource::next`] returns.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Batch {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// Another source of the same name delivers; this one waits for its turn.
    pub standby: bool,
    /// Changes before these were lost: the caller has to forget everything that they may have been about.
    pub gap: Option<&'static str>,
}

impl Batch {
    /// Makes the answer of a source that delivers.
    #[must_use]
    pub const fn of(changes: Vec<Change>) -> Self {
        Self { changes, standby: false, gap: None }
    }

    /// Makes the answer of a source that stands by.
    #[must_use]
    pub const fn standby() -> Self {
        Self { changes: Vec::new(), standby: true, gap: None }
    }

    /// Says that changes before these were lost, and how.
    #[must_use]
    pub const fn after_gap(mut self, reason: &'static str) -> Self {
        self.gap = Some(reason);
        self
    }
}

/// A change that nobody can apply, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetAside {
    /// Which.
    pub position: Position,
    /// Why, without anything of the change itself but names of knobs.
    pub reason: String,
}

impl SetAside {
    /// Makes it.
    #[must_use]
    pub fn new(position: Position, reason: impl Into<String>) -> Self {
        Self { position, reason: reason.into() }
    }
}

/// How far a source's consumer is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Lag {
    /// How many changes were not acknowledged yet; a large number may be cut off.
    pub changes: u64,
    /// How long ago the oldest of them was written; zero when there is none.
    pub age: Duration,
}

impl Lag {
    /// Makes it.
    #[must_use]
    pub const fn new(changes: u64, age: Duration) -> Self {
        Self { changes, age }
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changes, the oldest {:?} old", self.changes, self.age)
    }
}
