//! Bytes, numbers and time are bounded.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a helper that fails ends the test; seeds are printed

mod common;

use std::sync::Arc;

use common::{NEVER, content, name, open, seed, segment_bytes, small, version_of};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stratacache_core::tier::{GetMany, PutOutcome, Tier as _};

#[tokio::test]
async fn the_files_never_exceed_the_capacity_whatever_is_written_and_removed() {
    let seed = seed();
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut worst = 0;
    for step in 0..6_000_u64 {
        let n = rng.random_range(0..2_000);
        match rng.random_range(0..10) {
            0 => disk.remove(n).await.unwrap(),
            1..=3 => {
                if let Some(bytes) = disk.get(n).await {
                    version_of(n, &bytes);
                }
            }
            _ => {
                // some are larger than a segment
                let length = if rng.random_ratio(1, 200) { 60_000 } else { rng.random_range(16..3_000) };
                disk.put(n, content(n, step, length)).await;
                assert_eq!(disk.get(n).await.map(|bytes| version_of(n, &bytes)), Some(step));
            }
        }
        worst = worst.max(segment_bytes(dir.path()));
    }
    println!("at most {worst} bytes of {}", 1 << 20);
    assert!(worst <= 1 << 20, "{worst}");
    assert!(worst > 900 << 10, "most of the capacity is used: {worst}");
    disk.close().await;
    assert!(segment_bytes(dir.path()) <= 1 << 20);
}

#[tokio::test]
async fn live_bytes_are_counted_exactly_across_replacement_removal_expiry_eviction_and_restart() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    let record = |length: u64| 48 + length;
    disk.put(1, content(1, 0, 1000)).await;
    disk.put(1, content(1, 1, 500)).await;
    disk.put(2, content(2, 0, 300)).await;
    assert!(matches!(disk.try_put(3, content(3, 0, 200), 5_000, None).await, PutOutcome::Stored));
    assert_eq!(disk.tier.used_bytes(), Some(record(500) + record(300) + record(200)));
    disk.remove(2).await.unwrap();
    disk.journal.tick(5_000, 0).unwrap();
    assert_eq!(disk.tier.used_bytes(), Some(record(500)));
    disk.close().await;

    let disk = open(small(dir.path())).await;
    assert_eq!(disk.tier.used_bytes(), Some(record(500)));
    for n in 100..2_000 {
        disk.put(n, content(n, 0, 1000)).await;
    }
    let alive = disk.count(0..2_000).await as u64;
    assert_eq!(disk.tier.used_bytes(), Some(alive * record(1000)), "{alive}");
    assert!(alive > 800);
    disk.close().await;
}

#[tokio::test]
async fn an_expired_entry_is_not_returned_and_leaves_without_being_read() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    for n in 0..100 {
        let expires_at = if n % 2 == 0 { 1_500 } else { 1_501 };
        assert!(matches!(disk.try_put(n, content(n, 0, 100), expires_at, None).await, PutOutcome::Stored));
    }
    disk.journal.tick(1_499, 0).unwrap();
    assert_eq!(disk.count(0..100).await, 100);
    disk.journal.tick(1_500, 0).unwrap();
    assert_eq!(disk.count(0..100).await, 50, "to the millisecond");
    disk.journal.tick(2_000, 0).unwrap();
    assert_eq!(disk.tier.used_bytes(), Some(0), "nobody had to read them");
    // the time never goes back, and a restart remembers it
    disk.journal.tick(10, 0).unwrap();
    assert!(matches!(disk.try_put(7, content(7, 0, 100), 1_500, None).await, PutOutcome::Stored));
    assert!(disk.get(7).await.is_none());
    disk.close().await;
    let disk = open(small(dir.path())).await;
    assert_eq!(disk.journal.load().unwrap().time, 2_000);
    assert_eq!(disk.count(0..100).await, 0);
    disk.close().await;
}

#[tokio::test]
async fn the_oldest_are_evicted_and_what_was_read_gets_a_second_chance() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    let hot = 0..12;
    for n in hot.clone() {
        disk.put(n, content(n, 0, 500)).await;
    }
    for n in 1_000..8_000 {
        disk.put(n, content(n, 0, 500)).await;
        if n % 100 == 0 {
            assert_eq!(disk.count(hot.clone()).await, 12, "{n}");
        }
    }
    assert_eq!(disk.count(1_000..2_000).await, 0, "never read, long evicted");
    assert_eq!(disk.count(7_900..8_000).await, 100);
    disk.close().await;
}

#[tokio::test]
async fn the_number_of_entries_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path()).max_entries(500)).await;
    for n in 0..3_000 {
        disk.put(n, content(n, 0, 20)).await;
        assert!(disk.tier.used_bytes().unwrap() <= 500 * 68);
    }
    assert!(disk.count(2_990..3_000).await == 10);
    disk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_that_write_read_remove_and_evict_leave_exact_counts_and_see_whole_values() {
    let seed = seed();
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(open(small(dir.path())).await);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..6 {
        let disk = disk.clone();
        tasks.spawn(async move {
            let mut rng = StdRng::seed_from_u64(seed + task);
            let mut hits = 0;
            for step in 0..1_500_u64 {
                let n = rng.random_range(0..900);
                match rng.random_range(0..10) {
                    0 => disk.remove(n).await.unwrap(),
                    1..=3 => disk.put(n, content(n, step, rng.random_range(16..4_000))).await,
                    4 if task == 0 => disk.journal.tick(step, 0).unwrap(),
                    _ => {
                        let names = (0..rng.random_range(1..100)).map(|k| name((n + k) % 900)).collect();
                        let got = disk.tier.get_many(GetMany::new(names)).await.unwrap();
                        for (k, got) in (0..).zip(got) {
                            hits +=
                                u64::from(got.envelope.is_some_and(|bytes| version_of((n + k) % 900, &bytes) < 1_500));
                        }
                    }
                }
            }
            hits
        });
    }
    let mut hits = 0;
    while let Some(done) = tasks.join_next().await {
        hits += done.unwrap();
    }
    println!("{hits} hits");
    let disk = Arc::into_inner(disk).unwrap();
    let mut held = 0;
    for n in 0..900 {
        held += disk.get(n).await.map_or(0, |bytes| 48 + bytes.len() as u64);
    }
    assert_eq!(disk.tier.used_bytes(), Some(held), "seed {seed}: bytes accounted are bytes held");
    assert!(held > 200_000 && hits > 10_000 && segment_bytes(dir.path()) <= 1 << 20);
    disk.close().await;
    let disk = open(small(dir.path())).await;
    assert_eq!(disk.tier.used_bytes(), Some(held), "seed {seed}: and so after a restart");
    disk.close().await;
}

#[tokio::test]
async fn a_lower_capacity_after_a_restart_holds_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path()).capacity(4 << 20)).await;
    for n in 0..3_000 {
        disk.put(n, content(n, 0, 1_000)).await;
    }
    assert!(segment_bytes(dir.path()) > 3 << 20);
    disk.close().await;
    let disk = open(small(dir.path())).await;
    assert!(segment_bytes(dir.path()) <= 1 << 20);
    assert_eq!(disk.count(2_990..3_000).await, 10);
    disk.close().await;
}

#[tokio::test]
async fn knobs_out_of_range_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    for (builder, word) in [
        (small(&path).capacity(1000), "capacity"),
        (small(&path).max_entry(0), "max_entry"),
        (small(&path).max_entry(300 << 10), "max_entry"),
        (small(&path).max_entries(0), "max_entries"),
    ] {
        let error = builder.open().await.unwrap_err();
        assert_eq!(error.kind(), stratacache_core::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(!path.exists(), "a refused builder makes nothing");
    let disk = open(small(&path)).await;
    let capability = disk.tier.capability();
    assert!(capability.fenced && capability.persistent && !capability.shared);
    assert_eq!((capability.max_weight, capability.deadline.as_millis()), (64 << 10, 250));
    assert!(matches!(disk.try_put(1, content(1, 0, (64 << 10) + 1), NEVER, None).await, PutOutcome::TooLarge));
    disk.put(1, content(1, 0, 64 << 10)).await;
    disk.close().await;
}
