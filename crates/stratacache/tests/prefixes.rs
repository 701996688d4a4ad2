//! Keys that begin alike are invalidated together, by one mark, in every tier; and keys have one normal form everywhere.
#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::{borrow::Cow, convert::Infallible};

use stratacache::{Cache, ErrorKind, Keyspace, Namespace, Policy, Target, hours, minutes, seconds};
use stratacache_testkit::{shared::SharedStore, tiers::MemoryTier};
use support::{Loads, builder, cache, settle, tenant};

/// Company, year, month.
type Sale = (u32, String, u32);

const POLICY: Policy = Policy::ttl(minutes(5)).stale_while_revalidate(hours(1)).stale_if_error(hours(1));
const SALES: Keyspace<Sale, u32> = Keyspace::new("sales", POLICY).prefixes(2);
const COSTS: Keyspace<Sale, u32> = Keyspace::new("costs", POLICY).prefixes(2);

fn sale(company: u32, year: &str, month: u32) -> Sale {
    (company, year.to_owned(), month)
}

const ALL: [(u32, &str, u32); 5] = [(1, "2025", 1), (1, "2025", 2), (1, "2026", 1), (2, "2025", 1), (11, "2025", 1)];

async fn fill(ns: &Namespace) {
    for (n, (company, year, month)) in ALL.into_iter().enumerate() {
        ns.insert(SALES.key(&sale(company, year, month)), n as u32).await.unwrap();
    }
}

/// Which of all sales the namespace still has.
async fn there(ns: &Namespace) -> Vec<bool> {
    let mut there = Vec::new();
    for (company, year, month) in ALL {
        there.push(ns.get(SALES.key(&sale(company, year, month))).await.is_some());
    }
    there
}

#[tokio::test]
async fn a_prefix_reaches_all_keys_that_begin_so_and_no_others() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let others = [tenant(&cache, "acme-1"), acme.namespace("archive"), cache.global()];
    for ns in others.iter().chain([&acme]) {
        fill(ns).await;
        ns.insert(COSTS.key(&sale(1, "2025", 1)), 9).await.unwrap();
    }
    acme.invalidate_prefix(SALES.prefix(&(1, "2025".to_owned()))).await.unwrap();
    assert_eq!(there(&acme).await, [false, false, true, true, true]);
    acme.invalidate(SALES.prefix(&(1,))).await.unwrap();
    assert_eq!(there(&acme).await, [false, false, false, true, true]);
    for ns in &others {
        assert_eq!(there(ns).await, [true; 5], "another tenant or namespace");
    }
    assert!(acme.get(COSTS.key(&sale(1, "2025", 1))).await.is_some(), "another keyspace");
}

#[tokio::test]
async fn a_prefix_goes_with_other_targets_at_one_position() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    fill(&acme).await;
    let token = acme
        .invalidate([Target::prefix(SALES.prefix(&(2,))), Target::of(&SALES.key(&sale(1, "2026", 1)))])
        .await
        .unwrap();
    assert_eq!(there(&acme).await, [true, true, false, false, true]);
    let next = acme.invalidate_prefix(SALES.prefix(&(3,))).await.unwrap();
    assert_eq!(next.position().seq, token.position().seq + 1, "one mark");
}

#[tokio::test]
async fn more_parts_than_the_keyspace_marks_are_refused_by_name() {
    const FEW: Keyspace<Sale, u32> = Keyspace::new("few", POLICY).prefixes(1);
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let error = acme.invalidate_prefix(FEW.prefix(&(1, "2025".to_owned()))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains(".prefixes(2)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_by_prefix_during_a_load_wins() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    let read = || {
        let loads = loads.clone();
        acme.get_or_load(SALES.key(&sale(1, "2025", 1)), async move || {
            let n = loads.next() as u32;
            tokio::time::sleep(seconds(5)).await;
            Ok::<_, Infallible>(n)
        })
    };
    let slow = read();
    let (first, ()) = tokio::join!(slow, async {
        settle().await;
        acme.invalidate_prefix(SALES.prefix(&(1,))).await.unwrap();
        // a reader that comes after it gets a load of its own
        assert_eq!(*read().await.unwrap(), 2);
    });
    assert_eq!(*first.unwrap(), 1, "who asked before may have it");
    assert_eq!(*read().await.unwrap(), 2);
    assert_eq!(loads.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn loads_of_many_keys_are_invalidated_by_the_prefix_of_each() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let keys: Vec<Sale> = ALL.into_iter().map(|(company, year, month)| sale(company, year, month)).collect();
    let load = async |missing: usize| {
        let found = acme
            .get_or_load_many(&SALES, keys.clone(), async move |asked: Vec<Sale>| {
                assert_eq!(asked.len(), missing);
                Ok::<_, Infallible>(asked.into_iter().map(|key| (key, 1)).collect::<Vec<_>>())
            })
            .await
            .unwrap();
        assert_eq!(found.len(), ALL.len());
    };
    load(5).await;
    acme.invalidate_prefix(SALES.prefix(&(1,))).await.unwrap();
    load(3).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_expired_by_prefix_is_stale_and_what_was_invalidated_is_gone() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    fill(&acme).await;
    acme.expire(SALES.prefix(&(1,))).await.unwrap();
    acme.invalidate_prefix(SALES.prefix(&(2,))).await.unwrap();
    let or_fail = async |key: Sale| acme.get_or_load(SALES.key(&key), async || Err::<u32, _>("down")).await;
    assert_eq!(*or_fail(sale(1, "2025", 1)).await.unwrap(), 0, "stale while it is loaded again");
    assert!(or_fail(sale(2, "2025", 1)).await.is_err());
}

#[tokio::test]
async fn what_a_tier_below_has_is_judged_by_prefix_too_and_after_a_restart() {
    let below = MemoryTier::new("disk").persistent(true);
    let open = async || {
        let parts = stratacache::tier::TierParts::new(below.clone()).with_journal(std::sync::Arc::new(below.journal()));
        builder().tier(parts).build().await.unwrap()
    };
    let cache = open().await;
    let acme = tenant(&cache, "acme");
    fill(&acme).await;
    acme.invalidate_prefix(SALES.prefix(&(1, "2025".to_owned()))).await.unwrap();
    cache.close().await.unwrap();
    let cache = open().await;
    assert_eq!(there(&tenant(&cache, "acme")).await, [false, false, true, true, true]);
}

#[tokio::test]
async fn another_node_hears_of_an_invalidation_by_prefix() {
    let store = SharedStore::new(7);
    let node = async || -> Cache { builder().tier(store.node().parts()).build().await.unwrap() };
    let (one, two) = (node().await, node().await);
    fill(&tenant(&one, "acme")).await;
    assert_eq!(there(&tenant(&two, "acme")).await, [true; 5]);
    tenant(&one, "acme").invalidate_prefix(SALES.prefix(&(1,))).await.unwrap();
    settle().await;
    assert_eq!(there(&tenant(&two, "acme")).await, [false, false, false, true, true]);
}

fn lowercase(text: &str) -> Cow<'_, str> {
    text.to_lowercase().into()
}

#[tokio::test]
async fn keys_of_one_normal_form_are_one_key_for_every_operation() {
    const BY_MAIL: Keyspace<String, u32> = Keyspace::new("by-mail", POLICY).normalize_text(lowercase);
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let key = |mail: &str| BY_MAIL.key(&mail.to_owned());
    acme.insert(key("Ada@Example.com"), 1).await.unwrap();
    assert_eq!(*acme.get(key("ADA@example.COM")).await.unwrap(), 1);
    acme.invalidate(key("ada@example.com")).await.unwrap();
    assert!(acme.get(key("Ada@Example.com")).await.is_none());

    // of those that are the same one is loaded, and each caller's form is answered
    let mails = ["X@y.z", "x@Y.z", "other@y.z"].map(str::to_owned);
    let found = acme
        .get_or_load_many(&BY_MAIL, mails.clone(), async |asked: Vec<String>| {
            assert_eq!(asked.len(), 2);
            Ok::<_, Infallible>(asked.into_iter().map(|mail| (mail, 7)).collect::<Vec<_>>())
        })
        .await
        .unwrap();
    assert_eq!(found.len(), 3);
    for mail in mails {
        assert_eq!(*found[&mail], 7);
    }
}
