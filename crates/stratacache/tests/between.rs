//! What happens between the steps of a write or an invalidation, when a tier is slow or a table is full.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // everything here is a test, and starts its own tasks

mod support;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use stratacache::{Cache, CacheBuilder, Policy, event::EventKind, hours, millis, seconds, tier::TierParts};
use stratacache_core::tier::{Capability, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError};
use stratacache_testkit::{
    faulty::{Fault, FaultyTier, On},
    tiers::{MemoryJournal, MemoryTier},
};
use support::{Loads, builder, read, settle, tenant};
use tokio::time::{advance, sleep};

/// A tier whose answers to removals, or whose puts, take as long as a test says.
#[derive(Clone)]
struct Slow {
    inner: MemoryTier,
    /// Removals take effect at once and are answered after this long, one after the other.
    removals_answered_after: Arc<Mutex<VecDeque<Duration>>>,
    /// Removals take effect after this long.
    removals_take: Duration,
    puts_take: Duration,
}

impl Slow {
    fn new(name: &str) -> Self {
        Self {
            inner: MemoryTier::new(name).persistent(true).deadline(seconds(60)),
            removals_answered_after: Arc::default(),
            removals_take: Duration::ZERO,
            puts_take: Duration::ZERO,
        }
    }
}

impl Tier for Slow {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn capability(&self) -> Capability {
        self.inner.capability()
    }
    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.inner.get_many(request).await
    }
    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        sleep(self.puts_take).await;
        self.inner.put_many(request).await
    }
    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        sleep(self.removals_take).await;
        let reply = self.inner.remove_many(request).await;
        let delay = self.removals_answered_after.lock().unwrap().pop_front();
        sleep(delay.unwrap_or_default()).await;
        reply
    }
    async fn ping(&self) -> Result<(), TierError> {
        self.inner.ping().await
    }
    fn used_bytes(&self) -> Option<u64> {
        self.inner.used_bytes()
    }
    async fn close(&self) -> Result<(), TierError> {
        self.inner.close().await
    }
}

/// Lets the marks of keys be forgotten that no fill under way needs.
async fn forget_marks(cache: &Cache) {
    while cache.marks_held().0 > 0 {
        advance(millis(250)).await;
        settle().await;
    }
}

/// A cache whose entries outlive the marks of keys by far.
fn patient() -> CacheBuilder {
    builder().default_policy(Policy::ttl(hours(24)))
}

#[tokio::test(start_paused = true)]
async fn a_promotion_never_brings_back_a_key_that_is_being_removed_from_the_tiers() {
    let mut lower = Slow::new("lower");
    let journal = Arc::new(lower.inner.journal());
    let cache = over(Slow::new("upper"), &lower, journal.clone()).await;
    tenant(&cache, "acme").insert("k", 1_u32).await.unwrap();
    cache.close().await.unwrap();

    // after a restart only the lower tier has it
    let mut upper = Slow::new("upper");
    upper.puts_take = millis(50);
    lower.removals_take = millis(10);
    let cache = over(upper, &lower, journal).await;
    let acme = tenant(&cache, "acme");
    let invalidation = tokio::spawn({
        let acme = acme.clone();
        async move { acme.invalidate("k").await }
    });
    sleep(millis(5)).await;
    assert_eq!(acme.get::<u32>("k").await.as_deref(), Some(&1), "it came before the invalidation was done");
    invalidation.await.unwrap().unwrap();
    forget_marks(&cache).await;
    assert_eq!(acme.get::<u32>("k").await.as_deref(), None, "the promotion put it into the tier above");
}

/// A cache over two tiers, the lower of which brings the journal.
async fn over(upper: Slow, lower: &Slow, journal: Arc<MemoryJournal>) -> Cache {
    let parts = TierParts::new(lower.clone()).with_journal(journal);
    patient().tier(upper).tier(parts).build().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_insert_that_was_called_before_an_invalidation_does_not_outlive_it_below() {
    let tier = Slow::new("below");
    tier.removals_answered_after.lock().unwrap().extend([millis(10), millis(100)]);
    let parts = TierParts::new(tier.clone()).with_journal(Arc::new(tier.inner.journal()));
    let cache = patient().tier(parts).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let insert = tokio::spawn({
        let acme = acme.clone();
        async move { acme.insert("k", 1_u32).await }
    });
    sleep(millis(5)).await;
    acme.invalidate("k").await.unwrap();
    insert.await.unwrap().unwrap();
    forget_marks(&cache).await;
    assert_eq!(acme.get::<u32>("k").await.as_deref(), None);
}

#[tokio::test(start_paused = true)]
async fn of_two_inserts_the_tier_below_keeps_the_one_that_memory_keeps() {
    for answers in [[10, 100], [100, 10]] {
        let tier = Slow::new("below");
        tier.removals_answered_after.lock().unwrap().extend(answers.map(millis));
        let parts = || TierParts::new(tier.clone()).with_journal(Arc::new(tier.inner.journal()));
        let cache = builder().tier(parts()).build().await.unwrap();
        let acme = tenant(&cache, "acme");
        let first = tokio::spawn({
            let acme = acme.clone();
            async move { acme.insert("k", 1_u32).await }
        });
        sleep(millis(5)).await;
        acme.insert("k", 2_u32).await.unwrap();
        first.await.unwrap().unwrap();
        forget_marks(&cache).await;
        let in_memory = acme.get::<u32>("k").await.map(|v| *v);
        cache.close().await.unwrap();
        let cache = builder().tier(parts()).build().await.unwrap();
        let below = tenant(&cache, "acme").get::<u32>("k").await.map(|v| *v);
        assert!(below.is_none() || below == in_memory, "memory had {in_memory:?}, the tier {below:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_expired_stays_so_when_marks_are_folded() {
    let cache = builder().max_marks(64).default_policy(Policy::ttl(hours(1))).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    assert_eq!(read(&acme, "k", &loads).await, 1);
    acme.expire("k").await.unwrap();
    for n in 0..100_u32 {
        acme.expire(stratacache::Target::key(n)).await.unwrap();
    }
    assert_eq!(read(&acme, "k", &loads).await, 2, "its expiry was forgotten");
}

#[tokio::test(start_paused = true)]
async fn many_values_are_inserted_under_one_stamp_without_overtaking_each_other() {
    let cache = builder().build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let tokens = acme.insert_many((0..5_000_u32).map(|n| (n, n))).await.unwrap();
    assert_eq!(tokens.iter().filter(|token| token.is_superseded()).count(), 0);
    assert_eq!(acme.get::<u32>(4_999_u32).await.as_deref(), Some(&4_999));
}

#[tokio::test(start_paused = true)]
async fn a_value_from_a_tier_below_is_a_hit_there_and_no_miss() {
    let disk = MemoryTier::new("disk").persistent(true);
    let cache = builder().tier(disk.with_journal()).build().await.unwrap();
    tenant(&cache, "acme").insert("k", 1_usize).await.unwrap();
    cache.close().await.unwrap();
    let cache = builder().tier(disk.with_journal()).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let loads = Loads::default();
    assert_eq!(read(&acme, "k", &loads).await, 1);
    assert_eq!(read(&acme, "k", &loads).await, 1);
    assert_eq!(loads.count(), 0);
    let stats = cache.stats();
    assert_eq!((stats.memory_hits, stats.lower_hits, stats.misses), (1, 1, 0));
    assert_eq!(read(&acme, "new", &loads).await, 1);
    let stats = cache.stats();
    assert_eq!((stats.memory_hits, stats.lower_hits, stats.misses), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_that_stands_in_for_a_failed_load_is_a_hit_and_no_miss() {
    let policy = Policy::ttl(seconds(10)).jitter(0.0).stale_if_error(hours(1));
    let cache = builder().default_policy(policy).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    read(&acme, "k", &Loads::default()).await;
    advance(seconds(11)).await;
    let stale = acme.get_or_load("k", async || Err::<usize, _>("down")).await.unwrap();
    assert!(stale.is_stale());
    let stats = cache.stats();
    assert_eq!((stats.memory_hits, stats.stale_hits, stats.misses), (1, 1, 1), "the first read was the only miss");
}

#[tokio::test(start_paused = true)]
async fn events_of_the_breaker_say_when() {
    let (tier, faults) = FaultyTier::new(MemoryTier::new("below").deadline(millis(100)), 1);
    let cache = builder().tier(tier).build().await.unwrap();
    let mut events = cache.events();
    faults.always(On::Get, Fault::Hang);
    assert!(tenant(&cache, "acme").get::<u32>("k").await.is_none());
    let opened = std::iter::from_fn(|| events.try_next())
        .map(Result::unwrap)
        .find(|event| matches!(event.kind, EventKind::BreakerOpened { .. }))
        .expect("a time-out opens the breaker");
    assert!(opened.at > 0, "the event says when");
}
