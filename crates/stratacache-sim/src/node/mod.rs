//! A node: a process with the real engine, a workload, and a log.

mod board;
mod count;
mod failpoint;
mod full;
mod leases;
mod open;
mod setup;
mod source;
mod value;
mod work;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use self::{failpoint::Failpoints, open::Wraps, work::Workload};
pub(crate) use self::{
    failpoint::{Moment, Step},
    setup::{Aim, BUCKET, Order, PREFIX, READ_LIMIT, STORE_READ_LIMIT, Setup},
    source::create as create_source,
};
use crate::{
    log::{Event, Writer, file_name},
    time,
};

/// What a node says when it works, and when it has closed.
pub(crate) const READY: &str = "ready";
pub(crate) const CLOSED: &str = "closed";

/// No cache takes longer to close.
const CLOSING: Duration = Duration::from_secs(8);

/// Runs the node that the argument describes until it is told to quit, or killed.
pub(crate) fn main(setup: &str) -> ExitCode {
    let done = serde_json::from_str(setup).context("reading the setup").and_then(|setup: Setup| {
        // a node never outlives the campaign
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build()?.block_on(run(setup))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("a node of the campaign failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(setup: Setup) -> Result<()> {
    let failpoints = Arc::new(Failpoints::default());
    let log = Writer::create(&setup.folder.join(file_name(setup.node, setup.life))).context("opening the log")?;
    let log = Arc::new(log);
    log.append(&Event::Started { at: time::now() });
    let disk_full = Arc::new(AtomicBool::new(false));
    let cache = open::open(&setup, &Wraps { failpoints: &failpoints, log: &log, disk_full: &disk_full }).await?;
    let counting = count::start(&cache, &log, setup.store.is_some());
    let mut workload = Workload::start(&setup, &cache, &log, &failpoints)?;
    say(READY);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    // the end of the input is the end of the campaign
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line).with_context(|| format!("reading the order {line}"))? {
            Order::Arm { step, moment, nth } => failpoints.arm(step, moment, nth),
            Order::Disarm => failpoints.disarm(),
            Order::DiskFull { full } => disk_full.store(full, Relaxed),
            Order::Flood { tenant, count } => workload.flood(tenant, count),
            Order::Quit => break,
        }
    }
    workload.stop().await;
    counting.stop().await;
    let closed = tokio::time::timeout(CLOSING, cache.close()).await;
    let how = match closed {
        Ok(Ok(())) => "in order".to_owned(),
        Ok(Err(error)) => format!("with an error: {error}"),
        Err(_) => "not".to_owned(),
    };
    say(&format!("{CLOSED} {} {} {how}", cache.active_tasks(), cache.stats().loads_in_flight));
    Ok(())
}

#[allow(clippy::print_stdout)] // this is how a node answers
fn say(what: &str) {
    println!("{what}");
}

#[allow(clippy::print_stderr)] // the campaign reads it when a node ends
fn complain(what: &str) {
    eprintln!("{what}");
}
