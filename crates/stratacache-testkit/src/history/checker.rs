//! The checker itself.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use stratacache_core::clock::Clock;

use super::{InvalidationCall, Load, Read, Report, ScopeId, Value, Violation, scope::ScopeState, stripes::Stripes};

/// How many violations a report shows in full.
const SHOWN: usize = 10;

pub(super) enum Time {
    Clock(Arc<dyn Clock>),
    Counter(AtomicU64),
}

/// Checks reads against invalidations while they happen; share it by `Arc`.
///
/// See the [module](super) for the rule and an example. Recording takes a few atomic operations for each scope and no
/// lock that operations on other scopes share.
pub struct History {
    scopes: Box<[ScopeState]>,
    pub(super) slack: u64,
    time: Time,
    pub(super) reads: Stripes,
    pub(super) hits: Stripes,
    pub(super) loads: Stripes,
    pub(super) abandoned_loads: Stripes,
    pub(super) invalidations: Stripes,
    pub(super) unconfirmed: Stripes,
    pub(super) overlaps: Stripes,
    next_load: AtomicU64,
    stale: AtomicU64,
    foreign: AtomicU64,
    shown: Mutex<Vec<Violation>>,
}

impl History {
    pub(super) fn new(scopes: Box<[ScopeState]>, slack: u64, time: Time) -> Self {
        Self {
            scopes,
            slack,
            time,
            reads: Stripes::default(),
            hits: Stripes::default(),
            loads: Stripes::default(),
            abandoned_loads: Stripes::default(),
            invalidations: Stripes::default(),
            unconfirmed: Stripes::default(),
            overlaps: Stripes::default(),
            next_load: AtomicU64::new(1),
            stale: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            shown: Mutex::default(),
        }
    }

    /// Begins a read of a key that depends on some scopes; call it right before the cache's operation.
    ///
    /// # Panics
    /// When a scope is not of this history.
    pub fn read(&self, tenant: u32, key: u32, scopes: &[ScopeId]) -> Read<'_> {
        let began = self.now();
        let bounds = scopes.iter().map(|id| (self.scope(*id).bound(began, self.slack), *id));
        let (bound, by) = bounds.max().unwrap_or((0, ScopeId(0)));
        Read { history: self, tenant, key, began, bound, by }
    }

    /// Begins an invalidation of some scopes; call it right before the cache's operation.
    ///
    /// # Panics
    /// When a scope is not of this history.
    pub fn invalidation(&self, scopes: &[ScopeId]) -> InvalidationCall<'_> {
        let called = self.now();
        // begun is read before running: a load that starts between the two readings is seen by one of them
        let loads_begun = self.loads_begun(scopes);
        let overlaps = scopes.iter().any(|id| self.scope(*id).has_loads());
        InvalidationCall { history: self, scopes: scopes.to_vec(), called, loads_begun, overlaps, confirmed: false }
    }

    /// Begins a load of a key that depends on some scopes; call it first thing in the loader, before the source is read.
    ///
    /// # Panics
    /// When a scope is not of this history.
    pub fn load(&self, tenant: u32, key: u32, scopes: &[ScopeId]) -> Load<'_> {
        let began = self.now();
        scopes.iter().for_each(|id| self.scope(*id).load_begins());
        let load = self.next_load.fetch_add(1, Ordering::Relaxed);
        Load { history: self, scopes: scopes.to_vec(), tenant, key, load, began, finished: false }
    }

    /// Makes a value for an insert without a stamp. It counts as loaded when the insert is called, which nobody can
    /// tell exactly from outside, so a read of it is checked for its tenant and key but is never stale.
    #[must_use]
    pub fn unstamped(&self, tenant: u32, key: u32) -> Value {
        Value { tenant, key, load: self.next_load.fetch_add(1, Ordering::Relaxed), began: u64::MAX }
    }

    /// Returns what was found so far. While operations run, its counts need not fit each other.
    #[must_use]
    pub fn report(&self) -> Report {
        let (reads, loads, invalidations) = (self.reads.sum(), self.loads.sum(), self.invalidations.sum());
        let (abandoned_loads, unconfirmed) = (self.abandoned_loads.sum(), self.unconfirmed.sum());
        Report {
            operations: reads + loads + invalidations + abandoned_loads + unconfirmed,
            reads,
            hits: self.hits.sum(),
            loads,
            abandoned_loads,
            invalidations,
            unconfirmed,
            overlaps: self.overlaps.sum(),
            stale: self.stale.load(Ordering::SeqCst),
            foreign: self.foreign.load(Ordering::SeqCst),
            violations: self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    pub(super) fn now(&self) -> u64 {
        match &self.time {
            Time::Clock(clock) => clock.now().as_nanos() as u64,
            Time::Counter(counter) => counter.fetch_add(1, Ordering::SeqCst),
        }
    }

    pub(super) fn scope(&self, id: ScopeId) -> &ScopeState {
        self.scopes.get(id.0 as usize).expect("the scope is registered with this history")
    }

    pub(super) fn loads_begun(&self, scopes: &[ScopeId]) -> u64 {
        scopes.iter().map(|id| self.scope(*id).loads_begun()).sum()
    }

    pub(super) fn violated(&self, violation: Violation) {
        match violation {
            Violation::Stale { .. } => self.stale.fetch_add(1, Ordering::SeqCst),
            Violation::Foreign { .. } => self.foreign.fetch_add(1, Ordering::SeqCst),
        };
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.len() < SHOWN {
            shown.push(violation);
        }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("scopes", &self.scopes.len()).field("report", &self.report()).finish()
    }
}
