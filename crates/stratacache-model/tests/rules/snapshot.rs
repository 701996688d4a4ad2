use stratacache_model::{Rule, models::snapshot::cases};

use crate::{breaks_without, holds, holds_even_without};

#[test]
fn a_snapshot_taken_in_steps_covers_every_mark() {
    holds(&cases());
}

#[test]
fn what_came_while_the_marks_were_read_is_replayed() {
    breaks_without(&cases(), &[Rule::ReplayAfterScan]);
}

#[test]
fn a_history_that_changed_meanwhile_is_read_again() {
    breaks_without(&cases(), &[Rule::RescanOnIncarnation]);
}

#[test]
fn a_stream_that_was_trimmed_meanwhile_is_no_replay() {
    breaks_without(&cases(), &[Rule::RescanOnGap]);
}

#[test]
fn a_generation_that_was_dropped_meanwhile_is_read_again_or_made_up_for_by_the_newer_floor() {
    breaks_without(&cases(), &[Rule::RescanOnGeneration, Rule::FloorAfterScan]);
    holds_even_without(&cases(), &[Rule::RescanOnGeneration]);
    holds_even_without(&cases(), &[Rule::FloorAfterScan]);
}
