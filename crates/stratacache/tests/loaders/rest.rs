//! Keys that rest after a failure.

use std::time::Duration;

use stratacache::{Keyspace, LoadError, LoaderLimits, Policy, hours, millis, seconds};
use tokio::time::advance;

use crate::{
    kit::{Broken, ROWS, Source, cache_with, read, stats},
    support::tenant,
};

const LIMITS: LoaderLimits = LoaderLimits::new().no_breaker().back_off(seconds(1), seconds(8));

#[tokio::test(start_paused = true)]
async fn a_key_that_failed_rests_and_longer_each_time() {
    let cache = cache_with(LIMITS).await;
    let (acme, other, source) = (tenant(&cache, "acme"), tenant(&cache, "other"), Source::default());
    source.set_broken(true);
    for (calls, whole) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8)] {
        assert!(matches!(read(&acme, &source, 1).await, Err(LoadError::Loader(_))));
        let refused = read(&acme, &source, 1).await.unwrap_err();
        let LoadError::BackingOff(left) = &refused else { panic!("{refused:?}") };
        assert!(left.retry_in() <= seconds(whole) && left.retry_in() * 2 >= seconds(whole) - millis(2), "{left:?}");
        let said = refused.to_string();
        assert!(said.contains("\"db\"") && said.contains("back_off"), "{said}");
        assert_eq!(source.calls(), calls);
        advance(left.retry_in() + millis(1)).await;
    }
    source.set_broken(false);
    assert_eq!(*read(&acme, &source, 1).await.unwrap(), 10);
    assert_eq!((stats(&cache).refused_resting, acme.stats().keys_resting), (5, 5));
    source.set_broken(true);
    assert!(matches!(read(&acme, &source, 2).await, Err(LoadError::Loader(_))), "other keys do not rest");
    assert!(matches!(read(&other, &source, 2).await, Err(LoadError::Loader(_))), "nor do other tenants");
}

#[tokio::test(start_paused = true)]
async fn whatever_says_that_the_key_has_changed_ends_its_rest() {
    const TAGGED: Policy = Policy::ttl(seconds(60)).jitter(0.0);
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let sales = acme.namespace("sales").with_tag("crm");
    let load = || {
        let asked = source.clone();
        let load = move || asked.row("", 1, Duration::ZERO);
        sales.get_or_load(ROWS.key(&1), load).tag("contacts").tag(stratacache::Tag::global("prices")).policy(TAGGED)
    };
    for what in ["key", "tag", "tag of the namespace", "global tag", "namespace", "tenant", "expire", "refresh"] {
        source.set_broken(true);
        assert!(matches!(load().await, Err(LoadError::Loader(_))), "{what}");
        assert!(matches!(load().await, Err(LoadError::BackingOff(_))), "{what}");
        acme.invalidate("another key").await.unwrap();
        acme.invalidate_tag("another tag").await.unwrap();
        assert!(matches!(load().await, Err(LoadError::BackingOff(_))), "{what}: nothing of it was invalidated");
        source.set_broken(false);
        match what {
            "key" => drop(sales.invalidate(ROWS.key(&1)).await.unwrap()),
            "expire" => drop(sales.expire(ROWS.key(&1)).await.unwrap()),
            "tag" => drop(acme.invalidate_tag("contacts").await.unwrap()),
            "tag of the namespace" => drop(acme.invalidate_tag("crm").await.unwrap()),
            "global tag" => drop(cache.invalidate_global_tag("prices").await.unwrap()),
            "namespace" => drop(sales.clear().await.unwrap()),
            "tenant" => drop(acme.clear().await.unwrap()),
            _ => {
                let asked = source.clone();
                let refreshed = sales.refresh(ROWS.key(&1), move || asked.row("", 1, Duration::ZERO)).await;
                assert!(refreshed.is_ok(), "{refreshed:?}");
            }
        }
        assert_eq!(*load().await.unwrap(), 10, "{what}");
        acme.clear().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_insert_ends_the_rest_of_its_key() {
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    assert!(read(&acme, &source, 1).await.is_err());
    acme.insert(ROWS.key(&1), 7).ttl(millis(100)).await.unwrap();
    assert_eq!(*read(&acme, &source, 1).await.unwrap(), 7);
    advance(millis(150)).await;
    assert!(matches!(read(&acme, &source, 1).await, Err(LoadError::Loader(_))), "it does not rest");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_invalidated_while_its_load_failed_does_not_rest() {
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    for tag in [false, true] {
        let failing = {
            let (acme, source) = (acme.clone(), source.clone());
            tokio::spawn(async move {
                acme.get_or_load(ROWS.key(&1), move || source.row("", 1, millis(100))).tag("t").await
            })
        };
        crate::support::settle().await;
        match tag {
            false => drop(acme.invalidate(ROWS.key(&1)).await.unwrap()),
            true => drop(acme.invalidate_tag("t").await.unwrap()),
        }
        assert!(matches!(failing.await.unwrap(), Err(LoadError::Loader(_))));
        assert!(matches!(read(&acme, &source, 1).await, Err(LoadError::Loader(_))), "by tag: {tag}");
        advance(seconds(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_other_types_under_the_same_key_rest_together() {
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.set_broken(true);
    assert!(read(&acme, &source, 1).await.is_err());
    let refused = acme.get_or_load(ROWS.key(&1), async || Err::<u32, _>("another error")).await;
    assert!(matches!(refused, Err(LoadError::BackingOff(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_served_while_a_key_would_rest() {
    const STALE: Keyspace<u32, u32> =
        Keyspace::new("stale", Policy::ttl(seconds(1)).jitter(0.0).stale_if_error(hours(1))).loader("db");
    let cache = cache_with(LIMITS).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let load = || {
        let source = source.clone();
        acme.get_or_load(STALE.key(&1), move || source.row("", 1, Duration::ZERO))
    };
    load().await.unwrap();
    source.set_broken(true);
    advance(seconds(2)).await;
    for _ in 0..20 {
        assert_eq!(*load().await.unwrap(), 10);
        advance(millis(100)).await;
    }
    assert_eq!(stats(&cache).refused_resting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_rests_though_nobody_holds_its_tenant() {
    let limits = LoaderLimits::new().no_breaker().back_off(seconds(120), seconds(120));
    let cache = cache_with(limits).await;
    let source = Source::default();
    source.set_broken(true);
    assert!(read(&tenant(&cache, "acme"), &source, 1).await.is_err());
    for _ in 0..5 {
        tokio::time::sleep(seconds(11)).await; // idle tenants are dropped meanwhile
        assert!(matches!(read(&tenant(&cache, "acme"), &source, 1).await, Err(LoadError::BackingOff(_))));
    }
    assert_eq!(source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_the_knob_the_next_reader_loads() {
    let cache = cache_with(LoaderLimits::new().no_breaker()).await;
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    source.script([true]);
    assert!(matches!(read(&acme, &source, 1).await, Err(LoadError::Loader(error)) if *error == Broken));
    assert!(read(&acme, &source, 1).await.is_ok());
}
