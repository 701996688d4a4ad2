//! Invalidation of a tag that few or many entries in Redis have, and of a tenant.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use anyhow::{Result, ensure};
use redis::{AsyncCommands, aio::MultiplexedConnection};
use stratacache::TenantId;

use super::stage::{Stage, micros, on_two_threads};
use crate::{
    keys::key,
    measure::{Effort, Spread, now, progress},
    table::{Table, thousands},
};

const BATCH: usize = 1000;
/// Entries of another tenant.
const NEIGHBOURS: usize = 100;
/// Invalidations of what nothing has, before the one that is measured: a million writes leave caches of the processor that
/// have nothing of it, and a thousand do not.
const WARM: usize = 20;

/// How the entries are made invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Tag,
    Tenant,
    ByHand,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Tag => "Strata `invalidate_tag`",
            Self::Tenant => "Strata `tenant.clear`",
            Self::ByHand => "`SMEMBERS` and `UNLINK`",
        }
    }
}

struct Costs {
    call: Spread,
    /// The slowest GET of another client meanwhile.
    worst: Spread,
}

/// Measures one invalidation, and what another client feels of it.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let many = if effort.quick { 100_000 } else { 1_000_000 };
    let mut table = Table::new(
        "Tag invalidation in Redis",
        "All entries have the tag, and are of one tenant; after a clear, the entries of another tenant have to be there. By hand: a set of keys for each tag (`SADD` with each write), invalidated with `SMEMBERS` and `UNLINK` \
         in batches of 1,000, as it is usually written. Before each, a tag that nothing has is invalidated 20 times, so that what ran before is the \
         same for both sizes: the very first invalidation after a million writes takes two to three times as long. Wall-clock microseconds, median (spread); \"slowest GET\" is that of another client that \
         asks all the while. Budgets: Strata's cost at both sizes within 1.5x; another client's GET at most 1 ms.",
        &["way", "entries", "invalidation", "slowest GET of another client", "cost against 1,000 entries"],
    );
    for way in [Way::Tag, Way::Tenant, Way::ByHand] {
        let mut few = None;
        for entries in [1000, many] {
            progress(&format!("redis-tags: {}, {entries} entries", way.name()));
            let costs = on_two_threads(measure(way, entries, effort))?;
            let base = *few.get_or_insert(costs.call.median);
            table.row(vec![
                way.name().to_owned(),
                thousands(entries as u64),
                show(costs.call),
                show(costs.worst),
                format!("**{:.2}x**", costs.call.median / base),
            ]);
        }
    }
    Ok(table)
}

fn show(Spread { median, min, max }: Spread) -> String {
    let whole = |n: f64| thousands(n.round() as u64);
    format!("{} ({} to {})", whole(median), whole(min), whole(max))
}

async fn measure(way: Way, entries: usize, effort: Effort) -> Result<Costs> {
    let stage = Stage::build().await?;
    let (node, mut client) = (stage.node(true).await?, stage.client().await?);
    let other = stage.client().await?;
    client.set::<_, _, ()>("bystander", "x").await?;
    let neighbour = node.cache.tenant(&TenantId::parse("neighbour")?);
    neighbour.insert_many((0..NEIGHBOURS).map(|n| (key(n), n as u64))).await?;
    let (mut call, mut worst) = (Vec::new(), Vec::new());
    let rounds = if entries > BATCH { effort.rounds.min(3) } else { effort.rounds };
    for round in 0..rounds {
        // Strata's entries stay where they are: they are written again for the next round all the same
        if way == Way::ByHand {
            fill_by_hand(&mut client, entries).await?;
        } else {
            for first in (0..entries).step_by(BATCH) {
                let items = (first..entries.min(first + BATCH)).map(|n| (key(n), n as u64));
                node.ns.insert_many(items).tag("customers").await?;
            }
        }
        let probe = Probe::start(other.clone());
        for _ in 0..WARM {
            node.ns.invalidate_tag("nobody").await?;
        }
        let start = now();
        match way {
            Way::Tag => drop(node.ns.invalidate_tag("customers").await?),
            Way::Tenant => drop(node.ns.clear().await?),
            Way::ByHand => {
                let keys: Vec<String> = client.smembers("tag:customers").await?;
                for keys in keys.chunks(BATCH) {
                    client.unlink::<_, ()>(keys).await?;
                }
                client.unlink::<_, ()>("tag:customers").await?;
            }
        }
        call.push(micros(start.elapsed()));
        worst.push(probe.stop().await?);
        for n in (0..entries).step_by(entries.div_ceil(100)) {
            let left = match way {
                Way::ByHand => client.exists(key(n)).await?,
                Way::Tag | Way::Tenant => node.ns.get::<u64>(key(n)).await.is_some(),
            };
            ensure!(!left, "an invalidated entry was served in round {round}");
        }
        for n in 0..NEIGHBOURS {
            ensure!(neighbour.get::<u64>(key(n)).await.is_some(), "another tenant lost an entry in round {round}");
        }
    }
    Ok(Costs { call: Spread::of(call), worst: Spread::of(worst) })
}

async fn fill_by_hand(client: &mut MultiplexedConnection, entries: usize) -> Result<()> {
    for first in (0..entries).step_by(BATCH) {
        let mut pipe = redis::pipe();
        for n in first..entries.min(first + BATCH) {
            pipe.set_ex(key(n), n, 1800).ignore().sadd("tag:customers", key(n)).ignore();
        }
        pipe.exec_async(client).await?;
    }
    Ok(())
}

/// Another client that reads all the while.
struct Probe {
    done: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<f64>>,
}

impl Probe {
    fn start(mut client: MultiplexedConnection) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&done);
        #[allow(clippy::disallowed_methods)] // a bench has tasks of its own
        let task = tokio::spawn(async move {
            let mut worst = 0_f64;
            loop {
                let start = now();
                let _: Option<String> = client.get("bystander").await?;
                worst = worst.max(micros(start.elapsed()));
                if ends.load(Relaxed) {
                    return Ok(worst);
                }
            }
        });
        Self { done, task }
    }

    async fn stop(self) -> Result<f64> {
        self.done.store(true, Relaxed);
        self.task.await?
    }
}
