use stratacache_model::{Rule, models::flight::cases};

use crate::{breaks_without, holds, holds_even_without};

#[test]
fn shared_loads_are_fresh_and_calm_and_leave_nobody_waiting() {
    holds(&cases());
}

#[test]
fn tags_that_the_loader_added_are_judged_only_when_the_flight_lands() {
    breaks_without(&cases(), &[Rule::JudgeLanding]);
}

#[test]
fn judging_at_the_join_is_for_speed() {
    holds_even_without(&cases(), &[Rule::JudgeJoin]);
}

#[test]
fn a_flight_that_began_below_forgotten_key_marks_is_not_joined() {
    breaks_without(&cases(), &[Rule::JoinAboveKfloor]);
}

#[test]
fn a_flight_does_not_survive_another_history() {
    breaks_without(&cases(), &[Rule::OrphanFlights]);
}

#[test]
fn a_flight_does_not_survive_a_gap_and_the_kfloor_says_so_too() {
    breaks_without(&cases(), &[Rule::OrphanFlights, Rule::JoinAboveKfloor]);
}

#[test]
fn a_refused_waiter_needs_a_flight_not_older_than_its_start_where_orphans_are_found() {
    breaks_without(&cases(), &[Rule::TableHoldsNewest, Rule::ReenterNotOlder]);
}

#[test]
fn positions_of_another_history_do_not_make_a_flight_newer() {
    breaks_without(&cases(), &[Rule::TableHoldsNewest, Rule::ReenterSameHistory]);
}

#[test]
fn a_table_that_holds_the_newest_flight_makes_the_conditions_of_re_entering_spare() {
    holds_even_without(&cases(), &[Rule::ReenterNotOlder]);
    holds_even_without(&cases(), &[Rule::ReenterSameHistory]);
    holds_even_without(&cases(), &[Rule::TableHoldsNewest]);
}

#[test]
fn without_an_end_to_re_entering_frequent_invalidations_starve_a_waiter() {
    breaks_without(&cases(), &[Rule::ReenterOnce]);
}

#[test]
fn a_flight_captures_the_lane_of_global_tags() {
    breaks_without(&cases(), &[Rule::CaptureGlobal]);
}

#[test]
fn a_dropped_leader_without_a_guard_leaves_its_waiters_waiting() {
    breaks_without(&cases(), &[Rule::DropGuard]);
}

#[test]
fn a_flight_removed_by_another_than_its_owner_is_loaded_twice() {
    breaks_without(&cases(), &[Rule::OwnerRemoves]);
}
