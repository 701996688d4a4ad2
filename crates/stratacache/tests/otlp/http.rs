//! What a collector is told over HTTP is what the cache has counted, and a collector that is in trouble is none of its business.

use std::{collections::BTreeMap, net::Ipv4Addr, thread};

use axum::http::StatusCode;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use stratacache::{
    Cache,
    metrics::{MetricKind, Metrics},
    minutes, otlp, seconds,
};
use stratacache_testkit::tiers::MemoryTier;
use tokio::{net::TcpSocket, time::sleep};

use crate::{
    receiver::{Export, Numbers, Receiver, endpoint, of_text, provider},
    support::{Loads, builder, read, read_slowly, settle, tenant},
};

/// A cache of two tiers that gives labels to so many tenants.
async fn observed(provider: &SdkMeterProvider, labels: usize) -> Cache {
    let cache = builder().tier(MemoryTier::new("disk")).tenant_labels(labels).build().await.unwrap();
    otlp::observe(&cache, &provider.meter("stratacache"));
    cache
}

/// Lets everything come to rest and the numbers grow old, then reads them. No task runs before the next await.
async fn at_rest(cache: &Cache) -> Metrics {
    settle().await;
    sleep(minutes(2)).await;
    settle().await;
    cache.metrics()
}

/// Exports once: what came, and the numbers of the cache at that moment.
async fn exported(cache: &Cache, provider: &SdkMeterProvider, receiver: &Receiver) -> (Export, Metrics) {
    let metrics = at_rest(cache).await;
    provider.force_flush().unwrap();
    (receiver.next(), metrics)
}

/// The number of a series: its labels are pairs of name and value.
fn number(numbers: &Numbers, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let series = (name.to_owned(), labels);
    *numbers.get(&series).unwrap_or_else(|| panic!("{series:?} did not come: {:?}", numbers.keys()))
}

/// Panics with the series that did not come, and those that came and are not in the text for Prometheus.
fn assert_same(came: &Numbers, metrics: &Metrics) {
    let text = of_text(&metrics.prometheus());
    let beyond = |these: &Numbers, those: &Numbers| -> Vec<_> {
        let differ = these.iter().filter(|(series, value)| those.get(*series) != Some(*value));
        differ.map(|(series, value)| format!("{series:?} {value}")).collect()
    };
    assert_eq!(beyond(came, &text), beyond(&text, came), "left is what came, right is the text for Prometheus");
}

fn memory_hits(numbers: &Numbers, tenant: &str) -> f64 {
    number(numbers, "strata_hits_total", &[("tenant", tenant), ("tier", "memory")])
}

/// What each metric has to be: kind, unit and description.
fn expected(metrics: &Metrics) -> BTreeMap<String, (&'static str, String, String)> {
    const COUNTER: &str = "cumulative and only up";
    let mut all = BTreeMap::new();
    for family in metrics.families().iter().filter(|family| !family.samples.is_empty()) {
        let (kind, parts): (_, &[&str]) = match family.kind {
            MetricKind::Counter => (COUNTER, &[""]),
            MetricKind::Gauge => ("gauge", &[""]),
            MetricKind::Histogram => (COUNTER, &["_bucket", "_sum", "_count"]),
            other => panic!("{other:?} is new"),
        };
        for part in parts {
            let name = format!("{}{part}", family.name);
            let measured = ["_bytes", "_seconds"]
                .map(|unit| name.trim_end_matches("_total").trim_end_matches("_sum").ends_with(unit));
            let unit = match measured {
                [true, _] => "By",
                [_, true] => "s",
                _ => "",
            };
            all.insert(name, (kind, unit.to_owned(), family.help.to_owned()));
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_collector_gets_the_numbers_of_the_cache_and_then_those_that_grew() {
    let receiver = Receiver::start();
    let provider = receiver.provider().build();
    let cache = observed(&provider, 2).await;
    let [acme, globex, initech, umbrella] = ["acme", "globex", "initech", "umbrella"].map(|id| tenant(&cache, id));
    let loads = Loads::default();
    for (tenant, reads) in [(&acme, 10), (&globex, 5), (&initech, 2)] {
        for _ in 0..reads {
            read(tenant, "key", &loads).await;
        }
    }
    assert!(umbrella.get::<usize>("nothing").await.is_none());
    read_slowly(&acme, "slow", &loads, seconds(3)).await;

    let (first, metrics) = exported(&cache, &provider, &receiver).await;
    assert_eq!(first.scope, "stratacache");
    let of_resource = |name: &str| first.resource.get(name).map(String::as_str);
    assert_eq!((of_resource("service.name"), of_resource("service.instance.id")), (Some("shop"), Some("node-1")));
    let described = first.described();
    assert_eq!(described, expected(&metrics), "left is what came");
    let unit = |name: &str| described[name].1.as_str();
    assert_eq!(["strata_weight_bytes", "strata_load_seconds_sum", "strata_entries"].map(unit), ["By", "s", ""]);

    let numbers = first.numbers();
    assert_same(&numbers, &metrics);
    let of = |name: &str, tenant: &str| number(&numbers, name, &[("tenant", tenant)]);
    // two have labels, all others are one, and data of no tenant has its own
    let tenants = ["acme", "globex", "(other)", "(global)"];
    assert_eq!(tenants.map(|tenant| memory_hits(&numbers, tenant)), [9.0, 4.0, 1.0, 0.0]);
    assert_eq!(tenants.map(|tenant| of("strata_misses_total", tenant)), [2.0, 1.0, 2.0, 0.0]);
    assert_eq!(tenants.map(|tenant| of("strata_loads_total", tenant)), [2.0, 1.0, 1.0, 0.0]);
    assert_eq!(tenants.map(|tenant| of("strata_entries", tenant)), [2.0, 1.0, 1.0, 0.0]);
    let mut labelled: Vec<&str> =
        numbers.keys().filter_map(|(_, labels)| labels.get("tenant")).map(String::as_str).collect();
    labelled.sort_unstable();
    labelled.dedup();
    assert_eq!(labelled, ["(global)", "(other)", "acme", "globex"]);
    // a load that took 3 s, and three that took no time
    let within = |le: &str| number(&numbers, "strata_load_seconds_bucket", &[("le", le)]);
    assert_eq!(["0.00005", "1.6384", "3.2768", "52.4288", "+Inf"].map(within), [3.0, 3.0, 4.0, 4.0, 4.0]);
    let one = |name: &str| number(&numbers, name, &[]);
    assert_eq!(["strata_load_seconds_sum", "strata_load_seconds_count"].map(one), [3.0, 4.0]);

    for _ in 0..7 {
        read(&acme, "key", &loads).await;
    }
    read(&globex, "another", &loads).await;
    let (second, metrics) = exported(&cache, &provider, &receiver).await;
    let grown = second.numbers();
    assert_same(&grown, &metrics);
    assert_eq!((memory_hits(&grown, "acme"), memory_hits(&grown, "globex")), (16.0, 4.0));
    assert_eq!(number(&grown, "strata_loads_total", &[("tenant", "globex")]), 2.0);
    for (series, before) in numbers.iter().filter(|((name, _), _)| described[name].0 != "gauge") {
        assert!(grown.get(series).is_some_and(|now| now >= before), "{series:?} went back");
    }
    // one history, that began once
    let began = |export: &Export| {
        let sums = export.points().filter(|(metric, _)| described[&metric.name].0 != "gauge");
        sums.map(|(metric, point)| {
            assert!(point.start_time_unix_nano <= point.time_unix_nano);
            (metric.name.clone(), point.start_time_unix_nano)
        })
        .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(began(&first), began(&second));

    cache.close().await.unwrap();
    provider.shutdown().unwrap();
    assert!(memory_hits(&receiver.next().numbers(), "acme") >= 16.0, "the last numbers are sent at the end");
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_refuses_costs_reads_nothing_and_gets_all_that_was_counted_later() {
    let receiver = Receiver::start();
    let provider = receiver.provider().build();
    let cache = observed(&provider, 2).await;
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_REQUEST] {
        receiver.answer(Some(status));
        for _ in 0..10 {
            assert_eq!(read(&acme, "key", &loads).await, 1);
        }
        at_rest(&cache).await;
        assert!(provider.force_flush().is_err(), "{status}");
        receiver.next();
    }
    assert_eq!(read(&acme, "key", &loads).await, 1);
    receiver.answer(Some(StatusCode::OK));
    let metrics = at_rest(&cache).await;
    provider.force_flush().unwrap();
    // a refused request was sent more than once
    let last = receiver.newest().numbers();
    assert_same(&last, &metrics);
    assert_eq!((memory_hits(&last, "acme"), loads.count()), (20.0, 1));
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn reads_go_on_while_a_collector_does_not_answer() {
    let receiver = Receiver::start();
    let provider = receiver.provider().build();
    let cache = observed(&provider, 2).await;
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    read(&acme, "key", &loads).await;
    at_rest(&cache).await;
    receiver.answer(None);
    let flush = thread::spawn({
        let provider = provider.clone();
        move || provider.force_flush()
    });
    receiver.next(); // the collector has it, and does not answer
    for n in 0..100 {
        assert_eq!(read(&acme, "key", &loads).await, 1);
        acme.insert(("new", n), n).await.unwrap();
    }
    assert_eq!(memory_hits(&of_text(&at_rest(&cache).await.prometheus()), "acme"), 100.0);
    assert!(!flush.is_finished());
    receiver.answer(Some(StatusCode::OK));
    flush.join().unwrap().unwrap();
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_dead_costs_the_cache_nothing() {
    // the port is ours, and nobody listens
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let provider = provider(&endpoint(socket.local_addr().unwrap().port())).build();
    let cache = observed(&provider, 2).await;
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    for _ in 0..3 {
        for _ in 0..10 {
            assert_eq!(read(&acme, "key", &loads).await, 1);
        }
        at_rest(&cache).await;
        assert!(provider.force_flush().is_err());
    }
    assert_eq!(memory_hits(&of_text(&at_rest(&cache).await.prometheus()), "acme"), 29.0);
    cache.close().await.unwrap();
    assert!(provider.shutdown().is_err());
}

#[tokio::test(start_paused = true)]
async fn labels_of_more_tenants_than_the_sdk_keeps_series_come_through_a_view() {
    const LABELS: usize = 1_200; // with two tiers 2,400 series of one name, and the SDK keeps 2,000
    let receiver = Receiver::start();
    let room = |instrument: &Instrument| {
        let stream = || Stream::builder().with_cardinality_limit(3_000).build().ok();
        instrument.name().starts_with("strata_").then(stream).flatten()
    };
    let provider = receiver.provider().with_view(room).build();
    let cache = observed(&provider, LABELS).await;
    let loads = Loads::default();
    for n in 0..LABELS {
        read(&tenant(&cache, &format!("t{n}")), "key", &loads).await;
    }
    let (export, metrics) = exported(&cache, &provider, &receiver).await;
    let numbers = export.numbers();
    assert_eq!(numbers.keys().filter(|(name, _)| name == "strata_hits_total").count(), (LABELS + 2) * 2);
    assert_same(&numbers, &metrics);
    cache.close().await.unwrap();
}
