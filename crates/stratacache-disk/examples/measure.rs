//! Measures a disk tier: speed, bound and reopening. `cargo run --release -p stratacache-disk --example measure -- DIR`
//!
//! DIR must be on the device to be measured; what is made in it is removed at the end. Figures of different runs cannot be
//! compared, ratios inside one run can.
#![allow(clippy::disallowed_methods, clippy::print_stdout)] // a stopwatch, and a program that prints

use std::{
    error::Error,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stratacache_core::{
    EntryName,
    tier::{AnyTier, GetMany, PutItem, PutMany, PutOutcome, Tier as _, TierParts},
};
use stratacache_disk::Disk;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const GIB: u64 = 1 << 30;

async fn open(dir: &Path, capacity: u64) -> Result<AnyTier> {
    Ok(TierParts::from(Disk::builder(dir).capacity(capacity).open().await?).tier)
}

fn items(rng: &mut StdRng, count: usize, length: usize) -> Vec<PutItem> {
    let item = |_| {
        let (mut name, mut value) = ([0; 16], vec![0; length]);
        rng.fill(&mut name);
        rng.fill(&mut value[..]);
        PutItem::new(EntryName::from_bytes(name), Bytes::from(value), u64::MAX, None)
    };
    (0..count).map(item).collect()
}

async fn put(tier: &AnyTier, items: Vec<PutItem>) -> Result {
    let outcomes = tier.put_many(PutMany::new(items)).await?;
    if outcomes.iter().all(|outcome| matches!(outcome, PutOutcome::Stored)) {
        Ok(())
    } else {
        Err("an entry was not stored".into())
    }
}

fn size(dir: &Path) -> Result<u64> {
    std::fs::read_dir(dir)?.try_fold(0, |sum, entry| Ok(sum + entry?.metadata()?.len()))
}

fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

async fn speed(dir: &Path, rng: &mut StdRng) -> Result {
    for (length, count, batch) in [(1 << 10, 100_000, 1), (1 << 10, 100_000, 16), (64 << 10, 4_000, 1)] {
        let tier = open(dir, GIB).await?;
        let all = items(rng, count, length);
        let names: Vec<EntryName> = all.iter().map(|item| item.name).collect();
        let batches: Vec<Vec<PutItem>> = all.chunks(batch).map(<[_]>::to_vec).collect();
        let start = Instant::now();
        for batch in batches {
            put(&tier, batch).await?;
        }
        let puts = per_second(count, start.elapsed());
        let start = Instant::now();
        for _ in 0..count {
            let name = names[rng.random_range(0..count)];
            if tier.get_many(GetMany::new(vec![name])).await?[0].envelope.is_none() {
                return Err("an entry is missing".into());
            }
        }
        let gets = per_second(count, start.elapsed());
        let overhead = size(dir)? as f64 / (count * length) as f64;
        println!(
            "{length} bytes in batches of {batch}: put {puts:.0}/s, get {gets:.0}/s, {overhead:.2} x on the device"
        );
        tier.close().await?;
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}

async fn bound(dir: &Path, rng: &mut StdRng) -> Result {
    let capacity = 64 << 20;
    let tier = open(dir, capacity).await?;
    let (mut worst, mut peak) = (Duration::ZERO, 0);
    for n in 0..40_960 {
        let batch = items(rng, 16, 1 << 10);
        let start = Instant::now();
        put(&tier, batch).await?;
        worst = worst.max(start.elapsed());
        if n % 128 == 0 {
            peak = peak.max(size(dir)?);
        }
    }
    println!(
        "ten times the capacity written: {:.3} x of it at most, worst batch {worst:?}",
        peak as f64 / capacity as f64
    );
    tier.close().await?;
    Ok(std::fs::remove_dir_all(dir)?)
}

async fn reopen(dir: &Path, rng: &mut StdRng) -> Result {
    for length in [1 << 10, 64 << 10] {
        for clean in [true, false] {
            let tier = open(dir, 2 * GIB).await?;
            for _ in 0..GIB / (length * 64) {
                put(&tier, items(rng, 64, length as usize)).await?;
            }
            if clean {
                tier.close().await?;
            }
            drop(tier);
            let start = Instant::now();
            let tier = open(dir, 2 * GIB).await?;
            println!("1 GiB in entries of {length} bytes, clean {clean}: open again after {:?}", start.elapsed());
            tier.close().await?;
            std::fs::remove_dir_all(dir)?;
        }
    }
    Ok(())
}

fn main() -> Result {
    let Some(parent) = std::env::args_os().nth(1) else {
        return Err("give the directory to measure in".into());
    };
    let dir = Path::new(&parent).join("stratacache-disk-measure");
    let mut rng = StdRng::seed_from_u64(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    runtime.block_on(async {
        speed(&dir, &mut rng).await?;
        bound(&dir, &mut rng).await?;
        reopen(&dir, &mut rng).await
    })
}
