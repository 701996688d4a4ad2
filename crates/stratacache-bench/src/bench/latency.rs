//! How long single hits take.

use anyhow::Result;

use super::hit::filled;
use crate::{
    engines::{Own, drive, foyer, moka, quick, shared},
    keys::{Lookups, key, mark},
    measure::{Effort, Spread, Tally, now, percentile, progress},
    table::{Table, against},
};

const KEYS: usize = 100_000;
const FRACTIONS: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// Reads all keys and notes the nanoseconds of each read.
type Timed = Box<dyn Fn(&Lookups, &mut Vec<u64>) -> Tally>;

fn contenders() -> Result<Vec<(&'static str, Timed)>> {
    let quick = quick(4 * KEYS);
    let moka = moka(4 * KEYS);
    let foyer = foyer(4 * KEYS);
    for n in 0..KEYS {
        let key = key(n);
        let value = shared(mark(&key));
        quick.insert(key.clone(), value.clone());
        moka.insert(key.clone(), value.clone());
        drop(foyer.insert(key, value));
    }
    moka.run_pending_tasks();
    let strata = filled()?;
    fn each(lookups: &Lookups, nanos: &mut Vec<u64>, read: impl Fn(&str) -> Option<u8>) -> Tally {
        let mut tally = Tally::default();
        for key in lookups.iter() {
            let before = now();
            tally.read(read(key) == Some(mark(key)));
            nanos.push(before.elapsed().as_nanos() as u64);
        }
        tally
    }
    Ok(vec![
        ("quick_cache", Box::new(move |l, n| each(l, n, |key| quick.get(key).map(|v| v[0])))),
        ("moka, ttl", Box::new(move |l, n| each(l, n, |key| moka.get(key).map(|v| v[0])))),
        ("foyer, S3-FIFO", Box::new(move |l, n| each(l, n, |key| foyer.get(key).map(|e| e.value()[0])))),
        (
            "Strata `get`, ttl + tag",
            Box::new(move |lookups, nanos| {
                drive(async {
                    let mut tally = Tally::default();
                    for key in lookups.iter() {
                        let before = now();
                        tally.read(strata.ns.get::<Own>(key).await.is_some_and(|v| v[0] == mark(key)));
                        nanos.push(before.elapsed().as_nanos() as u64);
                    }
                    tally
                })
            }),
        ),
    ])
}

/// Times every call.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    progress("latency");
    let contenders = contenders()?;
    let lookups = Lookups::zipf(KEYS, 0.99, effort.operations, 700);
    let mut samples = vec![[const { Vec::new() }; FRACTIONS.len()]; contenders.len()];
    for round in 0..=effort.rounds {
        for ((name, run), samples) in contenders.iter().zip(&mut samples) {
            let mut nanos = Vec::with_capacity(lookups.len());
            let mut tally = Tally::default();
            allocation_counter::opt_out(|| tally = run(&lookups, &mut nanos));
            tally.all_hit(name)?;
            nanos.sort_unstable();
            if round > 0 {
                samples.iter_mut().zip(FRACTIONS).for_each(|(s, f)| s.push(percentile(&nanos, f) as f64));
            }
        }
    }
    let spreads: Vec<_> = samples.into_iter().map(|s| s.map(Spread::of)).collect();
    let mut table = Table::new(
        "Latency of a memory hit",
        "As the memory hit, one thread, each call timed by itself, the clock's own 20 to 40 ns included; ns. Budget: p99 of \
         Strata at most 2x that of quick_cache.",
        &["engine", "p50", "p90", "p99", "p99.9"],
    );
    for ((name, _), row) in contenders.iter().zip(&spreads) {
        let mut cells = vec![(*name).to_owned()];
        cells.extend(row.iter().zip(&spreads[0]).map(|(spread, first)| against(*spread, *first)));
        table.row(cells);
    }
    Ok(table)
}
