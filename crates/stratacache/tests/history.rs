//! The guarantee, checked on millions of concurrent operations, in every write mode.
//!
//! The everyday form is short, since a rule that is missing is mostly noticed within 100,000 operations (`tests/mutants.rs`); with nextest's
//! profile `ci` one history has ten million. The long form: `STRATA_OPERATIONS=100000000 cargo nextest run --workspace --all-features
//! --test history`, so many in each test. `STRATA_SEED` is another run.

#![allow(unreachable_pub, clippy::print_stdout)] // a shared module; figures for people

#[path = "support/campaign.rs"]
mod campaign;

use campaign::{Below, Plan, run};
use stratacache::WriteMode;

const MILLION: u64 = 1_000_000;

async fn holds(millions: u64, write: WriteMode, below: Below) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let operations = number("STRATA_OPERATIONS").unwrap_or(millions * MILLION);
    let encoded = below == Below::Faulty;
    let seed = number("STRATA_SEED").unwrap_or(20_261_121) + u64::from(encoded);
    println!("seed {seed}");
    let plan = Plan { seed, operations, restarts: 9, workers: 8, encoded, write, below, configure: |b| b };
    let report = run(plan).await;
    println!("{report}");
    report.verdict(operations / 100).expect("no promise is broken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn millions_of_concurrent_operations_break_no_promise() {
    let is_ci = std::env::var("NEXTEST_PROFILE").is_ok_and(|profile| profile == "ci");
    holds(if is_ci { 10 } else { 2 }, WriteMode::Through, Below::Sound).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_operations_that_write_behind_break_no_promise() {
    holds(1, WriteMode::Behind, Below::Sound).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_operations_that_write_behind_into_a_slow_tier_break_no_promise() {
    holds(1, WriteMode::Behind, Below::Slow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_operations_in_memory_only_break_no_promise() {
    holds(1, WriteMode::MemoryOnly, Below::Sound).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_operations_over_a_tier_that_fails_writes_break_no_promise() {
    holds(1, WriteMode::Through, Below::Faulty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_operations_that_write_behind_into_a_tier_that_fails_break_no_promise() {
    holds(1, WriteMode::Behind, Below::Faulty).await;
}
