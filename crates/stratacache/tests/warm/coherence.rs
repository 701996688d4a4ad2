//! "Warm, then write, then store" never stores the old value; one load for each key, whoever began it.

use stratacache::{Cache, Namespace, Tag};
use stratacache::{millis, seconds};
use stratacache_testkit::tiers::MemoryTier;
use tokio::time::sleep;

use crate::{
    kit::{ROWS, Source, held},
    support::{builder, settle, tenant},
};

#[derive(Debug, Clone, Copy)]
enum Change {
    Key,
    Tag,
    GlobalTag,
    Namespace,
    Tenant,
    Insert,
}

const ALL: [Change; 6] =
    [Change::Key, Change::Tag, Change::GlobalTag, Change::Namespace, Change::Tenant, Change::Insert];

/// Changes the source, then says so.
async fn change(how: Change, cache: &Cache, ns: &Namespace, source: &Source) {
    source.write();
    match how {
        Change::Key => drop(ns.invalidate(ROWS.key(&1)).await.unwrap()),
        Change::Tag => drop(ns.invalidate_tag("rows").await.unwrap()),
        Change::GlobalTag => drop(cache.invalidate_global_tag("all").await.unwrap()),
        Change::Namespace => drop(ns.clear().await.unwrap()),
        Change::Tenant => drop(tenant(cache, "acme").clear().await.unwrap()),
        Change::Insert => drop(ns.insert(ROWS.key(&1), 1_001).await.unwrap()),
    }
}

/// Warms keys 0 to 3, each load of which takes 50 ms.
async fn warm(ns: &Namespace, source: &Source, many: bool, forced: bool) {
    let source = source.clone();
    let warm = ns.warm(&ROWS, 0..4).tag("rows").tag(Tag::global("all")).batch(4);
    let warm = if forced { warm.force() } else { warm };
    let report = match many {
        true => warm.load_many(async move |keys| source.rows(keys, millis(50)).await).await,
        false => warm.load(async move |key| source.row(key, millis(50)).await).await,
    };
    assert_eq!(report.unwrap().progress.loaded, 4);
}

#[tokio::test(start_paused = true)]
async fn a_change_while_a_key_is_warmed_beats_it_in_every_tier() {
    for how in ALL {
        for (many, forced) in [(false, false), (false, true), (true, false), (true, true)] {
            let below = MemoryTier::new("below");
            let cache = builder().tier(below.clone()).build().await.unwrap();
            let ns = tenant(&cache, "acme").namespace("inner");
            let source = Source::default();
            tokio::join!(warm(&ns, &source, many, forced), async {
                sleep(millis(20)).await;
                change(how, &cache, &ns, &source).await;
            });
            settle().await;
            let context = format!("{how:?}, many: {many}, forced: {forced}");
            let found = ns.get(ROWS.key(&1)).await.as_deref().copied();
            let wanted = matches!(how, Change::Insert).then_some(1_001);
            assert_eq!(found, wanted, "{context}");
            let others = if matches!(how, Change::Key | Change::Insert) { 3 } else { 0 };
            assert_eq!(held(&ns, [0, 2, 3]).await, others, "{context}");
            let read = source.clone();
            let again = ns.get_or_load(ROWS.key(&1), move || read.row(1, millis(1))).await.unwrap();
            assert_eq!(*again, 1_001, "{context}: the new value");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_before_a_key_is_begun_is_seen_by_its_load() {
    let cache = builder().build().await.unwrap();
    let ns = tenant(&cache, "acme");
    let source = Source::default();
    let row = source.clone();
    let warm = ns.warm(&ROWS, 0..10).load(async move |key| row.row(key, millis(10)).await).concurrency(1);
    let handle = warm.start().unwrap();
    sleep(millis(45)).await;
    source.write();
    for key in [0, 4, 9] {
        ns.invalidate(ROWS.key(&key)).await.unwrap();
    }
    let report = handle.finish().await;
    assert_eq!(report.progress.loaded, 10);
    let found = [0, 3, 4, 5, 9].map(|key| ns.get(ROWS.key(&key)));
    let mut versions = Vec::new();
    for one in found {
        versions.push(one.await.map(|value| *value % 1_000));
    }
    assert_eq!(versions, [None, Some(0), None, Some(1), Some(1)], "0 was there, 4 was under way, 9 had not begun");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_meanwhile_joins_the_warm_up_s_load() {
    for many in [false, true] {
        let cache = builder().build().await.unwrap();
        let ns = tenant(&cache, "acme");
        let source = Source::default();
        let (_, values) = tokio::join!(warm(&ns, &source, many, false), async {
            sleep(millis(20)).await;
            let mut values = Vec::new();
            for _ in 0..20 {
                let read = source.clone();
                values.push(ns.get_or_load(ROWS.key(&2), move || read.row(2, seconds(9))).tag("rows").await.unwrap());
            }
            values
        });
        assert!(values.iter().all(|value| **value == 2_000), "many: {many}");
        assert_eq!(source.loaded(), (4, 1), "many: {many}");
        assert_eq!(ns.stats().flights_joined, 1, "the others found it in memory");
    }
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_joins_the_loads_of_readers() {
    for many in [false, true] {
        let cache = builder().build().await.unwrap();
        let ns = tenant(&cache, "acme");
        let source = Source::default();
        let read = source.clone();
        let (value, ()) =
            tokio::join!(ns.get_or_load(ROWS.key(&2), move || read.row(2, millis(100))).into_future(), async {
                sleep(millis(20)).await;
                warm(&ns, &source, many, false).await;
            });
        assert_eq!((*value.unwrap(), source.loaded()), (2_000, (4, 1)), "many: {many}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_between_two_warm_ups_is_what_the_second_stores() {
    let cache = builder().build().await.unwrap();
    let ns = tenant(&cache, "acme");
    let source = Source::default();
    warm(&ns, &source, false, false).await;
    change(Change::Tag, &cache, &ns, &source).await;
    warm(&ns, &source, true, false).await;
    assert_eq!(ns.get(ROWS.key(&3)).await.as_deref(), Some(&3_001));
}
