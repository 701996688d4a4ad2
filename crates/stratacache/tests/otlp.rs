//! What OpenTelemetry collects is what the cache has counted.
#![allow(clippy::unwrap_used)] // helpers of tests may panic

#[path = "otlp/http.rs"]
mod http;
#[path = "otlp/receiver.rs"]
mod receiver;
mod support;

use std::{collections::BTreeMap, convert::Infallible};

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
    data::{AggregatedMetrics, MetricData, ResourceMetrics},
};
use stratacache::{metrics::MetricValue, minutes, otlp};
use stratacache_testkit::tiers::MemoryTier;
use support::{builder, tenant};
use tokio::time::sleep;

/// A name and its labels, in order of their names.
type At = (String, Vec<(String, String)>);

fn collected(all: &[ResourceMetrics]) -> BTreeMap<At, f64> {
    let mut found = BTreeMap::new();
    let metrics = all.last().into_iter().flat_map(|all| all.scope_metrics()).flat_map(|scope| scope.metrics());
    for metric in metrics {
        let mut note = |labels: Vec<(String, String)>, value: f64| {
            let mut labels = labels;
            labels.sort();
            found.insert((metric.name().to_owned(), labels), value);
        };
        macro_rules! points {
            ($data:expr) => {
                match $data {
                    MetricData::Sum(sum) => sum.data_points().for_each(|point| {
                        let labels = point.attributes().map(|kv| (kv.key.to_string(), kv.value.to_string()));
                        note(labels.collect(), point.value() as f64);
                    }),
                    MetricData::Gauge(gauge) => gauge.data_points().for_each(|point| {
                        let labels = point.attributes().map(|kv| (kv.key.to_string(), kv.value.to_string()));
                        note(labels.collect(), point.value() as f64);
                    }),
                    other => panic!("no such instrument is made: {other:?}"),
                }
            };
        }
        match metric.data() {
            AggregatedMetrics::U64(data) => points!(data),
            AggregatedMetrics::F64(data) => points!(data),
            other => panic!("no such instrument is made: {other:?}"),
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn a_meter_collects_every_number_under_the_names_of_the_guide() {
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(exporter.clone()).build()).build();
    let cache = builder().tier(MemoryTier::new("disk")).build().await.unwrap();
    otlp::observe(&cache, &provider.meter("stratacache"));
    let acme = tenant(&cache, "acme");
    for _ in 0..3 {
        acme.get_or_load("key", async || Ok::<_, Infallible>(1_u32)).await.unwrap();
    }
    sleep(minutes(1)).await;
    provider.force_flush().unwrap();
    let found = collected(&exporter.get_finished_metrics().unwrap());
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let hits = ("strata_hits_total".to_owned(), vec![label("tenant", "acme"), label("tier", "memory")]);
    assert_eq!(found.get(&hits), Some(&2.0), "{found:?}");
    let last = ("strata_load_seconds_bucket".to_owned(), vec![label("le", "+Inf")]);
    assert_eq!(
        (found.get(&last), found.get(&("strata_load_seconds_count".to_owned(), vec![]))),
        (Some(&1.0), Some(&1.0))
    );
    for family in cache.metrics().families() {
        for sample in &family.samples {
            let mut labels: Vec<_> = family.labels.iter().zip(&sample.labels).map(|(n, v)| label(n, v)).collect();
            labels.sort();
            let name = match sample.value {
                MetricValue::Latency(_) => format!("{}_sum", family.name),
                _ => family.name.to_owned(),
            };
            assert!(found.contains_key(&(name, labels)), "{} {:?} is not collected", family.name, sample.labels);
        }
    }
    cache.close().await.unwrap();
    drop((cache, acme));
    exporter.reset();
    provider.force_flush().unwrap();
    assert!(collected(&exporter.get_finished_metrics().unwrap()).is_empty(), "a cache that is gone is not observed");
}
