//! What followers count, for the whole cache.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;

use super::{SourceLag, Stats};

#[derive(Debug, Default)]
pub(crate) struct FollowCounters {
    pub(crate) applied: AtomicU64,
    pub(crate) set_aside: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) failures: AtomicU64,
    /// Of those that know it, by the name of the source.
    lags: Mutex<BTreeMap<Arc<str>, (u64, Duration)>>,
}

impl FollowCounters {
    /// Notes how far a source is behind; `None` when that is not known any more.
    pub(crate) fn note_lag(&self, source: &Arc<str>, lag: Option<(u64, Duration)>) {
        let mut lags = self.lags.lock();
        match lag {
            Some(lag) => drop(lags.insert(Arc::clone(source), lag)),
            None => drop(lags.remove(source)),
        }
    }

    pub(crate) fn lags(&self) -> Vec<SourceLag> {
        let lags = self.lags.lock();
        lags.iter()
            .map(|(name, (changes, age))| SourceLag { name: Arc::clone(name), changes: *changes, age: *age })
            .collect()
    }

    pub(crate) fn show(&self, stats: &mut Stats) {
        let read = |counter: &AtomicU64| Some(counter.load(Relaxed));
        stats.changes_applied = read(&self.applied);
        stats.changes_set_aside = read(&self.set_aside);
        stats.change_retries = read(&self.retries);
        stats.change_gaps = read(&self.gaps);
        stats.source_failures = read(&self.failures);
    }
}
