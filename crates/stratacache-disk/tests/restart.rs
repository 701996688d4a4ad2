//! What a restart keeps, and when it must not.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a helper that fails ends the test; seeds are printed

mod common;

use std::os::unix::fs::FileExt as _;

use common::{NEVER, content, files, mark, open, seed, small, version_of};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stratacache_core::{
    EntryName, Scope,
    coordinator::{Applied, Marked, ScopeKind, Strength},
    stamp::{Lane, Position},
    tier::{GetMany, PutItem, PutMany, Tier as _},
};
use stratacache_disk::DiskBuilder;

/// Bytes of a segment before its first record.
const START: u64 = 32;

/// Fills a store and leaves it, with or without closing it.
async fn run_before(builder: DiskBuilder, close: bool) -> stratacache_core::stamp::Incarnation {
    let disk = open(builder).await;
    for n in 0..200 {
        disk.put(n, content(n, 1, 700)).await;
    }
    for n in 0..50 {
        disk.put(n, content(n, 2, 300)).await;
    }
    for n in 40..80 {
        disk.remove(n).await.unwrap();
    }
    let incarnation = disk.incarnation();
    disk.journal.reserve(1_000).unwrap();
    for seq in 1..=30 {
        disk.journal.append(&mark(seq, seq % 10, seq * 100, incarnation)).unwrap();
    }
    disk.journal.tick(5_000, 1_200).unwrap();
    if close {
        disk.close().await;
    }
    incarnation
}

#[tokio::test]
async fn entries_removals_marks_floors_time_and_incarnation_survive_with_and_without_a_close() {
    for close in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let incarnation = run_before(small(dir.path()), close).await;
        let disk = open(small(dir.path())).await;
        for n in 0..200 {
            let version = disk.get(n).await.map(|bytes| version_of(n, &bytes));
            let expected = if (40..80).contains(&n) { None } else { Some(if n < 50 { 2 } else { 1 }) };
            assert_eq!(version, expected, "{n}");
        }
        let snapshot = disk.journal.load().unwrap();
        assert_eq!((snapshot.incarnation, snapshot.ceiling, snapshot.time), (incarnation, 1_000, 5_000));
        // tags 0 to 9 were marked three times each: the last is kept
        let mut seqs: Vec<u64> = snapshot.marks.iter().map(|mark| mark.seq).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (21..=30).collect::<Vec<_>>());
        assert!(snapshot.floors.iter().all(|floor| *floor == 0), "every mark from before 1200 had a newer one");
        disk.journal.tick(6_000, 2_550).unwrap();
        let snapshot = disk.journal.load().unwrap();
        assert_eq!((snapshot.floors[3], snapshot.marks.len()), (25, 5));
        drop(disk);
        let disk = open(small(dir.path())).await;
        let snapshot = disk.journal.load().unwrap();
        assert_eq!((snapshot.floors[3], snapshot.marks.len(), snapshot.time), (25, 5, 6_000));
        disk.close().await;
    }
}

#[tokio::test]
async fn many_restarts_keep_everything_and_do_not_add_files() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..30 {
        let disk = open(small(dir.path())).await;
        disk.put(run, content(run, run, 100)).await;
        assert_eq!(disk.count(0..30).await as u64, run + 1);
        if run % 3 == 0 {
            disk.close().await;
        }
    }
    assert_eq!(files(dir.path(), ".seg").len(), 1);
}

#[tokio::test]
async fn names_and_envelopes_are_any_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<EntryName> = [[0; 16], [255; 16], *b"../../etc/passwd", *b"\n\0*?[]\\'\"$;|& /x", [128; 16]]
        .into_iter()
        .map(EntryName::from_bytes)
        .collect();
    let envelope = |n: usize| bytes::Bytes::from(vec![n as u8; n * 7]);
    let disk = open(small(dir.path())).await;
    let items = names.iter().enumerate().map(|(n, name)| PutItem::new(*name, envelope(n), NEVER, None)).collect();
    disk.tier.put_many(PutMany::new(items)).await.unwrap();
    disk.close().await;
    let disk = open(small(dir.path())).await;
    let got = disk.tier.get_many(GetMany::new(names)).await.unwrap();
    for (n, got) in got.into_iter().enumerate() {
        assert_eq!(got.envelope, Some(envelope(n)), "the empty envelope too");
    }
    disk.close().await;
}

#[tokio::test]
async fn after_a_loss_of_power_it_opens_empty_with_a_new_incarnation() {
    for (close, durable, kept) in [(false, false, false), (true, false, true), (false, true, true), (true, true, true)]
    {
        let dir = tempfile::tempdir().unwrap();
        let before = run_before(small(dir.path()).durable_invalidations(durable), close).await;
        let disk = open(small(dir.path()).boot_id("another boot")).await;
        assert_eq!(disk.count(0..200).await, if kept { 160 } else { 0 }, "{close} {durable}");
        assert_eq!(disk.incarnation() == before, kept, "{close} {durable}");
        assert_eq!(disk.journal.load().unwrap().marks.is_empty(), !kept);
        disk.close().await;
    }
}

#[tokio::test]
async fn a_machine_that_cannot_name_its_run_counts_as_restarted() {
    let dir = tempfile::tempdir().unwrap();
    run_before(small(dir.path()).boot_id(""), false).await;
    let disk = open(small(dir.path()).boot_id("")).await;
    assert_eq!(disk.count(0..200).await, 0);
    disk.close().await;
}

#[tokio::test]
async fn a_quarantined_store_opens_empty_and_a_restored_one_does_not() {
    for (restore, close) in [(false, false), (false, true), (true, false), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        let disk = open(small(dir.path())).await;
        disk.put(1, content(1, 1, 100)).await;
        let before = disk.incarnation();
        disk.journal.quarantine().unwrap();
        disk.journal.quarantine().unwrap();
        assert!(disk.get(1).await.is_some(), "the quarantine concerns the next run");
        if restore {
            disk.journal.restore().unwrap();
        }
        if close {
            disk.tier.close().await.unwrap();
        }
        drop(disk);
        let disk = open(small(dir.path())).await;
        assert_eq!(disk.get(1).await.is_some(), restore, "{restore} {close}");
        assert_eq!(disk.incarnation() == before, restore);
        disk.close().await;
    }
}

#[tokio::test]
async fn every_flipped_bit_of_a_stored_record_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    // one segment holds them all
    let disk = open(small(dir.path()).capacity(64 << 20)).await;
    disk.put(1_000_000, content(1_000_000, 1, 20)).await;
    let segment = files(dir.path(), ".seg").remove(0);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&segment).unwrap();
    for bit in 0..68 * 8 {
        let at = std::fs::metadata(&segment).unwrap().len() + bit / 8;
        disk.put(bit, content(bit, 1, 20)).await;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ (1 << (bit % 8))], at).unwrap();
        assert!(disk.get(bit).await.is_none(), "bit {bit}");
        assert_eq!(disk.tier.used_bytes(), Some(68), "bit {bit}: it is dropped");
    }
    assert!(disk.get(1_000_000).await.is_some());
    disk.close().await;
}

/// The head of a record says where the next one begins: when it is damaged, removals behind it may be lost.
#[tokio::test]
async fn damage_that_may_hide_a_removal_or_a_mark_empties_the_store_and_damage_of_a_value_does_not() {
    for (what, suffix, at, kept) in
        [("value", ".seg", START + 48 + 5, true), ("head", ".seg", START + 10, false), ("marks", "marks", 40, false)]
    {
        let dir = tempfile::tempdir().unwrap();
        // not closed: the newest segment has no list and is walked
        let before = run_before(small(dir.path()).capacity(64 << 20), false).await;
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&files(dir.path(), suffix)[0]).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        let disk = open(small(dir.path()).capacity(64 << 20)).await;
        // the damaged value is that of name 0, which was replaced: nothing at all is missing
        assert_eq!(disk.count(0..200).await, if kept { 160 } else { 0 }, "{what}");
        assert_eq!(disk.incarnation() == before, kept, "{what}");
        disk.close().await;
    }
}

#[tokio::test]
async fn a_damaged_value_is_dropped_when_the_store_opens_from_its_lists() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    disk.put(1, content(1, 1, 100)).await;
    disk.put(2, content(2, 1, 100)).await;
    disk.close().await;
    let file = std::fs::OpenOptions::new().write(true).open(&files(dir.path(), ".seg")[0]).unwrap();
    file.write_all_at(b"damaged", START + 48 + 30).unwrap();
    let disk = open(small(dir.path())).await;
    assert!(disk.get(1).await.is_none());
    assert!(disk.get(2).await.is_some());
    assert_eq!(disk.tier.used_bytes(), Some(148));
    disk.put(1, content(1, 2, 100)).await;
    assert!(disk.get(1).await.is_some());
    disk.close().await;
}

#[tokio::test]
async fn a_missing_or_foreign_segment_empties_the_store() {
    let fill = |dir: std::path::PathBuf| async move {
        let disk = open(small(&dir)).await;
        for n in 0..500 {
            disk.put(n, content(n, 1, 700)).await;
        }
        disk.close().await;
        files(&dir, ".seg")
    };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (segments, others) = (fill(one.path().to_owned()).await, fill(two.path().to_owned()).await);
    assert!(segments.len() > 10);
    std::fs::remove_file(&segments[4]).unwrap();
    std::fs::copy(&segments[6], &others[6]).unwrap();
    for dir in [one, two] {
        let disk = open(small(dir.path())).await;
        assert_eq!(disk.count(0..500).await, 0);
        disk.put(1, content(1, 1, 10)).await;
        disk.close().await;
    }
}

#[tokio::test]
async fn a_write_that_was_cut_off_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    drop({
        let disk = open(small(dir.path())).await;
        disk.put(1, content(1, 1, 100)).await;
        disk.put(2, content(2, 1, 100)).await;
        disk
    });
    let path = files(dir.path(), ".seg").remove(0);
    for cut in [1, 60, 100, 147] {
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let disk = open(small(dir.path())).await;
        assert!(disk.get(1).await.is_some());
        assert!(disk.get(2).await.is_none());
        disk.put(2, content(2, 1, 100)).await;
    }
}

#[tokio::test]
async fn a_list_that_was_cut_off_and_a_segment_that_was_only_begun_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let before = run_before(small(dir.path()), true).await;
    for cut in [1, 24, 100, 600] {
        let last = files(dir.path(), ".seg").pop().unwrap();
        let length = std::fs::metadata(&last).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&last).unwrap().set_len(length - cut).unwrap();
        let disk = open(small(dir.path())).await;
        assert_eq!(disk.incarnation(), before, "{cut}");
        assert_eq!(disk.count(0..200).await, 160, "{cut}");
        disk.close().await;
    }
    for length in [0, 5, START - 1] {
        let last = files(dir.path(), ".seg").pop().unwrap();
        let id = u32::from_str_radix(last.file_stem().unwrap().to_str().unwrap(), 16).unwrap();
        std::fs::write(dir.path().join(format!("{:08x}.seg", id + 1)), vec![0; length as usize]).unwrap();
        let disk = open(small(dir.path())).await;
        assert_eq!(disk.count(0..200).await, 160, "{length}");
        disk.put(1_000 + length, content(1_000 + length, 1, 2_000)).await;
        drop(disk);
        let disk = open(small(dir.path())).await;
        assert_eq!(disk.count(0..200).await, 160, "{length}");
        assert!(disk.get(1_000 + length).await.is_some());
        disk.close().await;
    }
}

/// Whatever happens to a file, what was removed stays removed and what is served is whole.
#[tokio::test]
async fn no_damage_of_any_file_brings_back_what_was_removed_or_serves_what_was_not_stored() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut kept, mut emptied) = (0, 0);
    for close in [true, false] {
        let original = tempfile::tempdir().unwrap();
        run_before(small(original.path()), close).await;
        for round in 0..150 {
            let dir = tempfile::tempdir().unwrap();
            for file in files(original.path(), "") {
                std::fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
            }
            let mut victims = files(dir.path(), ".seg");
            // a cut at the end of the newest segment cannot be told from a killed process
            let newest = victims.pop().unwrap();
            let cut = rng.random_ratio(1, 3);
            if !cut {
                victims.extend([newest, dir.path().join("marks")]);
            }
            let victim = &victims[rng.random_range(0..victims.len())];
            let mut bytes = std::fs::read(victim).unwrap();
            let at = rng.random_range(0..bytes.len());
            if cut {
                bytes.truncate(at);
            } else {
                let end = bytes.len().min(at + rng.random_range(1..40));
                rng.fill(&mut bytes[at..end]);
            }
            std::fs::write(victim, bytes).unwrap();
            let disk = open(small(dir.path())).await;
            for n in 0..200 {
                let version = disk.get(n).await.map(|bytes| version_of(n, &bytes));
                let allowed = [None, if n < 50 { Some(2) } else { Some(1) }];
                let back = (40..80).contains(&n) && version.is_some();
                // damage of the newest version is a miss or, where the record before is whole, that one
                let older = n < 50 && version == Some(1);
                assert!(
                    !back && (older || allowed.contains(&version)),
                    "seed {seed}, round {round}: {n} has {version:?}"
                );
            }
            if disk.count(0..200).await > 0 {
                kept += 1
            } else {
                emptied += 1
            }
            disk.put(1, content(1, 3, 100)).await;
            disk.close().await;
        }
    }
    println!("{kept} stores kept, {emptied} emptied");
    assert!(kept > 50 && emptied > 50);
}

#[tokio::test]
async fn only_the_marks_that_must_outlive_the_process_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    let marked = |n: u8, kind, strength| Marked::new(Scope::from_bytes([n; 16]), kind, strength, 9);
    let scopes = vec![
        marked(1, ScopeKind::Key, Strength::Hard),
        marked(2, ScopeKind::Key, Strength::Soft),
        marked(3, ScopeKind::Namespace, Strength::Hard),
        marked(3, ScopeKind::Namespace, Strength::Soft),
    ];
    let position = Position { incarnation: disk.incarnation(), seq: 12 };
    disk.journal.append(&Applied::new(Lane::GLOBAL, position, scopes, 77)).unwrap();
    drop(disk);
    let disk = open(small(dir.path())).await;
    let snapshot = disk.journal.load().unwrap();
    let mut kept: Vec<_> = snapshot.marks.iter().map(|m| (m.scope.to_bytes()[0], m.strength, m.tenant, m.at)).collect();
    kept.sort_by_key(|(n, strength, ..)| (*n, *strength == Strength::Soft));
    let expected = [(2, Strength::Soft), (3, Strength::Hard), (3, Strength::Soft)].map(|(n, s)| (n, s, 9, 77));
    assert_eq!(kept, expected);
    assert_eq!(snapshot.ceiling, 13, "no position is used twice, even without a reservation");
    disk.close().await;
}

#[tokio::test]
async fn the_journal_stays_small_however_often_things_are_invalidated() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    let incarnation = disk.incarnation();
    for seq in 1..=20_000 {
        disk.journal.append(&mark(seq, seq % 50, seq, incarnation)).unwrap();
        disk.journal.tick(seq, 0).unwrap();
    }
    let length = std::fs::metadata(dir.path().join("marks")).unwrap().len();
    assert!(length < 80 << 10, "{length}");
    drop(disk);
    let snapshot = open(small(dir.path())).await.journal.load().unwrap();
    assert_eq!((snapshot.marks.len(), snapshot.time), (50, 20_000));
    assert!(snapshot.marks.iter().all(|mark| mark.seq > 19_950));
}

#[tokio::test]
async fn a_name_is_found_after_its_entry_moved_to_another_segment() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    disk.put(1, content(1, 1, 100)).await;
    for n in 1_000..4_000 {
        disk.put(n, content(n, 1, 600)).await;
        assert!(disk.get(1).await.is_some(), "{n}");
    }
    drop(disk);
    let disk = open(small(dir.path())).await;
    assert_eq!(disk.get(1).await.map(|bytes| version_of(1, &bytes)), Some(1));
    disk.remove(1).await.unwrap();
    drop(disk);
    let disk = open(small(dir.path())).await;
    assert!(disk.get(1).await.is_none());
    disk.close().await;
}
