use super::{
    coordinator,
    tier_tests::complaint,
    toy_coordinator::{Flaw, Toy},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_right_coordinator_passes_every_clause() {
    coordinator(async || Toy::new(Flaw::None)).await;
}

#[test]
fn the_clauses_name_what_a_wrong_coordinator_breaks() {
    for (flaw, sentence) in [
        (Flaw::Skips, "are dense"),
        (Flaw::SharesOneCounter, "are dense"),
        (Flaw::AppliesLate, "has applied everything up to its position"),
        (Flaw::ForgetsTheGlobalLane, "lane 16 has its snapshot"),
        (Flaw::SplitsScopes, "are dense"),
        (Flaw::ForgetsToClose, "invalidate after close fails with Closed"),
        (Flaw::LosesLeases, "a lease that is held can be renewed"),
    ] {
        let said = complaint(coordinator(async || Toy::new(flaw)));
        assert!(said.contains(sentence), "expected `{sentence}`, the clause said `{said}`");
    }
}

#[test]
fn a_coordinator_that_applies_outside_its_lock_is_caught_on_real_threads() {
    let said = (0..50).find_map(|_| {
        let clause = coordinator::concurrent_invalidations_are_applied_in_order_one_at_a_time(async || {
            Toy::new(Flaw::AppliesOutsideTheLock)
        });
        Some(complaint(clause)).filter(|said| !said.is_empty())
    });
    let said = said.expect("one of 50 runs notices");
    assert!(said.contains("one at a time") || said.contains("dense") || said.contains("has applied it"), "{said}");
}
