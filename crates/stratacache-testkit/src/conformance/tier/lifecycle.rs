//! Being dropped, pinged, closed and opened again.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use stratacache_core::tier::{GetMany, PutItem, PutMany, RemoveMany, Tier, TierError, TierErrorKind};
use tokio::time::timeout;

use super::steps::{FAR, envelope, fence, get, name, remove, store};

/// Polls a future a few times and drops it, wherever it is.
async fn drop_after(polls: u32, future: impl Future) {
    let mut future = pin!(future);
    for _ in 0..polls {
        let ready = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if ready {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A future that is dropped at any point leaves the tier usable, and a dropped put never gets past a later removal.
///
/// A dropped removal may still be applied later, once: a new entry that it takes is only a miss. So may a dropped put of a tier
/// without fences, which nothing voids: what it brings is judged by its stamp.
pub async fn a_dropped_future_leaves_the_tier_usable<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    let (mut removals, mut late_puts) = (0, 0);
    for polls in (0..4).cycle().take(40) {
        let name = name(b'q', 0);
        let fence = fence(&tier, name).await;
        let item = PutItem::new(name, envelope(b'q', 0), FAR, fence);
        drop_after(polls, tier.put_many(PutMany::new(vec![item]))).await;
        drop_after(polls, tier.get_many(GetMany::new(vec![name]))).await;
        drop_after(polls, tier.remove_many(RemoveMany::new(vec![name]))).await;
        removals += 1;
        late_puts += u32::from(!tier.capability().fenced);
        remove(&tier, name).await;
        if tier.capability().fenced {
            for _ in 0..3 {
                assert_eq!(get(&tier, name).await, None, "a dropped put never gets past a removal that came after it");
                tokio::task::yield_now().await;
            }
        }
        loop {
            store(&tier, name, envelope(b'q', 1)).await;
            match get(&tier, name).await {
                Some(found) if late_puts > 0 && found == envelope(b'q', 0) => late_puts -= 1,
                Some(found) => {
                    assert_eq!(found, envelope(b'q', 1), "what is stored after futures were dropped is what is read");
                    break;
                }
                None => {
                    assert_ne!(removals, 0, "each dropped removal is applied once at most, then the tier is usable");
                    removals -= 1;
                }
            }
        }
    }
}

/// A ping of a working tier succeeds, and asking for its size does not disturb it.
pub async fn a_tier_that_works_answers_a_ping<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    tier.ping().await.unwrap_or_else(|e| panic!("a ping of a working tier succeeds, not: {e}"));
    store(&tier, name(b'r', 0), envelope(b'r', 0)).await;
    tier.used_bytes();
    assert!(!tier.name().is_empty(), "a tier has a name");
    assert_eq!(get(&tier, name(b'r', 0)).await, Some(envelope(b'r', 0)), "pings and sizes leave entries alone");
}

/// Every operation after `close` fails as closed; closing again is no panic.
pub async fn a_closed_tier_says_so<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    let name = name(b's', 0);
    store(&tier, name, envelope(b's', 0)).await;
    tier.close().await.unwrap_or_else(|e| panic!("close of a working tier succeeds, not: {e}"));
    closed("get_many", tier.get_many(GetMany::new(vec![name])).await);
    closed("put_many", tier.put_many(PutMany::new(vec![PutItem::new(name, envelope(b's', 1), FAR, None)])).await);
    closed("remove_many", tier.remove_many(RemoveMany::new(vec![name])).await);
    closed("ping", tier.ping().await);
    if let Err(error) = tier.close().await {
        assert_eq!(error.kind(), TierErrorKind::Closed, "closing again succeeds or says Closed");
    }
}

fn closed<R>(operation: &str, result: Result<R, TierError>) {
    let kind = result.err().map(|e| e.kind());
    assert_eq!(kind, Some(TierErrorKind::Closed), "{operation} after close fails with Closed");
}

/// A tier that says it is persistent keeps entries and removals over a close. `open` opens the same store each time.
pub async fn what_was_stored_is_there_after_reopening<T: Tier>(open: impl AsyncFn() -> T) {
    let tier = open().await;
    assert!(tier.capability().persistent, "this clause is for a tier that says it is persistent");
    for n in 0..20 {
        store(&tier, name(b't', n), envelope(b't', n)).await;
    }
    for n in 0..10 {
        remove(&tier, name(b't', n)).await;
    }
    tier.close().await.unwrap_or_else(|e| panic!("close of a working tier succeeds, not: {e}"));
    drop(tier);
    let tier = open().await;
    for n in 0..20 {
        let wanted = (n >= 10).then(|| envelope(b't', n));
        assert_eq!(
            get(&tier, name(b't', n)).await,
            wanted,
            "a persistent tier keeps entries and removals over a close"
        );
    }
    tier.close().await.unwrap_or_else(|e| panic!("close of a working tier succeeds, not: {e}"));
}

/// A tier that says it guards itself ends an operation that hangs, and then refuses others until it has probed. `hang` makes
/// its store hang for good; the tier should leave it alone for as long as it can be told to, so that no probe comes between.
pub async fn a_tier_that_guards_itself_ends_what_hangs_and_refuses_what_follows<T: Tier>(
    make: impl AsyncFn() -> T,
    hang: impl AsyncFn(),
) {
    let tier = make().await;
    assert!(tier.capability().self_guarded, "this clause is for a tier that says it guards itself");
    let name = name(b'u', 0);
    store(&tier, name, envelope(b'u', 0)).await;
    hang().await;
    // generous: whether it ends is asked here, not when exactly
    let patience = tier.capability().deadline * 4 + Duration::from_secs(60);
    let failure = async |operation: &str| {
        let asked = async {
            match operation {
                "get_many" => tier.get_many(GetMany::new(vec![name])).await.err(),
                "put_many" => {
                    let item = PutItem::new(name, envelope(b'u', 1), FAR, None);
                    tier.put_many(PutMany::new(vec![item])).await.err()
                }
                "remove_many" => match tier.remove_many(RemoveMany::new(vec![name])).await {
                    Ok(results) => results.into_iter().find_map(Result::err),
                    Err(error) => Some(error),
                },
                _ => tier.ping().await.err(),
            }
        };
        let ended = timeout(patience, asked).await;
        ended.unwrap_or_else(|_| panic!("a tier that guards itself ends a {operation} that hangs")).map(|e| e.kind())
    };
    assert_eq!(failure("ping").await, Some(TierErrorKind::Timeout), "what hangs is a Timeout");
    for operation in ["get_many", "put_many", "remove_many", "ping"] {
        let kind = failure(operation).await;
        assert_eq!(kind, Some(TierErrorKind::Unavailable), "after one that hung a {operation} is refused at once");
    }
}
