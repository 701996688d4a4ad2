//! Faults of a cluster of three masters with a replica each: node n and node n + 3 are always one pair.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use stratacache_testkit::servers::{Failover, Reply};

use super::{Fault, node::start_anew};
use crate::{
    node::Aim,
    random::Random,
    stage::Stage,
    time::{self, Nanos, ms},
};

const SLOTS: u64 = 16_384;
/// In this time an isolated master is a member again.
const REJOINED: Nanos = ms(20_000);
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
        Fault::ClusterIsolate => isolate(stage, random).await?,
        Fault::ClusterLag => lag(master, replica, stage, random).await?,
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

/// A replica takes over that has not heard of the last writes; a node that remembers nothing reads from it.
async fn lag(master: usize, replica: usize, stage: &Stage, random: &mut Random) -> Result<()> {
    let (cluster, behind) = (stage.cluster(), random.millis(50, 500));
    let number = random.below(stage.settings.nodes.into()) as u32;
    stage.injected(
        Fault::ClusterLag,
        1,
        format!("{replica} takes over from {master}, {behind:?} behind; node {number}"),
    );
    // the replica comes back no more: until the master is started again, with the rights it had
    cluster.node(master).command(&["ACL", "SETUSER", "default", "-psync", "-sync"]).await?;
    cluster.node(master).command(&["CLIENT", "KILL", "TYPE", "replica"]).await?;
    tokio::time::sleep(behind).await;
    cluster.node(master).kill().await?;
    cluster.failover(replica, Failover::Force).await?;
    start_anew(number, stage).await?;
    tokio::time::sleep(random.millis(50, 300)).await;
    cluster.node(master).restart().await?;
    cluster.node(master).until_synced(cluster.node(replica)).await?;
    Ok(cluster.until_well().await?)
}

/// A master loses sight of the others, and is replaced: it takes no writes, and answers reads. One node knows of the new
/// master, and all forget what they knew of keys.
async fn isolate(stage: &Stage, random: &mut Random) -> Result<()> {
    let (cluster, last) = (stage.cluster(), SLOTS as u16 - 1);
    // of all masters the one that is named last: who looks for another finds it
    let old = cluster.owner_of(last).await?;
    let new = (old + cluster.nodes().len() / 2) % cluster.nodes().len();
    let (master, replica) = (cluster.node(old), cluster.node(new));
    let drawn = random.below(stage.settings.nodes.into()) as u32;
    let number = if stage.settings.aim == Aim::Readers { 0 } else { drawn }; // the one that writes
    stage.injected(
        Fault::ClusterIsolate,
        1,
        format!("{new} takes over from {old}, which is read from; node {number} is not misled"),
    );
    // no more writes before the other takes any
    for (knob, value) in [("min-replicas-to-write", "9"), ("cluster-require-full-coverage", "no")] {
        master.command(&["CONFIG", "SET", knob, value]).await?;
    }
    let mut ids = Vec::new();
    for other in cluster.nodes().iter().filter(|other| other.port() != master.port()) {
        ids.extend(other.command(&["CLUSTER", "MYID"]).await?.text());
    }
    for id in &ids {
        master.command(&["CLUSTER", "FORGET", id]).await?;
    }
    replica.command(&["CLUSTER", "FAILOVER", "TAKEOVER"]).await?;
    let told = tell(stage, number, random).await;
    // the old one takes no more writes as a master: it comes back as one who knows nobody, to be a replica of the new one
    let folder = master.command(&["CONFIG", "GET", "dir"]).await?.elements().last().and_then(Reply::text);
    let forgotten = master.command(&["CLUSTER", "MYID"]).await?.text().unwrap_or_default();
    master.kill().await?;
    std::fs::remove_file(Path::new(&folder.unwrap_or_default()).join("nodes.conf"))
        .context("forgetting the cluster")?;
    for other in cluster.nodes().iter().filter(|other| other.port() != master.port()) {
        other.command(&["CLUSTER", "FORGET", &forgotten]).await?;
    }
    master.restart().await?;
    for other in cluster.nodes().iter().filter(|other| other.port() != master.port()) {
        master.command(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string()]).await?;
    }
    let id = replica.command(&["CLUSTER", "MYID"]).await?.text().unwrap_or_default();
    let give_up = time::now() + REJOINED;
    while let Err(error) = master.command(&["CLUSTER", "REPLICATE", &id]).await {
        if time::now() > give_up {
            return Err(error).context("an isolated master does not find its way back");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    master.until_synced(replica).await?;
    cluster.until_well().await?;
    told
}

/// Lets a node find the new master; then all nodes miss messages for a while.
async fn tell(stage: &Stage, number: u32, random: &mut Random) -> Result<()> {
    // who writes where others only read finds it by itself, before they do
    let (least, most) = match stage.settings.aim {
        Aim::Readers => (10, 30),
        _ => {
            start_anew(number, stage).await?;
            (40, 100)
        }
    };
    for _ in 0..10 {
        tokio::time::sleep(random.millis(least, most)).await;
        for server in stage.cluster().nodes() {
            for lane in super::lane::lanes() {
                // refused by all but one
                let _ = server.command(&["XTRIM", &super::lane::key(lane, "s"), "MAXLEN", "0"]).await;
            }
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
