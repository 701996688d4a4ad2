//! Leases.

use stratacache_core::{
    EntryName,
    coordinator::{Coordinator, Lease, LeaseReply, LeaseRequest},
};

use super::steps::{LIFE, invalidate, lane, mark, subscribed};

async fn ask(coordinator: &impl Coordinator, n: u8) -> LeaseReply {
    let stamp = coordinator.position(lane(3)).await.unwrap_or_else(|e| panic!("position failed: {e}"));
    let request = LeaseRequest::new(lane(3), EntryName::from_bytes([n; 16]), stamp, LIFE);
    coordinator.lease(request).await.unwrap_or_else(|e| panic!("lease failed: {e}"))
}

async fn granted(coordinator: &impl Coordinator, n: u8) -> Lease {
    match ask(coordinator, n).await {
        LeaseReply::Granted(lease) => lease,
        other => panic!("a lease that nobody holds is granted, not {other:?}"),
    }
}

/// A lease that nobody holds is granted for the entry that was asked for, can be renewed, and can be had again once it
/// is released. Where nodes share the coordinator, it is busy meanwhile and gone afterwards.
pub async fn a_lease_is_granted_renewed_and_released<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, _recorder) = subscribed(&make).await;
    let coordinator = &*coordinator;
    for _ in 0..3 {
        let lease = granted(coordinator, 1).await;
        assert_eq!((lease.lane, lease.name), (lane(3), EntryName::from_bytes([1; 16])), "a lease names its entry");
        if coordinator.is_shared() {
            let second = ask(coordinator, 1).await;
            assert_eq!(second, LeaseReply::Busy, "a lease that somebody holds is busy");
        }
        let renewed = coordinator.renew(lease).await.unwrap_or_else(|e| panic!("renew failed: {e}"));
        assert!(renewed, "a lease that is held can be renewed");
        coordinator.release(lease).await.unwrap_or_else(|e| panic!("release failed: {e}"));
        if coordinator.is_shared() {
            let renewed = coordinator.renew(lease).await.unwrap_or_else(|e| panic!("renew failed: {e}"));
            assert!(!renewed, "a lease that was released cannot be renewed");
        }
    }
}

/// Leases of other entries, and invalidations of other scopes, leave a lease alone.
pub async fn leases_of_different_entries_are_independent<C: Coordinator>(make: impl AsyncFn() -> C) {
    let (coordinator, _recorder) = subscribed(&make).await;
    let coordinator = &*coordinator;
    let (one, two) = (granted(coordinator, 1).await, granted(coordinator, 2).await);
    invalidate(coordinator, lane(3), vec![mark(9)]).await;
    coordinator.release(two).await.unwrap_or_else(|e| panic!("release failed: {e}"));
    let renewed = coordinator.renew(one).await.unwrap_or_else(|e| panic!("renew failed: {e}"));
    assert!(renewed, "a lease outlives the release of another and an invalidation of another scope");
    coordinator.release(one).await.unwrap_or_else(|e| panic!("release failed: {e}"));
}
