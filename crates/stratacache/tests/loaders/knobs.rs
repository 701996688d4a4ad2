//! Knobs that are out of range, and names that were not declared.

use std::time::Duration;

use stratacache::{Cache, ErrorKind, LoadError, LoaderLimits, Retry, hours, millis, seconds};

use crate::{
    kit::{Broken, ROWS, Source, cache_with, read},
    support::{builder, tenant},
};

#[tokio::test(start_paused = true)]
async fn a_knob_out_of_range_is_an_error_of_build_that_names_it() {
    let limits = LoaderLimits::new;
    for (limits, knob) in [
        (limits().max_loads(0), "max_loads"),
        (limits().max_loads(1 << 21), "max_loads"),
        (limits().max_queue(usize::MAX), "max_queue"),
        (limits().per_second(0), "per_second"),
        (limits().breaker(Duration::ZERO), "breaker"),
        (limits().breaker(hours(2)), "breaker"),
        (limits().retry_budget(1.1), "retry_budget"),
        (limits().retry_budget(-0.1), "retry_budget"),
        (limits().retry_budget(f32::NAN), "retry_budget"),
        (limits().back_off(Duration::ZERO, seconds(1)), "back_off"),
        (limits().back_off(seconds(2), seconds(1)), "back_off"),
        (limits().back_off(seconds(2), hours(2)), "back_off"),
    ] {
        let refused = Cache::builder().loader("contacts-db", limits).build().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.to_string().contains(knob) && refused.to_string().contains("contacts-db"), "{refused}");
    }
    let twice = Cache::builder().loader("db", limits()).loader("db", limits()).build().await.unwrap_err();
    assert!(twice.to_string().contains("declared twice"), "{twice}");
    let unnamed = Cache::builder().loader("", limits()).build().await.unwrap_err();
    assert!(unnamed.to_string().contains("1 to 64 bytes"), "{unnamed}");
    let rate = Cache::builder().loads_per_s(0).build().await.unwrap_err();
    assert!(rate.to_string().contains("loads_per_s"), "{rate}");
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_was_not_declared_is_an_error_that_names_it_and_those_there_are() {
    let refused = builder().keyspace(&ROWS).build().await.unwrap_err().to_string();
    assert!(refused.contains("\"rows\"") && refused.contains("builder.loader(\"db\""), "{refused}");
    let cache = builder().loader("search", LoaderLimits::new()).loader("files", LoaderLimits::new());
    let cache = cache.build().await.unwrap();
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let Err(LoadError::Invalid(error)) = read(&acme, &source, 1).await else { panic!("it is not declared") };
    let said = error.to_string();
    assert!(said.contains("builder.loader(\"db\"") && said.contains("\"files\", \"search\""), "{said}");
    let many = acme.get_or_load_many(&ROWS, [1], async |_| Ok::<Vec<(u32, u32)>, Broken>(Vec::new())).await;
    assert!(matches!(many, Err(LoadError::Invalid(_))));
    let warmed = acme.warm(&ROWS, vec![1]).load(move |key| source.clone().row("", key, Duration::ZERO)).await;
    assert!(warmed.unwrap_err().to_string().contains("builder.loader"));
    assert_eq!(cache.loader_stats("db"), None);
}

#[tokio::test(start_paused = true)]
async fn a_retry_out_of_range_is_an_error_of_the_call() {
    let cache = cache_with(LoaderLimits::new()).await;
    let acme = tenant(&cache, "acme");
    for retry in [Retry::new(0), Retry::new(101), Retry::new(2).first(Duration::ZERO), Retry::new(2).most(millis(1))] {
        let refused = acme.get_or_load(ROWS.key(&1), async || Ok::<_, Broken>(1)).retry(retry).await;
        assert!(
            matches!(&refused, Err(LoadError::Invalid(error)) if error.to_string().contains("retry")),
            "{refused:?}"
        );
    }
}
