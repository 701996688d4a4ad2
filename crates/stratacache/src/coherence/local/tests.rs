use stratacache_testkit::{conformance, tiers::MemoryTier};

use super::*;

fn start(journal: &MemoryTier) -> LocalCoordinator {
    LocalCoordinator::with_journal(Arc::new(journal.journal()), Rules::ALL).expect("the journal works")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_local_coordinator_passes_every_clause() {
    conformance::coordinator(async || LocalCoordinator::new(Rules::ALL).expect("there are random bytes")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_local_coordinator_with_a_journal_passes_every_clause() {
    conformance::coordinator(async || start(&MemoryTier::new("below").persistent(true))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_local_coordinator_passes_every_clause_when_it_takes_up_an_old_history() {
    let below = MemoryTier::new("below").persistent(true);
    conformance::coordinator(async || start(&below)).await;
}
