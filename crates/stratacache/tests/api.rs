//! The API as people meet it: errors with `?`, statistics, events, inspection, closing.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

mod support;

use std::{convert::Infallible, sync::Arc};

use stratacache::{
    Cache, Cached, Consistency, ErrorKind, Key, Keyspace, LoadError, Policy, Target, TenantId,
    event::EventKind,
    hours, millis, minutes, seconds,
    tier::{RemoveMany, Tier},
};
use stratacache_testkit::tiers::MemoryTier;
use support::{Loads, builder, cache, read, settle, tenant};

#[derive(Debug)]
enum AppError {
    Database(Arc<std::io::Error>),
    Other(String),
}

impl From<LoadError<std::io::Error>> for AppError {
    fn from(error: LoadError<std::io::Error>) -> Self {
        match error {
            LoadError::Loader(error) => Self::Database(error),
            other => Self::Other(other.to_string()),
        }
    }
}

#[tokio::test]
async fn question_marks_work_with_io_anyhow_boxed_and_own_errors() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let own: Result<(), AppError> = async {
        acme.get_or_load::<u32, _>("io", async || Err::<u32, _>(std::io::Error::other("down"))).await?;
        Ok(())
    }
    .await;
    assert!(matches!(own, Err(AppError::Database(e)) if e.to_string() == "down"));
    let anyhow: anyhow::Result<u32> = async {
        let value = acme.get_or_load("anyhow", async || anyhow::Ok(5_u32)).await?;
        acme.get_or_load::<u32, _>("fails", async || Err::<u32, _>(anyhow::anyhow!("no row"))).await?;
        Ok(*value)
    }
    .await;
    assert_eq!(anyhow.unwrap_err().to_string(), "the loader failed: no row");
    let boxed: Result<(), Box<dyn std::error::Error>> = async {
        acme.get_or_load::<u32, _>("io", async || "x".parse::<u32>()).await?;
        Ok(())
    }
    .await;
    assert!(boxed.unwrap_err().to_string().contains("invalid digit"));
    struct NotPrintable;
    let raw = acme.get_or_load::<u32, _>("any", async || Err::<u32, _>(NotPrintable)).await;
    assert!(matches!(raw, Err(LoadError::Loader(_))), "any Send + Sync error");
    assert!(matches!(AppError::from(LoadError::Timeout), AppError::Other(text) if text.contains("load_timeout")));
}

#[tokio::test]
async fn values_are_shared_not_copied_and_serialize_as_themselves() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let shared = Arc::new(vec![1, 2, 3]);
    acme.insert::<Vec<i32>>("k", Arc::clone(&shared)).await.unwrap();
    let a: Cached<Vec<i32>> = acme.get("k").await.unwrap();
    let b: Cached<Vec<i32>> = acme.get("k").await.unwrap();
    assert!(std::ptr::eq(a.value(), &*shared) && Cached::same_entry(&a, &b));
    assert_eq!(serde_json::to_string(&a).unwrap(), "[1,2,3]");
    acme.invalidate("k").await.unwrap();
    assert_eq!(a.len(), 3, "a handle outlives the entry");
}

const NAMES: Keyspace<u32, String> = Keyspace::new("names", Policy::ttl(minutes(5)));
const NAMES_V2: Keyspace<u32, String> = Keyspace::new("names", Policy::ttl(minutes(5))).version(2);

#[tokio::test]
async fn a_keyspace_version_bump_is_a_miss() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    acme.insert(NAMES.key(&1), "old shape".to_owned()).await.unwrap();
    assert!(acme.get(NAMES_V2.key(&1)).await.is_none());
    assert!(acme.get(NAMES.key(&1)).await.is_some());
}

#[tokio::test]
async fn a_type_changed_under_the_same_key_is_a_miss_with_an_event() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let mut events = cache.events();
    acme.insert("k", 1_u32).await.unwrap();
    assert!(acme.get::<String>("k").await.is_none());
    let changed = std::iter::from_fn(|| events.try_next())
        .filter_map(Result::ok)
        .any(|e| matches!(e.kind, EventKind::TypeChanged { ref tier } if tier == "memory"));
    assert!(changed);
    assert_eq!(acme.stats().type_changes, 1);
}

#[tokio::test(start_paused = true)]
async fn bulk_reads_load_what_is_missing_in_one_call_and_remember_what_is_absent() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    acme.insert(NAMES.key(&1), "one".to_owned()).await.unwrap();
    let loads = Loads::default();
    let load = |loads: Loads| {
        async move |ids: Vec<u32>| {
            loads.next();
            assert!(!ids.contains(&1), "only what is missing");
            Ok::<_, Infallible>(
                ids.into_iter().filter(|id| *id != 9).map(|id| (id, format!("n{id}"))).collect::<Vec<_>>(),
            )
        }
    };
    let names = acme.get_or_load_many(&NAMES, [1, 2, 3, 2, 9], load(loads.clone())).await.unwrap();
    assert_eq!((names.len(), names[&1].as_str(), names[&2].as_str()), (3, "one", "n2"));
    let names = acme.get_or_load_many(&NAMES, [1, 2, 3, 9], load(loads.clone())).await.unwrap();
    assert_eq!((names.len(), loads.count()), (3, 1), "9 is known to be absent");
    let none = acme.get_or_load_many(&NAMES, [], load(loads.clone())).await.unwrap();
    assert!(none.is_empty());
    let failed = acme.get_or_load_many(&NAMES, [4], async |_: Vec<u32>| Err::<Vec<(u32, String)>, _>("down")).await;
    assert!(matches!(failed, Err(LoadError::Loader(e)) if *e == "down"));
    assert!(acme.get(NAMES.key(&4)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn concurrent_bulk_reads_of_the_same_keys_share_one_load() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let (acme, loads) = (acme.clone(), loads.clone());
            tokio::spawn(async move {
                acme.get_or_load_many(&NAMES, 0..20, async move |ids: Vec<u32>| {
                    loads.next();
                    tokio::time::sleep(millis(10)).await;
                    Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id.to_string())).collect::<Vec<_>>())
                })
                .await
                .unwrap()
                .len()
            })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), 20);
    }
    assert_eq!(loads.count(), 1);
}

#[tokio::test]
async fn many_inserts_and_invalidations_in_one_call() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let tokens = acme.insert_many((0..10_u32).map(|n| (NAMES.key(&n), n.to_string()))).tag("all").await.unwrap();
    assert_eq!(tokens.len(), 10);
    assert!(acme.contains(NAMES.key(&3)).await && !acme.contains(NAMES.key(&10)).await);
    acme.invalidate_many([1, 2].map(|n| NAMES.key(&n))).await.unwrap();
    let there: Vec<bool> = acme.get_many((0..10).map(|n| NAMES.key(&n))).await.iter().map(Option::is_some).collect();
    assert_eq!(there.iter().filter(|t| **t).count(), 8);
    acme.invalidate([Target::of(&NAMES.key(&3)), Target::key("x"), Target::tag("other")]).await.unwrap();
    assert!(!acme.contains(NAMES.key(&3)).await);
    acme.invalidate_tags(["all", "more"]).await.unwrap();
    assert!(!acme.contains(NAMES.key(&5)).await);
}

#[tokio::test(start_paused = true)]
async fn statistics_count_what_happened_per_cache_tenant_namespace_and_keyspace() {
    let cache = cache().await;
    let (acme, other) = (tenant(&cache, "acme"), tenant(&cache, "other"));
    let loads = Loads::default();
    for _ in 0..3 {
        read(&acme, "k", &loads).await;
        read(&acme.namespace("n"), "k", &loads).await;
    }
    read(&other, "k", &loads).await;
    acme.insert(NAMES.key(&1), "x".to_owned()).await.unwrap();
    acme.get(NAMES.key(&1)).await.unwrap();
    let stats = acme.tenant_stats();
    assert_eq!((stats.memory_hits, stats.misses, stats.loads, stats.inserts), (5, 2, 2, 1));
    assert_eq!(stats.entries, Some(3));
    let namespace = acme.namespace("n").stats();
    assert_eq!((namespace.memory_hits, namespace.misses), (2, 1));
    assert_eq!(cache.keyspace_stats("names").memory_hits, 1);
    let whole = cache.stats();
    assert_eq!((whole.memory_hits, whole.misses), (5, 3));
    assert_eq!(whole.hit_rate(), Some(5.0 / 8.0));
    assert!(whole.weight.unwrap() > 0 && whole.used_percent().unwrap() < 1.0);
    assert_eq!(whole.tiers[0].name, "memory");
    assert!(whole.to_string().starts_with("Hit rate: 62.5% (5 hits, 3 misses)\nMemory: 0.00 MB / 64.00 MB"));
    assert_eq!(cache.tenant_stats(&TenantId::parse("nobody").unwrap()), stratacache::Stats::default());
    assert!(serde_json::to_value(&whole).unwrap()["tiers"].is_array());
    assert_eq!(acme.sample_keys(10).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn inspection_calls_valid_only_what_a_read_would_serve() {
    let disk = MemoryTier::new("disk").persistent(true);
    let object = MemoryTier::unfenced("object").persistent(true);
    let open = async || builder().tier(disk.with_journal()).tier(object.clone()).build().await.unwrap();
    let cache = open().await;
    tenant(&cache, "acme").insert("k", 1_u32).await.unwrap();
    let valid = async |cache: &Cache| -> Vec<String> {
        let seen = tenant(cache, "acme").inspect::<u32>("k").await.unwrap();
        seen.tiers.into_iter().filter(|tier| tier.valid).map(|tier| tier.tier).collect()
    };
    assert_eq!(valid(&cache).await, ["memory", "disk", "object"]);
    cache.close().await.unwrap();
    // the journal of the disk does not keep the marks of keys that a tier without fences is judged by
    let cache = open().await;
    assert_eq!(valid(&cache).await, ["disk"]);
    tenant(&cache, "acme").expire("k").await.unwrap();
    assert!(valid(&cache).await.is_empty(), "it has no stale window");
    disk.remove_many(RemoveMany::new(disk.names())).await.unwrap();
    assert!(tenant(&cache, "acme").get::<u32>("k").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn inspection_tells_tier_by_tier_what_is_known_of_a_key() {
    let disk = MemoryTier::new("disk").persistent(true);
    let cache = builder().tier(disk.with_journal()).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let policy = Policy::ttl(minutes(5)).jitter(0.0).stale_if_error(hours(1));
    acme.insert("k", 7_u32).policy(policy).tag("a").tag("b").await.unwrap();
    settle().await;
    tokio::time::advance(seconds(60)).await;
    let seen = acme.inspect::<u32>("k").await.unwrap();
    let names: Vec<_> = seen.tiers.iter().map(|t| t.tier.as_str()).collect();
    assert_eq!(names, ["memory", "disk"]);
    for view in &seen.tiers {
        assert!(view.valid && !view.absent);
        assert_eq!((view.fresh_for, view.age, view.tags), (minutes(4), minutes(1), 2));
        assert_eq!(view.stale_for, minutes(4) + hours(1));
        assert!(view.own > view.stamp && view.own == seen.last_key_mark);
    }
    acme.invalidate_tag("a").await.unwrap();
    let seen = acme.inspect::<u32>("k").await.unwrap();
    assert!(seen.tiers.iter().all(|t| !t.valid));
    assert!(acme.inspect::<u32>("never").await.unwrap().tiers.is_empty());
    assert!(serde_json::to_string(&seen).unwrap().contains("disk"));
}

#[tokio::test(start_paused = true)]
async fn closing_ends_every_task_and_later_calls_say_so() {
    let disk = MemoryTier::new("disk").persistent(true);
    let cache = builder().tier(disk.with_journal()).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert("k", 1_u32).await.unwrap();
    let hanging = tokio::spawn({
        let acme = acme.clone();
        async move { acme.get_or_load("h", std::future::pending::<Result<u32, Infallible>>).await }
    });
    settle().await;
    assert!(cache.active_tasks() >= 2 && !cache.is_closed());
    cache.close().await.unwrap();
    assert_eq!(cache.active_tasks(), 0);
    assert!(matches!(hanging.await.unwrap(), Err(LoadError::Closed)));
    assert!(cache.is_closed());
    assert!(acme.get::<u32>("k").await.is_none());
    assert_eq!(acme.insert("k", 1_u32).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(acme.invalidate("k").await.unwrap_err().kind(), ErrorKind::Closed);
    let late = acme.get_or_load("k", async || Ok::<_, Infallible>(1_u32)).await;
    assert!(matches!(late, Err(LoadError::Closed)), "as those under way: {late:?}");
    let late =
        acme.get_or_load_many(&NAMES, [1], async |_: Vec<u32>| Ok::<_, Infallible>(vec![(1, String::new())])).await;
    assert!(matches!(late, Err(LoadError::Closed)), "{late:?}");
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_is_dropped_without_closing_leaves_no_task_behind() {
    let cache = cache().await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(before >= 1);
    drop(cache);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn consistency_is_accepted_and_costs_nothing_on_one_node() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let token = acme.insert("k", 1_u32).await.unwrap();
    for consistency in [Consistency::Latest, Consistency::Since(token), Consistency::Bounded(millis(1))] {
        assert_eq!(*acme.get::<u32>("k").consistency(consistency).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn keys_and_values_never_show_in_debug_output_or_errors() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme").namespace("canary-namespace").with_tag("canary-tag");
    acme.insert("canary-key", "canary-value".to_owned()).await.unwrap();
    let mut shown =
        format!("{cache:?} {acme:?} {:?} {:?}", Key::<u32>::new("canary-key"), acme.inspect::<u32>("canary-key").await);
    let error = acme.insert("canary-key".repeat(10_000), 1_u32).await.unwrap_err();
    shown += &format!("{error} {error:?} {}", cache.stats());
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_cache_has_no_data_methods() {
    // pinned by the compile-fail tests in tests/ui; here: the doors are what there is
    let cache: Cache = cache().await;
    let _: stratacache::Namespace = cache.global();
    assert!(cache.global().tenant().is_none());
    assert_eq!(tenant(&cache, "a").tenant().map(TenantId::as_str), Some("a"));
}
