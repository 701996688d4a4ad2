use stratacache_model::{Rule, models::below::cases};

use crate::{breaks_without, holds, holds_even_without};

#[test]
fn disks_below_memory_and_redis_hold() {
    holds(&cases());
}

#[test]
fn a_restart_forgets_what_was_invalidated_on_disk_unless_key_marks_are_kept() {
    breaks_without(&cases(), &[Rule::KeyMarksBelow]);
}

#[test]
fn what_is_on_disk_is_judged_by_the_kfloor() {
    breaks_without(&cases(), &[Rule::DiskByKfloor]);
}

#[test]
fn dropping_a_generation_raises_the_kfloor() {
    breaks_without(&cases(), &[Rule::DropRaisesKfloor]);
}

#[test]
fn dropping_a_generation_raises_the_floor() {
    breaks_without(&cases(), &[Rule::DropRaisesFloor]);
}

#[test]
fn opening_the_first_disk_raises_the_kfloor() {
    breaks_without(&cases(), &[Rule::FlagRaisesKfloor]);
}

#[test]
fn key_marks_that_a_node_evicts_concern_its_disk_too() {
    breaks_without(&cases(), &[Rule::EvictRaisesKfloor]);
}

#[test]
fn what_began_below_evicted_key_marks_is_not_put() {
    breaks_without(&cases(), &[Rule::PutAboveKfloor]);
}

#[test]
fn a_promoted_entry_must_not_pass_for_a_load() {
    breaks_without(&cases(), &[Rule::PromotionCarries]);
}

#[test]
fn a_promoted_entry_may_take_the_stamp_of_its_promotion_if_it_is_judged_after_it() {
    holds_even_without(&cases(), &[Rule::PromotionKeepsStamp]);
}

#[test]
fn a_disk_may_be_written_unjudged_since_it_is_judged_when_read() {
    holds_even_without(&cases(), &[Rule::JudgeBeforeDisk]);
}

#[test]
fn the_token_of_a_promotion_is_not_what_keeps_reads_fresh() {
    holds_even_without(&cases(), &[Rule::PromotionNeedsToken]);
}

#[test]
fn what_began_before_a_discontinuity_is_judged_by_key_marks_that_are_kept() {
    holds_even_without(&cases(), &[Rule::PutAfterSameMep]);
}
