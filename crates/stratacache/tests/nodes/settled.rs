//! What a node holds in memory, once it hears of another node's invalidation and before.

use std::convert::Infallible;

use stratacache::{Consistency, Freshness, LoadError, Lookup, millis, minutes, seconds};
use stratacache_testkit::shared::{SharedStore, Step};
use tokio::time::advance;

use crate::{
    kit::{ALL, BEHIND, How, ON_ERROR, PLAIN, Peer, Source, spawn},
    support::settle,
};

/// R2, R16, DESIGN 5.3 (FAST): the message alone ends it, without a question.
#[tokio::test(start_paused = true)]
async fn a_settled_entry_is_gone_when_the_message_is_delivered() {
    for how in ALL {
        let (store, source) = (SharedStore::new(1), Source::new());
        let (here, there) = (Peer::deaf(&store).await, Peer::new(&store).await);
        assert_eq!(here.read(&source).await, 1);
        settle().await;
        how.change(&there, &PLAIN, &source).await;
        assert_eq!(here.get(Consistency::Inherit).await, Some(1), "{how:?}: not heard of, and within the bound");
        assert_eq!(here.node.deliver(), 1);
        let before = here.calls();
        let found = here.get(Consistency::Inherit).await;
        assert!(found.is_none_or(|version| version == 2), "{how:?}: {found:?}");
        assert_eq!(here.calls().since(before)[1], 1, "{how:?}: memory had nothing, the tier was asked");
        assert_eq!(here.node.syncs(), 0, "{how:?}");
    }
}

/// R2: the mark of a key takes the entry out of memory, it does not only hide it.
#[tokio::test(start_paused = true)]
async fn the_message_about_a_key_frees_its_entry_and_no_other() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::deaf(&store).await, Peer::new(&store).await);
    here.read(&source).await;
    here.ns().insert(PLAIN.key(&2), 7).await.unwrap();
    settle().await;
    assert_eq!(here.ns().tenant_stats().entries, Some(2));
    there.ns().invalidate(PLAIN.key(&1)).await.unwrap();
    there.acme().namespace("outer").invalidate(PLAIN.key(&2)).await.unwrap(); // of another namespace
    there.cache.global().namespace("outer").namespace("inner").invalidate(PLAIN.key(&2)).await.unwrap();
    here.node.deliver();
    assert_eq!(here.ns().tenant_stats().entries, Some(1));
    assert!(here.ns().get(PLAIN.key(&2)).await.is_some());
}

/// The guarantee for `Latest`, before any message came: reads of every kind.
#[tokio::test(start_paused = true)]
async fn a_read_of_the_latest_never_gets_a_settled_entry_that_another_node_invalidated() {
    for how in ALL {
        let (store, source) = (SharedStore::new(1), Source::new());
        let (here, there) = (Peer::deaf(&store).await, Peer::new(&store).await);
        here.read(&source).await;
        how.change(&there, &PLAIN, &source).await;
        let ns = here.ns();
        let old = |version: usize| assert_eq!(version, 2, "{how:?}");
        if let Lookup::Hit(found) = ns.lookup(PLAIN.key(&1)).consistency(Consistency::Latest).await {
            old(*found);
        }
        here.get(Consistency::Latest).await.into_iter().for_each(old);
        old(here.latest(&source).await);
    }
}

/// R14, R34: the gap drops what memory held of the lane, valid or not, and it is not served again.
#[tokio::test(start_paused = true)]
async fn a_gap_drops_what_memory_holds_of_the_lane() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::deaf(&store).await, Peer::new(&store).await);
    here.read(&source).await;
    settle().await;
    How::Tag.change(&there, &PLAIN, &source).await;
    store.trim_streams();
    there.acme().invalidate_tag("another").await.unwrap();
    assert_eq!(here.node.deliver(), 1, "the gap");
    assert_eq!(here.node.snapshots(), 18);
    assert_eq!(here.get(Consistency::Inherit).await, None);
    assert_eq!(here.read(&source).await, 2);
}

/// R9: a stale value that another node invalidated is not served behind a refresh.
#[tokio::test(start_paused = true)]
async fn stale_while_revalidate_serves_nothing_that_another_node_invalidated() {
    for how in ALL {
        for below in [false, true] {
            let (store, source) = (SharedStore::new(1), Source::new());
            let (here, there) = (Peer::deaf(&store).await, Peer::new(&store).await);
            let reader = if below { &there } else { &here };
            reader.read_as(&BEHIND, &source, Consistency::Inherit).await;
            settle().await;
            advance(seconds(11)).await;
            how.change(&there, &BEHIND, &source).await;
            assert_eq!(here.read_as(&BEHIND, &source, Consistency::Inherit).await, 2, "{how:?}, below {below}");
        }
    }
}

/// R10: nor does it stand in for a failed load; what was only made to expire does.
#[tokio::test(start_paused = true)]
async fn stale_if_error_serves_what_another_node_made_to_expire_and_nothing_it_invalidated() {
    for how in ALL.into_iter().filter(|how| *how != How::Insert) {
        for below in [false, true] {
            let (store, source) = (SharedStore::new(1), Source::new());
            let (here, there) = (Peer::deaf(&store).await, Peer::new(&store).await);
            let reader = if below { &there } else { &here };
            reader.read_as(&ON_ERROR, &source, Consistency::Inherit).await;
            settle().await;
            advance(seconds(11)).await;
            how.change(&there, &ON_ERROR, &source).await;
            let failing = async || Err::<usize, _>("down");
            let failed = here.ns().get_or_load(ON_ERROR.key(&1), failing).await;
            assert!(matches!(failed, Err(LoadError::Loader(_))), "{how:?}, below {below}: {failed:?}");
        }
    }
}

/// R10, while the load runs: the invalidation comes from another node, and is heard of before the load fails.
#[tokio::test(start_paused = true)]
async fn a_stale_value_that_another_node_invalidates_during_the_load_does_not_stand_in_for_it() {
    for how in ALL.into_iter().filter(|how| *how != How::Insert) {
        let (store, source) = (SharedStore::new(1), Source::new());
        let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
        here.read_as(&ON_ERROR, &source, Consistency::Inherit).await;
        advance(seconds(11)).await;
        source.stop(1);
        let (ns, slow) = (here.ns(), source.clone());
        let failing = spawn(async move {
            ns.get_or_load(ON_ERROR.key(&1), async move || {
                slow.load().await;
                Err::<usize, _>("down")
            })
            .await
        });
        source.until_stopped(1).await;
        how.change(&there, &ON_ERROR, &source).await;
        settle().await;
        source.go();
        assert!(failing.await.unwrap().is_err(), "{how:?}");
    }
}

/// R28: soft marks of another node end the fresh time, of keys, tags and everything.
#[tokio::test(start_paused = true)]
async fn what_another_node_makes_to_expire_is_loaded_again_and_may_stand_in() {
    for kind in 0..4 {
        for below in [false, true] {
            let (store, source) = (SharedStore::new(1), Source::new());
            let (here, there) = (Peer::deaf(&store).await, Peer::new(&store).await);
            let row = if below { &there } else { &here };
            row.read_as(&ON_ERROR, &source, Consistency::Inherit).await;
            settle().await;
            advance(millis(100)).await;
            source.write();
            match kind {
                0 => there.ns().expire(ON_ERROR.key(&1)).await,
                1 => there.acme().expire_tag("t").await,
                2 => there.acme().namespace("outer").expire_all().await,
                _ => there.acme().expire_all().await,
            }
            .unwrap();
            here.node.deliver();
            assert!(here.ns().get(ON_ERROR.key(&1)).await.is_none(), "{kind}, below {below}: no longer fresh");
            let failing = async || Err::<usize, _>("down");
            let stale = here.ns().get_or_load(ON_ERROR.key(&1), failing).await.unwrap();
            assert_eq!((*stale, stale.freshness()), (1, Freshness::Stale), "{kind}, below {below}");
            advance(seconds(20)).await; // the back-off is over
            assert_eq!(here.read_as(&ON_ERROR, &source, Consistency::Latest).await, 2, "{kind}, below {below}");
            assert_eq!(there.read_as(&ON_ERROR, &source, Consistency::Latest).await, 2, "{kind}, below {below}");
        }
    }
}

/// R30, R31: a node that starts again over the same connection has no marks of its own, and takes what is said below.
#[tokio::test(start_paused = true)]
async fn a_node_that_starts_again_serves_nothing_that_was_invalidated_while_it_was_away() {
    for how in ALL {
        let (store, source) = (SharedStore::new(1), Source::new());
        let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
        here.read(&source).await;
        settle().await;
        here.cache.close().await.unwrap();
        how.change(&there, &PLAIN, &source).await;
        let again = Peer::new(&store).await;
        assert!(again.get(Consistency::Inherit).await.is_none_or(|version| version == 2), "{how:?}");
        assert_eq!(again.read(&source).await, 2, "{how:?}");
    }
}

/// R5: a reader that comes after another node's invalidation does not join the load that began before it.
#[tokio::test(start_paused = true)]
async fn a_reader_of_the_latest_never_joins_a_load_that_began_before_another_nodes_invalidation() {
    for how in ALL {
        let (store, source) = (SharedStore::new(1), Source::new());
        let (here, there) = (Peer::deaf(&store).await, Peer::new(&store).await);
        source.stop(1);
        let early = spawn({
            let (here, source) = (here.clone(), source.clone());
            async move { here.read(&source).await }
        });
        source.until_stopped(1).await;
        how.change(&there, &PLAIN, &source).await;
        let late = spawn({
            let (here, source) = (here.clone(), source.clone());
            async move { here.latest(&source).await }
        });
        settle().await;
        source.go();
        assert_eq!(late.await.unwrap(), 2, "{how:?}");
        assert_eq!(early.await.unwrap(), 1, "{how:?}: who came before gets the old one");
        assert_eq!(here.read(&source).await, 2, "{how:?}: which was not kept");
    }
}

/// R5, R6: who has joined judges what it gets by what came meanwhile.
#[tokio::test(start_paused = true)]
async fn a_tag_that_only_the_loader_knows_binds_those_who_joined_after_another_nodes_invalidation() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    let read = |here: Peer, source: Source| async move {
        let load = async move |_| Ok::<_, Infallible>(stratacache::Loaded::new(source.load().await).tag("late"));
        *here.acme().get_or_load_with(PLAIN.key(&1), load).await.unwrap().unwrap()
    };
    source.stop(1);
    let early = spawn(read(here.clone(), source.clone()));
    source.until_stopped(1).await;
    source.write();
    there.acme().invalidate_tag("late").await.unwrap();
    settle().await;
    let late = spawn(read(here.clone(), source.clone()));
    settle().await;
    source.go();
    assert_eq!((early.await.unwrap(), late.await.unwrap()), (1, 2));
}

/// R27: an insert that came through is what every node has, also where two come at once, and after a restart.
#[tokio::test(start_paused = true)]
async fn of_two_inserts_the_one_ordered_last_wins_on_every_node() {
    for step in [Step::DelFence, Step::Take, Step::Invalidate, Step::Fill] {
        for at in [stratacache_testkit::shared::At::Late, stratacache_testkit::shared::At::After] {
            let store = SharedStore::new(1);
            let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
            let hold = here.node.hold(step, at).only(1);
            let first = spawn({
                let ns = here.ns();
                async move { ns.insert(PLAIN.key(&1), 10).await.unwrap() }
            });
            hold.until_held(1).await;
            let second = there.ns().insert(PLAIN.key(&1), 20).await.unwrap();
            hold.release();
            let first = first.await.unwrap();
            settle().await;
            let last = if first.position().seq > second.position().seq { (first, 10) } else { (second, 20) };
            // an insert that another one came into is superseded: then nobody has either, or all have the last
            let allowed = if last.0.is_superseded() { vec![None] } else { vec![None, Some(last.1)] };
            let mut seen = Vec::new();
            for peer in [&here, &there, &Peer::new(&store).await] {
                for how_new in [Consistency::Inherit, Consistency::Latest] {
                    seen.push(peer.get(how_new).await);
                }
            }
            assert!(seen.iter().all(|one| allowed.contains(one)), "{step:?} {at:?}: {seen:?}, {last:?}");
        }
    }
}

/// R27, DESIGN 3: without anybody else, an insert is read by every node from below.
#[tokio::test(start_paused = true)]
async fn an_insert_is_read_on_every_node_and_after_a_restart() {
    let store = SharedStore::new(1);
    let (here, there) = (Peer::deaf(&store).await, Peer::deaf(&store).await);
    for version in 1..5 {
        let (writer, reader) = if version % 2 == 0 { (&here, &there) } else { (&there, &here) };
        let token = writer.ns().insert(PLAIN.key(&1), version).await.unwrap();
        assert!(!token.is_superseded());
        assert_eq!(writer.get(Consistency::Inherit).await, Some(version));
        assert_eq!(reader.get(Consistency::Since(token)).await, Some(version));
        assert_eq!(reader.get(Consistency::Latest).await, Some(version));
        assert_eq!(there.node.calls(Step::Lease), 0);
    }
    advance(minutes(1)).await;
    assert_eq!(here.get(Consistency::Latest).await, Some(4));
}

/// R27: a stamp that another node's invalidation has overtaken, whether or not this node has heard of it.
#[tokio::test(start_paused = true)]
async fn a_stamped_insert_says_that_another_node_has_overtaken_it() {
    for how in ALL {
        for deaf in [false, true] {
            let (store, source) = (SharedStore::new(1), Source::new());
            let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
            here.node.tail(!deaf);
            let stamp = here.ns().stamp();
            how.change(&there, &PLAIN, &source).await;
            settle().await;
            let token = here.ns().insert(PLAIN.key(&1), 1).stamped(stamp).await.unwrap();
            let global_unheard = how.is_global() && deaf;
            assert!(token.is_superseded() || global_unheard, "{how:?}, deaf {deaf}");
            for peer in [&here, &there, &Peer::new(&store).await] {
                assert_eq!(peer.latest(&source).await, 2, "{how:?}, deaf {deaf}");
            }
        }
    }
}
