//! Being dropped, told the time, and closed.

use std::{future::poll_fn, pin::pin, task::Poll};

use stratacache_core::{
    EntryName, Error, ErrorKind,
    coordinator::{Coordinator, Invalidate, LeaseRequest},
    stamp::{Lane, Position},
};

use super::steps::{LIFE, invalidate, lane, mark, subscribed};

/// An invalidation whose future is dropped takes place as a whole or not at all, and the lane goes on, dense.
pub async fn a_dropped_invalidation_is_all_or_nothing<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, recorder) = subscribed(&make).await;
    let mut asked = 0;
    for polls in (0..4).cycle().take(24) {
        let mut future = pin!(coordinator.invalidate(Invalidate::new(lane(5), (0..7).map(mark).collect(), 1_000)));
        for _ in 0..polls {
            if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
                break;
            }
            tokio::task::yield_now().await;
        }
        asked += 1;
    }
    let last = invalidate(&*coordinator, lane(5), vec![mark(99)]).await;
    let record = recorder.lane(lane(5));
    assert!(record.reached.seq >= last.seq, "after dropped invalidations, the next one is applied when it returns");
    let sizes = record.messages.iter().map(|message| message.scopes.len());
    assert!(sizes.clone().all(|n| n == 7 || n == 1), "a dropped invalidation is applied with all its scopes or none");
    assert!(sizes.filter(|n| *n == 7).count() <= asked, "a dropped invalidation is applied at most once");
}

/// Telling the time succeeds and moves no position; invalidations go on where they were.
pub async fn a_tick_moves_no_position<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, recorder) = subscribed(&make).await;
    for n in 0..10 {
        let before = invalidate(&*coordinator, lane(6), vec![mark(n)]).await;
        let now = 1_000 * (n + 2);
        coordinator.tick(now, now - 1_500).await.unwrap_or_else(|e| panic!("tick failed: {e}"));
        let own = coordinator.position(lane(6)).await.unwrap_or_else(|e| panic!("position failed: {e}"));
        assert_eq!(own, before, "a tick moves no position");
        assert_eq!(recorder.lane(lane(6)).reached, before, "a tick delivers no invalidation");
    }
}

/// After `close`, invalidations fail as closed and nothing is delivered; whatever else fails says closed, too.
pub async fn a_closed_coordinator_says_so<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, recorder) = subscribed(&make).await;
    let last = invalidate(&*coordinator, lane(8), vec![mark(1)]).await;
    coordinator.close().await.unwrap_or_else(|e| panic!("close failed: {e}"));
    for lane in [lane(8), Lane::GLOBAL] {
        let refused = coordinator.invalidate(Invalidate::new(lane, vec![mark(2)], 1_000)).await;
        let kind = refused.err().map(|e| e.kind());
        assert_eq!(kind, Some(ErrorKind::Closed), "invalidate after close fails with Closed");
    }
    assert_eq!(recorder.lane(lane(8)).reached, last, "nothing is delivered after close");
    let request = LeaseRequest::new(lane(8), EntryName::from_bytes([1; 16]), Position::default(), LIFE);
    closed_if_failed("lease", coordinator.lease(request).await);
    closed_if_failed("position", coordinator.position(lane(8)).await);
    closed_if_failed("sync", coordinator.sync(lane(8)).await);
    closed_if_failed("close", coordinator.close().await);
}

fn closed_if_failed<R>(operation: &str, result: Result<R, Error>) {
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::Closed, "{operation} after close works or fails with Closed");
    }
}
