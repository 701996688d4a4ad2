//! Three nodes under random operations and random faults, on real threads and in real time, judged while they run.
//!
//! `STRATA_SEED` repeats the choices of a run, `STRATA_SECONDS` makes it longer.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use stratacache::{
    Cache, Consistency, Keyspace, Namespace, Policy, Tag, Target, TenantId, Token, WriteMode,
    clock::{Clock, SystemClock},
    millis, seconds,
};
use stratacache_core::stamp::Lane;
use stratacache_testkit::{
    history::{History, HistoryBuilder, ScopeId, Value},
    shared::{SharedNode, SharedStore, Step},
    tiers::MemoryTier,
};
use tokio::time::{sleep, timeout};

const TENANTS: u64 = 2;
const KEYS: u64 = 6;
const TAGS: u64 = 2;
const BOUND: Duration = millis(100);
const POLICY: Policy = Policy::ttl(millis(400))
    .stale_while_revalidate(millis(300))
    .stale_if_error(seconds(2))
    .refresh_ahead(0.5)
    .idle_ttl(millis(300))
    .lease(millis(200))
    .lease_wait(millis(300))
    .consistency(Consistency::Bounded(BOUND));
const ROWS: Keyspace<u32, Value> = Keyspace::new("rows", POLICY);
const BEHIND: Keyspace<u32, Value> = Keyspace::new("rows behind", POLICY.write(WriteMode::Behind));

/// Small random numbers (xorshift64*).
struct Random(AtomicU64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.load(Relaxed);
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0.store(state, Relaxed); // each worker has its own
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&self, bound: u64) -> u64 {
        (self.next() >> 33) % bound
    }
}

/// A node, which a fault may replace by another one.
struct Place {
    now: RwLock<(SharedNode, Cache)>,
    /// What outlives it.
    disk: Option<MemoryTier>,
}

struct World {
    store: SharedStore,
    places: Vec<Place>,
    clock: Arc<SystemClock>,
    /// Judges reads of the latest.
    latest: History,
    /// Judges reads within the bound.
    bounded: History,
    scopes: HashMap<(&'static str, u64, u64), [ScopeId; 2]>,
    since: AtomicU64,
    since_broken: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Spot {
    tenant: u64,
    key: u64,
}

impl Spot {
    fn random(random: &Random) -> Self {
        Self { tenant: random.below(TENANTS), key: random.below(KEYS).min(random.below(KEYS)) }
    }

    fn tenant_id(self) -> TenantId {
        TenantId::from(self.tenant)
    }

    fn namespace(self, cache: &Cache) -> Namespace {
        let ns = cache.tenant(&self.tenant_id()).namespace(self.key % 2);
        ns.with_tag(("t", self.key % TAGS)).with_tag(Tag::global("g"))
    }

    /// One key of three is written behind.
    fn rows(self) -> &'static Keyspace<u32, Value> {
        if self.key % 3 == 1 { &BEHIND } else { &ROWS }
    }

    fn key(self) -> stratacache::Key<Value> {
        self.rows().key(&(self.key as u32))
    }
}

/// What is invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Key,
    Tag,
    Namespace,
    Tenant,
    Global,
    KeyAndTag,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Arc::new(SystemClock::new());
        let (mut latest, mut bounded) = (HistoryBuilder::new(), HistoryBuilder::new());
        latest.clock(clock.clone());
        bounded.clock(clock.clone()).slack(BOUND);
        let mut scopes = HashMap::new();
        let mut add = |kind, tenant, which| {
            let name = format!("{kind} {which} of tenant {tenant}");
            scopes.insert((kind, tenant, which), [latest.scope(name.clone()), bounded.scope(name)]);
        };
        add("global", 0, 0);
        for tenant in 0..TENANTS {
            add("tenant", tenant, 0);
            (0..TAGS).for_each(|tag| add("tag", tenant, tag));
            (0..2).for_each(|space| add("namespace", tenant, space));
            (0..KEYS).for_each(|key| add("key", tenant, key));
        }
        Self {
            store: SharedStore::new(seed),
            places: Vec::new(),
            clock,
            latest: latest.build(),
            bounded: bounded.build(),
            scopes,
            since: AtomicU64::new(0),
            since_broken: AtomicU64::new(0),
        }
    }

    /// Returns the scopes in one of the two histories.
    fn scopes(&self, spot: Spot, what: Option<What>, history: usize) -> Vec<ScopeId> {
        let all = [
            (What::Key, ("key", spot.tenant, spot.key)),
            (What::Tag, ("tag", spot.tenant, spot.key % TAGS)),
            (What::Namespace, ("namespace", spot.tenant, spot.key % 2)),
            (What::Tenant, ("tenant", spot.tenant, 0)),
            (What::Global, ("global", 0, 0)),
        ];
        let meant = |one: What| match what {
            None => true,
            Some(What::KeyAndTag) => matches!(one, What::Key | What::Tag),
            Some(what) => what == one,
        };
        all.iter().filter(|(one, _)| meant(*one)).map(|(_, scope)| self.scopes[scope][history]).collect()
    }

    fn cache(&self, random: &Random) -> Cache {
        let place = &self.places[random.below(self.places.len() as u64) as usize];
        place.now.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn node(&self, random: &Random) -> SharedNode {
        let place = &self.places[random.below(self.places.len() as u64) as usize];
        place.now.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn load(
        self: &Arc<Self>,
        spot: Spot,
        random: &Random,
    ) -> impl Future<Output = Result<Value, &'static str>> + Send + use<> {
        let world = Arc::clone(self);
        let (pause, fails) = (random.below(4_000).min(random.below(4_000)), random.below(40) == 0);
        async move {
            let scopes = world.scopes(spot, None, 0);
            let load = world.latest.load(spot.tenant as u32, spot.key as u32, &scopes);
            sleep(Duration::from_micros(pause)).await;
            if fails { Err("the source is down") } else { Ok(load.finish()) }
        }
    }
}

async fn open(store: &SharedStore, disk: Option<&MemoryTier>, seed: u64) -> Option<(SharedNode, Cache)> {
    let node = store.node();
    let mut builder = Cache::builder().seed(seed).deployment_secret([7; 16]).default_policy(POLICY).memory(8 << 20);
    if let Some(disk) = disk {
        builder = builder.tier(disk.clone());
    }
    let cache = builder.tier(node.parts()).build().await.ok()?;
    Some((node, cache))
}

/// A read in one of the ways there are.
async fn read(world: &Arc<World>, random: &Random) {
    let (spot, cache) = (Spot::random(random), world.cache(random));
    let (ns, key) = (spot.namespace(&cache), spot.key());
    let latest = random.below(2) == 0;
    let how_new = if latest { Consistency::Latest } else { Consistency::Inherit };
    let (history, index) = if latest { (&world.latest, 0) } else { (&world.bounded, 1) };
    let judged = history.read(spot.tenant as u32, spot.key as u32, &world.scopes(spot, None, index));
    let load = world.load(spot, random);
    let found = match random.below(20) {
        0..=13 => ns.get_or_load(key, async move || load.await).consistency(how_new).await.ok().map(|value| *value),
        14..=16 => ns.get(key).consistency(how_new).await.map(|value| *value),
        17 => ns.refresh(key, async move || load.await).consistency(how_new).await.ok().map(|value| *value),
        _ => {
            let row = spot.key as u32;
            let load = async move |_: Vec<u32>| load.await.map(|value| vec![(row, value)]);
            let many = ns.get_or_load_many(spot.rows(), [row], load).consistency(how_new).await;
            many.ok().and_then(|many| many.get(&row).map(|value| **value))
        }
    };
    match found {
        Some(value) => drop(judged.saw(&value)),
        None => judged.missed(),
    }
}

/// A value under a stamp that was taken before it was read.
async fn insert(world: &Arc<World>, random: &Random) {
    let (spot, cache) = (Spot::random(random), world.cache(random));
    let ns = spot.namespace(&cache);
    let stamp = ns.stamp();
    if let Ok(value) = world.load(spot, random).await {
        drop(ns.insert(spot.key(), value).stamped(stamp).await);
    }
}

async fn invalidate(world: &Arc<World>, random: &Random) {
    let (spot, cache) = (Spot::random(random), world.cache(random));
    let ns = spot.namespace(&cache);
    let tenant = cache.tenant(&spot.tenant_id());
    let tag = ("t", spot.key % TAGS);
    let what = match random.below(20) {
        0..=8 => What::Key,
        9..=13 => What::Tag,
        14..=15 => What::Namespace,
        16 => What::Tenant,
        17 => What::Global,
        _ => What::KeyAndTag,
    };
    let called = world.clock.now().as_nanos() as u64;
    let calls = [
        world.latest.invalidation(&world.scopes(spot, Some(what), 0)),
        world.bounded.invalidation(&world.scopes(spot, Some(what), 1)),
    ];
    let done = match what {
        What::Key => ns.invalidate(spot.key()).await,
        What::Tag => tenant.invalidate_tag(tag).await,
        What::Namespace => ns.clear().await,
        What::Tenant => tenant.clear().await,
        What::Global => cache.invalidate_global_tag("g").await,
        What::KeyAndTag => ns.invalidate([Target::of(&spot.key()), Target::tag(tag)]).await,
    };
    let Ok(token) = done else { return };
    calls.into_iter().for_each(|call| call.returned());
    read_since(world, random, spot, token, called).await;
}

/// Reads its own write on any node.
async fn read_since(world: &Arc<World>, random: &Random, spot: Spot, token: Token, called: u64) {
    let ns = spot.namespace(&world.cache(random));
    let load = world.load(spot, random);
    let since = Consistency::Since(token);
    let found = match random.below(2) {
        0 => ns.get(spot.key()).consistency(since).await,
        _ => ns.get_or_load(spot.key(), async move || load.await).consistency(since).await.ok(),
    };
    if let Some(value) = found {
        world.since.fetch_add(1, Relaxed);
        if value.began < called {
            world.since_broken.fetch_add(1, Relaxed);
            println!("since {token:?}: {:?} began before {called}", *value);
        }
    }
}

async fn expire(world: &Arc<World>, random: &Random) {
    let (spot, cache) = (Spot::random(random), world.cache(random));
    drop(spot.namespace(&cache).expire(spot.key()).await);
}

async fn work(world: Arc<World>, seed: u64, until: std::time::Duration) {
    let random = Random::new(seed);
    while world.clock.now() < until {
        let operation = async {
            match random.below(100) {
                0..=74 => read(&world, &random).await,
                75..=79 => insert(&world, &random).await,
                80..=82 => expire(&world, &random).await,
                _ => invalidate(&world, &random).await,
            }
        };
        // a store that hangs is given up by who waits, not by the engine
        drop(timeout(millis(400), Box::pin(operation)).await);
        tokio::task::yield_now().await;
    }
}

/// One fault after the other.
async fn disturb(world: Arc<World>, seed: u64, until: std::time::Duration) -> HashMap<&'static str, u64> {
    let random = Random::new(seed);
    let mut count: HashMap<&'static str, u64> = HashMap::new();
    while world.clock.now() < until {
        sleep(millis(2 + random.below(25))).await;
        let lane = || match random.below(TENANTS + 1) {
            tenant if tenant < TENANTS => Lane::of(&TenantId::from(tenant)),
            _ => Lane::GLOBAL,
        };
        let node = world.node(&random);
        let pause = millis(random.below(250).min(random.below(250)));
        let name = match random.below(100) {
            0..=14 => (world.store.trim_streams(), "trim").1,
            15..=24 => (world.store.lose_lane(lane()), "lose a lane").1,
            25..=29 => (world.store.lose_everything(), "lose everything").1,
            30..=39 => (world.store.checkpoint(), "checkpoint").1,
            40..=44 => (world.store.fail_over(), "fail over").1,
            45..=52 => (world.store.fail_over_data(), "fail over data").1,
            53..=59 => (world.store.drop_generation(lane()), "drop a generation").1,
            60..=67 => {
                node.away(true);
                sleep(pause).await;
                node.away(false);
                "away"
            }
            68..=79 => {
                node.tail(false);
                sleep(pause).await;
                node.tail(true);
                "deaf"
            }
            80..=89 => {
                let steps = [Step::Invalidate, Step::Sync, Step::Lease, Step::Renew, Step::Release];
                node.lose_reply_of(steps[random.below(5) as usize], 1);
                "lose a reply"
            }
            90..=91 => {
                node.lose_reply(1);
                "lose any reply"
            }
            92 => {
                node.hang(true);
                sleep(millis(random.below(60))).await;
                node.hang(false);
                "hang"
            }
            _ => {
                let place = &world.places[random.below(world.places.len() as u64) as usize];
                if let Some(new) = open(&world.store, place.disk.as_ref(), random.next()).await {
                    let old = std::mem::replace(&mut *place.now.write().unwrap_or_else(PoisonError::into_inner), new);
                    // its operations go on for a while, as those of a process that is to end
                    drop(old);
                }
                "restart"
            }
        };
        *count.entry(name).or_default() += 1;
    }
    count
}

/// R1 to R36 as far as chance goes: no slack for `Latest` and `Since`, the bound for `Bounded`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_nodes_under_random_faults_break_no_promise() {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let (seed, long) = (number("STRATA_SEED", 20_261_121), number("STRATA_SECONDS", 14));
    println!("STRATA_SEED={seed} STRATA_SECONDS={long}");
    let mut world = World::new(seed);
    for number in 0..3 {
        // the first has a disk of its own, which outlives it
        let disk = (number == 0).then(|| MemoryTier::new("disk").persistent(true));
        let now = open(&world.store, disk.as_ref(), seed + number).await.unwrap();
        world.places.push(Place { now: RwLock::new(now), disk });
    }
    let world = Arc::new(world);
    let until = world.clock.now() + seconds(long);
    let workers: Vec<_> =
        (0..24).map(|worker| tokio::spawn(work(Arc::clone(&world), seed.wrapping_mul(31) + worker, until))).collect();
    let faults = tokio::spawn(disturb(Arc::clone(&world), seed.wrapping_mul(37), until));
    for worker in workers {
        worker.await.unwrap();
    }
    println!("faults: {:?}", faults.await.unwrap());
    let (latest, bounded) = (world.latest.report(), world.bounded.report());
    println!("latest: {latest}\nbounded: {bounded}");
    let (since, broken) = (world.since.load(Relaxed), world.since_broken.load(Relaxed));
    println!("since: {since} reads, {broken} broken");
    assert_eq!(broken, 0, "seed {seed}");
    assert!(since > 100, "too few to say anything");
    latest.verdict(100).unwrap();
    bounded.verdict(0).unwrap();
}
