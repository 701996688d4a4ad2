use stratacache_core::tier::AnyTier;

use super::SharedStore;
use crate::conformance;

#[tokio::test(start_paused = true)]
async fn the_tier_and_the_coordinator_pass_every_clause_on_one_thread() {
    conformance::tier(async || SharedStore::new(1).node().tier()).await;
    conformance::coordinator(async || SharedStore::new(1).node().coordinator()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tier_and_the_coordinator_pass_every_clause_on_real_threads() {
    let store = SharedStore::new(2);
    conformance::tier(async || AnyTier::new(SharedStore::new(2).node().tier())).await;
    conformance::coordinator(async || SharedStore::new(2).node().coordinator()).await;
    drop(store);
}
