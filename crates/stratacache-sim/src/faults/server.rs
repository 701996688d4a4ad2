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

/// A replica takes over that has not heard of the last writes. The old primary takes none from before that on: it is dead,
/// or a replica of the new one, from which nodes may still read.
async fn fail_over(stage: &Stage, random: &mut Random) -> Result<()> {
    let mut duo = stage.duo().await;
    duo.with_replica().await?;
    let (new, link) = duo.replica.take().context("there is a replica")?;
    link.hang(true);
    let lag = random.millis(10, 300);
    tokio::time::sleep(lag).await;
    let demoted = random.chance(0.6);
    stage.injected(
        Fault::Failover,
        1,
        format!("{lag:?} behind, the old primary is {}", if demoted { "demoted" } else { "dead" }),
    );
    if demoted {
        duo.primary.command(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]).await?;
    } else {
        duo.primary.kill().await?;
    }
    new.command(&["REPLICAOF", "NO", "ONE"]).await?;
    for proxy in stage.proxies() {
        if demoted {
            tokio::time::sleep(random.millis(0, 120)).await;
        }
        proxy.retarget(new.addr());
        proxy.cut().await;
    }
    // the old one ends here, with the link
    *duo = Duo { primary: Arc::clone(&new), replica: None, persisted: Persisted::Nothing };
    Ok(())
}
