//! Faults of a cluster of three masters with a replica each: node n and node n + 3 are always one pair.

use std::time::Duration;

use anyhow::{Context as _, Result};
use stratacache_testkit::servers::Failover;

use super::Fault;
use crate::{random::Random, stage::Stage};

const SLOTS: u64 = 16_384;
/// Less than the node timeout: the others do not take it for dead.
const SHORT_OF_FAILURE: Duration = Duration::from_millis(1200);

pub(super) async fn inject(fault: Fault, stage: &Stage, random: &mut Random) -> Result<()> {
    let cluster = stage.cluster();
    let masters = cluster.masters().await?;
    let master = random.pick(&masters);
    let replica = (master + cluster.nodes().len() / 2) % cluster.nodes().len();
    match fault {
        Fault::ClusterFailover => {
            stage.injected(fault, 1, format!("{replica} takes over from {master}"));
            cluster.failover(replica, Failover::Graceful).await?;
        }
        Fault::ClusterKill => {
            stage.injected(fault, 1, format!("{master} dies, {replica} takes over"));
            cluster.node(master).kill().await?;
            tokio::time::sleep(random.millis(0, 300)).await;
            cluster.failover(replica, Failover::Force).await?;
            tokio::time::sleep(random.millis(0, 300)).await;
            cluster.node(master).restart().await?;
            cluster.node(master).until_synced(cluster.node(replica)).await?;
            cluster.until_well().await?;
        }
        Fault::ClusterMigrate => {
            let slot = slot(stage, random).await?;
            let from = cluster.owner_of(slot).await?;
            let to = masters.iter().copied().find(|to| *to != from).context("there is another master")?;
            stage.injected(fault, 1, format!("slot {slot} from {from} to {to}"));
            let migration = cluster.begin_migration(slot, from, to).await?;
            while migration.move_keys(2).await? > 0 {
                tokio::time::sleep(random.millis(0, 60)).await;
            }
            migration.finish().await?;
        }
        _ => {
            let time = random.millis(10, SHORT_OF_FAILURE.as_millis() as u64);
            stage.injected(fault, 1, format!("{master} for {time:?}"));
            cluster.node(master).pause().await?;
            tokio::time::sleep(time).await;
            cluster.node(master).resume().await?;
        }
    }
    Ok(())
}

/// Draws a slot, mostly one with something in it.
async fn slot(stage: &Stage, random: &mut Random) -> Result<u16> {
    if random.chance(0.2) {
        return Ok(random.below(SLOTS) as u16);
    }
    let node = stage.cluster().node(random.pick(&stage.cluster().masters().await?));
    match node.command(&["RANDOMKEY"]).await?.text() {
        Some(key) => Ok(stage.cluster().slot_of(key).await?),
        None => Ok(random.below(SLOTS) as u16),
    }
}
