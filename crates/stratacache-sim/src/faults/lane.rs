//! Faults of what a node knows of a lane: it is made to lag behind, and meanwhile something happens to the lane.

use std::{ops::RangeInclusive, time::Duration};

use anyhow::{Context as _, Result};
use stratacache_core::stamp::Lane;
use stratacache_testkit::{
    proxy::{Command, FaultProxy, Times},
    servers::RedisServer,
};

use super::Fault;
use crate::{
    node::Order,
    random::Random,
    stage::Stage,
    world::{TENANTS, tenant_id},
};

/// A script with so many keys works on a lane.
const LANE_KEYS: &[u8] = b"4";
/// Tenants of which each has a lane of its own; the first shares its with another.
const OF_LANES: [u32; 3] = [0, 2, 3];
/// Invalidations that end two generations of marks where marks are few.
const GENERATIONS: u32 = 30;
/// A node is waited for no longer while something else is done to it.
const BUSY: Duration = Duration::from_millis(500);

/// A node that lags behind, and the others.
struct Laggard<'a> {
    number: u32,
    proxy: &'a FaultProxy,
}

impl<'a> Laggard<'a> {
    fn draw(stage: &'a Stage, random: &mut Random) -> Result<Self> {
        let number = random.below(stage.proxies().len() as u64) as u32;
        let proxy = stage.proxies().get(number as usize).context("there is no proxy before a cluster")?;
        Ok(Self { number, proxy })
    }

    /// Returns another node.
    fn other(&self, stage: &'a Stage, random: &mut Random) -> Result<Self> {
        let nodes = stage.proxies().len() as u32;
        let number = (self.number + 1 + random.below(u64::from(nodes.max(2) - 1)) as u32) % nodes;
        let proxy = stage.proxies().get(number as usize).context("there is no proxy before a cluster")?;
        Ok(Self { number, proxy })
    }

    /// Makes what it is told about lanes late.
    fn slow(&self, by: RangeInclusive<Duration>) {
        self.proxy.delay_replies(lane_scripts(), by);
    }

    /// Lets the tail hear nothing.
    fn deaf(&self) {
        self.proxy.drop_request(Command::named("XREAD"), Times::Always);
    }

    /// Holds everything back, until others have invalidated something in each lane and the server was dealt with.
    async fn behind<T>(
        &self,
        (stage, other): (&Stage, &Self),
        time: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.proxy.hang(true);
        // the first is with the tail already, and no more than held back
        other.flood(stage, &OF_LANES, 3).await?;
        tokio::time::sleep(time).await;
        let done = work.await;
        self.proxy.hang(false);
        done
    }

    /// Has the node invalidate what nobody uses.
    async fn flood(&self, stage: &Stage, tenants: &[u32], count: u32) -> Result<()> {
        // who starts anew at this time, with another fault, may wait for the end of this one
        let Ok(mut node) = tokio::time::timeout(BUSY, stage.node(self.number)).await else { return Ok(()) };
        for tenant in tenants {
            node.order(Order::Flood { tenant: *tenant, count }).await?;
        }
        Ok(())
    }
}

pub(super) async fn inject(fault: Fault, stage: &Stage, random: &mut Random) -> Result<()> {
    let node = Laggard::draw(stage, random)?;
    let done = match fault {
        Fault::Missing => missing(&node, stage, random).await,
        Fault::Dropped => dropped(&node, stage, random).await,
        Fault::Forgotten => forgotten(&node, stage, random).await,
        Fault::SlowSnapshot => slow_snapshot(&node, stage, random).await,
        Fault::LateSync => late_sync(&node, stage, random).await,
        Fault::LateFill => late_fill(&node, stage, random).await,
        Fault::Flood => flood(&node, stage, random).await,
        Fault::Header => header(&node, stage, random).await,
        _ => histories(&node, stage, random).await,
    };
    node.proxy.heal();
    done
}

fn lane_scripts() -> Command {
    Command::matching(|args| {
        let word = |at: usize| args.get(at).map(|arg| &arg[..]).unwrap_or_default();
        word(0).eq_ignore_ascii_case(b"EVALSHA") && word(2) == LANE_KEYS
    })
}

/// Returns the lanes in use.
pub(super) fn lanes() -> Vec<Lane> {
    (0..TENANTS).map(|tenant| Lane::of(tenant_id(tenant))).chain([Lane::GLOBAL]).collect()
}

/// Returns the name of a control key.
pub(super) fn key(lane: Lane, what: &str) -> String {
    format!("campaign:{{c{}}}:{what}", lane.index())
}

/// Empties the streams in use.
async fn trim(server: &RedisServer) -> Result<()> {
    for lane in lanes() {
        server.command(&["XTRIM", &key(lane, "s"), "MAXLEN", "0"]).await?;
    }
    Ok(())
}

/// Messages go missing that a node has not read.
async fn missing(node: &Laggard<'_>, stage: &Stage, random: &mut Random) -> Result<()> {
    let duo = stage.duo().await;
    let (time, all) = (random.millis(20, 180), random.chance(0.5));
    let which = if all { "all" } else { "one of each lane" };
    stage.injected(Fault::Missing, 1, format!("node {}, {which} of {time:?}", node.number));
    let place = 1 + random.below(4) as usize;
    let other = node.other(stage, random)?;
    node.behind((stage, &other), time, async {
        if all {
            return trim(&duo.primary).await;
        }
        for lane in lanes() {
            let stream = key(lane, "s");
            let newest = duo.primary.command(&["XREVRANGE", &stream, "+", "-", "COUNT", &place.to_string()]).await?;
            // of the newest ones, the oldest
            let id = newest.elements().last().and_then(|entry| entry.elements().first()?.text());
            if let Some(id) = id {
                duo.primary.command(&["XDEL", &stream, &id]).await?;
            }
        }
        Ok(())
    })
    .await
}

/// Marks of what a node has not heard of are dropped: others invalidate so much that two generations end.
async fn dropped(node: &Laggard<'_>, stage: &Stage, random: &mut Random) -> Result<()> {
    let (other, time) = (node.other(stage, random)?, random.millis(40, 180));
    stage.injected(Fault::Dropped, 1, format!("node {}, after {time:?}", node.number));
    let duo = stage.duo().await;
    node.behind((stage, &other), time, async {
        other.flood(stage, &OF_LANES, GENERATIONS).await?;
        tokio::time::sleep(random.millis(20, 60)).await;
        trim(&duo.primary).await
    })
    .await?;
    drop(duo);
    tokio::time::sleep(random.millis(50, 150)).await;
    Ok(())
}

/// Marks are deleted when a node has to fetch them.
async fn forgotten(node: &Laggard<'_>, stage: &Stage, random: &mut Random) -> Result<()> {
    let duo = stage.duo().await;
    let (time, which) = (random.millis(20, 120), random.pick(&[&["m0", "m1"][..], &["m0"], &["m1"]]));
    stage.injected(Fault::Forgotten, 1, format!("node {}, {which:?} after {time:?}", node.number));
    let other = node.other(stage, random)?;
    node.behind((stage, &other), time, async {
        trim(&duo.primary).await?;
        for lane in lanes() {
            for what in which {
                duo.primary.command(&["DEL", &key(lane, what)]).await?;
            }
        }
        Ok(())
    })
    .await?;
    drop(duo);
    tokio::time::sleep(random.millis(20, 100)).await;
    Ok(())
}

/// A node fetches the marks slowly, and they change meanwhile.
async fn slow_snapshot(node: &Laggard<'_>, stage: &Stage, random: &mut Random) -> Result<()> {
    let other = node.other(stage, random)?;
    let (scan, least) = (random.chance(0.5), random.millis(40, 100));
    let what = if scan { "HSCAN" } else { "SYNC" };
    stage.injected(Fault::SlowSnapshot, 1, format!("node {}, {what} {least:?} late", node.number));
    if scan {
        node.proxy.delay_replies(Command::named("HSCAN"), least..=least + Duration::from_millis(50));
    } else {
        node.slow(least..=least);
    }
    let duo = stage.duo().await;
    node.behind((stage, &other), random.millis(20, 60), trim(&duo.primary)).await?;
    drop(duo);
    if !scan {
        // what shows the gap comes now, and the first question of the snapshot goes out: its answer waits for the flood
        tokio::time::sleep(least.mul_f64(0.9)).await;
        node.proxy.heal();
        node.slow(Duration::from_millis(60)..=Duration::from_millis(60));
        tokio::time::sleep(least.mul_f64(0.1) + random.millis(5, 30)).await;
    }
    if !scan || random.chance(0.3) {
        other.flood(stage, &OF_LANES, 25).await?;
    }
    tokio::time::sleep(random.millis(250, 450)).await;
    Ok(())
}

/// What a node is told of lanes is late, and the tail hears nothing.
async fn late_sync(node: &Laggard<'_>, stage: &Stage, random: &mut Random) -> Result<()> {
    let (time, least) = (random.millis(300, 900), random.millis(30, 150));
    stage.injected(Fault::LateSync, 1, format!("node {}, {least:?} late for {time:?}", node.number));
    node.deaf();
    node.slow(least..=least + Duration::from_millis(40));
    tokio::time::sleep(time).await;
    Ok(())
}

/// One node is late to hear of invalidations, and others forget those of keys again and again.
async fn late_fill(node: &Laggard<'_>, stage: &Stage, random: &mut Random) -> Result<()> {
    let least = random.millis(100, 160);
    let forgets = node.other(stage, random)?;
    let third = forgets.other(stage, random)?;
    stage.injected(Fault::LateFill, 1, format!("node {} {least:?} late, {} forgets", node.number, forgets.number));
    node.deaf();
    node.slow(least..=least + Duration::from_millis(30));
    for _ in 0..6 {
        tokio::time::sleep(random.millis(20, 80)).await;
        let duo = stage.duo().await;
        forgets.behind((stage, &third), random.millis(10, 25), trim(&duo.primary)).await?;
    }
    Ok(())
}

/// A node has more to read than one answer holds.
async fn flood(node: &Laggard<'_>, stage: &Stage, random: &mut Random) -> Result<()> {
    let (count, least) = (random.pick(&[1000, 3000]), random.millis(20, 45));
    stage.injected(Fault::Flood, 1, format!("{count} in each lane, node {} is behind", node.number));
    node.deaf();
    node.slow(least..=least + Duration::from_millis(5));
    node.proxy.hang(true);
    let flooded = node.other(stage, random)?.flood(stage, &OF_LANES, count).await;
    tokio::time::sleep(random.millis(100, 220)).await;
    node.proxy.hang(false);
    tokio::time::sleep(random.millis(400, 700)).await;
    flooded
}

/// Headers are deleted, and the marks that they told about are left.
async fn header(node: &Laggard<'_>, stage: &Stage, random: &mut Random) -> Result<()> {
    stage.injected(Fault::Header, 1, format!("after a flood by node {}", node.number));
    node.flood(stage, &OF_LANES, 1000).await?;
    tokio::time::sleep(random.millis(1000, 2000)).await;
    let duo = stage.duo().await;
    for lane in lanes() {
        duo.primary.command(&["DEL", &key(lane, "h")]).await?;
    }
    Ok(())
}

/// Two histories begin, one after the other; a node hears of the second while answers of the first are on their way.
async fn histories(node: &Laggard<'_>, stage: &Stage, random: &mut Random) -> Result<()> {
    let late = Duration::from_millis(150)..=Duration::from_millis(200);
    let (young, between) = (random.millis(20, 120), random.millis(100, 118));
    let other = node.other(stage, random)?;
    let duo = stage.duo().await;
    stage.injected(Fault::Histories, 1, format!("node {}, {young:?} and {between:?}", node.number));
    duo.primary.command(&["FLUSHALL"]).await?;
    tokio::time::sleep(young).await;
    node.slow(late.clone());
    let until = Duration::from_millis(120);
    node.proxy.delay_replies(Command::named("XREAD"), until..=until);
    tokio::time::sleep(between).await;
    duo.primary.command(&["FLUSHALL"]).await?;
    node.proxy.heal();
    node.slow(late);
    other.flood(stage, &OF_LANES, 60).await?;
    tokio::time::sleep(random.millis(200, 300)).await;
    Ok(())
}
