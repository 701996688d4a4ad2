use stratacache_model::{Rule, models::fill::cases};

use crate::{breaks_without, holds, holds_even_without};

#[test]
fn fills_and_invalidations_of_two_nodes_hold_under_every_fault() {
    holds(&cases());
}

#[test]
fn a_stamp_taken_after_the_load_hides_an_invalidation_during_it() {
    breaks_without(&cases(), &[Rule::StampBeforeLoad]);
}

#[test]
fn without_the_token_an_old_fill_lands_after_a_gap() {
    breaks_without(&cases(), &[Rule::FillNeedsToken]);
}

#[test]
fn without_marks_of_keys_a_load_under_way_outlives_an_invalidation() {
    breaks_without(&cases(), &[Rule::KeyMarks]);
}

#[test]
fn what_redis_returns_unjudged_may_be_invalid() {
    breaks_without(&cases(), &[Rule::JudgeLower]);
}

#[test]
fn a_gap_that_nobody_notices_loses_marks() {
    breaks_without(&cases(), &[Rule::NoticeGap]);
}

#[test]
fn without_incarnations_a_lost_lane_or_a_failover_revives_old_entries() {
    breaks_without(&cases(), &[Rule::Incarnation]);
}

#[test]
fn without_the_shards_history_a_failover_brings_deleted_entries_back() {
    breaks_without(&cases(), &[Rule::DataIncarnation]);
}

#[test]
fn what_began_below_forgotten_key_marks_must_not_be_put() {
    breaks_without(&cases(), &[Rule::PutAboveKfloor]);
}

#[test]
fn what_began_before_a_discontinuity_must_not_be_put_and_the_kfloor_says_so_too() {
    breaks_without(&cases(), &[Rule::PutAfterSameMep, Rule::PutAboveKfloor]);
    holds_even_without(&cases(), &[Rule::PutAfterSameMep]);
}

#[test]
fn announcing_before_the_fence_lets_a_node_read_the_old_entry_again() {
    breaks_without(&cases(), &[Rule::FenceBeforeMark]);
}
