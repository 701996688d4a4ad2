//! Keys that operators find in memory by a pattern, and invalidate: exactly these, and nobody else's.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

mod support;

use stratacache::{Glob, Keyspace, Namespace, Policy, millis, seconds};
use stratacache_testkit::tiers::MemoryTier;

use support::{builder, cache, tenant};

const TTL: Policy = Policy::ttl(seconds(60)).jitter(0.0);
const TEXTS: Keyspace<str, u32> = Keyspace::new("texts", TTL);
const PAIRS: Keyspace<(String, u32), u32> = Keyspace::new("pairs", TTL);

async fn shown(ns: &Namespace, pattern: &str) -> Vec<String> {
    let found = ns.find_keys(Glob::new(pattern).unwrap()).await.unwrap();
    found.keys.into_iter().map(|key| key.shown).collect()
}

#[tokio::test(start_paused = true)]
async fn a_look_changes_nothing_and_then_exactly_what_was_found_is_invalidated() {
    let below = MemoryTier::new("below");
    let cache = builder().tier(below.clone()).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    for user in 40..44 {
        for (n, what) in ["theme", "lang"].into_iter().enumerate() {
            acme.insert(("user", user, what), n as u32).await.unwrap();
        }
    }
    let before = acme.stats();
    let found = acme.find_keys(Glob::new("user/4[1-2]/*").unwrap()).await.unwrap();
    let listed: Vec<_> = found.keys.iter().map(|key| key.shown.as_str()).collect();
    assert_eq!(listed, ["user/41/lang", "user/41/theme", "user/42/lang", "user/42/theme"]);
    assert!(!found.more);
    assert!(found.keys.iter().all(|key| !key.absent && key.weight > 0 && key.fresh_for > seconds(60)));
    let after = acme.stats();
    assert_eq!((after.memory_hits, after.misses), (before.memory_hits, before.misses), "no reads");
    assert_eq!(shown(&acme, "**").await.len(), 8, "all are there");
    // one more comes meanwhile: it was not listed
    acme.insert(("user", 41, "new"), 9_u32).await.unwrap();
    acme.invalidate(found).await.unwrap();
    assert_eq!(shown(&acme, "user/4[1-2]/*").await, ["user/41/new"]);
    assert!(acme.get::<u32>(("user", 42, "theme")).await.is_none(), "below, too");
    assert!(acme.get::<u32>(("user", 43, "theme")).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn only_keys_of_this_tenant_and_namespace_are_found() {
    let cache = cache().await;
    let (acme, globex) = (tenant(&cache, "acme"), tenant(&cache, "globex"));
    let inner = acme.namespace("inner");
    for (ns, key) in [(&acme, "of acme"), (&globex, "of globex"), (&inner, "of inner"), (&cache.global(), "global")] {
        ns.insert(key, 1_u32).await.unwrap();
    }
    assert_eq!(shown(&acme, "**").await, ["of acme"]);
    assert_eq!(shown(&globex, "**").await, ["of globex"]);
    assert_eq!(shown(&inner, "**").await, ["of inner"]);
    let found = acme.find_keys(Glob::new("**").unwrap()).await.unwrap();
    // what was found in one namespace names nothing in another
    globex.invalidate(found.clone()).await.unwrap();
    inner.invalidate(found).await.unwrap();
    assert_eq!((shown(&acme, "**").await.len(), shown(&globex, "**").await.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn keyspaces_are_told_apart_by_name() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    acme.insert(TEXTS.key("a"), 1).await.unwrap();
    acme.insert(PAIRS.key(&("a".into(), 7)), 2).await.unwrap();
    acme.insert("a", 3_u32).await.unwrap();
    assert_eq!(shown(&acme, "a**").await, ["a", "a", "a/7"]);
    let found = acme.find_keys(Glob::new("**").unwrap()).keyspace("pairs").await.unwrap();
    assert_eq!(found.keys.len(), 1);
    assert_eq!((found.keys[0].keyspace.as_deref(), &*found.keys[0].shown), (Some("pairs"), "a/7"));
    acme.invalidate(found).await.unwrap();
    assert!(acme.get(PAIRS.key(&("a".into(), 7))).await.is_none());
    assert!(acme.get(TEXTS.key("a")).await.is_some() && acme.get::<u32>("a").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn hostile_keys_are_shown_harmlessly_and_match_only_what_they_are() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let hostile = ["user/42/theme", "*", "**", "[a]", "a\\", "\u{1b}[2J", "x\ny", "../../etc", "", "#1(7)"];
    for key in hostile {
        acme.insert(key, 1_u32).await.unwrap();
    }
    assert_eq!(shown(&acme, "user/*/*").await, [""; 0], "a text with slashes has no parts");
    let all = acme.find_keys(Glob::new("*").unwrap()).await.unwrap();
    assert_eq!(all.keys.len(), hostile.len());
    for key in &all.keys {
        assert!(!key.shown.chars().any(char::is_control), "{:?}", key.shown);
        assert_eq!(
            shown(&acme, &key.shown).await,
            std::slice::from_ref(&key.shown),
            "what is shown matches this key alone"
        );
        assert!(!format!("{key:?}").contains("etc"), "not in logs");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_listed_is_bounded_and_says_so() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    acme.insert_many((0..2_500).map(|n| (PAIRS.key(&("p".into(), n)), n))).await.unwrap();
    let found = acme.find_keys(Glob::new("p/*").unwrap()).await.unwrap();
    assert_eq!((found.keys.len(), found.more), (1_000, true));
    let found = acme.find_keys(Glob::new("p/*").unwrap()).limit(2_500).await.unwrap();
    assert_eq!((found.keys.len(), found.more), (2_500, false));
    for limit in [0, 10_001] {
        assert!(acme.find_keys(Glob::new("*").unwrap()).limit(limit).await.unwrap_err().to_string().contains("limit"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_invalid_or_past_its_use_is_not_listed() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    acme.insert(TEXTS.key("tagged"), 1).tag("t").await.unwrap();
    acme.insert(TEXTS.key("short"), 1).ttl(millis(500)).await.unwrap();
    acme.insert(TEXTS.key("kept"), 1).await.unwrap();
    acme.invalidate_tag("t").await.unwrap();
    assert_eq!(shown(&acme, "*").await, ["kept", "short"]);
    tokio::time::sleep(millis(600)).await;
    assert_eq!(shown(&acme, "*").await, ["kept"]);
    acme.clear().await.unwrap();
    assert_eq!(shown(&acme, "*").await, [""; 0]);
    cache.close().await.unwrap();
    assert!(acme.find_keys(Glob::new("*").unwrap()).await.is_err(), "closed");
}
