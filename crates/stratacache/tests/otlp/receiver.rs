//! A receiver of OTLP over HTTP, as a collector has one, and what came in one request.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::mpsc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{MetricExporter, Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue as Attribute, any_value},
    metrics::v1::{AggregationTemporality, Metric, NumberDataPoint, metric::Data, number_data_point::Value},
};
use opentelemetry_sdk::{
    Resource,
    metrics::{MeterProviderBuilder, PeriodicReader},
};
use prost::Message;
use stratacache::hours;
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};

/// A name and its labels, in order of their names.
pub(crate) type Series = (String, BTreeMap<String, String>);
pub(crate) type Numbers = BTreeMap<Series, f64>;

/// It has threads of its own: paused time of a test does not stop it.
pub(crate) struct Receiver {
    endpoint: String,
    answer: watch::Sender<Option<StatusCode>>,
    requests: mpsc::Receiver<Request>,
    runtime: Option<Runtime>,
}

struct Request {
    line: String,
    content_type: String,
    body: Bytes,
}

#[derive(Clone)]
struct Shared {
    answer: watch::Receiver<Option<StatusCode>>,
    requests: mpsc::Sender<Request>,
}

async fn receive(
    State(mut shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    // the test may have gone on without looking
    let _ = shared.requests.send(Request { line: format!("{method} {uri}"), content_type, body });
    shared.answer.wait_for(Option::is_some).await.ok().and_then(|answer| *answer).unwrap_or(StatusCode::GONE)
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let (answer, answers) = watch::channel(Some(StatusCode::OK));
        let (sender, requests) = mpsc::channel();
        let shared = Shared { answer: answers, requests: sender };
        let app = Router::new().fallback(receive).layer(DefaultBodyLimit::disable()).with_state(shared);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = endpoint(listener.local_addr().unwrap().port());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move { axum::serve(TcpListener::from_std(listener).unwrap(), app).await });
        Self { endpoint, answer, requests, runtime: Some(runtime) }
    }

    /// Answers so from now on; `None` holds the answer back.
    pub(crate) fn answer(&self, answer: Option<StatusCode>) {
        self.answer.send_replace(answer);
    }

    pub(crate) fn provider(&self) -> MeterProviderBuilder {
        provider(&self.endpoint)
    }

    /// Returns the oldest request that was not looked at yet.
    pub(crate) fn next(&self) -> Export {
        Self::read(self.requests.recv_timeout(Duration::from_secs(30)).expect("a request comes"))
    }

    /// Returns the newest request of those that came.
    pub(crate) fn newest(&self) -> Export {
        Self::read(self.requests.try_iter().last().expect("a request came"))
    }

    fn read(request: Request) -> Export {
        assert_eq!(
            (request.line.as_str(), request.content_type.as_str()),
            ("POST /v1/metrics", "application/x-protobuf")
        );
        Export::of(ExportMetricsServiceRequest::decode(request.body).unwrap())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}/v1/metrics")
}

/// Describes a provider that exports when it is told to.
pub(crate) fn provider(endpoint: &str) -> MeterProviderBuilder {
    // as often as it does by default, and without waiting
    let retries = RetryPolicy::recommended().with_initial_delay(Duration::ZERO).with_max_jitter(Duration::ZERO);
    let http = MetricExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint);
    let reader =
        PeriodicReader::builder(http.with_retry_policy(retries).build().unwrap()).with_interval(hours(1)).build();
    let node = KeyValue::new("service.instance.id", "node-1");
    let resource = Resource::builder().with_service_name("shop").with_attribute(node).build();
    MeterProviderBuilder::default().with_reader(reader).with_resource(resource)
}

/// What one request said.
pub(crate) struct Export {
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) scope: String,
    pub(crate) metrics: BTreeMap<String, Metric>,
}

impl Export {
    fn of(request: ExportMetricsServiceRequest) -> Self {
        let [all] = <[_; 1]>::try_from(request.resource_metrics).expect("one resource");
        let [scope] = <[_; 1]>::try_from(all.scope_metrics).expect("one scope");
        let count = scope.metrics.len();
        let metrics: BTreeMap<_, _> = scope.metrics.into_iter().map(|metric| (metric.name.clone(), metric)).collect();
        assert_eq!(metrics.len(), count, "no name comes twice");
        Self {
            resource: labels(&all.resource.expect("a resource").attributes),
            scope: scope.scope.expect("a scope").name,
            metrics,
        }
    }

    /// Returns what a metric is: its kind, and unit and description.
    pub(crate) fn described(&self) -> BTreeMap<String, (&'static str, String, String)> {
        let of = |metric: &Metric| {
            let kind = match metric.data.as_ref().expect("data") {
                Data::Gauge(_) => "gauge",
                Data::Sum(sum) if sum.aggregation_temporality() == AggregationTemporality::Cumulative => {
                    if sum.is_monotonic { "cumulative and only up" } else { "cumulative, up and down" }
                }
                Data::Sum(_) => "differences",
                _ => "something else",
            };
            (metric.name.clone(), (kind, metric.unit.clone(), metric.description.clone()))
        };
        self.metrics.values().map(of).collect()
    }

    pub(crate) fn points(&self) -> impl Iterator<Item = (&Metric, &NumberDataPoint)> {
        self.metrics.values().flat_map(|metric| {
            let points = match metric.data.as_ref().expect("data") {
                Data::Gauge(gauge) => &gauge.data_points,
                Data::Sum(sum) => &sum.data_points,
                other => panic!("no such instrument is made: {other:?}"),
            };
            points.iter().map(move |point| (metric, point))
        })
    }

    pub(crate) fn numbers(&self) -> Numbers {
        let mut numbers = Numbers::new();
        for (metric, point) in self.points() {
            let value = match point.value.expect("a value") {
                Value::AsInt(whole) => whole as f64,
                Value::AsDouble(value) => value,
            };
            let before = numbers.insert((metric.name.clone(), labels(&point.attributes)), value);
            assert!(before.is_none(), "{} has a series twice", metric.name);
        }
        numbers
    }
}

fn labels(attributes: &[Attribute]) -> BTreeMap<String, String> {
    let text = |attribute: &Attribute| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        other => panic!("{} is no text: {other:?}", attribute.key),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

/// Reads the text for Prometheus.
pub(crate) fn of_text(text: &str) -> Numbers {
    let series = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, inner) = series.strip_suffix('}').and_then(|s| s.split_once('{')).unwrap_or((series, ""));
        let label = |label: &str| {
            let (name, value) = label.split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('"').to_owned())
        };
        let labels = inner.split(',').filter(|label| !label.is_empty()).map(label).collect();
        ((name.to_owned(), labels), value.parse().unwrap())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(series).collect()
}
