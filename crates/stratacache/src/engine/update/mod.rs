//! Changing a value into one that is a function of it: one change of a key after the other, among all nodes that share
//! a tier with leases, else among the tasks of this process.
//!
//! The changes of a key that wait in a process are made together: the first reads the value, each gets what the one
//! before it made, and the last is written. Nobody is told of a change before it was written.

mod chain;
mod line;
mod local;
mod run;
mod shared;
mod turns;

use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;
use stratacache_core::{Error, ErrorKind, Key, Policy, Result, Tag};
use tokio::sync::oneshot;

pub(crate) use line::Updates;
pub(crate) use turns::Turns;

use super::{Door, Engine, tenant::WaitPlace};
use crate::{
    codec::CacheValue,
    memory::{Entry, Held},
};

/// What is to become of a value.
pub(crate) enum Change<V: 'static> {
    /// It stays.
    Keep,
    /// This takes its place.
    Set(Held<V>),
    /// It goes.
    Remove,
}

/// What a value was when it was changed, and what it is now; `None` is nothing, or an absence.
pub(crate) struct Changed<V> {
    pub(crate) before: Option<Arc<Entry<V>>>,
    pub(crate) after: Option<Arc<Entry<V>>>,
    /// It was not kept as it was.
    pub(crate) written: bool,
}

/// A change, from what there is. Called once more where somebody else was faster.
pub(crate) type BoxedChange<V> = Box<dyn FnMut(Option<&V>) -> Result<Change<V>> + Send>;

/// A change of one value. The caller has checked the policy and the tags.
pub(crate) struct UpdateRequest<V: 'static> {
    pub(crate) ns: Arc<Door>,
    pub(crate) key: Key<V>,
    pub(crate) policy: Policy,
    pub(crate) tags: SmallVec<[Tag; 1]>,
    /// Never locked: what waits is looked at from where it is run.
    pub(crate) change: Mutex<BoxedChange<V>>,
}

/// A change that waits for its turn, and who waits for it.
struct Job<V: 'static> {
    request: UpdateRequest<V>,
    done: oneshot::Sender<Result<Changed<V>>>,
    _place: WaitPlace,
}

impl Engine {
    /// Changes one value, to the end even if the caller goes away.
    pub(crate) async fn update<V: CacheValue>(self: &Arc<Self>, request: UpdateRequest<V>) -> Result<Changed<V>> {
        self.check_open()?;
        let Some(place) = request.ns.tenant.wait_place(&self.limits) else {
            let message = "as many callers of the tenant wait for loads and changes as max_waiters allows; try again \
                           later, or raise it";
            return Err(Error::new(ErrorKind::Overloaded, message));
        };
        let (done, result) = oneshot::channel();
        self.enqueue(Job { request, done, _place: place });
        let ended = || {
            Error::new(ErrorKind::Closed, "the cache was closed meanwhile; whether the value was changed is not known")
        };
        result.await.map_err(|_| ended())?
    }
}
