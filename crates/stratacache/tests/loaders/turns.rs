//! How many loads run at once, and whose turn it is.

use std::time::Duration;

use stratacache::{LoadError, LoaderLimits, millis, seconds};
use tokio::time::{sleep, timeout};

use crate::{
    kit::{Broken, ROWS, Source, TTL, cache_with, read, read_slowly, served, start, stats},
    support::{builder, settle, tenant},
};

#[tokio::test(start_paused = true)]
async fn no_more_loads_run_at_once_than_the_loader_lets_over_all_tenants() {
    let cache = cache_with(LoaderLimits::new().max_loads(5)).await;
    let source = Source::default();
    let mut reads = Vec::new();
    for name in ["a", "b", "c"] {
        reads.extend(start(&tenant(&cache, name), &source, "", 0..20, millis(10)));
    }
    settle().await;
    assert_eq!((source.running(), stats(&cache).running, stats(&cache).waiting), (5, 5, 55));
    assert_eq!(served(reads).await, 60);
    assert_eq!((source.most_running(), source.calls()), (5, 60));
    assert_eq!((stats(&cache).running, stats(&cache).waiting, stats(&cache).loads), (0, 0, 60));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_has_its_turns_however_many_loads_of_another_wait() {
    let cache = cache_with(LoaderLimits::new().max_loads(4)).await;
    let source = Source::default();
    let flood = start(&tenant(&cache, "flood"), &source, "flood", 0..2_000, millis(10));
    settle().await;
    let calm = start(&tenant(&cache, "calm"), &source, "calm", 0..20, millis(10));
    assert_eq!(served(calm).await, 20);
    let callers = source.callers();
    let (first, last) = (
        callers.iter().position(|who| *who == "calm").unwrap(),
        callers.iter().rposition(|who| *who == "calm").unwrap(),
    );
    assert!(first <= 6, "{first} loads of the flood went before");
    assert!(last - first <= 42, "every other turn is the calm tenant's: {}", last - first);
    flood.into_iter().for_each(|read| read.abort());
}

#[tokio::test(start_paused = true)]
async fn loads_that_wait_for_a_loader_take_no_place_from_other_loads_of_their_tenant() {
    let cache = builder().max_loads(4).loader("db", LoaderLimits::new().max_loads(1)).build().await.unwrap();
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let _slow = start(&acme, &source, "slow", 0..50, seconds(20));
    settle().await;
    let others = (0..3).map(|_| millis(1));
    for (key, takes) in others.enumerate() {
        let other = acme.get_or_load(format!("other {key}"), async move || {
            sleep(takes).await;
            Ok::<_, Broken>(1_u32)
        });
        assert!(timeout(seconds(1), other).await.unwrap().is_ok(), "three places are free");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_at_its_max_loads_leaves_the_turns_to_others() {
    let cache = builder().max_loads(2).loader("db", LoaderLimits::new().max_loads(2)).build().await.unwrap();
    let (acme, other, source) = (tenant(&cache, "acme"), tenant(&cache, "other"), Source::default());
    for key in ["x", "y"] {
        let acme = acme.clone();
        tokio::spawn(async move {
            acme.get_or_load(key, async || {
                sleep(seconds(5)).await;
                Ok::<_, Broken>(1_u32)
            })
            .await
        });
    }
    settle().await;
    let waiting = start(&acme, &source, "acme", 0..10, millis(10));
    settle().await;
    assert_eq!(source.calls(), 0, "acme has no place for a load");
    assert_eq!(served(start(&other, &source, "other", 0..10, millis(10))).await, 10);
    assert_eq!(source.calls_of("acme"), 0);
    assert_eq!(served(waiting).await, 10, "and has its turns when it has places");
    assert_eq!(source.most_running(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_busy_tenant_takes_one_place_at_most_to_wait_for_a_slow_loader_with() {
    let cache = builder().max_loads(4).loader("slow", LoaderLimits::new().max_loads(1)).build().await.unwrap();
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let busy = |keys: std::ops::Range<u32>| {
        let one = |key: u32| {
            let acme = acme.clone();
            tokio::spawn(async move {
                let load = async || {
                    sleep(seconds(1)).await;
                    Ok::<_, Broken>(1_u32)
                };
                acme.get_or_load(format!("quick {key}"), load).await
            })
        };
        keys.map(one).collect::<Vec<_>>()
    };
    let first = busy(0..4);
    settle().await;
    for key in 0..20 {
        let (acme, source) = (acme.clone(), source.clone());
        tokio::spawn(async move {
            acme.get_or_load(ROWS.key(&key), move || source.row("", key, seconds(20))).loader("slow").await
        });
    }
    settle().await;
    assert_eq!(served(first).await, 4);
    settle().await;
    assert_eq!(source.running(), 1);
    for round in 1..4 {
        let began = tokio::time::Instant::now();
        assert_eq!(served(busy(round * 10..round * 10 + 3)).await, 3);
        assert!(began.elapsed() < seconds(2), "three places are left: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_full_queue_refuses_is_an_error_at_once_that_names_the_loader() {
    let cache = cache_with(LoaderLimits::new().max_loads(1).max_queue(3)).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let reads = start(&acme, &source, "", 0..4, seconds(1));
    settle().await;
    let refused = timeout(millis(1), read(&acme, &source, 9)).await.expect("at once").unwrap_err();
    assert!(matches!(&refused, LoadError::LoaderBusy(loader) if &**loader == "db"), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains("\"db\"") && said.contains("max_queue") && said.contains("max_loads"), "{said}");
    assert!(refused.is_refusal());
    assert_eq!((stats(&cache).refused_busy, acme.stats().loader_busy, acme.stats().load_errors), (1, 1, 0));
    assert_eq!(served(reads).await, 4);
    assert!(read(&acme, &source, 9).await.is_ok(), "the key is usable at once");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_room_for_a_tenant_with_less_in_it() {
    let cache = cache_with(LoaderLimits::new().max_loads(1).max_queue(10)).await;
    let source = Source::default();
    let flood = start(&tenant(&cache, "flood"), &source, "flood", 0..100, millis(10));
    settle().await;
    let calm = start(&tenant(&cache, "calm"), &source, "calm", 0..3, millis(10));
    assert_eq!(served(calm).await, 3);
    assert_eq!(served(flood).await, 1 + 10 - 3);
}

#[tokio::test(start_paused = true)]
async fn a_load_whose_callers_went_away_gives_its_turn_back() {
    let cache = cache_with(LoaderLimits::new().max_loads(2)).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    for read in start(&acme, &source, "", 0..20, millis(10)) {
        tokio::task::yield_now().await;
        read.abort();
    }
    sleep(seconds(2)).await;
    assert_eq!((stats(&cache).running, stats(&cache).waiting), (0, 0));
    assert!(read(&acme, &source, 99).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn loads_that_wait_too_long_time_out_and_leave_the_line() {
    let cache = builder()
        .default_policy(TTL)
        .loader("db", LoaderLimits::new().max_loads(1).no_breaker())
        .build()
        .await
        .unwrap();
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let load = |key: u32, takes: Duration, limit: Duration| {
        let (acme, source) = (acme.clone(), source.clone());
        async move {
            let load = acme.get_or_load(ROWS.key(&key), move || source.row("", key, takes));
            load.policy(TTL.load_timeout(limit)).await
        }
    };
    let hung = tokio::spawn(load(0, seconds(3600), seconds(100)));
    settle().await;
    let waiting: Vec<_> = (1..10).map(|key| tokio::spawn(load(key, millis(1), seconds(5)))).collect();
    for one in waiting {
        assert!(matches!(one.await.unwrap(), Err(LoadError::Timeout)));
    }
    assert_eq!((source.calls(), stats(&cache).waiting, stats(&cache).running), (1, 0, 1));
    assert!(matches!(hung.await.unwrap(), Err(LoadError::Timeout)));
    assert!(load(1, millis(1), seconds(5)).await.is_ok(), "the hung one gave its turn back");
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_panics_gives_its_turn_back() {
    let cache = cache_with(LoaderLimits::new().max_loads(1).no_breaker()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    for key in 0..10 {
        let panics = acme.get_or_load(ROWS.key(&key), async || -> Result<u32, Broken> { panic!("bug {}", 1) }).await;
        assert!(matches!(panics, Err(LoadError::Panicked(_))));
    }
    assert!(read(&acme, &source, 1).await.is_ok());
    assert_eq!((stats(&cache).failures, stats(&cache).running), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_load_of_many_keys_has_one_turn() {
    let cache = cache_with(LoaderLimits::new().max_loads(1)).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let slow = start(&acme, &source, "", [100], seconds(1));
    settle().await;
    let asked = source.clone();
    let many = acme.get_or_load_many(&ROWS, 0..50, async move |keys: Vec<u32>| {
        asked.row("many", 0, millis(1)).await?;
        Ok::<_, Broken>(keys.into_iter().map(|key| (key, key)).collect::<Vec<_>>())
    });
    assert!(timeout(millis(500), many).await.is_err(), "it waits for its turn");
    assert_eq!(stats(&cache).waiting, 1);
    assert_eq!(served(slow).await, 1);
    settle().await;
    sleep(millis(5)).await;
    assert_eq!(acme.get_many((0..50).map(|key| ROWS.key(&key))).await.into_iter().flatten().count(), 50);
    assert_eq!((source.calls(), stats(&cache).loads, source.most_running()), (2, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_keeps_the_limits_of_the_loader_and_readers_have_turns() {
    let cache = cache_with(LoaderLimits::new().max_loads(2).per_second(50)).await;
    let (acme, other, source) = (tenant(&cache, "acme"), tenant(&cache, "other"), Source::default());
    let asked = source.clone();
    let warming = acme
        .warm(&ROWS, (0..200).collect::<Vec<u32>>())
        .load(move |key| asked.row("warm", key, millis(10)))
        .concurrency(16)
        .start()
        .unwrap();
    settle().await;
    let waited = timeout(millis(500), read_slowly(&other, &source, "reader", 7, millis(10))).await;
    assert!(waited.is_ok(), "a reader of another tenant has its turn");
    let report = warming.finish().await;
    assert_eq!(report.progress.loaded, 200, "{report:?}");
    assert!(source.most_running() <= 2 && source.most_in_a_second() <= 50, "{}", source.most_in_a_second());
}
