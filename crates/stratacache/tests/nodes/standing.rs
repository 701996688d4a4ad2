//! How new an answer is, and what a node does that cannot know. DESIGN 5.1 and 4 (`consistency`, `on_disconnect`).

use std::convert::Infallible;

use stratacache::{Consistency, ErrorKind, Keyspace, LoadError, OnDisconnect, Token, millis, minutes, seconds};
use stratacache_testkit::shared::{At, SharedStore, Step};
use tokio::time::{Instant, advance};

use crate::{
    kit::{ALL, How, PLAIN, POLICY, Peer, Row, Source, lane, spawn},
    support::settle,
};

const STALE: Row = Keyspace::new("stale", POLICY.on_disconnect(OnDisconnect::ServeStale(seconds(60))));
const FAIL: Row = Keyspace::new("fail", POLICY.on_disconnect(OnDisconnect::Fail));
const LOOSE: Row = Keyspace::new("loose", POLICY.consistency(Consistency::Bounded(minutes(1))));
const BOUND: Consistency = Consistency::Bounded(seconds(1));

async fn two() -> (SharedStore, Source, Peer, Peer) {
    let store = SharedStore::new(1);
    let (here, there) = (Peer::deaf(&store).await, Peer::new(&store).await);
    (store, Source::new(), here, there)
}

/// R14, R15: a message that never comes, and a connection that works: the bound is kept by asking.
#[tokio::test(start_paused = true)]
async fn a_bounded_read_is_never_further_behind_than_its_bound() {
    for how in ALL {
        let (_store, source, here, there) = two().await;
        here.read(&source).await;
        settle().await;
        how.change(&there, &PLAIN, &source).await;
        advance(millis(1_000)).await;
        assert_eq!(here.read_as(&PLAIN, &source, BOUND).await, 1, "{how:?}: within");
        assert_eq!(here.node.syncs(), 0);
        advance(millis(1)).await;
        assert_eq!(here.read_as(&PLAIN, &source, BOUND).await, 2, "{how:?}: beyond");
    }
}

/// R15, R36: a node that cannot ask does not serve what it held, nor what is below.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_serves_nothing_older_than_the_bound() {
    for how in ALL {
        let (_store, source, here, there) = two().await;
        here.read(&source).await;
        settle().await;
        here.node.away(true);
        how.change(&there, &PLAIN, &source).await;
        advance(millis(1_000)).await;
        assert_eq!(here.read(&source).await, 1, "{how:?}: within");
        advance(millis(1)).await;
        assert_eq!(here.get(Consistency::Inherit).await, None, "{how:?}: a read without a loader misses");
        assert_eq!(here.read(&source).await, 2, "{how:?}");
        // what it loaded itself is served until the bound has passed since the load began
        source.write();
        advance(millis(999)).await;
        assert_eq!(here.read(&source).await, 2, "{how:?}");
        assert_eq!(here.get(Consistency::Inherit).await, Some(2), "{how:?}");
        advance(millis(2)).await;
        assert_eq!(here.read(&source).await, 3, "{how:?}");
    }
}

/// 0008 (`BypassFromStart`): the bound counts from the beginning of the load, not from its end.
#[tokio::test(start_paused = true)]
async fn what_is_loaded_while_cut_off_is_as_old_as_the_beginning_of_its_load() {
    let (_store, source, here, there) = two().await;
    advance(seconds(2)).await;
    here.node.away(true);
    source.stop(1);
    let slow = spawn({
        let (here, source) = (here.clone(), source.clone());
        async move { here.read(&source).await }
    });
    source.until_stopped(1).await;
    How::Tag.change(&there, &PLAIN, &source).await;
    advance(millis(800)).await;
    source.go();
    assert_eq!(slow.await.unwrap(), 1);
    advance(millis(199)).await;
    assert_eq!(here.read(&source).await, 1, "999 ms after its load began, and after the change");
    advance(millis(2)).await;
    assert_eq!(here.read(&source).await, 2);
}

/// The same for loads that others wait for: `Bounded` shares those that began within the bound, `Latest` those after it.
#[tokio::test(start_paused = true)]
async fn loads_while_cut_off_are_shared_by_those_for_whom_they_are_new_enough() {
    for (how_new, pause, shared) in [
        (BOUND, 0, true),
        (BOUND, 999, true),
        (BOUND, 1_001, false),
        (Consistency::Latest, 1, false),
        (Consistency::Latest, 0, false),
    ] {
        let (_store, source, here, there) = two().await;
        advance(seconds(2)).await;
        here.node.away(true);
        let read = |how_new| {
            let (here, source) = (here.clone(), source.clone());
            spawn(async move { here.read_as(&PLAIN, &source, how_new).await })
        };
        source.stop(1);
        let first = read(BOUND);
        source.until_stopped(1).await;
        How::Tag.change(&there, &PLAIN, &source).await;
        advance(millis(pause)).await;
        let second = read(how_new);
        settle().await;
        assert_eq!(source.loads(), if shared { 1 } else { 2 }, "{how_new:?} after {pause} ms");
        source.go();
        assert_eq!(first.await.unwrap(), 1);
        assert_eq!(second.await.unwrap(), if shared { 1 } else { 2 }, "{how_new:?} after {pause} ms");
    }
}

/// The guarantee for `Latest` while the node is cut off: memory has nothing that is new enough by its time alone.
#[tokio::test(start_paused = true)]
async fn a_read_of_the_latest_while_cut_off_is_never_answered_by_a_load_that_began_before_it() {
    let (_store, source, here, there) = two().await;
    here.node.away(true);
    assert_eq!(here.latest(&source).await, 1);
    How::Tag.change(&there, &PLAIN, &source).await;
    // in the same millisecond
    assert_eq!(here.get(Consistency::Latest).await, None);
    assert_eq!(here.latest(&source).await, 2);
}

/// A flight that began within the bound may still have found something old below, where others could judge it.
#[tokio::test(start_paused = true)]
async fn a_reader_that_is_cut_off_never_takes_what_another_readers_flight_found_below() {
    for bulk in [false, true] {
        let (_store, source, here, there) = two().await;
        there.read(&source).await; // below, and not in the memory of this node
        settle().await;
        here.ns().get(PLAIN.key(&77)).consistency(Consistency::Latest).await; // up to date now
        How::Tag.change(&there, &PLAIN, &source).await;
        advance(millis(1_000)).await;
        // still within its bound: it looks below, and its answer is on the way
        let hold = here.node.hold(Step::Get, At::After);
        let first = spawn({
            let (here, source) = (here.clone(), source.clone());
            async move { here.read(&source).await }
        });
        hold.until_held(1).await;
        here.node.away(true);
        advance(millis(1)).await;
        let second = spawn({
            let (here, source) = (here.clone(), source.clone());
            async move {
                if !bulk {
                    return here.read(&source).await;
                }
                let load = async move |ids: Vec<u32>| {
                    let version = source.load().await;
                    Ok::<_, Infallible>(ids.into_iter().map(|id| (id, version)).collect::<Vec<_>>())
                };
                *here.ns().get_or_load_many(&PLAIN, [1], load).await.unwrap()[&1]
            }
        });
        settle().await;
        hold.release();
        first.await.unwrap();
        assert_eq!(second.await.unwrap(), 2, "bulk {bulk}: invalidated 1,001 ms before it began");
    }
}

/// R15 with `max_loads`: a cut-off node does not run over its source.
#[tokio::test(start_paused = true)]
async fn loads_while_cut_off_stay_within_max_loads_and_their_results_are_usable() {
    let store = SharedStore::new(1);
    let here = Peer::with(&store, |node, builder| builder.tier(node.parts()).max_loads(2).max_waiters(3)).await;
    let source = Source::new();
    advance(seconds(2)).await;
    here.node.away(true);
    source.stop(10);
    let readers: Vec<_> = (0..8)
        .map(|key| {
            let (ns, source) = (here.ns(), source.clone());
            spawn(async move {
                let load = async move || Ok::<_, Infallible>(source.load().await);
                ns.get_or_load(PLAIN.key(&key), load).await.map(|version| *version)
            })
        })
        .collect();
    settle().await;
    assert_eq!(source.loads(), 2);
    source.go();
    let mut results = Vec::new();
    for reader in readers {
        results.push(reader.await.unwrap());
    }
    assert_eq!(results.iter().filter(|one| matches!(one, Ok(1))).count(), 3);
    assert_eq!(results.iter().filter(|one| matches!(one, Err(LoadError::Overloaded))).count(), 5);
    assert_eq!(source.loads(), 3);
    assert_eq!(here.node.calls(Step::Get) + here.node.calls(Step::Lease) + here.node.calls(Step::Fill), 0);
}

/// R14, R35: when the lane is back, neither what was held before nor what was loaded meanwhile is served over a mark.
#[tokio::test(start_paused = true)]
async fn nothing_old_is_served_after_the_lane_is_back() {
    for how in ALL {
        for trimmed in [false, true] {
            for loaded_before in [false, true] {
                let (store, source, here, there) = two().await;
                here.node.tail(true);
                here.read(&source).await;
                settle().await;
                here.node.away(true);
                advance(seconds(2)).await;
                if loaded_before {
                    here.read(&source).await; // while it is cut off
                }
                how.change(&there, &PLAIN, &source).await;
                if trimmed {
                    store.trim_streams();
                }
                assert!(how.tell(&here, &PLAIN, &source).await.is_err(), "R35: never Ok while it cannot be announced");
                here.node.away(false);
                settle().await;
                advance(seconds(2)).await;
                assert_eq!(here.read(&source).await, 2, "{how:?}, trimmed {trimmed}, before {loaded_before}");
                assert_eq!(there.latest(&source).await, 2);
            }
        }
    }
}

/// DESIGN 4: `ServeStale` answers from memory up to its limit, then bypasses.
#[tokio::test(start_paused = true)]
async fn serve_stale_serves_what_memory_holds_up_to_its_limit_and_then_bypasses() {
    let (_store, source, here, there) = two().await;
    here.read_as(&STALE, &source, Consistency::Inherit).await;
    settle().await;
    here.node.away(true);
    How::Tag.change(&there, &STALE, &source).await;
    for passed in [2_000, 50_000, 8_000] {
        advance(millis(passed)).await;
        assert_eq!(here.read_as(&STALE, &source, Consistency::Inherit).await, 1);
        assert_eq!(here.ns().get(STALE.key(&1)).await.map(|version| *version), Some(1));
    }
    advance(millis(1)).await;
    assert!(here.ns().get(STALE.key(&1)).await.is_none());
    assert_eq!(here.read_as(&STALE, &source, Consistency::Inherit).await, 2);
    assert_eq!(source.loads(), 2);
}

/// DESIGN 4: `Fail` is a typed error for who loads, a miss for who only reads, and nothing for who is within the bound.
#[tokio::test(start_paused = true)]
async fn fail_is_a_typed_error_and_a_plain_read_misses() {
    let (_store, source, here, _there) = two().await;
    here.read_as(&FAIL, &source, Consistency::Inherit).await;
    here.node.away(true);
    assert_eq!(here.read_as(&FAIL, &source, Consistency::Inherit).await, 1, "within the bound");
    for (how_new, passed) in [(Consistency::Latest, 0), (Consistency::Inherit, 1_001)] {
        advance(millis(passed)).await;
        let failed = here.try_read(&FAIL, &source, how_new).await;
        let Err(LoadError::Unavailable(error)) = failed else { panic!("{failed:?}") };
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("on_disconnect"), "{error}");
        assert!(here.ns().get(FAIL.key(&1)).consistency(how_new).await.is_none());
        let load = async |_: Vec<u32>| Ok::<_, Infallible>([(1, 9)]);
        let many = here.ns().get_or_load_many(&FAIL, [1], load).consistency(how_new).await;
        assert!(matches!(many, Err(LoadError::Unavailable(_))));
    }
    assert_eq!(source.loads(), 1);
    here.node.away(false);
    assert_eq!(here.read_as(&FAIL, &source, Consistency::Latest).await, 1, "and nothing was lost");
}

/// R15: a store that hangs costs a bounded read its 50 ms, and nothing more.
#[tokio::test(start_paused = true)]
async fn a_bounded_read_waits_50_ms_for_a_store_that_hangs_and_then_bypasses() {
    let (_store, source, here, there) = two().await;
    here.read(&source).await;
    settle().await;
    How::Tag.change(&there, &PLAIN, &source).await;
    here.node.hang(true);
    let began = Instant::now();
    assert_eq!(here.read(&source).await, 1);
    assert_eq!(began.elapsed(), millis(0), "within the bound nobody is asked");
    advance(millis(1_001)).await;
    let began = Instant::now();
    assert_eq!(here.read(&source).await, 2);
    assert_eq!(began.elapsed(), millis(50));
    let began = Instant::now();
    assert_eq!(here.get(Consistency::Inherit).await, Some(2), "its own load, within the bound");
    assert_eq!(began.elapsed(), millis(50));
    advance(millis(1_001)).await;
    let began = Instant::now();
    assert!(here.ns().get(FAIL.key(&1)).await.is_none());
    assert_eq!(began.elapsed(), millis(50));
}

/// DESIGN 5.1 (`Since`): on another node, for every kind of token, within the bound and whatever was not delivered.
#[tokio::test(start_paused = true)]
async fn a_token_gives_read_your_writes_on_another_node() {
    for how in ALL {
        let (_store, source, here, there) = two().await;
        here.read(&source).await;
        settle().await;
        let token = how.change(&there, &PLAIN, &source).await;
        assert_eq!(here.read_as(&PLAIN, &source, BOUND).await, 1, "{how:?}: it has not heard of it");
        assert_eq!(here.read_as(&PLAIN, &source, Consistency::Since(token)).await, 2, "{how:?}");
        let syncs = here.node.syncs();
        assert_eq!(here.read_as(&PLAIN, &source, Consistency::Since(token)).await, 2, "{how:?}");
        assert_eq!(here.node.syncs(), syncs, "{how:?}: known by now");
    }
}

/// R18: a token of a history that has ended is never taken for known, and one of the new history is not either.
#[tokio::test(start_paused = true)]
async fn a_token_is_good_across_a_change_of_history() {
    for (how, heard) in ALL.into_iter().flat_map(|how| [(how, true), (how, false)]) {
        let (store, source, here, there) = two().await;
        for _ in 0..5 {
            there.acme().invalidate_tag("other").await.unwrap();
            there.cache.invalidate_global_tag("other").await.unwrap();
        }
        here.latest(&source).await;
        settle().await;
        let old: Token = how.change(&there, &PLAIN, &source).await;
        store.lose_everything();
        if heard {
            assert_eq!(here.read_as(&PLAIN, &source, Consistency::Since(old)).await, 2, "{how:?}: the old token");
        }
        there.latest(&source).await;
        settle().await;
        let new = how.change(&there, &PLAIN, &source).await;
        assert!(new.position().seq < old.position().seq);
        assert_eq!(here.read_as(&PLAIN, &source, Consistency::Since(new)).await, 3, "{how:?}: the new token");
        assert_eq!(here.read_as(&PLAIN, &source, Consistency::Since(old)).await, 3, "{how:?}: the old token again");
    }
}

/// A token that cannot be checked is no reason to serve what is old.
#[tokio::test(start_paused = true)]
async fn a_token_that_a_cut_off_node_has_not_heard_of_makes_it_load() {
    for how in ALL {
        let (_store, source, here, there) = two().await;
        here.read(&source).await;
        settle().await;
        here.node.away(true);
        let token = how.change(&there, &PLAIN, &source).await;
        assert_eq!(here.get(Consistency::Since(token)).await, None, "{how:?}");
        assert_eq!(here.read_as(&PLAIN, &source, Consistency::Since(token)).await, 2, "{how:?}");
    }
}

/// R36: the machine sleeps, and the coarse clock does not know of it.
#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_asks_before_it_answers() {
    let (_store, source, here, there) = two().await;
    here.read(&source).await;
    settle().await;
    How::Tag.change(&there, &PLAIN, &source).await;
    here.clock.suspend(seconds(30));
    assert_eq!(here.read(&source).await, 2);
    assert_eq!(here.node.syncs(), 2);
}

/// Keys of several keyspaces in one call: each is as new as it asks to be.
#[tokio::test(start_paused = true)]
async fn of_keys_that_are_read_together_each_is_as_new_as_it_asks_to_be() {
    let (_store, source, here, there) = two().await;
    here.read_as(&LOOSE, &source, Consistency::Inherit).await;
    here.read(&source).await;
    settle().await;
    let token = How::Tag.change(&there, &PLAIN, &source).await;
    let since = here.ns().with_policy(POLICY.consistency(Consistency::Since(token)));
    let both = since.get_many([LOOSE.key(&1), PLAIN.key(&1)]).await;
    assert!(both[1].is_none(), "since a token");

    let (_store, source, here, there) = two().await;
    here.read_as(&LOOSE, &source, Consistency::Inherit).await;
    here.read(&source).await;
    settle().await;
    How::Tag.change(&there, &PLAIN, &source).await;
    advance(seconds(2)).await;
    let both = here.ns().get_many([LOOSE.key(&1), PLAIN.key(&1)]).await;
    assert!(both[1].is_none(), "the bound is one second, and two have passed");
}

/// R18, R19.
#[tokio::test(start_paused = true)]
async fn a_lane_that_is_lost_while_the_node_is_cut_off_is_noticed_by_the_first_question() {
    let (store, source, here, there) = two().await;
    here.latest(&source).await;
    settle().await;
    here.node.away(true);
    store.lose_lane(lane());
    How::Tag.change(&there, &PLAIN, &source).await;
    here.node.away(false);
    assert_eq!(here.latest(&source).await, 2);
    assert_eq!(here.node.snapshots(), 18);
}
