use std::time::Duration;

use bytes::Bytes;
use stratacache_core::{
    EntryName,
    tier::{GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind},
};
use tokio::time::{Instant, timeout};

use super::*;
use crate::tiers::MemoryTier;

const NAME: EntryName = EntryName::from_bytes([1; 16]);
const DELAY: Duration = Duration::from_millis(300);

type Tested = (FaultyTier<MemoryTier>, Faults, MemoryTier);

fn faulty(seed: u64) -> Tested {
    let memory = MemoryTier::new("disk");
    let (tier, faults) = FaultyTier::new(memory.clone(), seed);
    (tier, faults, memory)
}

async fn get(tier: &impl Tier) -> Result<Option<Bytes>, TierError> {
    Ok(tier.get_many(GetMany::new(vec![NAME])).await?.remove(0).envelope)
}

async fn put(tier: &impl Tier) -> Result<PutOutcome, TierError> {
    let item = PutItem::new(NAME, Bytes::from_static(b"value"), 0, None);
    Ok(tier.put_many(PutMany::new(vec![item])).await?.remove(0))
}

async fn remove(tier: &impl Tier) -> Result<Result<(), TierError>, TierError> {
    Ok(tier.remove_many(RemoveMany::new(vec![NAME])).await?.remove(0))
}

fn kind<T>(result: Result<T, TierError>) -> TierErrorKind {
    result.err().map(|e| e.kind()).unwrap()
}

#[tokio::test]
async fn without_faults_everything_is_passed_on() {
    let (tier, faults, memory) = faulty(1);
    put(&tier).await.unwrap();
    assert_eq!(get(&tier).await.unwrap().as_deref(), Some(&b"value"[..]));
    remove(&tier).await.unwrap().unwrap();
    tier.ping().await.unwrap();
    assert_eq!((tier.name(), tier.capability()), ("disk", memory.capability()));
    assert_eq!((faults.calls(On::Any), faults.calls(On::Get), faults.injected(On::Any)), (4, 1, 0));
    tier.close().await.unwrap();
    assert_eq!(kind(get(&tier).await), TierErrorKind::Closed);
}

#[tokio::test]
async fn scripted_faults_come_before_standing_ones_and_are_counted() {
    let (tier, faults, memory) = faulty(1);
    faults.always(On::Remove, Fault::Error(TierErrorKind::Unavailable));
    faults.next(1, On::Any, Fault::Error(TierErrorKind::Full));
    faults.next(1, On::Remove, Fault::EachError(TierErrorKind::Corrupt));
    assert_eq!(kind(put(&tier).await), TierErrorKind::Full);
    assert_eq!(kind(remove(&tier).await.unwrap()), TierErrorKind::Corrupt);
    assert_eq!(kind(remove(&tier).await), TierErrorKind::Unavailable);
    assert_eq!(kind(remove(&tier).await), TierErrorKind::Unavailable);
    assert!(put(&tier).await.is_ok());
    assert_eq!(faults.injected(On::Any), 4);
    assert_eq!(faults.count(On::Remove, FaultKind::Error), 2);
    assert_eq!(memory.removes(), 0, "a call that fails with Error or EachError does nothing");
    faults.clear();
    remove(&tier).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hung_call_waits_for_its_release_and_then_does_its_work() {
    let (tier, faults, memory) = faulty(1);
    faults.next(2, On::Put, Fault::Hang);
    assert!(timeout(DELAY, put(&tier)).await.is_err());
    assert_eq!(faults.hanging(), 0, "the caller gave up");
    let hung = put(&tier);
    let released = async {
        faults.until_hanging(1).await;
        assert!(memory.raw(NAME).is_none());
        faults.clear();
        faults.release();
    };
    let (outcome, ()) = tokio::join!(hung, released);
    assert!(matches!(outcome.unwrap(), PutOutcome::Stored));
    assert_eq!((memory.writes(), faults.hanging()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn slow_calls_delay_by_tokio_time_before_or_after_their_work() {
    for (fault, stored_when_dropped) in [(Fault::Slow(DELAY), 0), (Fault::SlowReply(DELAY), 1)] {
        let (tier, faults, memory) = faulty(1);
        faults.always(On::Put, fault);
        assert!(timeout(DELAY / 2, put(&tier)).await.is_err());
        assert_eq!(memory.writes(), stored_when_dropped, "{fault:?}");
        let began = Instant::now();
        put(&tier).await.unwrap();
        assert!(began.elapsed() >= DELAY);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_the_work_done() {
    let (tier, faults, memory) = faulty(1);
    faults.next(1, On::Put, Fault::LostReply);
    assert_eq!(kind(put(&tier).await), TierErrorKind::ReplyLost);
    assert!(memory.raw(NAME).is_some());
    faults.next(1, On::Remove, Fault::NoReply);
    assert!(timeout(DELAY, remove(&tier)).await.is_err());
    assert!(memory.raw(NAME).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_late_call_times_out_at_once_and_does_its_work_afterwards() {
    let (tier, faults, memory) = faulty(1);
    faults.next(1, On::Put, Fault::Late(DELAY));
    assert_eq!(kind(put(&tier).await), TierErrorKind::Timeout);
    assert!(memory.raw(NAME).is_none());
    faults.settle().await;
    assert!(memory.raw(NAME).is_some());
}

#[tokio::test]
async fn a_late_write_under_a_fence_voided_meanwhile_stores_nothing() {
    let (tier, faults, memory) = faulty(1);
    let fence = tier.get_many(GetMany::fences(vec![NAME])).await.unwrap()[0].fence;
    faults.next(1, On::Put, Fault::Late(Duration::ZERO));
    tier.put_many(PutMany::new(vec![PutItem::new(NAME, Bytes::from_static(b"old"), 0, fence)])).await.unwrap_err();
    remove(&memory).await.unwrap().unwrap();
    faults.settle().await;
    assert!(memory.raw(NAME).is_none() && memory.refused() == 1);
}

#[tokio::test]
async fn corruption_flips_exactly_one_bit_of_what_is_returned_or_stored() {
    let (tier, faults, memory) = faulty(1);
    let flipped = |bytes: &Bytes| bytes.iter().zip(b"value").map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() == 1;
    put(&tier).await.unwrap();
    faults.next(1, On::Get, Fault::Corrupt);
    assert!(flipped(&get(&tier).await.unwrap().unwrap()));
    assert_eq!(get(&tier).await.unwrap().as_deref(), Some(&b"value"[..]), "what is stored was not touched");
    faults.next(1, On::Put, Fault::Corrupt);
    put(&tier).await.unwrap();
    assert!(flipped(&memory.raw(NAME).unwrap()));
    faults.next(1, On::Any, Fault::Corrupt);
    assert_eq!(kind(tier.ping().await), TierErrorKind::Corrupt);
}

#[tokio::test]
async fn faults_by_chance_repeat_with_their_seed_and_come_about_as_often_as_asked() {
    let run = async |seed| {
        let (tier, faults, _) = faulty(seed);
        faults.sometimes(0.2, On::Get, Fault::Error(TierErrorKind::Unavailable));
        let mut pattern = Vec::new();
        for _ in 0..1000 {
            pattern.push(get(&tier).await.is_err());
        }
        pattern
    };
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
    let failed = first.iter().filter(|failed| **failed).count();
    assert!((120..280).contains(&failed), "{failed} of 1000 calls failed at a chance of 0.2 (seed 7)");
}
