//! Policy: every knob does what it says, to the millisecond.

#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::{convert::Infallible, time::Duration};

use stratacache::{
    Cache, ErrorKind, Freshness, Keyspace, LoadContext, Loaded, Lookup, Namespace, Policy, Quota, TenantId, hours,
    millis, minutes, seconds,
};
use stratacache_testkit::{clock::SimulatedClock, tiers::MemoryTier};
use support::{Loads, builder, cache, read, settle, tenant};
use tokio::time::advance;

async fn fresh(ns: &Namespace, key: &str) -> bool {
    ns.get::<u32>(key).await.is_some()
}

#[tokio::test(start_paused = true)]
async fn ttls_hold_to_the_millisecond() {
    for ttl in [millis(1), millis(500), millis(1500), hours(24)] {
        let cache = builder().default_policy(Policy::ttl(minutes(1)).jitter(0.0)).build().await.unwrap();
        let acme = tenant(&cache, "acme");
        acme.insert("k", 1_u32).ttl(ttl).await.unwrap();
        advance(ttl - millis(1)).await;
        assert!(fresh(&acme, "k").await, "{ttl:?}");
        advance(millis(1)).await;
        assert!(!fresh(&acme, "k").await, "{ttl:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn forever_is_refused_with_what_to_do_instead() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    for ttl in [Duration::MAX, hours(25), Duration::ZERO] {
        let error = acme.insert("k", 1_u32).ttl(ttl).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("ttl"), "{error}");
    }
    assert!(acme.insert("k", 1_u32).ttl(Duration::MAX).await.unwrap_err().to_string().contains("forever"));
    assert!(acme.with_ttl(hours(99)).insert("k", 1_u32).await.is_err());
    assert!(acme.with_policy(Policy::ttl(seconds(1)).jitter(2.0)).check().is_err());
}

#[tokio::test]
async fn bad_settings_are_refused_by_name_when_the_cache_is_built() {
    const LONG: Keyspace<u32, u32> = Keyspace::new("long", Policy::ttl(hours(48)));
    const TWICE: Keyspace<u32, u32> = Keyspace::new("twice", Policy::ttl(hours(1)));
    let id = TenantId::parse("t").unwrap();
    let two = || Cache::builder().tier(MemoryTier::new("disk")).tier(MemoryTier::new("disk"));
    for (builder, says) in [
        (Cache::builder().memory(1000), "1 MiB"),
        (Cache::builder().memory_fraction(1.5), "memory_fraction"),
        (Cache::builder().memory_fraction(f64::NAN), "memory_fraction"),
        (Cache::builder().max_ttl(Duration::ZERO), "max_ttl"),
        (Cache::builder().max_stale(Duration::MAX), "max_stale"),
        (Cache::builder().default_policy(Policy::ttl(hours(30))), "max_ttl"),
        (Cache::builder().keyspace(&LONG), "long"),
        (Cache::builder().keyspace(&TWICE).keyspace(&TWICE), "twice"),
        (Cache::builder().quota(id.clone(), Quota::new().reserve(1 << 40)), "reserve"),
        (Cache::builder().default_quota(Quota::new().reserve(5 << 20).limit(1 << 20)), "limit"),
        (Cache::builder().max_loads(0), "max_loads"),
        (Cache::builder().max_waiters(0), "max_waiters"),
        (Cache::builder().max_tags(256), "max_tags"),
        (Cache::builder().max_namespace_depth(0), "max_namespace_depth"),
        (Cache::builder().max_marks(1), "max_marks"),
        (Cache::builder().invalidations_per_s(0), "invalidations_per_s"),
        (two(), "two tiers named"),
        (Cache::builder().tier(MemoryTier::new("memory")), "there is one memory"),
        (Cache::builder().tier_deadline("disk", seconds(1)), "no such tier"),
    ] {
        let error = builder.build().await.unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_call_says_wins_over_the_keyspace_which_wins_over_the_namespace() {
    const SHORT: Keyspace<str, u32> = Keyspace::new("short", Policy::ttl(seconds(10)).jitter(0.0));
    let cache = cache().await;
    let acme = tenant(&cache, "acme").with_policy(Policy::ttl(seconds(100)).jitter(0.0));
    acme.insert("namespace", 1_u32).await.unwrap();
    acme.insert(SHORT.key("keyspace"), 1).await.unwrap();
    acme.insert(SHORT.key("call"), 1).ttl(seconds(50)).await.unwrap();
    acme.namespace("nested").insert("inherits", 1_u32).await.unwrap();
    advance(seconds(11)).await;
    assert!(acme.get(SHORT.key("keyspace")).await.is_none());
    assert!(acme.get(SHORT.key("call")).await.is_some() && fresh(&acme, "namespace").await);
    advance(seconds(40)).await;
    assert!(acme.get(SHORT.key("call")).await.is_none() && fresh(&acme, "namespace").await);
    assert!(fresh(&acme.namespace("nested"), "inherits").await);
    advance(seconds(50)).await;
    assert!(!fresh(&acme, "namespace").await && !fresh(&acme.namespace("nested"), "inherits").await);
}

#[tokio::test(start_paused = true)]
async fn tags_of_the_namespace_and_of_the_call_add_up() {
    let cache = builder().max_tags(3).build().await.unwrap();
    let acme = tenant(&cache, "acme").with_tag("a").namespace("n").with_tag("b");
    for tag in ["a", "b", "c"] {
        acme.insert("k", 1_u32).tag("c").await.unwrap();
        acme.invalidate_tag(tag).await.unwrap();
        assert!(!fresh(&acme, "k").await, "{tag}");
    }
    let error = acme.insert("k", 1_u32).tags(["c", "d"]).await.unwrap_err();
    assert!(error.to_string().contains("max_tags"));
}

#[tokio::test(start_paused = true)]
async fn stored_nothings_an_absence_a_stale_entry_and_a_miss_are_told_apart() {
    let policy = Policy::ttl(seconds(10)).jitter(0.0).stale_while_revalidate(minutes(1)).negative_ttl(seconds(5));
    let cache = builder().default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert("none", None::<u32>).await.unwrap();
    acme.insert("zero", 0_u32).await.unwrap();
    acme.insert("empty", String::new()).await.unwrap();
    acme.insert("false", false).await.unwrap();
    acme.insert("list", Vec::<u32>::new()).await.unwrap();
    let none: Option<_> =
        acme.get_or_load_optional::<u32, _>("absent", async || Ok::<_, Infallible>(None)).await.unwrap();
    assert!(none.is_none());
    assert!(matches!(acme.lookup::<Option<u32>>("none").await, Lookup::Hit(v) if v.is_none()));
    assert!(matches!(acme.lookup::<u32>("zero").await, Lookup::Hit(v) if *v == 0));
    assert!(matches!(acme.lookup::<String>("empty").await, Lookup::Hit(v) if v.is_empty()));
    assert!(matches!(acme.lookup::<bool>("false").await, Lookup::Hit(v) if !*v));
    assert!(matches!(acme.lookup::<Vec<u32>>("list").await, Lookup::Hit(v) if v.is_empty()));
    assert_eq!(acme.lookup::<u32>("absent").await, Lookup::Absent);
    assert_eq!(acme.lookup::<u32>("never").await, Lookup::Miss);
    advance(seconds(6)).await;
    assert_eq!(acme.lookup::<u32>("absent").await, Lookup::Miss, "negative_ttl is over");
    advance(seconds(5)).await;
    assert!(matches!(acme.lookup::<u32>("zero").await, Lookup::Hit(v) if v.freshness() == Freshness::Stale));
}

#[tokio::test(start_paused = true)]
async fn a_known_absence_is_not_loaded_again_and_a_value_loader_does_not_take_it_for_a_value() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    for _ in 0..5 {
        let loads = loads.clone();
        let load = async move || {
            loads.next();
            Ok::<Option<usize>, Infallible>(None)
        };
        assert!(acme.get_or_load_optional("k", load).await.unwrap().is_none());
    }
    assert_eq!(loads.count(), 1);
    assert_eq!(read(&acme, "k", &loads).await, 2, "a loader of values loads");
    assert_eq!(*acme.get::<usize>("k").await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn values_that_count_as_negative_live_for_negative_ttl() {
    const LISTS: Keyspace<str, Vec<u32>> =
        Keyspace::new("lists", Policy::ttl(minutes(5)).jitter(0.0).negative_ttl(seconds(3)))
            .negative_when(Vec::is_empty);
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    for (key, list) in [("full", vec![1]), ("empty", vec![])] {
        acme.get_or_load(LISTS.key(key), async move || Ok::<_, Infallible>(list)).await.unwrap();
    }
    assert!(acme.get(LISTS.key("empty")).await.is_some());
    advance(seconds(4)).await;
    assert!(acme.get(LISTS.key("empty")).await.is_none());
    assert!(acme.get(LISTS.key("full")).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn idle_entries_expire_and_reads_keep_them() {
    let cache = builder().default_policy(Policy::ttl(hours(1)).idle_ttl(seconds(10))).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert("read", 1_u32).await.unwrap();
    acme.insert("idle", 1_u32).await.unwrap();
    for _ in 0..5 {
        advance(seconds(9)).await;
        assert!(fresh(&acme, "read").await);
    }
    assert!(!fresh(&acme, "idle").await);
    advance(seconds(10)).await;
    assert!(!fresh(&acme, "read").await);
}

#[tokio::test(start_paused = true)]
async fn reads_that_memory_answers_keep_an_idle_entry_alive_below() {
    let disk = MemoryTier::new("disk").persistent(true);
    let policy = Policy::ttl(hours(1)).idle_ttl(seconds(40));
    let build = async || builder().tier(disk.with_journal()).default_policy(policy).build().await.unwrap();
    let cache = build().await;
    let acme = tenant(&cache, "acme");
    acme.insert("k", 1_u32).await.unwrap();
    let written = disk.writes();
    for _ in 0..100 {
        advance(seconds(1)).await;
        assert!(fresh(&acme, "k").await);
        settle().await;
    }
    let touches = disk.writes() - written;
    assert!((5..=10).contains(&touches), "one in a quarter of the idle time: {touches}");
    let name = disk.names()[0];
    let left = disk.expires_at(name).unwrap();
    assert!(left > 1_767_225_600_000 + 100_000, "alive below as well: {left}");
    acme.invalidate("k").await.unwrap();
    assert!(disk.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_tier_ttl_caps_life_in_that_tier_after_promotion_too() {
    let disk = MemoryTier::new("disk").persistent(true);
    let policy = Policy::ttl(minutes(10)).jitter(0.0).tier_ttl("memory", seconds(10)).tier_ttl("disk", minutes(2));
    let cache = builder().tier(disk.with_journal()).default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    read(&acme, "k", &loads).await;
    settle().await;
    advance(seconds(11)).await;
    assert_eq!(acme.stats().lower_hits, 0);
    assert_eq!(read(&acme, "k", &loads).await, 1, "from the disk");
    assert_eq!(acme.stats().lower_hits, 1);
    assert_eq!(read(&acme, "k", &loads).await, 1, "promoted");
    assert_eq!(acme.stats().lower_hits, 1);
    advance(seconds(11)).await;
    assert_eq!(read(&acme, "k", &loads).await, 1);
    assert_eq!(acme.stats().lower_hits, 2, "the promoted copy lived as long as memory allows, not longer");
    advance(minutes(2)).await;
    assert_eq!(read(&acme, "k", &loads).await, 2, "the cap of the disk");
}

#[tokio::test(start_paused = true)]
async fn a_call_with_rules_for_too_many_tiers_is_refused_and_not_a_panic() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let policy = Policy::ttl(minutes(1)).tier_ttl("a", seconds(1)).min_hits("b", 2).tier_max_weight("c", 9);
    let insert = |policy: Policy| acme.insert("k", 1_u32).policy(policy).tier_ttl("memory", seconds(5));
    insert(policy).await.unwrap();
    insert(policy).tier_ttl("a", seconds(2)).await.unwrap();
    let refused = insert(policy).tier_ttl("d", seconds(2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("tier_ttl") && refused.to_string().contains("\"d\""), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_its_own_expiry_through_promotion() {
    let disk = MemoryTier::new("disk").persistent(true);
    let policy = Policy::ttl(seconds(60)).jitter(0.0).tier_ttl("memory", seconds(25));
    let cache = builder().tier(disk.with_journal()).default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    read(&acme, "k", &loads).await;
    settle().await;
    for _ in 0..5 {
        advance(seconds(11)).await;
        assert_eq!(read(&acme, "k", &loads).await, 1);
    }
    advance(seconds(5)).await; // 60 s after the load, 16 s after the last promotion
    assert_eq!(read(&acme, "k", &loads).await, 2);
}

#[tokio::test(start_paused = true)]
async fn min_hits_stores_below_only_from_the_nth_miss_on() {
    let disk = MemoryTier::new("disk").persistent(true);
    let policy = Policy::ttl(minutes(10)).min_hits("disk", 3);
    let cache = builder().tier(disk.with_journal()).default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    for miss in 1..=3 {
        read(&acme, "k", &loads).await;
        settle().await;
        assert_eq!(disk.names().len(), usize::from(miss == 3), "miss {miss}");
        acme.expire("k").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn values_over_max_weight_are_returned_but_not_stored() {
    let cache = builder().default_policy(Policy::ttl(minutes(5)).max_weight(2_000)).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let big = acme.get_or_load("k", async || Ok::<_, Infallible>("x".repeat(5_000))).await.unwrap();
    assert_eq!(big.len(), 5_000);
    assert!(acme.get::<String>("k").await.is_none());
    acme.insert("k", "small".to_owned()).await.unwrap();
    acme.insert("k", "x".repeat(5_000)).await.unwrap();
    assert!(acme.get::<String>("k").await.is_none(), "the older value does not survive the newer one");
    assert!(acme.stats().not_stored >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_loader_may_decide_ttl_policy_tags_and_not_to_store() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let load = async |key: &'static str, loaded: Loaded<u32>| {
        acme.get_or_load_with(key, async move |_| Ok::<_, Infallible>(loaded)).await.unwrap().map(|v| *v)
    };
    assert_eq!(load("ttl", Loaded::new(1).ttl(seconds(2))).await, Some(1));
    assert_eq!(load("tag", Loaded::new(1).tag("late")).await, Some(1));
    assert_eq!(load("not stored", Loaded::new(1).do_not_store()).await, Some(1));
    assert_eq!(load("absent", Loaded::absent()).await, None);
    assert_eq!(load("policy", Loaded::new(1).policy(Policy::ttl(seconds(3)).jitter(0.0))).await, Some(1));
    assert!(!fresh(&acme, "not stored").await && fresh(&acme, "tag").await);
    assert_eq!(acme.lookup::<u32>("absent").await, Lookup::Absent);
    acme.invalidate_tag("late").await.unwrap();
    assert!(!fresh(&acme, "tag").await);
    advance(seconds(2)).await;
    assert!(!fresh(&acme, "ttl").await && fresh(&acme, "policy").await);
    advance(seconds(2)).await;
    assert!(!fresh(&acme, "policy").await);
    let bad = acme.get_or_load_with("bad", async |_| Ok::<_, Infallible>(Loaded::new(1_u32).ttl(hours(99)))).await;
    assert!(bad.unwrap_err().to_string().contains("max_ttl"));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_says_not_modified_gives_the_value_a_new_life() {
    let policy = Policy::ttl(seconds(10)).jitter(0.0).stale_if_error(minutes(5));
    let cache = builder().default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let get = async |expect: Option<&'static str>| {
        acme.get_or_load_with("page", async move |cx: LoadContext<String>| {
            assert_eq!(cx.etag(), expect);
            Ok::<_, Infallible>(match cx.etag() {
                Some(_) => Loaded::not_modified(),
                None => Loaded::new("body".to_owned()).etag("\"v1\""),
            })
        })
        .await
        .unwrap()
        .unwrap()
    };
    let first = get(None).await;
    for _ in 0..3 {
        advance(seconds(11)).await;
        let again = get(Some("\"v1\"")).await;
        assert_eq!((again.as_str(), again.etag()), ("body", Some("\"v1\"")));
        assert!(std::ptr::eq(first.value(), again.value()), "the same value, not a copy");
        advance(seconds(9)).await;
        assert!(acme.get::<String>("page").await.is_some(), "a whole new life");
    }
    let nothing =
        acme.get_or_load_with::<String, _>("none", async |_| Ok::<_, Infallible>(Loaded::not_modified())).await;
    assert!(nothing.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_wall_clock_going_back_or_far_ahead_never_revives_or_freezes_an_entry() {
    let disk = MemoryTier::new("disk").persistent(true);
    let year = 365 * 24 * 3_600_000_i64;
    for jump in [-10 * year, -3_600_000, 3_600_000, 10 * year] {
        disk.wipe();
        let clock = SimulatedClock::new();
        let build = async || {
            let policy = Policy::ttl(seconds(60)).jitter(0.0);
            Cache::builder()
                .clock(clock.clone())
                .seed(1)
                .tier(disk.with_journal())
                .default_policy(policy)
                .build()
                .await
                .unwrap()
        };
        let cache = build().await;
        let acme = tenant(&cache, "acme");
        acme.insert("k", 1_u32).await.unwrap();
        clock.jump_wall(jump);
        advance(seconds(30)).await;
        assert!(fresh(&acme, "k").await, "{jump}");
        tokio::time::sleep(seconds(2)).await; // a beat notes the time
        cache.close().await.unwrap();
        let cache = build().await;
        let acme = tenant(&cache, "acme");
        acme.insert("new", 1_u32).await.unwrap();
        clock.jump_wall(-jump);
        advance(seconds(61)).await;
        assert!(!fresh(&acme, "k").await && !fresh(&acme, "new").await, "{jump}: neither revived nor frozen");
        cache.close().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn time_asleep_counts_once_the_clock_has_been_refreshed() {
    let clock = SimulatedClock::new();
    let cache = Cache::builder()
        .clock(clock.clone())
        .default_policy(Policy::ttl(minutes(5)).jitter(0.0))
        .build()
        .await
        .unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert("k", 1_u32).await.unwrap();
    clock.suspend(minutes(6));
    tokio::time::sleep(millis(300)).await; // one beat of the maintenance task
    assert!(!fresh(&acme, "k").await);
}

#[tokio::test(start_paused = true)]
async fn an_unregistered_keyspace_over_a_ceiling_is_cut_down_and_said_once() {
    const LONG: Keyspace<str, u32> = Keyspace::new("long", Policy::ttl(hours(20)).jitter(0.0));
    let cache = builder().max_ttl(hours(1)).build().await.unwrap();
    let mut events = cache.events();
    let acme = tenant(&cache, "acme");
    acme.insert(LONG.key("a"), 1).await.unwrap();
    acme.insert(LONG.key("b"), 1).await.unwrap();
    let mut said = 0;
    while let Some(Ok(event)) = events.try_next() {
        said += usize::from(matches!(event.kind, stratacache::event::EventKind::PolicyClamped { keyspace: "long" }));
    }
    assert_eq!(said, 1);
    advance(hours(1)).await;
    assert!(acme.get(LONG.key("a")).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_tenant_over_its_invalidations_per_second_is_refused_and_its_neighbour_is_not() {
    let cache = builder().invalidations_per_s(10).build().await.unwrap();
    let (a, b) = (tenant(&cache, "a"), tenant(&cache, "b"));
    for _ in 0..10 {
        a.invalidate_tag("t").await.unwrap();
    }
    let error = a.invalidate_tag("t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.to_string().contains("invalidations_per_s"));
    b.invalidate_tag("t").await.unwrap();
    advance(millis(100)).await;
    a.invalidate_tag("t").await.unwrap();
}
