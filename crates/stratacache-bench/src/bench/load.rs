//! Reads that load what is missing, with room for a tenth of the keys.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::{Result, ensure};

use crate::{
    engines::{Own, Strata, budget_for, drive, foyer, moka, own, quick, shared, weight_of_an_entry},
    keys::{Lookups, mark},
    measure::{Contender, Effort, Tally, compare, progress},
    table::Table,
};

const KEYS: usize = 100_000;
const CAPACITY: usize = KEYS / 10;

type Never = std::convert::Infallible;

/// Counts the loads of one thread's reads.
#[derive(Clone, Default)]
struct Loads(Arc<AtomicU64>);

impl Loads {
    fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// What of the reads needed no load.
    fn tally(&self, lookups: &Lookups) -> Tally {
        let reads = lookups.len() as u64;
        Tally { reads, hits: reads - self.0.load(Relaxed) }
    }
}

/// Checks that a value is the key's.
#[inline]
fn check(key: &str, first_byte: u8) -> Result<()> {
    ensure!(first_byte == mark(key), "{key} has the value of another key");
    Ok(())
}

fn quick_cache() -> Contender {
    let cache = quick(CAPACITY);
    Contender::new("quick_cache `get_or_insert_with`", move |lookups| {
        let loads = Loads::default();
        for key in lookups.iter() {
            let value = cache.get_or_insert_with(key, || {
                loads.add();
                Ok::<_, Never>(shared(mark(key)))
            })?;
            check(key, value[0])?;
        }
        Ok(loads.tally(lookups))
    })
}

fn moka_with_ttl() -> Contender {
    let cache = moka(CAPACITY);
    Contender::new("moka `get_with_by_ref`, ttl", move |lookups| {
        let loads = Loads::default();
        for key in lookups.iter() {
            let value = cache.get_with_by_ref(key, || {
                loads.add();
                shared(mark(key))
            });
            check(key, value[0])?;
        }
        Ok(loads.tally(lookups))
    })
}

fn foyer_memory() -> Contender {
    let cache = foyer(CAPACITY);
    Contender::new("foyer `get_or_fetch`", move |lookups| {
        drive(async {
            let loads = Loads::default();
            for key in lookups.iter() {
                let (loads, mark) = (loads.clone(), mark(key));
                let load = || async move {
                    loads.add();
                    Ok::<_, anyhow::Error>(shared(mark))
                };
                check(key, cache.get_or_fetch(key, load).await?.value()[0])?;
            }
            Ok(loads.tally(lookups))
        })
    })
}

fn strata() -> Result<Contender> {
    let strata = Strata::new(budget_for(CAPACITY, weight_of_an_entry(true)?))?;
    Ok(Contender::new("Strata `get_or_load(..).tag(..)`, ttl", move |lookups| {
        drive(async {
            let loads = Loads::default();
            for key in lookups.iter() {
                let (loads, mark) = (loads.clone(), mark(key));
                let load = async move || {
                    loads.add();
                    Ok::<_, Never>(own(mark))
                };
                check(key, strata.ns.get_or_load(key, load).tag("customers").await?[0])?;
            }
            Ok(loads.tally(lookups))
        })
    }))
}

fn strata_by_hand() -> Result<Contender> {
    let strata = Strata::new(budget_for(CAPACITY, weight_of_an_entry(true)?))?;
    Ok(Contender::new("Strata `get`, then `insert`", move |lookups| {
        drive(async {
            let loads = Loads::default();
            for key in lookups.iter() {
                if let Some(value) = strata.ns.get::<Own>(key).await {
                    check(key, value[0])?;
                    continue;
                }
                loads.add();
                strata.ns.insert(key, own(mark(key))).tag("customers").await?;
            }
            Ok(loads.tally(lookups))
        })
    }))
}

/// Measures loads with one thread and with two.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let contenders = [quick_cache(), moka_with_ttl(), foyer_memory(), strata()?, strata_by_hand()?];
    let names: Vec<_> = contenders.iter().map(|c| c.name).collect();
    let mut columns = Vec::new();
    for threads in [1, 2] {
        progress(&format!("load: {threads} thread(s)"));
        let lookups: Vec<_> = (0..threads).map(|t| Lookups::zipf(KEYS, 0.99, effort.operations, 200 + t)).collect();
        columns.push(compare(&contenders, &lookups, effort)?);
    }
    let mut table = Table::new(
        "Get or load, room for a tenth of the keys",
        "100,000 keys, Zipf 0.99, capacity 10,000 entries; the loader makes the value at once. Processor ns of an \
         operation. Strata runs each load in a task of its own (it outlives its caller, can time out and may panic), \
         which the peers do not. \"Hits\": reads of one thread that ran no load.",
        &["engine", "1 thread", "2 threads", "hits"],
    );
    table.compared_and_hits(&names, &columns);
    Ok(table)
}
