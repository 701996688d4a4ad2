//! What readers notice of a warm-up of 100,000 keys beside them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng, rngs::StdRng};
use stratacache::{Keyspace, Namespace, Policy, hours};
use tokio::{runtime::Builder, task::JoinSet, time::sleep};

use crate::{
    engines::Strata,
    measure::{Effort, Spread, now, percentile, progress},
    table::{Table, against},
};

static ROWS: Keyspace<u64, Vec<u8>> = Keyspace::new("rows", Policy::ttl(hours(1)));

/// Keys that readers find in memory.
const RESIDENT: u64 = 50_000;
const READERS: u64 = 8;
/// One read in so many is of a cold key.
const COLD: u64 = 50;
/// Reads of a reader before it pauses for a millisecond: the machine is busy, not full.
const IN_A_ROW: u64 = 20;
/// What a load takes, of one row and of a batch.
const LOAD: Duration = Duration::from_millis(2);

/// What is warmed: so many keys, so many a second.
#[derive(Clone, Copy)]
struct Size {
    keys: u64,
    rate: u32,
}

/// Nanoseconds that readers waited for hits, and for cold keys.
#[derive(Default)]
struct Waits {
    hits: Vec<u64>,
    cold: Vec<u64>,
}

fn value(key: u64) -> Vec<u8> {
    vec![key as u8; 100]
}

/// Reads until it is told to stop. The time of a read begins before the reader's task has its turn.
async fn reader(ns: Namespace, mut random: StdRng, mut next_cold: u64, stop: Arc<AtomicBool>) -> Result<Waits> {
    let mut waits = Waits::default();
    for n in 1_u64.. {
        if stop.load(Relaxed) {
            break;
        }
        let cold = n % COLD == 0;
        let key = if cold { next_cold } else { random.random_range(0..RESIDENT) };
        next_cold += u64::from(cold);
        let before = now();
        tokio::task::yield_now().await;
        let load = async move || {
            sleep(LOAD).await;
            Ok::<_, std::io::Error>(value(key))
        };
        let read = ns.get_or_load(ROWS.key(&key), load).await?;
        let nanos = before.elapsed().as_nanos() as u64;
        ensure!(read.first() == Some(&(key as u8)), "a reader was given another key's value");
        if cold {
            waits.cold.push(nanos)
        } else {
            waits.hits.push(nanos)
        }
        if n % IN_A_ROW == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(waits)
}

/// Lets all readers read while something else goes on, and returns what they waited, sorted.
async fn beside(ns: &Namespace, seed: u64, cold: u64, what: impl Future<Output = Result<()>>) -> Result<Waits> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for n in 0..READERS {
        let random = StdRng::seed_from_u64(seed * READERS + n);
        let reader = reader(ns.clone(), random, cold + n * 1_000_000, Arc::clone(&stop));
        // a bench has tasks of its own
        #[allow(clippy::disallowed_methods)]
        readers.spawn(reader);
    }
    let result = what.await;
    stop.store(true, Relaxed);
    let mut all = Waits::default();
    while let Some(waits) = readers.join_next().await {
        let waits = waits.context("a reader panicked")??;
        all.hits.extend(waits.hits);
        all.cold.extend(waits.cold);
    }
    result?;
    all.hits.sort_unstable();
    all.cold.sort_unstable();
    Ok(all)
}

/// Warms keys from `first` on, and checks that the rate was kept.
async fn warm(ns: &Namespace, first: u64, size: Size) -> Result<()> {
    let began = now();
    let load = async |keys: Vec<u64>| {
        sleep(LOAD).await;
        Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, value(key))).collect::<Vec<_>>())
    };
    let report = ns.warm(&ROWS, first..first + size.keys).load_many(load).rate(size.rate).await?;
    ensure!(report.progress.loaded == size.keys, "not all keys were warmed: {}", report.progress);
    let least = (size.keys - u64::from(size.rate).min(size.keys)) as f64 / f64::from(size.rate);
    ensure!(began.elapsed().as_secs_f64() >= least, "the warm-up was faster than its rate");
    Ok(())
}

/// Measures readers alone and beside a warm-up, in turns.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    progress("warm");
    let runtime =
        Builder::new_multi_thread().worker_threads(2).enable_time().build().context("cannot start a runtime")?;
    let size = if effort.quick { Size { keys: 20_000, rate: 20_000 } } else { Size { keys: 100_000, rate: 25_000 } };
    let mut samples: [[Vec<f64>; 2]; 4] = Default::default();
    runtime.block_on(async {
        let strata = Strata::here(1 << 30).await?;
        for key in 0..RESIDENT {
            strata.ns.insert(ROWS.key(&key), value(key)).await?;
        }
        for round in 0..=effort.rounds as u64 {
            let (ns, first) = (&strata.ns, (round + 1) << 40);
            let pause = async {
                sleep(Duration::from_secs_f64(size.keys as f64 / f64::from(size.rate))).await;
                Ok(())
            };
            let alone = beside(ns, 2 * round, first + (1 << 38), pause).await?;
            let warming = beside(ns, 2 * round + 1, first + (1 << 39), warm(ns, first, size)).await?;
            if round == 0 {
                continue; // to warm up
            }
            let figures = |waits: &Waits| {
                [(&waits.hits, 0.5), (&waits.hits, 0.99), (&waits.cold, 0.5), (&waits.cold, 0.99)]
                    .map(|(waits, fraction)| percentile(waits, fraction) as f64 / 1e3)
            };
            for (column, (alone, warming)) in samples.iter_mut().zip(figures(&alone).into_iter().zip(figures(&warming)))
            {
                column[0].push(alone);
                column[1].push(warming);
            }
        }
        strata.cache.close().await?;
        anyhow::Ok(())
    })?;
    let ratios = |column: &[Vec<f64>; 2]| Spread::of(column[0].iter().zip(&column[1]).map(|(a, w)| w / a).collect());
    let ratios = [ratios(&samples[1]), ratios(&samples[3])];
    let spreads = samples.map(|column| column.map(Spread::of));
    let mut table = Table::new(
        &format!("Readers beside a warm-up of {} keys", crate::table::thousands(size.keys)),
        &format!(
            "{READERS} readers of {} keys in memory on two threads, one read in {COLD} of a cold key whose load takes {} ms; beside them \
             a warm-up at {} keys a second, by batches of 100. The time of a read includes the wait for its task's turn; us. Budget: p99 beside the \
             warm-up at most 1.5x that of the same round without. Medians of the rounds' own ratios: {:.2}x for hits, {:.2}x for cold keys.",
            crate::table::thousands(RESIDENT),
            LOAD.as_millis(),
            crate::table::thousands(size.rate.into()),
            ratios[0].median,
            ratios[1].median,
        ),
        &["readers", "hit p50", "hit p99", "cold p50", "cold p99"],
    );
    for (row, name) in ["alone", "beside a warm-up"].into_iter().enumerate() {
        let figures = spreads.iter().map(|column| against(column[row], column[0]));
        table.row(std::iter::once(name.to_owned()).chain(figures).collect());
    }
    Ok(table)
}
