//! What a subscriber is told, and when.

use stratacache_core::{
    coordinator::{Coordinator, Invalidate, Marked, ScopeKind, Strength},
    stamp::Lane,
};

use super::steps::{invalidate, lane, mark, subscribed};

/// When `subscribe` returns, each of the 17 lanes has had its snapshot.
pub async fn every_lane_has_its_snapshot_when_subscribe_returns<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, recorder) = subscribed(&make).await;
    assert!(!coordinator.name().is_empty(), "a coordinator has a name");
    for lane in Lane::all() {
        let snapshot = recorder.lane(lane).snapshot;
        let position =
            snapshot.unwrap_or_else(|| panic!("when subscribe returns, lane {} has its snapshot", lane.index()));
        assert!(position.seq >= 1, "the first position of a lane is 1");
        assert!(position.incarnation.0 != 0, "the history of a lane has a name other than 0");
    }
}

/// When `invalidate` returns, the subscriber has applied it, in tenants' lanes and in the global one.
pub async fn everything_is_applied_when_invalidate_returns<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, recorder) = subscribed(&make).await;
    for n in 0..100 {
        for lane in [lane(0), lane(9), Lane::GLOBAL] {
            let position = invalidate(&*coordinator, lane, vec![mark(n)]).await;
            let reached = recorder.lane(lane).reached;
            assert!(
                reached.incarnation == position.incarnation && reached.seq >= position.seq,
                "when invalidate returns, the subscriber has applied everything up to its position"
            );
        }
    }
}

/// A message carries the scopes with their kinds, strengths and tenants, and the time, as they were given.
pub async fn a_message_carries_what_was_asked<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, recorder) = subscribed(&make).await;
    let scopes = vec![
        Marked::new(mark(1).scope, ScopeKind::Key, Strength::Hard, 77),
        Marked::new(mark(2).scope, ScopeKind::Namespace, Strength::Soft, u64::MAX),
        mark(3),
    ];
    let request = Invalidate::new(lane(4), scopes.clone(), 123_456_789);
    let position = coordinator.invalidate(request).await.unwrap_or_else(|e| panic!("invalidate failed: {e}"));
    let record = recorder.lane(lane(4));
    let message = record.messages.iter().find(|m| m.position == position);
    let message = message.expect("the invalidation is delivered with the position that invalidate returned");
    assert_eq!(message.scopes, scopes, "a message carries the scopes as they were given");
    assert_eq!(message.at, 123_456_789, "a message carries the time as it was given");
}
