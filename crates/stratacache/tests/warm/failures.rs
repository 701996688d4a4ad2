//! Loads that fail: each is counted, the first are listed, and the others go on.

use std::sync::Arc;

use stratacache::{ErrorKind, Keyspace, LoadError, Tiers, WarmEnd, hours, millis, seconds};
use tokio::time::{advance, sleep};

use crate::{
    kit::{ROWS, TTL, held},
    support::{builder, cache, tenant},
};

#[tokio::test(start_paused = true)]
async fn a_loader_that_fails_for_each_third_key_fails_for_no_other() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let load = async |key: u32| if key.is_multiple_of(3) { Err(format!("no row {key}")) } else { Ok(u64::from(key)) };
    let report = acme.warm(&ROWS, 0..300).load(load).list_failures(7).await.unwrap();
    assert!(!report.is_success() && matches!(report.ended, WarmEnd::Complete));
    assert_eq!((report.progress.loaded, report.progress.failed, report.progress.done()), (200, 100, 300));
    assert_eq!((report.failures.len(), report.resume_at), (7, 300), "the rest is counted");
    for failure in &report.failures {
        assert_eq!(failure.error.loader_error(), Some(&format!("no row {}", failure.key)));
    }
    assert_eq!(held(&acme, 0..300).await, 200);
    assert!(!format!("{:?}", report.failures[0]).contains("key"), "keys are not shown");
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_fails_its_keys_and_no_others() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    acme.insert(ROWS.key(&25), 9).await.unwrap();
    let load = async |keys: Vec<u32>| match keys.contains(&25) || keys.contains(&33) {
        true => Err("down"),
        false => Ok(keys.into_iter().map(|key| (key, 1)).collect::<Vec<_>>()),
    };
    let report = acme.warm(&ROWS, 0..100).load_many(load).batch(10).await.unwrap();
    let progress = report.progress;
    assert_eq!((progress.there, progress.loaded, progress.failed), (1, 89, 10));
    assert!(report.failures.iter().all(|failure| failure.error.loader_error() == Some(&"down")));
}

#[tokio::test(start_paused = true)]
async fn a_dead_loader_fails_every_key_and_the_warm_up_ends() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let dead = async |_: u32| Err::<u64, _>("dead");
    let report = acme.warm(&ROWS, 0..1_000).load(dead).await.unwrap();
    assert_eq!((report.progress.failed, report.failures.len()), (1_000, 100));
    let hung = async |_: u32| {
        sleep(hours(1)).await;
        Ok::<u64, &str>(0)
    };
    let began = tokio::time::Instant::now();
    let report = acme.warm(&ROWS, 0..16).load(hung).concurrency(8).await.unwrap();
    assert!(report.failures.iter().all(|failure| failure.error.is_timeout()) && report.progress.failed == 16);
    assert!((seconds(60)..seconds(61)).contains(&began.elapsed()), "load_timeout, for two rounds");
    let panics = async |key: u32| if key < 100 { panic!("row {key}") } else { Ok::<u64, &str>(0) };
    let report = acme.warm(&ROWS, 99..101).load(panics).await.unwrap();
    assert!(matches!(&report.failures[0].error, LoadError::Panicked(message) if &**message == "row 99"));
    assert_eq!(report.progress.loaded, 1);
}

#[tokio::test(start_paused = true)]
async fn an_older_value_that_stands_in_for_a_failed_load_is_counted_as_such() {
    const SIE: Keyspace<u32, u64> = Keyspace::new("sie", TTL.stale_if_error(hours(1)));
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    for key in 0..5 {
        acme.insert(SIE.key(&key), 1).await.unwrap();
    }
    advance(seconds(61)).await;
    let report = acme.warm(&SIE, 0..8).load(async |_: u32| Err::<u64, _>("down")).await.unwrap();
    assert_eq!((report.progress.stale, report.progress.failed), (5, 3));
    let many = async |_: Vec<u32>| Err::<Vec<(u32, u64)>, _>("down");
    let report = acme.warm(&SIE, 0..8).load_many(many).await.unwrap();
    assert_eq!((report.progress.stale, report.progress.failed), (5, 3));
    let report = acme.warm(&SIE, 0..8).load_many(many).force().await.unwrap();
    assert_eq!((report.progress.stale, report.progress.failed), (0, 8), "nothing stands in for a forced load");
    let report = acme.warm(&SIE, 0..8).load(async |_: u32| Err::<u64, _>("down")).force().await.unwrap();
    assert_eq!((report.progress.stale, report.progress.failed), (0, 8));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_for_is_refused_by_its_name() {
    let cache = builder().max_tags(2).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let load = async |key: u32| Ok::<_, &str>(u64::from(key));
    let refused = [
        (acme.warm(&ROWS, 0..3).load(load).concurrency(0).start().err(), "concurrency"),
        (acme.warm(&ROWS, 0..3).load(load).batch(0).start().err(), "batch"),
        (acme.warm(&ROWS, 0..3).load(load).rate(0).start().err(), "rate"),
        (acme.warm(&ROWS, 0..3).load(load).tags(["a", "b", "c"]).start().err(), "max_tags"),
        (acme.warm(&ROWS, 0..3).load(load).ttl(hours(100)).start().err(), "max_ttl"),
        (acme.warm(&ROWS, 0..3).load(load).tiers(Tiers::all().skip("redis")).start().err(), "redis"),
    ];
    for (error, name) in refused {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
    let deep = (0..20).fold(acme.clone(), |ns, level: u32| ns.namespace(level));
    assert!(deep.warm(&ROWS, 0..3).load(load).start().is_err());
    cache.close().await.unwrap();
    assert_eq!(acme.warm(&ROWS, 0..3).load(load).start().unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_too_long_fails_alone() {
    const NAMES: Keyspace<str, u64> = Keyspace::new("names", TTL);
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let keys = ["a".to_owned(), "b".repeat(70_000), "c".to_owned()];
    let load = async |keys: Vec<String>| Ok::<_, &str>(keys.into_iter().map(|key| (key, 1)).collect::<Vec<_>>());
    let report = acme.warm(&NAMES, keys).load_many(load).await.unwrap();
    assert_eq!((report.progress.loaded, report.progress.failed), (2, 1));
    assert!(matches!(&report.failures[0].error, LoadError::Invalid(error) if error.to_string().contains("64 KiB")));
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_that_finds_no_place_among_the_waiters_says_so() {
    let cache = builder().max_waiters(1).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let slow = async |key: u32| {
        sleep(millis(10)).await;
        Ok::<_, Arc<str>>(u64::from(key))
    };
    let (_, report) = tokio::join!(
        acme.get_or_load(ROWS.key(&100), move || slow(100)).into_future(),
        acme.warm(&ROWS, 0..3).load(slow).concurrency(1).into_future(),
    );
    let report = report.unwrap();
    assert!(report.failures.iter().all(|failure| matches!(failure.error, LoadError::Overloaded)), "{report:?}");
    let report = acme.warm(&ROWS, 0..3).load(slow).concurrency(1).await.unwrap();
    assert!(report.is_success(), "{report:?}");
}
