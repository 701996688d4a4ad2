//! Reads that Redis answers.

use std::{convert::Infallible, time::Duration};

use anyhow::{Result, ensure};
use redis::AsyncCommands;

use super::stage::{Stage, TASKS, on_two_threads, per_second};
use crate::{
    keys::key,
    measure::{Effort, Spread, progress},
    table::{Table, thousands},
};

const KEYS: usize = 10_000;

/// Measures reads a second of values of 100 bytes and of 10 KB.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let mut table = Table::new(
        "Hit in Redis",
        &format!(
            "{TASKS} tasks share one connection each of Strata and of the bare client (redis-rs, `GET`); {} values, nothing is kept \
             in memory. Strata also judges each value, checks its sum and decodes it. Reads a second, wall clock, median (spread); more is \
             better. Budget: 0.9x the bare loop.",
            thousands(KEYS as u64)
        ),
        &["reader", "100 bytes", "10 KB"],
    );
    let (mut bare, mut strata) = (vec!["redis-rs `GET`".to_owned()], vec!["Strata `get`".to_owned()]);
    for size in [100, 10_240] {
        let [one, other] = on_two_threads(measure(size, effort))?;
        bare.push(show(one, one));
        strata.push(show(other, one));
    }
    table.row(bare);
    table.row(strata);
    Ok(table)
}

fn show(Spread { median, min, max }: Spread, first: Spread) -> String {
    let whole = |n: f64| thousands(n as u64);
    format!("{} ({} to {}) **{:.2}x**", whole(median), whole(min), whole(max), median / first.median)
}

async fn measure(size: usize, effort: Effort) -> Result<[Spread; 2]> {
    progress(&format!("redis-hit: {size} bytes"));
    let stage = Stage::build().await?;
    let (node, client) = (stage.node(true).await?, stage.client().await?);
    let value: Vec<u8> = (0..size).map(|n| n as u8).collect();
    let bare = value.clone();
    for n in 0..KEYS {
        let value = value.clone();
        let load = async move || Ok::<_, Infallible>(serde_bytes::ByteBuf::from(value));
        node.ns.get_or_load(key(n), load).await?;
        client.clone().set::<_, _, ()>(key(n), &bare).await?;
    }
    // what is read must come from Redis; the last fills are behind the reads that loaded
    tokio::time::sleep(Duration::from_millis(500)).await;
    let reader = stage.node(true).await?;
    let operations = effort.operations.min(if size > 1000 { 100_000 } else { 200_000 });
    let (mut bare, mut strata) = (Vec::new(), Vec::new());
    for round in 0..=effort.rounds {
        let asked = client.clone();
        let done = per_second(operations, move |n| {
            let mut client = asked.clone();
            async move {
                let found: Vec<u8> = client.get(key(n % KEYS)).await?;
                ensure!(found.len() == size, "a bare read missed");
                Ok(())
            }
        });
        let done = done.await?;
        let asked = (reader.ns.clone(), reader.cache.clone());
        let ours = per_second(operations, move |n| {
            let (ns, cache) = asked.clone();
            async move {
                let found = ns.get::<serde_bytes::ByteBuf>(key(n % KEYS)).await;
                ensure!(found.is_some_and(|value| value.len() == size), "a read of Strata missed: {:?}", cache.stats());
                Ok(())
            }
        });
        let ours = ours.await?;
        if round > 0 {
            bare.push(done);
            strata.push(ours);
        }
    }
    ensure!(reader.cache.stats().memory_hits == 0, "memory answered");
    Ok([Spread::of(bare), Spread::of(strata)])
}
