//! Metrics: their names are those of the guide, they count what happened, never go backwards, and hold no key and no value.
#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use stratacache::{
    Cache, Keyspace, LoaderLimits, Metrics, Policy, TenantId,
    event::{Event, EventKind, EventSink},
    hours,
    metrics::{MetricKind, MetricValue},
    millis, minutes, seconds,
    tier::TierParts,
};
use stratacache_core::coordinator::Gaps;
use stratacache_testkit::{
    faulty::{Fault, FaultyTier, On},
    outbox::MemorySource,
    tiers::MemoryTier,
};
use support::{Loads, builder, cache, read, read_slowly, settle, tenant};
use tokio::time::sleep;

const GUIDE: &str = include_str!("../../../docs/guide/metrics.md");

fn number(metrics: &Metrics, name: &str, labels: &[&str]) -> u64 {
    let value = metrics.get(name, labels).and_then(MetricValue::whole);
    value.unwrap_or_else(|| panic!("{name} {labels:?} is missing in\n{metrics}"))
}

/// The rows of the table in the guide whose first cell is a name that begins so: their cells.
fn rows(prefix: &str) -> Vec<Vec<String>> {
    let row = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    let rows = GUIDE.lines().filter(|line| line.starts_with("| `")).map(row);
    rows.filter(|cells: &Vec<String>| cells[0].starts_with(prefix)).collect()
}

/// Name, kind and labels.
type Declared = BTreeSet<(String, String, String)>;

fn declared(metrics: &Metrics) -> Declared {
    let family = |f: &stratacache::metrics::MetricFamily| (f.name.into(), f.kind.as_str().into(), f.labels.join(", "));
    metrics.families().iter().map(family).collect()
}

#[tokio::test(start_paused = true)]
async fn the_table_of_the_guide_names_every_metric_with_kind_and_labels_and_no_other() {
    let tier = MemoryTier::new("disk");
    let cache = builder().tier(tier).loader("database", LoaderLimits::new()).build().await.unwrap();
    let _follower = cache.follow(MemorySource::new("outbox")).start().unwrap();
    settle().await; // it has asked how far the source is behind
    tenant(&cache, "acme").insert("key", 1_u32).await.unwrap();
    let metrics = cache.metrics();
    let table = rows("strata_").into_iter().map(|cells| (cells[0].clone(), cells[1].clone(), cells[2].clone()));
    assert_eq!(declared(&metrics), table.collect::<Declared>(), "left is the code, right is docs/guide/metrics.md");
    let text = metrics.prometheus();
    for family in metrics.families() {
        assert!(
            text.contains(&format!("\n# TYPE {} {}\n", family.name, family.kind.as_str()))
                || text.starts_with("# HELP")
        );
        assert!(family.samples.iter().all(|sample| sample.labels.len() == family.labels.len()), "{}", family.name);
        let counts = family.name.ends_with("_total");
        assert_eq!(counts, family.kind == MetricKind::Counter, "{} ends as its kind says", family.name);
        assert!(!family.samples.is_empty() || family.name == "strata_machine_memory_bytes", "{}", family.name);
    }
}

/// The spans and the words of log lines at a level, as they are written in the sources.
fn in_sources(find: impl Fn(&str) -> Vec<String> + Copy) -> BTreeSet<String> {
    fn walk(folder: &std::path::Path, find: &dyn Fn(&str) -> Vec<String>, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, find, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.extend(find(&std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &find, &mut found);
    found
}

#[test]
fn the_guide_names_every_span_and_every_line_of_reads_loads_and_invalidations() {
    let spans = in_sources(|text| {
        let after = text.split("_span!(\"").skip(1);
        after.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    });
    let of_guide: BTreeSet<_> = rows("strata.").into_iter().map(|cells| cells[0].clone()).collect();
    assert_eq!(spans, of_guide, "left is the code, right is docs/guide/metrics.md");
    let said = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/said.rs"));
    for line in ["hit", "miss", "loaded", "load failed", "invalidated"] {
        assert!(said.as_ref().unwrap().contains(&format!("\"{line}\")")), "{line} is said");
        assert!(GUIDE.contains(&format!("| `{line}` |")), "{line} is in the guide");
    }
}

#[tokio::test(start_paused = true)]
async fn each_thing_that_happens_is_counted_once_for_its_tenant_and_tier() {
    let disk = MemoryTier::new("disk");
    let policy = Policy::ttl(minutes(5)).jitter(0.0).tier_ttl("memory", seconds(5));
    let cache = builder().tier(disk).default_policy(policy).build().await.unwrap();
    let (acme, globex) = (tenant(&cache, "acme"), tenant(&cache, "globex"));
    let loads = Loads::default();
    read(&acme, "one", &loads).await;
    read(&acme, "one", &loads).await;
    settle().await;
    acme.get::<usize>("nothing").await;
    globex.insert("two", 7_u32).await.unwrap();
    globex.invalidate("two").await.unwrap();
    cache.global().insert("three", 7_u32).await.unwrap();
    let failed = acme.get_or_load::<u32, _>("four", async || Err::<u32, _>("no")).await;
    assert!(failed.is_err());
    acme.get_or_load_optional::<u32, _>("five", async || Ok::<_, Infallible>(None)).await.unwrap();
    assert!(acme.get::<u32>("five").await.is_none());
    let metrics = cache.metrics();
    let of = |name: &str, labels: &[&str]| number(&metrics, name, labels);
    assert_eq!(of("strata_hits_total", &["memory", "acme"]), 2);
    assert_eq!(of("strata_absent_hits_total", &["acme"]), 1);
    assert_eq!(of("strata_misses_total", &["acme"]), 4);
    assert_eq!(of("strata_loads_total", &["acme"]), 3);
    assert_eq!(of("strata_load_errors_total", &["acme"]), 1);
    assert_eq!(of("strata_inserts_total", &["globex"]), 1);
    assert_eq!(of("strata_inserts_total", &["(global)"]), 1);
    assert_eq!(of("strata_inserts_total", &["(other)"]), 0);
    assert_eq!(of("strata_invalidations_total", &["globex"]), 1);
    assert_eq!(of("strata_invalidations_total", &["acme"]), 0);
    assert_eq!(of("strata_entries", &["acme"]), 2);
    assert_eq!(of("strata_load_seconds", &[]), 3);
    assert_eq!(of("strata_tenants", &[]), 3);
}

#[tokio::test(start_paused = true)]
async fn hits_below_memory_are_counted_for_the_tier_that_had_them() {
    let (upper, lower) = (MemoryTier::new("disk"), MemoryTier::new("object"));
    let policy = Policy::ttl(minutes(5)).jitter(0.0).tier_ttl("memory", seconds(5));
    let cache = builder().tier(upper.clone()).tier(lower).default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert("both", 1_u32).await.unwrap();
    acme.insert("also", 1_u32).await.unwrap();
    upper.wipe();
    sleep(seconds(6)).await;
    assert!(acme.get::<u32>("both").await.is_some());
    assert_eq!(acme.get_many::<u32>([acme_key("also")]).await.len(), 1);
    let metrics = cache.metrics();
    let hits = |tier| number(&metrics, "strata_hits_total", &[tier, "acme"]);
    assert_eq!([hits("memory"), hits("disk"), hits("object")], [0, 0, 2]);
    assert_eq!(number(&metrics, "strata_tier_hits_total", &["object"]), 2);
    assert_eq!(number(&metrics, "strata_tier_misses_total", &["disk"]), 2);
    assert_eq!(number(&metrics, "strata_tier_reads_total", &["disk"]), 2);
}

fn acme_key(key: &str) -> stratacache::Key<u32> {
    stratacache::IntoKey::into_key(key)
}

#[tokio::test(start_paused = true)]
async fn histograms_have_how_long_it_took_by_the_cache_s_clock() {
    let (faulty, faults) = FaultyTier::new(MemoryTier::new("disk"), 1);
    let cache = builder().tier(faulty).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let load = async || {
        sleep(millis(30)).await;
        Ok::<_, Infallible>(1_u32)
    };
    acme.get_or_load("key", load).await.unwrap();
    settle().await;
    let metrics = cache.metrics();
    let Some(MetricValue::Latency(loads)) = metrics.get("strata_load_seconds", &[]) else { panic!("no histogram") };
    assert_eq!((loads.count, loads.sum), (1, millis(30)));
    let upto = |limit| loads.buckets.iter().find(|(bound, _)| *bound >= limit).unwrap().1;
    assert_eq!((upto(millis(20)), upto(millis(30))), (0, 1));
    let reads = number(&metrics, "strata_tier_read_seconds", &["disk"]);

    // a tier that is left alone answers at once that it does not: that is no latency of it
    faults.always(On::Any, Fault::Hang);
    for n in 0..10_u32 {
        acme.get::<u32>(n).await;
    }
    let metrics = cache.metrics();
    assert_eq!(number(&metrics, "strata_tier_read_seconds", &["disk"]), reads + 1, "the one that hung");
    assert_eq!(number(&metrics, "strata_read_failures_total", &["disk"]), 10);
    assert_eq!(number(&metrics, "strata_breaker_opens_total", &["disk"]), 1);
}

/// Every number of a counter or histogram, by name and labels.
fn counters(metrics: &Metrics) -> BTreeMap<(String, Vec<String>), u64> {
    let counting = metrics.families().iter().filter(|family| family.kind != MetricKind::Gauge);
    let samples =
        counting.flat_map(|f| f.samples.iter().map(move |s| ((f.name.to_owned(), s.labels.clone()), &s.value)));
    samples.map(|(at, value)| (at, value.whole().unwrap_or_default())).collect()
}

#[tokio::test(start_paused = true)]
async fn no_counter_goes_backwards_while_tenants_come_and_go() {
    let cache = builder().memory(1 << 20).tenant_labels(3).build().await.unwrap();
    let mut before = counters(&cache.metrics());
    let mut evictions = 0;
    for round in 0..30_u32 {
        for n in 0..6 {
            let ns = tenant(&cache, &format!("tenant-{}", (round + n) % 40));
            for key in 0..(n + 1) * 4 {
                ns.insert(key, vec![7_u8; 8_000]).await.unwrap();
                ns.get::<Vec<u8>>(key).await;
            }
            if round % 3 == 0 {
                ns.clear().await.unwrap();
            }
        }
        sleep(seconds(25)).await; // idle tenants are dropped meanwhile
        let now = counters(&cache.metrics());
        for (at, value) in &before {
            assert!(now.get(at).is_none_or(|now| now >= value), "{at:?} went back from {value}, round {round}");
        }
        let evicted = cache.stats().evicted_for_capacity.unwrap();
        assert!(evicted >= evictions, "what tenants that are gone had evicted is kept");
        evictions = evicted;
        before = now;
    }
    assert!(evictions > 0);
    assert!(number(&cache.metrics(), "strata_tenants", &[]) < 40, "some were dropped");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_tenants_make_no_more_series_than_there_are_labels() {
    let cache = builder().build().await.unwrap();
    let busiest = tenant(&cache, "busiest");
    for n in 0..10_000_u64 {
        cache.tenant(&TenantId::from(n)).get::<u32>("key").await;
        busiest.get::<u32>("key").await;
    }
    let metrics = cache.metrics();
    let misses = metrics.families().iter().find(|family| family.name == "strata_misses_total").unwrap();
    assert_eq!(misses.samples.len(), 52, "50, and the others, and what is global");
    assert_eq!(number(&metrics, "strata_misses_total", &["busiest"]), 10_000);
    let all: u64 = misses.samples.iter().filter_map(|sample| sample.value.whole()).sum();
    assert_eq!(all, 20_000);
    assert_eq!(number(&metrics, "strata_tenants", &[]), 10_001);
}

#[tokio::test]
async fn too_many_labels_are_refused_by_name() {
    let refused = Cache::builder().tenant_labels(10_001).build().await.unwrap_err();
    assert!(refused.to_string().contains("tenant_labels is 10001"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_the_name_of_a_label_is_none_of_those_that_share_one() {
    assert!(TenantId::parse("(other)").is_err() && TenantId::parse("(global)").is_err());
    let cache = builder().build().await.unwrap();
    tenant(&cache, "other").get::<u32>("key").await;
    let metrics = cache.metrics();
    assert_eq!(number(&metrics, "strata_misses_total", &["other"]), 1);
    assert_eq!(number(&metrics, "strata_misses_total", &["(other)"]), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tier_may_have_any_name_and_the_text_is_still_of_one_line_each() {
    let cache = builder().tier(MemoryTier::new("a\"b\\c\nd")).build().await.unwrap();
    tenant(&cache, "acme").get::<u32>("key").await;
    let text = cache.metrics().prometheus();
    assert!(text.contains(r#"strata_hits_total{tier="a\"b\\c\nd",tenant="acme"} 0"#), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("strata_") && value.parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_key_namespace_tag_or_value_is_in_metrics() {
    const CANARIES: Keyspace<str, String> = Keyspace::new("canary-keyspace", Policy::ttl(hours(1)));
    let cache = builder().tier(MemoryTier::new("disk")).build().await.unwrap();
    let ns = tenant(&cache, "acme").namespace("canary-namespace").with_tag("canary-tag");
    ns.insert(CANARIES.key("canary-key"), "canary-value".to_owned()).await.unwrap();
    ns.get(CANARIES.key("canary-key")).await;
    let _ = ns.get_or_load::<u32, _>("canary-other", async || Err::<u32, _>("canary-error")).await;
    ns.invalidate_tag("canary-tag").await.unwrap();
    let text = cache.metrics().prometheus();
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn gaps_that_a_coordinator_counts_are_shown() {
    let gaps = Gaps::default();
    let parts = TierParts::new(MemoryTier::new("bus")).with_gaps(gaps.clone());
    let cache = builder().tier(parts).build().await.unwrap();
    assert_eq!(number(&cache.metrics(), "strata_bus_gaps_total", &[]), 0);
    gaps.count();
    assert_eq!(number(&cache.metrics(), "strata_bus_gaps_total", &[]), 1);
}

/// Notes what it is given.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<EventKind>>>, Arc<AtomicUsize>);

impl EventSink for Noted {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.kind.clone());
    }
    fn lost(&self, count: u64) {
        self.1.fetch_add(usize::try_from(count).unwrap(), SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_hears_what_happens_in_order_and_what_happens_while_the_cache_closes() {
    let (noted, calls) = (Noted::default(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&calls);
    let closure = move |_: &Event| {
        counted.fetch_add(1, SeqCst);
    };
    let cache = builder().event_sink(noted.clone()).event_sink(closure).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.invalidate("one").await.unwrap();
    let _ = acme.get_or_load::<u32, _>("two", async || Err::<u32, _>("no")).await;
    acme.invalidate_tag("three").await.unwrap();
    cache.close().await.unwrap();
    let heard = noted.0.lock().unwrap().clone();
    let shown: Vec<_> = heard
        .iter()
        .map(|kind| match kind {
            EventKind::Invalidated { .. } => "invalidated",
            EventKind::LoadFailed { .. } => "failed",
            _ => "else",
        })
        .collect();
    assert_eq!(shown, ["invalidated", "failed", "invalidated"]);
    assert_eq!((calls.load(SeqCst), cache.active_tasks()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_hurts_nobody_and_is_counted() {
    let noted = Noted::default();
    let panics = |_: &Event| panic!("of a sink");
    let cache = builder().event_sink(panics).event_sink(noted.clone()).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    for n in 0..3_u32 {
        acme.invalidate(n).await.unwrap();
    }
    settle().await;
    assert_eq!(noted.0.lock().unwrap().len(), 3);
    assert_eq!(number(&cache.metrics(), "strata_sink_panics_total", &[]), 3);
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_too_slow_loses_the_oldest_events_and_is_told_how_many() {
    let noted = Noted::default();
    let cache = builder().event_sink(noted.clone()).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    for n in 0..3_000_u32 {
        acme.invalidate(n).await.unwrap(); // never yields: the sink has no turn
    }
    settle().await;
    cache.close().await.unwrap();
    let (heard, lost) = (noted.0.lock().unwrap().len(), noted.1.load(SeqCst));
    assert_eq!(heard + lost, 3_000);
    assert_eq!(number(&cache.metrics(), "strata_events_lost_total", &[]), lost as u64);
}

#[tokio::test(start_paused = true)]
async fn a_sink_may_ask_the_cache_that_calls_it() {
    let slot: Arc<Mutex<Option<Cache>>> = Arc::default();
    let (asked, rates) = (Arc::clone(&slot), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&rates);
    let sink = move |_: &Event| {
        let cache = asked.lock().unwrap().clone().unwrap();
        counted.fetch_add(cache.metrics().families().len().min(1), SeqCst);
    };
    let cache = builder().event_sink(sink).build().await.unwrap();
    *slot.lock().unwrap() = Some(cache.clone());
    tenant(&cache, "acme").invalidate("key").await.unwrap();
    settle().await;
    assert_eq!(rates.load(SeqCst), 1);
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn those_who_join_a_load_are_misses_and_counted_as_such() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    let slow = || read_slowly(&acme, "key", &loads, millis(10));
    tokio::join!(slow(), slow(), slow());
    let metrics = cache.metrics();
    let of = |name| number(&metrics, name, &["acme"]);
    assert_eq!([of("strata_misses_total"), of("strata_loads_total"), of("strata_flights_joined_total")], [3, 1, 2]);
}
