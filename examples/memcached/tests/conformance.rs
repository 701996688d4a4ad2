//! The tier keeps every clause of the contract of tiers, on a real server.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use memcached_tier::Memcached;
use stratacache::tier::Tier as _;
use stratacache_testkit::conformance;
use support::Server;

async fn every_clause_on(server: &Server) {
    let stores = AtomicUsize::new(0);
    // a prefix of its own is a store of its own
    let open = async || {
        let prefix = format!("store-{}:", stores.fetch_add(1, Ordering::Relaxed));
        server.tier(&prefix).connect().await.expect("there is a server")
    };
    conformance::tier(open).await;
    assert!(stores.into_inner() > 20, "each clause has a store of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memcached_passes_every_clause() {
    every_clause_on(&Server::start(&[])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memcached_with_larger_items_passes_every_clause() {
    let server = Server::start(&["-I", "4m"]);
    let tier = server.tier("").connect().await.expect("there is a server");
    assert!(tier.capability().max_weight > 1 << 20, "the limit is the server's");
    every_clause_on(&server).await;
}

#[tokio::test]
async fn memcached_keeps_entries_and_removals_over_a_close() {
    let server = Server::start(&[]);
    let open = async || -> Memcached { server.tier("again:").connect().await.expect("there is a server") };
    conformance::tier::what_was_stored_is_there_after_reopening(open).await;
}
