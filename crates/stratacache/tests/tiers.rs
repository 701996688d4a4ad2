//! A lower tier that fails costs a bounded time, loses nothing that was invalidated, and is never an application failure.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // helpers of tests may panic

mod support;

use std::{convert::Infallible, future::IntoFuture, sync::Arc};

use stratacache::{
    Cache, ErrorKind, Lookup, OnWriteError, Policy,
    event::EventKind,
    millis, minutes, seconds,
    tier::{Capability, Tier, TierErrorKind, TierParts},
};
use stratacache_core::{
    breaker::{Turn, Turns},
    tier::{GetMany, Got, PutMany, PutOutcome, RemoveMany, TierError},
};
use stratacache_testkit::{
    faulty::{Fault, Faults, FaultyTier, On},
    tiers::MemoryTier,
};
use support::{Loads, builder, read, settle, tenant};
use tokio::time::{Instant, sleep};

/// A cache over a faulty tier, with and without the journal of what is below.
async fn over(disk: &MemoryTier, policy: Policy) -> (Cache, Faults) {
    let (faulty, faults) = FaultyTier::new(disk.clone(), 5);
    let parts = TierParts::new(faulty).with_journal(Arc::new(disk.journal()));
    (builder().tier(parts).default_policy(policy).build().await.unwrap(), faults)
}

fn disk() -> MemoryTier {
    MemoryTier::new("disk").persistent(true)
}

fn policy() -> Policy {
    Policy::ttl(minutes(5)).jitter(0.0).tier_ttl("memory", seconds(5))
}

#[tokio::test(start_paused = true)]
async fn a_hung_tier_costs_its_deadline_once_and_then_nothing_until_the_probe() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    faults.always(On::Any, Fault::Hang);
    let loads = Loads::default();
    let timed = async |key: &str| {
        let began = Instant::now();
        read(&acme, key, &loads).await;
        began.elapsed()
    };
    assert_eq!(timed("first").await, millis(250), "its deadline");
    for n in 0..100 {
        assert_eq!(timed(&format!("k{n}")).await, millis(0), "left alone");
    }
    assert_eq!(cache.stats().tiers[1].breaker_opens, 1);
    sleep(seconds(6)).await;
    settle().await;
    let probe = timed("probe").await + timed("after the probe").await;
    assert!(probe <= millis(250), "one probe: {probe:?}");
    faults.clear();
    sleep(seconds(6)).await;
    read(&acme, "again", &loads).await;
    settle().await;
    assert!(!disk.names().is_empty(), "it is used again");
}

#[tokio::test(start_paused = true)]
async fn a_failing_tier_is_a_miss_and_an_event_never_an_error() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    let mut events = cache.events();
    faults.always(On::Any, Fault::Error(TierErrorKind::Unavailable));
    assert!(acme.get::<u32>("k").await.is_none());
    assert_eq!(read(&acme, "k", &Loads::default()).await, 1);
    settle().await;
    let mut failed = 0;
    while let Some(Ok(event)) = events.try_next() {
        failed += usize::from(matches!(event.kind, EventKind::TierFailed { .. }));
    }
    assert!(failed >= 2);
    assert!(cache.stats().tiers[1].read_failures >= 2);
}

#[tokio::test(start_paused = true)]
async fn every_single_bit_flip_below_is_a_miss_with_a_counter() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    for n in 0..200_u32 {
        acme.insert(n, vec![n; 3]).await.unwrap();
    }
    sleep(seconds(6)).await; // memory has let go of them
    faults.always(On::Get, Fault::Corrupt);
    for n in 0..200_u32 {
        assert_eq!(acme.lookup::<Vec<u32>>(n).await, Lookup::Miss, "{n}");
    }
    let below = &cache.stats().tiers[1];
    assert_eq!(below.corrupt_envelopes + below.unknown_envelopes, 200);
    assert!(below.unknown_envelopes < 10, "only a flip in the version makes it unknown: {}", below.unknown_envelopes);
    faults.clear();
    for n in 0..200_u32 {
        assert_eq!(acme.get::<Vec<u32>>(n).await.as_deref(), Some(&vec![n; 3]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_strict_insert_that_fails_leaves_the_value_in_no_tier() {
    for fault in
        [Fault::Error(TierErrorKind::Full), Fault::EachError(TierErrorKind::Full), Fault::Hang, Fault::LostReply]
    {
        let disk = disk();
        let (cache, faults) = over(&disk, policy()).await;
        let acme = tenant(&cache, "acme");
        acme.insert("k", 1_u32).await.unwrap();
        faults.always(On::Put, fault);
        let error = acme.insert("k", 2_u32).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        faults.clear();
        faults.release();
        settle().await;
        sleep(seconds(6)).await;
        assert!(acme.get::<u32>("k").await.is_none(), "{fault:?}: neither the old value nor the new one");
        cache.close().await.unwrap();
        let (cache, _) = over(&disk, policy()).await;
        assert!(tenant(&cache, "acme").get::<u32>("k").await.is_none(), "{fault:?}: nor after a restart");
    }
}

#[tokio::test(start_paused = true)]
async fn a_best_effort_insert_is_content_with_memory() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy().on_write_error(OnWriteError::BestEffort)).await;
    let acme = tenant(&cache, "acme");
    faults.always(On::Put, Fault::Error(TierErrorKind::Full));
    acme.insert("k", 2_u32).await.unwrap();
    assert_eq!(*acme.get::<u32>("k").await.unwrap(), 2);
    assert_eq!(cache.stats().tiers[1].write_failures, 1);
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_a_persistent_tier_missed_is_made_up_for_and_nothing_old_is_served_meanwhile() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    let mut events = cache.events();
    acme.insert("k", 1_u32).await.unwrap();
    faults.always(On::Remove, Fault::Error(TierErrorKind::Unavailable));
    acme.invalidate("k").await.expect("the tier is in quarantine, so the invalidation stands");
    assert!(disk.journal().is_quarantined(), "a restart now opens empty");
    assert!(acme.get::<u32>("k").await.is_none(), "the name is not read");
    faults.clear();
    sleep(seconds(8)).await; // the breaker's window, and beats of the maintenance task
    assert!(!disk.journal().is_quarantined());
    assert!(disk.names().is_empty(), "the removal was made up for");
    let kinds: Vec<_> = std::iter::from_fn(|| events.try_next()).filter_map(|e| Some(e.ok()?.kind)).collect();
    assert!(kinds.iter().any(|k| matches!(k, EventKind::Quarantined { .. })));
    assert!(kinds.iter().any(|k| matches!(k, EventKind::Restored { .. })));
    assert_eq!(read(&acme, "k2", &Loads::default()).await, 1);
    settle().await;
    assert_eq!(disk.names().len(), 1, "and it is written again");
}

#[tokio::test(start_paused = true)]
async fn a_restart_during_a_quarantine_opens_empty() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    acme.insert("k", 1_u32).await.unwrap();
    acme.insert("other", 1_u32).await.unwrap();
    faults.always(On::Remove, Fault::Hang);
    acme.invalidate("k").await.unwrap();
    drop(cache);
    let (cache, _) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    assert!(acme.get::<u32>("k").await.is_none());
    assert!(acme.get::<u32>("other").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_could_not_be_written_is_written_later_and_a_restart_before_that_opens_empty() {
    for caught_up in [false, true] {
        let disk = disk();
        let journal = disk.journal();
        let (cache, _) = over(&disk, policy()).await;
        let acme = tenant(&cache, "acme");
        acme.insert("tagged", 1_u32).tag("t").await.unwrap();
        acme.insert("other", 1_u32).await.unwrap();
        journal.fail(true);
        acme.invalidate_tag("t").await.expect("what is on disk is in quarantine, so the invalidation stands");
        assert!(journal.is_quarantined());
        assert!(acme.get::<u32>("tagged").await.is_none() && acme.get::<u32>("other").await.is_some());
        if caught_up {
            journal.fail(false);
            sleep(seconds(2)).await;
            assert!(!journal.is_quarantined());
        }
        cache.close().await.unwrap();
        journal.fail(false);
        let (cache, _) = over(&disk, policy()).await;
        let acme = tenant(&cache, "acme");
        assert!(acme.get::<u32>("tagged").await.is_none(), "{caught_up}");
        assert_eq!(acme.get::<u32>("other").await.is_some(), caught_up, "an unfinished quarantine opens empty");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_meant_for_a_volatile_tier_that_fails_is_an_error() {
    let (faulty, faults) = FaultyTier::new(MemoryTier::new("volatile"), 5);
    let cache = builder().tier(faulty).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.insert("k", 1_u32).await.unwrap();
    faults.always(On::Remove, Fault::Error(TierErrorKind::Unavailable));
    let error = acme.invalidate("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    faults.clear();
    sleep(seconds(6)).await;
    acme.invalidate("k").await.unwrap();
    assert!(acme.get::<u32>("k").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_caller_does_not_wait_for_the_lower_tier_to_be_filled() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    faults.always(On::Put, Fault::Slow(millis(200)));
    let began = Instant::now();
    read(&acme, "k", &Loads::default()).await;
    assert_eq!(began.elapsed(), millis(0));
    assert!(disk.names().is_empty());
    sleep(millis(300)).await;
    assert_eq!(disk.names().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_lands_late_cannot_outlive_an_invalidation() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    // the put is given up at its deadline, but takes effect later
    faults.next(1, On::Put, Fault::Late(seconds(2)));
    read(&acme, "k", &Loads::default()).await;
    sleep(millis(500)).await;
    sleep(seconds(6)).await;
    acme.invalidate("k").await.unwrap();
    faults.settle().await;
    assert!(acme.get::<usize>("k").await.is_none());
    assert!(disk.names().is_empty() || acme.lookup::<usize>("k").await == Lookup::Miss);
}

#[tokio::test(start_paused = true)]
async fn a_value_of_another_shape_below_is_a_miss_with_an_event() {
    let disk = disk();
    let (cache, _) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    let mut events = cache.events();
    acme.insert("k", "a text".to_owned()).await.unwrap();
    sleep(seconds(6)).await;
    assert!(acme.get::<Vec<u64>>("k").await.is_none());
    let changed = std::iter::from_fn(|| events.try_next())
        .filter_map(Result::ok)
        .any(|e| matches!(e.kind, EventKind::TypeChanged { ref tier } if tier == "disk"));
    assert!(changed);
    assert_eq!(acme.get::<String>("k").await.as_deref().map(String::as_str), Some("a text"), "it is still there");
}

#[tokio::test(start_paused = true)]
async fn many_keys_are_read_from_a_tier_in_one_batch() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    for n in 0..50_u32 {
        acme.insert(n, n).await.unwrap();
    }
    sleep(seconds(6)).await;
    let before = faults.calls(On::Get);
    let found = acme.get_many::<u32>(0..60_u32).await;
    assert_eq!(faults.calls(On::Get) - before, 1);
    assert_eq!(found.iter().flatten().count(), 50);
    assert!(found.iter().enumerate().all(|(i, v)| v.as_ref().is_none_or(|v| **v as usize == i)));
}

#[tokio::test(start_paused = true)]
async fn values_that_cannot_be_turned_into_bytes_stay_in_memory() {
    let disk = disk();
    let (cache, _) = over(&disk, Policy::ttl(minutes(5))).await;
    let acme = tenant(&cache, "acme");
    let compiled = stratacache::Local(|n: u32| n + 1);
    acme.get_or_load("f", async move || Ok::<_, Infallible>(compiled)).await.unwrap();
    settle().await;
    assert!(disk.names().is_empty());
    let f = acme.get_or_load("f", async move || Ok::<_, Infallible>(compiled)).await.unwrap();
    assert_eq!((f.0)(1), 2);
}

#[tokio::test(start_paused = true)]
async fn an_insert_that_lands_within_an_invalidation_of_its_key_does_not_come_back_with_a_restart() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    for by_insert in [false, true] {
        let (stamp, later) = (acme.stamp(), acme.stamp());
        // it has removed the key from the tier, and has no position yet
        faults.next(1, On::Remove, Fault::SlowReply(millis(100)));
        let newer = tokio::spawn({
            let acme = acme.clone();
            async move {
                match by_insert {
                    false => acme.invalidate("k").await,
                    true => acme.insert("k", 2_u32).stamped(later).await,
                }
            }
        });
        settle().await;
        acme.insert("k", 1_u32).stamped(stamp).await.unwrap();
        newer.await.unwrap().unwrap();
        assert_ne!(acme.get::<u32>("k").await.as_deref(), Some(&1));
        assert!(disk.names().is_empty(), "by insert: {by_insert}");
    }
    acme.insert("k", 3_u32).await.unwrap();
    cache.close().await.unwrap();
    let (cache, _) = over(&disk, policy()).await;
    assert_eq!(tenant(&cache, "acme").get::<u32>("k").await.as_deref(), Some(&3), "others are kept below as ever");
}

#[tokio::test(start_paused = true)]
async fn a_touch_that_lands_within_an_invalidation_of_its_key_does_not_keep_the_old_value_below() {
    let disk = disk();
    let policy = Policy::ttl(minutes(5)).jitter(0.0).idle_ttl(seconds(40));
    let (cache, faults) = over(&disk, policy).await;
    let acme = tenant(&cache, "acme");
    acme.insert("k", 1_u32).await.unwrap();
    sleep(seconds(15)).await;
    // it has removed the key from the tier, and has no position yet
    faults.next(1, On::Remove, Fault::SlowReply(millis(100)));
    let newer = tokio::spawn({
        let acme = acme.clone();
        async move { acme.invalidate("k").await }
    });
    settle().await;
    assert_eq!(*acme.get::<u32>("k").await.unwrap(), 1, "a touch is due, and begins");
    newer.await.unwrap().unwrap();
    settle().await;
    assert!(disk.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn writes_go_to_their_end_when_their_callers_are_gone() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    acme.insert("invalidated", 1_u32).await.unwrap();
    acme.insert("replaced", 1_u32).await.unwrap();
    faults.always(On::Remove, Fault::Slow(millis(100)));
    let brief = millis(10);
    assert!(tokio::time::timeout(brief, acme.invalidate("invalidated").into_future()).await.is_err());
    assert!(tokio::time::timeout(brief, acme.insert("replaced", 2_u32).into_future()).await.is_err());
    sleep(millis(500)).await;
    assert!(acme.get::<u32>("invalidated").await.is_none());
    assert_eq!(*acme.get::<u32>("replaced").await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_what_is_being_written_below() {
    let disk = disk();
    let (cache, faults) = over(&disk, policy()).await;
    let acme = tenant(&cache, "acme");
    faults.always(On::Put, Fault::Slow(millis(100)));
    read(&acme, "k", &Loads::default()).await;
    settle().await;
    cache.close().await.unwrap();
    assert_eq!((disk.names().len(), cache.active_tasks()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_value_loaded_over_an_absence_of_an_upper_tier_fills_the_tiers_below_it_too() {
    let tiers = ["upper", "middle", "lower"].map(MemoryTier::new);
    let policy = policy().tier_ttl("memory", millis(1));
    let builder = tiers.iter().fold(builder().default_policy(policy), |builder, tier| builder.tier(tier.clone()));
    let cache = builder.build().await.unwrap();
    let acme = tenant(&cache, "acme");
    assert!(acme.get_or_load_optional::<usize, _>("k", async || Ok::<_, Infallible>(None)).await.unwrap().is_none());
    settle().await;
    let name = tiers[0].names()[0];
    let absent = tiers.each_ref().map(|tier| tier.raw(name).unwrap());
    sleep(millis(5)).await; // memory has let go of it
    assert_eq!(read(&acme, "k", &Loads::default()).await, 1);
    settle().await;
    for (tier, absent) in tiers.iter().zip(absent) {
        assert_ne!(tier.raw(name), Some(absent), "{tier:?}");
    }
    let reads = tiers.each_ref().map(|tier| (tier.reads(), tier.fence_reads()));
    assert_eq!(reads, [(2, 0), (1, 1), (1, 1)], "those below it were asked for their fences only");
}

/// A tier that says it has a deadline and a breaker of its own.
struct SelfGuarded(FaultyTier<MemoryTier>);

const ENDLESS: std::time::Duration = std::time::Duration::MAX;

impl Tier for SelfGuarded {
    fn name(&self) -> &str {
        "guarded"
    }
    fn capability(&self) -> Capability {
        self.0.capability().self_guarded(true).deadline(ENDLESS)
    }
    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.0.get_many(request).await
    }
    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
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
async fn a_tier_that_guards_itself_gets_neither_a_breaker_nor_a_deadline_and_what_its_own_does_is_counted_once() {
    let (tier, faults) = FaultyTier::new(MemoryTier::new("guarded"), 5);
    let turns = Turns::new();
    let parts = TierParts::new(SelfGuarded(tier)).with_turns(turns.clone());
    let cache = builder().tier(parts).build().await.unwrap();
    let (acme, mut events) = (tenant(&cache, "acme"), cache.events());
    faults.always(On::Any, Fault::Error(TierErrorKind::Timeout));
    for n in 0..50 {
        assert!(acme.get::<usize>(&format!("k{n}")).await.is_none());
        assert!(acme.invalidate("k").await.is_err(), "a tier that cannot remove is asked each time, and says so");
    }
    assert_eq!((faults.calls(On::Get), faults.calls(On::Remove)), (50, 50), "nothing is kept from it");
    assert_eq!(cache.stats().tiers[1].breaker_opens, 0);
    faults.clear();
    faults.always(On::Get, Fault::SlowReply(seconds(20)));
    let began = Instant::now();
    assert!(acme.get::<usize>("slow").await.is_none());
    assert_eq!(began.elapsed(), seconds(20), "its operations end by themselves");
    faults.clear();
    acme.invalidate("k").await.unwrap();
    acme.insert("k", 1).await.unwrap(); // also where a tier knows no deadline
    turns.tell(Turn::Opened);
    turns.tell(Turn::Closed);
    assert_eq!(cache.stats().tiers[1].breaker_opens, 1);
    let told: Vec<EventKind> = std::iter::from_fn(|| events.try_next()).map(|event| event.unwrap().kind).collect();
    let tier = || "guarded".to_owned();
    let told = told.iter().filter(|kind| !matches!(kind, EventKind::TierFailed { .. } | EventKind::Invalidated { .. }));
    let wanted = [EventKind::BreakerOpened { tier: tier() }, EventKind::BreakerClosed { tier: tier() }];
    assert_eq!(told.collect::<Vec<_>>(), wanted.iter().collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_tier_that_guards_itself_is_not_set_here() {
    let tier = SelfGuarded(FaultyTier::new(MemoryTier::new("guarded"), 5).0);
    let error = builder().tier(tier).tier_deadline("guarded", seconds(1)).build().await.unwrap_err();
    assert!(error.to_string().contains("a deadline of its own"), "{error}");
}
