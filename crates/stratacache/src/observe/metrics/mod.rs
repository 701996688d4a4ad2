//! What `metrics()` returns: every number of a cache at one time, under the names of the guide.

mod families;
mod gather;
mod outside;
mod text;

use std::time::Duration;

pub(crate) use gather::{Gathered, TierNumbers};
pub(crate) use outside::{LoaderNumbers, SourceLag};
#[cfg(feature = "otlp")]
pub(crate) use text::Seconds;

pub use super::histogram::Latency;

/// Every number of a cache, as it was when [`Cache::metrics`](crate::Cache::metrics) was called.
///
/// `Display` and [`prometheus`](Self::prometheus) write it as the text that Prometheus and whatever reads that format take, for a
/// route of your own. Others walk over [`families`](Self::families). The guide has a table of all names, labels and meanings.
///
/// ```
/// # use stratacache::{Cache, Metrics, TenantId};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder().build().await?;
/// let acme = cache.tenant(&TenantId::parse("acme")?);
/// acme.insert("greeting", "hello".to_owned()).await?;
/// acme.get::<String>("greeting").await;
///
/// let body = cache.metrics().prometheus(); // with the content type `Metrics::CONTENT_TYPE`
/// assert!(body.contains(r#"strata_hits_total{tier="memory",tenant="acme"} 1"#));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    families: Vec<MetricFamily>,
}

/// All numbers of one name.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MetricFamily {
    /// The name, as `strata_hits_total`.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub help: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Its numbers, one for each combination of values of the labels that there is.
    pub samples: Vec<MetricSample>,
}

/// How a number behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only goes up, until the cache is built anew.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How long things took.
    Histogram,
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MetricSample {
    /// The values of the labels of its family, in order.
    pub labels: Vec<String>,
    /// The number.
    pub value: MetricValue,
}

/// A number, or a histogram.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MetricValue {
    /// A count, or bytes.
    Whole(u64),
    /// A time: in seconds, for those who write it down.
    Time(Duration),
    /// A histogram.
    Latency(Latency),
}

impl MetricKind {
    /// Returns the word for it that Prometheus knows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metrics {
    /// The content type of the text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Returns the numbers, by name.
    #[must_use]
    pub fn families(&self) -> &[MetricFamily] {
        &self.families
    }

    /// Returns the number of a name and values of its labels, in the order of the table in the guide; `None` if there is none such.
    ///
    /// For alerts and tests of your own: `metrics.get("strata_hits_total", &["memory", "acme"])`.
    #[must_use]
    pub fn get(&self, name: &str, labels: &[&str]) -> Option<&MetricValue> {
        let family = self.families.iter().find(|family| family.name == name)?;
        family.samples.iter().find(|sample| sample.labels == labels).map(|sample| &sample.value)
    }

    /// Returns the text that Prometheus takes.
    #[must_use]
    pub fn prometheus(&self) -> String {
        self.to_string()
    }
}

impl MetricValue {
    /// Returns a count, or bytes; of a histogram how much it has counted. `None` for a time.
    #[must_use]
    pub const fn whole(&self) -> Option<u64> {
        match self {
            Self::Whole(n) => Some(*n),
            Self::Latency(latency) => Some(latency.count),
            Self::Time(_) => None,
        }
    }
}
