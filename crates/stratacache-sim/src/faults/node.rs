//! Faults of nodes.

use std::time::Duration;

use anyhow::Result;

use super::{Fault, standstill};
use crate::{
    node::{Moment, Order, Step},
    random::Random,
    stage::Stage,
};

const HOUR_MS: u64 = 3_600_000;
/// Some steps are rare.
const PATIENCE: Duration = Duration::from_millis(1500);

pub(super) async fn inject(fault: Fault, stage: &Stage, random: &mut Random) -> Result<()> {
    let number = random.below(stage.settings.nodes.into()) as u32;
    match fault {
        Fault::NodeKillInside => kill_inside(number, stage, random).await,
        Fault::NodeStop => stop(number, stage, random).await,
        Fault::NodeSkew => {
            let skew = random.below(2 * HOUR_MS).cast_signed() - HOUR_MS.cast_signed();
            kill(fault, number, skew, stage).await
        }
        Fault::NodeAway => away(number, stage, random).await,
        _ => kill(fault, number, 0, stage).await,
    }
}

/// Starts a node that remembers nothing, and waits until it works.
pub(super) async fn start_anew(number: u32, stage: &Stage) -> Result<()> {
    let mut node = stage.node(number).await;
    stage.restart_node(&mut node, 0).await?;
    node.until_ready().await
}

async fn away(number: u32, stage: &Stage, random: &mut Random) -> Result<()> {
    let time = random.millis(100, 1500);
    let mut node = stage.node(number).await;
    stage.injected(Fault::NodeAway, 1, format!("node {number}, life {}, for {time:?}", node.life()));
    node.kill().await?;
    stage.ledger().thaws(number);
    tokio::time::sleep(time).await;
    stage.restart_node(&mut node, 0).await?;
    node.until_ready().await
}

async fn kill(fault: Fault, number: u32, skew_ms: i64, stage: &Stage) -> Result<()> {
    let mut node = stage.node(number).await;
    stage.injected(fault, 1, format!("node {number}, life {}; then {skew_ms} ms off", node.life()));
    stage.restart_node(&mut node, skew_ms).await?;
    node.until_ready().await
}

async fn kill_inside(number: u32, stage: &Stage, random: &mut Random) -> Result<()> {
    let step = random.pick(&Step::ALL);
    let moment = random.pick(&[Moment::Before, Moment::After]);
    let rare = matches!(step, Step::Take | Step::Renew | Step::Release);
    let nth = 1 + if rare { 0 } else { random.below(4) as u32 };
    let mut node = stage.node(number).await;
    node.order(Order::Arm { step, moment, nth }).await?;
    let mut dead = node.until_dead(PATIENCE).await?;
    if !dead {
        node.order(Order::Disarm).await?;
        // it may have been on its way
        dead = node.until_dead(Duration::from_millis(50)).await?;
    }
    if dead {
        stage.injected(Fault::NodeKillInside, 1, format!("node {number}, life {}, {moment:?} {step:?}", node.life()));
        stage.restart_node(&mut node, 0).await?;
        node.until_ready().await?;
    }
    Ok(())
}

async fn stop(number: u32, stage: &Stage, random: &mut Random) -> Result<()> {
    let time = standstill(random);
    let node = stage.node(number).await;
    stage.injected(Fault::NodeStop, 1, format!("node {number} for {time:?}"));
    stage.ledger().freezes(number);
    let stopped = node.stand_still(true);
    tokio::time::sleep(time).await;
    let resumed = node.stand_still(false);
    stage.ledger().thaws(number);
    stopped.and(resumed)
}
