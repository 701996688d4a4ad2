use stratacache_model::{Rule, models::insert::cases};

use crate::{breaks_without, does_nothing_without, holds, holds_even_without};

#[test]
fn inserts_loads_and_invalidations_hold_together() {
    holds(&cases());
}

#[test]
fn a_stamp_taken_after_the_write_of_the_source_hides_what_came_between() {
    breaks_without(&cases(), &[Rule::StampBeforeSource]);
}

#[test]
fn tags_judged_by_the_own_position_outlive_an_invalidation_before_it() {
    breaks_without(&cases(), &[Rule::TagsByStamp]);
}

#[test]
fn a_key_judged_by_the_stamp_is_never_read_from_the_cache() {
    does_nothing_without(&cases(), &[Rule::KeyByOwn]);
}

#[test]
fn an_insert_that_was_overtaken_must_not_be_stored() {
    breaks_without(&cases(), &[Rule::RefuseOvertaken]);
}

#[test]
fn whether_it_was_overtaken_is_known_only_at_the_own_position() {
    breaks_without(&cases(), &[Rule::SyncToOwn]);
}

#[test]
fn an_inserted_entry_below_forgotten_key_marks_is_invalid() {
    breaks_without(&cases(), &[Rule::CarriedFlag]);
}

#[test]
fn an_insert_stamped_below_forgotten_key_marks_counts_as_overtaken() {
    breaks_without(&cases(), &[Rule::InsertAboveKfloor]);
}

#[test]
fn an_insert_does_not_survive_another_history() {
    breaks_without(&cases(), &[Rule::RefuseAfterGap]);
}

#[test]
fn an_insert_does_not_survive_a_gap_and_the_kfloor_says_so_too() {
    breaks_without(&cases(), &[Rule::RefuseAfterGap, Rule::InsertAboveKfloor]);
}

#[test]
fn the_token_of_an_insert_is_not_what_keeps_reads_fresh() {
    holds_even_without(&cases(), &[Rule::InsertToken]);
}
