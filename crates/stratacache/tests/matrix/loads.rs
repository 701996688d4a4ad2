//! Loads, hits, time and invalidations on one node.

use stratacache::{Freshness, Lookup, MemoryForm, minutes, seconds};

use crate::{
    axes::Squeeze,
    script::Play,
    source::{How, Source},
};

pub(crate) async fn loads_once_and_then_hits(play: &Play) {
    let acme = &play.acme;
    assert_eq!(acme.read("k").await.freshness(), Freshness::Loaded);
    let hit = acme.read("k").await;
    assert_eq!((hit.freshness(), hit.value()), (Freshness::Fresh, &acme.now("k")));
    assert_eq!(acme.loads(), 1);
    play.is_in(acme, "k", play.written()).await;
    let views = acme.views("k").await;
    assert!(views.iter().all(|view| view.fresh_for == views[0].fresh_for && view.tags == 2), "{views:?}");
    let case = &play.stack.case;
    let compressed = play.opened.cache.stats().compression.unwrap().compressed;
    assert_eq!(compressed > 0, case.makes_bytes() && case.squeeze != Squeeze::Off);
    memory_has_it_as_declared(play, acme, "k").await;
}

/// Checks the form in which memory has a value: where it holds compressed bytes, each hit decompresses them.
pub(crate) async fn memory_has_it_as_declared(play: &Play, source: &Source, key: &str) {
    let case = &play.stack.case;
    let before = play.opened.cache.stats();
    assert!(source.has(key).await);
    let after = play.opened.cache.stats();
    assert_eq!(after.memory_hits, before.memory_hits + 1, "{key}: memory has it");
    let unpacked = after.compression.unwrap().decompressed > before.compression.unwrap().decompressed;
    assert_eq!(unpacked, case.form == MemoryForm::Encoded && case.squeeze != Squeeze::Off, "{key}: its form in memory");
}

pub(crate) async fn tells_tenants_apart(play: &Play) {
    let Play { opened, acme, globex, .. } = play;
    let cache = &opened.cache;
    assert!(!globex.has("k").await, "it is another tenant's");
    assert_eq!(*acme.read("shared").await, acme.now("shared"));
    assert_eq!(*globex.read("shared").await, globex.now("shared"), "the same key, another tenant");
    play.is_in(acme, "shared", play.written()).await;
    for how in How::ALL {
        if how == How::GlobalTag {
            continue; // it is meant to reach every tenant
        }
        globex.change(cache, how, "shared").await;
        assert!(!globex.has("shared").await, "{how:?}");
        assert!(acme.has("shared").await, "{how:?}: one tenant's invalidations leave the other's data");
        play.is_in(acme, "shared", play.written()).await;
        assert_eq!(*globex.read("shared").await, globex.now("shared"));
    }
    globex.change(cache, How::GlobalTag, "shared").await;
    assert!(!acme.has("shared").await && !globex.has("shared").await, "a global tag is everybody's");
}

pub(crate) async fn an_invalidation_during_a_load_wins(play: &Play) {
    let (cache, acme) = (&play.opened.cache, &play.acme);
    for how in How::ALL {
        let key = how.of("during a load");
        let begun = acme.read_slowly(&key).await;
        let old = begun.old.clone();
        acme.change(cache, how, &key).await;
        // a lease tells nothing of global tags: whoever comes later waits for the old load, for as long as `lease_wait`
        if !play.stack.case.is_shared() || how != How::GlobalTag {
            assert_eq!(*acme.read(&key).await, acme.now(&key), "{how:?}: who comes later does not join the old load");
        }
        assert_eq!(begun.end().await, old, "{how:?}: who came before gets what was loaded for it");
        assert_eq!(*acme.read(&key).await, acme.now(&key), "{how:?}");
        play.is_in(acme, &key, play.written()).await;
        assert!(acme.has(&key).await, "{how:?}: the old value took no place");
        // alone this time: nothing newer stands in the way of the old value
        acme.change(cache, How::Key, &key).await;
        let begun = acme.read_slowly(&key).await;
        acme.change(cache, how, &key).await;
        begun.end().await;
        play.calm().await;
        assert!(acme.views(&key).await.is_empty(), "{how:?}: the old value was kept in no tier");
        assert!(!acme.has(&key).await, "{how:?}");
        assert_eq!(*acme.read(&key).await, acme.now(&key));
    }
}

/// Leaves some entries for the invariants to be about.
pub(crate) async fn reads_some_more(play: &Play) {
    for source in [&play.acme, &play.globex] {
        for key in ["one", "two", "three", "four"] {
            assert_eq!(*source.read(key).await, source.now(key));
        }
    }
}

/// Memory lets go of brief rows after one minute, and the tier below it after three.
pub(crate) async fn a_tier_serves_for_as_long_as_its_cap(play: &Play) {
    let acme = play.acme.brief();
    acme.read("capped").await;
    play.calm().await;
    let hits = async || {
        let served = acme.has("capped").await;
        play.calm().await;
        (served, play.opened.cache.stats().tiers.iter().map(|tier| tier.hits).collect::<Vec<_>>())
    };
    let served_by = async |expected: Option<usize>| {
        let before = play.opened.cache.stats().tiers;
        let (served, after) = hits().await;
        let by = before.iter().zip(after).position(|(before, after)| before.hits < after);
        assert_eq!((served, by), (expected.is_some(), expected), "which tier serves it");
    };
    let below = |place: usize| (place < play.written().len()).then_some(place + 1);
    served_by(Some(0)).await;
    play.pass(minutes(2)).await;
    served_by(below(0)).await;
    if below(0).is_some() {
        served_by(Some(0)).await; // it was promoted
    }
    play.pass(seconds(90)).await;
    served_by(below(1)).await;
    play.pass(minutes(2)).await;
    served_by(None).await;
}

pub(crate) async fn serves_stale_while_the_source_is_down(play: &Play) {
    let acme = &play.acme;
    acme.read("stale").await;
    play.pass(minutes(6)).await;
    assert_eq!(acme.look("stale").await, Lookup::Miss, "it is no longer fresh");
    stale(acme, "stale").await;
    // past the back-off the source is asked again
    play.pass(minutes(1)).await;
    acme.commit("stale");
    let loaded = acme.read("stale").await;
    assert_eq!((loaded.freshness(), loaded.value()), (Freshness::Loaded, &acme.now("stale")));
    play.is_in(acme, "stale", play.written()).await;
}

/// Checks that the present version is served past its ttl, when the source is down.
pub(crate) async fn stale(source: &Source, key: &str) {
    let served = source.read_in_vain(key).await.expect("a stale value stands in");
    assert_eq!((served.freshness(), served.value()), (Freshness::Stale, &source.now(key)));
}
