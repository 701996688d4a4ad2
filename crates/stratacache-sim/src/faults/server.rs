//! Faults of the server.

use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::{Fault, standstill};
use crate::{
    random::Random,
    stage::{Duo, Persisted, Stage},
};

pub(super) async fn inject(fault: Fault, stage: &Stage, random: &mut Random) -> Result<()> {
    match fault {
        Fault::RedisKill => kill(fault, Persisted::Nothing, stage, random).await,
        Fault::RedisKillSnapshot => kill(fault, Persisted::Snapshot, stage, random).await,
        Fault::RedisKillLog => kill(fault, Persisted::Log, stage, random).await,
        Fault::Failover => fail_over(stage, random).await,
        _ => stop(stage, random).await,
    }
}

async fn kill(fault: Fault, persisted: Persisted, stage: &Stage, random: &mut Random) -> Result<()> {
    let mut duo = stage.duo().await;
    if duo.persisted != persisted {
        *duo = Duo::start(persisted).await?;
        stage.injected(fault, 1, "every node moves to an empty server");
        stage.move_all(&duo).await;
        tokio::time::sleep(random.millis(100, 400)).await;
    }
    if persisted == Persisted::Snapshot && random.chance(0.7) {
        duo.primary.command(&["SAVE"]).await?;
        tokio::time::sleep(random.millis(0, 200)).await;
    }
    let down = random.millis(0, 250);
    stage.injected(fault, 1, format!("down for {down:?}"));
    duo.primary.kill().await?;
    tokio::time::sleep(down).await;
    duo.primary.restart().await?;
    Ok(())
}

async fn stop(stage: &Stage, random: &mut Random) -> Result<()> {
    let time = standstill(random);
    let duo = stage.duo().await;
    stage.injected(Fault::RedisStop, 1, format!("for {time:?}"));
    duo.primary.pause().await?;
    tokio::time::sleep(time).await;
    Ok(duo.primary.resume().await?)
}

/// What becomes of an old primary. It takes no more writes before the new one takes any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Old {
    Dead,
    /// A replica of the new one; nodes still read from it.
    Replica,
    /// Cut off from the new one, as it was, and answering; but not for writes.
    Isolated,
}

/// A port on which nobody is a primary.
const NOBODY: &str = "1";

/// A replica takes over that has not heard of the last writes.
async fn fail_over(stage: &Stage, random: &mut Random) -> Result<()> {
    let mut duo = stage.duo().await;
    duo.with_replica().await?;
    let (new, link) = duo.replica.take().context("there is a replica")?;
    link.hang(true);
    let lag = random.millis(10, 300);
    tokio::time::sleep(lag).await;
    let old = random.pick(&[Old::Dead, Old::Replica, Old::Isolated, Old::Isolated]);
    stage.injected(Fault::Failover, 1, format!("{lag:?} behind, the old primary is {old:?}"));
    let port = new.port().to_string();
    match old {
        Old::Dead => duo.primary.kill().await?,
        Old::Replica => drop(duo.primary.command(&["REPLICAOF", "127.0.0.1", &port]).await?),
        Old::Isolated => drop(duo.primary.command(&["REPLICAOF", "127.0.0.1", NOBODY]).await?),
    }
    new.command(&["REPLICAOF", "NO", "ONE"]).await?;
    // or it would be a replica again after a restart
    new.command(&["CONFIG", "REWRITE"]).await?;
    for proxy in stage.proxies() {
        if old != Old::Dead {
            tokio::time::sleep(random.millis(0, 400)).await;
        }
        proxy.retarget(new.addr());
        proxy.cut().await;
    }
    // the old one ends here, with the link
    *duo = Duo { primary: Arc::clone(&new), replica: None, persisted: Persisted::Nothing };
    Ok(())
}
