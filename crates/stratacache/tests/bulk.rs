//! Many keys in one call: each key as it would be alone, with one call of the loader and one batch for each tier.

#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::collections::{BTreeSet, HashMap};

use stratacache::{
    Cache, Cached, Freshness, Keyspace, LoadError, Namespace, Policy, event::EventKind, hours, millis, minutes, seconds,
};
use stratacache_testkit::{clock::SimulatedClock, tiers::MemoryTier};
use support::{Loads, builder, settle, tenant};
use tokio::time::{advance, sleep};

const TTL: Policy = Policy::ttl(seconds(10)).jitter(0.0);
const SWR: Keyspace<u32, u32> = Keyspace::new("swr", TTL.stale_while_revalidate(hours(1)));
const SIE: Keyspace<u32, u32> = Keyspace::new("sie", TTL.stale_if_error(hours(1)));
const AHEAD: Keyspace<u32, u32> = Keyspace::new("ahead", Policy::ttl(seconds(100)).jitter(0.0).refresh_ahead(0.8));

type Found = Result<HashMap<u32, Cached<u32>>, LoadError<&'static str>>;

/// Loads the value `version` for every key that is asked for.
async fn load(ns: &Namespace, of: &'static Keyspace<u32, u32>, keys: &[u32], version: u32, loads: &Loads) -> Found {
    let loads = loads.clone();
    ns.get_or_load_many(of, keys.to_vec(), async move |missing: Vec<u32>| {
        loads.next();
        Ok(missing.into_iter().map(|key| (key, version)).collect::<Vec<_>>())
    })
    .await
}

/// Fails after 40 ms.
async fn fail(ns: &Namespace, of: &'static Keyspace<u32, u32>, keys: &[u32], attempts: &Loads) -> Found {
    let attempts = attempts.clone();
    ns.get_or_load_many(of, keys.to_vec(), async move |_: Vec<u32>| {
        attempts.next();
        sleep(millis(40)).await;
        Err::<Vec<(u32, u32)>, _>("down")
    })
    .await
}

fn versions(found: Found) -> Vec<(u32, Freshness)> {
    let mut found: Vec<_> = found.unwrap().into_iter().collect();
    found.sort_by_key(|(key, _)| *key);
    found.into_iter().map(|(_, value)| (*value, value.freshness())).collect()
}

/// A cache over a tier that keeps what memory loses when the cache is built anew.
async fn over(disk: &MemoryTier, clock: &SimulatedClock) -> Cache {
    builder().clock(clock.clone()).tier(disk.with_journal()).build().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_failing_bulk_refresh_backs_off_and_all_its_keys_are_tried_again_together() {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let keys: Vec<u32> = (0..20).collect();
    load(&acme, &SWR, &keys, 1, &Loads::default()).await.unwrap();
    advance(seconds(11)).await;
    let failing = Loads::default();
    for _ in 0..1_000 {
        let found = versions(fail(&acme, &SWR, &keys, &failing).await);
        assert_eq!(found, vec![(1, Freshness::Stale); 20]);
        sleep(millis(10)).await;
    }
    // ten seconds of reads with pauses of 50 ms to 5 s that double
    assert!((3..=12).contains(&failing.count()), "{} attempts", failing.count());
}

#[tokio::test(start_paused = true)]
async fn a_failed_bulk_load_is_counted_and_reported_once_like_a_single_one() {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let mut events = cache.events();
    let loads = Loads::default();
    assert!(matches!(fail(&acme, &SIE, &[1, 2, 3], &loads).await, Err(LoadError::Loader(e)) if *e == "down"));
    load(&acme, &SWR, &[1, 2, 3], 1, &loads).await.unwrap();
    advance(seconds(11)).await;
    fail(&acme, &SWR, &[1, 2, 3], &loads).await.unwrap();
    sleep(millis(50)).await;
    let kinds: Vec<_> = std::iter::from_fn(|| events.try_next()).map(|event| event.unwrap().kind).collect();
    let failed = |kind: &&EventKind| matches!(kind, EventKind::LoadFailed { reason: "the loader failed" });
    let refresh_failed = |kind: &&EventKind| matches!(kind, EventKind::RefreshFailed { failures: 1, .. });
    assert_eq!(kinds.iter().filter(failed).count(), 2, "{kinds:?}");
    assert_eq!(kinds.iter().filter(refresh_failed).count(), 1, "{kinds:?}");
    let stats = acme.stats();
    assert_eq!((stats.loads, stats.load_errors), (3, 2), "one for each call of the loader");
    assert_eq!((stats.refreshes, stats.refresh_errors), (3, 3), "one for each key");
}

#[tokio::test(start_paused = true)]
async fn readers_of_keys_that_are_known_to_fail_do_not_wait_for_the_bulk_loader() {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    load(&acme, &SIE, &[1, 2], 1, &Loads::default()).await.unwrap();
    advance(seconds(11)).await;
    let attempts = Loads::default();
    let began = tokio::time::Instant::now();
    for _ in 0..500 {
        assert_eq!(versions(fail(&acme, &SIE, &[1, 2], &attempts).await), vec![(1, Freshness::Stale); 2]);
    }
    assert!(attempts.count() <= 2, "{} attempts", attempts.count());
    assert!(began.elapsed() <= millis(80), "only the first waits: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn refresh_ahead_loads_the_keys_that_are_due_behind_a_bulk_read_in_one_call() {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    load(&acme, &AHEAD, &[1, 2], 1, &Loads::default()).await.unwrap();
    advance(seconds(50)).await;
    load(&acme, &AHEAD, &[3], 1, &Loads::default()).await.unwrap();
    advance(seconds(31)).await;
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    for _ in 0..5 {
        let asked = std::sync::Arc::clone(&asked);
        let load = async move |missing: Vec<u32>| {
            asked.lock().unwrap().push(missing.iter().copied().collect::<BTreeSet<_>>());
            sleep(millis(10)).await;
            Ok(missing.into_iter().map(|key| (key, 2)).collect::<Vec<_>>())
        };
        let found: Found = acme.get_or_load_many(&AHEAD, [1, 2, 3], load).await;
        assert_eq!(versions(found), vec![(1, Freshness::Fresh); 3], "nobody waits");
    }
    sleep(millis(20)).await;
    assert_eq!(*asked.lock().unwrap(), [BTreeSet::from([1, 2])], "once, without the key that is not due");
    let found = versions(load(&acme, &AHEAD, &[1, 2, 3], 9, &Loads::default()).await);
    assert_eq!(found, [(2, Freshness::Fresh), (2, Freshness::Fresh), (1, Freshness::Fresh)]);
    assert_eq!(acme.stats().refreshes, 2);
}

#[tokio::test(start_paused = true)]
async fn probabilistic_refresh_happens_behind_bulk_reads_too() {
    const XFETCH: Keyspace<u32, u32> =
        Keyspace::new("xfetch", Policy::ttl(seconds(100)).jitter(0.0).refresh_ahead_probabilistic(1.0));
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let slow = async |missing: Vec<u32>| {
        sleep(seconds(1)).await;
        Ok::<_, &str>(missing.into_iter().map(|key| (key, 1)).collect::<Vec<_>>())
    };
    acme.get_or_load_many(&XFETCH, 0..200, slow).await.unwrap();
    advance(seconds(99)).await; // one second left, the load takes one second
    let keys: Vec<u32> = (0..200).collect();
    let found = versions(load(&acme, &XFETCH, &keys, 2, &Loads::default()).await);
    assert_eq!(found, vec![(1, Freshness::Fresh); 200]);
    settle().await;
    let early = acme.stats().refreshes;
    // exp(-1) of 200 is 74
    assert!((50..=100).contains(&early), "{early} of 200");
}

#[tokio::test(start_paused = true)]
async fn a_missing_key_is_waited_for_and_stale_ones_beside_it_are_not() {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    load(&acme, &SWR, &[1], 1, &Loads::default()).await.unwrap();
    advance(seconds(11)).await;
    let loads = Loads::default();
    let found = versions(load(&acme, &SWR, &[1, 2], 2, &loads).await);
    assert_eq!(found, [(1, Freshness::Stale), (2, Freshness::Loaded)]);
    settle().await;
    let found = versions(load(&acme, &SWR, &[1, 2], 3, &loads).await);
    assert_eq!((found, loads.count()), (vec![(2, Freshness::Fresh); 2], 1), "one call refreshed the other as well");
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_of_a_tier_below_stands_in_for_a_failed_bulk_load() {
    let (disk, clock) = (MemoryTier::new("disk").persistent(true), SimulatedClock::new());
    let cache = over(&disk, &clock).await;
    load(&tenant(&cache, "acme"), &SIE, &[1, 2], 1, &Loads::default()).await.unwrap();
    cache.close().await.unwrap();
    advance(seconds(11)).await;
    let cache = over(&disk, &clock).await;
    let acme = tenant(&cache, "acme");
    let attempts = Loads::default();
    for _ in 0..10 {
        assert_eq!(versions(fail(&acme, &SIE, &[1, 2], &attempts).await), vec![(1, Freshness::Stale); 2]);
    }
    assert_eq!(attempts.count(), 1, "and it is known to fail from then on");
    let error = fail(&acme, &SIE, &[1, 2, 3], &attempts).await.unwrap_err();
    assert_eq!(error.loader_error(), Some(&"down"), "nothing stands in for a key that no tier has");
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_of_a_tier_below_is_served_at_once_and_refreshed_behind() {
    let (disk, clock) = (MemoryTier::new("disk").persistent(true), SimulatedClock::new());
    let cache = over(&disk, &clock).await;
    load(&tenant(&cache, "acme"), &SWR, &[1, 2], 1, &Loads::default()).await.unwrap();
    cache.close().await.unwrap();
    advance(seconds(11)).await;
    let cache = over(&disk, &clock).await;
    let acme = tenant(&cache, "acme");
    let began = tokio::time::Instant::now();
    let loads = Loads::default();
    let slow = {
        let loads = loads.clone();
        async move |missing: Vec<u32>| {
            loads.next();
            sleep(seconds(1)).await;
            Ok(missing.into_iter().map(|key| (key, 2)).collect::<Vec<_>>())
        }
    };
    let found: Found = acme.get_or_load_many(&SWR, [1, 2], slow).await;
    assert_eq!(versions(found), vec![(1, Freshness::Stale); 2]);
    assert_eq!(began.elapsed(), millis(0), "nobody waits");
    sleep(seconds(2)).await;
    let found = versions(load(&acme, &SWR, &[1, 2], 3, &loads).await);
    assert_eq!((found, loads.count()), (vec![(2, Freshness::Fresh); 2], 1));
    cache.close().await.unwrap();
    let cache = over(&disk, &clock).await;
    let found = versions(load(&tenant(&cache, "acme"), &SWR, &[1, 2], 4, &loads).await);
    assert_eq!(found, vec![(2, Freshness::Fresh); 2], "and it was written below");
}

#[tokio::test(start_paused = true)]
async fn a_value_invalidated_while_its_bulk_load_fails_does_not_stand_in() {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    load(&acme, &SIE, &[1, 2], 1, &Loads::default()).await.unwrap();
    advance(seconds(11)).await;
    let attempts = Loads::default();
    let (failed, _) = tokio::join!(fail(&acme, &SIE, &[1, 2], &attempts), async {
        sleep(millis(20)).await;
        acme.invalidate(SIE.key(&2)).await.unwrap();
    });
    assert_eq!(failed.unwrap_err().loader_error(), Some(&"down"));
}

#[tokio::test(start_paused = true)]
async fn stale_values_are_served_by_get_many_as_by_get() {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    load(&acme, &SWR, &[1], 1, &Loads::default()).await.unwrap();
    load(&acme, &SIE, &[1], 1, &Loads::default()).await.unwrap();
    advance(seconds(11)).await;
    let one = [acme.get(SWR.key(&1)).await, acme.get(SIE.key(&1)).await];
    let many = acme.get_many([SWR.key(&1), SIE.key(&1)]).await;
    assert_eq!(many, one);
    assert!(many[0].as_ref().is_some_and(Cached::is_stale) && many[1].is_none());
}

#[tokio::test(start_paused = true)]
async fn callers_beyond_max_waiters_get_stale_values_or_are_refused() {
    let cache = builder().max_waiters(1).default_policy(Policy::ttl(minutes(5))).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    load(&acme, &SIE, &[1], 1, &Loads::default()).await.unwrap();
    advance(seconds(11)).await;
    let attempts = Loads::default();
    let (_, stale, refused) = tokio::join!(
        fail(&acme, &SIE, &[9], &attempts),
        fail(&acme, &SIE, &[1], &attempts),
        fail(&acme, &SIE, &[1, 2], &attempts),
    );
    assert_eq!(versions(stale), [(1, Freshness::Stale)]);
    assert!(matches!(refused, Err(LoadError::Overloaded)));
    assert_eq!((attempts.count(), acme.stats().overloads), (1, 3));
}
