//! The memory tier through the public API: quotas, weights, expiry, what happens to values that leave.

#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, ThreadId},
};

use stratacache::{Cache, Keyspace, Local, Namespace, Policy, Quota, TenantId, event::EventKind, minutes, seconds};
use support::{builder, tenant};
use tokio::time::sleep;

async fn fill(ns: &Namespace, keys: std::ops::Range<u32>, bytes: usize) {
    for n in keys {
        ns.insert(n, "v".repeat(bytes)).await.unwrap();
    }
}

fn id(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_flood_evicts_nobody_else_below_their_reserve_and_stays_within_its_limit() {
    let cache = builder()
        .memory(8 << 20)
        .quota(id("kept"), Quota::new().reserve(2 << 20))
        .quota(id("flood"), Quota::new().limit(5 << 20))
        .build()
        .await
        .unwrap();
    fill(&tenant(&cache, "kept"), 0..1_000, 1_000).await;
    fill(&tenant(&cache, "quiet"), 0..500, 1_000).await;
    for round in 0..4 {
        fill(&tenant(&cache, "flood"), round * 10_000..(round + 1) * 10_000, 1_000).await;
        sleep(seconds(1)).await;
        assert!(cache.tenant_stats(&id("flood")).weight.unwrap() <= 5 << 20);
        assert!(cache.stats().weight.unwrap() <= 8 << 20);
    }
    for (name, entries) in [("kept", 1_000), ("quiet", 500)] {
        let stats = cache.tenant_stats(&id(name));
        assert_eq!((stats.entries, stats.evicted_for_capacity), (Some(entries), Some(0)), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_evicted_while_there_is_room_however_a_tenant_fills_up() {
    let cache = builder().memory(64 << 20).build().await.unwrap();
    for (name, entries, bytes) in [("many", 60_000, 10), ("middling", 20_000, 500), ("few", 100, 100_000)] {
        fill(&tenant(&cache, name), 0..entries, bytes).await;
        let stats = cache.tenant_stats(&id(name));
        let found = (stats.entries, stats.evicted_for_capacity);
        assert_eq!(found, (Some(u64::from(entries)), Some(0)), "{name}: {:?} bytes", stats.weight);
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_changes_while_the_cache_runs() {
    let cache = builder().memory(8 << 20).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    fill(&acme, 0..20_000, 1_000).await;
    cache.resize(2 << 20).unwrap();
    let small = cache.stats();
    assert!(small.weight.unwrap() <= 2 << 20 && small.entries.unwrap() > 800, "{small}");
    cache.resize(16 << 20).unwrap();
    fill(&acme, 20_000..40_000, 1_000).await;
    assert!(cache.stats().weight.unwrap() > 12 << 20);
    assert!(cache.resize(1).is_err());
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_or_become_invalid_is_freed_without_being_read() {
    let cache = builder().default_policy(Policy::ttl(seconds(10)).jitter(0.0)).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    fill(&acme, 0..1_000, 100).await;
    sleep(seconds(12)).await;
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.weight, stats.expirations), (Some(0), Some(0), 1_000));
    for n in 0..1_000_u32 {
        acme.namespace("n").insert(n, 1_u32).tag("t").await.unwrap();
        acme.insert(n, 1_u32).ttl(minutes(5)).await.unwrap();
    }
    acme.invalidate_tag("t").await.unwrap();
    sleep(seconds(3)).await;
    assert_eq!(cache.stats().entries, Some(1_000), "those with the tag");
    acme.clear().await.unwrap();
    sleep(seconds(3)).await;
    assert_eq!((cache.stats().entries, cache.stats().weight), (Some(0), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_value_too_heavy_is_returned_but_not_stored_and_counted() {
    const WEIGHED: Keyspace<u32, String> = Keyspace::new("weighed", Policy::ttl(minutes(1))).weigher(|_| 100 << 20);
    let cache = builder().memory(8 << 20).build().await.unwrap();
    let mut events = cache.events();
    let acme = tenant(&cache, "acme");
    let load = async || Ok::<_, std::convert::Infallible>("v".to_owned());
    assert_eq!(*acme.get_or_load(WEIGHED.key(&1), load).await.unwrap(), "v");
    assert!(acme.get(WEIGHED.key(&1)).await.is_none());
    assert_eq!(cache.stats().not_stored, 1);
    let mut told = false;
    while let Some(Ok(event)) = events.try_next() {
        told |= matches!(event.kind, EventKind::NotStored { .. });
    }
    assert!(told);
}

#[tokio::test(start_paused = true)]
async fn a_type_changed_under_a_key_is_a_miss_with_an_event() {
    let cache = builder().build().await.unwrap();
    let mut events = cache.events();
    let acme = tenant(&cache, "acme");
    acme.insert("k", 1_u32).await.unwrap();
    assert!(acme.get::<String>("k").await.is_none());
    assert_eq!(cache.stats().type_changes, 1);
    let mut told = false;
    while let Some(Ok(event)) = events.try_next() {
        told |= matches!(event.kind, EventKind::TypeChanged { .. });
    }
    assert!(told);
}

#[tokio::test(start_paused = true)]
async fn a_handle_keeps_its_value_after_the_entry_has_left() {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert("k", "old".to_owned()).await.unwrap();
    let held = acme.get::<String>("k").await.unwrap();
    acme.insert("k", "new".to_owned()).await.unwrap();
    acme.clear().await.unwrap();
    assert_eq!(*held, "old");
}

/// Calls back into the cache when it is dropped.
struct Returning {
    door: Arc<Mutex<Option<Namespace>>>,
    drops: Arc<AtomicUsize>,
}

impl Drop for Returning {
    fn drop(&mut self) {
        let n = self.drops.fetch_add(1, SeqCst);
        let Some(door) = self.door.lock().unwrap().clone() else { return };
        // memory only: each of these is ready at once
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut insert = std::pin::pin!(IntoFuture::into_future(door.insert(("from drop", n), n)));
        let _ready = Future::poll(insert.as_mut(), &mut context);
        let mut get = std::pin::pin!(IntoFuture::into_future(door.get::<usize>(("from drop", n))));
        let _ready = Future::poll(get.as_mut(), &mut context);
        let mut invalidate = std::pin::pin!(IntoFuture::into_future(door.invalidate(("from drop", n / 2))));
        let _ready = Future::poll(invalidate.as_mut(), &mut context);
    }
}

#[tokio::test(start_paused = true)]
async fn values_are_dropped_outside_locks() {
    let cache: Cache = builder().memory(2 << 20).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let door = Arc::new(Mutex::new(Some(acme.clone())));
    let drops = Arc::new(AtomicUsize::new(0));
    let value = || Local(Returning { door: Arc::clone(&door), drops: Arc::clone(&drops) });
    let fill = async |keys: std::ops::Range<u32>| {
        for n in keys {
            acme.insert(n, value()).tag("t").ttl(seconds(60)).await.unwrap();
        }
    };
    fill(0..20_000).await;
    let evicted = drops.load(SeqCst);
    assert!(evicted > 1_000, "evicted");
    fill(19_000..20_000).await; // replaced
    for n in 19_500..20_000_u32 {
        acme.invalidate(n).await.unwrap();
    }
    cache.resize(1 << 20).unwrap();
    fill(0..500).await;
    acme.invalidate_tag("t").await.unwrap();
    sleep(seconds(3)).await; // swept
    fill(0..500).await;
    sleep(seconds(70)).await; // expired
    fill(0..500).await;
    acme.clear().await.unwrap();
    fill(0..500).await;
    assert!(drops.load(SeqCst) > evicted);
    cache.close().await.unwrap();
    *door.lock().unwrap() = None;
}

#[tokio::test(start_paused = true)]
async fn closing_leaves_no_task_and_no_entry() {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    fill(&acme, 0..100, 100).await;
    assert_eq!(acme.sample_keys(7).len(), 7);
    assert!(cache.stats().to_string().contains("Memory: 0."));
    cache.close().await.unwrap();
    assert_eq!((cache.active_tasks(), cache.stats().entries, cache.stats().weight), (0, Some(0), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn thousands_of_tenants_that_wake_up_at_once_keep_their_first_entries() {
    let cache = builder().memory(256 << 20).build().await.unwrap();
    let tenants: Vec<Namespace> = (0..10_000_u64).map(|n| cache.tenant(&TenantId::from(n))).collect();
    for ns in &tenants {
        ns.insert("first", "v".repeat(100)).await.unwrap();
    }
    let stats = cache.stats();
    assert_eq!(stats.entries, Some(10_000));
    assert!(stats.weight <= stats.limit);
}

/// Remembers which threads it was dropped by.
struct Dropped(Arc<Mutex<Vec<ThreadId>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

#[tokio::test(start_paused = true)]
async fn many_entries_of_a_cleared_tenant_are_gone_at_once_and_are_freed_where_nobody_waits_for_it() {
    const MANY: u32 = 10_000;
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let here = thread::current().id();
    for (clears, ttl) in [(true, minutes(5)), (false, seconds(1))] {
        let dropped = Arc::new(Mutex::new(Vec::new()));
        for n in 0..MANY {
            acme.insert(n, Local(Dropped(Arc::clone(&dropped)))).ttl(ttl).await.unwrap();
        }
        assert_eq!(cache.tenant_stats(&id("acme")).entries, Some(u64::from(MANY)));
        if clears {
            acme.clear().await.unwrap();
            assert_eq!(cache.tenant_stats(&id("acme")).entries, Some(0), "before they are freed");
        }
        sleep(seconds(60)).await;
        while dropped.lock().unwrap().len() < MANY as usize {
            sleep(seconds(1)).await;
        }
        assert!(!dropped.lock().unwrap().contains(&here), "this thread runs the tasks of all");
        assert!(cache.tenant_stats(&id("acme")).weight.unwrap() < 100_000, "the bytes came back");
    }
    for n in 0..MANY {
        acme.insert(n, n).await.unwrap();
    }
    assert_eq!(cache.tenant_stats(&id("acme")).entries, Some(u64::from(MANY)), "there is room again");
}
