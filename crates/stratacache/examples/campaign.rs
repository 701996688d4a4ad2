//! The history campaign in its long form: `cargo run --release -p stratacache --example campaign -- --long`.
//!
//! Runs parts with fresh seeds until the time is over, in the write modes in turn, and exits 1 at the first broken promise.
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub)] // a program for people, with a module of the tests

#[path = "../tests/support/campaign.rs"]
mod campaign;

use std::time::Duration;

use campaign::{Below, Plan, run};
use stratacache::{
    WriteMode,
    clock::{Clock, SystemClock},
};

/// How values are written, and what the tier below does with writes: chosen by the seed.
const MODES: [(WriteMode, Below); 6] = [
    (WriteMode::Through, Below::Sound),
    (WriteMode::Behind, Below::Sound),
    (WriteMode::Behind, Below::Slow),
    (WriteMode::Through, Below::Faulty),
    (WriteMode::Behind, Below::Faulty),
    (WriteMode::MemoryOnly, Below::Sound),
];

fn usage() -> ! {
    eprintln!("usage: campaign [--long | --minutes N] [--seed N]\n  --long       an hour (the default is one minute)");
    std::process::exit(2)
}

#[tokio::main]
async fn main() {
    let mut minutes: u64 = 1;
    let clock = SystemClock::new();
    let mut seed = clock.wall().as_secs();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| usage());
        match arg.as_str() {
            "--long" => minutes = 60,
            "--minutes" => minutes = number(),
            "--seed" => seed = number(),
            _ => usage(),
        }
    }
    let end = clock.now() + Duration::from_secs(minutes * 60);
    let (mut operations, mut overlaps) = (0, 0);
    while clock.now() < end {
        let (write, below) = MODES[(seed % MODES.len() as u64) as usize];
        let encoded = seed / MODES.len() as u64 % 2 == 1; // every other round keeps its values as bytes
        let configure = |builder| builder;
        let plan = Plan { seed, operations: 5_000_000, restarts: 9, workers: 16, encoded, write, below, configure };
        let report = run(plan).await;
        println!("{report}");
        operations += report.operations;
        overlaps += report.overlaps;
        if let Err(failure) = report.verdict(10_000) {
            eprintln!("seed {seed}: {failure}");
            std::process::exit(1);
        }
        seed += 1;
    }
    println!("{operations} operations, {overlaps} invalidations overlapped a load, no promise broken");
}
