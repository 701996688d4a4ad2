//! Loads that are tried again.

use std::time::Duration;

use stratacache::{LoadError, LoaderLimits, Retry, millis, seconds};
use tokio::time::{Instant, advance, sleep};

use crate::{
    kit::{Broken, Loaded, ROWS, Source, TTL, cache_with, stats},
    support::{builder, settle, tenant},
};

const RETRY: Retry = Retry::new(3).first(millis(100)).most(seconds(1));

async fn read_again(ns: &stratacache::Namespace, source: &Source, key: u32, retry: Retry) -> Loaded {
    let source = source.clone();
    ns.get_or_load(ROWS.key(&key), move || source.row("", key, Duration::ZERO)).retry(retry).await
}

#[tokio::test(start_paused = true)]
async fn a_load_that_fails_is_tried_again_after_pauses_that_double() {
    let cache = cache_with(LoaderLimits::new()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.script([true, true, false]);
    assert_eq!(*read_again(&acme, &source, 1, RETRY).await.unwrap(), 10);
    assert_eq!(source.calls(), 3);
    let pauses = source.pauses();
    assert!((millis(50)..=millis(102)).contains(&pauses[0]), "{pauses:?}");
    assert!((millis(100)..=millis(202)).contains(&pauses[1]), "{pauses:?}");
    assert_eq!((stats(&cache).retries, acme.stats().load_retries, acme.stats().loads), (2, 2, 3));
    assert_eq!(acme.stats().load_errors, 0, "the load did not fail");
}

#[tokio::test(start_paused = true)]
async fn the_last_error_is_returned_when_there_are_no_calls_left() {
    let cache = cache_with(LoaderLimits::new()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    let failed = read_again(&acme, &source, 1, RETRY).await;
    assert!(matches!(&failed, Err(LoadError::Loader(error)) if **error == Broken), "{failed:?}");
    assert_eq!(source.calls(), 3);
    assert_eq!(acme.stats().load_errors, 1);
}

#[tokio::test(start_paused = true)]
async fn where_everything_fails_the_budget_bounds_the_calls() {
    for (named, fraction) in [(true, 0.1_f32), (true, 0.0), (true, 1.0), (false, 0.2)] {
        let limits = LoaderLimits::new().no_breaker().retry_budget(fraction);
        let cache = builder().loader("db", limits).build().await.unwrap();
        let (acme, source) = (tenant(&cache, "acme"), Source::default());
        source.set_broken(true);
        let loads = 500;
        for key in 0..loads {
            let asked = source.clone();
            let load = move || asked.row("", key, Duration::ZERO);
            let retry = RETRY.first(millis(1)).most(millis(1));
            let failed = match named {
                true => acme.get_or_load(ROWS.key(&key), load).retry(retry).await,
                false => acme.get_or_load(key, load).retry(retry).await,
            };
            assert!(matches!(failed, Err(LoadError::Loader(_))));
        }
        let retries = source.calls() - loads as usize;
        let expected = (loads as f32 * fraction) as usize;
        assert!((expected..=expected + 10).contains(&retries), "{retries} retries at {fraction}");
        if named {
            assert_eq!(stats(&cache).retries, retries as u64);
            assert!(fraction == 1.0 || stats(&cache).retries_denied > 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retries_do_not_outlive_the_time_out_of_the_load() {
    let cache = cache_with(LoaderLimits::new()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    let began = Instant::now();
    let asked = source.clone();
    let failed = acme
        .get_or_load(ROWS.key(&1), move || asked.row("", 1, millis(300)))
        .policy(TTL.load_timeout(seconds(1)))
        .retry(Retry::new(100).first(millis(400)).most(millis(400)))
        .await;
    assert!(
        matches!(failed, Err(LoadError::Loader(_))),
        "the pause did not fit: the error is what is known: {failed:?}"
    );
    assert!(began.elapsed() <= seconds(1), "{:?}", began.elapsed());
    let asked = source.clone();
    let failed = acme
        .get_or_load(ROWS.key(&1), move || asked.row("", 1, millis(700)))
        .policy(TTL.load_timeout(seconds(1)))
        .retry(Retry::new(100).first(millis(10)))
        .await;
    assert!(matches!(failed, Err(LoadError::Timeout)), "{failed:?}");
    let calls = source.calls();
    sleep(seconds(10)).await;
    assert_eq!(source.calls(), calls, "nothing goes on");
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_between_two_calls_of_a_load_wins() {
    let cache = cache_with(LoaderLimits::new()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.script([true, false]);
    let reader = {
        let (acme, source) = (acme.clone(), source.clone());
        tokio::spawn(async move { read_again(&acme, &source, 1, RETRY).await })
    };
    settle().await;
    assert_eq!(source.calls(), 1);
    acme.invalidate(ROWS.key(&1)).await.unwrap();
    assert!(reader.await.unwrap().is_ok(), "who came before gets it all the same");
    assert_eq!(source.calls(), 2);
    assert!(acme.get(ROWS.key(&1)).await.is_none(), "the position is that of the first call: it is not kept");
}

#[tokio::test(start_paused = true)]
async fn a_load_gives_its_turn_to_others_while_it_pauses() {
    let cache = cache_with(LoaderLimits::new().max_loads(1)).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.script([true]);
    let pausing = {
        let (acme, source) = (acme.clone(), source.clone());
        let retry = Retry::new(2).first(seconds(2));
        tokio::spawn(async move { read_again(&acme, &source, 1, retry).await })
    };
    settle().await;
    assert_eq!((source.calls(), stats(&cache).running), (1, 0));
    assert!(read_again(&acme, &source, 2, RETRY).await.is_ok());
    assert!(!pausing.is_finished());
    assert!(pausing.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_refused_leaves_the_loaders_own_error() {
    let cache = cache_with(LoaderLimits::new().breaker(seconds(60))).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    let failed = read_again(&acme, &source, 1, Retry::new(20).first(millis(1)).most(millis(1))).await;
    assert!(matches!(failed, Err(LoadError::Loader(_))), "{failed:?}");
    assert_eq!(source.calls(), 5, "then it was left alone");
}

#[tokio::test(start_paused = true)]
async fn loads_of_many_keys_and_warm_ups_are_tried_again_too() {
    let cache = cache_with(LoaderLimits::new()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.script([true, false]);
    let asked = source.clone();
    let many = acme.get_or_load_many(&ROWS, [1, 2, 3], async move |keys: Vec<u32>| {
        asked.row("", 0, Duration::ZERO).await?;
        Ok::<_, Broken>(keys.into_iter().map(|key| (key, key)).collect::<Vec<_>>())
    });
    assert_eq!(many.retry(RETRY).await.unwrap().len(), 3);
    assert_eq!(source.calls(), 2);
    source.script([true, true, false]);
    let asked = source.clone();
    let warmed = acme.warm(&ROWS, vec![7]).load(move |key| asked.row("", key, Duration::ZERO)).retry(RETRY).await;
    assert_eq!(warmed.unwrap().progress.loaded, 1);
    assert_eq!(source.calls(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_not_tried_again_and_neither_is_what_no_call_asked_to_repeat() {
    let cache = cache_with(LoaderLimits::new().no_breaker()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let asked = source.clone();
    let panics = acme
        .get_or_load(ROWS.key(&1), async move || -> Result<u32, Broken> {
            asked.row("", 1, Duration::ZERO).await?;
            panic!("bug")
        })
        .retry(RETRY)
        .await;
    assert!(matches!(panics, Err(LoadError::Panicked(_))));
    source.set_broken(true);
    assert!(crate::kit::read(&acme, &source, 2).await.is_err());
    assert_eq!(source.calls(), 2);
    advance(seconds(5)).await;
    assert_eq!(source.calls(), 2);
}
