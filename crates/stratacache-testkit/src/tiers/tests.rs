use bytes::Bytes;
use stratacache_core::{
    EntryName, Scope,
    coordinator::{Applied, MarkJournal, Marked, ScopeKind, Strength},
    stamp::{Incarnation, Lane, Position},
    tier::{Fence, GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierErrorKind},
};

use super::*;

fn name(n: u8) -> EntryName {
    EntryName::from_bytes([n; 16])
}

async fn put(tier: &MemoryTier, n: u8, text: &'static str, fence: Option<Fence>) -> PutOutcome {
    let item = PutItem::new(name(n), Bytes::from(text), 500, fence);
    tier.put_many(PutMany::new(vec![item])).await.unwrap().remove(0)
}

async fn fence(tier: &MemoryTier, n: u8) -> Option<Fence> {
    tier.get_many(GetMany::fences(vec![name(n)])).await.unwrap()[0].fence
}

async fn remove(tier: &MemoryTier, n: u8) {
    tier.remove_many(RemoveMany::new(vec![name(n)])).await.unwrap().remove(0).unwrap();
}

#[tokio::test]
async fn a_clone_is_an_open_handle_on_the_same_data() {
    let first = MemoryTier::new("disk").persistent(true);
    put(&first, 1, "kept", None).await;
    first.close().await.unwrap();
    let closed = first.get_many(GetMany::new(vec![name(1)])).await.unwrap_err();
    assert_eq!(closed.kind(), TierErrorKind::Closed);
    let second = first.clone();
    assert_eq!(second.get_many(GetMany::new(vec![name(1)])).await.unwrap()[0].envelope.as_deref(), Some(&b"kept"[..]));
    assert!(second.capability().persistent);
}

#[tokio::test]
async fn operations_are_counted_by_name_and_raw_access_is_not() {
    let tier = MemoryTier::new("m").max_weight(6);
    put(&tier, 1, "one", None).await;
    assert!(matches!(put(&tier, 2, "too large", None).await, PutOutcome::TooLarge));
    let old = fence(&tier, 1).await;
    remove(&tier, 1).await;
    assert!(matches!(put(&tier, 1, "late", old).await, PutOutcome::Fenced));
    tier.get_many(GetMany::new(vec![name(1), name(2)])).await.unwrap();
    tier.put_raw(name(3), "raw");
    assert!(tier.copy(name(3), name(4)) && !tier.copy(name(9), name(4)));
    assert_eq!(tier.raw(name(4)).as_deref(), Some(&b"raw"[..]));
    assert_eq!(tier.names(), [name(3), name(4)]);
    let counts = (tier.writes(), tier.refused(), tier.reads(), tier.fence_reads(), tier.removes(), tier.batches());
    assert_eq!(counts, (1, 1, 2, 1, 1, 6));
    assert_eq!(tier.used_bytes(), Some(6));
}

#[tokio::test]
async fn a_fence_admits_no_other_name_and_none_from_before_a_wipe() {
    let tier = MemoryTier::new("m");
    let of_one = fence(&tier, 1).await;
    assert!(matches!(put(&tier, 2, "two", of_one).await, PutOutcome::Fenced));
    tier.wipe();
    assert!(matches!(put(&tier, 1, "old", of_one).await, PutOutcome::Fenced));
}

#[tokio::test]
async fn an_unfenced_tier_gives_no_fence_and_writes_late_when_told() {
    let tier = MemoryTier::unfenced("slow");
    assert_eq!(fence(&tier, 1).await, None);
    tier.hold_writes();
    assert!(matches!(put(&tier, 1, "late", Some(Fence(0))).await, PutOutcome::Stored));
    remove(&tier, 1).await;
    assert_eq!(tier.raw(name(1)), None);
    assert_eq!(tier.release_writes(), 1);
    assert_eq!(tier.raw(name(1)).as_deref(), Some(&b"late"[..]));
    assert_eq!(tier.expires_at(name(1)), Some(500));
}

#[test]
#[should_panic(expected = "a fenced tier never writes late")]
fn a_fenced_tier_refuses_to_hold_writes() {
    MemoryTier::new("m").hold_writes();
}

fn invalidation(seq: u64, scope: u8, kind: ScopeKind, strength: Strength, at: u64) -> Applied {
    let marked = Marked::new(Scope::from_bytes([scope; 16]), kind, strength, 3);
    Applied::new(Lane::GLOBAL, Position { incarnation: Incarnation(1), seq }, vec![marked], at)
}

#[test]
fn the_journal_keeps_the_newest_mark_of_each_scope_and_strength_across_handles() {
    let tier = MemoryTier::new("disk");
    let journal = tier.journal();
    for (seq, strength) in [(5, Strength::Hard), (9, Strength::Hard), (7, Strength::Hard), (8, Strength::Soft)] {
        journal.append(&invalidation(seq, 1, ScopeKind::Tag, strength, seq * 10)).unwrap();
    }
    journal.append(&invalidation(10, 2, ScopeKind::Key, Strength::Hard, 100)).unwrap();
    journal.append(&invalidation(11, 2, ScopeKind::Key, Strength::Soft, 110)).unwrap();
    journal.reserve(64).unwrap();
    let kept = tier.clone().journal().load().unwrap();
    assert_eq!(kept.marks.iter().map(|m| m.seq).collect::<Vec<_>>(), [9, 8, 11]);
    assert_eq!(kept.ceiling, 64);
    assert_eq!(kept.incarnation, journal.load().unwrap().incarnation);

    let unfenced = MemoryTier::unfenced("disk").journal();
    unfenced.append(&invalidation(10, 2, ScopeKind::Key, Strength::Hard, 100)).unwrap();
    assert_eq!(unfenced.marks().len(), 1, "without fences a removed entry may come back: its mark is kept");
}

#[test]
fn forgetting_a_mark_raises_the_floor_of_its_lane_to_it() {
    let journal = MemoryTier::new("disk").journal();
    journal.append(&invalidation(5, 1, ScopeKind::Tag, Strength::Hard, 50)).unwrap();
    journal.append(&invalidation(6, 2, ScopeKind::Tag, Strength::Hard, 60)).unwrap();
    journal.tick(1_000, 55).unwrap();
    journal.tick(900, 55).unwrap();
    let kept = journal.load().unwrap();
    assert_eq!((kept.floors[Lane::GLOBAL.index()], kept.floors[0]), (5, 0));
    assert_eq!((kept.marks.len(), kept.time), (1, 1_000));
}

#[tokio::test]
async fn a_store_quarantined_when_it_is_opened_is_empty_and_has_a_new_history() {
    let tier = MemoryTier::new("disk");
    let journal = tier.journal();
    put(&tier, 1, "old", None).await;
    let before = journal.load().unwrap().incarnation;
    journal.fail(true);
    assert!(journal.append(&invalidation(5, 1, ScopeKind::Tag, Strength::Hard, 50)).is_err());
    journal.quarantine().unwrap();
    assert!(journal.restore().is_err() && journal.is_quarantined());
    journal.fail(false);
    assert_ne!(journal.load().unwrap().incarnation, before);
    assert!(tier.names().is_empty() && !journal.is_quarantined());
}

#[tokio::test]
async fn a_quarantine_that_ends_before_a_restart_loses_nothing() {
    let tier = MemoryTier::new("disk");
    put(&tier, 1, "old", None).await;
    let journal = tier.journal();
    let before = journal.load().unwrap().incarnation;
    journal.quarantine().unwrap();
    journal.restore().unwrap();
    assert_eq!(journal.load().unwrap().incarnation, before);
    assert_eq!(tier.names().len(), 1);
}
