//! Reads that load what is missing, with room for a tenth of the keys.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use anyhow::Result;

use crate::{
    engines::{Strata, budget_for, drive, foyer, moka, own, quick, shared, weight_of_an_entry},
    keys::Lookups,
    measure::{Contender, Effort, compare, progress},
    table::{Table, against},
};

const KEYS: usize = 100_000;
const CAPACITY: usize = KEYS / 10;

type Never = std::convert::Infallible;
type Loads = Arc<AtomicU64>;

fn quick_cache(loads: Loads) -> Contender {
    let cache = quick(CAPACITY);
    Contender::new("quick_cache `get_or_insert_with`", move |lookups| {
        for key in lookups.iter() {
            let value = cache.get_or_insert_with(key, || {
                loads.fetch_add(1, Relaxed);
                Ok::<_, Never>(shared())
            });
            black_box(value.map(|value| value[0]).ok());
        }
    })
}

fn moka_with_ttl(loads: Loads) -> Contender {
    let cache = moka(CAPACITY);
    Contender::new("moka `get_with_by_ref`, ttl", move |lookups| {
        for key in lookups.iter() {
            let value = cache.get_with_by_ref(key, || {
                loads.fetch_add(1, Relaxed);
                shared()
            });
            black_box(value[0]);
        }
    })
}

fn foyer_memory(loads: Loads) -> Contender {
    let cache = foyer(CAPACITY);
    Contender::new("foyer `get_or_fetch`", move |lookups| {
        drive(async {
            for key in lookups.iter() {
                let loads = Arc::clone(&loads);
                let value = cache
                    .get_or_fetch(key, || async move {
                        loads.fetch_add(1, Relaxed);
                        Ok::<_, anyhow::Error>(shared())
                    })
                    .await;
                black_box(value.map(|entry| entry.value()[0]).ok());
            }
        });
    })
}

fn strata(loads: Loads) -> Result<Contender> {
    let strata = Strata::new(budget_for(CAPACITY, weight_of_an_entry(true)?))?;
    Ok(Contender::new("Strata `get_or_load(..).tag(..)`, ttl", move |lookups| {
        drive(async {
            for key in lookups.iter() {
                let loads = Arc::clone(&loads);
                let load = async move || {
                    loads.fetch_add(1, Relaxed);
                    Ok::<_, Never>(own())
                };
                black_box(strata.ns.get_or_load(key, load).tag("customers").await.map(|value| value[0]).ok());
            }
        });
    }))
}

fn strata_by_hand(loads: Loads) -> Result<Contender> {
    let strata = Strata::new(budget_for(CAPACITY, weight_of_an_entry(true)?))?;
    Ok(Contender::new("Strata `get`, then `insert`", move |lookups| {
        drive(async {
            for key in lookups.iter() {
                if let Some(value) = strata.ns.get::<crate::engines::Own>(key).await {
                    black_box(value[0]);
                    continue;
                }
                loads.fetch_add(1, Relaxed);
                black_box(strata.ns.insert(key, own()).tag("customers").await.is_ok());
            }
        });
    }))
}

/// Measures loads with one thread and with two.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let loads: [Loads; 5] = std::array::from_fn(|_| Loads::default());
    let [a, b, c, d, e] = loads.each_ref().map(Arc::clone);
    let contenders = [quick_cache(a), moka_with_ttl(b), foyer_memory(c), strata(d)?, strata_by_hand(e)?];
    let mut columns = Vec::new();
    let mut hits = Vec::new();
    for threads in [1, 2] {
        progress(&format!("load: {threads} thread(s)"));
        let lookups: Vec<_> = (0..threads).map(|t| Lookups::zipf(KEYS, 0.99, effort.operations, 200 + t)).collect();
        loads.iter().for_each(|l| l.store(0, Relaxed));
        columns.push(compare(&contenders, &lookups, effort));
        let reads = (effort.rounds + 1) as f64 * effort.operations as f64 * threads as f64;
        hits.push(loads.each_ref().map(|l| 100.0 * (1.0 - l.load(Relaxed) as f64 / reads)));
    }
    let mut table = Table::new(
        "Get or load, room for a tenth of the keys",
        "100,000 keys, Zipf 0.99, capacity 10,000 entries; the loader makes the value at once. Processor ns of an \
         operation. Strata runs each load in a task of its own (it outlives its caller, can time out and may panic), \
         which the peers do not.",
        &["engine", "1 thread", "2 threads", "hits"],
    );
    for (i, contender) in contenders.iter().enumerate() {
        let mut cells = vec![contender.name.to_owned()];
        cells.extend(columns.iter().map(|column| against(column[i], column[0])));
        cells.push(format!("{:.1} %", hits[0][i]));
        table.row(cells);
    }
    Ok(table)
}
