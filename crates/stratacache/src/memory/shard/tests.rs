use std::sync::Arc;

use stratacache_core::{
    NamespacePath, Stamp,
    stamp::{Incarnation, Position},
};

use super::*;
use crate::memory::{Entry, EntryScopes, Held, LookupKey, MapKey, NamespacePrefix, Times};

fn key(n: u64) -> MapKey {
    let prefix = NamespacePrefix::new(NamespacePath::default());
    MapKey::from(LookupKey { prefix: &prefix, key: &n.to_le_bytes() })
}

fn slot(n: u64, weight: u32) -> SlotRef {
    let scopes = Arc::new(EntryScopes::default());
    let nowhere = Position { incarnation: Incarnation(0), seq: 0 };
    let stamp = Stamp { lane: nowhere, global: nowhere, mep: 0, tenant: 0 };
    let mut entry = Entry::new(key(n), &stamp, 0, Times::default(), scopes, None, Held::Own(0_u64));
    entry.meta.weight = weight;
    Arc::new(entry)
}

fn insert(shard: &mut Shard, slot: SlotRef) -> Option<SlotRef> {
    shard.insert(slot.head().key.hash_value(), slot)
}

/// Puts an entry in as a partition with room for `capacity` bytes of entries does.
fn put(shard: &mut Shard, n: u64, weight: u32, capacity: u64) {
    while shard.account().weight + u64::from(weight) > capacity {
        shard.evict().unwrap();
    }
    insert(shard, slot(n, weight));
}

fn read(shard: &Shard, n: u64) -> bool {
    shard.get(&Hashed::stored(&key(n))).is_some()
}

#[test]
fn what_is_read_again_stays_and_a_scan_passes_through() {
    let mut shard = Shard::default();
    for n in 0..100 {
        put(&mut shard, n, 10, 1_000);
    }
    for _ in 0..3 {
        assert!((0..50).all(|n| read(&shard, n)));
    }
    for n in 1_000..10_000 {
        put(&mut shard, n, 10, 1_000);
    }
    assert_eq!((0..50).filter(|n| read(&shard, *n)).count(), 50, "read before the scan");
    assert!(!(50..100).any(|n| read(&shard, n)), "never read");
}

#[test]
fn what_was_evicted_not_long_ago_comes_back_into_the_main_queue() {
    let mut shard = Shard::default();
    for n in 0..200 {
        put(&mut shard, n, 10, 1_000);
    }
    assert!(!read(&shard, 90));
    put(&mut shard, 90, 10, 1_000);
    for n in 200..250 {
        put(&mut shard, n, 10, 1_000);
    }
    assert!(read(&shard, 90));
    assert_eq!(shard.peek(&Hashed::stored(&key(90))).unwrap().meta().queue.load(Relaxed), MAIN);
}

#[test]
fn a_hot_entry_that_is_invalidated_is_as_welcome_when_it_is_loaded_again() {
    let mut shard = Shard::default();
    for round in 0..300 {
        put(&mut shard, 7, 10, 1_000);
        (0..3).for_each(|_| assert!(read(&shard, 7)));
        put(&mut shard, 1_000 + round, 10, 1_000);
    }
    assert!(shard.remove_if(&Hashed::stored(&key(7)), |_| true).is_some());
    insert(&mut shard, slot(7, 10));
    for n in 2_000..2_050 {
        put(&mut shard, n, 10, 1_000);
    }
    assert!(read(&shard, 7));
}

#[test]
fn an_entry_that_takes_the_place_of_another_keeps_its_turn_and_its_reads() {
    let mut shard = Shard::default();
    insert(&mut shard, slot(1, 10));
    read(&shard, 1);
    read(&shard, 1);
    let old = insert(&mut shard, slot(1, 30)).unwrap();
    assert_eq!((old.meta().weight, shard.account().weight, shard.account().entries), (10, 30, 1));
    (2..60).for_each(|n| put(&mut shard, n, 10, 300));
    assert!(read(&shard, 1));
    while shard.evict().is_some() {}
    assert_eq!((shard.account().weight, shard.account().entries), (0, 0));
}

#[test]
fn removed_entries_leave_no_tickets_that_count() {
    let mut shard = Shard::default();
    for round in 0..1_000 {
        for n in 0..20 {
            insert(&mut shard, slot(n, 10));
        }
        for n in 0..20 {
            assert!(shard.remove_if(&Hashed::stored(&key(n)), |_| n != 3 || round % 2 == 0).is_some() || n == 3);
        }
    }
    assert!(shard.account().structure < 4_096, "{:?}", shard.account());
    assert!(shard.evict().is_none_or(|slot| slot.head().key == key(3)));
    assert!(shard.evict().is_none());
}

#[test]
fn a_shard_emptied_of_most_gives_its_blocks_back() {
    let mut shard = Shard::default();
    for n in 0..5_000 {
        insert(&mut shard, slot(n, 100));
    }
    let full = shard.structure();
    for n in 0..5_000 {
        if n % 50 != 0 {
            assert!(shard.remove_if(&Hashed::stored(&key(n)), |_| true).is_some());
        }
    }
    shard.tidy();
    assert!(shard.structure() < full / 8, "{} of {full}", shard.structure());
    assert!((0..5_000).step_by(50).all(|n| shard.peek(&Hashed::stored(&key(n))).is_some()));
    assert_eq!(shard.take_all().count(), 100);
    assert_eq!(shard.account(), Account::default());
}

#[test]
fn taking_over_from_another_shard_keeps_queues_and_order() {
    let mut shard = Shard::default();
    for n in 0..200 {
        put(&mut shard, n, 10, 1_000);
        if n % 3 == 0 {
            (0..3).for_each(|_| assert!(read(&shard, n)));
        }
    }
    let queues = |shard: &Shard| shard.queues.iter().map(|q| (q.entries, q.bytes)).collect::<Vec<_>>();
    let before = queues(&shard);
    let mut other = Shard::default();
    shard.take_all().for_each(|slot| other.adopt(slot));
    assert_eq!(queues(&other), before);
    let mut mirror = Shard::default();
    other.take_all().for_each(|slot| mirror.adopt(slot));
    let first = mirror.evict().unwrap().head().key.clone();
    let mut all: Vec<_> = std::iter::from_fn(|| mirror.evict()).map(|s| s.head().key.clone()).collect();
    all.push(first);
    assert_eq!(all.len(), before.iter().map(|q| q.0).sum::<usize>());
}
