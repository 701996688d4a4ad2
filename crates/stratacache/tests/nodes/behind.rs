//! Writes behind into a tier with leases.

use stratacache::{Consistency, Key, minutes};
use stratacache_testkit::shared::{At, SharedStore, Step};
use tokio::time::{Instant, advance};

use crate::{
    kit::{LATER, Peer, Source, spawn},
    support::settle,
};

/// Stops the queue of a node: a write hangs in the store. The deadline of the tier ends it after 250 ms.
async fn plug(peer: &Peer) -> stratacache_testkit::shared::Hold {
    let hold = peer.node.hold(Step::Fill, At::Before).only(1);
    peer.acme().insert("plug", 0_usize).policy(*LATER.policy()).await.unwrap();
    hold.until_held(1).await;
    hold
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_lease_gets_the_value_when_it_is_written() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    let hold = plug(&here).await;
    assert_eq!(here.read_as(&LATER, &source, Consistency::Inherit).await, 1);
    let waiting = spawn({
        let (there, source) = (there.clone(), source.clone());
        async move { there.read_as(&LATER, &source, Consistency::Inherit).await }
    });
    settle().await;
    assert!(!waiting.is_finished() && store.entries().is_empty(), "the value is on its way");
    hold.release();
    assert_eq!(waiting.await.unwrap(), 1);
    assert_eq!(source.loads(), 1, "one load for both nodes");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_lease_ended_while_it_waited_is_not_made() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let here =
        Peer::with(&store, |node, builder| builder.tier(node.parts()).tier_deadline("shared", minutes(10))).await;
    let hold = plug(&here).await;
    assert_eq!(here.read_as(&LATER, &source, Consistency::Inherit).await, 1);
    settle().await;
    assert_eq!(here.cache.stats().tiers[1].writes_waiting, 1);
    advance(minutes(2)).await; // longer than the leases live
    hold.release();
    settle().await;
    assert!(store.entries().is_empty());
    let stats = here.cache.stats().tiers[1].clone();
    assert_eq!((stats.writes_waiting, stats.fenced), (0, 2), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_lost_gives_its_lease_back_so_that_nobody_waits_for_it() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let small = async || Peer::with(&store, |node, builder| builder.tier(node.parts()).queued_writes(1 << 16)).await;
    let (here, there) = (small().await, small().await);
    let hold = plug(&here).await;
    assert_eq!(here.read_as(&LATER, &source, Consistency::Inherit).await, 1);
    settle().await;
    assert_eq!(here.cache.stats().tiers[1].writes_waiting, 1);
    for n in 0..10 {
        let noise = crate::support::noise(10 << 10);
        here.acme().insert(Key::new(("large", n)), noise).policy(*LATER.policy()).await.unwrap();
    }
    settle().await;
    assert!(here.cache.stats().tiers[1].writes_lost > 0);
    let began = Instant::now();
    assert_eq!(there.read_as(&LATER, &source, Consistency::Inherit).await, 1);
    assert!(began.elapsed() < stratacache::seconds(1), "it does not wait until the lease ends: {:?}", began.elapsed());
    assert_eq!(source.loads(), 2);
    hold.release();
}

/// The rights of lost writes are given back behind, too.
#[tokio::test(start_paused = true)]
async fn nobody_waits_until_the_leases_of_lost_writes_are_given_back() {
    let store = SharedStore::new(1);
    let here = Peer::with(&store, |node, builder| builder.tier(node.parts()).queued_writes(1 << 16)).await;
    let hold = plug(&here).await;
    let releases = here.node.hold(Step::Release, At::Before);
    let began = Instant::now();
    for n in 0..20 {
        let noise = crate::support::noise(10 << 10);
        here.acme().insert(Key::new(("large", n)), noise).policy(*LATER.policy()).await.unwrap();
    }
    assert_eq!(began.elapsed(), stratacache::millis(0));
    assert!(here.cache.stats().tiers[1].writes_lost > 0);
    releases.until_held(1).await;
    releases.release();
    hold.release();
    for _ in 0..4 {
        settle().await;
    }
    assert!(store.entries().iter().all(|name| !store.is_leased(*name)));
    let stats = here.cache.stats().tiers[1].clone();
    assert_eq!((stats.writes_waiting, here.node.calls(Step::Release)), (0, stats.writes_lost), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_node_wrote_behind_is_stored_under_its_lease_and_found_by_the_others() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    assert_eq!(here.read_as(&LATER, &source, Consistency::Inherit).await, 1);
    here.ns().insert(LATER.key(&2), 7).await.unwrap();
    settle().await;
    assert_eq!(store.entries().len(), 2);
    assert!(store.entries().iter().all(|name| !store.is_leased(*name)), "the leases have ended");
    assert_eq!(there.read_as(&LATER, &source, Consistency::Latest).await, 1);
    assert_eq!(there.ns().get(LATER.key(&2)).consistency(Consistency::Latest).await.as_deref(), Some(&7));
    assert_eq!(source.loads(), 1);
}
