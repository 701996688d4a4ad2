use stratacache_model::{Rule, models::history::cases};

use crate::{breaks_without, does_nothing_without, holds};

#[test]
fn no_loss_of_control_keys_and_no_older_history_revives_an_entry() {
    holds(&cases());
}

#[test]
fn marks_lost_alone_are_noticed_by_their_incarnation() {
    breaks_without(&cases(), &[Rule::MarksCarryIncarnation]);
}

#[test]
fn an_older_history_is_noticed_by_the_replid_in_the_header() {
    breaks_without(&cases(), &[Rule::HeaderReplid]);
}

#[test]
fn a_stream_left_over_refuses_the_positions_of_the_new_history() {
    does_nothing_without(&cases(), &[Rule::DeleteTogether]);
}
