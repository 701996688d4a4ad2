//! One refresh among nodes, and what ends it. DESIGN 4 (`refresh_ahead`, `stale_while_revalidate`, `lease`).

use std::convert::Infallible;

use stratacache::{Consistency, Keyspace, Policy, millis, minutes, seconds};
use stratacache_testkit::shared::{At, SharedStore, Step};
use tokio::time::sleep;

use crate::{
    kit::{ALL, PLAIN, POLICY, Peer, Row, Source, spawn},
    support::settle,
};

/// Refreshed after five minutes of ten.
const AHEAD: Row = Keyspace::new("ahead", Policy::ttl(minutes(10)).jitter(0.0).refresh_ahead(0.5));
/// Stale after five minutes, and served for half an hour more.
const STALE: Row = Keyspace::new("stale", Policy::ttl(minutes(5)).jitter(0.0).stale_while_revalidate(minutes(30)));
const PATIENT: Row = Keyspace::new("patient", POLICY.load_timeout(minutes(30)));

const INHERIT: Consistency = Consistency::Inherit;

/// Three nodes that hold version 1 in memory, six minutes later.
async fn due(row: &'static Row) -> (SharedStore, Source, [Peer; 3]) {
    let (store, source) = (SharedStore::new(1), Source::new());
    let peers = [Peer::new(&store).await, Peer::new(&store).await, Peer::new(&store).await];
    for peer in &peers {
        assert_eq!(peer.read_as(row, &source, INHERIT).await, 1);
        settle().await;
    }
    assert_eq!(source.loads(), 1);
    sleep(minutes(6)).await;
    (store, source, peers)
}

/// Reads on every node; nobody waits for a load.
async fn read_all(row: &'static Row, source: &Source, peers: &[Peer]) -> Vec<usize> {
    let mut versions = Vec::new();
    for peer in peers {
        versions.push(peer.read_as(row, source, INHERIT).await);
        settle().await;
    }
    versions
}

#[tokio::test(start_paused = true)]
async fn of_three_nodes_that_read_a_key_which_is_due_one_refreshes_it_for_all() {
    for row in [&AHEAD, &STALE] {
        let (_store, source, peers) = due(row).await;
        source.write();
        source.stop(1);
        for _ in 0..10 {
            assert_eq!(read_all(row, &source, &peers).await, [1, 1, 1], "what they have serves meanwhile");
            sleep(millis(1_000)).await;
        }
        assert_eq!((source.stopped(), source.loads()), (1, 2), "one of them loads");
        source.go();
        settle().await;
        sleep(seconds(1)).await;
        read_all(row, &source, &peers).await; // they look again, behind the reader
        assert_eq!(read_all(row, &source, &peers).await, [2, 2, 2], "and take over what the one has brought");
        assert_eq!(source.loads(), 2);
        let stats = peers.each_ref().map(|peer| peer.ns().stats().loads);
        assert_eq!(stats.iter().sum::<u64>(), 2, "{stats:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_look_again_for_a_refresh_do_so_at_most_four_times_a_second() {
    let (_store, source, peers) = due(&AHEAD).await;
    source.stop(1);
    peers[0].read_as(&AHEAD, &source, INHERIT).await;
    source.until_stopped(1).await;
    let before = peers[1].calls();
    for _ in 0..1_000 {
        peers[1].read_as(&AHEAD, &source, INHERIT).await;
        settle().await;
        sleep(millis(10)).await;
    }
    let [_, gets, take, leases, ..] = peers[1].calls().since(before);
    assert!((10..=41).contains(&gets) && gets == leases && take == 0, "in 10 s: {gets} GET, {leases} LEASE");
    source.go();
}

#[tokio::test(start_paused = true)]
async fn when_the_node_that_refreshes_goes_away_another_takes_over_after_its_lease() {
    let (store, source, peers) = due(&AHEAD).await;
    source.write();
    source.stop(1);
    peers[0].read_as(&AHEAD, &source, INHERIT).await;
    source.until_stopped(1).await;
    sleep(seconds(20)).await;
    read_all(&AHEAD, &source, &peers[1..]).await;
    assert_eq!(source.loads(), 2, "its lease is renewed");
    peers[0].node.away(true);
    source.write();
    let mut waited = 0;
    while source.loads() < 3 {
        assert!(waited < 20, "the lease ends after 3 s");
        sleep(millis(250)).await;
        waited += 1;
        read_all(&AHEAD, &source, &peers[1..]).await;
    }
    assert!(waited >= 7, "not before: the last renewal was at most a second ago");
    sleep(seconds(1)).await;
    read_all(&AHEAD, &source, &peers[1..]).await;
    assert_eq!(read_all(&AHEAD, &source, &peers[1..]).await, [3, 3]);
    assert_eq!(source.loads(), 3, "one of the two");
    peers[0].node.away(false);
    source.go();
    settle().await;
    assert_eq!(Peer::new(&store).await.read_as(&AHEAD, &source, INHERIT).await, 3, "its late fill was refused");
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_during_a_refresh_wins_on_every_node() {
    for row in [&AHEAD, &STALE] {
        for how in ALL {
            let (store, source, peers) = due(row).await;
            source.stop(1);
            peers[0].read_as(row, &source, INHERIT).await;
            source.until_stopped(1).await;
            read_all(row, &source, &peers[1..]).await;
            how.change(&peers[1], row, &source).await;
            source.go();
            settle().await;
            for peer in peers.iter().chain([&Peer::new(&store).await]) {
                assert_eq!(peer.read_as(row, &source, Consistency::Latest).await, 2, "{how:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_at_any_call_of_a_node_that_takes_over_a_refresh_wins() {
    for how in ALL {
        for (step, at) in
            [(Step::Get, At::Late), (Step::Get, At::After), (Step::Lease, At::Late), (Step::Lease, At::After)]
        {
            let (store, source, peers) = due(&AHEAD).await;
            let [here, there, third] = &peers;
            there.read_as(&AHEAD, &source, INHERIT).await; // it has refreshed, and the others have not seen it
            settle().await;
            let hold = here.node.hold(step, at).only(1);
            here.read_as(&AHEAD, &source, INHERIT).await;
            settle().await;
            how.change(third, &AHEAD, &source).await;
            hold.release();
            settle().await;
            for peer in peers.iter().chain([&Peer::new(&store).await]) {
                assert_eq!(peer.read_as(&AHEAD, &source, Consistency::Latest).await, 2, "{how:?} {step:?} {at:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_ask_refreshes_for_its_own_memory() {
    let (store, source, peers) = due(&AHEAD).await;
    source.write();
    let before = store.entries();
    peers[0].node.lose_reply_of(Step::Lease, 1);
    peers[0].read_as(&AHEAD, &source, INHERIT).await;
    settle().await;
    assert_eq!(peers[0].read_as(&AHEAD, &source, INHERIT).await, 2);
    assert_eq!((source.loads(), store.entries()), (2, before));
}

#[tokio::test(start_paused = true)]
async fn a_forced_load_keeps_its_lease_as_long_as_it_runs_and_no_longer_than_its_node() {
    let store = SharedStore::new(1);
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    let source = Source::new();
    let forced = |peer: &Peer| {
        let (ns, source) = (peer.ns(), source.clone());
        spawn(async move {
            let load = async move || Ok::<_, Infallible>(source.load().await);
            *ns.refresh(PATIENT.key(&1), load).await.unwrap()
        })
    };
    source.stop(1);
    let leader = forced(&here);
    source.until_stopped(1).await;
    sleep(minutes(2)).await;
    assert!(here.node.calls(Step::Renew) > 100, "{}", here.node.calls(Step::Renew));
    source.go();
    assert_eq!(leader.await.unwrap(), 1);
    settle().await;
    assert_eq!(store.entries().len(), 1, "after two minutes it may still store");
    source.stop(1);
    let _hangs = forced(&here);
    source.until_stopped(1).await;
    here.node.away(true);
    source.write();
    sleep(seconds(4)).await;
    there.acme().invalidate_tag("t").await.unwrap();
    assert_eq!(there.read_as(&PATIENT, &source, Consistency::Latest).await, 2);
    settle().await;
    assert_eq!(Peer::new(&store).await.read_as(&PATIENT, &source, INHERIT).await, 2);
    assert_eq!(source.loads(), 3, "4 s after its node went away others store again");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_goes_away_within_an_insert_keeps_the_others_from_storing_for_a_few_seconds() {
    for step in [Step::Take, Step::Invalidate, Step::Fill] {
        let store = SharedStore::new(1);
        let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
        let source = Source::new();
        let at = if step == Step::Fill { At::Before } else { At::After };
        let hold = here.node.hold(step, at).only(1);
        let _insert = spawn({
            let ns = here.ns();
            async move { ns.insert(PLAIN.key(&1), 1).await }
        });
        hold.until_held(1).await;
        here.node.away(true);
        sleep(millis(5_500)).await;
        assert_eq!(there.read(&source).await, 1, "{step:?}");
        settle().await;
        assert_eq!((store.entries().len(), source.loads()), (1, 1), "{step:?}: loaded, and stored for all");
    }
}

/// A value past its ttl stands in for a load that failed, and for none that another node is about.
#[tokio::test(start_paused = true)]
async fn while_another_node_refreshes_a_value_whose_ttl_has_passed_does_not_stand_in_for_a_load_that_did_not_fail() {
    const ERRORS: Row = Keyspace::new(
        "errors",
        Policy::ttl(minutes(10)).jitter(0.0).refresh_ahead(0.5).stale_if_error(minutes(30)).load_timeout(minutes(30)),
    );
    let (_store, source, peers) = due(&ERRORS).await;
    source.write();
    source.stop(1);
    peers[0].read_as(&ERRORS, &source, INHERIT).await;
    source.until_stopped(1).await;
    sleep(millis(239_900)).await;
    assert_eq!(peers[1].read_as(&ERRORS, &source, INHERIT).await, 1, "a tenth of a second before its end");
    settle().await;
    sleep(millis(150)).await;
    let waiting = spawn({
        let (peer, source) = (peers[1].clone(), source.clone());
        async move { peer.read_as(&ERRORS, &source, INHERIT).await }
    });
    settle().await;
    assert!(!waiting.is_finished(), "it waits for the other node");
    source.go();
    assert_eq!(waiting.await.unwrap(), 2);
    assert_eq!(source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_does_not_promote_takes_over_what_another_node_has_refreshed() {
    const BELOW: Row = Keyspace::new("below", Policy::ttl(minutes(10)).jitter(0.0).refresh_ahead(0.5).promote(false));
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    // each holds what it loaded itself
    assert_eq!(here.read_as(&BELOW, &source, INHERIT).await, 1);
    settle().await;
    there.ns().refresh(BELOW.key(&1), async || Ok::<_, Infallible>(1)).await.unwrap();
    settle().await;
    sleep(minutes(6)).await;
    source.write();
    for peer in [&there, &here] {
        peer.read_as(&BELOW, &source, INHERIT).await;
        settle().await;
    }
    let before = here.calls();
    for _ in 0..10 {
        assert_eq!(here.read_as(&BELOW, &source, INHERIT).await, 2);
        settle().await;
    }
    assert_eq!(here.calls().since(before), [0; 9], "it is in memory, and not due");
}
