//! The workload of a node: reads of every kind, writes, and invalidations of everything.

mod asking;
mod bulk;
mod collide;
mod doors;
mod forget;
mod read;
mod write;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use stratacache::{Cache, Target, Tiers, WriteMode};
use tokio::task::JoinHandle;

use self::doors::Doors;
use super::{Aim, Setup, Step, board::Board, failpoint::Failpoints, source::Source};
use crate::{
    log::{Event, Writer},
    random::Random,
    spawn, time,
    world::{KEYS, Key, Popularity, TENANTS},
};

const WORKERS: u32 = 24;
/// Operations between two pauses.
const BURST: u32 = 8;
/// Of 10,000 operations.
const WRITES: u64 = 150;
const INVALIDATIONS: u64 = 60;
const EXPIRIES: u64 = 15;
const REFRESHES: u64 = 15;
const COLLISIONS: u64 = 40;
const GETS: u64 = 1000;
/// Share of long loads where there are many.
const LONG: f64 = 0.15;
/// Invalidations of a flood that are under way together.
const AT_ONCE: u32 = 256;

/// What all workers of a node share.
struct Bench {
    cache: Cache,
    doors: Vec<Doors>,
    source: Source,
    board: Board,
    log: Arc<Writer>,
    failpoints: Arc<Failpoints>,
    /// One version of a key is written at a time.
    writing: Vec<Mutex<()>>,
    everything: Popularity,
    own: Popularity,
    /// What there is more of than usual.
    aim: Aim,
    /// Which tiers a read uses that asks the object store; none where there is none.
    passes_by: Option<Tiers>,
    /// Tenants have keys.
    encrypted: bool,
    /// It neither writes nor loads.
    only_reads: bool,
}

/// The workers.
pub(super) struct Workload {
    bench: Arc<Bench>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

impl Workload {
    pub(super) fn start(setup: &Setup, cache: &Cache, log: &Arc<Writer>, failpoints: &Arc<Failpoints>) -> Result<Self> {
        let own = |key: Key| key.writer(setup.nodes) == setup.node;
        let bench = Arc::new(Bench {
            cache: cache.clone(),
            doors: (0..TENANTS).map(|tenant| Doors::new(cache, tenant, mode(setup, tenant))).collect(),
            source: Source::open(&setup.folder).context("opening the source")?,
            board: Board::open(&setup.folder).context("opening the board")?,
            log: Arc::clone(log),
            failpoints: Arc::clone(failpoints),
            writing: (0..KEYS).map(|_| Mutex::default()).collect(),
            everything: Popularity::new(|_| true),
            own: Popularity::new(own),
            aim: setup.aim,
            encrypted: setup.encrypted,
            passes_by: passes_by(setup),
            only_reads: setup.aim == Aim::Readers && setup.node != 0,
        });
        let stop = Arc::new(AtomicBool::new(false));
        let pace = Duration::from_secs_f64(f64::from(BURST * WORKERS) / f64::from(setup.rate));
        let part = |worker| u64::from(setup.node) << 48 | u64::from(setup.life) << 16 | u64::from(worker);
        let work = |worker| {
            let random = Random::part(setup.seed, part(worker));
            spawn::start(work(Arc::clone(&bench), random, pace, Arc::clone(&stop)))
        };
        let workers = (0..WORKERS).map(work).collect();
        Ok(Self { workers, bench, stop })
    }

    /// Invalidates namespaces in which nothing is, many at once: unlike tags, these are never widened.
    pub(super) fn flood(&mut self, tenant: u32, count: u32) {
        self.workers.retain(|worker| !worker.is_finished());
        for at in 0..AT_ONCE.min(count) {
            let (bench, stop) = (Arc::clone(&self.bench), Arc::clone(&self.stop));
            self.workers.push(spawn::start(async move {
                for n in (at..count).step_by(AT_ONCE as usize).take_while(|_| !stop.load(Relaxed)) {
                    // one that fails has not been needed
                    let unused = Target::namespace(format!("unused-{n}"));
                    let _ = bench.doors[tenant as usize].root.invalidate(unused).await;
                }
            }));
        }
    }

    /// Lets every worker finish what it does.
    pub(super) async fn stop(self) {
        self.stop.store(true, Relaxed);
        for worker in self.workers {
            // a panic is on the standard error already, and counts there
            let _ = worker.await;
        }
    }
}

/// Where there is an object store, half of the tenants write behind: of those that share a lane one, and of the others one.
fn mode(setup: &Setup, tenant: u32) -> WriteMode {
    if setup.store.is_some() && tenant % 2 == 1 { WriteMode::Behind } else { WriteMode::Through }
}

/// A read that asks the object store leaves what is above it alone, but fills it.
fn passes_by(setup: &Setup) -> Option<Tiers> {
    let tiers = Tiers::all().write_only("redis");
    let tiers = if setup.disk.is_some() { tiers.write_only("disk") } else { tiers };
    setup.store.as_ref().map(|_| tiers)
}

async fn work(bench: Arc<Bench>, mut random: Random, pace: Duration, stop: Arc<AtomicBool>) {
    while !stop.load(Relaxed) {
        let began = time::now();
        for _ in 0..BURST {
            bench.operation(&mut random).await;
        }
        let took = Duration::from_nanos(time::now() - began);
        let pause = pace.mul_f64(0.5 + random.unit()).saturating_sub(took);
        tokio::time::sleep(pause).await;
    }
}

impl Bench {
    async fn operation(self: &Arc<Self>, random: &mut Random) {
        if self.only_reads {
            return self.get(random).await;
        }
        let mut left = random.below(10_000);
        for (share, kind) in
            [(WRITES, 0), (INVALIDATIONS, 1), (EXPIRIES, 2), (REFRESHES, 3), (COLLISIONS, 4), (GETS, 5)]
        {
            if left < share {
                return match kind {
                    0 => self.write(random).await,
                    1 => self.invalidate_only(random).await,
                    2 => self.expire(random).await,
                    3 => self.refresh(random).await,
                    4 => self.collide(random).await,
                    _ => self.get(random).await,
                };
            }
            left -= share;
        }
        self.read(random).await;
    }

    fn doors(&self, key: Key) -> &Doors {
        &self.doors[key.tenant() as usize]
    }

    /// Reads the source somewhere in a load that takes a while, as databases do; none when that fails.
    async fn load(&self, op: crate::log::Op, key: Key, shape: Shape) -> Result<u64, SourceDown> {
        let began = time::now();
        let reading = async {
            pause(shape.before).await;
            let version = self.source.read(key).map_err(|_| SourceDown);
            pause(shape.after).await;
            version
        };
        let version = self.failpoints.around(Step::Load, reading).await?;
        if shape.fails {
            return Err(SourceDown);
        }
        self.log.append(&Event::Loaded { op, key, version, began, ended: time::now() });
        Ok(version)
    }
}

/// Waits; not even a moment where there is nothing to wait for.
async fn pause(time: Duration) {
    if time.is_zero() { tokio::task::yield_now().await } else { tokio::time::sleep(time).await }
}

/// What a load is like.
#[derive(Debug, Clone, Copy)]
struct Shape {
    before: Duration,
    after: Duration,
    fails: bool,
}

impl Shape {
    fn draw(aim: Aim, random: &mut Random) -> Self {
        let whole = match random.below(10_000) {
            _ if aim == Aim::LongLoads && random.chance(LONG) => random.millis(180, 700),
            0..=1 => random.millis(3200, 4000), // beyond the time-out
            2..=29 => random.millis(500, 1400), // beyond the lease, which is renewed
            _ => random.millis(0, 9),
        };
        let before = whole.mul_f64(random.unit());
        let before = Duration::from_millis(before.as_millis() as u64);
        Self { before, after: whole - before, fails: random.below(100) == 0 }
    }
}

/// The loader's own error.
#[derive(Debug)]
struct SourceDown;

impl std::fmt::Display for SourceDown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the source is down")
    }
}
