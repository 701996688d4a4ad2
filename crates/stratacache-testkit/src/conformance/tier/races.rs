//! What must hold whoever is first.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use stratacache_core::tier::{PutOutcome, Tier};

use super::steps::{envelope, fence, get, name, put, remove, store};
use crate::{random::Random, spawn::Tasks};

const SEED: u64 = 0x57a7_a001;

async fn pause(random: &Random) {
    for _ in 0..random.below(4) {
        tokio::task::yield_now().await;
    }
}

/// A put under a fence that races a removal of its name loses, whichever comes first: the fence was taken before.
pub async fn a_put_racing_a_removal_never_brings_back<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = Arc::new(make().await);
    if !tier.capability().fenced {
        return;
    }
    let random = Arc::new(Random::new(SEED));
    for round in 0..400 {
        let at = name(b'u', round % 7);
        if random.chance(0.5) {
            store(&*tier, at, envelope(b'u', 1_000)).await;
        }
        let fence = fence(&*tier, at).await;
        let mut tasks = Tasks::default();
        for writer in 0..2 {
            let (tier, random) = (tier.clone(), random.clone());
            tasks.start(async move {
                pause(&random).await;
                put(&*tier, at, envelope(b'u', writer), fence).await;
            });
        }
        let (remover, delays) = (tier.clone(), random.clone());
        tasks.start(async move {
            pause(&delays).await;
            remove(&*remover, at).await;
        });
        tasks.join().await;
        let left = get(&*tier, at).await;
        assert_eq!(
            left, None,
            "a put under a fence taken before a removal never brings the entry back (seed {SEED:#x}, round {round})"
        );
    }
}

/// While writers, removers and readers race, no reader sees an entry that was put under a fence taken before a removal
/// which had finished when the read began.
pub async fn readers_never_see_what_a_finished_removal_took<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = Arc::new(make().await);
    if !tier.capability().fenced {
        return;
    }
    let at = name(b'v', 0);
    // one order of events: a writer draws its number after it has its fence, a remover before it begins
    let events = Arc::new(AtomicU64::new(1));
    let removed = Arc::new(AtomicU64::new(0));
    let mut tasks = Tasks::default();
    for task in 0..6 {
        let (tier, events, removed) = (tier.clone(), events.clone(), removed.clone());
        let random = Random::new(SEED + task);
        tasks.start(async move {
            for _ in 0..150 {
                pause(&random).await;
                match task {
                    0 | 1 => {
                        let fence = fence(&*tier, at).await;
                        let taken = events.fetch_add(1, Ordering::SeqCst);
                        pause(&random).await;
                        let outcome = put(&*tier, at, envelope(b'v', taken), fence).await;
                        let known = matches!(outcome, PutOutcome::Stored | PutOutcome::Fenced);
                        assert!(known, "a put under a fence is Stored or Fenced, not {outcome:?}");
                    }
                    2 => {
                        let begun = events.fetch_add(1, Ordering::SeqCst);
                        remove(&*tier, at).await;
                        removed.fetch_max(begun, Ordering::SeqCst);
                    }
                    _ => {
                        let finished = removed.load(Ordering::SeqCst);
                        if let Some(bytes) = get(&*tier, at).await {
                            let taken = u64::from_le_bytes(std::array::from_fn(|i| bytes[i + 1]));
                            assert!(
                                taken > finished,
                                "no get that starts after a removal has returned sees what was put under an older fence \
                                 (seed {SEED:#x})"
                            );
                        }
                    }
                }
            }
        });
    }
    tasks.join().await;
}
