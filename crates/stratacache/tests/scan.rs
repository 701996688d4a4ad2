//! Keys that operators find below memory, and invalidate: exactly these, and nobody else's.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

mod support;

use std::collections::BTreeSet;

use stratacache::{
    Cache, Disk, ErrorKind, Glob, Keyspace, MemoryKeys, Namespace, Object, Policy, ScanCursor, ScannedKeys, millis,
    seconds, tier::TierScan,
};
use stratacache_core::envelope::{Head, VERSION, VERSION_WITH_KEY, decode};
use stratacache_testkit::tiers::MemoryTier;

use support::{builder, settle, tenant};

const TTL: Policy = Policy::ttl(seconds(60)).jitter(0.0);
const PAGES: Keyspace<(String, u32), u32> = Keyspace::new("pages", TTL).scannable();
const TEXTS: Keyspace<str, u32> = Keyspace::new("texts", TTL).scannable();
const SECRETS: Keyspace<str, u32> = Keyspace::new("secrets", TTL);

fn glob(pattern: &str) -> Glob {
    Glob::new(pattern).unwrap()
}

fn shown(found: &ScannedKeys) -> Vec<&str> {
    found.keys.iter().map(|key| key.shown.as_str()).collect()
}

async fn scan(ns: &Namespace, tier: &impl TierScan, pattern: &str) -> Vec<String> {
    let found = ns.scan_keys(tier, glob(pattern)).pause(millis(0)).await.unwrap();
    assert_eq!(found.cursor, None, "all was seen");
    found.keys.into_iter().map(|key| key.shown).collect()
}

/// A cache over a tier, and another that begins later over the same: its memory holds nothing.
async fn over(below: &MemoryTier) -> (Cache, Cache) {
    let first = builder().tier(below.with_journal()).build().await.unwrap();
    let later = builder().tier(below.clone().with_journal()).build().await.unwrap();
    (first, later)
}

fn below() -> MemoryTier {
    MemoryTier::new("below").persistent(true)
}

fn heads(tier: &MemoryTier) -> Vec<Head> {
    tier.names().into_iter().map(|name| decode(&tier.raw(name).unwrap()).unwrap().0).collect()
}

fn holds(tier: &MemoryTier, text: &str) -> bool {
    let raw = tier.names().into_iter().filter_map(|name| tier.raw(name));
    raw.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// Everything a scan promises, over whatever tier.
async fn a_look_and_then_exactly_that(cache: &Cache, tier: &impl TierScan) {
    let (acme, globex) = (tenant(cache, "acme"), tenant(cache, "globex"));
    let inner = acme.namespace("inner");
    for ns in [&acme, &globex, &inner] {
        for n in 0..40 {
            ns.insert(PAGES.key(&(["a", "b"][n as usize % 2].to_owned(), n)), n).await.unwrap();
        }
        ns.insert(SECRETS.key("a"), 1).await.unwrap();
        ns.insert(TEXTS.key("a/7"), 1).await.unwrap();
    }
    settle().await;
    let before = acme.stats();
    let found = acme.scan_keys(tier, glob("a/1[0-5]")).batch(7).pause(millis(0)).await.unwrap();
    assert_eq!(shown(&found), ["a/10", "a/12", "a/14"], "a text with a slash has one part");
    assert_eq!((found.cursor.is_none(), found.skipped), (true, 0));
    assert!(found.examined >= 42, "those of others, too: {}", found.examined);
    assert!(found.keys.iter().all(|key| key.keyspace.as_deref() == Some("pages") && !key.absent && key.weight > 128));
    assert!(found.keys.iter().all(|key| key.fresh_for > seconds(50)), "{found:?}");
    let after = acme.stats();
    assert_eq!((after.memory_hits, after.misses), (before.memory_hits, before.misses), "it counts as no read");
    // one that comes meanwhile was not listed
    acme.insert(PAGES.key(&("a".to_owned(), 150)), 1).await.unwrap();
    acme.insert(PAGES.key(&("a".to_owned(), 15)), 1).await.unwrap();
    // what was found in one namespace names nothing in another
    globex.invalidate(found.clone()).await.unwrap();
    inner.invalidate(found.clone()).await.unwrap();
    assert_eq!(scan(&acme, tier, "a/1[0-5]").await, ["a/10", "a/12", "a/14", "a/15"]);
    acme.invalidate(found).await.unwrap();
    assert_eq!(scan(&acme, tier, "a/1[0-5]").await, ["a/15"]);
    assert!(acme.get(PAGES.key(&("a".to_owned(), 12))).await.is_none());
    for (ns, left) in [(&acme, 39), (&globex, 37), (&inner, 37)] {
        assert_eq!(scan(ns, tier, "*/*").await.len(), left);
    }
    let texts = acme.scan_keys(tier, glob("**")).keyspace("texts").await.unwrap();
    assert_eq!(shown(&texts), ["a\\/7"]);
    assert!(acme.scan_keys(tier, glob("**")).keyspace("secrets").await.unwrap().keys.is_empty());
    // in parts, each found once
    let (mut keys, mut runs, mut from) = (Vec::new(), 0, None::<ScanCursor>);
    loop {
        let run = acme.scan_keys(tier, glob("*/*")).batch(10).examine(25).pause(millis(0));
        let mut found = match from.take() {
            Some(cursor) => run.resume(cursor).await.unwrap(),
            None => run.await.unwrap(),
        };
        runs += 1;
        keys.extend(found.keys.drain(..).map(|key| key.shown));
        match found.cursor {
            None => break,
            // as text it is kept until the next run
            Some(cursor) => from = Some(cursor.to_string().parse().unwrap()),
        }
    }
    let unique: BTreeSet<&String> = keys.iter().collect();
    assert_eq!((keys.len(), unique.len()), (39, 39));
    assert!(runs > 2, "{runs}");
    let few = acme.scan_keys(tier, glob("*/*")).limit(5).batch(10).pause(millis(0)).await.unwrap();
    assert!(few.keys.len() >= 5 && few.keys.len() < 39 && few.cursor.is_some(), "{}", few.keys.len());
}

#[tokio::test(start_paused = true)]
async fn a_scan_of_the_reference_tier_is_a_look_and_then_exactly_what_was_found_is_invalidated() {
    let below = below();
    let cache = builder().tier(below.with_journal()).build().await.unwrap();
    a_look_and_then_exactly_that(&cache, &below).await;
}

#[tokio::test]
async fn a_scan_of_a_disk_is_a_look_and_then_exactly_what_was_found_is_invalidated() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).await.unwrap();
    let scan = disk.scan();
    let cache = Cache::builder().tier(disk).build().await.unwrap();
    a_look_and_then_exactly_that(&cache, &scan).await;
    let long = "x".repeat(2_000);
    let acme = tenant(&cache, "acme");
    acme.insert(TEXTS.key(&long), 1).await.unwrap();
    assert_eq!(self::scan(&acme, &scan, "xxx*").await, [long], "a key that needs a second look");
    cache.close().await.unwrap();
    let again = Cache::builder().tier(Disk::open(dir.path()).await.unwrap()).build().await.unwrap();
    let error = tenant(&again, "acme").scan_keys(&scan, glob("*")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "of a disk that was closed: {error}");
}

#[tokio::test]
async fn a_scan_of_an_object_store_is_a_look_and_then_exactly_what_was_found_is_invalidated() {
    let dir = tempfile::tempdir().unwrap();
    let scan = Object::directory(dir.path()).scan().await.unwrap();
    let object = Object::directory(dir.path()).open().await.unwrap();
    let cache = Cache::builder().tier(object).build().await.unwrap();
    a_look_and_then_exactly_that(&cache, &scan).await;
    let long = "x".repeat(2_000);
    let acme = tenant(&cache, "acme");
    acme.insert(TEXTS.key(&long), 1).await.unwrap();
    assert_eq!(self::scan(&acme, &scan, "xxx*").await, [long], "a key that needs a second look");
    std::fs::write(dir.path().join("0".repeat(32)), "none of ours").unwrap();
    assert_eq!(acme.scan_keys(&scan, glob("*")).await.unwrap().skipped, 1);
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_entries_of_scannable_keyspaces_keep_their_keys() {
    let below = below();
    let (cache, later) = over(&below).await;
    let acme = tenant(&cache, "acme");
    acme.insert(SECRETS.key("a well kept secret"), 1).await.unwrap();
    acme.insert("of no keyspace", 1_u32).await.unwrap();
    settle().await;
    assert!(heads(&below).iter().all(|head| head.key.is_none()));
    assert!(!holds(&below, "secret") && !holds(&below, "keyspace"));
    assert!(below.names().into_iter().all(|name| below.raw(name).unwrap()[2] == VERSION));
    assert_eq!(scan(&acme, &below, "**").await, [""; 0]);
    acme.insert(TEXTS.key("known"), 7).await.unwrap();
    settle().await;
    assert!(holds(&below, "known"));
    assert_eq!(heads(&below).iter().filter(|head| head.key.is_some()).count(), 1);
    assert!(below.names().into_iter().any(|name| below.raw(name).unwrap()[2] == VERSION_WITH_KEY));
    // and are read as all others
    assert_eq!(tenant(&later, "acme").get(TEXTS.key("known")).await.as_deref(), Some(&7));
    assert_eq!(scan(&acme, &below, "**").await, ["known"]);
}

#[tokio::test(start_paused = true)]
async fn of_an_encrypted_tier_the_key_is_as_secret_as_the_value_and_found_all_the_same() {
    let below = below();
    let keys = MemoryKeys::new();
    let cache = builder().tier(below.with_journal()).encryption(keys.clone()).build().await.unwrap();
    let (acme, globex) = (tenant(&cache, "acme"), tenant(&cache, "globex"));
    let inner = acme.namespace("inner");
    for (ns, text) in [(&acme, "the canary of acme"), (&inner, "inside"), (&globex, "the canary of globex")] {
        ns.insert(TEXTS.key(text), 1).await.unwrap();
    }
    settle().await;
    assert!(!holds(&below, "canary"));
    assert_eq!(scan(&acme, &below, "**").await, ["the canary of acme"]);
    assert_eq!(scan(&acme, &below, "*globex").await, [""; 0]);
    // who has not the keys finds nothing, and is told of it
    let stranger = builder().tier(below.clone().with_journal()).encryption(MemoryKeys::new()).build().await.unwrap();
    let found = tenant(&stranger, "acme").scan_keys(&below, glob("**")).await.unwrap();
    assert_eq!((found.keys.len(), found.skipped), (0, 2));
    let found = acme.scan_keys(&below, glob("**")).await.unwrap();
    acme.invalidate(found).await.unwrap();
    assert!(acme.get(TEXTS.key("the canary of acme")).await.is_none());
    assert_eq!(scan(&globex, &below, "**").await, ["the canary of globex"]);
    assert_eq!(scan(&inner, &below, "**").await, ["inside"]);
}

#[tokio::test(start_paused = true)]
async fn what_no_reader_would_be_served_is_not_listed() {
    let below = below();
    let (cache, _later) = over(&below).await;
    let acme = tenant(&cache, "acme");
    acme.insert(TEXTS.key("tagged"), 1).tag("t").await.unwrap();
    acme.insert(TEXTS.key("short"), 1).ttl(millis(500)).await.unwrap();
    acme.insert(TEXTS.key("kept"), 1).await.unwrap();
    settle().await;
    acme.invalidate_tag("t").await.unwrap();
    assert_eq!(below.names().len(), 3, "it lies there still");
    assert_eq!(scan(&acme, &below, "*").await, ["kept", "short"]);
    tokio::time::sleep(millis(600)).await;
    assert_eq!(scan(&acme, &below, "*").await, ["kept"]);
    acme.clear().await.unwrap();
    assert_eq!(scan(&acme, &below, "*").await, [""; 0]);
    cache.close().await.unwrap();
    assert!(acme.scan_keys(&below, glob("*")).await.is_err(), "closed");
}

#[tokio::test(start_paused = true)]
async fn an_entry_under_another_name_or_of_another_tenant_is_no_finding() {
    let below = below();
    let (cache, _later) = over(&below).await;
    let (acme, globex) = (tenant(&cache, "acme"), tenant(&cache, "globex"));
    acme.insert(TEXTS.key("acme's"), 1).await.unwrap();
    settle().await;
    let [theirs] = below.names()[..] else { panic!("one entry") };
    globex.insert(TEXTS.key("globex's"), 1).await.unwrap();
    globex.insert(TEXTS.key("another"), 1).await.unwrap();
    settle().await;
    // somebody who can write the tier puts acme's entry where globex' lie
    for name in below.names().into_iter().filter(|name| *name != theirs) {
        below.copy(theirs, name);
    }
    assert_eq!(scan(&globex, &below, "**").await, [""; 0]);
    assert_eq!(scan(&acme, &below, "**").await, ["acme's"], "once");
    // damage is counted
    below.put_raw(theirs, "SC and nothing else");
    let found = acme.scan_keys(&below, glob("**")).await.unwrap();
    assert_eq!((found.keys.len(), found.skipped, found.examined), (0, 1, 3));
}

#[tokio::test(start_paused = true)]
async fn hostile_keys_are_shown_harmlessly_and_match_only_what_they_are() {
    let below = below();
    let (cache, _later) = over(&below).await;
    let acme = tenant(&cache, "acme");
    let hostile = ["user/42/theme", "*", "**", "[a]", "a\\", "\u{1b}[2J", "x\ny", "../../etc", "", "#1(7)"];
    for key in hostile {
        acme.insert(TEXTS.key(key), 1).await.unwrap();
    }
    settle().await;
    assert_eq!(scan(&acme, &below, "user/*/*").await, [""; 0], "a text with slashes has no parts");
    let all = acme.scan_keys(&below, glob("*")).await.unwrap();
    assert_eq!(all.keys.len(), hostile.len());
    for key in &all.keys {
        assert!(!key.shown.chars().any(char::is_control), "{:?}", key.shown);
        assert_eq!(scan(&acme, &below, &key.shown).await, std::slice::from_ref(&key.shown));
    }
    assert!(!format!("{all:?}").contains("etc"), "not in logs");
}

#[tokio::test(start_paused = true)]
async fn the_longest_keys_are_stored_and_only_not_found() {
    let below = below();
    let (cache, later) = over(&below).await;
    let acme = tenant(&cache, "acme");
    let (longest, long) = ("l".repeat(64 * 1024), "k".repeat(60_000));
    for key in [&longest, &long] {
        acme.insert(TEXTS.key(key), 7).await.unwrap();
    }
    settle().await;
    assert_eq!(scan(&acme, &below, "**").await, [long]);
    assert_eq!(tenant(&later, "acme").get(TEXTS.key(&longest)).await.as_deref(), Some(&7));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_scanned_is_a_clear_error() {
    let below = below();
    let (cache, _later) = over(&below).await;
    let acme = tenant(&cache, "acme");
    let said = async |scan: stratacache::op::ScanKeys<'_, MemoryTier>, kind: ErrorKind, named: &str| {
        let error = scan.await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
    };
    let other = MemoryTier::new("attic");
    let all = || glob("**");
    said(acme.scan_keys(&other, all()), ErrorKind::InvalidInput, "`attic`, and this cache has below").await;
    said(acme.scan_keys(&below, all()).limit(0), ErrorKind::InvalidInput, "limit").await;
    said(acme.scan_keys(&below, all()).batch(10_001), ErrorKind::InvalidInput, "batch").await;
    said(acme.scan_keys(&below, all()).examine(0), ErrorKind::InvalidInput, "examine").await;
    let foreign: ScanCursor = "attic/7".parse().unwrap();
    said(acme.scan_keys(&below, all()).resume(foreign), ErrorKind::InvalidInput, "`attic`").await;
    let broken: ScanCursor = "below/what?".parse().unwrap();
    said(acme.scan_keys(&below, all()).resume(broken), ErrorKind::Corrupt, "cursor").await;
    assert!("what?".parse::<ScanCursor>().unwrap_err().to_string().contains("ScanCursor::to_string"));
}
