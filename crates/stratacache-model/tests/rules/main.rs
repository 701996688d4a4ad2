//! Each rule of the protocol is needed, or known to be spare; with all of them each model holds.

#![allow(clippy::print_stdout)] // sizes and lengths of counterexamples are part of what the tests say

mod below;
mod bounded;
mod expire;
mod fill;
mod flight;
mod history;
mod insert;
mod lease;
mod memory;
mod shard;
mod snapshot;
mod update;

use std::collections::HashSet;

use stratacache_model::{Case, Expected, Limit, Rule, Verdict, models};

const LIMIT: Limit = Limit { generated: 30_000_000 };

/// Explores the cases that are not deep and for which `off` is what they do without.
fn explore(cases: &[Case], off: &[Rule], expected: Expected) {
    let wanted = |case: &&Case| !case.is_deep && case.off == off && case.expected == expected;
    let mut explored = 0;
    for case in cases.iter().filter(wanted) {
        let outcome = case.explore(LIMIT);
        println!("{}, {}, without {off:?}: {outcome}", case.model, case.size);
        if let (Verdict::Violated { steps, .. }, Expected::Holds | Expected::Useless) = (&outcome.verdict, expected) {
            println!("{}", steps.join("\n"));
        }
        assert!(case.expects(&outcome), "expected {expected:?}: {outcome}, never: {:?}", outcome.unreached);
        explored += 1;
    }
    assert!(explored > 0, "nobody explores this without {off:?}");
}

fn holds(cases: &[Case]) {
    explore(cases, &[], Expected::Holds);
}

fn breaks_without(cases: &[Case], off: &[Rule]) {
    explore(cases, off, Expected::Violated);
}

fn holds_even_without(cases: &[Case], off: &[Rule]) {
    explore(cases, off, Expected::Holds);
}

fn does_nothing_without(cases: &[Case], off: &[Rule]) {
    explore(cases, off, Expected::Useless);
}

#[test]
fn every_rule_is_switched_off_somewhere_and_breaks_something_alone_or_with_the_one_that_covers_for_it() {
    let cases = models::cases();
    let tried: HashSet<Rule> = cases.iter().flat_map(|case| case.off.iter().copied()).collect();
    let untried: Vec<_> = Rule::ALL.iter().filter(|rule| !tried.contains(rule)).collect();
    assert!(untried.is_empty(), "no model does without {untried:?}");
    let breaks = |rule: &Rule| cases.iter().any(|case| case.expected != Expected::Holds && case.off.contains(rule));
    let spare: Vec<_> = Rule::ALL.iter().filter(|rule| !breaks(rule)).collect();
    assert_eq!(
        format!("{spare:?}"),
        "[TakeoverHasOwnToken, Takeover, JudgeJoin, InsertToken, PromotionKeepsStamp, PromotionNeedsToken, JudgeBeforeDisk]",
        "known to be spare for what the models promise"
    );
}
