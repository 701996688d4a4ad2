//! Metrics for OpenTelemetry: every number of a cache under the names of the guide, given to a meter of yours.
//!
//! What becomes of them is a matter of the provider that the meter is of: an OTLP exporter, or any other. This is the one place
//! where a type of another library, [`Meter`], is in our interface: without it there would be nothing to give them to.

use std::sync::{Arc, Weak};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter},
};
use parking_lot::Mutex;
use stratacache_core::clock::Millis;

use crate::{
    Cache,
    engine::Engine,
    metrics::{Latency, MetricFamily, MetricKind, MetricSample, MetricValue, Metrics, Seconds},
};

/// All instruments of one collection see the same numbers, which are added up once.
const ONE_COLLECTION: Millis = 500;

/// Gives every metric of a cache to a meter, as instruments that are looked at when the meter's provider collects.
///
/// Call it once for each cache and provider. Counters and gauges keep their names and labels, times are in seconds. There is no
/// histogram that is looked at: those of the cache become counters, `.._bucket` with one more label `le`, `.._sum` and `.._count`.
/// When the cache is gone nothing is observed any more. Numbers are at most half a second old.
///
/// ```
/// use opentelemetry::metrics::MeterProvider;
/// # use stratacache::Cache;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cache = Cache::builder().build().await?;
/// # let provider = opentelemetry::metrics::noop::NoopMeterProvider::new();
/// stratacache::otlp::observe(&cache, &provider.meter("stratacache"));
/// # Ok(()) }
/// ```
pub fn observe(cache: &Cache, meter: &Meter) {
    let source = Arc::new(Source { engine: cache.downgrade(), last: Mutex::new(None) });
    for (index, family) in cache.metrics().families().iter().enumerate() {
        let series = Series { source: Arc::clone(&source), index };
        match family.kind {
            MetricKind::Histogram => series.histogram(family, meter),
            kind if family.name.contains("_seconds") => series.time(family, kind, meter),
            kind => series.whole(family, kind, meter),
        }
    }
}

/// Where the numbers come from.
struct Source {
    engine: Weak<Engine>,
    last: Mutex<Option<(Millis, Arc<Metrics>)>>,
}

impl Source {
    fn metrics(&self) -> Option<Arc<Metrics>> {
        let engine = self.engine.upgrade()?;
        let now = engine.timeline.now();
        let mut last = self.last.lock();
        if let Some((_, metrics)) = last.as_ref().filter(|(at, _)| now.saturating_sub(*at) < ONE_COLLECTION) {
            return Some(Arc::clone(metrics));
        }
        let metrics = Arc::new(engine.metrics());
        *last = Some((now, Arc::clone(&metrics)));
        Some(metrics)
    }
}

/// Where the numbers of one name come from.
#[derive(Clone)]
struct Series {
    source: Arc<Source>,
    /// The place of the family: it is the same in all metrics of a cache.
    index: usize,
}

fn attributes(family: &MetricFamily, sample: &MetricSample) -> Vec<KeyValue> {
    family.labels.iter().zip(&sample.labels).map(|(name, value)| KeyValue::new(*name, value.clone())).collect()
}

/// Returns the unit. A count has none: `1` is that of a ratio, which translators for Prometheus put behind the name.
fn unit(family: &MetricFamily) -> &'static str {
    match family.name {
        name if name.contains("_bytes") => "By",
        name if name.contains("_seconds") => "s",
        _ => "",
    }
}

impl Series {
    /// Runs `see` on each sample there is now.
    fn each(&self, see: impl Fn(&MetricFamily, &MetricSample)) {
        let Some(metrics) = self.source.metrics() else { return };
        let Some(family) = metrics.families().get(self.index) else { return };
        family.samples.iter().for_each(|sample| see(family, sample));
    }

    fn whole(self, family: &MetricFamily, kind: MetricKind, meter: &Meter) {
        let see = move |observer: &dyn AsyncInstrument<u64>| {
            self.each(|family, sample| {
                if let Some(value) = sample.value.whole() {
                    observer.observe(value, &attributes(family, sample));
                }
            });
        };
        if kind == MetricKind::Counter {
            let counter = meter.u64_observable_counter(family.name).with_description(family.help);
            counter.with_unit(unit(family)).with_callback(see).build();
        } else {
            let gauge = meter.u64_observable_gauge(family.name).with_description(family.help);
            gauge.with_unit(unit(family)).with_callback(see).build();
        }
    }

    fn time(self, family: &MetricFamily, kind: MetricKind, meter: &Meter) {
        let see = move |observer: &dyn AsyncInstrument<f64>| {
            self.each(|family, sample| {
                if let MetricValue::Time(time) = &sample.value {
                    observer.observe(time.as_secs_f64(), &attributes(family, sample));
                }
            });
        };
        if kind == MetricKind::Counter {
            let counter = meter.f64_observable_counter(family.name).with_description(family.help);
            counter.with_unit("s").with_callback(see).build();
        } else {
            let gauge = meter.f64_observable_gauge(family.name).with_description(family.help);
            gauge.with_unit("s").with_callback(see).build();
        }
    }

    fn histogram(self, family: &MetricFamily, meter: &Meter) {
        let (buckets, sum, count) = (self.clone(), self.clone(), self);
        let counter = |part: &str| format!("{}_{part}", family.name);
        meter
            .u64_observable_counter(counter("bucket"))
            .with_description(family.help)
            .with_callback(move |observer| {
                buckets.each(|family, sample| each_bucket(family, sample, |n, labels| observer.observe(n, labels)));
            })
            .build();
        meter
            .f64_observable_counter(counter("sum"))
            .with_description(family.help)
            .with_unit("s")
            .with_callback(move |observer| {
                sum.each(|family, sample| {
                    if let MetricValue::Latency(latency) = &sample.value {
                        observer.observe(latency.sum.as_secs_f64(), &attributes(family, sample));
                    }
                });
            })
            .build();
        meter
            .u64_observable_counter(counter("count"))
            .with_description(family.help)
            .with_callback(move |observer| {
                count.each(|family, sample| {
                    if let Some(n) = sample.value.whole() {
                        observer.observe(n, &attributes(family, sample));
                    }
                });
            })
            .build();
    }
}

fn each_bucket(family: &MetricFamily, sample: &MetricSample, see: impl Fn(u64, &[KeyValue])) {
    let MetricValue::Latency(Latency { buckets, count, .. }) = &sample.value else { return };
    let finite = buckets.iter().map(|(bound, n)| (Seconds(*bound).to_string(), *n));
    for (bound, n) in finite.chain([("+Inf".to_owned(), *count)]) {
        let mut labels = attributes(family, sample);
        labels.push(KeyValue::new("le", bound));
        see(n, &labels);
    }
}
