//! Every local rule of coherence is needed: without it the history checker finds a violation within a million
//! operations.
#![cfg(feature = "mutants")]
#![allow(unreachable_pub, clippy::print_stdout)] // a shared module; figures for people

#[path = "support/campaign.rs"]
mod campaign;

use campaign::{Below, Plan, run};
use stratacache::{CacheBuilder, Rule, WriteMode};

/// Runs without a rule, in parts, until the checker notices: four million operations at most. Mostly one part is enough; on a busy
/// machine what must meet may not meet for a million.
async fn is_noticed(rule: Rule, write: WriteMode, below: Below, configure: fn(CacheBuilder) -> CacheBuilder) {
    let mut operations = 0;
    for seed in 1..=40 {
        let plan = Plan { seed, operations: 100_000, restarts: 4, workers: 8, encoded: false, write, below, configure };
        let report = run(plan).await;
        operations += report.operations;
        if report.stale > 0 {
            println!("{rule:?}: noticed within {operations} operations: {report}");
            return;
        }
    }
    panic!("nobody noticed that {rule:?} is off in {operations} operations");
}

macro_rules! mutants {
    ($($name:ident: $rule:ident, $write:ident, $below:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            is_noticed(Rule::$rule, WriteMode::$write, Below::$below, |builder| builder.without_rule(Rule::$rule)).await;
        }
    )*};
}

mutants! {
    a_stamp_taken_after_the_load_is_noticed: StampBeforeLoad, Through, Sound;
    joining_a_flight_without_a_check_is_noticed: JoinCheck, Through, Sound;
    an_entry_not_judged_after_it_entered_the_map_is_noticed: JudgeAfterPut, Through, Sound;
    marks_that_are_not_persisted_are_noticed: PersistMarks, Through, Sound;
    a_promotion_under_a_new_stamp_is_noticed: PromotionKeepsStamp, Through, Sound;
    a_refused_waiter_that_takes_what_it_got_is_noticed: RefusedReenters, Through, Sound;
    a_write_behind_under_a_fence_of_its_own_is_noticed: BehindKeepsFence, Behind, Slow;
}
