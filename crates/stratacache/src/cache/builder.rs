//! Building a cache: every setting with its default, every bad one refused by name.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use stratacache_core::{
    Ceilings, Deployment, Error, Keyspace, NamespacePath, Policy, Result, TenantId,
    breaker::Turn,
    clock::{Clock, SystemClock},
    coordinator::{AnyCoordinator, Coordinator, MarkJournal, Marked, Subscriber},
    encryption::Encryption,
    event::{EventKind, EventSink},
    stamp::Seq,
    tier::{AnyTier, Tier, TierParts},
};

use super::{Cache, tiers::check_tiers};
use crate::{
    coherence::{Hooks, LocalCoordinator, Mirror, Rules},
    engine::{
        Asked, BehindLimits, Engine, HotKeys, Jitter, Limits, Locks, Prober, Queue, QueueLimits, Sealing, Tenants,
        TierHandle, Timeline, Updates, check_names, maintain,
    },
    flight::FlightTable,
    guard::{Breaker, Deadline, JournalHolder, Patience},
    loaders::{LoaderLimits, Loaders, not_declared},
    memory::{self, Arbiter, machine_memory},
    observe::{CompressionCounters, EventHub, FollowCounters, Histogram, Ledger, TierCounters},
    spawn::{self, Spawner},
};

/// Bounds of one tenant's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    reserve: u64,
    limit: Option<u64>,
}

impl Quota {
    /// Makes a quota without reserve and limit: the tenant shares the budget with the others.
    #[must_use]
    pub const fn new() -> Self {
        Self { reserve: 0, limit: None }
    }

    /// Sets the bytes that no other tenant can take. Default 0.
    #[must_use]
    pub const fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// Sets the bytes that the tenant never exceeds. Default: the budget.
    #[must_use]
    pub const fn limit(mut self, bytes: u64) -> Self {
        self.limit = Some(bytes);
        self
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug, Clone, Copy)]
enum Budget {
    Bytes(u64),
    Fraction(f64),
}

/// A keyspace that was registered.
struct Registered {
    name: &'static str,
    policy: Policy,
    loader: Option<&'static str>,
}

/// The smallest memory budget.
const MIN_BUDGET: u64 = 1 << 20;

pub(super) fn check_budget(bytes: u64) -> Result<()> {
    if bytes < MIN_BUDGET {
        return Err(Error::invalid(format!("memory is {bytes} bytes but must be at least 1 MiB")));
    }
    Ok(())
}

/// Builds a [`Cache`].
///
/// ```
/// use stratacache::{Cache, Policy, Quota, TenantId, minutes};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder()
///     .memory(256 << 20)
///     .default_policy(Policy::ttl(minutes(1)))
///     .quota(TenantId::parse("acme")?, Quota::new().reserve(16 << 20))
///     .build()
///     .await?;
/// # cache.close().await?;
/// # Ok(()) }
/// ```
#[must_use]
pub struct CacheBuilder {
    budget: Budget,
    tiers: Vec<TierParts>,
    deadlines: HashMap<String, Duration>,
    encryption: Option<Encryption>,
    hot_keys: Option<HotKeys>,
    ceilings: Ceilings,
    default_policy: Policy,
    default_quota: Quota,
    quotas: HashMap<TenantId, Quota>,
    limits: Limits,
    queue: QueueLimits,
    behind: BehindLimits,
    max_marks: usize,
    keyspaces: Vec<Registered>,
    loaders: Vec<(Arc<str>, LoaderLimits)>,
    secret: [u8; 16],
    clock: Option<Arc<dyn Clock>>,
    seed: Option<u64>,
    probe: Option<u32>,
    tenant_labels: usize,
    sinks: Vec<Box<dyn EventSink>>,
    rules: Rules,
}

impl Default for CacheBuilder {
    fn default() -> Self {
        Self {
            budget: Budget::Bytes(64 << 20),
            tiers: Vec::new(),
            deadlines: HashMap::new(),
            encryption: None,
            hot_keys: None,
            ceilings: Ceilings::default(),
            default_policy: Policy::default(),
            default_quota: Quota::new(),
            quotas: HashMap::new(),
            limits: Limits::default(),
            queue: QueueLimits::default(),
            behind: BehindLimits::default(),
            max_marks: 100_000,
            keyspaces: Vec::new(),
            loaders: Vec::new(),
            secret: Deployment::DEFAULT_SECRET,
            clock: None,
            seed: None,
            probe: None,
            tenant_labels: 50,
            sinks: Vec::new(),
            rules: Rules::ALL,
        }
    }
}

impl CacheBuilder {
    /// Sets the memory budget in bytes, at least 1 MiB. Default 64 MiB.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.budget = Budget::Bytes(bytes);
        self
    }

    /// Sets the memory budget as a fraction of the control group's or machine's memory, more than 0 and at most 0.9,
    /// in place of [`memory`](Self::memory). It is read again every ten seconds.
    pub fn memory_fraction(mut self, fraction: f64) -> Self {
        self.budget = Budget::Fraction(fraction);
        self
    }

    /// Adds a tier below those added before: anything that implements [`Tier`], or the handle of a
    /// tier crate such as `Disk`.
    pub fn tier(mut self, tier: impl Into<TierParts>) -> Self {
        self.tiers.push(tier.into());
        self
    }

    /// Sets the deadline of a tier's operations, by the tier's name. Default: what the tier says, 250 ms for most.
    ///
    /// Not of a tier that guards itself, as `redis` does: that has a setting of its own.
    pub fn tier_deadline(mut self, tier: impl Into<String>, deadline: Duration) -> Self {
        self.deadlines.insert(tier.into(), deadline);
        self
    }

    /// Encrypts what lies below memory, with keys of each tenant's own: give it a provider of keys such as `FileKeys` (feature
    /// `encryption`), or an [`Encryption`] with a provider of your own. Default: not encrypted.
    ///
    /// Values, ETags and the proof that an entry belongs to its place are encrypted or authenticated; times, sizes, hashed keys and
    /// hashed tags stay readable. Entries that are not encrypted are misses from then on, and encrypted ones for a cache without
    /// this. Memory is not encrypted. Each entry grows by 36 bytes.
    pub fn encryption(mut self, encryption: impl Into<Encryption>) -> Self {
        self.encryption = Some(encryption.into());
        self
    }

    /// Keeps the hottest keys in a file over a restart: [`Cache::close`] writes them, and [`Cache::warm_hot`] warms them. Default: they
    /// are not kept.
    ///
    /// Written down are tenants, namespaces, keyspaces and keys, never values: with this, keys leave memory. The file is readable by its owner
    /// alone. With [`encryption`](Self::encryption), each tenant's keys are encrypted with the tenant's data key, so that they cannot be read once it
    /// is [destroyed](crate::Namespace::destroy); without, they are written as they are.
    pub fn hot_keys(mut self, hot: HotKeys) -> Self {
        self.hot_keys = Some(hot);
        self
    }

    /// Sets the longest ttl a policy may have. Default 24 h.
    pub fn max_ttl(mut self, max_ttl: Duration) -> Self {
        self.ceilings.max_ttl = max_ttl;
        self
    }

    /// Sets the longest stale window a policy may have. Default 24 h. Marks live as long as both ceilings together.
    ///
    /// With Redis set `RedisBuilder::marks_kept` as well: it says how long marks live there, unless `max_marks` ends it sooner.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.ceilings.max_stale = max_stale;
        self
    }

    /// Sets the policy of entries that have none from a call, keyspace or namespace. Default `Policy::ttl(5 min)`.
    pub fn default_policy(mut self, policy: Policy) -> Self {
        self.default_policy = policy;
        self
    }

    /// Sets the memory quota of tenants without one of their own. Default: no reserve, no limit.
    pub fn default_quota(mut self, quota: Quota) -> Self {
        self.default_quota = quota;
        self
    }

    /// Sets the memory quota of one tenant. Default: [`default_quota`](Self::default_quota).
    pub fn quota(mut self, tenant: TenantId, quota: Quota) -> Self {
        self.quotas.insert(tenant, quota);
        self
    }

    /// Sets how many loads may run at once for each tenant; more wait their turn. Default 64.
    pub fn max_loads(mut self, loads: usize) -> Self {
        self.limits.max_loads = loads;
        self
    }

    /// Sets how many loads of each tenant are begun in a second at most, in any second, at least 1; a hundredth of it may be begun at
    /// once. Default: no limit. What is more waits its turn, within the policy's `load_timeout`; a load of many keys counts
    /// once, as does each retry.
    ///
    /// Loads of a declared loader are counted when they enter its line: where that is long, they may begin closer together.
    pub fn loads_per_s(mut self, loads: u32) -> Self {
        self.limits.loads_per_s = Some(loads);
        self
    }

    /// Declares a loader: the limits of the source behind some loads, for all tenants together. A keyspace
    /// ([`Keyspace::loader`]) or a call (`.loader(name)`) says that its loads are among them. The name has 1 to 64 bytes.
    /// [`Cache::loader_stats`] shows how it is.
    pub fn loader(mut self, name: impl Into<String>, limits: LoaderLimits) -> Self {
        self.loaders.push((name.into().into(), limits));
        self
    }

    /// Sets how many callers of each tenant may wait for loads; more get `LoadError::Overloaded`. Default 10,000.
    pub fn max_waiters(mut self, waiters: usize) -> Self {
        self.limits.max_waiters = waiters;
        self
    }

    /// Sets how many tags an entry may have, 1 to 255. Default 32.
    pub fn max_tags(mut self, tags: usize) -> Self {
        self.limits.max_tags = tags;
        self
    }

    /// Sets how deep namespaces may nest, 1 to 64. Default 8.
    pub fn max_namespace_depth(mut self, levels: usize) -> Self {
        self.limits.max_namespace_depth = levels;
        self
    }

    /// Limits the invalidations of each tenant in a second, with bursts of as many. Default: no limit.
    pub fn invalidations_per_s(mut self, invalidations: u32) -> Self {
        self.limits.invalidations_per_s = Some(invalidations);
        self
    }

    /// Sets how many keys, tags and namespaces of the whole cache may wait in invalidations that are queued
    /// ([`or_queue`](crate::op::Invalidate::or_queue)); more is an error. A key of more than 256 bytes counts
    /// once more for each 256. Default 100,000, about 300 bytes each and the keys.
    pub fn queued_invalidations(mut self, scopes: usize) -> Self {
        self.queue.in_all = scopes;
        self
    }

    /// Sets how many of those one tenant may have, so that its queue cannot take the place of the others'. Default 10,000.
    pub fn queued_invalidations_per_tenant(mut self, scopes: usize) -> Self {
        self.queue.per_tenant = scopes;
        self
    }

    /// Sets how many bytes of writes may wait for each tier below memory, under [`WriteMode::Behind`](crate::WriteMode::Behind).
    /// Default 16 MiB: envelopes, and 256 bytes for each.
    ///
    /// What is more is lost, and counted in [`writes_lost`](crate::TierStats::writes_lost): the oldest writes of the tenant
    /// that has most bytes in the queue. The values are in memory, and are read from their source again when they are not. A
    /// value that is larger than this is never written behind.
    pub fn queued_writes(mut self, bytes: usize) -> Self {
        self.behind.bytes = bytes;
        self
    }

    /// Sets how long [`Cache::close`] waits for the writes that wait; what a tier has not taken by then is lost, counted, and
    /// the error of `close`. Default 5 s.
    pub fn flush_deadline(mut self, deadline: Duration) -> Self {
        self.behind.flush = deadline;
        self
    }

    /// Sets how many tag marks this node keeps exactly for each of the 17 lanes, that of global tags among them; more are
    /// folded into a sketch, which makes some invalidations wider, never narrower. Default 100,000, about 60 bytes each.
    ///
    /// How many Redis keeps for all nodes is another setting, `RedisBuilder::max_marks`.
    pub fn max_marks(mut self, marks: usize) -> Self {
        self.max_marks = marks;
        self
    }

    /// Registers a keyspace: its policy is checked when the cache is built, and its name must be unique. Keyspaces that
    /// are not registered work, but a policy above a ceiling is cut down to it with a warning.
    pub fn keyspace<K: ?Sized, V: 'static>(mut self, keyspace: &'static Keyspace<K, V>) -> Self {
        let (name, policy, loader) = (keyspace.name(), *keyspace.policy(), keyspace.info().loader());
        self.keyspaces.push(Registered { name, policy, loader });
        self
    }

    /// Sets the secret that keys the names of entries below memory. Caches that share tiers need the same one; a cache
    /// with another one finds nothing. Default: a constant.
    pub fn deployment_secret(mut self, secret: [u8; 16]) -> Self {
        self.secret = secret;
        self
    }

    /// Sets the clock. Default: the system's; tests use the simulated one of the testkit.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sets the seed of jitter and back-off, for tests. Default: random.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Probes one in `n` of this node's invalidations: when the bound of `Bounded` reads has passed, the other nodes are asked
    /// whether they would still serve what was invalidated, which they never may. Default: none.
    ///
    /// It watches the promise of coherence where it counts, in production. A node that says yes adds one to
    /// [`coherence_violations`](crate::Stats::coherence_violations), and there are an event and a warning with the hash of
    /// the key, tag or namespace. A probe is one message to all nodes and one from each; it holds no invalidation up, and
    /// nothing rests on its getting through. The others answer whether or not they probe themselves.
    ///
    /// Keys, tags, namespaces, tenants and global tags are probed, at random; not what is only made to expire, nor inserts.
    /// A node looks at 10,000 entries of its memory at most. Where nodes do not share a coordinator there is
    /// nobody to ask, and this does nothing.
    ///
    /// ```
    /// # use stratacache::Cache;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = Cache::builder().probe(1_000).build().await?; // with `.tier(redis)`
    /// assert_eq!(cache.stats().coherence_violations, 0);
    /// # Ok(()) }
    /// ```
    pub fn probe(mut self, n: u32) -> Self {
        self.probe = Some(n);
        self
    }

    /// Sets how many tenants have metrics of their own in [`Cache::metrics`], 0 to 10,000. Default 50.
    ///
    /// The busiest have them; all others are counted together under `(other)`, and data of no tenant under `(global)`. Once a minute
    /// at most, when metrics are asked for, a tenant that is twice as busy takes the place of another; its counters begin at 0, as
    /// after a restart.
    pub fn tenant_labels(mut self, tenants: usize) -> Self {
        self.tenant_labels = tenants;
        self
    }

    /// Adds a sink that is given every event, on a task of its own: see [`EventSink`]. Up to 16; default: none.
    ///
    /// It hears of what happens from the time the cache is built to the end of [`Cache::close`], which waits for it, 3 s at most.
    ///
    /// ```
    /// # use stratacache::{Cache, event::{Event, EventKind}};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = Cache::builder()
    ///     .event_sink(|event: &Event| {
    ///         if let EventKind::BreakerOpened { tier } = &event.kind {
    ///             eprintln!("the cache does without {tier}");
    ///         }
    ///     })
    ///     .build()
    ///     .await?;
    /// # cache.close().await?;
    /// # Ok(()) }
    /// ```
    pub fn event_sink(mut self, sink: impl EventSink) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Switches one rule of coherence off, to see a test notice.
    #[cfg(feature = "mutants")]
    #[doc(hidden)]
    pub fn without_rule(mut self, rule: crate::coherence::Rule) -> Self {
        self.rules = Rules::without(rule);
        self
    }

    fn check(&self) -> Result<u64> {
        let budget = match self.budget {
            Budget::Bytes(bytes) => bytes,
            Budget::Fraction(fraction) if fraction > 0.0 && fraction <= 0.9 => {
                let memory = machine_memory().ok_or_else(|| {
                    Error::invalid(
                        "memory_fraction needs to know the machine's memory, which cannot be read; use memory(bytes)",
                    )
                })?;
                (memory as f64 * fraction) as u64
            }
            Budget::Fraction(fraction) => {
                return Err(Error::invalid(format!(
                    "memory_fraction is {fraction} but must be more than 0 and at most 0.9"
                )));
            }
        };
        check_budget(budget)?;
        self.ceilings.check()?;
        self.default_policy.check(&self.ceilings)?;
        self.check_loaders()?;
        self.check_keyspaces()?;
        self.check_quotas(budget)?;
        self.check_limits()?;
        self.hot_keys.as_ref().map_or(Ok(()), HotKeys::check)?;
        check_tiers(&self.tiers, &self.deadlines)?;
        self.check_used()?;
        Ok(budget)
    }

    fn check_keyspaces(&self) -> Result<()> {
        for (i, Registered { name, policy, loader }) in self.keyspaces.iter().enumerate() {
            policy.check(&self.ceilings).map_err(|e| Error::invalid(format!("keyspace {name:?}: {}", e.message())))?;
            let known = || self.loaders.iter().map(|(known, _)| &**known);
            if let Some(loader) = loader.filter(|loader| !known().any(|known| known == *loader)) {
                let error = not_declared(loader, known());
                return Err(Error::invalid(format!("keyspace {name:?}: {}", error.message())));
            }
            if self.keyspaces[..i].iter().any(|other| other.name == *name) {
                return Err(Error::invalid(format!("keyspace {name:?} is registered twice; names must be unique")));
            }
        }
        Ok(())
    }

    fn check_loaders(&self) -> Result<()> {
        for (i, (name, limits)) in self.loaders.iter().enumerate() {
            if name.is_empty() || name.len() > 64 {
                return Err(Error::invalid(format!("a loader name has 1 to 64 bytes, {name:?} has {}", name.len())));
            }
            limits.check().map_err(|e| Error::invalid(format!("loader {name:?}: {}", e.message())))?;
            if self.loaders[..i].iter().any(|(other, _)| other == name) {
                return Err(Error::invalid(format!("loader {name:?} is declared twice; names must be unique")));
            }
        }
        Ok(())
    }

    fn check_used(&self) -> Result<()> {
        let there = || self.tiers.iter().map(|parts| parts.tier.name());
        check_names(&self.default_policy.tiers_used(), there())?;
        for Registered { name, policy, .. } in &self.keyspaces {
            let used = policy.tiers_used();
            check_names(&used, there()).map_err(|e| Error::invalid(format!("keyspace {name:?}: {}", e.message())))?;
        }
        Ok(())
    }

    fn check_quotas(&self, budget: u64) -> Result<()> {
        let mut reserved: u64 = 0;
        for (tenant, quota) in &self.quotas {
            reserved = reserved.saturating_add(quota.reserve);
            if quota.limit.is_some_and(|limit| limit < quota.reserve) {
                return Err(Error::invalid(format!("the quota of tenant {tenant} has a limit below its reserve")));
            }
        }
        let quota = self.default_quota;
        if quota.limit.is_some_and(|limit| limit < quota.reserve) {
            return Err(Error::invalid("the default quota has a limit below its reserve"));
        }
        // a twentieth stays free for tenants that wake up
        if reserved.saturating_add(quota.reserve) > budget / 100 * 95 {
            return Err(Error::invalid(format!(
                "the reserves of the quotas add up to {} bytes, more than 95 % of the memory budget of {budget}: lower \
                 them, or raise memory",
                reserved.saturating_add(quota.reserve)
            )));
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<()> {
        let limits = &self.limits;
        for (knob, value, range) in [
            ("max_loads", limits.max_loads, 1..=1 << 20),
            ("max_waiters", limits.max_waiters, 1..=1 << 30),
            ("max_tags", limits.max_tags, 1..=255),
            ("max_namespace_depth", limits.max_namespace_depth, 1..=64),
            ("max_marks", self.max_marks, 64..=1 << 30),
            ("queued_invalidations", self.queue.in_all, 1..=1 << 24),
            ("queued_invalidations_per_tenant", self.queue.per_tenant, 1..=1 << 24),
            ("queued_writes", self.behind.bytes, 1 << 16..=1 << 40),
            ("tenant_labels", self.tenant_labels, 0..=10_000),
            ("the number of event_sink", self.sinks.len(), 0..=16),
        ] {
            if !range.contains(&value) {
                return Err(Error::invalid(format!(
                    "{knob} is {value} but must be between {} and {}",
                    range.start(),
                    range.end()
                )));
            }
        }
        if limits.loads_per_s == Some(0) {
            return Err(Error::invalid("loads_per_s is 0 but must be at least 1"));
        }
        if limits.invalidations_per_s == Some(0) {
            return Err(Error::invalid("invalidations_per_s is 0 but must be at least 1"));
        }
        if self.probe == Some(0) {
            return Err(Error::invalid("probe is 0 but must be at least 1: one in so many invalidations is probed"));
        }
        Ok(())
    }

    /// Builds the cache and starts its maintenance task. Must be called within a tokio runtime with time enabled.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names the setting; the error of a tier or
    /// coordinator that cannot start.
    ///
    /// # Cancel safety
    /// Dropped half-way, there is no cache, and the tiers that it was given are let go of.
    pub async fn build(self) -> Result<Cache> {
        let budget = self.check()?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let events = Arc::new(EventHub::new());
        let (coordinator, journals) = start_coordinator(&self.tiers, self.rules).await?;
        let shared = coordinator.is_shared();
        let bus_gaps = self.tiers.iter().find_map(|parts| parts.gaps.clone()).unwrap_or_default();
        let agreed = coordinator.time().await?;
        let timeline = Arc::new(Timeline::new(Arc::clone(&clock), agreed, shared));
        let tiers: Vec<TierHandle> = self
            .tiers
            .into_iter()
            .zip(journals)
            .map(|(parts, journal)| guarded(parts, journal, &self.deadlines, self.behind, &timeline, &events))
            .collect();
        // a tier without fences is judged by the marks of keys: what they forget is of no use there
        let keep_keys = shared || tiers.iter().any(|tier| !tier.capability.fenced);
        let quota_of = |quota: Quota| memory::Quota { reserve: quota.reserve, limit: quota.limit.unwrap_or(u64::MAX) };
        let quotas = self.quotas.into_iter().map(|(tenant, quota)| (tenant, quota_of(quota))).collect();
        let seed = match self.seed {
            Some(seed) => seed,
            None => stratacache_core::stamp::Incarnation::random()?.0,
        };
        let ledger = Ledger::new(self.tenant_labels);
        let prober = self.probe.and_then(NonZeroU32::new).filter(|_| shared).map(|every| {
            let cell = ledger.cell(&TenantId::global(), &NamespacePath::default(), None);
            Prober::new(every, cell)
        });
        let engine = Arc::new_cyclic(|engine: &std::sync::Weak<Engine>| {
            let (time, marked, key_marked) = (Arc::clone(&timeline), engine.clone(), engine.clone());
            let (heard, resynced, asked) = (engine.clone(), engine.clone(), engine.clone());
            let hooks = Hooks {
                now: Box::new(move || time.now()),
                marked: Box::new(move |tenant| note_marks(&marked, tenant)),
                key_marked: Box::new(move |marked, seq| drop_marked_key(&key_marked, marked, seq)),
                answer: Box::new(move |question| asked.upgrade()?.answer_peer(question)),
                heard: Box::new(move || {
                    if let Some(engine) = heard.upgrade() {
                        engine.queue.hear();
                    }
                }),
                resynced: Box::new(move |lane| {
                    if let Some(engine) = resynced.upgrade() {
                        engine.report(None, EventKind::Resynced { lane: lane.index() });
                    }
                }),
            };
            let mirror = Mirror::new(self.max_marks, keep_keys, hooks);
            Engine {
                timeline,
                deployment: Deployment::new(self.secret),
                ceilings: self.ceilings,
                limits: self.limits,
                mirror: Arc::new(mirror),
                coordinator,
                shared,
                arbiter: Arbiter::new(budget),
                memory_fraction: match self.budget {
                    Budget::Fraction(fraction) => Some(fraction),
                    Budget::Bytes(_) => None,
                },
                flights: Arc::new(FlightTable::new()),
                behind: self.behind,
                queue: Queue::new(self.queue),
                tiers,
                sealing: self.encryption.map(Sealing::from),
                hot_keys: self.hot_keys,
                tenants: Tenants::new(quota_of(self.default_quota), quotas),
                updates: Updates::default(),
                locks: Locks::default(),
                ledger,
                events,
                compression: CompressionCounters::default(),
                followed: FollowCounters::default(),
                load_time: Histogram::default(),
                bus_gaps,
                spawner: Spawner::new(),
                listeners: Spawner::new(),
                jitter: Jitter::new(seed),
                loaders: Loaders::new(self.loaders, &clock),
                rules: self.rules,
                prober,
                asked: Asked::new(),
                default_policy: self.default_policy,
                clamped: parking_lot::Mutex::default(),
                disconnected: AtomicBool::new(false),
                closed: AtomicBool::new(false),
            }
        });
        engine.coordinator.subscribe(Arc::clone(&engine.mirror) as Arc<dyn Subscriber>).await?;
        if shared && engine.tiers.iter().any(|tier| tier.capability.persistent && !tier.capability.leased) {
            // what it holds outlives the marks of keys that nodes remember, and no lease keeps late writes out of it
            engine.coordinator.keep_key_marks().await?;
        }
        self.sinks.into_iter().for_each(|sink| engine.listen(sink));
        engine.spawner.start(maintain(Arc::downgrade(&engine)));
        Ok(Cache::from_engine(engine))
    }
}

/// Tells the partitions that marks were set which their entries may depend on.
fn note_marks(engine: &std::sync::Weak<Engine>, tenant: Option<u64>) {
    let Some(engine) = engine.upgrade() else { return };
    let touched = match tenant {
        Some(scope) => engine.tenants.by_scope(scope).into_iter().collect(),
        None => engine.tenants.all(),
    };
    for tenant in touched {
        if let Some(partition) = tenant.partition() {
            partition.note_marks();
        }
    }
}

/// Removes what memory holds of a key that was invalidated, wherever that was.
fn drop_marked_key(engine: &std::sync::Weak<Engine>, marked: &Marked, seq: Seq) {
    let Some(engine) = engine.upgrade().filter(|engine| engine.shared) else { return };
    let Some(tenant) = engine.tenants.by_scope(marked.tenant) else { return };
    if engine.loaders.keys_rest {
        tenant.failing.forget(&marked.scope);
    }
    let Some(partition) = tenant.partition() else { return };
    partition.remove_by_hash(marked.scope.low(), |slot| slot.meta().place() < seq);
}

type Journal = Option<Arc<dyn MarkJournal>>;

/// Takes the coordinator a tier brings, else the local one, with the journal a tier brings.
async fn start_coordinator(tiers: &[TierParts], rules: Rules) -> Result<(AnyCoordinator, Vec<Journal>)> {
    let mut journals: Vec<Journal> = tiers.iter().map(|_| None).collect();
    if let Some(shared) = tiers.iter().find_map(|p| p.coordinator.clone()) {
        return Ok((AnyCoordinator::new(Patience::new(shared)), journals));
    }
    let with_journal = tiers.iter().enumerate().find_map(|(i, p)| Some((i, p.journal.as_ref()?)));
    let local = match with_journal {
        None => LocalCoordinator::new(rules)?,
        Some((index, journal)) => {
            let (for_coordinator, for_tier) = JournalHolder::pair(journal);
            journals[index] = Some(for_tier);
            spawn::blocking(move || LocalCoordinator::with_journal(for_coordinator, rules)).await??
        }
    };
    Ok((AnyCoordinator::new(local), journals))
}

/// Puts a deadline and a breaker around a tier that has none of its own, and reports what a breaker does.
fn guarded(
    parts: TierParts,
    journal: Journal,
    deadlines: &HashMap<String, Duration>,
    behind: BehindLimits,
    timeline: &Arc<Timeline>,
    events: &Arc<EventHub>,
) -> TierHandle {
    let TierParts { tier, turns, .. } = parts;
    let name = tier.name().to_owned();
    let capability = tier.capability();
    let counters = Arc::new(TierCounters::default());
    let (events, counted, said) = (Arc::clone(events), Arc::clone(&counters), name.clone());
    let (clock, timeline) = (Arc::clone(timeline.clock()), Arc::clone(timeline));
    let on_turn = move |turn| {
        let kind = match turn {
            Turn::Opened => {
                TierCounters::count(&counted.breaker_opens);
                EventKind::BreakerOpened { tier: said.clone() }
            }
            Turn::Closed => EventKind::BreakerClosed { tier: said.clone() },
        };
        events.send(timeline.now(), None, kind);
    };
    if capability.self_guarded {
        let listening = turns.map(|turns| turns.listen(on_turn));
        return TierHandle::new(tier, name, capability, journal, counters, behind, clock).listening(listening);
    }
    let deadline = deadlines.get(&name).copied().unwrap_or(capability.deadline);
    let logged = name.clone();
    let on_turn = move |turn| {
        if turn == Turn::Opened {
            tracing::warn!(tier = %logged, "the tier does not answer and is left alone for 5 s");
        }
        on_turn(turn);
    };
    let tier = AnyTier::new(Breaker::new(Deadline::new(tier, deadline), Arc::clone(&clock), on_turn));
    TierHandle::new(tier, name, capability, journal, counters, behind, clock)
}
