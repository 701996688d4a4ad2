//! Faults of the connections between nodes and server.

use std::time::Duration;

use anyhow::{Context as _, Result};
use stratacache_testkit::proxy::{Command, FaultProxy, Times};

use super::Fault;
use crate::{random::Random, stage::Stage};

/// Losses are waited for no longer.
const PATIENCE: Duration = Duration::from_millis(400);

pub(super) async fn inject(fault: Fault, stage: &Stage, random: &mut Random) -> Result<()> {
    let number = random.below(stage.proxies().len() as u64) as usize;
    let proxy = stage.proxies().get(number).context("there is no proxy before a cluster")?;
    let what = |what: String| format!("node {number}: {what}");
    match fault {
        Fault::LostReply | Fault::LostRequest => lose(fault, number, proxy, stage, random).await,
        Fault::Cut if random.chance(0.2) => {
            stage.injected(fault, stage.proxies().len() as u64, "every node");
            for proxy in stage.proxies() {
                proxy.cut().await;
            }
        }
        Fault::Cut => {
            stage.injected(fault, 1, what("cut".to_owned()));
            proxy.cut().await;
        }
        _ => {
            let (time, said) = begin(fault, proxy, random);
            stage.injected(fault, 1, what(format!("{said}, {time:?}")));
            if fault == Fault::Refuse {
                proxy.cut().await;
            }
            tokio::time::sleep(time).await;
            proxy.heal();
            if random.chance(0.2) {
                proxy.cut().await; // nothing of what was held arrives
            }
        }
    }
    Ok(())
}

/// Switches a fault on; returns for how long.
fn begin(fault: Fault, proxy: &FaultProxy, random: &mut Random) -> (Duration, String) {
    let tail = Command::named("XREAD");
    match fault {
        Fault::Hang => {
            proxy.hang(true);
            (random.millis(10, 900), "hangs".to_owned())
        }
        Fault::Refuse => {
            proxy.refuse(true);
            (random.millis(10, 400), "refused".to_owned())
        }
        Fault::Delay => {
            let most = random.pick(&[5, 20, 60, 300, 500]);
            proxy.delay(Some(Duration::from_millis(1)..=Duration::from_millis(most)));
            (random.millis(100, 800), format!("up to {most} ms late"))
        }
        Fault::Throttle => {
            let kib = random.pick(&[1, 4, 16, 64]);
            proxy.throttle(Some(kib << 10));
            (random.millis(100, 800), format!("{kib} KiB/s"))
        }
        Fault::Split => {
            proxy.split_bytes(true);
            (random.millis(50, 400), "byte by byte".to_owned())
        }
        Fault::Notice if random.chance(0.5) => {
            proxy.drop_messages(Times::Always);
            (random.millis(200, 1000), "notices are lost".to_owned())
        }
        Fault::Notice => {
            proxy.delay_messages(Duration::from_millis(20)..=Duration::from_millis(600));
            (random.millis(200, 1000), "notices are late".to_owned())
        }
        _ => match random.below(3) {
            0 => {
                proxy.drop_reply(tail, Times::Always);
                (random.millis(50, 500), "the tail hears nothing".to_owned())
            }
            1 => {
                proxy.delay_replies(tail, Duration::from_millis(20)..=Duration::from_millis(600));
                (random.millis(200, 1000), "the tail is late".to_owned())
            }
            _ => {
                proxy.drop_request(tail, Times::Chance(0.5));
                (random.millis(50, 500), "half of what the tail asks is lost".to_owned())
            }
        },
    }
}

/// Loses some replies or commands; those count that were lost.
async fn lose(fault: Fault, number: usize, proxy: &FaultProxy, stage: &Stage, random: &mut Random) {
    let (name, command) = match random.below(5) {
        0 | 1 => ("EVALSHA", Command::named("EVALSHA")),
        2 => ("GET", Command::named("GET")),
        _ => ("any", Command::any()),
    };
    let times = Times::Next(1 + random.below(8) as usize);
    let lost = || if fault == Fault::LostReply { proxy.dropped_replies() } else { proxy.dropped_requests() };
    let before = lost();
    if fault == Fault::LostReply {
        proxy.drop_reply(command, times);
    } else {
        proxy.drop_request(command, times);
    }
    tokio::time::sleep(PATIENCE.mul_f64(random.unit())).await;
    proxy.heal();
    stage.injected(fault, lost() - before, format!("node {number}: {name}"));
}
