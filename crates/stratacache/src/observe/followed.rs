//! What followers count, for the whole cache.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Stats;

#[derive(Debug, Default)]
pub(crate) struct FollowCounters {
    pub(crate) applied: AtomicU64,
    pub(crate) set_aside: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) failures: AtomicU64,
}

impl FollowCounters {
    pub(crate) fn show(&self, stats: &mut Stats) {
        let read = |counter: &AtomicU64| Some(counter.load(Relaxed));
        stats.changes_applied = read(&self.applied);
        stats.changes_set_aside = read(&self.set_aside);
        stats.change_retries = read(&self.retries);
        stats.change_gaps = read(&self.gaps);
        stats.source_failures = read(&self.failures);
    }
}
