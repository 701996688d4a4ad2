//! Faults of the object store, and of the disks beside it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use stratacache_testkit::{
    device::SmallDevice,
    s3::{HttpFault, HttpProxy, Requests, Times},
};

use super::{Fault, node::start_anew};
use crate::{
    node::Order,
    random::Random,
    stage::{Stage, Store},
    time,
};

/// More than any object has.
const FLOOD: u64 = 32 << 20;
/// How often a full disk is looked after.
const REFILL: Duration = Duration::from_millis(5);

pub(super) async fn inject(fault: Fault, stage: &Stage, random: &mut Random) -> Result<()> {
    match fault {
        Fault::StoreReplay if random.chance(0.5) => put_back(stage, random).await,
        Fault::DiskFull => fill_disk(stage, random).await,
        _ => answer_wrongly(fault, stage, random).await,
    }
}

fn store(stage: &Stage) -> Result<&Store> {
    stage.store().context("there is no object store below this stage")
}

/// Does something to what one node or all of them ask; those requests count to which it was done.
async fn answer_wrongly(fault: Fault, stage: &Stage, random: &mut Random) -> Result<()> {
    let (store, number) = (store(stage)?, random.below(stage.settings.nodes.into()) as usize);
    let all = random.chance(0.4);
    let meant = || store.proxies().iter().enumerate().filter(|(n, _)| all || *n == number).map(|(_, proxy)| proxy);
    let before = store.hit();
    if fault == Fault::StoreReplay {
        meant().for_each(|proxy| proxy.remember());
        tokio::time::sleep(random.millis(50, 300)).await;
    }
    let said = begin(fault, meant(), random);
    let time = random.millis(100, 600);
    tokio::time::sleep(time).await;
    store.heal();
    let whose = if all { "every node".to_owned() } else { format!("node {number}") };
    stage.injected(fault, store.hit() - before, format!("{whose}: {said}, {time:?}"));
    Ok(())
}

/// Switches a fault on.
fn begin<'a>(fault: Fault, proxies: impl Iterator<Item = &'a HttpProxy>, random: &mut Random) -> String {
    let (requests, answer, times) = match fault {
        Fault::StoreRefuse => {
            let (status, code) =
                random.pick(&[(500, "InternalError"), (503, "SlowDown"), (503, "SlowDown"), (403, "AccessDenied")]);
            let times = random.pick(&[Times::Always, Times::Chance(0.5), Times::Chance(0.2)]);
            (any(random), HttpFault::status(status, code), times)
        }
        Fault::StoreHang => {
            let answer = [HttpFault::Hang, HttpFault::HangReply, HttpFault::Cut, HttpFault::LoseReply]
                [random.below(4) as usize]
                .clone();
            (any(random), answer, random.pick(&[Times::Always, Times::Chance(0.3)]))
        }
        Fault::StoreDamage => {
            let part = random.below(200);
            let answer = match random.below(4) {
                0 => HttpFault::Truncate(part as usize),
                1 => HttpFault::ShortenTo(part as usize),
                2 => HttpFault::ClaimLength(part),
                _ => HttpFault::Flood(FLOOD),
            };
            (Requests::of("GET"), answer, Times::Chance(0.5))
        }
        Fault::StoreSlow => {
            let answer = match random.below(2) {
                0 => HttpFault::Slow(1 << 10),
                _ => HttpFault::Delay(random.millis(20, 700)),
            };
            (any(random), answer, Times::Chance(0.7))
        }
        _ => (Requests::of("GET"), HttpFault::Replay, Times::Chance(0.8)),
    };
    let said = format!("{answer:?} {times:?} of {requests:?}");
    proxies.for_each(|proxy| proxy.fail(requests.clone(), answer.clone(), times));
    said.chars().take(120).collect()
}

fn any(random: &mut Random) -> Requests {
    match random.below(5) {
        0 => Requests::of("GET"),
        1 => Requests::of("PUT"),
        2 => Requests::of("DELETE"),
        _ => Requests::all(),
    }
}

/// Somebody restores the bucket as it was a moment ago; now and then a node has just started, and remembers no mark.
async fn put_back(stage: &Stage, random: &mut Random) -> Result<()> {
    let store = store(stage)?;
    let backup = store.copy().context("copying the objects")?;
    let time = random.millis(50, 900);
    tokio::time::sleep(time).await;
    let number = random.below(stage.settings.nodes.into()) as u32;
    let anew = random.chance(0.4);
    if anew {
        start_anew(number, stage).await?;
    }
    let count = store.put_back(&backup).context("putting objects back")?;
    let started = if anew { format!(", and node {number} started anew") } else { String::new() };
    stage.injected(Fault::StoreReplay, count, format!("objects put back as they were {time:?} ago{started}"));
    Ok(())
}

/// Takes what room there is on a device, again and again: a disk that is full gives up entries to note what is removed.
async fn keep_full(device: &SmallDevice, lasts: Duration) -> Result<()> {
    let (path, until) = (device.path().join("ballast-of-others"), time::now() + time::nanos(lasts));
    let mut ballast = File::create(&path).context("filling a device")?;
    while time::now() < until {
        // until there is no room
        while ballast.write_all(&[7; 4096]).is_ok() {}
        tokio::time::sleep(REFILL).await;
    }
    Ok(fs::remove_file(path)?)
}

/// Leaves a node's disk no room.
async fn fill_disk(stage: &Stage, random: &mut Random) -> Result<()> {
    let others = stage.settings.nodes.saturating_sub(1);
    ensure!(others > 0, "the only node has no disk to fill");
    let number = 1 + random.below(others.into()) as u32; // the first has none
    let (lasts, store) = (random.millis(100, 600), store(stage)?);
    let given_up = match store.device(number) {
        Some(device) => {
            let before = segments(device)?;
            device.fill();
            let kept = keep_full(device, lasts).await;
            let after = segments(device);
            device.free();
            kept?;
            before.difference(&after?).count() as u64
        }
        None => {
            let mut node = stage.node(number).await;
            node.order(Order::DiskFull { full: true }).await?;
            tokio::time::sleep(lasts).await;
            node.order(Order::DiskFull { full: false }).await?;
            1
        }
    };
    stage.injected(Fault::DiskFull, given_up, format!("node {number} for {lasts:?}, {given_up} segments given up"));
    Ok(())
}

/// Returns the files of entries on a device. A disk that has the device for itself gives none of them up: it is never so large.
fn segments(device: &SmallDevice) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for folder in fs::read_dir(device.path())? {
        let folder = folder?.path();
        if folder.is_dir() {
            for file in fs::read_dir(folder)? {
                found.insert(file?.path());
            }
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    Ok(found)
}
