//! Reads that nobody can answer: look, load, store.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use anyhow::Result;
use redis::AsyncCommands;

use super::stage::{Stage, TASKS, on_two_threads, per_second};
use crate::{
    keys::key,
    measure::{Effort, Spread, progress},
    table::{Table, thousands},
};

/// Measures misses a second.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    progress("redis-miss");
    let [bare, strata] = on_two_threads(measure(effort))?;
    let mut table = Table::new(
        "Miss, load and store in Redis",
        &format!(
            "{TASKS} tasks, each key new, a loader that returns 100 bytes at once. By hand: `GET`, then `SET` with a time to live (2 \
             round trips, and every race of the cache-aside pattern). Strata: look, take the right to load among all nodes, store (3), and \
             fill its memory. Misses a second, wall clock, median (spread)."
        ),
        &["reader", "misses a second"],
    );
    for (name, spread) in [("redis-rs `GET` and `SET EX`", bare), ("Strata `get_or_load`", strata)] {
        let Spread { median, min, max } = spread;
        let whole = |n: f64| thousands(n as u64);
        let cell = format!("{} ({} to {}) **{:.2}x**", whole(median), whole(min), whole(max), median / bare.median);
        table.row(vec![name.to_owned(), cell]);
    }
    Ok(table)
}

async fn measure(effort: Effort) -> Result<[Spread; 2]> {
    let stage = Stage::build().await?;
    let (node, client) = (stage.node(false).await?, stage.client().await?);
    let operations = effort.operations.min(50_000);
    let (mut bare, mut strata) = (Vec::new(), Vec::new());
    let next = AtomicUsize::new(0);
    for round in 0..=effort.rounds {
        let first = next.fetch_add(operations, Relaxed);
        let asked = client.clone();
        let done = per_second(operations, move |n| {
            let mut client = asked.clone();
            async move {
                let found: Option<Vec<u8>> = client.get(key(first + n)).await?;
                if found.is_none() {
                    client.set_ex::<_, _, ()>(key(first + n), vec![7_u8; 100], 1800).await?;
                }
                Ok(())
            }
        });
        let done = done.await?;
        let asked = node.ns.clone();
        let ours = per_second(operations, move |n| {
            let ns = asked.clone();
            async move {
                let load = async || Ok::<_, Infallible>(serde_bytes::ByteBuf::from(vec![7_u8; 100]));
                ns.get_or_load(key(first + n), load).await?;
                Ok(())
            }
        });
        let ours = ours.await?;
        if round > 0 {
            bare.push(done);
            strata.push(ours);
        }
    }
    Ok([Spread::of(bare), Spread::of(strata)])
}
