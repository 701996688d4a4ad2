//! Keys that rest after a load of many has failed.

use std::{collections::HashMap, time::Duration};

use stratacache::{
    Cached, Keyspace, LoadError, LoaderLimits, Namespace, Policy, WarmReport, hours, millis, minutes, seconds,
};
use tokio::time::advance;

use crate::{
    kit::{Broken, ROWS, Source, TTL, cache_with, read, stats},
    support::{builder, settle, tenant},
};

const LIMITS: LoaderLimits = LoaderLimits::new().no_breaker().back_off(seconds(1), seconds(8));

type Found = Result<HashMap<u32, Cached<u32>>, LoadError<Broken>>;

/// Reads rows through, with one call that takes so long and is counted as one of the row that has their number.
async fn rows(source: Source, keys: Vec<u32>, takes: Duration) -> Result<Vec<(u32, u32)>, Broken> {
    source.row("many", keys.len() as u32, takes).await?;
    Ok(keys.into_iter().map(|key| (key, key * 10)).collect())
}

async fn many(ns: &Namespace, source: &Source, keys: impl IntoIterator<Item = u32>) -> Found {
    let source = source.clone();
    ns.get_or_load_many(&ROWS, keys, move |missing| rows(source, missing, Duration::ZERO)).tag("rows").await
}

#[track_caller]
fn failed(found: Found) {
    assert!(matches!(found, Err(LoadError::Loader(_))), "{found:?}");
}

#[track_caller]
fn refused(found: Found) -> Duration {
    match found {
        Err(LoadError::BackingOff(left)) => left.retry_in(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_failed_together_rest_together_and_longer_each_time() {
    let cache = cache_with(LIMITS).await;
    let (acme, other, source) = (tenant(&cache, "acme"), tenant(&cache, "other"), Source::default());
    source.set_broken(true);
    for (calls, whole) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8)] {
        failed(many(&acme, &source, 1..=3).await);
        let left = refused(many(&acme, &source, 1..=3).await);
        assert!(left <= seconds(whole) && left * 2 >= seconds(whole) - millis(2), "{left:?}");
        refused(many(&acme, &source, 2..=3).await);
        assert_eq!(source.calls(), calls);
        advance(left + millis(1)).await;
    }
    assert_eq!((stats(&cache).refused_resting, acme.stats().keys_resting), (10, 10));
    source.set_broken(false);
    assert_eq!(many(&acme, &source, 1..=3).await.unwrap().len(), 3);
    acme.clear().await.unwrap();
    source.set_broken(true);
    failed(many(&acme, &source, 1..=3).await);
    failed(many(&other, &source, 1..=3).await); // another tenant
    advance(seconds(1)).await;
    failed(many(&acme, &source, 1..=3).await); // it began anew: a second was enough
}

#[tokio::test(start_paused = true)]
async fn one_of_them_is_still_loaded_alone_for_the_failure_may_be_anothers() {
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.script([true, false, true]);
    failed(many(&acme, &source, 1..=3).await);
    assert_eq!(*read(&acme, &source, 1).await.unwrap(), 10);
    assert!(matches!(read(&acme, &source, 2).await, Err(LoadError::Loader(_))));
    assert!(matches!(read(&acme, &source, 2).await, Err(LoadError::BackingOff(_))), "now it has failed alone");
    refused(many(&acme, &source, 1..=3).await); // the first is there, the others rest
    assert_eq!(source.calls(), 3);
    assert!(read(&acme, &source, 3).await.is_ok());
    refused(many(&acme, &source, 2..=3).await); // one is left: it is a load of that key
    acme.invalidate(ROWS.key(&2)).await.unwrap();
    failed_together_then_alone(&acme, &source).await;
}

/// Loads one of two keys that failed together, and then both, of which one is left.
async fn failed_together_then_alone(acme: &Namespace, source: &Source) {
    source.script([true, false, false]);
    failed(many(acme, source, 7..=8).await);
    assert!(read(acme, source, 7).await.is_ok());
    assert_eq!(many(acme, source, 7..=8).await.unwrap().len(), 2, "it has not failed alone");
}

#[tokio::test(start_paused = true)]
async fn with_a_key_that_does_not_rest_all_are_loaded() {
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.script([true, true]);
    failed(many(&acme, &source, 1..=3).await);
    assert!(read(&acme, &source, 4).await.is_err());
    refused(many(&acme, &source, 1..=4).await);
    let found = many(&acme, &source, 1..=5).await.unwrap();
    assert_eq!((found.len(), *found[&4], source.calls()), (5, 40, 3));
    acme.invalidate_tag("rows").await.unwrap();
    source.set_broken(true);
    failed(many(&acme, &source, 1..=3).await);
    failed(many(&acme, &source, 3..=4).await);
}

#[tokio::test(start_paused = true)]
async fn a_load_of_many_that_loads_one_key_is_a_load_of_that_key() {
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    many(&acme, &source, 1..=2).await.unwrap();
    source.set_broken(true);
    failed(many(&acme, &source, 1..=3).await);
    assert!(matches!(read(&acme, &source, 3).await, Err(LoadError::BackingOff(_))));
    refused(many(&acme, &source, 1..=3).await);
    assert_eq!(many(&acme, &source, 1..=2).await.unwrap().len(), 2, "what is there is served");
    assert_eq!(source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn whatever_says_that_one_of_them_has_changed_ends_its_rest() {
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let sales = acme.namespace("sales").with_tag("crm");
    for what in ["key", "tag", "tag of the namespace", "namespace", "tenant", "expire", "insert"] {
        source.set_broken(true);
        failed(many(&sales, &source, 1..=3).await);
        acme.invalidate("another key").await.unwrap();
        acme.invalidate_tag("another tag").await.unwrap();
        refused(many(&sales, &source, 1..=3).await);
        source.set_broken(false);
        match what {
            "key" => drop(sales.invalidate(ROWS.key(&2)).await.unwrap()),
            "tag" => drop(acme.invalidate_tag("rows").await.unwrap()),
            "tag of the namespace" => drop(acme.invalidate_tag("crm").await.unwrap()),
            "namespace" => drop(sales.clear().await.unwrap()),
            "tenant" => drop(acme.clear().await.unwrap()),
            "expire" => drop(sales.expire(ROWS.key(&2)).await.unwrap()),
            _ => {
                sales.insert(ROWS.key(&2), 7).await.unwrap();
                refused(many(&sales, &source, 1..=3).await); // the others rest
                sales.invalidate(ROWS.key(&2)).await.unwrap();
            }
        }
        assert_eq!(many(&sales, &source, 1..=3).await.unwrap().len(), 3, "{what}");
        acme.clear().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_invalidated_while_it_was_loaded_does_not_rest() {
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    for tag in [false, true] {
        let failing = {
            let (acme, source) = (acme.clone(), source.clone());
            let load = move |missing| rows(source, missing, millis(100));
            tokio::spawn(async move { acme.get_or_load_many(&ROWS, 1..=3, load).tag("rows").await })
        };
        settle().await;
        match tag {
            false => drop(acme.invalidate(ROWS.key(&2)).await.unwrap()),
            true => drop(acme.invalidate_tag("rows").await.unwrap()),
        }
        failed(failing.await.unwrap());
        failed(many(&acme, &source, 1..=3).await);
        advance(seconds(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn stale_values_are_served_while_their_keys_would_rest() {
    const STALE: Keyspace<u32, u32> =
        Keyspace::new("stale", Policy::ttl(seconds(1)).jitter(0.0).stale_if_error(hours(1))).loader("db");
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let load = |keys: std::ops::RangeInclusive<u32>| {
        let source = source.clone();
        acme.get_or_load_many(&STALE, keys, move |missing| rows(source, missing, Duration::ZERO))
    };
    load(1..=3).await.unwrap();
    source.set_broken(true);
    advance(seconds(2)).await;
    for _ in 0..20 {
        assert_eq!(load(1..=3).await.unwrap().len(), 3);
        advance(millis(100)).await;
    }
    assert_eq!(stats(&cache).refused_resting, 0);
    failed(load(1..=4).await); // one has no stale value
    advance(minutes(1)).await;
    assert_eq!(load(1..=3).await.unwrap().len(), 3, "the others have theirs");
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_heeds_what_rests_unless_it_is_forced() {
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let warm = || {
        let source = source.clone();
        acme.warm(&ROWS, 1..=3).load_many(move |missing| rows(source, missing, Duration::ZERO))
    };
    source.script([true]);
    failed(many(&acme, &source, 1..=3).await);
    let report: WarmReport<u32, Broken> = warm().await.unwrap();
    assert_eq!((report.progress.failed, source.calls()), (3, 1));
    assert!(report.failures.iter().all(|one| matches!(one.error, LoadError::BackingOff(_))), "{report:?}");
    assert_eq!(warm().force().await.unwrap().progress.loaded, 3);
    assert_eq!(many(&acme, &source, 1..=3).await.unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn more_keys_than_are_remembered_do_not_rest_and_neither_do_those_of_a_loader_without_the_knob() {
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    failed(many(&acme, &source, 0..4_097).await);
    failed(many(&acme, &source, 0..4_097).await);
    failed(many(&acme, &source, 0..4_096).await);
    refused(many(&acme, &source, 0..4_096).await);

    const PLAIN: Keyspace<u32, u32> = Keyspace::new("plain", TTL);
    let cache = builder().loader("db", LoaderLimits::new().no_breaker()).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    for keyspace in [&ROWS, &PLAIN] {
        for _ in 0..2 {
            let source = source.clone();
            let load = move |missing| rows(source, missing, Duration::ZERO);
            failed(acme.get_or_load_many(keyspace, 1..=3, load).await);
        }
    }
}
