use stratacache_model::{Rule, models::shard::cases};

use crate::{breaks_without, holds};

#[test]
fn a_shard_that_fails_over_serves_nothing_old() {
    holds(&cases());
}

#[test]
fn an_entry_of_another_history_of_the_shard_is_invalid() {
    breaks_without(&cases(), &[Rule::DataIncarnation]);
}

#[test]
fn an_old_primary_that_is_cut_off_answers_with_its_old_replid() {
    breaks_without(&cases(), &[Rule::ShardWrites]);
}
