//! What is known before the first operation.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use stratacache_core::clock::{Clock, SystemClock};

use super::{History, ScopeId, checker::Time, scope::ScopeState};

/// Registers the scopes and sets the clock of a [`History`]; see the [module](super) for an example.
pub struct HistoryBuilder {
    scopes: Vec<ScopeState>,
    slack: Duration,
    time: Time,
}

impl HistoryBuilder {
    /// Starts without scopes, without slack, on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self { scopes: Vec::new(), slack: Duration::ZERO, time: Time::Clock(Arc::new(SystemClock::new())) }
    }

    /// Registers a scope, which is whatever an invalidation can be about; the name is for reports.
    ///
    /// # Panics
    /// After 2^32 scopes.
    pub fn scope(&mut self, name: impl Into<String>) -> ScopeId {
        let id = u32::try_from(self.scopes.len()).expect("a history has at most 2^32 scopes");
        self.scopes.push(ScopeState::new(name.into()));
        ScopeId(id)
    }

    /// Sets delta: how long an invalidation may take to bind reads after it returned. None unless set.
    pub fn slack(&mut self, delta: Duration) -> &mut Self {
        self.slack = delta;
        self
    }

    /// Sets the clock that all times are read from. Two events at the same time count as the order that breaks no
    /// rule, so a clock that stands still for long sees less: take [`logical`](Self::logical) for paused time.
    pub fn clock(&mut self, clock: Arc<dyn Clock>) -> &mut Self {
        self.time = Time::Clock(clock);
        self
    }

    /// Counts events instead of reading a clock: the exact order, at the price of one counter that all threads share.
    /// A slack then counts nanoseconds as events, and is best left at none.
    pub fn logical(&mut self) -> &mut Self {
        self.time = Time::Counter(AtomicU64::new(1));
        self
    }

    /// Builds the history.
    #[must_use]
    pub fn build(self) -> History {
        History::new(self.scopes.into_boxed_slice(), self.slack.as_nanos() as u64, self.time)
    }
}

impl Default for HistoryBuilder {
    fn default() -> Self {
        Self::new()
    }
}
