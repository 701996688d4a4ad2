//! Many keys in one call: each key as it would be alone, with one call of the loader and one batch for each tier.

#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::collections::{BTreeSet, HashMap};

use stratacache::{
    Cache, Cached, ErrorKind, Freshness, Keyspace, LoadError, Namespace, OnWriteError, Policy, event::EventKind, hours,
    millis, minutes, seconds,
};
use stratacache_core::tier::{
    Capability, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind,
};
use stratacache_testkit::{
    clock::SimulatedClock,
    faulty::{Fault, Faults, FaultyTier, On},
    tiers::MemoryTier,
};
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

/// A tier that has no room for long envelopes, but for all others in their batch.
struct Small(MemoryTier);

impl Tier for Small {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn capability(&self) -> Capability {
        self.0.capability()
    }
    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.0.get_many(request).await
    }
    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        let mut outcomes = Vec::new();
        for item in request.items {
            outcomes.push(match item.envelope.len() > 600 {
                true => PutOutcome::Failed(TierError::new(TierErrorKind::Full, "no room")),
                false => self.0.put_many(PutMany::new(vec![item])).await?.remove(0),
            });
        }
        Ok(outcomes)
    }
    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.0.remove_many(request).await
    }
    async fn ping(&self) -> Result<(), TierError> {
        self.0.ping().await
    }
    fn used_bytes(&self) -> Option<u64> {
        self.0.used_bytes()
    }
    async fn close(&self) -> Result<(), TierError> {
        self.0.close().await
    }
}

fn two_faulty_tiers() -> ([MemoryTier; 2], [Faults; 2], [FaultyTier<MemoryTier>; 2]) {
    let tiers = ["upper", "lower"].map(MemoryTier::new);
    let (upper, upper_faults) = FaultyTier::new(tiers[0].clone(), 1);
    let (lower, lower_faults) = FaultyTier::new(tiers[1].clone(), 2);
    (tiers, [upper_faults, lower_faults], [upper, lower])
}

#[tokio::test(start_paused = true)]
async fn many_values_go_below_in_one_batch_for_each_tier() {
    let (tiers, faults, [upper, lower]) = two_faulty_tiers();
    let cache = builder().tier(upper).tier(lower).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let tokens = acme.insert_many((0..100_u32).map(|n| (n, n))).await.unwrap();
    assert!(tokens.len() == 100 && tokens.iter().all(|token| !token.is_superseded()));
    for (tier, faults) in tiers.iter().zip(&faults) {
        assert_eq!([On::Remove, On::Get, On::Put].map(|on| faults.calls(on)), [1, 1, 1], "{tier:?}");
        assert_eq!(tier.names().len(), 100);
    }
    load(&acme, &SWR, &(0..100).collect::<Vec<_>>(), 1, &Loads::default()).await.unwrap();
    settle().await;
    for faults in &faults {
        assert_eq!(
            [On::Remove, On::Get, On::Put].map(|on| faults.calls(on)),
            [1, 2, 2],
            "nor does a bulk load need more"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_fits_a_batch_is_written_in_several() {
    let (tiers, faults, [upper, _]) = two_faulty_tiers();
    let cache = builder().memory(256 << 20).tier(upper).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert_many((0..3_000_u32).map(|n| (n, n))).await.unwrap();
    assert_eq!((tiers[0].names().len(), faults[0].calls(On::Put)), (3_000, 3), "by number");
    // a MiB of noise takes one and a half in MessagePack
    let large = (0..10_u32).map(|n| ("large", n)).map(|key| (key, support::noise(1 << 20)));
    acme.insert_many(large).await.unwrap();
    assert_eq!((tiers[0].names().len(), faults[0].calls(On::Put)), (3_010, 3 + 5), "by weight");
}

#[tokio::test(start_paused = true)]
async fn those_of_many_inserts_that_fail_are_named_and_in_no_tier_and_the_others_are_stored() {
    let (upper, lower) = (MemoryTier::new("upper"), MemoryTier::new("lower"));
    let cache = builder().tier(upper.clone()).tier(Small(lower.clone())).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let values = [("a", 10), ("bread", 10), ("cheese", 2_000), ("d", 10), ("e", 3_000)];
    acme.insert("cheese", support::noise(1)).await.unwrap();
    let error = acme.insert_many(values.map(|(key, length)| (key, support::noise(length)))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    let named = |item: usize| error.message().contains(&format!("{item} (key hash "));
    assert!(error.message().starts_with("items 2 (") && error.message().ends_with("): no room"), "{error}");
    assert_eq!([0, 1, 2, 3, 4].map(named), [false, false, true, false, true], "{error}");
    assert!(!format!("{error:?}").contains("cheese"));
    for (key, length) in values {
        let there = acme.get::<Vec<u8>>(key).await.map(|value| value.len());
        assert_eq!(there, (length < 1_000).then_some(length), "{key}");
    }
    assert_eq!((upper.names().len(), lower.names().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_all_of_many_inserts_names_them_all() {
    let (tiers, [faults, _], [upper, _]) = two_faulty_tiers();
    let cache = builder().tier(upper).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    faults.next(1, On::Remove, Fault::Error(TierErrorKind::Unavailable));
    let error = acme.insert_many((0..5_u32).map(|n| (n, n))).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().starts_with("items 0 to 4: "), "{error}");
    faults.next(1, On::Get, Fault::Error(TierErrorKind::Unavailable));
    let error = acme.insert_many((0..5_u32).map(|n| (n, n))).await.unwrap_err();
    assert!(error.message().starts_with("items 0 to 4: "), "{error}");
    faults.next(1, On::Put, Fault::EachError(TierErrorKind::Full));
    let error = acme.insert_many((0..5_u32).map(|n| (n, n))).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Full && error.message().starts_with("items 0 (key hash "), "{error}");
    assert_eq!(error.message().matches("key hash").count(), 5, "{error}");
    assert!(tiers[0].names().is_empty() && acme.get::<u32>(0_u32).await.is_none());
    let keys = ["short".to_owned(), "long".repeat(20_000)];
    let error = acme.insert_many(keys.map(|key| (key, 1_u32))).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.message().starts_with("item 1 (key hash "), "{error}");
    assert!(acme.get::<u32>("short").await.is_none(), "all are checked before the first is written");
}

#[tokio::test(start_paused = true)]
async fn many_best_effort_inserts_are_content_with_memory() {
    let (tiers, faults, [upper, lower]) = two_faulty_tiers();
    let policy = Policy::ttl(minutes(5)).on_write_error(OnWriteError::BestEffort);
    let cache = builder().tier(upper).tier(lower).default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    faults[0].always(On::Put, Fault::Error(TierErrorKind::Full));
    acme.insert_many((0..5_u32).map(|n| (n, n))).await.unwrap();
    assert_eq!((tiers[0].names().len(), tiers[1].names().len()), (0, 5));
    assert_eq!(cache.stats().tiers[1].write_failures, 1, "one batch");
    assert_eq!(acme.get_many::<u32>(0..5_u32).await.iter().flatten().count(), 5);
}

#[tokio::test(start_paused = true)]
async fn of_a_key_given_more_than_once_the_last_value_is_stored() {
    let cache = builder().tier(MemoryTier::new("below")).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let tokens = acme.insert_many([("a", 1_u32), ("b", 2), ("a", 3)]).await.unwrap();
    assert_eq!(tokens.iter().map(stratacache::Token::is_superseded).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!((acme.get::<u32>("a").await.as_deref(), acme.get::<u32>("b").await.as_deref()), (Some(&3), Some(&2)));
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_during_many_inserts_beats_those_it_concerns_in_every_tier() {
    let (tiers, [faults, _], [upper, _]) = two_faulty_tiers();
    let cache = builder().tier(upper).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    for slow in [On::Remove, On::Get, On::Put] {
        faults.next(1, slow, Fault::Slow(millis(100)));
        let (tokens, _) = tokio::join!(acme.insert_many((0..5_u32).map(|n| (n, n))), async {
            sleep(millis(50)).await;
            acme.invalidate(3_u32).await.unwrap();
        });
        let superseded: Vec<bool> = tokens.unwrap().iter().map(stratacache::Token::is_superseded).collect();
        assert_eq!(superseded, [false, false, false, true, false], "{slow:?}");
        for n in 0..5_u32 {
            assert_eq!(acme.get::<u32>(n).await.is_some(), n != 3, "{slow:?}");
        }
        assert_eq!(tiers[0].names().len(), 4, "{slow:?}");
        let stamp = acme.stamp();
        acme.invalidate_tag("t").await.unwrap();
        let tokens = acme.insert_many([(0_u32, 7_u32), (1, 7)]).tag("t").stamped(stamp).await.unwrap();
        assert!(tokens.iter().all(stratacache::Token::is_superseded) && acme.get::<u32>(0_u32).await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn many_inserts_beat_the_loads_of_their_keys_under_way() {
    let cache = builder().tier(MemoryTier::new("below")).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let slow = async |missing: Vec<u32>| {
        sleep(millis(100)).await;
        Ok::<_, &str>(missing.into_iter().map(|key| (key, 1)).collect::<Vec<_>>())
    };
    let (_, tokens) = tokio::join!(acme.get_or_load_many(&SIE, [1, 2], slow), async {
        sleep(millis(50)).await;
        acme.insert_many([1, 3].map(|n| (SIE.key(&n), 2))).await.unwrap()
    });
    assert!(tokens.iter().all(|token| !token.is_superseded()));
    settle().await;
    let found = [1, 2, 3].map(|n| SIE.key(&n));
    let found: Vec<u32> = acme.get_many(found).await.into_iter().flatten().map(|value| *value).collect();
    assert_eq!(found, [2, 1, 2]);
}
