//! Sources that count what they are asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use stratacache::{Keyspace, Namespace, Policy, seconds};
use tokio::time::sleep;

pub(crate) const TTL: Policy = Policy::ttl(seconds(60)).jitter(0.0);
pub(crate) const ROWS: Keyspace<u32, u64> = Keyspace::new("rows", TTL);

/// A source whose rows have a version, and which knows how often each was loaded.
#[derive(Clone, Default)]
pub(crate) struct Source(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    loads: BTreeMap<u32, usize>,
    calls: usize,
    running: usize,
    most_running: usize,
    version: u64,
}

/// A load that runs.
struct Running(Source);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().running -= 1;
    }
}

impl Source {
    fn begin(&self, keys: &[u32]) -> (Running, u64) {
        let mut inner = self.0.lock().unwrap();
        inner.calls += 1;
        inner.running += 1;
        inner.most_running = inner.most_running.max(inner.running);
        for key in keys {
            *inner.loads.entry(*key).or_default() += 1;
        }
        (Running(self.clone()), inner.version)
    }

    /// Loads one row, which takes so long. It has the version that was there when the load began.
    pub(crate) async fn row(self, key: u32, takes: Duration) -> Result<u64, &'static str> {
        let (_running, version) = self.begin(&[key]);
        sleep(takes).await;
        Ok(u64::from(key) * 1_000 + version)
    }

    pub(crate) async fn rows(self, keys: Vec<u32>, takes: Duration) -> Result<Vec<(u32, u64)>, &'static str> {
        let (_running, version) = self.begin(&keys);
        sleep(takes).await;
        Ok(keys.into_iter().map(|key| (key, u64::from(key) * 1_000 + version)).collect())
    }

    pub(crate) fn write(&self) {
        self.0.lock().unwrap().version += 1;
    }

    /// Returns how many keys were loaded, and how often the most frequent of them.
    pub(crate) fn loaded(&self) -> (usize, usize) {
        let inner = self.0.lock().unwrap();
        (inner.loads.len(), inner.loads.values().copied().max().unwrap_or(0))
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    pub(crate) fn most_running(&self) -> usize {
        self.0.lock().unwrap().most_running
    }
}

/// Returns how many of the keys memory has, without loading.
pub(crate) async fn held(ns: &Namespace, keys: impl IntoIterator<Item = u32>) -> usize {
    let found = ns.get_many(keys.into_iter().map(|key| ROWS.key(&key))).await;
    found.into_iter().flatten().count()
}
