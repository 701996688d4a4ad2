//! The probe: what another node would still serve is counted, and nothing else is. DESIGN 9.

use std::time::Duration;

use stratacache::{Cache, Consistency, ErrorKind, Stats, event::EventKind, millis, seconds};
use stratacache_testkit::shared::{At, SharedStore, Step};
use tokio::time::{Instant, sleep};

use crate::{
    kit::{ALL, How, PLAIN, POLICY, Peer, Source},
    support::{builder, settle},
};

/// Shorter than the bound and its margin.
const NOT_YET: Duration = millis(1_000);
/// From there until every probe is at its end.
const REST: Duration = millis(1_500);

async fn probing(store: &SharedStore, n: u32) -> Peer {
    Peer::with(store, |node, builder| builder.tier(node.parts()).probe(n)).await
}

/// One that probes everything, one that does not, and a row that both have in memory.
async fn two() -> (SharedStore, Source, Peer, Peer) {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, there) = (probing(&store, 1).await, Peer::new(&store).await);
    for peer in [&here, &there] {
        assert_eq!(peer.read(&source).await, 1);
        settle().await;
    }
    (store, source, here, there)
}

/// Has a node told that it is up to date, of nothing new.
fn mislead(peer: &Peer) {
    peer.node.tail(false);
    peer.node.mislead(true);
}

/// Probes, those of them that nobody answered, violations.
fn counts(stats: &Stats) -> [u64; 3] {
    [stats.probes, stats.probes_unanswered, stats.coherence_violations]
}

/// What can be invalidated in one way.
fn ways() -> impl Iterator<Item = How> {
    ALL.into_iter().filter(|how| !matches!(how, How::Mixed | How::Insert))
}

#[tokio::test(start_paused = true)]
async fn a_healthy_pair_counts_probes_and_no_violation() {
    for how in ways().chain([How::Mixed]) {
        let (_store, source, here, there) = two().await;
        how.change(&here, &PLAIN, &source).await;
        sleep(NOT_YET).await;
        assert_eq!(here.node.calls(Step::Ask), 0, "not within the bound");
        // it is up to date, and has the new row
        let new = if how == How::Mixed { 2 } else { source.version() };
        assert_eq!(there.latest(&source).await, new);
        sleep(REST).await;
        assert_eq!(counts(&here.cache.stats()), [1, 0, 0], "{how:?}");
        assert_eq!(here.node.calls(Step::Ask), 1);
        assert_eq!(counts(&there.cache.stats()), [0; 3], "who is asked counts nothing");
        assert_eq!(there.cache.stats().probes_refused, Some(0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_serves_what_was_invalidated_is_counted_and_reported_once() {
    for how in ways() {
        let (_store, source, here, there) = two().await;
        let mut events = here.cache.events();
        mislead(&there);
        let token = how.change(&here, &PLAIN, &source).await;
        sleep(NOT_YET).await;
        assert_eq!(there.get(Consistency::Latest).await, Some(1), "it is really served");
        sleep(REST).await;
        assert_eq!(counts(&here.cache.stats()), [1, 0, 1], "{how:?}");
        let tenant = stratacache::TenantId::parse("acme").unwrap();
        let of_tenant = if how.is_global() { [0; 3] } else { [1, 0, 1] };
        assert_eq!(counts(&here.cache.tenant_stats(&tenant)), of_tenant);
        let mut reported = Vec::new();
        while let Some(Ok(event)) = events.try_next() {
            if let EventKind::CoherenceViolation { seq, stamp, .. } = event.kind {
                assert!(stamp < seq && seq == token.position().seq);
                reported.push(event.tenant);
            }
        }
        assert_eq!(reported, [(!how.is_global()).then_some(tenant)]);
    }
}

#[tokio::test(start_paused = true)]
async fn each_node_that_serves_it_is_counted() {
    let (store, source, here, there) = two().await;
    let third = Peer::new(&store).await;
    assert_eq!(third.read(&source).await, 1);
    [&there, &third].into_iter().for_each(mislead);
    How::Tag.change(&here, &PLAIN, &source).await;
    sleep(NOT_YET).await;
    for peer in [&there, &third] {
        assert_eq!(peer.get(Consistency::Latest).await, Some(1));
    }
    sleep(REST).await;
    assert_eq!(counts(&here.cache.stats()), [1, 0, 2]);
}

/// The mirror of the node that is asked knows of nothing; what tells is the stamp in the entry.
#[tokio::test(start_paused = true)]
async fn what_began_after_the_invalidation_is_no_violation_even_where_nobody_heard_of_it() {
    let (_store, source, here, there) = two().await;
    // it hears of the tag by its own invalidation, and then of nothing more
    mislead(&there);
    How::Tag.change(&here, &PLAIN, &source).await;
    How::Namespace.tell(&there, &PLAIN, &source).await.unwrap();
    assert_eq!(there.read(&source).await, 2);
    sleep(NOT_YET).await;
    assert_eq!(there.get(Consistency::Latest).await, Some(2));
    sleep(REST).await;
    assert_eq!(counts(&here.cache.stats()), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_behind_and_knows_it_is_no_violation() {
    let (_store, source, here, there) = two().await;
    there.node.tail(false);
    How::Tag.change(&here, &PLAIN, &source).await;
    sleep(NOT_YET + REST).await;
    assert_eq!(there.cache.stats().entries, Some(1), "memory holds the old row");
    assert_eq!(counts(&here.cache.stats()), [1, 0, 0]);
    assert_eq!(there.read(&source).await, 2, "a read asks first");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_or_hangs_does_not_answer_and_is_no_violation() {
    for hang in [false, true] {
        let (_store, source, here, there) = two().await;
        How::Tag.change(&here, &PLAIN, &source).await;
        if hang {
            there.node.hang(true)
        } else {
            there.node.away(true)
        }
        sleep(NOT_YET + REST).await;
        assert_eq!(counts(&here.cache.stats()), [1, 1, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_cannot_be_sent_is_unanswered() {
    for hang in [false, true] {
        let (_store, source, here, _there) = two().await;
        How::Tag.change(&here, &PLAIN, &source).await;
        if hang {
            here.node.hang(true)
        } else {
            here.node.away(true)
        }
        sleep(NOT_YET + REST).await;
        assert_eq!(counts(&here.cache.stats()), [1, 1, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_without_peers_counts_its_probes_as_unanswered() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let here = probing(&store, 1).await;
    here.read(&source).await;
    How::Key.change(&here, &PLAIN, &source).await;
    sleep(NOT_YET + REST).await;
    assert_eq!(counts(&here.cache.stats()), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_only_made_to_expire_is_not_probed() {
    let (_store, _source, here, there) = two().await;
    mislead(&there);
    here.acme().expire("k").await.unwrap();
    here.acme().expire_tag("t").await.unwrap();
    here.cache.expire_global_tag("g").await.unwrap();
    sleep(NOT_YET + REST).await;
    assert_eq!(counts(&here.cache.stats()), [0; 3]);
    assert_eq!(here.node.calls(Step::Ask), 0);
}

#[tokio::test(start_paused = true)]
async fn off_by_default_nobody_is_asked() {
    let (store, source) = (SharedStore::new(1), Source::new());
    let (here, _there) = (Peer::new(&store).await, Peer::new(&store).await);
    for how in ALL {
        how.change(&here, &PLAIN, &source).await;
    }
    sleep(NOT_YET + REST).await;
    assert_eq!(counts(&here.cache.stats()), [0; 3]);
    assert_eq!(here.node.calls(Step::Ask), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_shares_with_nobody_has_nobody_to_ask_and_a_probe_of_none_is_refused() {
    let cache = builder().probe(1).build().await.unwrap();
    cache.global().invalidate_tag("t").await.unwrap();
    sleep(NOT_YET + REST).await;
    assert_eq!(counts(&cache.stats()), [0; 3]);
    let error = Cache::builder().probe(0).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("probe is 0"), "{error}");
}

/// Positions of two histories cannot be compared: an entry of the new one is never old because its number is small.
#[tokio::test(start_paused = true)]
async fn an_entry_of_a_new_history_is_no_violation() {
    for asker_knows in [false, true] {
        let (store, source, here, there) = two().await;
        for _ in 0..20 {
            here.acme().expire("elsewhere").await.unwrap();
        }
        How::Tag.change(&here, &PLAIN, &source).await;
        here.node.tail(false);
        store.lose_everything();
        sleep(NOT_YET).await;
        assert_eq!(there.latest(&source).await, 2);
        if asker_knows {
            assert_eq!(here.latest(&source).await, 2);
        }
        sleep(REST).await;
        // one that has gone over itself does not ask
        assert_eq!(counts(&here.cache.stats()), [u64::from(!asker_knows), 0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_is_held_up_by_nothing_and_what_is_too_much_is_dropped_or_refused() {
    let (_store, _source, here, there) = two().await;
    let hold = here.node.hold(Step::Ask, At::Before);
    let began = Instant::now();
    for _ in 0..100 {
        here.acme().invalidate_tag("t").await.unwrap();
    }
    assert_eq!(began.elapsed(), millis(0));
    assert_eq!(here.cache.stats().probes_dropped, 36, "64 are under way");
    sleep(NOT_YET).await;
    hold.release();
    sleep(REST).await;
    assert_eq!(counts(&here.cache.stats()), [64, 14, 0], "50 a second are answered");
    assert_eq!(there.cache.stats().probes_refused, Some(14));
    here.acme().invalidate_tag("t").await.unwrap();
    sleep(NOT_YET + REST).await;
    assert_eq!(counts(&here.cache.stats()), [65, 14, 0], "there is room again");
}

#[tokio::test(start_paused = true)]
async fn one_in_so_many_is_drawn() {
    let store = SharedStore::new(1);
    let here = probing(&store, 10).await;
    for _ in 0..50 {
        for _ in 0..20 {
            here.acme().invalidate("k").await.unwrap();
        }
        sleep(NOT_YET + REST).await;
    }
    let stats = here.cache.stats();
    assert!((50..=150).contains(&stats.probes), "{} of 1,000", stats.probes);
    assert_eq!((stats.probes_dropped, stats.probes), (0, here.node.calls(Step::Ask)));
}

#[tokio::test(start_paused = true)]
async fn probes_end_with_their_cache() {
    let (_store, source, here, _there) = two().await;
    How::Tag.change(&here, &PLAIN, &source).await;
    assert!(here.cache.active_tasks() > 1);
    here.cache.close().await.unwrap();
    assert_eq!(here.cache.active_tasks(), 0);
    sleep(seconds(3)).await;
    assert_eq!(here.node.calls(Step::Ask), 0);
}

/// A bound of its own is waited for.
#[tokio::test(start_paused = true)]
async fn the_bound_of_the_namespace_is_waited_for() {
    let (_store, _source, here, _there) = two().await;
    here.acme().with_policy(POLICY.consistency(Consistency::Bounded(seconds(10)))).invalidate_tag("t").await.unwrap();
    sleep(seconds(10)).await;
    assert_eq!(here.node.calls(Step::Ask), 0);
    sleep(seconds(1)).await;
    assert_eq!(here.node.calls(Step::Ask), 1);
}
