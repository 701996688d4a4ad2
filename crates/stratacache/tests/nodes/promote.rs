//! A tier below the shared one: memory, leases, then what holds much and gives no fences.

use stratacache::{Consistency, Tiers, WriteMode};
use stratacache_testkit::{
    shared::{At, SharedStore, Step},
    tiers::MemoryTier,
};

use crate::{
    kit::{ALL, LATER, PLAIN, POLICY, Peer, Row, Source, Stop, spawn},
    ops::Op,
    support::settle,
};

fn far() -> MemoryTier {
    MemoryTier::unfenced("far").persistent(true)
}

async fn over(store: &SharedStore, far: &MemoryTier) -> Peer {
    Peer::with(store, |node, builder| builder.tier(node.parts()).tier(far.clone())).await
}

/// Both nodes start anew, and only the far tier has the row.
async fn only_far(source: &Source) -> (SharedStore, MemoryTier, Peer, Peer) {
    let (store, far) = (SharedStore::new(1), far());
    let before = over(&store, &far).await;
    before.read(source).await;
    settle().await;
    before.cache.close().await.unwrap();
    store.fail_over_data();
    assert!(store.entries().is_empty() && far.names().len() == 1);
    let (here, there) = (over(&store, &far).await, over(&store, &far).await);
    (store, far, here, there)
}

/// DESIGN 5.3 (BELOW, WRITES): promotion into the tier with leases is a fill under one.
#[tokio::test(start_paused = true)]
async fn a_hit_far_below_fills_the_tier_with_leases_and_leaves_no_lease_behind() {
    for by_get in [false, true] {
        let source = Source::new();
        let (store, far, here, there) = only_far(&source).await;
        if by_get {
            assert_eq!(here.get(Consistency::Latest).await, Some(1));
        } else {
            assert_eq!(here.latest(&source).await, 1);
        }
        settle().await;
        let names = store.entries();
        assert_eq!(names.len(), 1, "by get {by_get}");
        assert!(!store.is_leased(names[0]));
        let reads = far.reads();
        assert_eq!(there.latest(&source).await, 1);
        assert_eq!((far.reads(), source.loads()), (reads, 1), "the other node finds it in the shared tier");
    }
}

const HEAVY: Row = Row::new("heavy", POLICY.tier_max_weight("shared", 1));

#[tokio::test(start_paused = true)]
async fn no_lease_is_taken_for_what_is_too_heavy_for_the_tier_with_leases() {
    let (store, far, source) = (SharedStore::new(1), far(), Source::new());
    let here = over(&store, &far).await;
    assert_eq!(here.read_as(&HEAVY, &source, Consistency::Inherit).await, 1);
    settle().await;
    assert_eq!((store.entries().len(), far.names().len()), (0, 1));
    let there = over(&store, &far).await;
    assert_eq!(there.read_as(&HEAVY, &source, Consistency::Inherit).await, 1);
    settle().await;
    let asked = [Step::Get, Step::Take, Step::Lease, Step::Fill].map(|step| there.node.calls(step));
    assert_eq!((asked, source.loads()), ([1, 0, 0, 0], 1), "it is read, and found in the far tier");
}

/// R3, R11: the promotion is stopped at each of its steps, all of the invalidation happens, and it goes on.
#[tokio::test(start_paused = true)]
async fn a_promotion_from_far_below_loses_against_what_another_node_invalidates_meanwhile() {
    for op in [Op::Promotion, Op::Get, Op::BulkPromotion] {
        for step in [Step::Get, Step::Take, Step::Fill] {
            for at in [At::Late, At::After] {
                for how in ALL {
                    for deaf in [false, true] {
                        let when = format!("{op:?} at {step:?} {at:?}, {how:?}, deaf {deaf}");
                        let source = Source::new();
                        let (store, far, here, there) = only_far(&source).await;
                        here.node.tail(!deaf);
                        let stopped = Stop::At(step, at).set(&here, &source);
                        let filling = spawn(op.run(here.clone(), source.clone()));
                        assert!(stopped.reached(&filling).await, "{when}: it never came there");
                        how.change(&there, &PLAIN, &source).await;
                        settle().await;
                        stopped.release();
                        filling.await.unwrap();
                        settle().await;
                        op.check_all(&[&here, &there], &store, &source, &when).await;
                        op.check(&over(&store, &far).await, &source, &format!("{when}: a new node over the same"))
                            .await;
                    }
                }
            }
        }
    }
}

/// What one node keeps from a tier is unusable there for all, once it is replaced.
#[tokio::test(start_paused = true)]
async fn an_insert_that_skips_a_tier_makes_what_that_tier_holds_unusable_on_every_node() {
    for skip in ["shared", "far"] {
        for mode in [WriteMode::Through, WriteMode::Behind] {
            let when = format!("{skip}, {mode:?}");
            let (store, far, source) = (SharedStore::new(1), far(), Source::new());
            let (here, there) = (over(&store, &far).await, over(&store, &far).await);
            there.read(&source).await;
            settle().await;
            assert_eq!((store.entries().len(), far.names().len()), (1, 1));
            let version = source.write();
            let ns = here.ns();
            let insert = ns.insert(PLAIN.key(&1), version).policy(POLICY.write(mode));
            insert.tiers(Tiers::all().skip(skip)).await.unwrap();
            settle().await;
            let (shared, in_far) = (store.entries().len(), far.names().len());
            assert_eq!((shared, in_far), if skip == "shared" { (0, 1) } else { (1, 0) }, "{when}");
            Op::Load.check_all(&[&here, &there], &store, &source, &when).await;
            Op::Load.check(&over(&store, &far).await, &source, &when).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_skips_the_tier_with_leases_asks_for_none_and_fills_the_other() {
    for (row, tiers, stored) in [
        (&PLAIN, Tiers::all().skip("shared"), (0, 1)),
        (&PLAIN, Tiers::all().read_only("shared"), (0, 1)),
        (&PLAIN, Tiers::all().write_only("shared"), (1, 1)),
        (&PLAIN, Tiers::all().skip("far"), (1, 0)),
        (&PLAIN, Tiers::memory_only(), (0, 0)),
        (&LATER, Tiers::all().write_only("shared").skip("far"), (1, 0)),
    ] {
        for many in [false, true] {
            let (store, far, source) = (SharedStore::new(1), far(), Source::new());
            let here = over(&store, &far).await;
            let load = source.clone();
            if many {
                let load = async move |ids: Vec<u32>| {
                    let version = load.load().await;
                    Ok::<_, std::io::Error>(ids.into_iter().map(|id| (id, version)).collect::<Vec<_>>())
                };
                assert_eq!(*here.ns().get_or_load_many(row, [1], load).tiers(tiers).await.unwrap()[&1], 1);
            } else {
                let load = async move || Ok::<_, std::io::Error>(load.load().await);
                assert_eq!(*here.ns().get_or_load(row.key(&1), load).tiers(tiers).await.unwrap(), 1);
            }
            settle().await;
            assert_eq!((store.entries().len(), far.names().len()), stored, "{tiers:?}, many {many}");
            let leases = here.node.calls(Step::Lease);
            let asks = tiers.reads("shared") && tiers.writes("shared") && !many;
            assert_eq!(leases, u64::from(asks), "{tiers:?}, many {many}");
            assert!(store.entries().iter().all(|name| !store.is_leased(*name)));
            if !tiers.reads("shared") {
                assert_eq!(here.node.calls(Step::Get), 0, "{tiers:?}: it is not looked into");
            }
        }
    }
}
