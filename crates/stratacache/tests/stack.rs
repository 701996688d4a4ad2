//! Several tiers below memory: read one after the other, filled by promotion, chosen by each call.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // helpers of tests may panic

mod support;

use std::convert::Infallible;

use stratacache::{
    Cache, CacheBuilder, ErrorKind, Keyspace, Lookup, Namespace, Policy, Tag, Target, Tiers, WriteMode, millis,
    minutes, seconds,
    tier::{Tier, TierErrorKind, TierParts},
};
use stratacache_core::{
    EntryName,
    envelope::{self, Head},
};
use stratacache_testkit::{
    faulty::{Fault, Faults, FaultyTier, On},
    shared::SharedStore,
    tiers::MemoryTier,
};
use support::{Loads, builder, read, settle, tenant};
use tokio::time::{Instant, sleep};

/// Memory lets go of everything at once, so that reads go below.
const POLICY: Policy = Policy::ttl(minutes(5)).jitter(0.0).tier_ttl("memory", millis(1));

/// As a near cache, a disk, and a store that gives no fences.
struct Stack {
    tiers: [MemoryTier; 3],
    faults: [Faults; 3],
    cache: Cache,
}

impl Stack {
    async fn new() -> Self {
        Self::with(|builder| builder.default_policy(POLICY)).await
    }

    async fn with(build: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Self {
        let tiers = [
            MemoryTier::new("near"),
            MemoryTier::new("disk").persistent(true),
            MemoryTier::unfenced("far").persistent(true),
        ];
        Self::over(tiers, build).await
    }

    async fn over(tiers: [MemoryTier; 3], build: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Self {
        let faulty = tiers.each_ref().map(|tier| FaultyTier::new(tier.clone(), 5));
        let faults = faulty.each_ref().map(|(_, faults)| faults.clone());
        let journal = tiers[1].journal();
        let mut builder = build(builder());
        for (number, (tier, _)) in faulty.into_iter().enumerate() {
            let parts = TierParts::new(tier);
            builder = builder.tier(if number == 1 {
                parts.with_journal(std::sync::Arc::new(journal.clone()))
            } else {
                parts
            });
        }
        Self { tiers, faults, cache: builder.build().await.unwrap() }
    }

    fn acme(&self) -> Namespace {
        tenant(&self.cache, "acme").namespace("n").with_tag("t").with_tag(Tag::global("g"))
    }

    fn held(&self) -> [bool; 3] {
        self.tiers.each_ref().map(|tier| !tier.names().is_empty())
    }

    /// Leaves the value in one tier only.
    fn keep(&self, tier: usize) -> (EntryName, Head) {
        let name = self.tiers[tier].names()[0];
        let (head, _) = envelope::decode(&self.tiers[tier].raw(name).unwrap()).unwrap();
        for (number, other) in self.tiers.iter().enumerate() {
            if number != tier {
                for name in other.names() {
                    other.put_raw(name, "damaged");
                }
            }
        }
        (name, head)
    }

    fn head(&self, tier: usize, name: EntryName) -> Option<Head> {
        envelope::decode(&self.tiers[tier].raw(name)?).ok().map(|(head, _)| head)
    }
}

#[tokio::test(start_paused = true)]
async fn a_hit_fills_every_tier_above_with_the_stamp_and_the_times_of_the_load() {
    for found in 0..3 {
        for many in [false, true] {
            let stack = Stack::new().await;
            let acme = stack.acme();
            assert_eq!(read(&acme, "k", &Loads::default()).await, 1);
            settle().await;
            assert_eq!(stack.held(), [true; 3]);
            let (name, head) = stack.keep(found);
            let expires_at = stack.tiers[found].expires_at(name);
            acme.invalidate("another").await.unwrap(); // the clock of the lane goes on
            sleep(minutes(2)).await;
            if many {
                assert_eq!(acme.get_many::<usize>(["k"]).await[0].as_deref(), Some(&1));
            } else {
                assert_eq!(acme.get::<usize>("k").await.as_deref(), Some(&1));
            }
            settle().await;
            for above in 0..found {
                let there = stack.head(above, name).expect("it was promoted");
                assert_eq!((there.stamp, there.own, there.global), (head.stamp, head.own, head.global));
                let times = |head: &Head| (head.created, head.fresh_until, head.revalidate_until, head.error_until);
                assert_eq!(times(&there), times(&head), "found in {found}, many {many}");
                assert_eq!(stack.tiers[above].expires_at(name), expires_at, "nor does the tier keep it longer");
                assert!(there.older_than_token);
            }
            let stats = stack.cache.stats();
            assert_eq!((stats.tiers[found + 1].hits, stats.promotions), (1, 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_promoted_value_ends_when_it_would_have_ended_below() {
    let stack = Stack::with(|builder| builder.default_policy(Policy::ttl(minutes(60)).jitter(0.0))).await;
    let acme = stack.acme();
    acme.get_or_load("k", async || Ok::<_, Infallible>(1_usize)).policy(POLICY).await.unwrap();
    settle().await;
    stack.keep(2);
    sleep(minutes(4) + seconds(59)).await;
    assert_eq!(*acme.get::<usize>("k").await.unwrap(), 1, "promoted into memory and the near tier");
    sleep(seconds(2)).await;
    assert!(acme.get::<usize>("k").await.is_none(), "it lives no longer in memory than below");
}

#[tokio::test(start_paused = true)]
async fn an_absence_is_promoted_as_an_absence_and_ends_as_one() {
    let stack = Stack::new().await;
    let acme = stack.acme();
    let absent = || async { Ok::<_, Infallible>(None) };
    assert!(acme.get_or_load_optional::<usize, _>("k", absent).await.unwrap().is_none());
    settle().await;
    let (name, head) = stack.keep(2);
    assert!(head.absent);
    sleep(seconds(10)).await;
    assert_eq!(acme.lookup::<usize>("k").await, Lookup::Absent);
    settle().await;
    for above in 0..2 {
        let there = stack.head(above, name).expect("it was promoted");
        assert!(there.absent && there.fresh_until == head.fresh_until);
    }
    sleep(seconds(19)).await;
    assert_eq!(acme.lookup::<usize>("k").await, Lookup::Absent);
    sleep(seconds(2)).await;
    assert_eq!(acme.lookup::<usize>("k").await, Lookup::Miss, "negative_ttl is 30 s from the load");
}

#[tokio::test(start_paused = true)]
async fn promotion_keeps_to_the_cap_of_a_tier() {
    let policy = POLICY.tier_ttl("near", seconds(30)).tier_ttl("disk", minutes(2));
    let stack = Stack::with(|builder| builder.default_policy(policy)).await;
    let acme = stack.acme();
    assert_eq!(read(&acme, "k", &Loads::default()).await, 1);
    settle().await;
    let (name, head) = stack.keep(2);
    sleep(seconds(10)).await;
    assert!(acme.get::<usize>("k").await.is_some());
    settle().await;
    assert_eq!(stack.tiers[0].expires_at(name), Some(head.created + 30_000));
    assert_eq!(stack.tiers[1].expires_at(name), Some(head.created + 120_000));
    stack.keep(2);
    sleep(seconds(60)).await;
    let before = stack.tiers[0].writes();
    assert!(acme.get::<usize>("k").await.is_some());
    settle().await;
    assert_eq!(stack.tiers[0].writes(), before, "too old for the near tier");
    assert!(stack.head(1, name).is_some(), "young enough for the disk");
    sleep(seconds(60)).await;
    stack.faults[2].always(On::Get, Fault::Error(TierErrorKind::Unavailable));
    assert!(acme.get::<usize>("k").await.is_none(), "past its cap it is not served from there");
}

/// The ways in which a value comes to be out of date.
#[derive(Debug, Clone, Copy)]
enum How {
    Key,
    Tag,
    Namespace,
    Tenant,
    GlobalTag,
    AllTenants,
    Insert,
    InsertElsewhere,
}

impl How {
    const ALL: [Self; 8] = [
        Self::Key,
        Self::Tag,
        Self::Namespace,
        Self::Tenant,
        Self::GlobalTag,
        Self::AllTenants,
        Self::Insert,
        Self::InsertElsewhere,
    ];

    async fn happens(self, stack: &Stack) {
        let (acme, ns) = (tenant(&stack.cache, "acme"), stack.acme());
        match self {
            Self::Key => ns.invalidate("k").await,
            Self::Tag => acme.invalidate_tag("t").await,
            Self::Namespace => ns.clear().await,
            Self::Tenant => acme.clear().await,
            Self::GlobalTag => stack.cache.invalidate_global_tag("g").await,
            Self::AllTenants => stack.cache.clear_all_tenants().await,
            Self::Insert => ns.insert("k", 2_usize).await,
            Self::InsertElsewhere => ns.insert("k", 2_usize).tiers(Tiers::memory_only()).await,
        }
        .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_promotion_that_races_an_invalidation_loses() {
    for how in How::ALL {
        for (tier, on, fault) in [
            (2, On::Get, Fault::Slow(millis(100))),
            (2, On::Get, Fault::SlowReply(millis(100))),
            (1, On::Put, Fault::Slow(millis(100))),
            (1, On::Put, Fault::SlowReply(millis(100))),
            (0, On::Put, Fault::Slow(millis(100))),
            (0, On::Put, Fault::SlowReply(millis(100))),
            (1, On::Put, Fault::Late(millis(100))),
        ] {
            let when = format!("{how:?}, {tier} {on:?} {fault:?}");
            let stack = Stack::new().await;
            let acme = stack.acme();
            assert_eq!(read(&acme, "k", &Loads::default()).await, 1);
            settle().await;
            stack.keep(2);
            sleep(seconds(1)).await;
            stack.faults[tier].next(1, on, fault);
            let reading = tokio::spawn({
                let acme = acme.clone();
                async move { acme.get::<usize>("k").await.map(|value| *value) }
            });
            sleep(millis(50)).await;
            // a strict insert fails while the disk is left alone
            let hung = matches!(fault, Fault::Late(_));
            assert_eq!((reading.is_finished(), stack.faults[tier].injected(on)), (hung, 1), "{when}: it is under way");
            let how = if hung && matches!(how, How::Insert) { How::InsertElsewhere } else { how };
            how.happens(&stack).await;
            let _ = reading.await.unwrap(); // it began before
            sleep(seconds(1)).await;
            for faults in &stack.faults {
                faults.settle().await;
            }
            let found = acme.get::<usize>("k").await.map(|value| *value);
            assert_ne!(found, Some(1), "{when}");
            stack.cache.close().await.unwrap();
            let again = Stack::over(stack.tiers, |builder| builder.default_policy(POLICY)).await;
            assert_ne!(again.acme().get::<usize>("k").await.as_deref(), Some(&1), "{when}, after a restart");
        }
    }
}

/// Strict: whichever tier fails, however it fails, and whoever has read the value meanwhile.
#[tokio::test(start_paused = true)]
async fn a_strict_insert_that_any_tier_fails_is_served_by_none_and_never_later() {
    for tier in 0..3 {
        for (fault, kind) in [
            (Fault::Error(TierErrorKind::Full), ErrorKind::Full),
            (Fault::EachError(TierErrorKind::Full), ErrorKind::Full),
            (Fault::LostReply, ErrorKind::WriteUnknown),
            (Fault::NoReply, ErrorKind::Timeout),
            (Fault::Late(seconds(1)), ErrorKind::Timeout),
        ] {
            let when = format!("tier {tier}, {fault:?}");
            let stack = Stack::with(|builder| builder.default_policy(Policy::ttl(minutes(5)).jitter(0.0))).await;
            let acme = stack.acme();
            acme.insert("k", 1_usize).await.unwrap();
            stack.faults[tier].next(1, On::Put, fault);
            let inserting = tokio::spawn({
                let acme = acme.clone();
                async move { acme.insert("k", 2_usize).await }
            });
            settle().await;
            // a reader may meet it in a tier above, and take it into memory
            let _ = acme.get::<usize>("k").await;
            let error = inserting.await.unwrap().unwrap_err();
            // of a tier that hung it may not even be known whether the value could be removed
            let unknown = kind == ErrorKind::Timeout && error.kind() == ErrorKind::WriteUnknown;
            assert!(error.kind() == kind || unknown, "{when}: {error:?}");
            assert!(acme.get::<usize>("k").await.is_none(), "{when}: neither the old value nor the new one");
            stack.faults.iter().for_each(Faults::release);
            sleep(seconds(7)).await;
            for faults in &stack.faults {
                faults.settle().await;
            }
            assert!(acme.get::<usize>("k").await.is_none(), "{when}: nor when the write lands after all");
            acme.invalidate("other").await.unwrap();
            sleep(seconds(30)).await; // marks of keys that nobody needs are forgotten
            assert!(acme.get::<usize>("k").await.is_none(), "{when}: nor later");
            stack.cache.close().await.unwrap();
            stack.tiers[0].wipe(); // it does not outlive the process
            let again = Stack::over(stack.tiers, |builder| builder).await;
            assert!(again.acme().get::<usize>("k").await.is_none(), "{when}: nor after a restart");
        }
    }
}

/// A tier refuses the value, and another that has it already cannot remove it: that is said, and not that there was no room.
#[tokio::test(start_paused = true)]
async fn a_strict_insert_that_could_not_be_taken_back_everywhere_says_so() {
    let stack = Stack::new().await;
    let acme = stack.acme();
    stack.faults[1].next(1, On::Put, Fault::Error(TierErrorKind::Full));
    stack.faults[0].next(1, On::Remove, Fault::Slow(millis(0))); // the old value can be removed
    stack.faults[0].next(1, On::Remove, Fault::Error(TierErrorKind::Full));
    let error = acme.insert("k", 1_usize).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WriteUnknown, "{error}");
    assert_eq!(stack.held(), [true, false, false], "it was the near tier that has it");
    assert!(acme.get::<usize>("k").await.is_none(), "as long as its mark is known");
    acme.invalidate("k").await.unwrap();
    assert_eq!(stack.held(), [false; 3]);
}

/// After `WriteUnknown` the value may be in the tier that did not answer, and never past a completed invalidation.
#[tokio::test(start_paused = true)]
async fn a_write_of_which_nobody_knows_never_outlives_a_completed_invalidation() {
    for tier in 0..3 {
        for lands_after in [seconds(1), seconds(20)] {
            for how in How::ALL {
                let when = format!("tier {tier}, after {lands_after:?}, {how:?}");
                let stack = Stack::with(|builder| builder.default_policy(POLICY).max_marks(64)).await;
                let acme = stack.acme();
                // of the put, and then of the removal, no answer comes
                stack.faults[tier].next(1, On::Put, Fault::Late(lands_after));
                let error = acme.insert("k", 1_usize).await.unwrap_err();
                let unknown = [ErrorKind::WriteUnknown, ErrorKind::Timeout];
                assert!(unknown.contains(&error.kind()), "{when}: {error}");
                sleep(seconds(8)).await; // a tier that did not answer is left alone for 5 s
                how.happens(&stack).await;
                sleep(seconds(30)).await;
                stack.faults[tier].settle().await;
                // marks of keys that nobody needs are forgotten
                acme.invalidate((0..1_100_u32).map(|n| Target::key(("other", n))).collect::<Vec<_>>()).await.unwrap();
                assert_ne!(acme.get::<usize>("k").await.as_deref(), Some(&1), "{when}");
                stack.cache.close().await.unwrap();
                let again = Stack::over(stack.tiers, |builder| builder.default_policy(POLICY)).await;
                assert_ne!(again.acme().get::<usize>("k").await.as_deref(), Some(&1), "{when}, after a restart");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reads_ask_one_tier_after_the_other_each_within_its_deadline() {
    let deadlines = [("near", millis(100)), ("disk", millis(200)), ("far", millis(400))];
    let stack = Stack::with(|builder| {
        deadlines
            .iter()
            .fold(builder.default_policy(POLICY), |builder, (tier, deadline)| builder.tier_deadline(*tier, *deadline))
    })
    .await;
    let acme = stack.acme();
    acme.insert("k", 1_usize).await.unwrap();
    sleep(seconds(1)).await;
    stack.faults[0].always(On::Get, Fault::Hang);
    stack.faults[1].always(On::Get, Fault::Hang);
    let began = Instant::now();
    assert_eq!(*acme.get::<usize>("k").await.unwrap(), 1, "the third has it");
    assert_eq!(began.elapsed(), millis(300), "the deadlines of the first two");
    stack.faults[2].always(On::Get, Fault::Hang);
    sleep(seconds(1)).await;
    let began = Instant::now();
    assert!(acme.get::<usize>("k").await.is_none());
    assert_eq!(began.elapsed(), millis(400), "those that hung are left alone");
}

#[tokio::test(start_paused = true)]
async fn a_call_writes_the_tiers_it_names_and_no_other() {
    for (tiers, written) in [
        (Tiers::all(), [true, true, true]),
        (Tiers::memory_only(), [false, false, false]),
        (Tiers::memory_only().and("memory").and("disk"), [false, true, false]),
        (Tiers::all().skip("far"), [true, true, false]),
        (Tiers::all().read_only("near").skip("far"), [false, true, false]),
        (Tiers::memory_only().write_only("far"), [false, false, true]),
        (Tiers::all().write_only("near").write_only("disk"), [true, true, true]),
    ] {
        for mode in [WriteMode::Through, WriteMode::Behind] {
            let stack = Stack::with(|builder| builder.default_policy(POLICY.write(mode))).await;
            let (acme, when) = (stack.acme(), format!("{tiers:?} {mode:?}"));
            let loader = || async { Ok::<_, Infallible>(1_usize) };
            let many = async |keys: Vec<u32>| Ok::<_, Infallible>(keys.into_iter().map(|k| (k, 1)).collect::<Vec<_>>());
            const ROWS: Keyspace<u32, usize> = Keyspace::new("rows", POLICY);
            let clean = || stack.tiers.iter().for_each(MemoryTier::wipe);
            acme.insert("k", 1_usize).tiers(tiers).await.unwrap();
            settle().await;
            assert_eq!(stack.held(), written, "insert, {when}");
            clean();
            acme.insert_many([("a", 1_usize), ("b", 2)]).tiers(tiers).await.unwrap();
            settle().await;
            assert_eq!(stack.held(), written, "insert_many, {when}");
            clean();
            acme.get_or_load("l", loader).tiers(tiers).await.unwrap();
            settle().await;
            assert_eq!(stack.held(), written, "get_or_load, {when}");
            clean();
            acme.refresh("l", loader).tiers(tiers).await.unwrap();
            settle().await;
            assert_eq!(stack.held(), written, "refresh, {when}");
            clean();
            acme.get_or_load_many(&ROWS, [7], many).tiers(tiers).await.unwrap();
            settle().await;
            assert_eq!(stack.held(), written, "get_or_load_many, {when}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_reads_the_tiers_it_names_and_no_other() {
    for (tiers, asked) in [
        (Tiers::all(), [1, 1, 1]),
        (Tiers::memory_only(), [0, 0, 0]),
        (Tiers::all().skip("disk"), [1, 0, 1]),
        (Tiers::all().write_only("far").read_only("near"), [1, 1, 0]),
    ] {
        let stack = Stack::new().await;
        let acme = stack.acme();
        let asked_since = |before: [u64; 3]| {
            let now = stack.tiers.each_ref().map(MemoryTier::reads);
            [0, 1, 2].map(|n| now[n] - before[n])
        };
        let before = || stack.tiers.each_ref().map(MemoryTier::reads);
        let at = before();
        assert!(acme.get::<usize>("k").tiers(tiers).await.is_none());
        assert_eq!(asked_since(at), asked, "get, {tiers:?}");
        let at = before();
        assert_eq!(acme.lookup::<usize>("k").tiers(tiers).await, Lookup::Miss);
        assert_eq!(asked_since(at), asked, "lookup, {tiers:?}");
        let at = before();
        assert!(acme.get_many::<usize>(["k"]).tiers(tiers).await[0].is_none());
        assert_eq!(asked_since(at), asked, "get_many, {tiers:?}");
        let at = before();
        acme.get_or_load("k", async || Ok::<_, Infallible>(1_usize)).tiers(tiers).await.unwrap();
        assert_eq!(asked_since(at), asked, "get_or_load, {tiers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_replaced_or_invalidated_is_unusable_in_the_tiers_that_a_call_leaves_out() {
    for how in How::ALL {
        let stack = Stack::new().await;
        let acme = stack.acme();
        acme.insert("k", 1_usize).await.unwrap();
        assert_eq!(stack.held(), [true; 3]);
        let kept = stack.tiers.each_ref().map(|tier| (tier.names()[0], tier.raw(tier.names()[0]).unwrap()));
        how.happens(&stack).await;
        sleep(seconds(1)).await;
        assert_ne!(acme.get::<usize>("k").await.as_deref(), Some(&1), "{how:?}");
        // as a store would have it that lost the removal
        let (name, old) = &kept[2];
        stack.tiers[2].put_raw(*name, old.clone());
        let only_far = Tiers::memory_only().and("far");
        assert_ne!(acme.get::<usize>("k").tiers(only_far).await.as_deref(), Some(&1), "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_is_shared_with_calls_that_use_the_same_tiers_only() {
    let stack = Stack::new().await;
    let acme = stack.acme();
    let loads = Loads::default();
    let reader = |tiers: Tiers| {
        let (acme, loads) = (acme.clone(), loads.clone());
        tokio::spawn(async move {
            let load = async move || {
                let n = loads.next();
                sleep(millis(100)).await;
                Ok::<_, Infallible>(n)
            };
            acme.get_or_load("k", load).tiers(tiers).await.map(|value| *value).unwrap()
        })
    };
    let readers = [Tiers::all(), Tiers::all(), Tiers::memory_only(), Tiers::memory_only(), Tiers::all().skip("far")];
    for reader in readers.map(reader) {
        reader.await.unwrap();
    }
    assert_eq!(loads.count(), 3);
    settle().await;
    assert_eq!(stack.held(), [true; 3], "who asked for all tiers did not ride on a load that leaves some out");
}

#[tokio::test(start_paused = true)]
async fn what_a_call_keeps_from_a_tier_is_not_written_there_by_a_touch() {
    let policy = Policy::ttl(minutes(5)).jitter(0.0).idle_ttl(seconds(40));
    let stack = Stack::with(|builder| builder.default_policy(policy)).await;
    let acme = stack.acme();
    let skip = Tiers::all().skip("disk");
    acme.get_or_load("k", async || Ok::<_, Infallible>(1_usize)).tiers(skip).await.unwrap();
    settle().await;
    let before = stack.tiers[0].writes();
    for _ in 0..4 {
        sleep(seconds(15)).await;
        assert!(acme.get::<usize>("k").await.is_some());
        settle().await;
    }
    assert!(stack.tiers[0].writes() > before, "it is kept alive where it is");
    assert!(stack.tiers[1].names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_tier_is_refused_with_the_names_there_are() {
    let stack = Stack::new().await;
    let acme = stack.acme();
    let wrong = Tiers::all().skip("object");
    let said = |error: stratacache::Error| {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let message =
            "tiers names \"object\", but there is no such tier: there are \"memory\", \"near\", \"disk\", \"far\"";
        assert_eq!(error.message(), message);
    };
    said(acme.insert("k", 1_usize).tiers(wrong).await.unwrap_err());
    said(stack.cache.check_tiers(&wrong).unwrap_err());
    let load = || async { Ok::<_, Infallible>(1_usize) };
    for error in [
        acme.get_or_load("k", load).tiers(wrong).await.unwrap_err(),
        acme.refresh("k", load).tiers(wrong).await.unwrap_err(),
    ] {
        match error {
            stratacache::LoadError::Invalid(error) => said(error),
            other => panic!("{other}"),
        }
    }
    acme.insert("k", 1_usize).await.unwrap();
    assert!(acme.get::<usize>("k").tiers(wrong).await.is_none(), "it has no error to return: a miss");
    let error = acme.insert("k", 1_usize).tiers(Tiers::all().skip("memory")).await.unwrap_err();
    assert!(error.message().contains("memory is always used"), "{error}");
    assert!(error.kind() == ErrorKind::InvalidInput);

    const ROWS: Keyspace<u32, usize> = Keyspace::new("rows", POLICY.tiers(Tiers::all().skip("object")));
    let error = builder().keyspace(&ROWS).build().await.unwrap_err();
    assert!(error.message().starts_with("keyspace \"rows\": tiers names \"object\""), "{error}");
    let error = builder().default_policy(POLICY.tiers(Tiers::all().skip("disc"))).build().await.unwrap_err();
    assert!(error.message().contains("there are \"memory\""), "{error}");
}

#[tokio::test(start_paused = true)]
async fn each_tier_has_its_own_rules() {
    let policy = POLICY.min_hits("disk", 3).tier_max_weight("near", 400).tier_ttl("far", minutes(1));
    let stack = Stack::with(|builder| builder.default_policy(policy)).await;
    let acme = stack.acme();
    acme.insert("small", 1_usize).await.unwrap();
    assert_eq!(stack.held(), [true, false, true], "the disk takes it from the third time on");
    acme.insert("small", 1_usize).await.unwrap();
    acme.insert("small", 1_usize).await.unwrap();
    assert_eq!(stack.held(), [true, true, true]);
    let (name, created) = (stack.tiers[2].names()[0], stack.head(2, stack.tiers[2].names()[0]).unwrap().created);
    assert_eq!(stack.tiers[2].expires_at(name), Some(created + 60_000));
    stack.tiers.iter().for_each(MemoryTier::wipe);
    acme.insert("large", support::noise(2_000)).await.unwrap();
    assert_eq!(stack.held(), [false, false, true], "too heavy for the near tier");
}

#[tokio::test(start_paused = true)]
async fn tiers_that_make_no_sense_are_refused_by_name() {
    let store = SharedStore::new(1);
    let (node, other) = (store.node(), store.node());
    let plain = |name: &str| TierParts::new(MemoryTier::new(name));
    let journal = |name: &str| MemoryTier::new(name).with_journal();
    let not_ours = || TierParts::new(MemoryTier::new("s3").shared(true)).with_coordinator(store.node().coordinator());
    for (tiers, refusal) in [
        (vec![plain("memory")], "a tier is named \"memory\"; there is one memory"),
        (vec![plain("disk"), plain("disk")], "there are two tiers named \"disk\""),
        (vec![node.parts(), other.parts()], "there are two tiers named \"shared\""),
        (vec![TierParts::new(node.tier())], "the tier \"shared\" comes without the coordinator that grants its leases"),
        (
            vec![plain("disk").with_coordinator(node.coordinator())],
            "which nodes share, comes with the tier \"disk\", which they do not",
        ),
        (vec![not_ours(), node.parts()], "the tiers \"s3\" and \"shared\" bring a coordinator each"),
        (vec![journal("disk"), journal("ssd")], "the tiers \"disk\" and \"ssd\" bring a journal of marks each"),
        ((0..9).map(|n| plain(&format!("t{n}"))).collect(), "there are 9 tiers below memory but must be at most 8"),
    ] {
        let error = tiers.into_iter().fold(builder(), CacheBuilder::tier).build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(refusal), "{refusal}: {error}");
    }
    for (tier, deadline, refusal) in [
        ("redis", seconds(1), "tier_deadline names \"redis\", but there is no such tier"),
        ("memory", seconds(1), "tier_deadline names \"memory\", but there is no such tier"),
        ("disk", seconds(0), "tier_deadline of \"disk\" must be more than 0"),
    ] {
        let error = builder().tier(plain("disk")).tier_deadline(tier, deadline).build().await.unwrap_err();
        assert!(error.message().contains(refusal), "{refusal}: {error}");
    }
}

/// A value is read, lost from memory, found again and invalidated, whatever the order.
#[tokio::test(start_paused = true)]
async fn any_order_of_tiers_works() {
    for order in 0..6_usize {
        let store = SharedStore::new(1);
        let node = store.node();
        let disk = MemoryTier::new("disk").persistent(true);
        let far = MemoryTier::unfenced("far").persistent(true).shared(true);
        let mut parts = vec![node.parts(), disk.with_journal(), TierParts::new(far.clone())];
        let first = parts.remove(order % 3);
        if order >= 3 {
            parts.reverse();
        }
        let names: Vec<String> = std::iter::once(&first).chain(&parts).map(|p| p.tier.name().to_owned()).collect();
        let builder = parts.into_iter().fold(builder().default_policy(POLICY).tier(first), CacheBuilder::tier);
        let cache = builder.build().await.unwrap();
        let acme = tenant(&cache, "acme");
        let loads = Loads::default();
        for (round, change) in ["key", "tag", "tenant"].into_iter().enumerate() {
            let ns = acme.with_tag("t");
            assert_eq!(read(&ns, "k", &loads).await, round + 1, "{names:?}");
            settle().await;
            sleep(seconds(1)).await;
            assert_eq!(read(&ns, "k", &loads).await, round + 1, "{names:?}: found below");
            let held = (store.entries().len(), disk.names().len(), far.names().len());
            assert_eq!(held, (1, 1, 1), "{names:?}");
            match change {
                "key" => acme.invalidate("k").await.unwrap(),
                "tag" => acme.invalidate_tag("t").await.unwrap(),
                _ => acme.clear().await.unwrap(),
            };
            assert!(acme.get::<usize>("k").await.is_none(), "{names:?}, {change}");
        }
        let told: Vec<String> = cache.stats().tiers.iter().skip(1).map(|tier| tier.name.clone()).collect();
        assert_eq!(told, names);
        cache.close().await.unwrap();
    }
}
