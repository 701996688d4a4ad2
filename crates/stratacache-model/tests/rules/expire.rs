use stratacache_model::{Rule, models::expire::cases};

use crate::{breaks_without, holds};

#[test]
fn expired_is_never_served_as_fresh_and_invalidated_never_at_all() {
    holds(&cases());
}

#[test]
fn what_is_served_stale_is_judged_first() {
    breaks_without(&cases(), &[Rule::JudgeBeforeStale]);
}

#[test]
fn an_expiry_concerns_loads_under_way_too() {
    breaks_without(&cases(), &[Rule::SoftByStamp]);
}
