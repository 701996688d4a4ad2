//! Writing behind: nobody waits, nothing old lands late, what is lost is bounded and counted.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // helpers of tests may panic

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use stratacache::{
    Cache, CacheBuilder, ErrorKind, Namespace, OnWriteError, Policy, Stats, Tag, TierStats, WriteMode,
    event::EventKind,
    millis, minutes, seconds,
    tier::{Capability, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind, TierParts},
};
use stratacache_testkit::{
    faulty::{Fault, Faults, FaultyTier, On},
    tiers::MemoryTier,
};
use support::{Loads, builder, noise, read, settle, tenant};
use tokio::time::{Instant, sleep};

const BEHIND: Policy = Policy::ttl(minutes(5)).jitter(0.0).tier_ttl("memory", seconds(5)).write(WriteMode::Behind);

fn disk() -> MemoryTier {
    MemoryTier::new("disk").persistent(true).deadline(minutes(10))
}

async fn open(builder: CacheBuilder, disk: &MemoryTier) -> (Cache, Faults) {
    let (faulty, faults) = FaultyTier::new(disk.clone(), 5);
    let parts = TierParts::new(faulty).with_journal(Arc::new(disk.journal()));
    (builder.tier(parts).default_policy(BEHIND).build().await.unwrap(), faults)
}

async fn over(disk: &MemoryTier) -> (Cache, Faults) {
    open(builder(), disk).await
}

fn below(stats: &Stats) -> TierStats {
    stats.tiers[1].clone()
}

/// Stops the queue: a write of another key hangs in the tier, and what comes later waits.
async fn plug(cache: &Cache, faults: &Faults) {
    faults.next(1, On::Put, Fault::Hang);
    tenant(cache, "plug").insert("plug", 0_u32).await.unwrap();
    settle().await;
    assert_eq!(faults.hanging(), 1);
}

async fn flushed(cache: &Cache) {
    while below(&cache.stats()).writes_waiting > 0 {
        tokio::task::yield_now().await;
    }
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn neither_an_insert_nor_a_load_waits_for_the_tier() {
    let disk = disk();
    let (cache, faults) = over(&disk).await;
    let acme = tenant(&cache, "acme");
    faults.always(On::Put, Fault::Slow(millis(200)));
    let began = Instant::now();
    acme.insert("inserted", 7_u32).await.unwrap();
    acme.insert_many([("one", 1_u32), ("two", 2)]).await.unwrap();
    read(&acme, "loaded", &Loads::default()).await;
    assert_eq!(began.elapsed(), millis(0));
    assert_eq!(*acme.get::<u32>("inserted").await.unwrap(), 7);
    assert!(disk.names().is_empty());
    sleep(seconds(1)).await;
    assert_eq!(disk.names().len(), 4);
    sleep(seconds(6)).await; // memory has let go of them
    assert_eq!(*acme.get::<u32>("inserted").await.unwrap(), 7);
    assert_eq!(*acme.get::<usize>("loaded").await.unwrap(), 1);
    let stats = below(&cache.stats());
    assert_eq!((stats.writes_waiting, stats.writes_lost, stats.write_failures), (0, 0, 0));
}

/// The ways in which a value comes to be out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Key,
    Tag,
    Namespace,
    Tenant,
    GlobalTag,
    AllTenants,
    Insert,
    InsertThrough,
}

const ALL: [How; 8] =
    [How::Key, How::Tag, How::Namespace, How::Tenant, How::GlobalTag, How::AllTenants, How::Insert, How::InsertThrough];

impl How {
    async fn happens(self, cache: &Cache, ns: &Namespace) {
        let done = match self {
            Self::Key => ns.invalidate("k").await,
            Self::Tag => tenant(cache, "acme").invalidate_tag("t").await,
            Self::Namespace => ns.clear().await,
            Self::Tenant => tenant(cache, "acme").clear().await,
            Self::GlobalTag => cache.invalidate_global_tag("g").await,
            Self::AllTenants => cache.clear_all_tenants().await,
            Self::Insert => ns.insert("k", 2_usize).await,
            Self::InsertThrough => ns.insert("k", 2_usize).policy(BEHIND.write(WriteMode::Through)).await,
        };
        done.unwrap();
    }

    fn now(self) -> Option<usize> {
        matches!(self, Self::Insert | Self::InsertThrough).then_some(2)
    }
}

fn space(cache: &Cache) -> Namespace {
    tenant(cache, "acme").namespace("n").with_tag("t").with_tag(Tag::global("g"))
}

/// `Behind` + invalidate, at each place where the old write can be: in the queue, on its way, on its way and late.
#[tokio::test(start_paused = true)]
async fn the_queued_old_write_never_lands_after_what_overtook_it() {
    for how in ALL {
        for by_load in [false, true] {
            for place in ["waits", "is on its way", "takes effect and says so late", "takes effect late"] {
                let when = format!("{how:?}, by load {by_load}, it {place}");
                let disk = disk();
                let (cache, faults) = over(&disk).await;
                let ns = space(&cache);
                match place {
                    "waits" => plug(&cache, &faults).await,
                    "is on its way" => faults.next(1, On::Put, Fault::Slow(seconds(1))),
                    "takes effect late" => faults.next(1, On::Put, Fault::Late(seconds(1))),
                    _ => faults.next(1, On::Put, Fault::SlowReply(seconds(1))),
                }
                if place == "takes effect late" && how == How::InsertThrough {
                    continue; // it is strict, and fails
                }
                if by_load {
                    assert_eq!(read(&ns, "k", &Loads::default()).await, 1);
                } else {
                    ns.insert("k", 1_usize).await.unwrap();
                }
                settle().await;
                let waits = below(&cache.stats()).writes_waiting;
                let there = usize::from(place == "takes effect and says so late");
                assert_eq!((waits, disk.names().len()), (u64::from(place == "waits"), there), "{when}");
                how.happens(&cache, &ns).await;
                faults.release();
                sleep(seconds(7)).await; // memory has let go of what it had
                flushed(&cache).await;
                faults.settle().await;
                // a tier that did not answer is left alone for 5 s: what is written meanwhile is lost
                let now = if place == "takes effect late" { None } else { how.now() };
                assert_eq!(ns.get::<usize>("k").await.as_deref().copied(), now, "{when}");
                cache.close().await.unwrap();
                let (cache, _) = over(&disk).await;
                let found = space(&cache).get::<usize>("k").await.as_deref().copied();
                assert_eq!(found, now, "{when}, after a restart");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_insert_behind_makes_the_old_value_below_unusable_before_it_returns() {
    let disk = disk();
    let (cache, faults) = over(&disk).await;
    let acme = tenant(&cache, "acme");
    acme.insert("k", 1_u32).policy(BEHIND.write(WriteMode::Through)).await.unwrap();
    assert_eq!(disk.names().len(), 1);
    plug(&cache, &faults).await;
    acme.insert("k", 2_u32).await.unwrap();
    assert!(disk.names().is_empty(), "a crash now loses the value, and brings no old one back");
    faults.always(On::Remove, Fault::Error(TierErrorKind::Unavailable));
    let (volatile, faults) = FaultyTier::new(MemoryTier::new("volatile"), 5);
    let cache = builder().tier(volatile).default_policy(BEHIND).build().await.unwrap();
    faults.always(On::Remove, Fault::Error(TierErrorKind::Unavailable));
    let error = tenant(&cache, "acme").insert("k", 3_u32).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "the removal is not behind, and nor is its failure");
}

#[tokio::test(start_paused = true)]
async fn writes_of_one_key_that_wait_become_one() {
    let disk = disk();
    let (cache, faults) = over(&disk).await;
    let acme = tenant(&cache, "acme");
    plug(&cache, &faults).await;
    let loads = Loads::default();
    for n in 0..50_u32 {
        acme.insert("inserted", n).await.unwrap();
        let loads = loads.clone();
        acme.refresh("loaded", async move || Ok::<_, std::io::Error>(loads.next())).await.unwrap();
        settle().await;
    }
    let stats = below(&cache.stats());
    assert_eq!((stats.writes_waiting, stats.writes_coalesced), (2, 98));
    faults.release();
    flushed(&cache).await;
    assert_eq!(disk.writes(), 3, "the plug and one of each");
    sleep(seconds(6)).await;
    assert_eq!(*acme.get::<u32>("inserted").await.unwrap(), 49);
    assert_eq!(*acme.get::<usize>("loaded").await.unwrap(), 50);
}

#[tokio::test(start_paused = true)]
async fn what_is_written_through_overtakes_what_waits() {
    let disk = disk();
    let (cache, faults) = over(&disk).await;
    let acme = tenant(&cache, "acme");
    plug(&cache, &faults).await;
    let loads = Loads::default();
    let refresh = async |policy: Policy| {
        let loads = loads.clone();
        acme.refresh("k", async move || Ok::<_, std::io::Error>(loads.next())).policy(policy).await.unwrap();
        settle().await;
    };
    refresh(BEHIND).await;
    assert_eq!(below(&cache.stats()).writes_waiting, 1);
    refresh(BEHIND.write(WriteMode::Through)).await;
    let stats = below(&cache.stats());
    assert_eq!((stats.writes_waiting, stats.writes_coalesced), (0, 1));
    faults.release();
    flushed(&cache).await;
    sleep(seconds(6)).await;
    assert_eq!(*acme.get::<usize>("k").await.unwrap(), 2, "the older write did not land after the newer");
}

/// A tier that panics where it is asked to.
struct Panics(MemoryTier, AtomicBool);

impl Tier for Panics {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn capability(&self) -> Capability {
        self.0.capability()
    }
    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.0.get_many(request).await
    }
    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        assert!(!self.1.swap(false, SeqCst), "the tier panics");
        self.0.put_many(request).await
    }
    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.0.remove_many(request).await
    }
    async fn ping(&self) -> Result<(), TierError> {
        self.0.ping().await
    }
    fn used_bytes(&self) -> Option<u64> {
        self.0.used_bytes()
    }
    async fn close(&self) -> Result<(), TierError> {
        self.0.close().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_panics_loses_the_batch_and_later_writes_are_made() {
    let disk = MemoryTier::new("disk");
    let tier = Panics(disk.clone(), AtomicBool::new(true));
    let cache = builder().tier(tier).default_policy(BEHIND).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert("one", 1_u32).await.unwrap();
    settle().await;
    assert_eq!((disk.names().len(), below(&cache.stats()).writes_lost), (0, 1));
    acme.insert("two", 2_u32).await.unwrap();
    settle().await;
    assert_eq!((disk.names().len(), below(&cache.stats()).writes_lost), (1, 1));
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_value_larger_than_the_queue_is_lost_alone_counted_and_told() {
    let disk = disk();
    let (cache, faults) = open(builder().queued_writes(64 << 10), &disk).await;
    let (acme, mut events) = (tenant(&cache, "acme"), cache.events());
    plug(&cache, &faults).await;
    acme.insert("small", 1_u32).await.unwrap();
    acme.insert("large", noise(100 << 10)).await.unwrap();
    let stats = below(&cache.stats());
    assert_eq!((stats.writes_waiting, stats.writes_lost), (1, 1), "the small one still waits");
    let told = std::iter::from_fn(|| events.try_next()).filter_map(Result::ok);
    let told: Vec<&str> = told
        .filter_map(|event| match event.kind {
            EventKind::WritesLost { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["the write is larger than queued_writes"]);
    faults.release();
    flushed(&cache).await;
    assert_eq!(disk.names().len(), 2, "the plug and the small one");
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_it_waits_is_not_written_and_counts_as_lost() {
    let disk = disk();
    let (cache, faults) = over(&disk).await;
    let acme = tenant(&cache, "acme");
    plug(&cache, &faults).await;
    acme.insert("k", 1_u32).ttl(seconds(10)).await.unwrap();
    sleep(seconds(11)).await;
    faults.release();
    flushed(&cache).await;
    assert_eq!((disk.names().len(), below(&cache.stats()).writes_lost), (1, 1), "the plug only");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_loses_writes_of_who_floods_it_counts_them_and_says_so_once() {
    const KIB: usize = 1 << 10;
    let disk = disk();
    let (cache, faults) = open(builder().queued_writes(64 * KIB), &disk).await;
    let (acme, globex) = (tenant(&cache, "acme"), tenant(&cache, "globex"));
    let mut events = cache.events();
    plug(&cache, &faults).await;
    for n in 0..10_u32 {
        globex.insert(n, noise(KIB)).await.unwrap();
    }
    for n in 0..500_u32 {
        acme.insert(n, noise(KIB)).await.unwrap();
        if n % 50 == 0 {
            settle().await;
        }
    }
    let stats = below(&cache.stats());
    assert_eq!(stats.writes_waiting + stats.writes_lost, 510);
    assert!(stats.writes_waiting < 64 && stats.writes_lost > 440, "bounded: {stats:?}");
    assert_eq!(*acme.get::<Vec<u8>>(499_u32).await.unwrap(), noise(KIB), "memory has them all");
    let lost = std::iter::from_fn(|| events.try_next()).filter_map(Result::ok);
    assert_eq!(lost.filter(|event| matches!(event.kind, EventKind::WritesLost { .. })).count(), 1);
    faults.release();
    flushed(&cache).await;
    sleep(seconds(6)).await;
    for n in 0..10_u32 {
        assert!(globex.get::<Vec<u8>>(n).await.is_some(), "{n}: the quiet tenant lost nothing");
    }
    assert!(acme.get::<Vec<u8>>(499_u32).await.is_some() && acme.get::<Vec<u8>>(0_u32).await.is_none());
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_tier_refuses_is_lost_and_counted_and_no_error_of_the_call() {
    let disk = disk();
    let (cache, faults) = over(&disk).await;
    let (acme, mut events) = (tenant(&cache, "acme"), cache.events());
    for fault in [Fault::Error(TierErrorKind::Full), Fault::EachError(TierErrorKind::Full), Fault::LostReply] {
        faults.next(1, On::Put, fault);
        acme.insert("k", 1_u32).await.unwrap();
        flushed(&cache).await;
    }
    let stats = below(&cache.stats());
    assert_eq!((stats.writes_lost, stats.write_failures), (3, 3));
    let failed = std::iter::from_fn(|| events.try_next()).filter_map(Result::ok);
    assert_eq!(failed.filter(|event| matches!(event.kind, EventKind::TierFailed { .. })).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn closing_writes_what_waits() {
    let disk = disk();
    let (cache, faults) = over(&disk).await;
    let acme = tenant(&cache, "acme");
    faults.always(On::Put, Fault::Slow(millis(100)));
    for n in 0..1_000_u32 {
        acme.insert(n, n).await.unwrap();
    }
    read(&acme, "loaded", &Loads::default()).await;
    assert!(disk.names().is_empty());
    cache.close().await.unwrap();
    assert_eq!((disk.names().len(), cache.active_tasks()), (1_001, 0));
    let stats = below(&cache.stats());
    assert_eq!((stats.writes_waiting, stats.writes_lost), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn closing_gives_up_at_its_deadline_and_says_how_many_writes_are_lost() {
    let disk = disk();
    let (cache, faults) = open(builder().flush_deadline(seconds(2)), &disk).await;
    let (acme, mut events) = (tenant(&cache, "acme"), cache.events());
    faults.always(On::Put, Fault::Slow(seconds(1)));
    for n in 0..1_000_u32 {
        acme.insert(n, n).await.unwrap();
    }
    let began = Instant::now();
    let error = cache.close().await.unwrap_err();
    assert!(began.elapsed() <= seconds(3), "its deadline and that of the batch under way: {:?}", began.elapsed());
    let written = disk.names().len();
    let lost = 1_000 - written;
    assert!(written >= 64 && lost > 0);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().starts_with(&format!("{lost} writes behind did not come to the tier \"disk\"")), "{error}");
    assert_eq!(below(&cache.stats()).writes_lost as usize, lost);
    let told = std::iter::from_fn(|| events.try_next()).filter_map(Result::ok);
    let told: Vec<usize> = told
        .filter_map(|event| match event.kind {
            EventKind::WritesLost { count, .. } => Some(count),
            _ => None,
        })
        .collect();
    assert_eq!(told, [lost]);
    assert_eq!(cache.active_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_only_what_was_not_written() {
    let disk = disk();
    let (cache, faults) = over(&disk).await;
    let acme = tenant(&cache, "acme");
    for n in 0..20_u32 {
        acme.insert(n, n).await.unwrap();
    }
    flushed(&cache).await;
    faults.always(On::Put, Fault::Hang); // the process dies: none of these takes effect any more
    for n in 10..40_u32 {
        acme.insert(n, n + 100).await.unwrap();
    }
    acme.invalidate(5_u32).await.unwrap();
    settle().await;
    let (again, _) = over(&disk).await;
    let acme = tenant(&again, "acme");
    for n in 0..40_u32 {
        let expected = (n < 10 && n != 5).then_some(n);
        assert_eq!(acme.get::<u32>(n).await.as_deref().copied(), expected, "{n}: nothing old, nothing invalidated");
    }
}

#[tokio::test(start_paused = true)]
async fn strictness_is_refused_by_name() {
    let (cache, _) = over(&disk()).await;
    let acme = tenant(&cache, "acme");
    let policy = BEHIND.on_write_error(OnWriteError::Strict);
    let error = acme.insert("k", 1_u32).policy(policy).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("on_write_error is Strict and write is Behind"), "{error}");
    let error = builder().queued_writes(1).build().await.unwrap_err();
    assert!(error.message().starts_with("queued_writes is 1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_tier_does_not_hold_up_the_writes_of_another() {
    let tiers = ["upper", "lower"].map(MemoryTier::new);
    let (slow, faults) = FaultyTier::new(tiers[0].clone().deadline(minutes(1)), 5);
    // what is wrapped has the deadline of the wrapped
    let cache = builder().tier(slow).tier(tiers[1].clone()).default_policy(BEHIND).build().await.unwrap();
    faults.always(On::Put, Fault::Slow(seconds(30)));
    tenant(&cache, "acme").insert("k", 1_u32).await.unwrap();
    settle().await;
    assert_eq!((tiers[0].names().len(), tiers[1].names().len()), (0, 1));
    sleep(seconds(31)).await;
    assert_eq!((tiers[0].names().len(), tiers[1].names().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_promotion_brings_is_written_behind_too() {
    let tiers = ["upper", "lower"].map(MemoryTier::new);
    let (upper, faults) = FaultyTier::new(tiers[0].clone(), 5);
    let cache = builder().tier(upper).tier(tiers[1].clone()).default_policy(BEHIND).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert("k", 1_u32).await.unwrap();
    settle().await;
    tiers[0].wipe();
    sleep(seconds(6)).await;
    faults.always(On::Put, Fault::Slow(millis(200)));
    let began = Instant::now();
    assert_eq!(*acme.get::<u32>("k").await.unwrap(), 1);
    assert_eq!(began.elapsed(), millis(0));
    sleep(millis(300)).await;
    assert_eq!(tiers[0].names(), tiers[1].names());
}
