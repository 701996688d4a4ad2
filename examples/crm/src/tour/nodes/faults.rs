//! What goes wrong while the clients are at work.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    counters::{self, Counters},
    counts::Period,
    process::{Launch, Node},
    redis::OwnRedis,
    stage::Stage,
};

/// The node that is killed.
const VICTIM: usize = 1;
/// How long something is away at least.
const AWAY: Duration = Duration::from_secs(1);
/// How long afterwards a request may still be slow because of it.
const SETTLING: Duration = Duration::from_secs(2);

/// Those who can be killed.
pub(super) struct Cast {
    pub(super) launch: Launch,
    pub(super) nodes: Vec<Node>,
    /// `None` if the Redis is somebody else's.
    pub(super) redis: Option<OwnRedis>,
}

impl Cast {
    /// Kills a node at a quarter of the time, and Redis after half of it. Returns what the killed node had counted.
    pub(super) async fn play(&mut self, stage: &Arc<Stage>, lasts: Duration) -> Result<Counters> {
        let began = Instant::now();
        let away = AWAY.max(lasts / 8);
        sleep_until(began + lasts / 4).await;
        let lost = self.kill_a_node(stage, away).await?;
        sleep_until(began + lasts.mul_f64(0.55)).await;
        if let Some(redis) = &mut self.redis {
            stage.counts.begin(Period::RedisAway);
            redis.kill().await?;
            sleep(away.min(AWAY * 3)).await;
            redis.start_empty().await?;
            sleep(SETTLING).await;
            stage.counts.begin(Period::Calm);
        }
        sleep_until(began + lasts).await;
        Ok(lost)
    }

    async fn kill_a_node(&mut self, stage: &Stage, away: Duration) -> Result<Counters> {
        let lost = counters::of(stage, VICTIM).await?;
        stage.counts.begin(Period::NodeDead);
        self.nodes.remove(VICTIM).kill().await?;
        sleep(away).await;
        let node = self.launch.node().await?;
        stage.here(VICTIM, node.address);
        self.nodes.insert(VICTIM, node);
        sleep(SETTLING).await;
        stage.counts.begin(Period::Calm);
        Ok(lost)
    }
}
