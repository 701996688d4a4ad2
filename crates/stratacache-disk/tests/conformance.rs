//! The disk tier keeps every clause of the contract of tiers.
#![allow(clippy::unwrap_used)] // everything here is a test

use std::sync::atomic::{AtomicUsize, Ordering};

use stratacache_core::tier::TierParts;
use stratacache_disk::Disk;
use stratacache_testkit::conformance;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_disk_tier_passes_every_clause() {
    let dir = tempfile::tempdir().unwrap();
    let stores = AtomicUsize::new(0);
    conformance::tier(async || {
        let path = dir.path().join(stores.fetch_add(1, Ordering::Relaxed).to_string());
        TierParts::from(Disk::builder(path).capacity(64 << 20).open().await.unwrap()).tier
    })
    .await;
    assert!(stores.into_inner() > 20, "each clause has a store of its own");
}

#[tokio::test]
async fn the_disk_tier_passes_every_clause_on_one_thread_and_when_every_removal_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let stores = AtomicUsize::new(0);
    conformance::tier(async || {
        let path = dir.path().join(stores.fetch_add(1, Ordering::Relaxed).to_string());
        let disk = Disk::builder(path).capacity(64 << 20).durable_invalidations(true).open().await.unwrap();
        TierParts::from(disk).tier
    })
    .await;
}

#[tokio::test]
async fn the_disk_tier_keeps_entries_and_removals_over_a_close() {
    let dir = tempfile::tempdir().unwrap();
    let open = async || TierParts::from(Disk::open(dir.path().join("store")).await.unwrap()).tier;
    conformance::tier::what_was_stored_is_there_after_reopening(open).await;
}
