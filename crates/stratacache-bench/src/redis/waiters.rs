//! Three nodes, three thousand callers each, one cold key.

use std::{
    convert::Infallible,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use stratacache::Consistency;
use tokio::task::JoinSet;

use super::stage::{Node, Stage, micros, on_two_threads};
use crate::{
    measure::{Effort, Spread, now, percentile, progress},
    table::Table,
};

const NODES: usize = 3;
const WAITERS: usize = 3_000;
const LOAD: Duration = Duration::from_millis(100);

/// Measures how soon after the load all have their value.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    progress("redis-waiters");
    let (own, others) = on_two_threads(measure(effort))?;
    let mut table = Table::new(
        "One load among three nodes",
        "3,000 callers on each of three nodes (in one process, each with its own connections) ask for a cold key at once; the load takes 100 \
         ms. 99th percentile of the time from the end of the load to a caller's answer, in microseconds, median (spread) of the rounds. A \
         second load fails the bench. Budget: 25 ms.",
        &["callers", "p99 after the load"],
    );
    for (name, Spread { median, min, max }) in [("on the node that loads", own), ("on the other nodes", others)] {
        table.row(vec![name.to_owned(), format!("{median:.0} ({min:.0} to {max:.0})")]);
    }
    Ok(table)
}

#[derive(Clone, Default)]
struct Source(Arc<(AtomicU64, OnceLock<(usize, Instant)>)>);

async fn measure(effort: Effort) -> Result<(Spread, Spread)> {
    let stage = Stage::build().await?;
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..NODES {
        nodes.push(stage.node(false).await?);
    }
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for round in 0..=effort.rounds {
        let source = Source::default();
        let mut callers = JoinSet::new();
        for n in 0..NODES * WAITERS {
            let (at, ns, source) = (n % NODES, nodes[n % NODES].ns.clone(), source.clone());
            #[allow(clippy::disallowed_methods)] // a bench has tasks of its own
            callers.spawn(async move {
                let load = async move || {
                    source.0.0.fetch_add(1, Relaxed);
                    tokio::time::sleep(LOAD).await;
                    source.0.1.get_or_init(|| (at, now()));
                    Ok::<_, Infallible>(7_u64)
                };
                ns.get_or_load(("cold", round as u64), load).consistency(Consistency::Latest).await?;
                anyhow::Ok((at, now()))
            });
        }
        let mut ends = Vec::new();
        while let Some(end) = callers.join_next().await {
            ends.push(end??);
        }
        ensure!(source.0.0.load(Relaxed) == 1, "{} loads", source.0.0.load(Relaxed));
        let (leader, loaded) = *source.0.1.get().context("nothing was loaded")?;
        if round == 0 {
            continue;
        }
        let late = |here: bool| {
            let of = ends.iter().filter(|(at, _)| (*at == leader) == here);
            let mut late: Vec<u64> = of.map(|(_, end)| micros(end.saturating_duration_since(loaded)) as u64).collect();
            late.sort_unstable();
            percentile(&late, 0.99) as f64
        };
        own.push(late(true));
        others.push(late(false));
    }
    Ok((Spread::of(own), Spread::of(others)))
}
