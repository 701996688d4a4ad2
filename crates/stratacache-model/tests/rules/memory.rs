use stratacache_model::{Rule, models::memory::cases};

use crate::{breaks_without, holds, holds_even_without};

#[test]
fn the_fast_path_of_memory_is_fresh_in_every_order_of_its_loads_and_stores() {
    holds(&cases());
}

#[test]
fn applying_writes_marks_before_the_last_mark() {
    breaks_without(&cases(), &[Rule::MarksBeforeLast]);
}

#[test]
fn readers_read_the_last_mark_before_the_marks() {
    breaks_without(&cases(), &[Rule::LastBeforeMarks]);
}

#[test]
fn what_is_noted_is_what_was_read_before_the_marks() {
    breaks_without(&cases(), &[Rule::NoteWhatWasRead]);
}

#[test]
fn the_positions_of_two_lanes_are_not_one_number() {
    breaks_without(&cases(), &[Rule::PairOfLanes]);
}

#[test]
fn until_it_is_judged_an_entry_is_judged_by_its_readers() {
    breaks_without(&cases(), &[Rule::UnjudgedByKey]);
}

#[test]
fn an_entry_judged_only_before_it_is_put_misses_a_mark_in_between() {
    breaks_without(&cases(), &[Rule::JudgeAfterPut]);
}

#[test]
fn the_mark_of_a_key_is_written_before_its_entry_is_removed() {
    breaks_without(&cases(), &[Rule::KeyMarkBeforeRemove]);
}

#[test]
fn a_put_during_a_snapshot_is_caught_by_the_kfloor_or_by_mep() {
    breaks_without(&cases(), &[Rule::EntryCarriesMep, Rule::KfloorBeforeDrop]);
    holds_even_without(&cases(), &[Rule::EntryCarriesMep]);
    holds_even_without(&cases(), &[Rule::KfloorBeforeDrop]);
}
