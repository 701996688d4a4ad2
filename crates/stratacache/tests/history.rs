//! The guarantee, checked on millions of concurrent operations.

#![allow(unreachable_pub, clippy::print_stdout)] // a shared module; figures for people

#[path = "support/campaign.rs"]
mod campaign;

use campaign::{Plan, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_million_concurrent_operations_break_no_promise() {
    let plan =
        Plan { seed: 20_261_121, operations: 10_000_000, restarts: 9, workers: 8, encoded: false, configure: |b| b };
    let report = run(plan).await;
    println!("{report}");
    report.verdict(100_000).unwrap();
}
