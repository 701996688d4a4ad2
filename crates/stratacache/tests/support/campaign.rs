//! A randomized concurrent campaign against the guarantee, judged by the history checker while it runs.
//!
//! Workers read, load, insert and invalidate in every way there is, over a cache with a lower tier that is closed and
//! reopened several times. Loads yield, so that invalidations overlap them.

#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::expect_used)] // a driver of tests

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use stratacache::{
    Cache, CacheBuilder, Key, Keyspace, LoadContext, Loaded, MemoryForm, Namespace, OnWriteError, Policy, Tag, Target,
    TenantId, WriteMode, millis, seconds,
    tier::{TierErrorKind, TierParts},
};
use stratacache_testkit::{
    faulty::{Fault, Faults, FaultyTier, On},
    history::{History, HistoryBuilder, Report, ScopeId, Value},
    tiers::MemoryTier,
};

const TENANTS: u32 = 4;
const SPACES: u32 = 2;
const KEYS: u32 = 12;
const TAGS: u32 = 4;

const BULK: Keyspace<u32, Value> = Keyspace::new("bulk", POLICY);
const ENCODED_BULK: Keyspace<u32, Value> = Keyspace::new("bulk", POLICY).memory_form(MemoryForm::Encoded);
const ENCODED: Keyspace<u32, Value> = Keyspace::new("encoded", POLICY).memory_form(MemoryForm::Encoded);
const POLICY: Policy = Policy::ttl(millis(400))
    .stale_while_revalidate(millis(300))
    .stale_if_error(seconds(2))
    .refresh_ahead(0.5)
    .tier_ttl("memory", millis(150));

/// What the lower tier does with writes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(dead_code, reason = "each test binary has its own use of them")]
pub enum Below {
    Sound,
    /// It takes its time, so that writes behind wait for it.
    Slow,
    /// It loses, refuses and delays them.
    Faulty,
}

/// What a run is made of.
pub struct Plan {
    pub seed: u64,
    pub operations: u64,
    /// How often the cache is closed and reopened over the same lower tier.
    pub restarts: u64,
    pub workers: u64,
    /// Whether memory holds the values as bytes.
    pub encoded: bool,
    pub write: WriteMode,
    pub below: Below,
    /// Changes the builder, to switch a rule off.
    pub configure: fn(CacheBuilder) -> CacheBuilder,
}

/// Small random numbers (xorshift64*), one stream for each worker.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u32) -> u32 {
        ((self.next() >> 33) % u64::from(n)) as u32
    }
}

struct Scopes {
    key: HashMap<(u32, u32, u32), ScopeId>,
    tag: HashMap<(u32, u32), ScopeId>,
    space: HashMap<(u32, u32), ScopeId>,
    tenant: Vec<ScopeId>,
    global: ScopeId,
}

struct World {
    history: History,
    scopes: Scopes,
    encoded: bool,
    faulty: bool,
    policy: Policy,
}

/// One key of the campaign: its tags follow from its number.
#[derive(Clone, Copy)]
struct Spot {
    tenant: u32,
    space: u32,
    key: u32,
}

impl Spot {
    fn random(random: &mut Random) -> Self {
        // few keys are hot, so that operations meet
        let key = random.below(KEYS).min(random.below(KEYS));
        Self { tenant: random.below(TENANTS), space: random.below(SPACES), key }
    }

    fn tag(self) -> u32 {
        self.key % TAGS
    }

    /// A second tag that only the loader knows.
    fn late_tag(self) -> u32 {
        (self.key + 1) % TAGS
    }

    fn id(self) -> u32 {
        self.space * 1000 + self.key
    }

    fn all(self, world: &World) -> Vec<ScopeId> {
        let s = &world.scopes;
        vec![
            s.key[&(self.tenant, self.space, self.key)],
            s.tag[&(self.tenant, self.tag())],
            s.tag[&(self.tenant, self.late_tag())],
            s.space[&(self.tenant, self.space)],
            s.tenant[self.tenant as usize],
            s.global,
        ]
    }

    fn key_in(self, world: &World) -> Key<Value> {
        if world.encoded { ENCODED.key(&self.key) } else { Key::new(self.key) }
    }

    fn space(self, cache: &Cache) -> Namespace {
        cache.tenant(&TenantId::from(u64::from(self.tenant))).namespace(self.space)
    }
}

impl World {
    fn new(encoded: bool, faulty: bool, policy: Policy) -> Self {
        let mut plan = HistoryBuilder::new();
        let mut scopes = Scopes {
            key: HashMap::new(),
            tag: HashMap::new(),
            space: HashMap::new(),
            tenant: Vec::new(),
            global: plan.scope("global tag"),
        };
        for tenant in 0..TENANTS {
            scopes.tenant.push(plan.scope(format!("tenant {tenant}")));
            for tag in 0..TAGS {
                scopes.tag.insert((tenant, tag), plan.scope(format!("tenant {tenant} tag {tag}")));
            }
            for space in 0..SPACES {
                scopes.space.insert((tenant, space), plan.scope(format!("tenant {tenant} namespace {space}")));
                for key in 0..KEYS {
                    let scope = plan.scope(format!("tenant {tenant} namespace {space} key {key}"));
                    scopes.key.insert((tenant, space, key), scope);
                }
            }
        }
        Self { history: plan.build(), scopes, encoded, faulty, policy }
    }

    async fn load(self: Arc<Self>, spot: Spot, yields: u32) -> Value {
        let scopes = spot.all(&self);
        let load = self.history.load(spot.tenant, spot.id(), &scopes);
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        load.finish()
    }
}

/// Runs a campaign and returns what the checker says.
pub async fn run(plan: Plan) -> Report {
    let Plan { seed, operations, restarts, encoded, write, below: writes, .. } = plan;
    println!("campaign: seed {seed}, {operations} operations, {restarts} restarts, {write:?}, below {writes:?}");
    let faulty = writes == Below::Faulty;
    let policy = POLICY.write(write);
    // a strict insert may fail then
    let policy = if faulty { policy.on_write_error(OnWriteError::BestEffort) } else { policy };
    let world = Arc::new(World::new(encoded, faulty, policy));
    let below = MemoryTier::new("disk").persistent(true);
    let segments = plan.restarts + 1;
    let each = plan.operations / segments / plan.workers;
    for segment in 0..segments {
        let builder = Cache::builder().seed(plan.seed + segment).memory(8 << 20).default_policy(policy);
        let (tier, faults) = FaultyTier::new(below.clone(), plan.seed + segment);
        match writes {
            Below::Sound => {}
            Below::Slow => faults.always(On::Put, Fault::Slow(millis(5))),
            Below::Faulty => disturb(&faults),
        }
        let builder = builder.tier(TierParts::new(tier).with_journal(Arc::new(below.journal())));
        let cache = (plan.configure)(builder).build().await.expect("the cache builds");
        let workers: Vec<_> = (0..plan.workers)
            .map(|worker| {
                let random = Random::new(plan.seed.wrapping_add(segment * 1_000_003 + worker * 7919));
                tokio::spawn(work(cache.clone(), Arc::clone(&world), random, each))
            })
            .collect();
        for worker in workers {
            worker.await.expect("a worker panicked");
        }
        // invalidations just before the end: nothing may bring back what they removed
        let mut random = Random::new(plan.seed + segment);
        for _ in 0..8 {
            invalidate(&cache, &world, &mut random).await;
        }
        cache.close().await.expect("the cache closes");
        faults.settle().await;
        assert_eq!(cache.active_tasks(), 0, "no task is left");
    }
    world.history.report()
}

/// Writes fail, or take effect and say that they failed, or take effect late.
fn disturb(faults: &Faults) {
    for fault in [
        Fault::Error(TierErrorKind::Unavailable),
        Fault::EachError(TierErrorKind::Full),
        Fault::LostReply,
        Fault::Slow(millis(2)),
        Fault::SlowReply(millis(2)),
        Fault::Late(millis(5)),
    ] {
        faults.sometimes(0.01, On::Put, fault);
    }
}

async fn work(cache: Cache, world: Arc<World>, mut random: Random, operations: u64) {
    for n in 0..operations {
        match random.below(1000) {
            0..=819 => read(&cache, &world, &mut random).await,
            820..=879 => read_with(&cache, &world, &mut random).await,
            880..=889 => bulk(&cache, &world, &mut random).await,
            890..=919 => get(&cache, &world, &mut random).await,
            920..=929 => insert(&cache, &world, &mut random).await,
            930..=934 => negative(&cache, &world, &mut random).await,
            _ => invalidate(&cache, &world, &mut random).await,
        }
        if n % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn read(cache: &Cache, world: &Arc<World>, random: &mut Random) {
    let spot = Spot::random(random);
    let ns = spot.space(cache);
    let yields = random.below(12);
    let seen = world.history.read(spot.tenant, spot.id(), &spot.all(world));
    let for_load = Arc::clone(world);
    let fails = random.below(50) == 0;
    let value = ns
        .get_or_load(spot.key_in(world), async move || {
            let value = for_load.load(spot, yields).await;
            if fails { Err("the source is down") } else { Ok(value) }
        })
        .tag(spot.tag())
        .tag(spot.late_tag())
        .tag(Tag::global("g"))
        .await;
    match value {
        Ok(value) => {
            seen.saw(&value);
        }
        Err(_) => seen.missed(),
    }
}

/// As `read`, but one tag is known to the loader only.
async fn read_with(cache: &Cache, world: &Arc<World>, random: &mut Random) {
    let spot = Spot { space: 1, ..Spot::random(random) };
    let ns = spot.space(cache).namespace("with");
    let mut scopes = spot.all(world);
    // nested: a key of its own, so the key's scope is another one
    scopes.remove(0);
    let yields = random.below(12);
    let id = 50_000 + spot.key;
    let seen = world.history.read(spot.tenant, id, &scopes);
    let for_load = Arc::clone(world);
    let value = ns
        .get_or_load_with(spot.key_in(world), async move |_: LoadContext<Value>| {
            let load = for_load.history.load(spot.tenant, id, &scopes);
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(Loaded::new(load.finish()).tag(spot.late_tag()).tag(Tag::global("g")))
        })
        .tag(spot.tag())
        .await;
    match value {
        Ok(Some(value)) => {
            seen.saw(&value);
        }
        _ => seen.missed(),
    }
}

async fn bulk(cache: &Cache, world: &Arc<World>, random: &mut Random) {
    let first = Spot::random(random);
    let keys: Vec<u32> = (0..4).map(|i| (first.key + i) % KEYS).collect();
    // all keys of the keyspace have the same tags, whichever call loads them
    let spot = Spot { key: 0, ..first };
    let ns = spot.space(cache).namespace("bulk");
    let id = move |key: u32| 90_000 + spot.space * 1000 + key;
    let scopes = {
        let mut scopes = spot.all(world);
        scopes.remove(0);
        scopes
    };
    let seen: Vec<_> = keys.iter().map(|k| (*k, world.history.read(spot.tenant, id(*k), &scopes))).collect();
    let (for_load, for_scopes) = (Arc::clone(world), scopes.clone());
    let values = ns
        .get_or_load_many(if world.encoded { &ENCODED_BULK } else { &BULK }, keys, async move |missing: Vec<u32>| {
            let loads: Vec<_> =
                missing.iter().map(|k| (*k, for_load.history.load(spot.tenant, id(*k), &for_scopes))).collect();
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(loads.into_iter().map(|(k, load)| (k, load.finish())).collect::<Vec<_>>())
        })
        .tag(spot.tag())
        .tag(spot.late_tag())
        .tag(Tag::global("g"))
        .policy(world.policy)
        .await
        .unwrap_or_default();
    for (key, read) in seen {
        match values.get(&key) {
            Some(value) => {
                read.saw(value);
            }
            None => read.missed(),
        }
    }
}

async fn get(cache: &Cache, world: &Arc<World>, random: &mut Random) {
    let spot = Spot::random(random);
    let seen = world.history.read(spot.tenant, spot.id(), &spot.all(world));
    match spot.space(cache).get::<Value>(spot.key_in(world)).await {
        Some(value) => {
            seen.saw(&value);
        }
        None => seen.missed(),
    }
}

async fn insert(cache: &Cache, world: &Arc<World>, random: &mut Random) {
    let spot = Spot::random(random);
    let ns = spot.space(cache);
    let stamp = ns.stamp();
    let value = Arc::clone(world).load(spot, random.below(4)).await;
    // an insert is an invalidation of its key too, but only for what was loaded before its stamp
    let inserted = ns
        .insert(spot.key_in(world), value)
        .stamped(stamp)
        .tag(spot.tag())
        .tag(spot.late_tag())
        .tag(Tag::global("g"))
        .await;
    match inserted {
        Err(error) if world.faulty && error.is_transient() => {} // the breaker had opened
        done => drop(done.expect("nothing fails here")),
    }
}

async fn negative(cache: &Cache, world: &Arc<World>, random: &mut Random) {
    static LOADS: AtomicU64 = AtomicU64::new(0);
    let spot = Spot::random(random);
    let ns = spot.space(cache).namespace("negative");
    let found = ns
        .get_or_load_optional::<Value, _>(spot.key_in(world), async || {
            LOADS.fetch_add(1, Relaxed);
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(None)
        })
        .await
        .expect("cannot fail");
    assert!(found.is_none(), "an absence became a value");
}

async fn invalidate(cache: &Cache, world: &Arc<World>, random: &mut Random) {
    let spot = Spot::random(random);
    let ns = spot.space(cache);
    let s = &world.scopes;
    let key = s.key[&(spot.tenant, spot.space, spot.key)];
    let tag = s.tag[&(spot.tenant, spot.tag())];
    let (scopes, kind) = match random.below(100) {
        0..=49 => (vec![key], 0),
        50..=79 => (vec![tag], 1),
        80..=89 => (vec![s.space[&(spot.tenant, spot.space)]], 2),
        90..=94 => (vec![s.tenant[spot.tenant as usize]], 3),
        95..=96 => (vec![s.global], 4),
        _ => (vec![key, tag], 5),
    };
    let call = world.history.invalidation(&scopes);
    let done = match kind {
        0 => ns.invalidate(spot.key_in(world)).await,
        1 => ns.namespace("anywhere").invalidate_tag(spot.tag()).await,
        2 => ns.clear().await,
        3 => cache.tenant(&TenantId::from(u64::from(spot.tenant))).clear().await,
        4 => cache.invalidate_global_tag("g").await,
        _ => ns.invalidate([Target::of(&spot.key_in(world)), Target::tag(spot.tag())]).await,
    };
    if done.is_ok() {
        call.returned();
    }
}
