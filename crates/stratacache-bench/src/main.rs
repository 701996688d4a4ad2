//! Benches of Strata and comparisons with its peers, in one process, the engines taking turns.

mod bench;
mod engines;
mod keys;
mod measure;
mod redis;
mod requests;
mod rivals;
mod table;
mod zipf;

use std::{fmt::Write as _, fs, io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};

use bench::{
    encoded, encryption, footprint, hit, insert, latency, load, neighbour, ratio, tags, tenants, waiters, warm,
};
use measure::Effort;
use table::Table;

/// A bench by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Memory hit through a namespace, one and two threads
    Hit,
    /// Get or load with room for a tenth of the keys
    Load,
    /// Inserts that evict
    Insert,
    /// Bytes of an entry, and whether the memory budget is real
    Memory,
    /// What memory held encoded gains in bytes, and costs at each hit
    Encoded,
    /// What encryption costs at hits below memory and at inserts
    Encryption,
    /// Tag invalidation at 1,000 and 1,000,000 entries
    Tags,
    /// 10,000 callers on a cold key
    Waiters,
    /// What readers notice of a warm-up of 100,000 keys
    Warm,
    /// Percentiles of the latency of a memory hit
    Latency,
    /// Fixed cost of 10,000 tenants
    Tenants,
    /// What 99 tenants lose when one scans
    Neighbour,
    /// Hit ratio of one tenant on synthetic sequences
    Ratio,
    /// Hit in Redis, 64 tasks, against a bare GET loop
    RedisHit,
    /// Miss with a trivial loader, against GET and SET by hand
    RedisMiss,
    /// Tag invalidation in Redis, against an index of keys for each tag
    RedisTags,
    /// What another node's invalidations cost a node, and how long one needs that comes to many marks
    RedisNews,
    /// 3 nodes with 3,000 callers each on a cold key
    RedisWaiters,
}

/// Measures Strata against raw quick_cache, moka and foyer in one run.
///
/// All engines run in one process and take turns (A B C A B C ...), after one round to warm up. Costs are processor
/// time, so that neighbours on the machine disturb them little; figures are medians of the rounds, with the spread and the ratio
/// to the first engine of the table. Ratios repeat within 15 to 25 %, absolute figures do not.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Benches to run; all when none is named
    names: Vec<Name>,
    /// Fewer rounds and operations: a look, not a measurement
    #[arg(long)]
    quick: bool,
    /// Rounds of each bench
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Operations of each thread in a round
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1000..))]
    operations: u32,
    /// Writes the tables to this file as a page
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Runs nothing but hits of quick_cache and of Strata's `get` on one thread and so many keys, for a profiler
    #[arg(long, value_name = "KEYS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    profile: Option<u32>,
    /// One measurement of memory, asked of a child process
    #[arg(long, hide = true)]
    job: Option<footprint::Job>,
    /// A node that only listens, asked of a child process: the URL of the server
    #[arg(long, hide = true)]
    listen: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(job) = &arguments.job {
        return print(&footprint::child(job)?);
    }
    if let Some(url) = &arguments.listen {
        return redis::news::listen(url);
    }
    if let Some(keys) = arguments.profile {
        return hit::profile(keys as usize, arguments.operations as usize, arguments.rounds.into());
    }
    let mut effort =
        Effort { rounds: arguments.rounds.into(), operations: arguments.operations as usize, quick: arguments.quick };
    if effort.quick {
        effort.rounds = effort.rounds.min(3);
        effort.operations = effort.operations.min(100_000);
    }
    let names = if arguments.names.is_empty() { Name::value_variants() } else { &arguments.names };
    let mut tables = Vec::new();
    for name in names {
        let new = run(*name, effort)?;
        new.iter().try_for_each(|table| print(&table.to_string()))?;
        tables.extend(new);
    }
    if let Some(file) = &arguments.write {
        fs::write(file, page(&tables, effort)?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn run(name: Name, effort: Effort) -> Result<Vec<Table>> {
    Ok(match name {
        Name::Hit => vec![hit::run(effort)?],
        Name::Load => vec![load::run(effort)?],
        Name::Insert => vec![insert::run(effort)?],
        Name::Memory => footprint::run(effort)?,
        Name::Encoded => encoded::run(effort)?,
        Name::Encryption => vec![encryption::run(effort)?],
        Name::Tags => vec![tags::run(effort)?],
        Name::Waiters => vec![waiters::run(effort)?],
        Name::Warm => vec![warm::run(effort)?],
        Name::Latency => vec![latency::run(effort)?],
        Name::Tenants => vec![tenants::run(effort)?],
        Name::Neighbour => vec![neighbour::run(effort)?],
        Name::Ratio => vec![ratio::run(effort)?],
        Name::RedisHit => vec![redis::hit::run(effort)?],
        Name::RedisMiss => vec![redis::miss::run(effort)?],
        Name::RedisTags => vec![redis::tags::run(effort)?],
        Name::RedisNews => redis::news::run(effort)?,
        Name::RedisWaiters => vec![redis::waiters::run(effort)?],
    })
}

fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot write to the standard output")
}

fn page(tables: &[Table], effort: Effort) -> Result<String> {
    let mut page = String::from("# Benchmarks\n\n");
    writeln!(
        page,
        "Written by `cargo run --release -p stratacache-bench -- --write docs/benchmarks.md`; `--help` says the rest. All \
         engines run in one process and take turns; each figure is the median of {} rounds after one to warm up, {} operations of each \
         thread in a round, with the spread of the rounds in brackets and the ratio to the first engine of the table in bold.\n\n\
         Machine: {}. Ratios repeat within 15 to 25 % there; absolute figures do not and are worth nothing elsewhere.\n",
        effort.rounds,
        table::thousands(effort.operations as u64),
        machine(),
    )?;
    tables.iter().try_for_each(|table| write!(page, "{table}"))?;
    Ok(page.trim_end().to_owned() + "\n")
}

/// Says what this machine is, as far as it tells.
fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':')).map(|(_, name)| name.trim());
    format!(
        "{processors} processors shared with others ({}), {}",
        model.unwrap_or("model not told"),
        std::env::consts::OS
    )
}
