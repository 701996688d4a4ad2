//! Loaders that fail are left alone.

use std::time::Duration;

use stratacache::{
    Freshness, Keyspace, LoadError, LoaderLimits, Policy, event::EventKind, hours, millis, minutes, seconds,
};
use tokio::time::{advance, sleep, timeout};

use crate::{
    kit::{Broken, ROWS, Source, TTL, cache_with, read, served, start, stats},
    support::{builder, settle, tenant},
};

#[tokio::test(start_paused = true)]
async fn a_loader_that_fails_is_left_alone_until_one_load_has_probed_it() {
    let cache = cache_with(LoaderLimits::new().breaker(seconds(5))).await;
    let (acme, other, source) = (tenant(&cache, "acme"), tenant(&cache, "other"), Source::default());
    let mut events = cache.events();
    source.set_broken(true);
    for key in 0..5 {
        assert!(matches!(read(&acme, &source, key).await, Err(LoadError::Loader(_))));
    }
    for key in 0..100 {
        let refused = read(&other, &source, key).await.unwrap_err();
        let LoadError::LoaderDown(left) = &refused else { panic!("{refused:?}") };
        assert_eq!(left.loader(), "db");
        assert!(left.retry_in() <= seconds(5) && left.retry_in() > seconds(4), "{left:?}");
        assert!(refused.to_string().contains("\"db\""), "{refused}");
    }
    assert_eq!(source.calls(), 5, "nothing was called any more");
    assert_eq!((stats(&cache).breaker_opens, stats(&cache).breaker_open), (1, true));
    assert_eq!((other.stats().loader_down, other.stats().load_errors, other.stats().loads), (100, 0, 0));
    advance(millis(5_100)).await;
    let probing = start(&acme, &source, "", [50], millis(100));
    settle().await;
    let meanwhile = read(&acme, &source, 51).await;
    assert!(matches!(meanwhile, Err(LoadError::LoaderDown(_))), "one load probes: {meanwhile:?}");
    assert_eq!(served(probing).await, 0, "it is still broken");
    assert_eq!(source.calls(), 6);
    advance(millis(5_100)).await;
    source.set_broken(false);
    assert!(read(&acme, &source, 60).await.is_ok());
    assert!(read(&acme, &source, 61).await.is_ok(), "all are let through again");
    assert!(!stats(&cache).breaker_open);
    let kinds: Vec<_> = std::iter::from_fn(|| events.try_next()).map(|event| event.unwrap().kind).collect();
    let turns: Vec<_> = kinds.into_iter().filter(|kind| !matches!(kind, EventKind::LoadFailed { .. })).collect();
    let (down, up) = (EventKind::LoaderDown { loader: "db".into() }, EventKind::LoaderUp { loader: "db".into() });
    assert_eq!(turns, [down.clone(), down, up]);
}

#[tokio::test(start_paused = true)]
async fn loads_that_wait_are_refused_when_their_loader_is_left_alone() {
    let cache = cache_with(LoaderLimits::new().max_loads(5).per_second(10)).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    let reads = start(&acme, &source, "", 0..1_000, millis(1));
    let mut down = 0;
    for read in reads {
        let refused = timeout(seconds(2), read).await.expect("nobody waits for a turn that brings nothing").unwrap();
        down += usize::from(matches!(refused, Err(LoadError::LoaderDown(_))));
    }
    assert!(down >= 990, "{down}");
    assert!(source.calls() <= 10, "{}", source.calls());
}

#[tokio::test(start_paused = true)]
async fn time_outs_and_panics_are_failures_and_absences_are_none() {
    const SHORT: Policy = TTL.load_timeout(millis(100));
    let cache = cache_with(LoaderLimits::new()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    for key in 0..100 {
        let absent = acme.get_or_load_optional(ROWS.key(&key), async || Ok::<Option<u32>, Broken>(None)).await;
        assert!(absent.unwrap().is_none());
    }
    assert_eq!((stats(&cache).failures, stats(&cache).breaker_open), (0, false));
    advance(seconds(6)).await; // another window
    for key in 200..203 {
        let hung = acme.get_or_load(ROWS.key(&key), std::future::pending::<Result<u32, Broken>>).policy(SHORT).await;
        assert!(matches!(hung, Err(LoadError::Timeout)));
        assert!(!stats(&cache).breaker_open, "a load that asks for much opens nothing by itself");
    }
    for key in 300..302 {
        let panics = acme.get_or_load(ROWS.key(&key), async || -> Result<u32, Broken> { panic!("bug") }).await;
        assert!(matches!(panics, Err(LoadError::Panicked(_))));
    }
    assert!(matches!(read(&acme, &source, 1_000).await, Err(LoadError::LoaderDown(_))));
    assert_eq!(stats(&cache).failures, 5);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_leaves_the_loader_alone_again() {
    let cache = cache_with(LoaderLimits::new().breaker(seconds(5))).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    for key in 0..5 {
        let _ = read(&acme, &source, key).await;
    }
    source.set_broken(false);
    advance(millis(5_100)).await;
    let hung = acme
        .get_or_load(ROWS.key(&9), std::future::pending::<Result<u32, Broken>>)
        .policy(TTL.load_timeout(seconds(1)))
        .await;
    assert!(matches!(hung, Err(LoadError::Timeout)));
    assert!(matches!(read(&acme, &source, 10).await, Err(LoadError::LoaderDown(_))));
    advance(millis(5_100)).await;
    assert!(read(&acme, &source, 10).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn while_a_loader_is_left_alone_stale_values_are_served_where_the_policy_lets_them() {
    const STALE: Keyspace<u32, u32> =
        Keyspace::new("stale", Policy::ttl(seconds(1)).jitter(0.0).stale_if_error(hours(1))).loader("db");
    let cache = cache_with(LoaderLimits::new().breaker(minutes(10))).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let load = |source: &Source| {
        let source = source.clone();
        acme.get_or_load(STALE.key(&1), move || source.row("", 1, Duration::ZERO))
    };
    assert_eq!(*load(&source).await.unwrap(), 10);
    source.set_broken(true);
    for key in 0..10 {
        let _ = read(&acme, &source, key).await;
    }
    let calls = source.calls();
    advance(seconds(2)).await;
    for _ in 0..50 {
        let found = load(&source).await.unwrap();
        assert_eq!((*found, found.freshness()), (10, Freshness::Stale));
        advance(millis(37)).await;
    }
    assert_eq!(source.calls(), calls);
    assert!(acme.stats().loader_down < 50, "most do not even ask: {}", acme.stats().loader_down);
    acme.invalidate(STALE.key(&1)).await.unwrap();
    let refused = load(&source).await;
    assert!(matches!(refused, Err(LoadError::LoaderDown(_))), "what was invalidated is not served: {refused:?}");
}

#[tokio::test(start_paused = true)]
async fn loaders_are_left_alone_one_by_one() {
    let limits = LoaderLimits::new();
    let cache = builder().loader("db", limits).loader("search", limits).build().await.unwrap();
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    for key in 0..6 {
        let _ = read(&acme, &source, key).await;
    }
    source.set_broken(false);
    assert!(matches!(read(&acme, &source, 7).await, Err(LoadError::LoaderDown(_))));
    let asked = source.clone();
    let other = acme.get_or_load(ROWS.key(&7), move || asked.row("", 7, Duration::ZERO)).loader("search").await;
    assert_eq!(*other.unwrap(), 70, "the call says another loader");
    let asked = source.clone();
    let unnamed = acme.get_or_load("k", move || asked.row("", 8, Duration::ZERO)).await;
    assert_eq!(*unnamed.unwrap(), 80);
    assert_eq!(cache.loader_stats("search").unwrap().loads, 1);
    sleep(millis(1)).await;
}
