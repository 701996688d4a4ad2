//! Cached closures and functions are tried again as other loads are.

use std::time::Duration;

use stratacache::{Cache, Cached, Freshness, LoadError, LoaderLimits, Namespace, Retry, millis, seconds};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    kit::{Broken, ROWS, Source, cache_with, stats},
    support::{builder, settle, tenant},
};

const RETRY: Retry = Retry::new(3).first(millis(100)).most(seconds(1));

/// Returns what reads a row through a cached closure.
fn closure(
    acme: &Namespace,
    source: &Source,
    retry: Option<Retry>,
) -> impl AsyncFn(u32) -> Result<Cached<u32>, LoadError<Broken>> + use<> {
    let source = source.clone();
    let rows = acme.wrap(&ROWS, move |key: u32| source.clone().row("", key, Duration::ZERO));
    let rows = retry.into_iter().fold(rows, |rows, retry| rows.retry(retry));
    async move |key| rows.call(key).await
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_closure_is_tried_again_and_each_call_is_counted() {
    let cache = cache_with(LoaderLimits::new().no_breaker()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let rows = closure(&acme, &source, Some(RETRY));
    source.script([true, true, false]);
    let found = rows(7).await.unwrap();
    assert_eq!((*found, found.freshness()), (70, Freshness::Loaded), "with the argument of the first call");
    assert_eq!(source.calls(), 3);
    let pauses = source.pauses();
    assert!((millis(50)..=millis(102)).contains(&pauses[0]), "{pauses:?}");
    assert_eq!((stats(&cache).retries, acme.stats().load_retries, acme.stats().loads), (2, 2, 3));
    assert_eq!(acme.stats().load_errors, 0, "the load did not fail");

    source.set_broken(true);
    assert!(matches!(rows(8).await, Err(LoadError::Loader(error)) if *error == Broken));
    assert_eq!((source.calls(), acme.stats().load_errors), (6, 1));
    assert!(closure(&acme, &source, None)(9).await.is_err());
    assert_eq!(source.calls(), 7, "unless it says so, it is called once");
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_wrapped_closure_may_say_how_often_and_a_refresh_goes_by_the_closure() {
    let cache = cache_with(LoaderLimits::new().no_breaker()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let asked = source.clone();
    let rows = acme.wrap(&ROWS, move |key: u32| asked.clone().row("", key, Duration::ZERO)).retry(RETRY);
    source.set_broken(true);
    assert!(rows.call(1).retry(Retry::new(1)).await.is_err());
    assert_eq!(source.calls(), 1);
    assert!(rows.call(1).retry(RETRY.first(millis(1))).await.is_err());
    assert_eq!(source.calls(), 4);
    assert!(rows.clone().refresh(1).await.is_err());
    assert_eq!(source.calls(), 7);
    source.script([true, false]);
    assert_eq!(*rows.refresh(1).await.unwrap(), 10);
    let refused = rows.call(2).retry(Retry::new(0)).await;
    assert!(matches!(refused, Err(LoadError::Invalid(_))), "{refused:?}");
}

/// Reads 500 rows that all fail, and returns how many calls more there were.
async fn retries_of_failing(
    source: &Source,
    read: impl AsyncFn(u32) -> Result<Cached<u32>, LoadError<Broken>>,
) -> usize {
    source.set_broken(true);
    for key in 0..500 {
        assert!(matches!(read(key).await, Err(LoadError::Loader(_))));
    }
    source.calls() - 500
}

async fn with_a_tenth() -> Cache {
    cache_with(LoaderLimits::new().no_breaker().retry_budget(0.1)).await
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_its_loader_bounds_the_calls_of_a_wrapped_closure() {
    let (cache, source) = (with_a_tenth().await, Source::default());
    let retry = RETRY.first(millis(1)).most(millis(1));
    let rows = closure(&tenant(&cache, "acme"), &source, Some(retry));
    let retries = retries_of_failing(&source, rows).await;
    assert!((50..=60).contains(&retries), "{retries}");
    assert_eq!(stats(&cache).retries, retries as u64);
    assert!(stats(&cache).retries_denied > 0);
}

/// Goes away in the pause between two calls, and returns when the load has ended.
async fn gone_between_two_calls(
    acme: &Namespace,
    source: &Source,
    read: impl AsyncFn(u32) -> Result<Cached<u32>, LoadError<Broken>>,
) {
    source.script([true, true, false]);
    assert!(timeout(millis(10), read(7)).await.is_err());
    assert_eq!(source.calls(), 1, "it pauses");
    sleep(seconds(1)).await;
    settle().await;
    assert_eq!(source.calls(), 3, "it was tried again as if the caller were there");
    let found = read(7).await.unwrap();
    assert_eq!((*found, found.freshness()), (70, Freshness::Fresh), "and stored");
    assert_eq!((source.calls(), acme.stats().load_retries, acme.stats().load_errors), (3, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_of_a_wrapped_closure_that_goes_away_between_two_calls_changes_nothing() {
    let cache = cache_with(LoaderLimits::new()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    gone_between_two_calls(&acme, &source, closure(&acme, &source, Some(RETRY))).await;
    assert_eq!((stats(&cache).retries, stats(&cache).running), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn callers_of_a_wrapped_closure_share_its_retries() {
    let cache = cache_with(LoaderLimits::new()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.script([true, false]);
    let asked = source.clone();
    let rows = acme.wrap(&ROWS, move |key: u32| asked.clone().row("", key, Duration::ZERO)).retry(RETRY);
    let began = Instant::now();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let rows = rows.clone();
            tokio::spawn(async move { *rows.call(7).await.unwrap() })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 70);
    }
    assert_eq!((source.calls(), stats(&cache).retries), (2, 1));
    assert!(began.elapsed() <= millis(110), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_between_two_calls_of_a_wrapped_closure_wins() {
    let cache = cache_with(LoaderLimits::new()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.script([true, false]);
    let asked = source.clone();
    let rows = acme.wrap(&ROWS, move |key: u32| asked.clone().row("", key, Duration::ZERO)).retry(RETRY);
    let reader = tokio::spawn(async move { rows.call(1).await.is_ok() });
    settle().await;
    assert_eq!(source.calls(), 1);
    acme.invalidate(ROWS.key(&1)).await.unwrap();
    assert!(reader.await.unwrap(), "who came before gets it all the same");
    assert!(acme.get(ROWS.key(&1)).await.is_none(), "the position is that of the first call: it is not kept");
}

#[cfg(feature = "macros")]
mod functions {
    //! `#[cached(retry = ..)]`.

    use stratacache::{Keyspace, cached};

    use super::*;
    use crate::kit::TTL;

    const NAMES: Keyspace<str, String> = Keyspace::new("names", TTL).loader("db");

    #[cached(keyspace = ROWS, key = id, retry = retry, skip(source))]
    async fn row(acme: &Namespace, source: &Source, id: u32, retry: Retry) -> Result<u32, Broken> {
        source.clone().row("", id, Duration::ZERO).await
    }

    /// Takes its parameters apart and changes them: each try has its own.
    #[cached(keyspace = NAMES, key = name, optional, retry = RETRY, skip(source, more))]
    async fn name_of(
        acme: &Namespace,
        source: Source,
        name: &str,
        mut more: Vec<u32>,
    ) -> Result<Option<String>, Broken> {
        more.push(1);
        let found = source.row("", more.len() as u32, Duration::ZERO).await?;
        Ok(Some(format!("{name} {found}")))
    }

    #[tokio::test(start_paused = true)]
    async fn a_cached_function_is_tried_again_and_each_call_is_counted() {
        let cache = cache_with(LoaderLimits::new()).await;
        let (acme, source) = (tenant(&cache, "acme"), Source::default());
        source.script([true, true, false]);
        assert_eq!(*row(&acme, &source, 7, RETRY).await.unwrap(), 70);
        assert_eq!(source.calls(), 3);
        assert_eq!((stats(&cache).retries, acme.stats().load_retries, acme.stats().loads), (2, 2, 3));
        assert_eq!(acme.stats().load_errors, 0);
        source.set_broken(true);
        assert!(matches!(row(&acme, &source, 8, Retry::new(2)).await, Err(LoadError::Loader(_))));
        assert_eq!((source.calls(), acme.stats().load_errors), (5, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn each_try_of_a_cached_function_begins_with_the_parameters_of_the_caller() {
        let cache = cache_with(LoaderLimits::new()).await;
        let (acme, source) = (tenant(&cache, "acme"), Source::default());
        source.script([true, true, false]);
        let found = name_of(&acme, source.clone(), "ada", vec![7]).await.unwrap().unwrap();
        assert_eq!((&**found, source.calls()), ("ada 20", 3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_of_its_loader_bounds_the_calls_of_a_cached_function() {
        let (cache, source) = (with_a_tenth().await, Source::default());
        let (acme, retry) = (tenant(&cache, "acme"), RETRY.first(millis(1)).most(millis(1)));
        let retries = retries_of_failing(&source, async |id| row(&acme, &source, id, retry).await).await;
        assert!((50..=60).contains(&retries), "{retries}");
        assert_eq!(stats(&cache).retries, retries as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_loader_the_budget_is_the_tenants() {
        #[cached(keyspace = PLAIN, key = id, retry = RETRY.first(millis(1)).most(millis(1)), skip(source))]
        async fn plain(acme: &Namespace, source: &Source, id: u32) -> Result<u32, Broken> {
            source.clone().row("", id, Duration::ZERO).await
        }
        const PLAIN: Keyspace<u32, u32> = Keyspace::new("plain", TTL);
        let (cache, source) = (builder().build().await.unwrap(), Source::default());
        let acme = tenant(&cache, "acme");
        let retries = retries_of_failing(&source, async |id| plain(&acme, &source, id).await).await;
        assert!((100..=110).contains(&retries), "a fifth: {retries}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_of_a_cached_function_that_goes_away_between_two_calls_changes_nothing() {
        let cache = cache_with(LoaderLimits::new()).await;
        let (acme, source) = (tenant(&cache, "acme"), Source::default());
        gone_between_two_calls(&acme, &source, async |id| row(&acme, &source, id, RETRY).await).await;
        assert_eq!((stats(&cache).retries, stats(&cache).running), (2, 0));
    }
}
