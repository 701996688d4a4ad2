//! A keyspace whose values memory holds as bytes keeps every promise of the others, in fewer bytes.

#![allow(clippy::unwrap_used, unreachable_pub, clippy::print_stdout)] // helpers of tests may panic

#[path = "support/campaign.rs"]
mod campaign;
mod support;

use std::convert::Infallible;

use campaign::{Below, Plan, run};
use serde::{Deserialize, Serialize};
use stratacache::{
    Cache, Cached, Compress, Freshness, Keyspace, LoadContext, Loaded, Local, Lookup, MemoryForm, Namespace, Policy,
    WriteMode, event::EventKind, hours, millis, minutes, seconds,
};
use stratacache_testkit::tiers::MemoryTier;
use support::{Loads, builder, settle, tenant};
use tokio::time::sleep;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Page {
    title: String,
    lines: Vec<String>,
}

fn page(n: usize) -> Page {
    let lines = (0..50).map(|line| format!("line {line} of page {n}, much like the others")).collect();
    Page { title: format!("page {n}"), lines }
}

const POLICY: Policy = Policy::ttl(minutes(5)).jitter(0.0);
const DECODED: Keyspace<u32, Page> = Keyspace::new("decoded", POLICY).weigher(|page| {
    let block = |text: &String| size_of::<String>() + text.capacity() + 8;
    size_of::<Page>() + page.title.capacity() + page.lines.iter().map(block).sum::<usize>()
});
const ENCODED: Keyspace<u32, Page> = Keyspace::new("encoded", POLICY).memory_form(MemoryForm::Encoded);
const PLAIN: Keyspace<u32, Page> =
    Keyspace::new("plain", POLICY.compress(Compress::Off)).memory_form(MemoryForm::Encoded);

async fn cache() -> (Cache, Namespace) {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    (cache, acme)
}

/// Reads page `n` through; the loader makes pages by how often it ran.
async fn read(acme: &Namespace, keyspace: &'static Keyspace<u32, Page>, n: u32, loads: &Loads) -> Cached<Page> {
    let loads = loads.clone();
    acme.get_or_load(keyspace.key(&n), async move || Ok::<_, Infallible>(page(loads.next()))).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hit_returns_what_was_loaded_and_the_loader_runs_once() {
    for keyspace in [&DECODED, &ENCODED, &PLAIN] {
        let (cache, acme) = cache().await;
        let loads = Loads::default();
        let first = read(&acme, keyspace, 1, &loads).await;
        assert_eq!(first.freshness(), Freshness::Loaded);
        for _ in 0..3 {
            let hit = read(&acme, keyspace, 1, &loads).await;
            assert_eq!((hit.freshness(), hit.value(), hit.fresh_for()), (Freshness::Fresh, &page(1), minutes(5)));
            assert!(Cached::same_entry(&first, &hit), "one entry, whatever its form");
        }
        assert!(acme.contains(keyspace.key(&1)).await);
        assert_eq!(acme.get_many([keyspace.key(&1), keyspace.key(&2)]).await[0].as_deref(), Some(&page(1)));
        assert_eq!(loads.count(), 1);
        let stats = cache.stats();
        assert_eq!((stats.memory_hits, stats.misses, stats.entries), (5, 2, Some(1)), "{stats:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_inserted_is_read_back_from_its_bytes() {
    let (_, acme) = cache().await;
    acme.insert(ENCODED.key(&1), page(1)).await.unwrap();
    let (one, other) = (acme.get(ENCODED.key(&1)).await.unwrap(), acme.get(ENCODED.key(&1)).await.unwrap());
    assert_eq!(*one, page(1));
    assert!(!std::ptr::eq(&raw const *one, &raw const *other), "each hit has a value of its own");
    acme.insert(ENCODED.key(&1), page(2)).await.unwrap();
    assert_eq!((&*one, &*acme.get(ENCODED.key(&1)).await.unwrap()), (&page(1), &page(2)));
}

#[tokio::test(start_paused = true)]
async fn an_entry_weighs_its_bytes_and_the_same_memory_holds_several_times_as_many() {
    let mut held = Vec::new();
    for keyspace in [&DECODED, &PLAIN, &ENCODED] {
        let cache = builder().memory(1 << 20).build().await.unwrap();
        let acme = tenant(&cache, "acme");
        for n in 0..2_000 {
            acme.insert(keyspace.key(&n), page(n as usize)).await.unwrap();
        }
        let stats = cache.stats();
        assert!(stats.weight.unwrap() <= 1 << 20);
        held.push(stats.entries.unwrap());
        acme.insert(keyspace.key(&0), page(0)).await.unwrap();
        let weight = acme.inspect::<Page>(keyspace.key(&0)).await.unwrap().tiers[0].weight;
        println!("{}: {} entries, {weight} bytes each", keyspace.name(), held[held.len() - 1]);
    }
    let [decoded, plain, encoded] = held[..] else { unreachable!() };
    assert!(plain > decoded && encoded > plain * 3, "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn invalidations_of_every_kind_end_it() {
    let (cache, acme) = cache().await;
    for how in 0..5 {
        let ns = acme.namespace("pages").with_tag("tag");
        ns.insert(ENCODED.key(&1), page(1)).tag(stratacache::Tag::global("global")).await.unwrap();
        assert!(ns.get(ENCODED.key(&1)).await.is_some());
        match how {
            0 => ns.invalidate(ENCODED.key(&1)).await,
            1 => acme.invalidate_tag("tag").await,
            2 => ns.clear().await,
            3 => acme.clear().await,
            _ => cache.invalidate_global_tag("global").await,
        }
        .unwrap();
        assert_eq!(ns.lookup(ENCODED.key(&1)).await, Lookup::Miss, "{how}");
    }
}

const STALE: Keyspace<u32, Page> =
    Keyspace::new("stale", POLICY.stale_while_revalidate(minutes(1)).stale_if_error(hours(1)))
        .memory_form(MemoryForm::Encoded);

#[tokio::test(start_paused = true)]
async fn past_its_ttl_it_is_served_stale_and_refreshed_once_behind() {
    let (_, acme) = cache().await;
    let loads = Loads::default();
    read(&acme, &STALE, 1, &loads).await;
    sleep(minutes(5) + millis(1)).await;
    for _ in 0..3 {
        let stale = read(&acme, &STALE, 1, &loads).await;
        assert_eq!((stale.freshness(), stale.value()), (Freshness::Stale, &page(1)));
    }
    settle().await;
    assert_eq!(loads.count(), 2);
    assert_eq!(*read(&acme, &STALE, 1, &loads).await, page(2));
}

#[tokio::test(start_paused = true)]
async fn a_known_failing_key_is_not_loaded_again_before_its_back_off_ends() {
    let (_, acme) = cache().await;
    read(&acme, &STALE, 1, &Loads::default()).await;
    sleep(minutes(10)).await;
    let attempts = Loads::default();
    let fail = async || {
        let attempts = attempts.clone();
        let load = async move || {
            attempts.next();
            Err::<Page, _>("the source is down")
        };
        acme.get_or_load(STALE.key(&1), load).await.unwrap()
    };
    for _ in 0..10 {
        let stale = fail().await;
        assert_eq!((stale.freshness(), stale.value()), (Freshness::Stale, &page(1)));
    }
    assert_eq!(attempts.count(), 1, "what one reader learned, all know");
    sleep(seconds(1)).await;
    fail().await;
    settle().await;
    assert_eq!(attempts.count(), 2);
    sleep(hours(1)).await;
    assert_eq!(acme.lookup(STALE.key(&1)).await, Lookup::Miss);
}

#[tokio::test(start_paused = true)]
async fn the_loader_sees_the_stale_value_and_may_confirm_it() {
    let (cache, acme) = cache().await;
    let key = STALE.key(&1);
    let first = async |_: LoadContext<Page>| Ok::<_, Infallible>(Loaded::new(page(1)).etag("v1"));
    acme.get_or_load_with(key.clone(), first).await.unwrap();
    for _ in 0..3 {
        sleep(minutes(20)).await;
        let confirm = async |cx: LoadContext<Page>| {
            let stale = cx.stale().unwrap();
            assert_eq!((stale.value(), stale.etag()), (&page(1), Some("v1")));
            Ok::<_, Infallible>(Loaded::not_modified())
        };
        let kept = acme.get_or_load_with(key.clone(), confirm).await.unwrap().unwrap();
        assert_eq!((kept.freshness(), kept.value()), (Freshness::Loaded, &page(1)));
        let hit = acme.get(key.clone()).await.unwrap();
        assert_eq!((hit.freshness(), hit.value(), hit.etag()), (Freshness::Fresh, &page(1), Some("v1")));
    }
    assert_eq!(cache.stats().entries, Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_absence_is_an_absence() {
    let (_, acme) = cache().await;
    let nothing = async || Ok::<Option<Page>, Infallible>(None);
    assert!(acme.get_or_load_optional(ENCODED.key(&1), nothing).await.unwrap().is_none());
    assert_eq!(acme.lookup(ENCODED.key(&1)).await, Lookup::Absent);
    sleep(seconds(31)).await;
    assert_eq!(acme.lookup(ENCODED.key(&1)).await, Lookup::Miss);
}

#[tokio::test(start_paused = true)]
async fn idle_entries_live_as_long_as_they_are_read() {
    const IDLE: Keyspace<u32, Page> =
        Keyspace::new("idle", POLICY.idle_ttl(seconds(10))).memory_form(MemoryForm::Encoded);
    let (_, acme) = cache().await;
    acme.insert(IDLE.key(&1), page(1)).await.unwrap();
    for _ in 0..10 {
        sleep(seconds(8)).await;
        assert!(acme.get(IDLE.key(&1)).await.is_some());
    }
    sleep(seconds(11)).await;
    assert!(acme.get(IDLE.key(&1)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_hit_below_is_promoted_as_the_bytes_it_was() {
    const BELOW: Keyspace<u32, Page> =
        Keyspace::new("below", POLICY.tier_ttl("memory", seconds(5))).memory_form(MemoryForm::Encoded);
    let below = MemoryTier::new("disk").persistent(true);
    let cache = builder().tier(below.with_journal()).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert(BELOW.key(&1), page(1)).tag("t").await.unwrap();
    sleep(seconds(6)).await;
    let compressed = cache.stats().compression.unwrap().compressed;
    assert_eq!(compressed, 1, "once for memory and what is below");
    for _ in 0..3 {
        assert_eq!(*acme.get(BELOW.key(&1)).await.unwrap(), page(1));
    }
    let stats = cache.stats();
    assert_eq!((stats.lower_hits, stats.memory_hits), (1, 2));
    assert_eq!(stats.compression.unwrap().compressed, 1, "not again");
    assert_eq!(stats.compression.unwrap().decompressed, 3, "at each read");
    acme.invalidate_tag("t").await.unwrap();
    assert_eq!(acme.lookup(BELOW.key(&1)).await, Lookup::Miss);
}

/// Leaves out what it needs to be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Lossy {
    kept: u32,
    #[serde(skip_serializing)]
    lost: u32,
}

#[tokio::test(start_paused = true)]
async fn bytes_in_memory_that_cannot_be_decoded_are_a_miss_with_an_event() {
    const LOSSY: Keyspace<u32, Lossy> = Keyspace::new("lossy", POLICY).memory_form(MemoryForm::Encoded);
    let (cache, acme) = cache().await;
    let mut events = cache.events();
    let loads = Loads::default();
    let value = Lossy { kept: 1, lost: 2 };
    for n in 1..=3 {
        let (value, loads) = (value.clone(), loads.clone());
        let load = async move || {
            loads.next();
            Ok::<_, Infallible>(value)
        };
        let found = acme.get_or_load(LOSSY.key(&1), load).await.unwrap();
        assert_eq!((&*found, found.freshness()), (&Lossy { kept: 1, lost: 2 }, Freshness::Loaded));
        assert_eq!(cache.stats().type_changes, n - 1);
    }
    assert_eq!(loads.count(), 3, "what cannot be read is loaded again");
    assert_eq!(acme.lookup(LOSSY.key(&1)).await, Lookup::Miss);
    let told = std::iter::from_fn(|| events.try_next())
        .filter(|event| matches!(event.as_ref().unwrap().kind, EventKind::TypeChanged { .. }));
    assert_eq!(told.count(), 3);
    assert_eq!(cache.stats().entries, Some(0), "and not kept");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_encoded_stays_as_it_is() {
    const LOCAL: Keyspace<u32, Local<u32>> =
        Keyspace::new("local", POLICY).weigher(|_| 4).memory_form(MemoryForm::Encoded);
    let (_, acme) = cache().await;
    acme.insert(LOCAL.key(&1), Local(7)).await.unwrap();
    assert_eq!(**acme.get(LOCAL.key(&1)).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_value_of_another_type_under_the_key_is_a_miss_with_an_event() {
    const OTHER: Keyspace<u32, u64> = Keyspace::new("encoded", POLICY).memory_form(MemoryForm::Encoded);
    let (cache, acme) = cache().await;
    acme.insert(ENCODED.key(&1), page(1)).await.unwrap();
    assert!(acme.get(OTHER.key(&1)).await.is_none());
    assert_eq!(cache.stats().type_changes, 1);
}

#[tokio::test(start_paused = true)]
async fn keyspaces_of_both_forms_read_what_the_other_put_there() {
    const SAME: Keyspace<u32, Page> = Keyspace::new("encoded", POLICY);
    let (_, acme) = cache().await;
    acme.insert(ENCODED.key(&1), page(1)).await.unwrap();
    assert_eq!(*acme.get(SAME.key(&1)).await.unwrap(), page(1));
    acme.insert(SAME.key(&1), page(2)).await.unwrap();
    assert_eq!(*acme.get(ENCODED.key(&1)).await.unwrap(), page(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_concurrent_operations_break_no_promise() {
    let plan = Plan {
        seed: 20_261_122,
        operations: 1_000_000,
        restarts: 4,
        workers: 8,
        encoded: true,
        write: WriteMode::Through,
        below: Below::Sound,
        configure: |b| b,
    };
    let report = run(plan).await;
    println!("{report}");
    report.verdict(10_000).unwrap();
}
