//! Clauses of the contract of a tier ([`Tier`]), each a function that panics with a sentence naming what is broken.

mod batches;
mod entries;
mod fences;
mod lifecycle;
mod races;
mod steps;

use stratacache_core::tier::Tier;

pub use batches::{
    a_batch_is_answered_in_its_order, a_name_twice_in_a_batch_is_answered_twice, an_empty_batch_is_answered_empty,
};
pub use entries::{
    a_put_replaces_what_was_there, a_removed_entry_is_absent, an_entry_past_its_expiry_is_whole_or_absent,
    an_envelope_above_the_largest_weight_is_too_large, envelopes_of_any_size_come_back_whole, get_returns_what_was_put,
    what_was_never_put_is_absent,
};
pub use fences::{
    a_fence_is_void_after_a_removal, a_fence_of_an_absent_name_is_void_after_a_removal,
    a_fence_survives_other_removals, a_fresh_fence_after_a_removal_is_good, a_leased_fence_is_good_for_one_put,
    a_newer_leased_fence_voids_the_older, a_put_without_a_fence_is_stored, a_read_for_fences_only_returns_no_envelope,
    a_void_fence_in_a_batch_stops_only_its_own_item,
};
pub use lifecycle::{
    a_closed_tier_says_so, a_dropped_future_leaves_the_tier_usable,
    a_tier_that_guards_itself_ends_what_hangs_and_refuses_what_follows, a_tier_that_works_answers_a_ping,
    what_was_stored_is_there_after_reopening,
};
pub use races::{a_put_racing_a_removal_never_brings_back, readers_never_see_what_a_finished_removal_took};

/// Runs every clause of the contract of [`Tier`], each on a tier of its own.
///
/// [`what_was_stored_is_there_after_reopening`] is not among them: it needs a `make` that opens the same store again. Nor is
/// [`a_tier_that_guards_itself_ends_what_hangs_and_refuses_what_follows`], which needs a store that can be made to hang.
///
/// # Panics
/// With a sentence naming the clause that is broken. So does every clause.
pub async fn all<T: Tier>(make: impl AsyncFn() -> T) {
    let make = &make;
    get_returns_what_was_put(make).await;
    what_was_never_put_is_absent(make).await;
    a_put_replaces_what_was_there(make).await;
    a_removed_entry_is_absent(make).await;
    envelopes_of_any_size_come_back_whole(make).await;
    an_envelope_above_the_largest_weight_is_too_large(make).await;
    an_entry_past_its_expiry_is_whole_or_absent(make).await;
    a_batch_is_answered_in_its_order(make).await;
    an_empty_batch_is_answered_empty(make).await;
    a_name_twice_in_a_batch_is_answered_twice(make).await;
    a_put_without_a_fence_is_stored(make).await;
    a_read_for_fences_only_returns_no_envelope(make).await;
    a_fence_is_void_after_a_removal(make).await;
    a_fence_of_an_absent_name_is_void_after_a_removal(make).await;
    a_fresh_fence_after_a_removal_is_good(make).await;
    a_fence_survives_other_removals(make).await;
    a_void_fence_in_a_batch_stops_only_its_own_item(make).await;
    a_leased_fence_is_good_for_one_put(make).await;
    a_newer_leased_fence_voids_the_older(make).await;
    a_put_racing_a_removal_never_brings_back(make).await;
    readers_never_see_what_a_finished_removal_took(make).await;
    a_dropped_future_leaves_the_tier_usable(make).await;
    a_tier_that_works_answers_a_ping(make).await;
    a_closed_tier_says_so(make).await;
}
