//! Another node on the same Redis: what it invalidates, and what it finds.

use stratacache::{Cache, seconds};

use crate::{
    axes::Newness,
    script::Play,
    source::{How, Source},
};

/// Nothing to play where nodes share no order of invalidations.
pub(crate) async fn hears_of_another_node(play: &Play) {
    if !play.stack.case.is_shared() {
        return;
    }
    let elsewhere = play.stack.open_elsewhere().await.cache;
    let there = play.acme.behind(&elsewhere);
    for how in How::ALL {
        what_it_invalidates_is_gone(play, &elsewhere, &there, how).await;
    }
    // the other ways: tests/nodes
    for how in [How::Key, How::Tag] {
        what_it_invalidates_during_a_load_is_not_kept(play, &elsewhere, &there, how).await;
    }
    play.acme.catch_up().await;
    play.globex.catch_up().await;
    elsewhere.close().await.unwrap();
}

/// Bounded reads may be behind for a second; the others never are.
async fn wait_for_the_bound(play: &Play) {
    if play.stack.case.newness == Newness::Bounded {
        play.calm().await;
        play.stack.pass(seconds(2));
    }
}

async fn what_it_invalidates_is_gone(play: &Play, elsewhere: &Cache, there: &Source, how: How) {
    let (key, acme) = (how.of("elsewhere"), &play.acme);
    acme.catch_up().await;
    there.catch_up().await;
    assert_eq!(*acme.read(&key).await, acme.now(&key));
    play.calm().await;
    let shares = play.stack.case.writes_below();
    assert_eq!(there.has(&key).await, shares, "{how:?}: what one node loaded the other finds");
    there.change(elsewhere, how, &key).await;
    wait_for_the_bound(play).await;
    assert!(!acme.has(&key).await, "{how:?}: the other node invalidated it");
    assert!(!there.has(&key).await, "{how:?}");
}

async fn what_it_invalidates_during_a_load_is_not_kept(play: &Play, elsewhere: &Cache, there: &Source, how: How) {
    let (key, acme) = (how.of("elsewhere, during a load"), &play.acme);
    acme.catch_up().await;
    there.catch_up().await;
    let begun = acme.read_slowly(&key).await;
    there.change(elsewhere, how, &key).await;
    let old = begun.old.clone();
    assert_eq!(begun.end().await, old, "{how:?}: it came before");
    play.calm().await;
    wait_for_the_bound(play).await;
    assert!(!acme.has(&key).await, "{how:?}: the old value was kept in no tier");
    assert!(!there.has(&key).await, "{how:?}: nor for the other node");
}
