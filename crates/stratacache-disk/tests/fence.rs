//! The fence contract of `Tier`.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a helper that fails ends the test; seeds are printed

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use common::{NEVER, content, name, open, seed, small, version_of};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stratacache_core::tier::{GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier as _};

#[tokio::test]
async fn a_put_under_a_fence_from_before_a_removal_stores_nothing_in_every_order_of_the_two() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    // where the removal comes: before the fence is given, between fence and put, after the put
    for (n, removal) in [0_u64, 1, 2].into_iter().enumerate() {
        let n = n as u64;
        disk.put(n, content(n, 0, 100)).await;
        if removal == 0 {
            disk.remove(n).await.unwrap();
        }
        let fence = disk.fence(n).await;
        if removal == 1 {
            disk.remove(n).await.unwrap();
        }
        let outcome = disk.try_put(n, content(n, 1, 100), NEVER, Some(fence)).await;
        if removal == 2 {
            disk.remove(n).await.unwrap();
        }
        assert_eq!(matches!(outcome, PutOutcome::Fenced), removal == 1, "{removal}: {outcome:?}");
        assert_eq!(disk.get(n).await.is_some(), removal == 0, "{removal}");
    }
    disk.close().await;
}

#[tokio::test]
async fn a_removal_of_an_absent_name_voids_its_fence_too() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    let fence = disk.fence(1).await;
    disk.remove(1).await.unwrap();
    assert!(matches!(disk.try_put(1, content(1, 0, 50), NEVER, Some(fence)).await, PutOutcome::Fenced));
    disk.close().await;
}

#[tokio::test]
async fn a_batch_is_answered_item_by_item_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path()).max_entry(1000)).await;
    let void = disk.fence(2).await;
    disk.remove(2).await.unwrap();
    let item = |n, length, fence| PutItem::new(name(n), content(n, 0, length), NEVER, fence);
    let items = vec![item(1, 1000, None), item(2, 10, Some(void)), item(3, 1001, None), item(4, 16, None)];
    let outcomes = disk.tier.put_many(PutMany::new(items)).await.unwrap();
    use PutOutcome::{Fenced, Stored, TooLarge};
    assert!(matches!(outcomes[..], [Stored, Fenced, TooLarge, Stored]), "{outcomes:?}");
    let got = disk.tier.get_many(GetMany::new([4, 3, 2, 1].map(name).to_vec())).await.unwrap();
    let there: Vec<bool> = got.iter().map(|got| got.envelope.is_some()).collect();
    assert_eq!(there, [true, false, false, true]);
    assert!(got.iter().all(|got| got.fence.is_some()));
    let fences = disk.tier.get_many(GetMany::fences(vec![name(4)])).await.unwrap();
    assert!(fences[0].envelope.is_none() && fences[0].fence == got[0].fence);
    let removed = disk.tier.remove_many(RemoveMany::new([1, 9, 4, 4].map(name).to_vec())).await.unwrap();
    assert!(removed.len() == 4 && removed.iter().all(Result::is_ok));
    assert_eq!(disk.tier.used_bytes(), Some(0));
    disk.close().await;
}

#[tokio::test]
async fn a_read_of_many_names_is_the_same_as_many_reads() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    for n in (0..300).step_by(3) {
        disk.put(n, content(n, n, 1_000)).await;
    }
    let got = disk.tier.get_many(GetMany::new((0..300).map(name).collect())).await.unwrap();
    assert_eq!(got.len(), 300);
    for (n, got) in (0..300).zip(got) {
        assert_eq!(got.envelope, disk.get(n).await);
        assert_eq!(got.envelope.is_some(), n % 3 == 0);
        assert_eq!(got.fence, Some(disk.fence(n).await));
    }
    disk.close().await;
}

/// Loaders read a source and store under a fence while others change the source and remove: after a removal nobody ever
/// reads an older value.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_sees_what_was_loaded_before_a_removal_that_has_returned() {
    const NAMES: u64 = 3;
    let seed = seed();
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(open(small(dir.path())).await);
    let source: Arc<Vec<AtomicU64>> = Arc::new((0..NAMES).map(|_| AtomicU64::new(1)).collect());
    let stored = Arc::new(AtomicU64::new(0));
    let fenced = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..6 {
        let (disk, source) = (disk.clone(), source.clone());
        let (stored, fenced) = (stored.clone(), fenced.clone());
        tasks.spawn(async move {
            let mut rng = StdRng::seed_from_u64(seed + task);
            for _ in 0..400 {
                let n = rng.random_range(0..NAMES);
                if task < 4 {
                    let fence = disk.fence(n).await;
                    let version = source[n as usize].load(Ordering::SeqCst);
                    for _ in 0..rng.random_range(0..4) {
                        tokio::task::yield_now().await;
                    }
                    match disk.try_put(n, content(n, version, 200), NEVER, Some(fence)).await {
                        PutOutcome::Stored => stored.fetch_add(1, Ordering::Relaxed),
                        PutOutcome::Fenced => fenced.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other:?}"),
                    };
                } else {
                    let version = source[n as usize].fetch_add(1, Ordering::SeqCst) + 1;
                    disk.remove(n).await.unwrap();
                    if let Some(bytes) = disk.get(n).await {
                        let seen = version_of(n, &bytes);
                        assert!(seen >= version, "seed {seed}: version {seen} after the removal of {version}");
                    }
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let (stored, fenced) = (stored.load(Ordering::Relaxed), fenced.load(Ordering::Relaxed));
    println!("{stored} stored, {fenced} fenced");
    assert!(stored > 0 && fenced > 0, "the tasks never met");
    Arc::into_inner(disk).unwrap().close().await;
}
