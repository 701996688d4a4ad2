//! How many loads are begun in a second.

use std::time::Duration;

use stratacache::{LoaderLimits, Policy, millis, seconds};
use tokio::time::sleep;

use crate::{
    kit::{Broken, ROWS, Source, TTL, cache_with, served, start},
    support::{builder, tenant},
};

#[tokio::test(start_paused = true)]
async fn no_second_has_more_loads_than_the_rate_of_the_loader_over_all_tenants() {
    for rate in [1, 3, 40, 250, 2_000] {
        let cache = cache_with(LoaderLimits::new().per_second(rate)).await;
        let source = Source::default();
        let mut reads = Vec::new();
        for name in ["a", "b", "c"] {
            reads.extend(start(&tenant(&cache, name), &source, "", 0..rate, millis(1)));
            sleep(millis(130)).await;
        }
        let all = reads.len();
        assert_eq!(served(reads).await, all, "at {rate}");
        assert!(source.most_in_a_second() <= rate as usize, "{} at {rate}", source.most_in_a_second());
        assert!(source.most_in_a_second() >= rate as usize / 2, "{} at {rate}", source.most_in_a_second());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_shared_by_turns() {
    let cache = cache_with(LoaderLimits::new().per_second(10)).await;
    let source = Source::default();
    let _flood = start(&tenant(&cache, "flood"), &source, "flood", 0..200, millis(1));
    sleep(seconds(1)).await;
    let before = source.calls_of("flood");
    let calm = start(&tenant(&cache, "calm"), &source, "calm", 0..5, millis(1));
    assert_eq!(served(calm).await, 5);
    assert!(source.calls_of("flood") - before <= 7, "{}", source.calls_of("flood") - before);
}

#[tokio::test(start_paused = true)]
async fn each_tenant_has_a_rate_of_its_own() {
    let cache = builder().default_policy(Policy::ttl(seconds(60))).loads_per_s(20).build().await.unwrap();
    let (acme, other) = (tenant(&cache, "acme"), tenant(&cache, "other"));
    let (source, others) = (Source::default(), Source::default());
    let read = |ns: &stratacache::Namespace, source: &Source, key: u32| {
        let (ns, source) = (ns.clone(), source.clone());
        tokio::spawn(async move { ns.get_or_load(key, move || source.row("", key, Duration::ZERO)).await })
    };
    let reads: Vec<_> = (0..100).map(|key| read(&acme, &source, key)).collect();
    sleep(millis(500)).await;
    assert!(source.calls() <= 11, "{}", source.calls());
    read(&other, &others, 1).await.unwrap().unwrap();
    assert!(source.calls() <= 11, "the other tenant did not wait");
    assert_eq!(served(reads).await, 100);
    assert!(source.most_in_a_second() <= 20, "{}", source.most_in_a_second());
}

#[tokio::test(start_paused = true)]
async fn a_tenants_rate_holds_for_loads_of_many_keys_and_declared_loaders_too() {
    let cache = builder().loads_per_s(5).loader("db", LoaderLimits::new()).build().await.unwrap();
    let (acme, source) = (tenant(&cache, "acme"), Source::default());
    let mut reads = Vec::new();
    for first in 0..10_u32 {
        let (ns, asked) = (acme.clone(), source.clone());
        reads.push(tokio::spawn(async move {
            let keys = first * 10..first * 10 + 10;
            ns.get_or_load_many(&ROWS, keys, async move |keys: Vec<u32>| {
                asked.row("", 0, Duration::ZERO).await?;
                Ok::<_, Broken>(keys.into_iter().map(|key| (key, key)).collect::<Vec<_>>())
            })
            .policy(TTL)
            .await
            .map(|found| found.len())
        }));
    }
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap(), 10);
    }
    assert_eq!(source.calls(), 10);
    assert!(source.most_in_a_second() <= 5, "{}", source.most_in_a_second());
}
