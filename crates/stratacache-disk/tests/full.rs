//! Devices that are full or refuse writes, on a file system in memory of 8 MiB; needs the right to mount.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a helper that fails ends the test; seeds are printed

mod common;

use common::{content, mark, name, open, segment_bytes, small, version_of};
use stratacache_core::tier::{PutOutcome, RemoveMany, Tier as _, TierErrorKind};
use stratacache_disk::Disk;
use stratacache_testkit::device::SmallDevice;

/// `None` where this process may not mount.
fn device() -> Option<SmallDevice> {
    SmallDevice::mount(8 << 20).inspect_err(|error| println!("skipped, cannot mount: {error}")).ok()
}

#[tokio::test]
async fn a_full_device_makes_the_tier_smaller_and_neither_forgets_removals_nor_marks() {
    let Some(device) = device() else { return };
    let dir = device.path().join("d");
    // a capacity that the device cannot hold
    let disk = open(small(&dir).capacity(64 << 20).max_entry(1 << 20)).await;
    for n in 0..4_000 {
        disk.put(n, content(n, 1, 4_000)).await;
    }
    assert!(disk.count(3_900..4_000).await == 100, "the newest are there");
    let incarnation = disk.incarnation();

    // somebody else takes the room that is left
    device.fill();
    let mut full = 0;
    for n in 4_000..8_000 {
        match disk.try_put(n, content(n, 1, 4_000), common::NEVER, None).await {
            PutOutcome::Stored => {}
            PutOutcome::Failed(error) => {
                assert_eq!(error.kind(), TierErrorKind::Full, "{error}");
                full += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    println!("{full} of 4000 puts found no room");
    let alive: Vec<u64> = {
        let mut alive = Vec::new();
        for n in 0..8_000 {
            if let Some(bytes) = disk.get(n).await {
                assert_eq!(version_of(n, &bytes), 1);
                alive.push(n);
            }
        }
        alive
    };
    assert!(!alive.is_empty(), "reads go on");
    let removed: Vec<u64> = alive.iter().copied().step_by(2).collect();
    let names = removed.iter().copied().map(name).collect();
    let results = disk.tier.remove_many(RemoveMany::new(names)).await.unwrap();
    assert!(results.iter().all(Result::is_ok), "a removal needs no room");
    let marked =
        (1..=2_000).filter(|seq| disk.journal.append(&mark(*seq, *seq, 1, incarnation)).is_ok()).count() as u64;
    println!("{} entries were left, {} removed, {marked} marks kept", alive.len(), removed.len());
    drop(disk);

    device.free();
    let disk = open(small(&dir).capacity(64 << 20).max_entry(1 << 20)).await;
    assert_eq!(disk.incarnation(), incarnation);
    for n in removed {
        assert!(disk.get(n).await.is_none(), "{n} was removed");
    }
    let snapshot = disk.journal.load().unwrap();
    assert_eq!(snapshot.marks.len() as u64, marked);
    for n in 8_000..8_500 {
        disk.put(n, content(n, 1, 4_000)).await;
    }
    disk.close().await;
}

#[tokio::test]
async fn with_nothing_to_evict_a_removal_overwrites_the_entry_in_place() {
    let Some(device) = device() else { return };
    let dir = device.path().join("d");
    let disk = open(small(&dir).capacity(64 << 20)).await;
    for n in 0..1_000 {
        disk.put(n, content(n, 1, 100)).await;
        disk.put(n, content(n, 2, 50)).await;
    }
    assert_eq!(common::files(&dir, ".seg").len(), 1, "the one that is written to is not evicted");
    device.fill();
    // far more removals than fit behind the last record in its page
    for n in 0..900 {
        disk.remove(n).await.unwrap();
        assert!(disk.get(n).await.is_none());
    }
    let before = disk.incarnation();
    drop(disk);
    device.free();
    let disk = open(small(&dir).capacity(64 << 20)).await;
    assert_eq!(disk.incarnation(), before);
    assert_eq!(disk.count(0..900).await, 0, "neither the last version nor the one before");
    assert_eq!(disk.count(900..1_000).await, 100);
    disk.close().await;
}

#[tokio::test]
async fn a_tier_recovers_by_itself_when_there_is_room_again() {
    let Some(device) = device() else { return };
    let dir = device.path().join("d");
    let disk = open(small(&dir).capacity(64 << 20).max_entry(1 << 20)).await;
    disk.put(1, content(1, 1, 1_000)).await;
    device.fill();
    let mut failures = 0;
    for n in 100..150 {
        if let PutOutcome::Failed(error) = disk.try_put(n, content(n, 1, 500_000), common::NEVER, None).await {
            assert_eq!(error.kind(), TierErrorKind::Full);
            failures += 1;
        }
    }
    assert!(failures > 40, "{failures}");
    assert!(segment_bytes(&dir) < 1 << 20, "what failed to be written takes no room");
    device.free();
    for n in 200..210 {
        disk.put(n, content(n, 1, 500_000)).await;
        assert!(disk.get(n).await.is_some());
    }
    disk.tier.ping().await.unwrap();
    disk.close().await;
    let disk = open(small(&dir).capacity(64 << 20).max_entry(1 << 20)).await;
    assert_eq!(disk.count(200..210).await, 10);
    assert_eq!(disk.count(100..150).await, 50 - failures, "what failed did not come back");
    disk.close().await;
}

#[tokio::test]
async fn a_device_that_refuses_new_files_is_unavailable_and_reads_go_on() {
    let Some(device) = device() else { return };
    let dir = device.path().join("d");
    drop({
        let disk = open(small(&dir)).await;
        disk.put(1, content(1, 1, 1_000)).await;
        disk
    });
    device.set_read_only(true);
    let error = small(&dir).open().await.unwrap_err();
    assert_eq!(error.kind(), stratacache_core::ErrorKind::Unavailable, "{error}");
    device.set_read_only(false);
    let disk = open(small(&dir)).await;
    assert!(disk.get(1).await.is_some(), "the refused opening emptied nothing");
    disk.close().await;
}

#[tokio::test]
async fn a_device_without_room_for_the_journal_is_refused_as_full() {
    let Some(device) = device() else { return };
    let dir = device.path().join("d");
    std::fs::create_dir(&dir).unwrap();
    device.fill();
    let error = Disk::open(&dir).await.unwrap_err();
    assert_eq!(error.kind(), stratacache_core::ErrorKind::Full, "{error}");
}
