//! The object tier keeps every clause of the contract of tiers, on every store.
#![allow(clippy::unwrap_used)] // everything here is a test

mod common;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use common::{BUCKET, on};
use stratacache_core::tier::TierParts;
use stratacache_object::Object;
use stratacache_testkit::{
    conformance,
    s3::{HttpFault, HttpProxy, Moto, Requests, S3Server, Times},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_directory_passes_every_clause() {
    let dir = tempfile::tempdir().unwrap();
    let stores = AtomicUsize::new(0);
    conformance::tier(async || {
        let path = dir.path().join(stores.fetch_add(1, Ordering::Relaxed).to_string());
        let object = Object::directory(path).open().await.unwrap();
        assert!(object.creates());
        TierParts::from(object).tier
    })
    .await;
    assert!(stores.into_inner() > 20, "each clause has a store of its own");
}

#[tokio::test]
async fn a_directory_keeps_entries_and_removals_over_a_close() {
    let dir = tempfile::tempdir().unwrap();
    let open = async || TierParts::from(Object::directory(dir.path().join("store")).open().await.unwrap()).tier;
    conformance::tier::what_was_stored_is_there_after_reopening(open).await;
}

/// Runs every clause on a bucket, each under a prefix of its own.
async fn passes_every_clause(url: &str) {
    let stores = AtomicUsize::new(0);
    // a thousand objects on a busy machine are no matter of two seconds
    let patient = |prefix: &str| on(url, prefix).deadline(Duration::from_secs(60));
    conformance::tier(async || {
        let prefix = format!("store/{}", stores.fetch_add(1, Ordering::Relaxed));
        let object = patient(&prefix).open().await.unwrap();
        assert!(object.creates());
        TierParts::from(object).tier
    })
    .await;
    assert!(stores.into_inner() > 20, "each clause has a store of its own");
    let reopened = async || TierParts::from(patient("again").open().await.unwrap()).tier;
    conformance::tier::what_was_stored_is_there_after_reopening(reopened).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3_in_process_passes_every_clause() {
    let server = S3Server::start(&[BUCKET]).await.unwrap();
    passes_every_clause(&server.url()).await;
    assert!(server.keys(BUCKET).unwrap().iter().all(|key| !key.contains("probe")), "probes are removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moto_passes_every_clause() {
    let server = Moto::start(&[BUCKET]).await.unwrap();
    passes_every_clause(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tier_ends_what_hangs_and_refuses_what_follows() {
    let server = S3Server::start(&[BUCKET]).await.unwrap();
    let proxy = HttpProxy::start(server.addr(), 42).await.unwrap();
    let open = async || {
        let window = Duration::from_secs(3600);
        let object = on(&proxy.url(), "cache").deadline(Duration::from_secs(5)).breaker_window(window);
        TierParts::from(object.open().await.unwrap()).tier
    };
    conformance::tier::a_tier_that_guards_itself_ends_what_hangs_and_refuses_what_follows(open, async || {
        proxy.fail(Requests::all(), HttpFault::Hang, Times::Always);
    })
    .await;
}
