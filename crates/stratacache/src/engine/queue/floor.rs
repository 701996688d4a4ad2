//! Below what time nothing is served.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};

use stratacache_core::clock::Millis;

/// The time of the newest invalidation that waits: what began to be loaded up to it is not served by this node.
///
/// One more than the time; 0 while none waits.
#[derive(Debug, Default)]
pub(crate) struct Floor(AtomicU64);

impl Floor {
    pub(super) fn raise(&self, time: Millis) {
        self.0.fetch_max(time.saturating_add(1), AcqRel);
    }

    /// Takes it away. What waited has been applied: who sees it gone sees the marks.
    pub(super) fn lift(&self) {
        self.0.store(0, Release);
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<Millis> {
        self.0.load(Acquire).checked_sub(1)
    }
}
