//! Changing values on one node: counters, functions of what there is, taking.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests, with tasks of their own

mod support;

use std::{
    convert::Infallible,
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use stratacache::tier::TierParts;
use stratacache::{Cache, ErrorKind, Keyspace, Local, MemoryForm, Namespace, Policy, minutes, seconds};
use stratacache_testkit::{
    faulty::{Fault, Faults, FaultyTier, On},
    tiers::MemoryTier,
};
use support::{cache, tenant};
use tokio::time::advance;

async fn acme() -> (Cache, Namespace) {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    (cache, acme)
}

/// Runs so many at once, each a task, and waits for all.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    task: impl Fn(usize) -> F,
) -> Vec<T> {
    let tasks: Vec<_> = (0..count).map(|n| tokio::spawn(task(n))).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_increments_at_once_are_ten_thousand() {
    let (_cache, acme) = acme().await;
    let mut counts = at_once(10_000, |_| {
        let acme = acme.clone();
        async move { acme.increment("n", 1_u64).await.unwrap() }
    })
    .await;
    counts.sort_unstable();
    assert!(counts.into_iter().eq(1..=10_000), "each step has its own count");
    assert_eq!(acme.get::<u64>("n").await.as_deref(), Some(&10_000));
}

/// The line of a key ends and begins all the time: who comes while it ends is not lost with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_that_come_one_by_one_from_several_threads_are_all_made() {
    let (_cache, acme) = acme().await;
    at_once(4, |_| {
        let acme = acme.clone();
        async move {
            for _ in 0..3_000 {
                acme.increment("n", 1_u64).await.unwrap();
            }
        }
    })
    .await;
    assert_eq!(acme.get::<u64>("n").await.as_deref(), Some(&12_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_under_64_writers_loses_nothing() {
    let (_cache, acme) = acme().await;
    at_once(64, |writer| {
        let acme = acme.clone();
        async move {
            for n in 0..20 {
                let add = move |all: Option<&Vec<usize>>| {
                    Some(all.into_iter().flatten().copied().chain([writer * 100 + n]).collect())
                };
                acme.update::<Vec<usize>>("all", add).await.unwrap().unwrap();
            }
        }
    })
    .await;
    let all = acme.get::<Vec<usize>>("all").await.unwrap();
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!((all.len(), sorted.len()), (64 * 20, 64 * 20));
    let of_one: Vec<usize> = all.iter().copied().filter(|n| n / 100 == 7).collect();
    assert!(of_one.is_sorted(), "one after the other");
}

#[tokio::test(start_paused = true)]
async fn a_counter_keeps_its_ttl_and_its_tags() {
    let (_cache, acme) = acme().await;
    let policy = Policy::ttl(seconds(10)).jitter(0.0);
    assert_eq!(acme.increment("n", 5_i64).policy(policy).tag("t").await.unwrap(), 5);
    advance(seconds(6)).await;
    assert_eq!(acme.increment("n", 5_i64).policy(policy).await.unwrap(), 10);
    assert_eq!(acme.get::<i64>("n").await.unwrap().fresh_for(), seconds(4));
    advance(seconds(5)).await;
    assert_eq!(acme.increment("n", 5_i64).policy(policy).tag("t").await.unwrap(), 5, "it had ended");
    assert_eq!(acme.increment("n", 5_i64).policy(policy).await.unwrap(), 10);
    acme.invalidate_tag("t").await.unwrap();
    assert!(acme.get::<i64>("n").await.is_none());
    assert_eq!(acme.increment("n", 1_i64).await.unwrap(), 1);
}

#[tokio::test]
async fn a_counter_that_would_overflow_is_an_error_and_as_it_was() {
    let (_cache, acme) = acme().await;
    acme.insert("n", i32::MAX - 1).await.unwrap();
    assert_eq!(acme.increment("n", 1_i32).await.unwrap(), i32::MAX);
    assert_eq!(acme.increment("n", 1_i32).await.unwrap_err().kind(), ErrorKind::OutOfRange);
    assert_eq!(acme.get::<i32>("n").await.as_deref(), Some(&i32::MAX));
    assert_eq!(acme.decrement("u", 1_u32).await.unwrap_err().kind(), ErrorKind::OutOfRange);
    assert!(acme.get::<u32>("u").await.is_none(), "nothing was made");
    assert_eq!(acme.decrement("n", i32::MAX).await.unwrap(), 0);
}

#[tokio::test]
async fn a_change_that_panics_is_an_error_and_those_behind_it_go_on() {
    let (_cache, acme) = acme().await;
    let all = at_once(3, |n| {
        let acme = acme.clone();
        async move {
            let step = move |old: Option<&u32>| {
                assert_ne!(n, 1, "the one in the middle");
                Some(old.map_or(1, |old| old + 1))
            };
            acme.update("n", step).await.map(|value| value.map(|value| *value))
        }
    })
    .await;
    assert_eq!(all.iter().filter(|result| result.is_ok()).count(), 2);
    assert_eq!(all[1].as_ref().unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(acme.get::<u32>("n").await.as_deref(), Some(&2));
}

#[tokio::test]
async fn a_change_to_nothing_leaves_what_is_there() {
    let (_cache, acme) = acme().await;
    assert!(acme.update::<u32>("n", |_| None).await.unwrap().is_none());
    acme.insert("n", 3_u32).await.unwrap();
    assert_eq!(acme.update::<u32>("n", |_| None).await.unwrap().as_deref(), Some(&3));
}

#[tokio::test]
async fn one_of_many_inserts_what_is_absent_and_all_get_the_same() {
    let (_cache, acme) = acme().await;
    let inserted = at_once(50, |n| {
        let acme = acme.clone();
        async move { acme.insert_if_absent("first", n).await.unwrap() }
    })
    .await;
    assert_eq!(inserted.iter().filter(|inserted| **inserted).count(), 1);
    let got = at_once(50, |n| {
        let acme = acme.clone();
        async move { *acme.get_or_insert("same", n).await.unwrap() }
    })
    .await;
    assert!(got.iter().all(|n| *n == got[0]));
    assert!(!acme.insert_if_absent("first", 99_usize).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_takes_a_value() {
    let (_cache, acme) = acme().await;
    for round in 0..50_u32 {
        acme.insert("k", round).await.unwrap();
        let taken = at_once(4, |_| {
            let acme = acme.clone();
            async move { acme.take::<u32>("k").await.unwrap().map(|value| *value) }
        })
        .await;
        assert_eq!(taken.into_iter().flatten().collect::<Vec<_>>(), [round]);
        assert!(acme.get::<u32>("k").await.is_none());
    }
}

#[tokio::test]
async fn a_load_under_way_does_not_overwrite_a_change() {
    let (_cache, acme) = acme().await;
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let loading = tokio::spawn({
        let acme = acme.clone();
        async move {
            let load = async move || {
                gone.await.unwrap();
                Ok::<_, Infallible>(100_u32)
            };
            *acme.get_or_load("n", load).await.unwrap()
        }
    });
    support::settle().await;
    assert_eq!(acme.increment("n", 1_u32).await.unwrap(), 1);
    go.send(()).unwrap();
    loading.await.unwrap();
    assert_eq!(acme.get::<u32>("n").await.as_deref(), Some(&1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_during_changes_is_counted_on() {
    let (_cache, acme) = acme().await;
    for round in 0..300_u64 {
        let stepping = tokio::spawn({
            let acme = acme.clone();
            async move { acme.increment("n", 1_u64).await.unwrap() }
        });
        let base = 1_000 * (round + 1);
        acme.insert("n", base).await.unwrap();
        let stepped = stepping.await.unwrap();
        let there = *acme.get::<u64>("n").await.unwrap();
        let after = stepped == base + 1 && there == base + 1;
        assert!(after || there == base && stepped < base, "round {round}: {stepped}, then {there}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_after_an_invalidation_never_sees_what_was_invalidated() {
    let (_cache, acme) = acme().await;
    for round in 0..300_u64 {
        acme.insert("n", 1_000_u64).tag("t").await.unwrap();
        let stepping = tokio::spawn({
            let acme = acme.clone();
            async move { acme.increment("n", 1_u64).await.unwrap() }
        });
        match round % 3 {
            0 => acme.invalidate("n").await.unwrap(),
            1 => acme.invalidate_tag("t").await.unwrap(),
            _ => acme.clear().await.unwrap(),
        };
        let during = stepping.await.unwrap();
        let then = acme.increment("n", 1_u64).await.unwrap();
        assert!([1, 1_001].contains(&during), "{during}");
        assert!([1, 2].contains(&then), "round {round}: {during}, then {then}");
    }
}

/// A cache over a tier of its own that can be stopped.
async fn with_tier() -> (Cache, Namespace, Faults) {
    let (tier, faults) = FaultyTier::new(MemoryTier::new("disk").persistent(true).deadline(minutes(1)), 7);
    let cache = support::builder().tier(TierParts::new(tier)).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    (cache, acme, faults)
}

#[tokio::test(start_paused = true)]
async fn a_change_waits_for_an_insert_under_way_and_is_made_of_it() {
    let (_cache, acme, faults) = with_tier().await;
    acme.increment("n", 1_u64).await.unwrap();
    faults.next(1, On::Put, Fault::Hang);
    let inserting = tokio::spawn({
        let acme = acme.clone();
        async move { acme.insert("n", 1_000_u64).await.unwrap() }
    });
    faults.until_hanging(1).await;
    let stepping = tokio::spawn({
        let acme = acme.clone();
        async move { acme.increment("n", 1_u64).await.unwrap() }
    });
    support::settle().await;
    faults.release();
    inserting.await.unwrap();
    assert_eq!(stepping.await.unwrap(), 1_001);
    assert_eq!(acme.get::<u64>("n").await.as_deref(), Some(&1_001));
}

#[tokio::test(start_paused = true)]
async fn an_insert_waits_for_a_change_under_way_and_takes_its_place() {
    let (_cache, acme, faults) = with_tier().await;
    for stop in [On::Remove, On::Get, On::Put] {
        acme.insert("n", 1_u64).await.unwrap();
        faults.next(1, stop, Fault::Hang);
        let stepping = tokio::spawn({
            let acme = acme.clone();
            async move { acme.increment("n", 1_u64).await.unwrap() }
        });
        faults.until_hanging(1).await;
        let inserting = tokio::spawn({
            let acme = acme.clone();
            async move { acme.insert("n", 1_000_u64).await.unwrap() }
        });
        support::settle().await;
        faults.release();
        assert_eq!(stepping.await.unwrap(), 2, "{stop:?}");
        assert!(!inserting.await.unwrap().is_superseded(), "{stop:?}");
        assert_eq!(acme.get::<u64>("n").await.as_deref(), Some(&1_000), "{stop:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_invalidated_while_a_change_is_written_beats_it() {
    let (_cache, acme, faults) = with_tier().await;
    for stop in [On::Remove, On::Get, On::Put] {
        acme.insert("n", 10_u64).tag("t").await.unwrap();
        faults.next(1, stop, Fault::Hang);
        let stepping = tokio::spawn({
            let acme = acme.clone();
            async move { acme.increment("n", 1_u64).await.unwrap() }
        });
        faults.until_hanging(1).await;
        acme.invalidate_tag("t").await.unwrap();
        faults.release();
        let stepped = stepping.await.unwrap();
        let there = acme.get::<u64>("n").await.map(|n| *n);
        assert!([(11, None), (1, Some(1))].contains(&(stepped, there)), "{stop:?}: {stepped}, {there:?}");
        assert!(acme.increment("n", 1_u64).await.unwrap() <= 2, "{stop:?}");
    }
}

#[tokio::test]
async fn tenants_and_namespaces_count_apart() {
    let cache = cache().await;
    let (acme, other) = (tenant(&cache, "acme"), tenant(&cache, "other"));
    for ns in [&acme, &other, &acme.namespace("x")] {
        assert_eq!(ns.increment("n", 1_u32).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn values_without_an_encoding_and_encoded_memory_are_changed_as_well() {
    struct Opaque(u32);
    const PACKED: Keyspace<str, Vec<u32>> =
        Keyspace::new("packed", Policy::ttl(minutes(5))).memory_form(MemoryForm::Encoded);
    let (_cache, acme) = acme().await;
    for n in 1..=3 {
        let step = |old: Option<&Local<Opaque>>| Some(Local(Opaque(old.map_or(1, |old| old.0.0 + 1))));
        assert_eq!(acme.update("k", step).await.unwrap().unwrap().0.0, n);
        let add = move |old: Option<&Vec<u32>>| Some(old.into_iter().flatten().copied().chain([n]).collect());
        acme.update(PACKED.key("k"), add).await.unwrap();
    }
    assert_eq!(*acme.get(PACKED.key("k")).await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_a_whole_change() {
    let (_cache, acme) = acme().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let step = {
        let runs = Arc::clone(&runs);
        move |_: Option<&u32>| {
            runs.fetch_add(1, SeqCst);
            Some(7)
        }
    };
    {
        let mut change = Box::pin(acme.update("n", step).into_future());
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(change.as_mut().poll(cx).is_pending())).await;
        assert!(polled);
    }
    support::settle().await;
    assert_eq!(runs.load(SeqCst), 1);
    assert_eq!(acme.get::<u32>("n").await.as_deref(), Some(&7));
}

#[tokio::test]
async fn after_close_a_change_says_so() {
    let (cache, acme) = acme().await;
    cache.close().await.unwrap();
    assert_eq!(acme.increment("n", 1_u32).await.unwrap_err().kind(), ErrorKind::Closed);
}
