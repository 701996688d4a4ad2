//! Seeing what happens: a route for Prometheus, logs by the hash of a key, and a sink of events.
//!
//! ```text
//! RUST_LOG=stratacache=debug cargo run -p metrics-example
//! ```
//!
//! What it promises is checked, line by line; it exits 0 only if all of it holds. With `--serve` it goes on and answers
//! `GET /metrics` on a port that it prints. `docs/guide/metrics.md` says more.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

use std::{
    error::Error,
    io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use http_body_util::BodyExt;
use stratacache::{
    Cache, Keyspace, Metrics, Policy, TenantId,
    event::{Event, EventKind, EventSink},
    minutes,
};
use tower::ServiceExt;
use tracing_subscriber::EnvFilter;

const PAGES: Keyspace<str, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));

/// A sink of one's own: it counts what an operator would be called for.
#[derive(Clone, Default)]
struct Pager(Arc<Calls>);

#[derive(Default)]
struct Calls {
    failures: AtomicU64,
    invalidations: AtomicU64,
}

impl EventSink for Pager {
    fn event(&self, event: &Event) {
        match event.kind {
            EventKind::LoadFailed { .. } | EventKind::TierFailed { .. } | EventKind::BreakerOpened { .. } => {
                self.0.failures.fetch_add(1, SeqCst);
            }
            EventKind::Invalidated { .. } => {
                self.0.invalidations.fetch_add(1, SeqCst);
            }
            _ => {}
        }
    }
}

/// The route: put it behind whatever guards your other routes of operation.
async fn metrics(State(cache): State<Cache>) -> impl IntoResponse {
    ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], cache.metrics().prometheus())
}

fn app(cache: &Cache) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(cache.clone())
}

/// Asks the route as a scraper does.
async fn scrape(cache: &Cache) -> Result<String, Box<dyn Error>> {
    let answer = app(cache).oneshot(Request::get("/metrics").body(Body::empty())?).await?;
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec())?)
}

fn check(promise: &str, held: bool) -> Result<(), String> {
    println!("{} {promise}", if held { "ok  " } else { "FAIL" });
    if held { Ok(()) } else { Err(format!("does not hold: {promise}")) }
}

async fn tour(serve: bool) -> Result<(), Box<dyn Error>> {
    let pager = Pager::default();
    let cache = Cache::builder()
        .deployment_secret(*b"of this example.")
        .tenant_labels(2)
        .event_sink(pager.clone())
        .event_sink(|_: &Event| panic!("a sink that panics hurts nobody"))
        .build()
        .await?;
    let acme = cache.tenant(&TenantId::parse("acme")?);
    let page =
        async || acme.get_or_load(PAGES.key("cat-videos"), async || Ok::<_, io::Error>("a page".to_owned())).await;
    for _ in 0..4 {
        page().await?;
    }
    acme.invalidate(PAGES.key("cat-videos")).await?;
    let failed = acme.get_or_load(PAGES.key("cat-videos"), async || Err::<String, _>(io::Error::other("no"))).await;
    check("a failed load is the caller's error", failed.is_err())?;
    for n in 0..20_u64 {
        cache.tenant(&TenantId::from(n)).get(PAGES.key("cat-videos")).await;
    }
    println!("the key in the logs is {}", acme.key_hash(PAGES.key("cat-videos")));

    let text = scrape(&cache).await?;
    let has = |line: &str| text.lines().any(|one| one == line);
    check("hits are counted by tier and tenant", has(r#"strata_hits_total{tier="memory",tenant="acme"} 3"#))?;
    check("misses are", has(r#"strata_misses_total{tenant="acme"} 2"#))?;
    check("loads are, and those that failed", has(r#"strata_load_errors_total{tenant="acme"} 1"#))?;
    check("how long loads took is in a histogram", has("strata_load_seconds_count 2"))?;
    let labels = text.lines().filter(|line| line.starts_with("strata_misses_total{")).count();
    check("21 tenants have 2 labels; the rest is in one, what is global in another", labels == 4)?;
    check("no key is in the metrics", !text.contains("cat-videos"))?;
    let parsed = |line: &str| line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok());
    let numbers = text.lines().filter(|line| !line.starts_with('#')).all(parsed);
    check("each line has a number", numbers)?;

    if serve {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}/metrics", listener.local_addr()?);
        axum::serve(listener, app(&cache)).await?;
    }
    cache.close().await?; // gives the sinks what is left
    let calls = pager.0;
    let (failures, invalidations) = (calls.failures.load(SeqCst), calls.invalidations.load(SeqCst));
    check("the sink heard of the failed load", failures == 1)?;
    check("the sink heard of the invalidation", invalidations == 1)?;
    check(
        "the other sink panicked, and nothing else happened",
        scrape(&cache).await?.contains("strata_sink_panics_total 2"),
    )?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env()) // RUST_LOG
        .with_ansi(false)
        .with_writer(io::stderr)
        .init();
    std::panic::set_hook(Box::new(|_| {})); // of the sink; its panic is logged by the cache
    match tour(std::env::args().any(|argument| argument == "--serve")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
