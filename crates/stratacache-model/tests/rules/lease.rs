use stratacache_model::{Rule, models::lease::cases};

use crate::{breaks_without, holds, holds_even_without};

#[test]
fn leases_hold_through_expiry_takeover_death_and_impatience() {
    holds(&cases());
}

#[test]
fn a_fill_without_its_token_stores_what_was_fenced() {
    breaks_without(&cases(), &[Rule::FillNeedsToken]);
}

#[test]
fn renewing_a_lease_that_is_gone_undoes_a_fence() {
    breaks_without(&cases(), &[Rule::RenewOnlyOwn]);
}

#[test]
fn no_lease_is_not_as_good_as_ones_own() {
    breaks_without(&cases(), &[Rule::FillRefusesNoLease]);
}

#[test]
fn a_load_without_a_lease_must_not_be_stored_below() {
    breaks_without(&cases(), &[Rule::LeaselessStaysInMemory]);
}

#[test]
fn takeover_is_for_speed_and_safe_without() {
    holds_even_without(&cases(), &[Rule::Takeover]);
}

#[test]
fn a_takeover_that_keeps_the_token_is_as_fresh() {
    holds_even_without(&cases(), &[Rule::TakeoverHasOwnToken]);
}
