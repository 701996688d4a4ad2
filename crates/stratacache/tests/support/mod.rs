//! What the tests of the facade share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses some of it

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use stratacache::{Cache, CacheBuilder, Cached, Namespace, TenantId};
use stratacache_testkit::clock::SimulatedClock;

/// A cache on simulated time, without jitter surprises: the seed is fixed.
pub fn builder() -> CacheBuilder {
    Cache::builder().clock(SimulatedClock::new()).seed(7)
}

pub async fn cache() -> Cache {
    builder().build().await.unwrap()
}

pub fn tenant(cache: &Cache, name: &str) -> Namespace {
    cache.tenant(&TenantId::parse(name).unwrap())
}

/// Counts the runs of a loader.
#[derive(Clone, Default)]
pub struct Loads(Arc<AtomicUsize>);

impl Loads {
    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// Returns the number of this run, from 1.
    pub fn next(&self) -> usize {
        self.0.fetch_add(1, SeqCst) + 1
    }
}

/// Reads a number through; the loader returns how often it has run.
pub async fn read(ns: &Namespace, key: &str, loads: &Loads) -> usize {
    let loads = loads.clone();
    let found: Cached<usize> =
        ns.get_or_load(key, async move || Ok::<_, Infallible>(loads.next())).await.expect("the loader cannot fail");
    *found
}

/// As [`read`], with a load that takes a while.
pub async fn read_slowly(ns: &Namespace, key: &str, loads: &Loads, takes: Duration) -> usize {
    let loads = loads.clone();
    let found: Cached<usize> = ns
        .get_or_load(key, async move || {
            let n = loads.next();
            tokio::time::sleep(takes).await;
            Ok::<_, Infallible>(n)
        })
        .await
        .expect("the loader cannot fail");
    *found
}

/// Lets every task run that can.
pub async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Bytes that no compression makes smaller.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(byte).take(length).collect()
}
