//! The contract of what orders invalidations.

mod any;
mod gaps;
mod journal;
mod question;

use std::{future::Future, sync::Arc, time::Duration};

pub use any::AnyCoordinator;
pub use gaps::Gaps;
pub use journal::{JournalSnapshot, MarkJournal, MarkRecord};
pub use question::{Answer, Finding, Question};

use crate::{
    EntryName, Result,
    clock::Millis,
    key::Scope,
    stamp::{Incarnation, Lane, Position, Seq},
};

/// Orders the invalidations of each lane and carries them to the nodes.
///
/// The engine knows only this trait. The local coordinator orders with a counter for each lane; a shared one lets many
/// nodes agree. Its duties:
///
/// * positions of a lane are dense and grow by one within an incarnation;
/// * when `invalidate` returns a position, this node's [`Subscriber`] has applied everything up to it;
/// * when `sync` returns, the subscriber has applied everything that was ordered before `sync` was called;
/// * a subscriber that may have missed something is told by `snapshot`, never left to guess;
/// * no operation but `subscribe`, `ask` and `close` takes longer than a short deadline: what does not answer is an error;
/// * [`Subscriber::up_to_date`] is called only for what the coordinator itself said, with the time it was asked.
pub trait Coordinator: Send + Sync + 'static {
    /// Returns the name for events and errors.
    fn name(&self) -> &str;

    /// Tells whether nodes share it; if not, this node is never behind and `sync` does nothing.
    fn is_shared(&self) -> bool;

    /// Returns the time that all nodes go by, where the coordinator has one: the node's timeline begins there.
    ///
    /// # Errors
    /// An error when it cannot be reached.
    fn time(&self) -> impl Future<Output = Result<Option<Millis>>> + Send;

    /// Starts the delivery: a snapshot of every lane first, then each invalidation in order.
    ///
    /// # Errors
    /// An error when the first snapshot cannot be had.
    fn subscribe(&self, subscriber: Arc<dyn Subscriber>) -> impl Future<Output = Result<()>> + Send;

    /// Returns the position the coordinator itself has reached in a lane.
    ///
    /// # Errors
    /// An error when it cannot be reached.
    fn position(&self, lane: Lane) -> impl Future<Output = Result<Position>> + Send;

    /// Asks that the marks of keys be kept with the others from now on: a tier outlives the marks that nodes remember.
    ///
    /// # Errors
    /// An error when it is not known whether they are kept in every lane.
    fn keep_key_marks(&self) -> impl Future<Output = Result<()>> + Send;

    /// Brings the subscriber up to date with a lane.
    ///
    /// # Errors
    /// An error when it cannot be reached in time.
    ///
    /// # Cancel safety
    /// May be dropped at any await; others who wait for the same answer get it.
    fn sync(&self, lane: Lane) -> impl Future<Output = Result<Position>> + Send;

    /// Orders one invalidation of some scopes of a lane and returns its position.
    ///
    /// # Errors
    /// An error when it is not known whether it was ordered; calling again is safe.
    ///
    /// # Cancel safety
    /// Dropped at an await, the invalidation may or may not take place; never a part of it.
    fn invalidate(&self, request: Invalidate) -> impl Future<Output = Result<Position>> + Send;

    /// Begins to watch an entry: what is returned ends when a lease of it has ended, filled or not, as far as it is known.
    ///
    /// It is a hint, and may never end. Watching begins with the call, so that nothing is missed by a caller that asks for
    /// a lease afterwards.
    fn watch(&self, name: EntryName) -> impl Future<Output = ()> + Send + 'static;

    /// Asks for the right to load an entry.
    ///
    /// # Errors
    /// An error when it cannot be reached in time; the load then goes to memory only.
    fn lease(&self, request: LeaseRequest) -> impl Future<Output = Result<LeaseReply>> + Send;

    /// Prolongs a lease while the load runs; false when it is gone.
    ///
    /// # Errors
    /// An error when it cannot be reached in time.
    fn renew(&self, lease: Lease) -> impl Future<Output = Result<bool>> + Send;

    /// Gives a lease back.
    ///
    /// # Errors
    /// An error when it cannot be reached in time; it then ends by itself.
    fn release(&self, lease: Lease) -> impl Future<Output = Result<()>> + Send;

    /// Asks all other nodes a question, and returns the answers that came `within` a time: perhaps none, never waiting longer.
    ///
    /// It is a hint, for an operator and not for a read: questions and answers may be lost, and nothing rests on them. Who
    /// has nobody to ask returns at once.
    ///
    /// # Errors
    /// An error when it could not be asked.
    ///
    /// # Cancel safety
    /// May be dropped at any await; answers that still come are ignored.
    fn ask(&self, question: Question, within: Duration) -> impl Future<Output = Result<Vec<Answer>>> + Send;

    /// Tells the coordinator the time, about once a second, so that it can forget marks older than `keep_since`.
    ///
    /// # Errors
    /// An error when forgetting failed; nothing is lost by it.
    fn tick(&self, now: Millis, keep_since: Millis) -> impl Future<Output = Result<()>> + Send;

    /// Ends the delivery and lets go of every resource.
    ///
    /// # Errors
    /// An error when what was pending could not be written.
    fn close(&self) -> impl Future<Output = Result<()>> + Send;
}

/// Receives what a coordinator delivers. Calls for one lane come in order, one at a time.
pub trait Subscriber: Send + Sync + 'static {
    /// Takes over the marks of a lane as a whole: at the start, and after every discontinuity.
    fn snapshot(&self, snapshot: LaneSnapshot);

    /// Applies one invalidation. The subscriber has applied it when this returns.
    fn apply(&self, message: &Applied);

    /// Notes that everything was applied which had been ordered in a lane at a time of [`now`](Self::now).
    fn up_to_date(&self, lane: Lane, at: Millis);

    /// Answers another node's question; `None` when it does not want to. It does not block.
    fn answer(&self, question: &Question) -> Option<Finding>;

    /// Returns the node's time, for [`up_to_date`](Self::up_to_date): read before the coordinator is asked.
    fn now(&self) -> Millis;
}

/// Below what positions a lane says nothing any more.
///
/// They come with a snapshot. Who has applied everything since has heard of what is dropped later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Floors {
    /// Entries stamped below this are invalid: marks of tags, namespaces and tenants up to here were dropped.
    pub marks: Seq,
    /// Marks of keys up to here were dropped or never kept: what began below it cannot be judged by its key.
    pub keys: Seq,
}

/// How strong a mark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strength {
    /// Entries below the mark are never served again.
    Hard,
    /// Entries below the mark count as expired, but the stale windows may still serve them (`expire`).
    Soft,
}

/// What kind of thing a scope names; a mirror treats keys apart from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScopeKind {
    /// One key.
    Key,
    /// A tag, of a tenant or global.
    Tag,
    /// A namespace or a tenant.
    Namespace,
}

/// One scope of an invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Marked {
    /// The scope.
    pub scope: Scope,
    /// What it names.
    pub kind: ScopeKind,
    /// Invalidate or expire.
    pub strength: Strength,
    /// The low half of the tenant's own scope, by which a mirror finds the tenant; 0 for global tags.
    pub tenant: u64,
}

impl Marked {
    /// Makes it.
    #[must_use]
    pub const fn new(scope: Scope, kind: ScopeKind, strength: Strength, tenant: u64) -> Self {
        Self { scope, kind, strength, tenant }
    }
}

/// Asks to order an invalidation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Invalidate {
    /// The lane.
    pub lane: Lane,
    /// What is invalidated, all at one position.
    pub scopes: Vec<Marked>,
    /// The time of the call, in coordinator time.
    pub at: Millis,
    /// The scope of the tenant whose the scopes are, where they are of one: a coordinator that bounds the marks of each
    /// tenant puts it in the place of what is too much.
    pub tenant: Option<Scope>,
}

impl Invalidate {
    /// Asks to invalidate some scopes of a lane.
    #[must_use]
    pub const fn new(lane: Lane, scopes: Vec<Marked>, at: Millis) -> Self {
        Self { lane, scopes, at, tenant: None }
    }

    /// Names the tenant whose the scopes are.
    #[must_use]
    pub const fn of_tenant(mut self, scope: Scope) -> Self {
        self.tenant = Some(scope);
        self
    }
}

/// One invalidation at its place in a lane.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Applied {
    /// The lane.
    pub lane: Lane,
    /// The place.
    pub position: Position,
    /// What is invalidated.
    pub scopes: Vec<Marked>,
    /// When, in coordinator time.
    pub at: Millis,
}

impl Applied {
    /// Makes a message.
    #[must_use]
    pub const fn new(lane: Lane, position: Position, scopes: Vec<Marked>, at: Millis) -> Self {
        Self { lane, position, scopes, at }
    }
}

/// The marks of a lane as a whole.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LaneSnapshot {
    /// The lane.
    pub lane: Lane,
    /// The place up to which it speaks.
    pub position: Position,
    /// Below what it says nothing.
    pub floors: Floors,
    /// The marks; those of keys only where they are kept.
    pub marks: Vec<MarkRecord>,
}

impl LaneSnapshot {
    /// Makes a snapshot.
    #[must_use]
    pub const fn new(lane: Lane, position: Position, floors: Floors, marks: Vec<MarkRecord>) -> Self {
        Self { lane, position, floors, marks }
    }

    /// Makes the snapshot of a lane without a past.
    #[must_use]
    pub const fn empty(lane: Lane, incarnation: Incarnation) -> Self {
        Self {
            lane,
            position: Position { incarnation, seq: 1 },
            floors: Floors { marks: 0, keys: 1 },
            marks: Vec::new(),
        }
    }
}

/// Asks for the right to load one entry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LeaseRequest {
    /// The lane of the entry's tenant.
    pub lane: Lane,
    /// The entry.
    pub name: EntryName,
    /// The position the load is stamped with.
    pub stamp: Position,
    /// The id of the envelope that the caller found and could not use.
    pub seen: Option<u64>,
    /// The newest mark the caller knows of anything the entry depends on; 0 for none. A lease taken below it is of no use to
    /// anybody, and is taken over.
    pub newest: Seq,
    /// How long the lease lives unless it is renewed.
    pub life: Duration,
}

impl LeaseRequest {
    /// Asks for the right to load an entry.
    #[must_use]
    pub const fn new(lane: Lane, name: EntryName, stamp: Position, life: Duration) -> Self {
        Self { lane, name, stamp, seen: None, newest: 0, life }
    }
}

/// The right to load one entry and store it below memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The lane.
    pub lane: Lane,
    /// The entry.
    pub name: EntryName,
    /// What proves the right; a tier whose fences are leases takes it for one.
    pub token: u128,
    /// How long it lives from when it was granted or renewed.
    pub life: Duration,
}

/// The answer to a [`LeaseRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseReply {
    /// The caller loads.
    Granted(Lease),
    /// Somebody else loads.
    Busy,
    /// The entry has arrived in the meantime: read again.
    Filled,
}
