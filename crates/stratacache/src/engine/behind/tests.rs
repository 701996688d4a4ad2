use bytes::Bytes;
use stratacache_core::{EntryName, TenantId, stamp::Lane, tier::PutItem};

use super::*;

fn write(owner: Owner, name: u8, place: Seq, bytes: usize) -> Waiting {
    let lane = Lane::of(&TenantId::from(owner));
    let item = PutItem::new(EntryName::from_bytes([name; 16]), Bytes::from(vec![0; bytes]), u64::MAX, None);
    Waiting { owner, lane, age: Age { mep: 1, place }, item }
}

fn queue(writes: usize) -> Behind {
    Behind::new(BehindLimits { bytes: writes * (OVERHEAD + 100), ..BehindLimits::default() })
}

fn names(batch: &[Waiting]) -> Vec<(Owner, u8)> {
    batch.iter().map(|write| (write.owner, write.item.name.to_bytes()[0])).collect()
}

/// Checks the books against the lines.
fn holds(queue: &Behind) {
    let state = queue.state.lock();
    let bytes: usize = state.lines.values().map(Line::bytes).sum();
    let count: usize = state.lines.values().map(Line::len).sum();
    assert_eq!((state.bytes, state.count, queue.waiting()), (bytes, count, count));
    assert_eq!((state.sizes.len(), state.turns.len()), (state.lines.len(), state.lines.len()));
    assert!(state.bytes <= queue.limit);
}

#[test]
fn the_tenants_are_served_in_turn_and_each_in_order() {
    let queue = queue(100);
    assert!(queue.add(write(1, 1, 1, 100)).to_serve);
    for (owner, name) in [(1, 2), (1, 3), (2, 4), (3, 5), (2, 6)] {
        assert!(!queue.add(write(owner, name, 1, 100)).to_serve);
    }
    holds(&queue);
    assert_eq!(names(&queue.next()), [(1, 1), (2, 4), (3, 5), (1, 2), (2, 6), (1, 3)]);
    assert!(queue.next().is_empty());
    holds(&queue);
    assert!(queue.add(write(1, 1, 1, 100)).to_serve, "the task has ended: the next write starts one");
}

#[test]
fn a_write_takes_the_place_of_an_older_one_of_its_name() {
    let queue = queue(100);
    queue.add(write(1, 1, 5, 100));
    queue.add(write(1, 2, 5, 100));
    assert_eq!(queue.add(write(1, 1, 6, 10)).replaced.map(|older| older.age.place), Some(5));
    assert_eq!(
        queue.add(write(1, 1, 4, 10)).replaced.map(|older| older.age.place),
        Some(4),
        "one that comes late is older"
    );
    holds(&queue);
    let batch = queue.next();
    assert_eq!((names(&batch), batch[0].age.place), (vec![(1, 1), (1, 2)], 6));
}

#[test]
fn a_full_queue_makes_room_at_the_cost_of_who_has_most_in_it() {
    let queue = queue(10);
    for name in 0..9 {
        assert!(queue.add(write(1, name, 1, 100)).lost.is_empty());
    }
    assert!(queue.add(write(2, 100, 1, 100)).lost.is_empty());
    let added = queue.add(write(2, 101, 1, 100));
    assert_eq!((names(&added.lost), added.reason), (vec![(1, 0)], Some(FULL)), "the oldest of the one that floods it");
    let added = queue.add(write(1, 9, 1, 100));
    assert_eq!((names(&added.lost), added.reason), (vec![(1, 1)], None), "it displaces its own; said once");
    let added = queue.add(write(3, 200, 1, 400));
    assert_eq!(names(&added.lost), [(1, 2), (1, 3)], "as many as a large one needs");
    holds(&queue);
    while !queue.next().is_empty() {}
    for name in 0..10 {
        queue.add(write(1, name, 1, 100));
    }
    assert_eq!(queue.add(write(1, 10, 1, 100)).reason, Some(FULL), "after it was empty it is said again");
}

#[test]
fn what_is_larger_than_the_queue_is_lost_and_displaces_only_what_is_older_of_its_name() {
    let queue = queue(10);
    for name in 0..5 {
        queue.add(write(1, name, 5, 100));
    }
    let added = queue.add(write(1, 3, 6, 1 << 20));
    assert_eq!((names(&added.lost), added.reason), (vec![(1, 3)], Some(TOO_LARGE)));
    assert_eq!(added.replaced.map(|older| older.age.place), Some(5));
    holds(&queue);
    let added = queue.add(write(1, 4, 4, 1 << 20));
    assert!(added.replaced.is_none() && names(&added.lost) == [(1, 4)], "what waits is newer");
    holds(&queue);
    assert_eq!(names(&queue.next()), [(1, 0), (1, 1), (1, 2), (1, 4)]);
    let added = queue.add(write(9, 1, 1, 1 << 20));
    assert!(!added.to_serve && added.lost.len() == 1, "nothing waits");
    holds(&queue);
}

#[test]
fn a_write_through_overtakes_what_waits_and_is_older() {
    let queue = queue(10);
    for (name, place) in [(1, 3), (2, 5)] {
        queue.add(write(1, name, place, 100));
    }
    let age = Age { mep: 1, place: 4 };
    let dropped = [1, 2, 3].map(|name| queue.forget_older(1, EntryName::from_bytes([name; 16]), age));
    assert_eq!(dropped, [1, 0, 0]);
    assert_eq!(queue.forget_older(2, EntryName::from_bytes([2; 16]), age), 0, "it is another tenant's");
    holds(&queue);
    assert_eq!(names(&queue.next()), [(1, 2)]);
}

#[test]
fn when_the_task_was_cut_the_next_write_starts_another() {
    let queue = queue(10);
    assert!(queue.add(write(1, 1, 1, 100)).to_serve);
    assert_eq!(queue.next().len(), 1);
    assert!(!queue.add(write(1, 2, 1, 100)).to_serve);
    queue.unserved();
    assert!(queue.add(write(1, 3, 1, 100)).to_serve);
}

#[test]
fn what_is_forgotten_is_not_written() {
    let queue = queue(100);
    for name in 0..4 {
        queue.add(write(1, name, 1, 100));
        queue.add(write(2, name + 10, 1, 100));
    }
    let gone: Vec<EntryName> = [1, 2, 11, 99].map(|name| EntryName::from_bytes([name; 16])).to_vec();
    assert_eq!(queue.forget(1, &gone), 2, "those of another tenant stay");
    assert_eq!(queue.forget(7, &gone), 0);
    holds(&queue);
    assert_eq!(queue.next().len(), 6);
}

#[test]
fn a_stopped_queue_gives_nothing_and_counts_what_it_has() {
    let queue = queue(100);
    queue.add(write(1, 1, 1, 100));
    queue.stop();
    let added = queue.add(write(1, 2, 1, 100));
    assert!(added.lost.is_empty() && !added.to_serve);
    assert!(queue.next().is_empty());
    assert_eq!((queue.drain(), queue.waiting()), (2, 0));
    let added = queue.add(write(1, 3, 1, 100));
    assert_eq!((names(&added.lost), added.to_serve, queue.waiting()), (vec![(1, 3)], false, 0), "what comes later");
}

#[test]
fn a_batch_is_bounded() {
    let queue = Behind::new(BehindLimits::default());
    for n in 0..200_u8 {
        queue.add(write(1, n, 1, 100));
    }
    assert_eq!(queue.next().len(), BATCH);
    let queue = Behind::new(BehindLimits::default());
    for n in 0..20_u8 {
        queue.add(write(1, n, 1, 400 << 10));
    }
    assert_eq!(queue.next().len(), 3, "by weight");
}

#[test]
fn the_books_are_right_after_whatever_was_done() {
    let seed = 20_261_121_u64;
    let mut random = seed;
    let mut below = |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % n
    };
    let queue = queue(20);
    for _ in 0..20_000 {
        let (owner, name) = (below(4), below(30) as u8);
        match below(10) {
            0..=6 => drop(queue.add(write(owner, name, below(5), below(300) as usize))),
            7..=8 => drop(queue.forget(owner, &[EntryName::from_bytes([name; 16])])),
            _ => drop(queue.next()),
        }
        holds(&queue);
    }
    println!("seed {seed}");
}
