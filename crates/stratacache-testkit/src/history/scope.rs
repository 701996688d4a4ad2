//! What invalidations are about.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A key, tag, namespace or tenant, as registered with [`HistoryBuilder::scope`](super::HistoryBuilder::scope).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeId(pub(super) u32);

/// An invalidation that has returned, but less than the slack ago.
#[derive(Debug)]
struct Pending {
    due: u64,
    called: u64,
}

/// What is known of one scope: a few words, however many operations there were.
#[derive(Debug)]
pub(super) struct ScopeState {
    pub(super) name: String,
    /// When the latest of the invalidations that bind reads had been called.
    binding: AtomicU64,
    pending: Mutex<VecDeque<Pending>>,
    loads_begun: AtomicU64,
    loads_running: AtomicU64,
}

impl ScopeState {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            binding: AtomicU64::new(0),
            pending: Mutex::default(),
            loads_begun: AtomicU64::new(0),
            loads_running: AtomicU64::new(0),
        }
    }

    /// Returns the time at or after which the load of a value must have begun that a read beginning `now` returns.
    pub(super) fn bound(&self, now: u64, slack: u64) -> u64 {
        if slack > 0 {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(first) = pending.pop_front_if(|first| first.due <= now) {
                self.binding.fetch_max(first.called, Ordering::SeqCst);
            }
        }
        self.binding.load(Ordering::SeqCst)
    }

    /// Notes an invalidation that was called at `called` and has returned by `now`.
    pub(super) fn returned(&self, called: u64, now: u64, slack: u64) {
        if slack == 0 {
            self.binding.fetch_max(called, Ordering::SeqCst);
            return;
        }
        // rounded up to a sixteenth of the slack, so that a storm of invalidations leaves some 17 records: the checker
        // is lenient by that much
        let grain = (slack / 16).max(1);
        let due = now.div_ceil(grain).saturating_mul(grain).saturating_add(slack);
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match pending.back_mut() {
            Some(last) if last.due >= due => last.called = last.called.max(called),
            _ => pending.push_back(Pending { due, called }),
        }
    }

    pub(super) fn load_begins(&self) {
        self.loads_begun.fetch_add(1, Ordering::SeqCst);
        self.loads_running.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn load_ends(&self) {
        self.loads_running.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn loads_begun(&self) -> u64 {
        self.loads_begun.load(Ordering::SeqCst)
    }

    pub(super) fn has_loads(&self) -> bool {
        self.loads_running.load(Ordering::SeqCst) > 0
    }

    #[cfg(test)]
    pub(super) fn pending(&self) -> usize {
        self.pending.lock().unwrap().len()
    }
}
