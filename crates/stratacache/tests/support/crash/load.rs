//! The process that is killed: readers, writers and invalidations at once, over the directory the last one left.

use std::{
    convert::Infallible,
    io::Read as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stratacache::{Cache, Tag, Target, millis};
use tokio::task::JoinSet;

use super::{
    ledger::{Ledger, Told},
    world::{GLOBAL_TAGS, Item, Setup, Source, Spot},
};

const WORKERS: u64 = 6;
/// What a process says on its standard output when the load runs.
pub const READY: &str = "@ ready";

struct World {
    cache: Cache,
    source: Source,
    ledger: Ledger,
    /// As [`Told::returned`], of this process and all before it.
    returned: Vec<AtomicU64>,
    /// The cache is being closed, and may refuse.
    closing: AtomicBool,
}

/// Runs the load until the process is killed.
pub fn run(setup: Setup, round: u64, dir: &Path, ledger: &Path) {
    // without the parent nobody would kill this process
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
    let told = Told::read(ledger);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(ledger);
        let cache = match setup.open(dir).await {
            Ok(cache) => cache,
            Err(error) => return ledger.fault(&format!("round {round}: the cache does not reopen: {error}")),
        };
        let returned = told.returned.into_iter().map(AtomicU64::new).collect();
        let world =
            Arc::new(World { cache, source: Source::new(round), ledger, returned, closing: AtomicBool::new(false) });
        let mut rng = StdRng::seed_from_u64(setup.seed.wrapping_add(round * 1_000));
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            workers.spawn(work(Arc::clone(&world), StdRng::seed_from_u64(rng.random())));
        }
        println!("\n{READY}");
        // some are killed while they close, or when they have closed
        if rng.random_bool(0.25) {
            tokio::time::sleep(millis(rng.random_range(0..300))).await;
            world.closing.store(true, SeqCst);
            if let Err(error) = world.cache.close().await {
                world.ledger.fault(&format!("round {round}: the cache does not close: {error}"));
            }
        }
        while let Some(ended) = workers.join_next().await {
            if let Err(error) = ended {
                world.ledger.fault(&format!("round {round}: a worker ended: {error}"));
            }
        }
        std::future::pending().await
    });
}

async fn work(world: Arc<World>, mut rng: StdRng) {
    let mut served = 0;
    while !world.closing.load(SeqCst) {
        let spot = Spot::random(&mut rng);
        match rng.random_range(0..1000) {
            0..660 => served += u64::from(world.read(spot, &mut rng).await),
            // a change right after a load meets the fill of the disk, which goes on behind the reader
            660..700 => {
                served += u64::from(world.read(spot, &mut rng).await);
                world.invalidate_key(spot).await;
            }
            700..850 => served += u64::from(world.get(spot).await),
            850..910 => world.insert(spot, &mut rng).await,
            _ => world.invalidate(spot, &mut rng).await,
        }
        if served >= 100 {
            world.ledger.served(served);
            served = 0;
        }
        // memory hits do not yield
        tokio::task::yield_now().await;
    }
}

impl World {
    /// What had been invalidated of a spot by now.
    fn returned(&self, spot: Spot) -> Vec<u64> {
        spot.scopes().iter().map(|scope| self.returned[*scope as usize].load(SeqCst)).collect()
    }

    fn judge(&self, spot: Spot, item: &Item, returned: &[u64]) {
        if let Err(fault) = item.judge(spot, returned) {
            self.ledger.fault(&format!("{fault:?} while the load ran, at {spot:?}"));
        }
    }

    async fn load(self: Arc<Self>, spot: Spot, id: u64, yields: u32) -> Item {
        let mut versions = Vec::new();
        for scope in spot.scopes() {
            versions.push(self.source.version(scope));
        }
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        Item::new(spot, id, versions)
    }

    async fn read(self: &Arc<Self>, spot: Spot, rng: &mut StdRng) -> bool {
        let (id, yields) = (rng.random(), rng.random_range(0..8));
        let returned = self.returned(spot);
        let world = Arc::clone(self);
        let found = spot
            .door(&self.cache)
            .get_or_load(spot.key, async move || Ok::<_, Infallible>(world.load(spot, id, yields).await))
            .tags(spot.tags())
            .tag(Tag::global(spot.global_tag()))
            .await;
        match &found {
            Ok(item) => self.judge(spot, item, &returned),
            Err(error) => self.refused("get_or_load", error),
        }
        found.is_ok()
    }

    async fn get(&self, spot: Spot) -> bool {
        let returned = self.returned(spot);
        let found = spot.door(&self.cache).get::<Item>(spot.key).await;
        if let Some(item) = &found {
            self.judge(spot, item, &returned);
        }
        found.is_some()
    }

    /// An insert is a change of its key: what was loaded before may not be served after it.
    async fn insert(self: &Arc<Self>, spot: Spot, rng: &mut StdRng) {
        let door = spot.door(&self.cache);
        let stamp = door.stamp();
        let changed = self.change(&[spot.key_scope()]);
        let item = Arc::clone(self).load(spot, rng.random(), rng.random_range(0..3)).await;
        let done =
            door.insert(spot.key, item).stamped(stamp).tags(spot.tags()).tag(Tag::global(spot.global_tag())).await;
        self.note(&changed, done);
    }

    async fn invalidate_key(&self, spot: Spot) {
        let changed = self.change(&[spot.key_scope()]);
        self.note(&changed, spot.door(&self.cache).invalidate(spot.key).await);
    }

    async fn invalidate(&self, spot: Spot, rng: &mut StdRng) {
        let door = spot.door(&self.cache);
        let [tag, other] = spot.tags();
        let key_scope = spot.key_scope();
        // a mark of a tenant takes away a third of all there is, and of a global tag a half: those are rare
        match rng.random_range(0..1000) {
            0..700 => self.invalidate_key(spot).await,
            700..850 => {
                let changed = self.change(&[spot.tag_scope(tag)]);
                self.note(&changed, door.namespace("anywhere").invalidate_tag(tag).await);
            }
            850..930 => {
                let changed = self.change(&[key_scope, spot.tag_scope(other)]);
                self.note(&changed, door.invalidate([Target::key(spot.key), Target::tag(other)]).await);
            }
            930..980 => {
                let changed = self.change(&[spot.space_scope()]);
                self.note(&changed, door.clear().await);
            }
            980..990 => {
                let changed = self.change(&[spot.tenant_scope()]);
                self.note(&changed, spot.root(&self.cache).clear().await);
            }
            _ => {
                let tag = rng.random_range(0..GLOBAL_TAGS);
                let spot = Spot { key: tag, ..spot };
                let changed = self.change(&[spot.global_scope()]);
                self.note(&changed, self.cache.invalidate_global_tag(tag).await);
            }
        }
    }

    fn refused(&self, what: &str, error: &dyn std::error::Error) {
        if !self.closing.load(SeqCst) {
            self.ledger.fault(&format!("{what} failed: {error}"));
        }
    }

    /// Changes the source, and says that the invalidation is called next.
    fn change(&self, scopes: &[u32]) -> Vec<(u32, u64)> {
        let changed: Vec<_> = scopes.iter().map(|scope| (*scope, self.source.change(*scope))).collect();
        changed.iter().for_each(|(scope, version)| self.ledger.called(*scope, *version));
        changed
    }

    fn note<T>(&self, changed: &[(u32, u64)], done: stratacache::Result<T>) {
        if let Err(error) = done {
            return self.refused("an invalidation or insert", &error);
        }
        for (scope, version) in changed {
            self.ledger.returned(*scope, *version);
            self.returned[*scope as usize].fetch_max(*version, SeqCst);
        }
    }
}
