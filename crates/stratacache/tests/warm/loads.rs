//! What is loaded, and what is not.

use stratacache::{Cache, Keyspace, Lookup, Policy, WarmEnd, hours, millis, seconds};
use stratacache_testkit::{clock::SimulatedClock, tiers::MemoryTier};
use tokio::time::advance;

use crate::{
    kit::{ROWS, Source, TTL, held},
    support::{builder, cache, settle, tenant},
};

#[tokio::test(start_paused = true)]
async fn every_key_is_loaded_once_and_readers_hit() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let (one, many) = (Source::default(), Source::default());
    let (row, rows) = (one.clone(), many.clone());
    let report = acme.warm(&ROWS, 0..500).load(async move |key| row.row(key, millis(3)).await).await.unwrap();
    assert!(report.is_success() && matches!(report.ended, WarmEnd::Complete));
    assert_eq!((report.progress.loaded, report.progress.done(), report.resume_at), (500, 500, 500));
    assert_eq!(one.loaded(), (500, 1));
    let report = acme
        .warm(&ROWS, 500..1_234)
        .load_many(async move |keys| rows.rows(keys, millis(3)).await)
        .batch(100)
        .await
        .unwrap();
    assert_eq!((report.progress.loaded, many.loaded(), many.calls()), (734, (734, 1), 8));
    assert!(report.progress.bytes > 734 * 8, "{report:?}");
    let before = acme.stats();
    assert_eq!((before.hits(), before.misses), (0, 0), "a warm-up is no reader");
    assert_eq!(before.loads, 508);
    assert_eq!(held(&acme, 0..1_234).await, 1_234);
}

#[tokio::test(start_paused = true)]
async fn what_is_fresh_in_memory_is_not_loaded_unless_it_is_forced() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    for key in 0..10 {
        acme.insert(ROWS.key(&key), 7).await.unwrap();
    }
    let source = Source::default();
    let row = |source: &Source| {
        let source = source.clone();
        async move |key| source.row(key, millis(1)).await
    };
    let report = acme.warm(&ROWS, 0..15).load(row(&source)).await.unwrap();
    assert_eq!((report.progress.there, report.progress.loaded), (10, 5));
    assert_eq!((source.loaded(), acme.get(ROWS.key(&3)).await.as_deref()), ((5, 1), Some(&7)));
    let report = acme.warm(&ROWS, 0..15).load(row(&source)).force().await.unwrap();
    assert_eq!((report.progress.there, report.progress.loaded), (0, 15));
    let rows = source.clone();
    let report = acme.warm(&ROWS, 0..15).load_many(async move |keys| rows.rows(keys, millis(1)).await).force().await;
    assert_eq!(report.unwrap().progress.loaded, 15);
    assert_eq!((source.loaded(), acme.get(ROWS.key(&3)).await.as_deref()), ((15, 3), Some(&3_000)));
}

async fn over(disk: &MemoryTier, clock: &SimulatedClock) -> Cache {
    builder().clock(clock.clone()).tier(disk.with_journal()).build().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_a_tier_below_has_is_promoted_and_only_the_rest_is_loaded() {
    let (disk, clock) = (MemoryTier::new("disk").persistent(true), SimulatedClock::new());
    let cache = over(&disk, &clock).await;
    let acme = tenant(&cache, "acme");
    acme.insert_many((0..60).map(|key| (ROWS.key(&key), 1))).await.unwrap();
    acme.invalidate(ROWS.key(&59)).await.unwrap();
    cache.close().await.unwrap();
    for kind in ["one", "many", "tiers"] {
        let cache = over(&disk, &clock).await;
        let acme = tenant(&cache, "acme");
        let source = Source::default();
        let (row, rows) = (source.clone(), source.clone());
        let warm = acme.warm(&ROWS, 0..70).tiers(stratacache::Tiers::all().read_only("disk"));
        let progress = match kind {
            "one" => warm.load(async move |key| row.row(key, millis(1)).await).await.unwrap().progress,
            "many" => warm.load_many(async move |keys| rows.rows(keys, millis(1)).await).await.unwrap().progress,
            _ => warm.from_tiers().await.unwrap().progress,
        };
        let loaded = if kind == "tiers" { 0 } else { 11 };
        assert_eq!((progress.promoted, progress.loaded, progress.missing), (59, loaded, 11 - loaded), "{kind}");
        assert_eq!(source.loaded().0 as u64, loaded, "{kind}");
        let memory = acme.get_many((0..59).map(|key| ROWS.key(&key))).tiers(stratacache::Tiers::memory_only()).await;
        assert_eq!(memory.into_iter().flatten().count(), 59, "{kind}");
        cache.close().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn forced_loads_do_not_ask_the_tiers_below_and_are_written_there() {
    let (disk, clock) = (MemoryTier::new("disk").persistent(true), SimulatedClock::new());
    let cache = over(&disk, &clock).await;
    tenant(&cache, "acme").insert_many((0..20).map(|key| (ROWS.key(&key), 1))).await.unwrap();
    cache.close().await.unwrap();
    let cache = over(&disk, &clock).await;
    let acme = tenant(&cache, "acme");
    let source = Source::default();
    let (row, rows) = (source.clone(), source.clone());
    let one = acme.warm(&ROWS, 0..10).load(async move |key| row.row(key, millis(1)).await).force().await.unwrap();
    let many =
        acme.warm(&ROWS, 10..20).load_many(async move |keys| rows.rows(keys, millis(1)).await).force().await.unwrap();
    assert_eq!((one.progress.loaded, many.progress.loaded, source.loaded()), (10, 10, (20, 1)));
    settle().await;
    cache.close().await.unwrap();
    let cache = over(&disk, &clock).await;
    let below = tenant(&cache, "acme").get_many((0..20).map(|key| ROWS.key(&key))).await;
    assert!(below.into_iter().zip(0..).all(|(value, key)| value.is_some_and(|v| *v == key * 1_000)));
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_is_loaded_again_and_waited_for() {
    const SWR: Keyspace<u32, u64> = Keyspace::new("swr", TTL.stale_while_revalidate(hours(1)));
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let source = Source::default();
    for _ in 0..2 {
        let (row, rows) = (source.clone(), source.clone());
        let one = acme.warm(&SWR, 0..10).load(async move |key| row.row(key, millis(5)).await).await.unwrap();
        let many = acme.warm(&SWR, 10..20).load_many(async move |keys| rows.rows(keys, millis(5)).await).await.unwrap();
        assert_eq!((one.progress.loaded, many.progress.loaded), (10, 10));
        assert!(acme.get(SWR.key(&1)).await.is_some_and(|value| !value.is_stale()));
        advance(seconds(61)).await;
    }
    assert_eq!(source.loaded(), (20, 2));
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_below_is_loaded_too_under_the_same_limits() {
    const SWR: Keyspace<u32, u64> = Keyspace::new("swr", TTL.stale_while_revalidate(hours(1)));
    let (disk, clock) = (MemoryTier::new("disk").persistent(true), SimulatedClock::new());
    let cache = over(&disk, &clock).await;
    tenant(&cache, "acme").insert_many((0..40).map(|key| (SWR.key(&key), 1))).await.unwrap();
    cache.close().await.unwrap();
    advance(seconds(61)).await;
    let cache = builder().clock(clock.clone()).max_loads(8).tier(disk.with_journal()).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let source = Source::default();
    let row = source.clone();
    let report = acme.warm(&SWR, 0..40).load(async move |key| row.row(key, millis(5)).await).await.unwrap();
    assert_eq!(report.progress.stale, 40, "{report:?}");
    tokio::time::sleep(seconds(1)).await;
    assert_eq!((source.loaded(), source.most_running()), ((40, 1), 2), "a quarter of max_loads");
    assert!(acme.get(SWR.key(&1)).await.is_some_and(|value| !value.is_stale()));
}

#[tokio::test(start_paused = true)]
async fn what_the_source_does_not_have_is_kept_as_absent() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let odd = async |key: u32| Ok::<_, &str>((!key.is_multiple_of(2)).then_some(u64::from(key)));
    let report = acme.warm(&ROWS, 0..10).load_optional(odd).await.unwrap();
    assert_eq!((report.progress.loaded, report.progress.absent), (5, 5));
    let none = async |_: Vec<u32>| Ok::<_, &str>(Vec::new());
    let report = acme.warm(&ROWS, 0..20).load_many(none).await.unwrap();
    assert_eq!((report.progress.there, report.progress.absent), (10, 10), "an absence is an answer");
    assert_eq!(acme.lookup(ROWS.key(&12)).await, Lookup::Absent);
    let report = acme.warm(&ROWS, 0..20).load(async |key: u32| Ok::<_, &str>(u64::from(key))).await.unwrap();
    assert_eq!((report.progress.there, report.progress.loaded), (5, 15), "but not to a loader of values");
}

#[tokio::test(start_paused = true)]
async fn the_policy_of_the_keyspace_holds_and_what_the_call_says_wins() {
    let cache = builder().default_policy(Policy::ttl(seconds(1))).build().await.unwrap();
    let acme = tenant(&cache, "acme").with_ttl(seconds(2)).with_tag("of-the-namespace");
    let load = async |key: u32| Ok::<_, &str>(u64::from(key));
    acme.warm(&ROWS, 0..10).load(load).tag("rows").await.unwrap().is_success().then_some(()).unwrap();
    acme.warm(&ROWS, 10..20).ttl(seconds(5)).load(load).await.unwrap().is_success().then_some(()).unwrap();
    advance(seconds(4)).await;
    assert_eq!(held(&acme, 0..20).await, 20);
    advance(seconds(2)).await;
    assert_eq!(held(&acme, 0..20).await, 10, "those with a ttl of their own are gone");
    acme.invalidate_tag("rows").await.unwrap();
    assert_eq!(held(&acme, 0..20).await, 0);
    acme.warm(&ROWS, 0..10).load(load).await.unwrap().is_success().then_some(()).unwrap();
    acme.invalidate_tag("of-the-namespace").await.unwrap();
    assert_eq!(held(&acme, 0..10).await, 0);
}

#[tokio::test(start_paused = true)]
async fn one_tenant_s_warm_up_fills_nothing_of_another() {
    let cache = cache().await;
    let [acme, other] = ["acme", "other"].map(|name| tenant(&cache, name));
    let source = Source::default();
    let row = source.clone();
    let report = acme.warm(&ROWS, 0..50).load(async move |key| row.row(key, millis(1)).await).await.unwrap();
    assert_eq!(report.progress.loaded, 50);
    let inner = acme.namespace("inner");
    assert_eq!([held(&acme, 0..50).await, held(&other, 0..50).await, held(&inner, 0..50).await], [50, 0, 0]);
    let rows = source.clone();
    let report = other.warm(&ROWS, 0..50).load_many(async move |keys| rows.rows(keys, millis(1)).await).await.unwrap();
    assert_eq!((report.progress.loaded, source.loaded()), (50, (50, 2)), "its own loads");
}
