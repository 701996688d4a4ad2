use stratacache_model::{Rule, models::update::cases};

use crate::{breaks_without, holds};

#[test]
fn changes_are_kept_and_made_once_and_what_is_invalidated_is_gone() {
    holds(&cases());
}

#[test]
fn two_changes_without_a_lease_lose_one() {
    breaks_without(&cases(), &[Rule::ChangeUnderLease]);
}

#[test]
fn a_change_that_does_not_know_all_marks_is_found_by_nobody() {
    breaks_without(&cases(), &[Rule::ChangeSyncs]);
}

#[test]
fn a_change_without_a_mark_leaves_older_copies_in_memory() {
    breaks_without(&cases(), &[Rule::ChangeMarks]);
}

#[test]
fn without_marks_of_keys_a_read_under_way_puts_the_former_value_into_memory() {
    breaks_without(&cases(), &[Rule::KeyMarks]);
}

#[test]
fn a_value_whose_key_was_marked_by_another_since_its_stamp_is_found_by_nobody() {
    breaks_without(&cases(), &[Rule::ChangeUndisturbed]);
}

#[test]
fn a_node_that_died_after_its_mark_costs_what_was_acknowledged_if_the_next_change_goes_by_marks() {
    breaks_without(&cases(), &[Rule::BaseByLease]);
}

#[test]
fn what_a_tier_below_promoted_may_be_older_than_an_invalidation() {
    breaks_without(&cases(), &[Rule::PromotedByMarks]);
}

#[test]
fn a_change_without_its_token_brings_back_what_was_invalidated() {
    breaks_without(&cases(), &[Rule::FillNeedsToken]);
}

#[test]
fn a_change_whose_lease_ended_loses_the_one_that_came_in_between() {
    breaks_without(&cases(), &[Rule::FillRefusesNoLease]);
}

#[test]
fn a_tag_that_is_invalidated_during_a_change_takes_it_along() {
    breaks_without(&cases(), &[Rule::TagsByStamp]);
}

#[test]
fn a_stamp_of_an_ended_history_means_nothing_in_the_next() {
    breaks_without(&cases(), &[Rule::ChangeSameHistory]);
}

#[test]
fn a_change_whose_reply_was_lost_is_not_made_again_unseen() {
    breaks_without(&cases(), &[Rule::LookAfterLost]);
}

#[test]
fn a_change_that_is_not_seen_after_its_reply_was_lost_may_be_in_the_next_value() {
    breaks_without(&cases(), &[Rule::UnknownIfNotSeen]);
}

#[test]
fn a_changed_value_judged_by_its_stamp_is_found_by_nobody() {
    breaks_without(&cases(), &[Rule::KeyByOwn]);
}
