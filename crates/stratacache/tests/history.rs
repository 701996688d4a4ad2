//! The guarantee, checked on millions of concurrent operations, in every write mode.

#![allow(unreachable_pub, clippy::print_stdout)] // a shared module; figures for people

#[path = "support/campaign.rs"]
mod campaign;

use campaign::{Below, Plan, run};
use stratacache::WriteMode;

const MILLION: u64 = 1_000_000;

async fn holds(operations: u64, write: WriteMode, below: Below) {
    let encoded = below == Below::Faulty;
    let seed = 20_261_121 + u64::from(encoded);
    let plan = Plan { seed, operations, restarts: 9, workers: 8, encoded, write, below, configure: |b| b };
    let report = run(plan).await;
    println!("{report}");
    report.verdict(operations / 100).expect("no promise is broken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_million_concurrent_operations_break_no_promise() {
    holds(10 * MILLION, WriteMode::Through, Below::Sound).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_million_operations_that_write_behind_break_no_promise() {
    holds(2 * MILLION, WriteMode::Behind, Below::Sound).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_operations_that_write_behind_into_a_slow_tier_break_no_promise() {
    holds(MILLION, WriteMode::Behind, Below::Slow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_operations_in_memory_only_break_no_promise() {
    holds(MILLION, WriteMode::MemoryOnly, Below::Sound).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_operations_over_a_tier_that_fails_writes_break_no_promise() {
    holds(MILLION, WriteMode::Through, Below::Faulty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_operations_that_write_behind_into_a_tier_that_fails_break_no_promise() {
    holds(MILLION, WriteMode::Behind, Below::Faulty).await;
}
