//! Invalidations that wait while the store is away: `or_queue`. DESIGN 4 and 5.3, INVALIDATE.

use std::{convert::Infallible, io};

use stratacache::{
    Consistency, ErrorKind, Invalidation, Keyspace, LoadContext, Loaded, Lookup, OnDisconnect, Queued, Tag, Target,
    TenantId, event::EventKind, millis, minutes, seconds,
};
use stratacache_testkit::shared::{At, Hold, SharedStore, Step};
use tokio::time::{Instant, advance};

use crate::{
    kit::{ALL, BEHIND, How, ON_ERROR, PLAIN, POLICY, Peer, Row, Source, Stop, spawn},
    support::settle,
};

const STALE: Row = Keyspace::new("stale", POLICY.on_disconnect(OnDisconnect::ServeStale(minutes(5))));
const LOOSE: Row = Keyspace::new("loose", POLICY.consistency(Consistency::Bounded(minutes(5))));

fn ways() -> impl Iterator<Item = How> {
    ALL.into_iter().filter(|how| *how != How::Insert)
}

async fn two() -> (SharedStore, Source, Peer, Peer) {
    let store = SharedStore::new(1);
    let (here, there) = (Peer::new(&store).await, Peer::new(&store).await);
    (store, Source::new(), here, there)
}

/// Both nodes hold the row, and one is cut off.
async fn two_that_know(row: &'static Row) -> (SharedStore, Source, Peer, Peer) {
    let (store, source, here, there) = two().await;
    there.read_as(row, &source, Consistency::Inherit).await;
    here.read_as(row, &source, Consistency::Inherit).await;
    settle().await;
    here.node.away(true);
    (store, source, here, there)
}

fn queued(invalidation: Invalidation) -> Queued {
    match invalidation {
        Invalidation::Queued(queued) => queued,
        Invalidation::Applied(token) => panic!("it was applied: {token}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_served_by_its_node_no_more_and_by_no_node_once_it_is_applied() {
    for (how, row) in ways().flat_map(|how| [&PLAIN, &STALE, &LOOSE, &BEHIND, &ON_ERROR].map(|row| (how, row))) {
        for passed in [0, 900, 11_000, 61_000] {
            let when = format!("{how:?}, {row:?}, after {passed} ms");
            let (_store, source, here, there) = two_that_know(row).await;
            advance(millis(passed)).await;
            let waiting = how.queue(&here, row, &source).await;
            assert!(waiting.is_waiting(), "{when}");
            let value = here.ns().get(row.key(&1)).await;
            assert!(value.is_none(), "{when}");
            assert_eq!(here.read_as(row, &source, Consistency::Inherit).await, 2, "{when}");
            assert!(waiting.is_waiting(), "{when}");
            here.node.away(false);
            assert!(here.ns().get(row.key(&1)).consistency(Consistency::Latest).await.is_none_or(|v| *v == 2));
            waiting.applied().await.unwrap();
            assert!(!waiting.is_waiting(), "{when}");
            for peer in [&here, &there] {
                assert_eq!(peer.read_as(row, &source, Consistency::Latest).await, 2, "{when}");
                settle().await;
                assert_eq!(peer.read_as(row, &source, Consistency::Inherit).await, 2, "{when}");
            }
            assert_eq!(here.cache.stats().invalidations_waiting, Some(0), "{when}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_kind_of_read_serves_what_is_queued() {
    for how in ways() {
        let (_store, source, here, _there) = two_that_know(&STALE).await;
        let waiting = how.queue(&here, &STALE, &source).await;
        let ns = here.ns();
        let key = || STALE.key(&1);
        let load = || async || Ok::<_, Infallible>(2);
        assert!(!ns.contains(key()).await, "{how:?}");
        assert_eq!(ns.lookup(key()).await, Lookup::Miss, "{how:?}");
        assert!(ns.get_many([key()]).await[0].is_none(), "{how:?}");
        assert!(ns.inspect(key()).await.unwrap().tiers.iter().all(|tier| !tier.valid), "{how:?}");
        let many = ns.get_or_load_many(&STALE, [1], async |_| Ok::<_, Infallible>([(1, 2)])).await.unwrap();
        assert_eq!(*many[&1], 2, "{how:?}");
        let optional = ns.get_or_load_optional(key(), async || Ok::<_, Infallible>(Some(2))).await.unwrap();
        assert_eq!(optional.as_deref(), Some(&2), "{how:?}");
        let with = async |context: LoadContext<usize>| {
            assert!(context.stale().is_none_or(|value| **value == 2));
            Ok::<_, Infallible>(Loaded::new(2))
        };
        assert_eq!(ns.get_or_load_with(key(), with).await.unwrap().as_deref(), Some(&2), "{how:?}");
        assert_eq!(*ns.get_or_load(key(), load()).await.unwrap(), 2, "{how:?}");
        assert_eq!(*ns.refresh(key(), load()).await.unwrap(), 2, "{how:?}");
        drop(waiting);
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_fails_brings_nothing_back_that_is_queued() {
    for (how, row) in ways().flat_map(|how| [(how, &ON_ERROR), (how, &BEHIND)]) {
        for passed in [0, 15] {
            let (_store, source, here, _there) = two_that_know(row).await;
            advance(seconds(passed)).await;
            let _waiting = how.queue(&here, row, &source).await;
            for _ in 0..3 {
                let load = async || Err::<usize, _>(io::Error::other("away, too"));
                assert!(here.ns().get_or_load(row.key(&1), load).await.is_err(), "{how:?} after {passed} s");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_loaded_while_it_waits_is_served_from_memory_and_is_there_again_afterwards() {
    for (how, row) in ways().flat_map(|how| [&PLAIN, &STALE].map(|row| (how, row))) {
        let (_store, source, here, there) = two_that_know(row).await;
        let waiting = how.queue(&here, row, &source).await;
        advance(millis(1)).await;
        for _ in 0..5 {
            assert_eq!(here.read_as(row, &source, Consistency::Inherit).await, 2);
            assert_eq!(here.ns().get(row.key(&1)).await.as_deref(), Some(&2));
        }
        assert_eq!(source.loads(), 2, "{how:?}");
        here.node.away(false);
        waiting.applied().await.unwrap();
        for _ in 0..5 {
            for peer in [&here, &there] {
                assert_eq!(peer.read_as(row, &source, Consistency::Latest).await, 2);
                settle().await;
            }
        }
        assert_eq!(source.loads(), 3, "{how:?}: once for both nodes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_runs_across_the_queueing_is_neither_served_to_later_readers_nor_kept() {
    for how in ways() {
        for (reconnects, looks_below) in [(false, false), (false, true), (true, false), (true, true)] {
            let when = format!("{how:?}, reconnects {reconnects}, below {looks_below}");
            let (_store, source, here, there) = two().await;
            if looks_below {
                there.read(&source).await;
                settle().await;
            }
            // it has read the old row, or found it below
            let stop = if looks_below { Stop::At(Step::Get, At::After) } else { Stop::Load };
            let stopped = stop.set(&here, &source);
            let first = spawn({
                let (here, source) = (here.clone(), source.clone());
                async move { here.read(&source).await }
            });
            assert!(stopped.reached(&first).await);
            here.node.away(true);
            let waiting = how.queue(&here, &PLAIN, &source).await;
            advance(millis(1)).await;
            let second = spawn({
                let (here, source) = (here.clone(), source.clone());
                async move { here.read(&source).await }
            });
            settle().await;
            let hold = here.node.hold(Step::Invalidate, At::Before);
            if reconnects {
                here.node.away(false);
                settle().await;
            }
            stopped.release();
            assert_eq!(first.await.unwrap(), 1, "{when}: it began before");
            assert_eq!(second.await.unwrap(), 2, "{when}");
            settle().await;
            assert_ne!(here.ns().get(PLAIN.key(&1)).await.as_deref(), Some(&1), "{when}");
            assert_eq!(here.read(&source).await, 2, "{when}");
            hold.release();
            here.node.away(false);
            waiting.applied().await.unwrap();
            for peer in [&here, &there] {
                assert_ne!(peer.get(Consistency::Latest).await, Some(1), "{when}");
                assert_eq!(peer.latest(&source).await, 2, "{when}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tenants_are_independent_and_a_global_tag_is_about_all() {
    let (_store, source, here, _there) = two_that_know(&STALE).await;
    let globex = here.cache.tenant(&TenantId::parse("globex").unwrap());
    let own = async || Ok::<_, Infallible>(7_usize);
    globex.get_or_load(STALE.key(&1), own).await.unwrap();
    let waiting = How::Tag.queue(&here, &STALE, &source).await;
    assert_eq!(globex.get(STALE.key(&1)).await.as_deref(), Some(&7));
    let id = |name| TenantId::parse(name).unwrap();
    assert_eq!(here.cache.tenant_stats(&id("acme")).invalidations_waiting, Some(1));
    assert_eq!(here.cache.tenant_stats(&id("globex")).invalidations_waiting, Some(0));
    let everywhere = queued(here.cache.invalidate_global_tag("g").or_queue().await.unwrap());
    assert!(globex.get(STALE.key(&1)).await.is_none(), "it may have the tag");
    assert_eq!(here.cache.stats().invalidations_queued, 2);
    here.node.away(false);
    waiting.applied().await.unwrap();
    everywhere.applied().await.unwrap();
    assert_eq!(globex.get(STALE.key(&1)).await.as_deref(), Some(&7), "it has not");
}

#[tokio::test(start_paused = true)]
async fn the_same_waits_once_with_as_many_handles_as_were_asked_for() {
    let (_store, _source, here, _there) = two_that_know(&PLAIN).await;
    let acme = here.acme();
    let both = |a, b| acme.invalidate([Target::key(a), Target::tag(b)]).or_queue();
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.push(queued(both("k", "t").await.unwrap()));
        handles.push(queued(acme.invalidate([Target::tag("t"), Target::key("k")]).or_queue().await.unwrap()));
    }
    let soft = queued(acme.expire([Target::key("k"), Target::tag("t")]).or_queue().await.unwrap());
    let other = queued(both("k2", "t").await.unwrap());
    let stats = here.cache.stats();
    assert_eq!((stats.invalidations_waiting, stats.invalidations_queued), (Some(3), 8));
    here.node.away(false);
    let first = handles[0].applied().await.unwrap();
    for handle in &handles {
        assert_eq!(handle.applied().await.unwrap(), first);
    }
    let seqs = [first, soft.applied().await.unwrap(), other.applied().await.unwrap()].map(|t| t.position().seq);
    assert_eq!(seqs, [2, 3, 4], "in the order of the calls");
}

/// An attempt under way may be ordered before the second change of the source.
#[tokio::test(start_paused = true)]
async fn the_same_asked_for_again_during_an_attempt_is_ordered_after_it() {
    for lost in [false, true] {
        let (_store, source, here, there) = two_that_know(&PLAIN).await;
        let first = How::Key.queue(&here, &PLAIN, &source).await;
        let hold = here.node.hold(Step::Invalidate, At::After).only(1);
        here.node.away(false);
        if lost {
            here.node.lose_reply_of(Step::Invalidate, 1);
        }
        until_held_while_time_passes(&hold).await;
        // another node loads after the first mark and before the second change
        assert_eq!(there.latest(&source).await, 2);
        here.node.away(true);
        let second = How::Key.queue(&here, &PLAIN, &source).await;
        here.node.away(false);
        hold.release();
        let (first, second) = (first.applied().await.unwrap(), second.applied().await.unwrap());
        assert_eq!(first == second, lost, "an attempt that failed takes the other along");
        assert_eq!(second.position().seq, 3);
        assert_eq!(there.latest(&source).await, 3);
        assert_eq!(here.latest(&source).await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_quarantine_ends_with_the_last_of_a_tenants_invalidations_and_not_before() {
    for how in ways().filter(|how| !how.is_global()) {
        let (_store, source, here, there) = two_that_know(&STALE).await;
        let other = queued(here.acme().invalidate_tag("other").or_queue().await.unwrap());
        let waiting = how.queue(&here, &STALE, &source).await;
        let hold = here.node.hold(Step::Invalidate, At::After).only(1);
        here.node.away(false);
        until_held_while_time_passes(&hold).await;
        here.node.away(true);
        hold.release();
        other.applied().await.unwrap();
        settle().await;
        assert!(waiting.is_waiting(), "{how:?}");
        assert!(here.ns().get(STALE.key(&1)).await.is_none(), "{how:?}");
        here.node.away(false);
        waiting.applied().await.unwrap();
        for peer in [&here, &there] {
            assert_eq!(peer.read_as(&STALE, &source, Consistency::Latest).await, 2, "{how:?}");
        }
    }
}

/// As `until_held(1)`, but lets paused time go on.
async fn until_held_while_time_passes(hold: &Hold) {
    while hold.held() == 0 {
        tokio::time::sleep(millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_an_error_that_names_its_knob_and_leaves_the_others_their_place() {
    let store = SharedStore::new(1);
    let here = Peer::with(&store, |node, builder| {
        builder.tier(node.parts()).queued_invalidations_per_tenant(3).queued_invalidations(5)
    })
    .await;
    here.node.away(true);
    let acme = here.acme();
    let globex = here.cache.tenant(&TenantId::parse("globex").unwrap());
    let two = queued(acme.invalidate([Target::key("a"), Target::tag("b")]).or_queue().await.unwrap());
    let full = acme.invalidate([Target::key("c"), Target::tag("d")]).or_queue().await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Overloaded);
    assert!(full.to_string().contains("queued_invalidations_per_tenant (3)"), "{full}");
    assert!(std::error::Error::source(&full).is_some(), "and why it was to wait");
    let one = queued(acme.invalidate_tag("e").or_queue().await.unwrap());
    assert!(acme.invalidate_tag("f").or_queue().await.is_err());
    let same = queued(acme.invalidate([Target::key("a"), Target::tag("b")]).or_queue().await.unwrap());
    let other = queued(globex.invalidate_tag("a").or_queue().await.unwrap());
    let everywhere = queued(here.cache.invalidate_global_tag("a").or_queue().await.unwrap());
    let full = globex.invalidate_tag("b").or_queue().await.unwrap_err();
    assert!(full.to_string().contains("queued_invalidations (5)"), "{full}");
    here.node.away(false);
    for handle in [two, one, same, other, everywhere] {
        handle.applied().await.unwrap();
    }
    here.node.away(true);
    for n in 0..3 {
        queued(acme.invalidate(n).or_queue().await.unwrap()); // there is room again
    }
}

#[tokio::test(start_paused = true)]
async fn long_keys_take_more_of_the_queue_and_a_key_that_is_named_twice_counts_once() {
    let store = SharedStore::new(1);
    let here =
        Peer::with(&store, |node, builder| builder.tier(node.parts()).queued_invalidations_per_tenant(100)).await;
    here.node.away(true);
    let acme = here.acme();
    let long = "k".repeat(50 * 256);
    let twice = [Target::key(long.as_str()), Target::key(long.as_str())];
    queued(acme.invalidate(twice).or_queue().await.unwrap());
    let other = "j".repeat(50 * 256);
    let full = acme.invalidate(Target::key(other.as_str())).or_queue().await.unwrap_err();
    assert!(full.to_string().contains("queued_invalidations_per_tenant (100)"), "{full}");
    queued(acme.invalidate("short").or_queue().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn tenants_take_turns_and_one_whose_invalidations_fail_does_not_stop_the_others() {
    let (_store, _source, here, _there) = two_that_know(&PLAIN).await;
    let mut events = here.cache.events();
    let acme = here.acme();
    let globex = here.cache.tenant(&TenantId::parse("globex").unwrap());
    for n in 0..4 {
        queued(acme.invalidate_tag(n).or_queue().await.unwrap());
    }
    for n in 0..2 {
        queued(globex.invalidate_tag(n).or_queue().await.unwrap());
    }
    let last = queued(acme.invalidate("key").or_queue().await.unwrap());
    // keys cannot be removed
    here.node.lose_reply_of(Step::DelFence, 20);
    let later = queued(globex.invalidate_tag("later").or_queue().await.unwrap());
    here.node.away(false);
    later.applied().await.unwrap();
    settle().await;
    assert!(last.is_waiting());
    let mut applied = Vec::new();
    let mut waiting = Vec::new();
    while let Some(Ok(event)) = events.try_next() {
        let tenant = || event.tenant.as_ref().unwrap().to_string();
        match event.kind {
            EventKind::InvalidationApplied { scopes: 1, after } if after > millis(0) => applied.push(tenant()),
            EventKind::InvalidationQueued { scopes: 1, waiting: n } => waiting.push(n),
            _ => {}
        }
    }
    assert_eq!(applied, ["acme", "globex", "acme", "globex", "acme", "globex", "acme"]);
    assert_eq!(waiting, [1, 2, 3, 4, 5, 6, 7, 8]);
    last.applied().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hears_the_coordinator_again_applies_at_once() {
    let (_store, source, here, there) = two_that_know(&PLAIN).await;
    let waiting = How::Tag.queue(&here, &PLAIN, &source).await;
    let before = here.node.calls(Step::Invalidate);
    for _ in 0..600 {
        tokio::time::sleep(millis(100)).await;
    }
    let attempts = here.node.calls(Step::Invalidate) - before;
    assert!((15..=60).contains(&attempts), "{attempts} in a minute");
    here.node.away(false);
    let began = Instant::now();
    here.latest(&source).await;
    settle().await;
    assert!(!waiting.is_waiting());
    assert_eq!(began.elapsed(), millis(0));
    assert_eq!(there.latest(&source).await, 2);
}

/// Keys are removed behind the breaker of their tier, which opens by itself.
#[tokio::test(start_paused = true)]
async fn keys_are_invalidated_within_seconds_of_the_end_of_an_outage() {
    for outage in [0, 1, 7, 61, 600] {
        let (_store, source, here, there) = two_that_know(&PLAIN).await;
        let waiting = How::Key.queue(&here, &PLAIN, &source).await;
        tokio::time::sleep(seconds(outage)).await;
        here.node.away(false);
        let began = Instant::now();
        waiting.applied().await.unwrap();
        assert!(began.elapsed() <= seconds(9), "{:?} after {outage} s", began.elapsed());
        assert_eq!(there.latest(&source).await, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_whose_answer_was_lost_waits_and_is_ordered_again() {
    for how in ways() {
        for step in [Step::Invalidate, Step::DelFence] {
            let (_store, source, here, there) = two_that_know(&PLAIN).await;
            here.node.away(false);
            here.node.lose_reply_of(step, 1);
            source.write();
            let outcome = how.tell_or_queue(&here, &PLAIN).await.unwrap();
            assert_ne!(here.ns().get(PLAIN.key(&1)).await.as_deref(), Some(&1), "{how:?}");
            if let Invalidation::Queued(waiting) = &outcome {
                assert_eq!(here.read(&source).await, 2, "{how:?}");
                waiting.applied().await.unwrap();
            }
            let removes = matches!(how, How::Key | How::Mixed);
            assert_eq!(outcome.token().is_none(), step == Step::Invalidate || removes, "{how:?}, {step:?}");
            for peer in [&here, &there] {
                assert_eq!(peer.latest(&source).await, 2, "{how:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_at_any_await_leaves_nothing_half_done() {
    for how in ways() {
        for (step, at) in [Step::DelFence, Step::Invalidate]
            .into_iter()
            .flat_map(|step| [At::Before, At::Late, At::After].map(|at| (step, at)))
        {
            for fails in [false, true] {
                let when = format!("{how:?} at {step:?} {at:?}, fails {fails}");
                let (_store, source, here, there) = two_that_know(&PLAIN).await;
                here.node.away(false);
                if fails {
                    here.node.lose_reply_of(step, 1);
                }
                source.write();
                let hold = here.node.hold(step, at).only(1);
                let telling = spawn({
                    let here = here.clone();
                    async move { how.tell_or_queue(&here, &PLAIN).await }
                });
                settle().await;
                telling.abort();
                assert_eq!(telling.await.is_err(), hold.held() == 1, "{when}");
                hold.release();
                settle().await;
                if here.cache.stats().invalidations_waiting == Some(1) {
                    assert!(here.ns().get(PLAIN.key(&1)).await.is_none(), "{when}");
                }
                tokio::time::sleep(seconds(1)).await;
                assert_eq!(here.cache.stats().invalidations_waiting, Some(0), "{when}");
                for peer in [&here, &there] {
                    assert_eq!(peer.latest(&source).await, 2, "{when}");
                }
            }
        }
    }
}

/// R18, R19: the new history knows nothing, until it is told.
#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_without_its_data_gets_the_mark_too() {
    for how in ways() {
        for lose in [SharedStore::lose_everything, SharedStore::fail_over, SharedStore::trim_streams] {
            let (store, source, here, there) = two_that_know(&PLAIN).await;
            store.checkpoint();
            // it reads the old row, and is slow
            source.stop(1);
            let slow = spawn({
                let (there, source) = (there.clone(), source.clone());
                async move {
                    there.ns().clear().await.unwrap();
                    there.latest(&source).await
                }
            });
            source.until_stopped(1).await;
            let waiting = how.queue(&here, &PLAIN, &source).await;
            lose(&store);
            source.go();
            assert_eq!(slow.await.unwrap(), 1);
            there.latest(&source).await;
            settle().await;
            here.node.away(false);
            waiting.applied().await.unwrap();
            for peer in [&there, &here] {
                assert_eq!(peer.latest(&source).await, 2, "{how:?}");
                assert_ne!(peer.get(Consistency::Latest).await, Some(1), "{how:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_to_expire_is_not_served_while_that_waits_and_within_its_windows_afterwards() {
    let (_store, source, here, there) = two_that_know(&BEHIND).await;
    source.write();
    let waiting = queued(here.ns().expire(BEHIND.key(&1)).or_queue().await.unwrap());
    let all = queued(here.ns().expire_all().or_queue().await.unwrap());
    let tag = queued(here.cache.expire_global_tag("g").or_queue().await.unwrap());
    assert!(here.ns().get(BEHIND.key(&1)).await.is_none());
    assert!(!there.ns().get(BEHIND.key(&1)).await.unwrap().is_stale());
    here.node.away(false);
    for handle in [waiting, all, tag] {
        handle.applied().await.unwrap();
    }
    settle().await;
    assert!(there.ns().get(BEHIND.key(&1)).await.unwrap().is_stale());
    assert_eq!(source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_in_itself_never_waits() {
    let store = SharedStore::new(1);
    let here = Peer::with(&store, |node, builder| builder.tier(node.parts()).invalidations_per_s(1)).await;
    here.node.away(true);
    let acme = here.acme();
    let kind = |result: stratacache::Result<Invalidation>| result.unwrap_err().kind();
    let global = acme.invalidate_tag(Tag::global("g")).or_queue().await;
    assert_eq!(kind(global), ErrorKind::InvalidInput);
    queued(acme.invalidate("a").or_queue().await.unwrap());
    assert_eq!(kind(acme.invalidate("b").or_queue().await), ErrorKind::Overloaded, "invalidations_per_s");
    assert_eq!(acme.invalidate("b").await.unwrap_err().kind(), ErrorKind::Overloaded);
    advance(seconds(5)).await;
    assert_eq!(acme.invalidate("b").await.unwrap_err().kind(), ErrorKind::Unavailable, "not asked for");
    assert_eq!(here.cache.stats().invalidations_queued, 1);
    here.cache.close().await.unwrap_err();
    assert_eq!(kind(acme.invalidate("b").or_queue().await), ErrorKind::Closed);
    assert_eq!(kind(here.cache.invalidate_global_tag("b").or_queue().await), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn closing_tries_once_more_and_says_what_is_lost() {
    for back in [true, false] {
        let (_store, source, here, there) = two_that_know(&PLAIN).await;
        let waiting = How::Key.queue(&here, &PLAIN, &source).await;
        let tag = queued(here.acme().invalidate_tag("other").or_queue().await.unwrap());
        let mut events = here.cache.events();
        here.node.away(!back);
        let closed = here.cache.close().await;
        assert_eq!(here.cache.active_tasks(), 0);
        if back {
            closed.unwrap();
            assert!(waiting.applied().await.is_ok() && tag.applied().await.is_ok());
            assert_eq!(there.latest(&source).await, 2);
            continue;
        }
        let error = closed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("2 queued invalidations"), "{error}");
        assert_eq!(waiting.applied().await.unwrap_err().kind(), ErrorKind::Closed);
        let lost = std::iter::from_fn(|| events.try_next()).flatten();
        assert!(lost.into_iter().any(|event| event.kind == EventKind::InvalidationsLost { count: 2 }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hold_up_closing() {
    let (_store, source, here, _there) = two_that_know(&PLAIN).await;
    let waiting = How::Tag.queue(&here, &PLAIN, &source).await;
    here.node.away(false);
    here.node.hang(true);
    let began = Instant::now();
    assert!(here.cache.close().await.is_err());
    assert!(began.elapsed() <= seconds(4), "{:?}", began.elapsed());
    assert!(waiting.applied().await.is_err() && !waiting.is_waiting());
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_dropped_is_not_kept_by_what_waits() {
    let (_store, source, here, _there) = two_that_know(&PLAIN).await;
    let waiting = How::Key.queue(&here, &PLAIN, &source).await;
    drop(here);
    assert_eq!(waiting.applied().await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(!waiting.is_waiting());
}

#[tokio::test(start_paused = true)]
async fn a_cache_of_one_node_applies_or_fails_and_never_queues() {
    let cache = crate::support::cache().await;
    let acme = crate::support::tenant(&cache, "acme");
    acme.insert("k", 1_u32).tag("t").await.unwrap();
    assert!(acme.invalidate_tag("t").or_queue().await.unwrap().token().is_some());
    assert!(acme.get::<u32>("k").await.is_none());
    assert!(acme.clear().or_queue().await.unwrap().token().is_some());
    assert!(acme.expire_all().or_queue().await.unwrap().token().is_some());
    assert!(cache.invalidate_global_tag("g").or_queue().await.unwrap().token().is_some());
    assert_eq!(cache.stats().invalidations_queued, 0);
}

/// The rule is needed: without it the node serves what it was told to forget.
#[cfg(feature = "mutants")]
#[tokio::test(start_paused = true)]
async fn without_the_quarantine_a_node_serves_what_is_queued() {
    let store = SharedStore::new(1);
    let without = stratacache::Rule::Quarantine;
    let here = Peer::with(&store, |node, builder| builder.tier(node.parts()).without_rule(without)).await;
    let source = Source::new();
    here.read(&source).await;
    here.node.away(true);
    let _waiting = How::Tag.queue(&here, &PLAIN, &source).await;
    assert_eq!(here.read(&source).await, 1);
}
