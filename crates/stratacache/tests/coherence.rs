//! Coherence on one node: an invalidation beats every fill, in every tier.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

mod support;

use std::{convert::Infallible, sync::Arc};

use stratacache::{Cache, Cached, Keyspace, Lookup, Namespace, Policy, Tag, Target, millis, minutes, seconds};
use stratacache_testkit::tiers::MemoryTier;
use support::{Loads, builder, cache, read, read_slowly, settle, tenant};
use tokio::time::{advance, sleep};

/// The ways to invalidate what a load of key `k` in namespace `ns` with tags `t` and global tag `g` depends on.
#[derive(Debug, Clone, Copy)]
enum How {
    Key,
    Tag,
    GlobalTag,
    AllTenants,
    Namespace,
    Parent,
    Tenant,
    Mixed,
}

const ALL: [How; 8] =
    [How::Key, How::Tag, How::GlobalTag, How::AllTenants, How::Namespace, How::Parent, How::Tenant, How::Mixed];

async fn invalidate(how: How, cache: &Cache, acme: &Namespace) {
    let ns = acme.namespace("outer").namespace("inner");
    match how {
        How::Key => ns.invalidate("k").await,
        How::Tag => acme.invalidate_tag("t").await,
        How::GlobalTag => cache.invalidate_global_tag("g").await,
        How::AllTenants => cache.clear_all_tenants().await,
        How::Namespace => ns.clear().await,
        How::Parent => acme.namespace("outer").clear().await,
        How::Tenant => acme.clear().await,
        How::Mixed => acme.invalidate([Target::key("other"), Target::tag("t"), Target::namespace("x")]).await,
    }
    .unwrap();
}

async fn load(acme: &Namespace, loads: &Loads) -> usize {
    let loads = loads.clone();
    let ns = acme.namespace("outer").namespace("inner").with_tag("t");
    let value: Cached<usize> = ns
        .get_or_load("k", async move || {
            let n = loads.next();
            sleep(millis(50)).await;
            Ok::<_, Infallible>(n)
        })
        .tag(Tag::global("g"))
        .await
        .unwrap();
    *value
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_during_a_load_wins() {
    for how in ALL {
        let cache = cache().await;
        let acme = tenant(&cache, "acme");
        let loads = Loads::default();
        let early = tokio::spawn({
            let (acme, loads) = (acme.clone(), loads.clone());
            async move { load(&acme, &loads).await }
        });
        sleep(millis(10)).await;
        invalidate(how, &cache, &acme).await;
        // a reader that comes later starts a load of its own
        assert_eq!(load(&acme, &loads).await, 2, "{how:?}");
        assert_eq!(early.await.unwrap(), 1, "{how:?}: who came before gets the old value");
        assert_eq!(load(&acme, &loads).await, 2, "{how:?}: the old value was not kept");
        assert_eq!(loads.count(), 2, "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_ends_after_an_invalidation_is_not_kept() {
    for how in ALL {
        let cache = cache().await;
        let acme = tenant(&cache, "acme");
        let loads = Loads::default();
        let early = tokio::spawn({
            let (acme, loads) = (acme.clone(), loads.clone());
            async move { load(&acme, &loads).await }
        });
        sleep(millis(10)).await;
        invalidate(how, &cache, &acme).await;
        assert_eq!(early.await.unwrap(), 1);
        let ns = acme.namespace("outer").namespace("inner");
        assert_eq!(ns.lookup::<usize>("k").await, Lookup::Miss, "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_removes_what_is_cached() {
    for how in ALL {
        let cache = cache().await;
        let acme = tenant(&cache, "acme");
        let loads = Loads::default();
        assert_eq!(load(&acme, &loads).await, 1);
        assert_eq!(load(&acme, &loads).await, 1);
        invalidate(how, &cache, &acme).await;
        assert_eq!(load(&acme, &loads).await, 2, "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_during_a_refresh_behind_wins() {
    for how in ALL {
        let policy = Policy::ttl(seconds(10)).jitter(0.0).stale_while_revalidate(minutes(5));
        let cache = builder().default_policy(policy).build().await.unwrap();
        let acme = tenant(&cache, "acme");
        let loads = Loads::default();
        load(&acme, &loads).await;
        advance(seconds(11)).await;
        assert_eq!(load(&acme, &loads).await, 1, "stale; the refresh is under way");
        sleep(millis(10)).await;
        invalidate(how, &cache, &acme).await;
        assert_eq!(load(&acme, &loads).await, 3, "{how:?}: neither the stale value nor the refresh's");
        sleep(millis(100)).await;
        assert_eq!(load(&acme, &loads).await, 3, "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn stale_if_error_never_serves_what_was_invalidated() {
    for how in ALL {
        let policy = Policy::ttl(seconds(10)).jitter(0.0).stale_if_error(minutes(5));
        let cache = builder().default_policy(policy).build().await.unwrap();
        let acme = tenant(&cache, "acme");
        load(&acme, &Loads::default()).await;
        advance(seconds(11)).await;
        let ns = acme.namespace("outer").namespace("inner").with_tag("t");
        let failing = tokio::spawn(async move {
            ns.get_or_load::<usize, _>("k", async || {
                sleep(millis(50)).await;
                Err::<usize, _>("down")
            })
            .tag(Tag::global("g"))
            .await
        });
        sleep(millis(10)).await;
        invalidate(how, &cache, &acme).await;
        assert!(failing.await.unwrap().is_err(), "{how:?}: the stale value was invalidated meanwhile");
    }
}

const NAMES: Keyspace<u32, String> = Keyspace::new("names", Policy::ttl(minutes(5)));

#[tokio::test(start_paused = true)]
async fn an_invalidation_during_a_bulk_load_wins() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let bulk = tokio::spawn({
        let acme = acme.clone();
        async move {
            acme.get_or_load_many(&NAMES, [1, 2, 3], async |ids: Vec<u32>| {
                sleep(millis(50)).await;
                Ok::<_, Infallible>(ids.into_iter().map(|id| (id, format!("old {id}"))).collect::<Vec<_>>())
            })
            .tag("people")
            .await
            .unwrap()
        }
    });
    sleep(millis(10)).await;
    acme.invalidate(NAMES.key(&2)).await.unwrap();
    assert_eq!(bulk.await.unwrap().len(), 3, "who came before gets all");
    assert!(acme.get(NAMES.key(&1)).await.is_some());
    assert!(acme.get(NAMES.key(&2)).await.is_none(), "not kept");
    acme.invalidate_tag("people").await.unwrap();
    assert!(acme.get(NAMES.key(&1)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_during_a_negative_load_wins() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let negative = tokio::spawn({
        let acme = acme.clone();
        async move {
            acme.get_or_load_optional::<u32, _>("row", async || {
                sleep(millis(50)).await;
                Ok::<_, Infallible>(None)
            })
            .await
            .unwrap()
        }
    });
    sleep(millis(10)).await;
    acme.invalidate("row").await.unwrap(); // the row was created
    assert!(negative.await.unwrap().is_none());
    assert_eq!(acme.lookup::<u32>("row").await, Lookup::Miss, "the absence was not kept");
}

#[tokio::test(start_paused = true)]
async fn an_explicit_insert_beats_an_older_load() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    let early = tokio::spawn({
        let (acme, loads) = (acme.clone(), loads.clone());
        async move { read_slowly(&acme, "k", &loads, millis(50)).await }
    });
    sleep(millis(10)).await;
    acme.insert("k", 99_usize).await.unwrap();
    assert_eq!(read(&acme, "k", &loads).await, 99, "who comes later gets the insert");
    assert_eq!(early.await.unwrap(), 1);
    assert_eq!(read(&acme, "k", &loads).await, 99, "and it stays");
}

#[tokio::test(start_paused = true)]
async fn an_insert_with_a_stamp_loses_to_what_came_after_the_stamp() {
    for how in ALL {
        let cache = cache().await;
        let acme = tenant(&cache, "acme");
        let ns = acme.namespace("outer").namespace("inner");
        let stamp = ns.stamp();
        invalidate(how, &cache, &acme).await;
        let token = ns.insert("k", 1_usize).stamped(stamp).tag("t").tag(Tag::global("g")).await.unwrap();
        assert!(token.is_superseded(), "{how:?}");
        assert!(ns.get::<usize>("k").await.is_none(), "{how:?}");
        let token = ns.insert("k", 2_usize).stamped(ns.stamp()).tag("t").await.unwrap();
        assert!(!token.is_superseded());
        assert_eq!(*ns.get::<usize>("k").await.unwrap(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_insert_whose_stamp_is_older_than_what_is_remembered_of_keys_is_never_kept_over_an_invalidation() {
    for (others, wait) in [(2_000, seconds(0)), (1, seconds(25))] {
        let cache = cache().await;
        let acme = tenant(&cache, "acme");
        let stamp = acme.stamp();
        acme.invalidate("k").await.unwrap();
        for n in 0..others {
            acme.insert(n, 0_u32).await.unwrap();
        }
        sleep(wait).await;
        let token = acme.insert("k", 1_u32).stamped(stamp).await.unwrap();
        assert!(token.is_superseded(), "{others} others, {wait:?}");
        assert!(acme.get::<u32>("k").await.is_none(), "{others} others, {wait:?}");
        let token = acme.insert("k", 2_u32).stamped(acme.stamp()).await.unwrap();
        assert!(!token.is_superseded(), "a fresh stamp");
        assert_eq!(acme.get::<u32>("k").await.as_deref(), Some(&2));
    }
}

#[tokio::test(start_paused = true)]
async fn the_later_of_two_inserts_stays_whatever_their_stamps_say() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let old = acme.stamp();
    acme.insert("k", 1_u32).await.unwrap();
    assert!(acme.insert("k", 2_u32).stamped(old).await.unwrap().is_superseded());
    assert!(acme.get::<u32>("k").await.is_none(), "two writers raced: the next reader asks the source");
}

#[tokio::test(start_paused = true)]
async fn readers_get_answers_under_a_thousand_invalidations_a_second() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    let storm = tokio::spawn({
        let acme = acme.clone();
        async move {
            for _ in 0..2_000 {
                acme.invalidate("k").await.unwrap();
                sleep(millis(1)).await;
            }
        }
    });
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let (acme, loads) = (acme.clone(), loads.clone());
            tokio::spawn(async move {
                let mut longest = std::time::Duration::ZERO;
                for _ in 0..10 {
                    let began = tokio::time::Instant::now();
                    read_slowly(&acme, "k", &loads, millis(50)).await;
                    longest = longest.max(began.elapsed());
                    sleep(millis(7)).await;
                }
                longest
            })
        })
        .collect();
    for reader in readers {
        // one load that was refused, and one more
        assert!(reader.await.unwrap() <= millis(110));
    }
    storm.abort();
}

#[tokio::test(start_paused = true)]
async fn expire_keeps_the_value_for_the_stale_windows_and_invalidate_does_not() {
    let policy = Policy::ttl(minutes(5)).stale_if_error(minutes(5));
    let cache = builder().default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let failing = async || acme.get_or_load::<u32, _>("k", async || Err::<u32, _>("down")).tag("t").await;
    for step in 0..4 {
        acme.insert("k", step).tag("t").await.unwrap();
        assert!(!failing().await.unwrap().is_stale());
        match step {
            0 => acme.expire("k").await,
            1 => acme.expire_tag("t").await,
            2 => acme.expire_all().await,
            _ => acme.invalidate("k").await,
        }
        .unwrap();
        match step {
            3 => assert!(failing().await.is_err()),
            _ => assert_eq!(failing().await.map(|v| (*v, v.is_stale())).unwrap(), (step, true), "{step}"),
        }
    }
    // a load after the expiry is fresh again
    let loads = Loads::default();
    acme.insert("n", 5_usize).await.unwrap();
    acme.expire("n").await.unwrap();
    assert_eq!(read(&acme, "n", &loads).await, 1);
    assert_eq!(read(&acme, "n", &loads).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_global_tag_reaches_every_tenant_and_an_equal_tenant_tag_does_not() {
    let cache = cache().await;
    let (a, b) = (tenant(&cache, "a"), tenant(&cache, "b"));
    for ns in [&a, &b, &cache.global()] {
        ns.insert("global", 1_u32).tag(Tag::global("prices")).await.unwrap();
        ns.insert("own", 1_u32).tag("prices").await.unwrap();
    }
    a.invalidate_tag("prices").await.unwrap();
    assert!(a.get::<u32>("own").await.is_none());
    assert!(b.get::<u32>("own").await.is_some());
    assert!(a.get::<u32>("global").await.is_some(), "a tenant's tag is not the global one");
    cache.invalidate_global_tag("prices").await.unwrap();
    for ns in [&a, &b, &cache.global()] {
        assert!(ns.get::<u32>("global").await.is_none());
    }
    assert!(b.get::<u32>("own").await.is_some());
    assert!(a.invalidate_tag(Tag::global("prices")).await.is_err(), "one tenant cannot reach the others");
}

/// A cache over a lower tier that outlives it, with its journal.
async fn over(below: &MemoryTier) -> Cache {
    builder().tier(below.with_journal()).build().await.unwrap()
}

fn below() -> MemoryTier {
    MemoryTier::new("disk").persistent(true)
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_entries_and_never_brings_back_what_was_invalidated() {
    for how in ALL {
        let disk = below();
        let cache = over(&disk).await;
        let acme = tenant(&cache, "acme");
        let loads = Loads::default();
        load(&acme, &loads).await;
        acme.insert("kept", 7_usize).await.unwrap();
        settle().await;
        invalidate(how, &cache, &acme).await;
        cache.close().await.unwrap();

        let cache = over(&disk).await;
        let acme = tenant(&cache, "acme");
        assert_eq!(load(&acme, &loads).await, 2, "{how:?}");
        let kept = acme.get::<usize>("kept").await;
        assert_eq!(kept.is_some(), !matches!(how, How::Tenant | How::AllTenants), "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_after_a_restart_is_newer_than_every_entry_from_before() {
    let disk = below();
    let cache = over(&disk).await;
    let acme = tenant(&cache, "acme");
    for n in 0..500_u32 {
        acme.insert(n, n).tag("t").await.unwrap(); // raises the positions
    }
    cache.close().await.unwrap();
    let cache = over(&disk).await;
    let acme = tenant(&cache, "acme");
    assert_eq!(*acme.get::<u32>(499_u32).await.unwrap(), 499);
    acme.invalidate_tag("t").await.unwrap();
    for n in 0..500_u32 {
        assert!(acme.get::<u32>(n).await.is_none(), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_during_a_promotion_wins() {
    for how in ALL {
        let disk = below();
        let cache = over(&disk).await;
        load(&tenant(&cache, "acme"), &Loads::default()).await;
        settle().await;
        cache.close().await.unwrap();

        let (slow, faults) = stratacache_testkit::faulty::FaultyTier::new(disk.clone(), 1);
        let parts = stratacache::tier::TierParts::new(slow).with_journal(Arc::new(disk.journal()));
        let cache = builder().tier(parts).build().await.unwrap();
        let acme = tenant(&cache, "acme");
        // the reply of the read is on its way when the invalidation comes
        faults.next(
            1,
            stratacache_testkit::faulty::On::Get,
            stratacache_testkit::faulty::Fault::SlowReply(millis(100)),
        );
        let ns = acme.namespace("outer").namespace("inner");
        let reader = tokio::spawn({
            let ns = ns.clone();
            async move { ns.get::<usize>("k").await.map(|v| *v) }
        });
        sleep(millis(10)).await;
        invalidate(how, &cache, &acme).await;
        reader.await.unwrap();
        assert!(ns.get::<usize>("k").await.is_none(), "{how:?}: promoted over the invalidation");
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_ends_after_an_invalidation_does_not_reach_the_lower_tier() {
    for how in ALL {
        let disk = below();
        let cache = over(&disk).await;
        let acme = tenant(&cache, "acme");
        let loads = Loads::default();
        let early = tokio::spawn({
            let (acme, loads) = (acme.clone(), loads.clone());
            async move { load(&acme, &loads).await }
        });
        sleep(millis(10)).await;
        invalidate(how, &cache, &acme).await;
        early.await.unwrap();
        settle().await;
        cache.close().await.unwrap();
        let cache = over(&disk).await;
        let ns = tenant(&cache, "acme").namespace("outer").namespace("inner");
        assert!(ns.get::<usize>("k").await.is_none(), "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unfenced_tier_cannot_bring_back_what_a_late_write_left_there() {
    let below = MemoryTier::unfenced("cold").persistent(true);
    let cache = builder().tier(below.clone()).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    below.hold_writes();
    let loads = Loads::default();
    read(&acme, "k", &loads).await;
    settle().await;
    acme.invalidate("k").await.unwrap();
    below.release_writes(); // the old value lands now
    assert_eq!(read(&acme, "k", &loads).await, 2, "it was judged by the key's mark");
}

#[tokio::test(start_paused = true)]
async fn an_expiry_survives_a_restart() {
    let disk = below();
    let policy = Policy::ttl(minutes(5)).stale_if_error(minutes(5));
    let cache = builder().tier(disk.with_journal()).default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert("k", 1_u32).await.unwrap();
    acme.expire("k").await.unwrap();
    cache.close().await.unwrap();
    let cache = builder().tier(disk.with_journal()).default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    assert!(acme.get::<u32>("k").await.is_none(), "expired");
    let stale = acme.get_or_load::<u32, _>("k", async || Err::<u32, _>("down")).await.unwrap();
    assert!(stale.is_stale());
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_entries_under_one_tag_leave_one_mark() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    for n in 0..10_000_u32 {
        acme.get_or_load(n, async move || Ok::<_, Infallible>(n)).tag("all").await.unwrap();
    }
    let (before, _) = cache.marks_held();
    acme.invalidate_tag("all").await.unwrap();
    assert_eq!(cache.marks_held().0, before + 1);
    for n in 0..10_000_u32 {
        assert!(acme.get::<u32>(n).await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn more_tags_than_max_marks_make_invalidations_wider_but_never_narrower() {
    let cache = builder().max_marks(64).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    for n in 0..1_000_u32 {
        acme.insert(("entry", n), n).tag(("tag", n)).await.unwrap();
    }
    for n in 0..1_000_u32 {
        acme.invalidate_tag(("tag", n)).await.unwrap();
        assert!(acme.get::<u32>(("entry", n)).await.is_none(), "{n}");
    }
    let (marks, folded) = cache.marks_held();
    assert!(folded && marks < 20_000);
    acme.insert("new", 1_u32).tag(("tag", 3_u32)).await.unwrap();
    assert!(acme.get::<u32>("new").await.is_some(), "what is newer than every mark is valid");
}
