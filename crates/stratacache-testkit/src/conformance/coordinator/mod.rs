//! Clauses of the contract of a coordinator ([`Coordinator`]), each a function that panics with a sentence naming what is
//! broken.

mod delivery;
mod leases;
mod lifecycle;
mod order;
mod recorder;
mod steps;

use stratacache_core::coordinator::Coordinator;

pub use delivery::{
    a_message_carries_what_was_asked, every_lane_has_its_snapshot_when_subscribe_returns,
    everything_is_applied_when_invalidate_returns,
};
pub use leases::{a_lease_is_granted_renewed_and_released, leases_of_different_entries_are_independent};
pub use lifecycle::{a_closed_coordinator_says_so, a_dropped_invalidation_is_all_or_nothing, a_tick_moves_no_position};
pub use order::{
    concurrent_invalidations_are_applied_in_order_one_at_a_time, each_lane_is_independent,
    many_scopes_share_one_position, position_and_sync_reach_what_was_invalidated,
    positions_are_dense_from_the_snapshot_on,
};

/// Runs every clause of the contract of [`Coordinator`], each on a coordinator of its own that has no subscriber yet.
///
/// # Panics
/// With a sentence naming the clause that is broken. So does every clause.
pub async fn all<C: Coordinator>(make: impl AsyncFn() -> C) {
    let make = &make;
    every_lane_has_its_snapshot_when_subscribe_returns(make).await;
    positions_are_dense_from_the_snapshot_on(make).await;
    everything_is_applied_when_invalidate_returns(make).await;
    a_message_carries_what_was_asked(make).await;
    many_scopes_share_one_position(make).await;
    each_lane_is_independent(make).await;
    position_and_sync_reach_what_was_invalidated(make).await;
    concurrent_invalidations_are_applied_in_order_one_at_a_time(make).await;
    a_dropped_invalidation_is_all_or_nothing(make).await;
    a_lease_is_granted_renewed_and_released(make).await;
    leases_of_different_entries_are_independent(make).await;
    a_tick_moves_no_position(make).await;
    a_closed_coordinator_says_so(make).await;
}
