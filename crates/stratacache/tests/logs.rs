//! What is logged: each miss, load and invalidation by the key's hash; never a key or a value.
#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::convert::Infallible;

use stratacache::{Policy, minutes};
use stratacache_testkit::{
    faulty::{Fault, FaultyTier, On},
    logs::Log,
    tiers::MemoryTier,
};
use support::{builder, settle, tenant};

#[tokio::test(start_paused = true)]
async fn misses_loads_and_invalidations_are_logged_by_hash_and_keys_and_values_never_are() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.writer()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let (faulty, faults) = FaultyTier::new(MemoryTier::new("disk"), 1);
    let cache = builder().tier(faulty).default_policy(Policy::ttl(minutes(5))).build().await.unwrap();
    let acme = tenant(&cache, "acme").namespace("canary-namespace").with_tag("canary-tag");
    let load = async || acme.get_or_load("canary-key", async || Ok::<_, Infallible>("canary-value".to_owned())).await;
    load().await.unwrap();
    load().await.unwrap();
    settle().await;
    acme.invalidate("canary-key").await.unwrap();
    acme.invalidate_tag("canary-tag").await.unwrap();
    let failed = acme.get_or_load::<u32, _>("canary-other", async || Err::<u32, _>("canary-error")).await;
    assert!(failed.is_err());
    for n in 0..3_u32 {
        acme.insert(n, stratacache::Local(n)).await.unwrap();
    }
    faults.always(On::Any, Fault::Hang);
    acme.get::<u32>("canary-more").await;
    cache.close().await.unwrap();

    let text = log.text();
    for said in
        ["miss in memory", "hit in memory", "loaded", "load failed", "invalidated", "strata.load", "tier failed"]
    {
        assert!(text.contains(said), "{said} is missing in:\n{text}");
    }
    assert_eq!(text.matches("no weigher").count(), 1, "said once for a type");
    assert!(!text.contains("canary"), "{text}");
}
