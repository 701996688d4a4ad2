//! Values on their way from the lowest tier up to memory.

use stratacache::{Lookup, minutes, seconds};
use stratacache_testkit::faulty::{Fault, On};

use crate::{
    loads::memory_has_it_as_declared,
    script::Play,
    source::{How, Source},
};

const VALUE: &str = "only below";
const ABSENCE: &str = "absent, only below";

/// Puts a value and an absence into the lowest tier, and not into those between. Does nothing where nothing is written below.
pub(crate) async fn put_lowest(play: &Play, source: &Source) {
    let Some((_, _, only)) = play.lowest() else { return };
    source.read_from(VALUE, only).await;
    source.read_absent(ABSENCE, only).await;
    play.calm().await;
}

/// Checks what [`put_lowest`] has put a minute ago, when memory does not have it.
pub(crate) async fn rises_with_the_times_it_has(play: &Play, source: &Source) {
    assert!(source.has(VALUE).await, "the lowest tier has it");
    assert_eq!(source.look(ABSENCE).await, Lookup::Absent);
    memory_has_it_as_declared(play, source, VALUE).await;
    for (key, absent, ttl) in [(VALUE, false, minutes(5)), (ABSENCE, true, minutes(2))] {
        play.is_in(source, key, play.written()).await;
        let views = source.views(key).await;
        let (first, lowest) = (&views[0], &views[views.len() - 1]);
        assert!(views.iter().all(|view| view.fresh_for == first.fresh_for), "fresh as long as below: {views:?}");
        assert!(views.iter().all(|view| view.stale_for <= lowest.stale_for), "nor stale for longer: {views:?}");
        assert!(views.iter().all(|view| view.absent == absent && view.stamp == first.stamp), "{views:?}");
        // a slow machine takes its time, and that of Redis goes on meanwhile
        let left = ttl - seconds(60);
        assert!(first.fresh_for <= left + seconds(1) && first.fresh_for > left - seconds(60), "{views:?}");
    }
}

/// The tier has read the value, and its answer comes after the invalidation. Nothing to play where nothing is written below.
pub(crate) async fn a_promotion_that_races_an_invalidation_loses(play: &Play) {
    let Some((_, faults, only)) = play.lowest() else { return };
    let acme = play.acme.brief();
    for how in How::ALL {
        acme.read_from(&how.of("promoted"), only).await;
    }
    put_lowest(play, &acme).await;
    play.pass(seconds(61)).await; // memory has let go of them
    rises_with_the_times_it_has(play, &acme).await;
    for how in How::ALL {
        let key = how.of("promoted");
        let (source, asked) = (acme.clone(), key.clone());
        faults.next(1, On::Get, Fault::NoReply);
        let reader = tokio::spawn(async move { source.look(&asked).await });
        while faults.hanging() == 0 {
            assert!(!reader.is_finished(), "{how:?}: a tier above served it");
            tokio::task::yield_now().await;
        }
        acme.change(&play.opened.cache, how, &key).await;
        faults.release();
        reader.await.unwrap(); // it began before, and may have either
        play.calm().await;
        assert!(acme.views(&key).await.is_empty(), "{how:?}: the promotion has brought it back");
        assert!(!acme.has(&key).await, "{how:?}");
    }
}

/// After [`put_lowest`] and a restart: memory is empty.
pub(crate) async fn what_only_the_lowest_tier_has_keeps_its_expiry_on_its_way_up(play: &Play) {
    let acme = &play.acme;
    let kept = play.lowest().is_some_and(|(level, ..)| play.stack.case.keeps_over_restarts(level));
    if kept {
        rises_with_the_times_it_has(play, acme).await;
    } else {
        assert!(!acme.has(VALUE).await);
        assert_eq!(acme.look(ABSENCE).await, Lookup::Miss);
    }
    // the absence ends before the value
    play.pass(minutes(2)).await;
    assert_eq!(acme.look(ABSENCE).await, Lookup::Miss, "it lives no longer above than below");
    assert_eq!(acme.has(VALUE).await, kept);
    play.pass(minutes(3)).await;
    assert!(!acme.has(VALUE).await, "nor does the value");
}
