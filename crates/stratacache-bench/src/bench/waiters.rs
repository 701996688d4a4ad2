//! Ten thousand callers and one cold key.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use crate::{
    engines::{Shared, Strata, own, shared},
    keys::mark,
    measure::{Effort, Spread, now, percentile, progress},
    table::Table,
};

const WAITERS: usize = 10_000;
const LOAD: Duration = Duration::from_millis(100);

/// What the loader of one round does and notes.
#[derive(Clone, Default)]
struct Source(Arc<Noted>);

#[derive(Default)]
struct Noted {
    loads: AtomicU64,
    ended: OnceLock<Instant>,
}

impl Source {
    async fn load(self) {
        self.0.loads.fetch_add(1, Relaxed);
        tokio::time::sleep(LOAD).await;
        self.0.ended.get_or_init(now);
    }
}

/// What came of one round.
struct Rush {
    loads: u64,
    /// Microseconds from the end of the load to the completion of each caller, sorted.
    late: Vec<u64>,
}

async fn rush<F, Fut>(ask: F) -> Result<Rush>
where
    F: Fn(Source) -> Fut,
    Fut: Future<Output = bool> + Send + 'static,
{
    let source = Source::default();
    let mut callers = JoinSet::new();
    for _ in 0..WAITERS {
        let answer = ask(source.clone());
        // a bench has tasks of its own
        #[allow(clippy::disallowed_methods)]
        callers.spawn(async move { answer.await.then(now) });
    }
    let mut ends = Vec::with_capacity(WAITERS);
    while let Some(end) = callers.join_next().await {
        ends.push(end?.context("a caller got no value or a wrong one")?);
    }
    let loaded = *source.0.ended.get().context("nothing was loaded")?;
    let mut late: Vec<u64> = ends.iter().map(|end| end.saturating_duration_since(loaded).as_micros() as u64).collect();
    late.sort_unstable();
    Ok(Rush { loads: source.0.loads.load(Relaxed), late })
}

/// Measures how soon after the load all have their value.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    progress("waiters");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    runtime.block_on(async {
        let strata = Strata::here(64 << 20).await?;
        let moka = moka::future::Cache::<String, Shared>::new(1000);
        let quick = Arc::new(crate::engines::quick(1000));
        let names = ["moka `get_with`", "quick_cache `get_or_insert_async`", "Strata `get_or_load`"];
        let mut rushes: [Vec<Rush>; 3] = Default::default();
        for round in 0..=effort.rounds {
            let key = crate::keys::key(round);
            let mark = mark(&key);
            let of_moka = rush(|source| {
                let (moka, key) = (moka.clone(), key.clone());
                async move {
                    let load = async {
                        source.load().await;
                        shared(mark)
                    };
                    moka.get_with(key, load).await[0] == mark
                }
            });
            let of_moka = of_moka.await?;
            let of_quick = rush(|source| {
                let (quick, key) = (Arc::clone(&quick), key.clone());
                async move {
                    let load = async {
                        source.load().await;
                        Ok::<_, ()>(shared(mark))
                    };
                    quick.get_or_insert_async(key.as_str(), load).await.is_ok_and(|value| value[0] == mark)
                }
            });
            let of_quick = of_quick.await?;
            let of_strata = rush(|source| {
                let (ns, key) = (strata.ns.clone(), key.clone());
                async move {
                    let load = async move || {
                        source.load().await;
                        Ok::<_, std::convert::Infallible>(own(mark))
                    };
                    ns.get_or_load(key, load).await.is_ok_and(|value| value[0] == mark)
                }
            });
            let of_strata = of_strata.await?;
            ensure!(of_strata.loads == 1, "{WAITERS} waiters ran {} loads instead of one", of_strata.loads);
            if round > 0 {
                rushes.iter_mut().zip([of_moka, of_quick, of_strata]).for_each(|(all, one)| all.push(one));
            }
        }
        strata.cache.close().await?;
        Ok(table(&names, &rushes))
    })
}

fn table(names: &[&str], rushes: &[Vec<Rush>]) -> Table {
    let mut table = Table::new(
        "10,000 waiters on a cold key",
        "10,000 tasks on two workers ask for one key whose load takes 100 ms; ms from the end of the load to a caller's \
         completion. Budget: one load; p99 at most 5 ms.",
        &["engine", "loads", "p50", "p99", "last"],
    );
    for (name, rushes) in names.iter().zip(rushes) {
        let of = |fraction: f64| {
            let millis = rushes.iter().map(|rush| percentile(&rush.late, fraction) as f64 / 1000.0).collect();
            let Spread { median, min, max } = Spread::of(millis);
            format!("{median:.1} ({min:.1} to {max:.1})")
        };
        let loads = rushes.iter().map(|rush| rush.loads).max().unwrap_or(0);
        table.row(vec![(*name).to_owned(), loads.to_string(), of(0.5), of(0.99), of(1.0)]);
    }
    table
}
