//! What is logged: each miss, load and invalidation by the key's hash; never a key or a value.
#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::convert::Infallible;

use stratacache::{Policy, minutes, seconds};
use stratacache_testkit::{
    faulty::{Fault, FaultyTier, On},
    logs::Log,
    tiers::MemoryTier,
};
use support::{builder, settle, tenant};
use tokio::time::sleep;

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
    for said in ["miss", "hit", "loaded", "load failed", "invalidated", "strata.load", "tier failed"] {
        assert!(text.contains(said), "{said} is missing in:\n{text}");
    }
    assert_eq!(text.matches("no weigher").count(), 1, "said once for a type");
    assert!(!text.contains("canary"), "{text}");
}

/// The lines of `text` that say something of a key.
fn said<'a>(text: &'a str, line: &str, key: &str) -> Vec<&'a str> {
    let says = |one: &&str| one.contains(&format!(": {line} ")) && one.contains(&format!("key={key}"));
    text.lines().filter(says).collect()
}

#[tokio::test(start_paused = true)]
async fn rust_log_at_debug_shows_each_hit_miss_load_and_invalidation_once_by_the_same_hash() {
    let log = Log::default();
    let filter = tracing_subscriber::EnvFilter::new("stratacache=debug"); // what RUST_LOG would say
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(log.writer()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let policy = Policy::ttl(minutes(5)).jitter(0.0).tier_ttl("memory", seconds(5));
    let cache = builder().tier(MemoryTier::new("disk")).default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let key = acme.key_hash::<String>("one").to_string();
    assert_eq!(key.len(), 16);
    let counts = |line: &str| said(&log.text(), line, &key).len();
    let all = || ["hit", "miss", "loaded", "load failed", "invalidated"].map(counts);

    let load = async || acme.get_or_load("one", async || Ok::<_, Infallible>("value".to_owned())).await.unwrap();
    load().await;
    assert_eq!(all(), [0, 1, 1, 0, 0], "{}", log.text());
    load().await;
    acme.get::<String>("one").await;
    assert_eq!(all(), [2, 1, 1, 0, 0], "{}", log.text());
    settle().await;
    sleep(seconds(6)).await;
    acme.get::<String>("one").await;
    assert_eq!(all(), [3, 1, 1, 0, 0], "below memory: {}", log.text());
    assert!(said(&log.text(), "hit", &key)[2].contains("tier=\"disk\" state=\"fresh\""), "{}", log.text());
    acme.invalidate("one").await.unwrap();
    assert_eq!(all(), [3, 1, 1, 0, 1], "{}", log.text());
    acme.get::<String>("one").await;
    let failed = acme.get_or_load::<String, _>("one", async || Err::<String, _>("no")).await;
    assert!(failed.is_err());
    assert_eq!(all(), [3, 3, 1, 1, 1], "{}", log.text());
    acme.get_or_load_optional::<String, _>("one", async || Ok::<_, Infallible>(None)).await.unwrap();
    assert!(acme.get::<String>("one").await.is_none());
    assert_eq!(all(), [4, 4, 2, 1, 1], "{}", log.text());
    assert!(said(&log.text(), "hit", &key)[3].contains("state=\"absent\""), "{}", log.text());

    // many at once are said one by one
    let both = ["one", "two"].map(stratacache::IntoKey::<String>::into_key);
    acme.get_many(both).await;
    assert_eq!((all()[0], said(&log.text(), "miss", &acme.key_hash::<String>("two").to_string()).len()), (5, 1));
    // another tenant's key, or another secret's, has another hash
    assert_ne!(tenant(&cache, "globex").key_hash::<String>("one").to_string(), key);
    let other = builder().deployment_secret([7; 16]).build().await.unwrap();
    assert_ne!(tenant(&other, "acme").key_hash::<String>("one").to_string(), key);
}

#[tokio::test(start_paused = true)]
async fn without_debug_no_read_load_or_invalidation_is_said() {
    let log = Log::default();
    let filter = tracing_subscriber::EnvFilter::new("info,other_crate=debug");
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(log.writer()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.get_or_load("one", async || Ok::<_, Infallible>(1_u32)).await.unwrap();
    acme.get::<u32>("one").await;
    acme.invalidate("one").await.unwrap();
    assert_eq!(log.text(), "");
}
