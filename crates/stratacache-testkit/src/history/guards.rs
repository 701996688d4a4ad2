//! Operations under way.

use super::{History, ScopeId, Value, Violation};

/// A read that has begun. Dropped without an answer, it is not counted.
#[derive(Debug)]
#[must_use = "say what the read returned with `saw` or `missed`"]
pub struct Read<'h> {
    pub(super) history: &'h History,
    pub(super) tenant: u32,
    pub(super) key: u32,
    pub(super) began: u64,
    pub(super) bound: u64,
    pub(super) by: ScopeId,
}

impl Read<'_> {
    /// Checks the value that the read returned; true when it was right.
    pub fn saw(self, value: &Value) -> bool {
        let history = self.history;
        history.reads.add();
        history.hits.add();
        let violation = if (value.tenant, value.key) != (self.tenant, self.key) {
            Violation::Foreign { tenant: self.tenant, key: self.key, value: *value }
        } else if value.began < self.bound {
            Violation::Stale {
                value: *value,
                scope: history.scope(self.by).name.clone(),
                invalidation_called: self.bound,
                read_began: self.began,
                read_ended: history.now(),
            }
        } else {
            return true;
        };
        history.violated(violation);
        false
    }

    /// Counts a read that returned no value.
    pub fn missed(self) {
        self.history.reads.add();
    }
}

/// An invalidation under way. Dropped, it counts as unconfirmed and binds no read: nobody was told that it took place.
#[derive(Debug)]
#[must_use = "say with `returned` that it returned Ok"]
pub struct InvalidationCall<'h> {
    pub(super) history: &'h History,
    pub(super) scopes: Vec<ScopeId>,
    pub(super) called: u64,
    pub(super) loads_begun: u64,
    pub(super) overlaps: bool,
    pub(super) confirmed: bool,
}

impl InvalidationCall<'_> {
    /// Notes that the invalidation returned `Ok`: from now on it binds reads.
    pub fn returned(mut self) {
        self.confirmed = true;
        let history = self.history;
        history.invalidations.add();
        if self.overlaps || history.loads_begun(&self.scopes) != self.loads_begun {
            history.overlaps.add();
        }
        let now = if history.slack == 0 { 0 } else { history.now() };
        self.scopes.iter().for_each(|id| history.scope(*id).returned(self.called, now, history.slack));
    }
}

impl Drop for InvalidationCall<'_> {
    fn drop(&mut self) {
        if !self.confirmed {
            self.history.unconfirmed.add();
        }
    }
}

/// A load under way. Dropped, it counts as abandoned.
#[derive(Debug)]
#[must_use = "the value comes from `finish`"]
pub struct Load<'h> {
    pub(super) history: &'h History,
    pub(super) scopes: Vec<ScopeId>,
    pub(super) tenant: u32,
    pub(super) key: u32,
    pub(super) load: u64,
    pub(super) began: u64,
    pub(super) finished: bool,
}

impl Load<'_> {
    /// Ends the load and makes its value.
    #[must_use]
    pub fn finish(mut self) -> Value {
        self.finished = true;
        self.history.loads.add();
        Value { tenant: self.tenant, key: self.key, load: self.load, began: self.began }
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.scopes.iter().for_each(|id| self.history.scope(*id).load_ends());
        if !self.finished {
            self.history.abandoned_loads.add();
        }
    }
}
