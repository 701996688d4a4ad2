//! The table of flights. A flight is removed only by its owner, and lands exactly once.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use foldhash::fast::RandomState;
use stratacache_core::{Stamp, clock::Millis};

use super::waiters::Waiters;
use crate::sync::Mutex;

/// What a flight ends with.
pub(crate) trait Outcome: Clone + Send + Sync + 'static {
    /// What the waiters get when the leader goes away without a word.
    fn abandoned() -> Self;
}

/// Which load: tenant, namespace and key, and the types of value and error.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FlightKey<K> {
    tenant: u64,
    key: K,
    types: TypeId,
    forced: bool,
    alone: u64,
    /// Tiers that are not used, a bit for each way.
    left_out: u16,
}

impl<K> FlightKey<K> {
    /// `forced` keeps loads that must not be answered from a tier apart from reads; `alone` is 0 for a load that others may join.
    pub(crate) fn new<T: Outcome>(tenant: u64, key: K, forced: bool, alone: u64) -> Self {
        Self { tenant, key, types: TypeId::of::<T>(), forced, alone, left_out: 0 }
    }

    /// Keeps loads apart that do not use the same tiers; 0 for all of them.
    pub(crate) fn leaving_out(self, left_out: u16) -> Self {
        Self { left_out, ..self }
    }
}

/// A load under way.
#[derive(Debug)]
pub(crate) struct Flight<T: Outcome> {
    /// The position before the load began.
    pub(crate) stamp: Stamp,
    /// The time before the load began.
    pub(crate) began: Millis,
    /// What the load is known to depend on from the start.
    pub(crate) tags: Tags,
    pub(super) state: Mutex<State<T>>,
}

/// Tags and global tags known before the load.
pub(crate) type Tags = (Box<[stratacache_core::Scope]>, Box<[stratacache_core::Scope]>);

#[derive(Debug)]
pub(super) struct State<T> {
    pub(super) outcome: Option<T>,
    pub(super) waiters: Waiters,
}

impl<T: Outcome> Flight<T> {
    pub(crate) fn new(stamp: Stamp, began: Millis, tags: Tags) -> Self {
        Self { stamp, began, tags, state: Mutex::new(State { outcome: None, waiters: Waiters::default() }) }
    }

    fn land(&self, outcome: T) {
        let woken = {
            let mut state = self.state.lock();
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(outcome);
            state.waiters.take()
        };
        woken.for_each(std::task::Waker::wake);
    }
}

type Shard<K> = Mutex<HashMap<FlightKey<K>, Arc<dyn Any + Send + Sync>, RandomState>>;

const SHARDS: usize = 32;

/// The flights of a cache.
pub(crate) struct FlightTable<K> {
    shards: [Shard<K>; SHARDS],
    hasher: RandomState,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> FlightTable<K> {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(HashMap::default())), hasher: RandomState::default() }
    }

    fn shard(&self, key: &FlightKey<K>) -> &Shard<K> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    /// Joins the flight of a key if there is one and `may_join` agrees; else starts one with `make`, which takes the
    /// place of the other in the table. What `make` returns beside the flight is the leader's.
    pub(crate) fn join_or_lead<T: Outcome, G>(
        self: &Arc<Self>,
        key: FlightKey<K>,
        may_join: impl FnOnce(&Flight<T>) -> bool,
        make: impl FnOnce() -> (Flight<T>, G),
    ) -> Role<K, T, G> {
        let mut flights = self.shard(&key).lock();
        if let Some(flight) = flights.get(&key).and_then(|f| Arc::clone(f).downcast::<Flight<T>>().ok())
            && may_join(&flight)
        {
            return Role::Join(flight);
        }
        let (flight, gear) = make();
        let flight = Arc::new(flight);
        flights.insert(key.clone(), Arc::clone(&flight) as Arc<dyn Any + Send + Sync>);
        drop(flights);
        Role::Lead(Lead { table: Arc::clone(self), key, flight }, gear)
    }

    /// Counts the loads under way.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|s| s.lock().len()).sum()
    }
}

/// What a caller becomes.
pub(crate) enum Role<K: Hash + Eq + Clone + Send + Sync + 'static, T: Outcome, G> {
    Join(Arc<Flight<T>>),
    Lead(Lead<K, T>, G),
}

/// The duty to land a flight. Dropped without a word, it lands as abandoned.
pub(crate) struct Lead<K: Hash + Eq + Clone + Send + Sync + 'static, T: Outcome> {
    table: Arc<FlightTable<K>>,
    key: FlightKey<K>,
    flight: Arc<Flight<T>>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, T: Outcome> Lead<K, T> {
    pub(crate) fn flight(&self) -> &Arc<Flight<T>> {
        &self.flight
    }

    /// Lands the flight: whoever waits gets the outcome, whoever comes later starts anew.
    pub(crate) fn land(self, outcome: T) {
        self.leave();
        self.flight.land(outcome);
    }

    /// Takes the flight off the table, if it is still this one.
    fn leave(&self) {
        let mut flights = self.table.shard(&self.key).lock();
        let ours = flights.get(&self.key).is_some_and(|f| std::ptr::addr_eq(Arc::as_ptr(f), Arc::as_ptr(&self.flight)));
        if ours {
            flights.remove(&self.key);
        }
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, T: Outcome> Drop for Lead<K, T> {
    fn drop(&mut self) {
        self.leave();
        self.flight.land(T::abandoned());
    }
}
