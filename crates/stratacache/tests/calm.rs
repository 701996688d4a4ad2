//! Calm: one load for each key, stale instead of errors, nobody hangs.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

mod support;

use std::convert::Infallible;

use stratacache::{Freshness, LoadError, Policy, millis, minutes, seconds};
use support::{Loads, builder, cache, read, read_slowly, settle, tenant};
use tokio::time::{advance, sleep, timeout};

#[derive(Debug, PartialEq)]
struct Broken(&'static str);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_concurrent_cold_reads_load_once() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    let readers: Vec<_> = (0..1_000)
        .map(|_| {
            let (acme, loads) = (acme.clone(), loads.clone());
            tokio::spawn(async move { read_slowly(&acme, "k", &loads, millis(50)).await })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), 1);
    }
    assert_eq!(loads.count(), 1);
    assert_eq!(acme.stats().flights_joined, 999);
}

#[tokio::test(start_paused = true)]
async fn all_callers_get_the_same_error_from_one_failing_load() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    let readers: Vec<_> = (0..100)
        .map(|_| {
            let (acme, loads) = (acme.clone(), loads.clone());
            tokio::spawn(async move {
                acme.get_or_load::<u32, _>("k", async move || {
                    loads.next();
                    sleep(millis(10)).await;
                    Err(Broken("down"))
                })
                .await
            })
        })
        .collect();
    let mut errors = Vec::new();
    for reader in readers {
        match reader.await.unwrap() {
            Err(LoadError::Loader(error)) => errors.push(error),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(loads.count(), 1);
    assert!(errors.iter().all(|e| std::sync::Arc::ptr_eq(e, &errors[0])), "one error object for all");
    assert_eq!(read(&acme, "k", &loads).await, 2, "the key is usable at once");
}

#[tokio::test(start_paused = true)]
async fn a_hung_loader_times_out_for_all_and_the_key_is_usable_at_once() {
    let cache = builder().default_policy(Policy::ttl(minutes(5)).load_timeout(seconds(2))).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let readers: Vec<_> = (0..20)
        .map(|_| {
            let acme = acme.clone();
            tokio::spawn(async move {
                acme.get_or_load::<u32, _>("k", std::future::pending::<Result<u32, Infallible>>).await
            })
        })
        .collect();
    for reader in readers {
        assert!(matches!(reader.await.unwrap(), Err(LoadError::Timeout)));
    }
    let loads = Loads::default();
    assert_eq!(read(&acme, "k", &loads).await, 1);
    assert_eq!(acme.stats().load_timeouts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_loader_is_an_error_for_all_and_the_key_is_usable_at_once() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let readers: Vec<_> = (0..20)
        .map(|_| {
            let acme = acme.clone();
            tokio::spawn(async move {
                acme.get_or_load("k", async || {
                    sleep(millis(5)).await;
                    if true {
                        panic!("loader bug 7");
                    }
                    Ok::<u32, Infallible>(1)
                })
                .await
            })
        })
        .collect();
    for reader in readers {
        match reader.await.unwrap() {
            Err(LoadError::Panicked(message)) => assert_eq!(&*message, "loader bug 7"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read(&acme, "k", &Loads::default()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_goes_on_and_is_stored_when_all_its_callers_are_gone() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    for _ in 0..5 {
        assert!(timeout(millis(10), read_slowly(&acme, "k", &loads, millis(500))).await.is_err());
    }
    sleep(seconds(1)).await;
    assert_eq!(read(&acme, "k", &loads).await, 1, "from the cache");
    assert_eq!(loads.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn callers_with_staggered_time_outs_share_one_load_and_whoever_waits_gets_the_value() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    let readers: Vec<_> = (1..=20_u64)
        .map(|n| {
            let (acme, loads) = (acme.clone(), loads.clone());
            tokio::spawn(async move { timeout(millis(n * 5), read_slowly(&acme, "k", &loads, millis(52))).await })
        })
        .collect();
    let mut got = 0;
    for reader in readers {
        got += usize::from(reader.await.unwrap().is_ok());
    }
    assert_eq!((got, loads.count()), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn stale_while_revalidate_serves_at_once_and_refreshes_once() {
    let policy = Policy::ttl(seconds(10)).jitter(0.0).stale_while_revalidate(minutes(1));
    let cache = builder().default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    assert_eq!(read(&acme, "k", &loads).await, 1);
    advance(seconds(11)).await;
    for _ in 0..50 {
        assert_eq!(read_slowly(&acme, "k", &loads, millis(100)).await, 1, "stale, without waiting");
    }
    sleep(millis(200)).await;
    assert_eq!(read(&acme, "k", &loads).await, 2);
    assert_eq!(loads.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_backs_off() {
    let policy = Policy::ttl(seconds(10)).jitter(0.0).stale_while_revalidate(minutes(10));
    let cache = builder().default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    read(&acme, "k", &loads).await;
    advance(seconds(11)).await;
    let failing = Loads::default();
    for _ in 0..1_000 {
        let failing = failing.clone();
        let value = acme
            .get_or_load::<usize, _>("k", async move || {
                failing.next();
                Err::<usize, _>(Broken("down"))
            })
            .await
            .unwrap();
        assert_eq!((*value, value.freshness()), (1, Freshness::Stale));
        sleep(millis(10)).await;
    }
    // ten seconds of reads with pauses of 50 ms to 5 s that double
    assert!((3..=12).contains(&failing.count()), "{} attempts", failing.count());
    assert_eq!(acme.stats().refresh_errors, failing.count() as u64);
}

#[tokio::test(start_paused = true)]
async fn stale_if_error_does_not_make_each_reader_wait_for_the_failing_loader() {
    let policy = Policy::ttl(seconds(10)).jitter(0.0).stale_if_error(minutes(10));
    let cache = builder().default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    read(&acme, "k", &Loads::default()).await;
    advance(seconds(11)).await;
    let attempts = Loads::default();
    let began = tokio::time::Instant::now();
    for _ in 0..500 {
        let attempts = attempts.clone();
        let value = acme
            .get_or_load::<usize, _>("k", async move || {
                attempts.next();
                sleep(millis(40)).await;
                Err::<usize, _>(Broken("down"))
            })
            .await
            .unwrap();
        assert!(value.is_stale());
    }
    assert!(attempts.count() <= 2, "{} attempts", attempts.count());
    assert!(began.elapsed() <= millis(80), "only the first waits: {:?}", began.elapsed());
    // past the window the error shows
    advance(minutes(11)).await;
    let error = acme.get_or_load::<usize, _>("k", async || Err::<usize, _>(Broken("down"))).await.unwrap_err();
    assert_eq!(error.loader_error(), Some(&Broken("down")));
}

#[tokio::test(start_paused = true)]
async fn a_soft_time_out_serves_stale_while_the_load_goes_on_and_is_stored() {
    let policy = Policy::ttl(seconds(10)).jitter(0.0).stale_if_error(minutes(10)).soft_timeout(millis(100));
    let cache = builder().default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    read(&acme, "k", &loads).await;
    advance(seconds(11)).await;
    let began = tokio::time::Instant::now();
    assert_eq!(read_slowly(&acme, "k", &loads, seconds(3)).await, 1);
    assert_eq!(began.elapsed(), millis(100));
    sleep(seconds(4)).await;
    assert_eq!(read(&acme, "k", &loads).await, 2, "the slow load was stored");
}

#[tokio::test(start_paused = true)]
async fn refresh_ahead_starts_one_refresh_before_the_end() {
    let policy = Policy::ttl(seconds(100)).jitter(0.0).refresh_ahead(0.8);
    let cache = builder().default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    read(&acme, "k", &loads).await;
    advance(seconds(79)).await;
    assert_eq!(read(&acme, "k", &loads).await, 1);
    settle().await;
    assert_eq!(loads.count(), 1, "not yet");
    advance(seconds(2)).await;
    for _ in 0..20 {
        assert_eq!(read_slowly(&acme, "k", &loads, millis(10)).await, 1, "nobody waits");
    }
    sleep(millis(20)).await;
    assert_eq!((read(&acme, "k", &loads).await, loads.count()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn probabilistic_refresh_happens_early_and_more_often_near_the_end() {
    let policy = Policy::ttl(seconds(100)).jitter(0.0).refresh_ahead_probabilistic(1.0);
    let cache = builder().default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let mut early = 0;
    for key in 0..200 {
        let (key, loads) = (format!("k{key}"), Loads::default());
        read_slowly(&acme, &key, &loads, seconds(1)).await;
        let left = millis(99_000);
        advance(left).await; // one second left, the load takes one second
        read(&acme, &key, &loads).await;
        settle().await;
        early += usize::from(loads.count() == 2);
    }
    // exp(-1) of 200 is 74
    assert!((50..=100).contains(&early), "{early} of 200");
}

#[tokio::test(start_paused = true)]
async fn loads_beyond_max_loads_wait_their_turn_and_waiters_beyond_max_waiters_are_refused() {
    let cache = builder().max_loads(2).max_waiters(5).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    let readers: Vec<_> = (0..8)
        .map(|n| {
            let (acme, loads) = (acme.clone(), loads.clone());
            tokio::spawn(async move {
                acme.get_or_load(format!("k{n}"), async move || {
                    loads.next();
                    sleep(seconds(1)).await;
                    Ok::<u32, Infallible>(n)
                })
                .await
            })
        })
        .collect();
    sleep(millis(500)).await;
    assert_eq!(loads.count(), 2, "two at once");
    let mut refused = 0;
    for reader in readers {
        refused += usize::from(matches!(reader.await.unwrap(), Err(LoadError::Overloaded)));
    }
    assert_eq!(refused, 3);
    assert_eq!(loads.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn one_tenants_slow_loads_do_not_delay_another_tenants_loads() {
    let cache = builder().max_loads(1).build().await.unwrap();
    let (slow, quick) = (tenant(&cache, "slow"), tenant(&cache, "quick"));
    let hanging = tokio::spawn(async move { read_slowly(&slow, "k", &Loads::default(), seconds(20)).await });
    settle().await;
    let began = tokio::time::Instant::now();
    read_slowly(&quick, "k", &Loads::default(), millis(5)).await;
    assert!(began.elapsed() < millis(20));
    hanging.abort();
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_not_shared_runs_alone() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (acme, loads) = (acme.clone(), loads.clone());
            tokio::spawn(async move {
                acme.get_or_load("k", async move || {
                    sleep(millis(10)).await;
                    Ok::<_, Infallible>(loads.next())
                })
                .share_load(false)
                .await
                .map(|v| *v)
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap().unwrap();
    }
    assert_eq!(loads.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn concurrent_refreshes_share_one_load_and_never_return_the_old_value() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    read(&acme, "k", &loads).await;
    let readers: Vec<_> = (0..10)
        .map(|_| {
            let (acme, loads) = (acme.clone(), loads.clone());
            tokio::spawn(async move {
                let load = async move || {
                    sleep(millis(10)).await;
                    Ok::<_, Infallible>(loads.next())
                };
                acme.refresh("k", load).await.map(|v| *v)
            })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap(), 2);
    }
    assert_eq!(read(&acme, "k", &loads).await, 2);
    let failed = acme.refresh::<usize, _>("k", async || Err::<usize, _>(Broken("down"))).await;
    assert!(failed.is_err(), "a refresh reports its failure");
    assert_eq!(read(&acme, "k", &loads).await, 2, "and leaves the value");
}
