//! Bytes of an entry by a counting allocator, each engine in a process of its own.

use std::{process::Command, str::FromStr};

use anyhow::{Context as _, Result, ensure};

use crate::{
    engines::{Strata, budget_for, drive, foyer, moka, own, quick, quick_ttl, shared},
    keys::{KEY, VALUE, key},
    measure::{Effort, now, progress},
    table::{Table, thousands},
};

/// Payload of an entry.
const PAYLOAD: f64 = (KEY + VALUE) as f64;
const BUDGET: u64 = 64 << 20;

const ENGINES: [(&str, &str); 7] = [
    ("quick", "quick_cache"),
    ("quick-ttl", "quick_cache, hand-made ttl"),
    ("foyer", "foyer, S3-FIFO"),
    ("moka", "moka, ttl"),
    ("strata", "Strata, ttl"),
    ("strata-shared-tag", "Strata, ttl + tag of the namespace"),
    ("strata-own-tag", "Strata, ttl + tag of the call"),
];

/// One measurement, asked of a child: `engine/inserts/capacity`; a capacity of 0 is Strata's 64 MiB.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    engine: String,
    inserts: usize,
    capacity: usize,
}

impl FromStr for Job {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split('/').collect();
        let [engine, inserts, capacity] = parts[..] else {
            anyhow::bail!("a job is engine/inserts/capacity, not {text:?}");
        };
        Ok(Self { engine: engine.to_owned(), inserts: inserts.parse()?, capacity: capacity.parse()? })
    }
}

/// What a child found.
struct Found {
    entries: u64,
    current: u64,
    peak: u64,
}

/// Does one job and returns `entries current peak` in bytes.
///
/// The counting allocator counts what this thread does, so everything runs on it.
pub(crate) fn child(job: &Job) -> Result<String> {
    let mut entries = Ok(0);
    let info = allocation_counter::measure(|| entries = fill(job));
    Ok(format!("{} {} {}", entries?, info.bytes_current, info.bytes_max))
}

fn fill(job: &Job) -> Result<u64> {
    let keys = || (0..job.inserts).map(key);
    // what is measured must outlive the measurement: the process ends soon after
    Ok(match &*job.engine {
        "quick" => {
            let cache = quick(job.capacity);
            keys().for_each(|key| cache.insert(key, shared(0)));
            let entries = cache.len() as u64;
            std::mem::forget(cache);
            entries
        }
        "quick-ttl" => {
            let cache = quick_ttl(job.capacity);
            let until = now();
            keys().for_each(|key| cache.insert(key, (until, shared(0))));
            let entries = cache.len() as u64;
            std::mem::forget(cache);
            entries
        }
        "foyer" => {
            let cache = foyer(job.capacity);
            keys().for_each(|key| drop(cache.insert(key, shared(0))));
            let entries = cache.entries() as u64;
            std::mem::forget(cache);
            entries
        }
        "moka" => {
            let cache = moka(job.capacity);
            keys().for_each(|key| cache.insert(key, shared(0)));
            cache.run_pending_tasks();
            let entries = cache.entry_count();
            std::mem::forget(cache);
            entries
        }
        kind => drive(strata(kind, job))?,
    })
}

async fn strata(kind: &str, job: &Job) -> Result<u64> {
    let own_tag = kind == "strata-own-tag";
    let budget = match job.capacity {
        0 => BUDGET,
        capacity => {
            let weigher = Strata::here(8 << 20).await?;
            put(&weigher, key(0), own_tag).await?;
            let weight = weigher.ns.tenant_stats().weight.context("the tenant has no memory yet")?;
            weigher.cache.close().await?;
            budget_for(capacity, weight)
        }
    };
    let mut strata = Strata::here(budget).await?;
    if kind == "strata-shared-tag" {
        strata.ns = strata.ns.with_tag("customers");
    }
    for n in 0..job.inserts {
        put(&strata, key(n), own_tag).await?;
    }
    let entries = strata.ns.tenant_stats().entries.context("the tenant has no memory yet")?;
    std::mem::forget(strata);
    Ok(entries)
}

async fn put(strata: &Strata, key: String, own_tag: bool) -> Result<()> {
    let insert = strata.ns.insert(key, own(0));
    if own_tag {
        insert.tag("customers").await?
    } else {
        insert.await?
    };
    Ok(())
}

fn ask(engine: &str, inserts: usize, capacity: usize) -> Result<Found> {
    progress(&format!("memory: {engine}, {inserts} inserts, capacity {capacity}"));
    let this = std::env::current_exe().context("cannot find this program to start it again")?;
    let job = format!("{engine}/{inserts}/{capacity}");
    let output = Command::new(this).args(["--job", &job]).output().context("cannot start a child process")?;
    ensure!(output.status.success(), "the job {job} failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [entries, current, peak] = numbers[..] else { anyhow::bail!("the job {job} said {text:?}") };
    Ok(Found { entries, current, peak })
}

/// Measures bytes of an entry when full, and after three times as many inserts as fit.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    let entries = if effort.quick { 100_000 } else { 1_000_000 };
    let mut table = Table::new(
        "Bytes of an entry",
        &format!(
            "Requested bytes by a counting allocator, {} entries of a 24-byte key and a 100-byte value; in brackets what \
             is beyond these 124 bytes. \"After churn\": three times as many inserts as fit, for each entry that is left. \
             Budget: Strata's overhead at most quick_cache's + 64.",
            thousands(entries as u64)
        ),
        &["engine", "filled", "after churn"],
    );
    for (engine, name) in ENGINES {
        let filled = ask(engine, entries, entries + entries / 4)?;
        let churned = ask(engine, entries / 2 * 3, entries / 2)?;
        let show = |found: &Found| {
            let each = found.current as f64 / found.entries as f64;
            format!("{each:.0} (+{:.0})", each - PAYLOAD)
        };
        table.row(vec![name.to_owned(), show(&filled), show(&churned)]);
    }
    Ok(vec![table, budget(entries)?])
}

fn budget(inserts: usize) -> Result<Table> {
    let mut table = Table::new(
        "The memory budget is real",
        &format!(
            "{} inserts into Strata with `memory(64 MiB)` ({} bytes); bytes that the allocator gave out, at most at one \
             time. Budget: at most 1.10x.",
            thousands(inserts as u64),
            thousands(BUDGET)
        ),
        &["entries", "kept", "at the end", "at most", "of the budget"],
    );
    for (engine, name) in &ENGINES[4..] {
        let found = ask(engine, inserts, 0)?;
        let Found { entries, current, peak } = found;
        table.row(vec![
            (*name).to_owned(),
            thousands(entries),
            thousands(current),
            thousands(peak),
            format!("**{:.2}x**", peak as f64 / BUDGET as f64),
        ]);
    }
    Ok(table)
}
