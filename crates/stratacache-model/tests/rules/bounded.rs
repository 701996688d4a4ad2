use stratacache_model::{Rule, models::bounded::cases};

use crate::{breaks_without, holds};

#[test]
fn bounded_reads_miss_nothing_older_than_delta() {
    holds(&cases());
}

#[test]
fn a_reply_of_the_stream_does_not_move_as_of() {
    breaks_without(&cases(), &[Rule::AsOfBySync]);
}

#[test]
fn as_of_is_when_the_sync_was_sent_not_when_it_was_answered() {
    breaks_without(&cases(), &[Rule::AsOfWhenSent]);
}

#[test]
fn a_sync_that_left_something_to_fetch_does_not_move_as_of() {
    breaks_without(&cases(), &[Rule::AsOfAtClock]);
}

#[test]
fn a_sync_that_only_reads_is_answered_by_a_demoted_primary() {
    breaks_without(&cases(), &[Rule::SyncWrites]);
}

#[test]
fn a_sync_of_a_trimmed_stream_is_a_gap() {
    breaks_without(&cases(), &[Rule::SyncNoticesGap]);
}

#[test]
fn messages_of_another_history_look_like_the_next_ones() {
    breaks_without(&cases(), &[Rule::StreamCarriesIncarnation]);
}

#[test]
fn with_times_in_the_stream_the_time_of_sending_is_too_late() {
    breaks_without(&cases(), &[Rule::EntryTime]);
}

#[test]
fn a_node_that_hears_nothing_must_not_go_on_serving() {
    breaks_without(&cases(), &[Rule::BoundedByAsOf]);
}

#[test]
fn a_clock_that_stops_while_the_machine_sleeps_makes_as_of_look_recent() {
    breaks_without(&cases(), &[Rule::BootTime]);
}

#[test]
fn what_is_loaded_without_the_lane_counts_from_when_its_load_began() {
    breaks_without(&cases(), &[Rule::BypassFromStart]);
}

#[test]
fn a_sync_that_was_already_sent_does_not_serve_who_asks_now() {
    breaks_without(&cases(), &[Rule::AskBeforeSent]);
}
