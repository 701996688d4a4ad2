//! How many schedules are run, and what is expected of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use shuttle::{
    Config, FailurePersistence, Runner,
    scheduler::{PctScheduler, RandomScheduler},
};

const SCHEDULES: usize = 10_000;
/// So many forced changes of threads PCT makes in one schedule.
const DEPTH: usize = 3;

fn seed() -> u64 {
    let seed = std::env::var("STRATA_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_121);
    println!("seed {seed} (set STRATA_SEED to explore others)");
    seed
}

fn random(seed: u64) -> RandomScheduler {
    RandomScheduler::new_from_seed(seed, SCHEDULES)
}

fn pct(seed: u64) -> PctScheduler {
    PctScheduler::new_from_seed(seed, DEPTH, SCHEDULES)
}

/// Runs a script under 10,000 random schedules and 10,000 with few changes of threads.
pub(crate) fn holds(script: impl Fn() + Clone + Send + Sync + 'static) {
    let seed = seed();
    let ran = Runner::new(random(seed), Config::default()).run(script.clone());
    assert_eq!(ran, SCHEDULES);
    let ran = Runner::new(pct(seed), Config::default()).run(script);
    assert_eq!(ran, SCHEDULES);
}

/// Makes sure that the same number of schedules shows what a script does wrong.
pub(crate) fn is_found(complaint: &str, script: impl Fn() + Clone + Send + Sync + 'static) {
    let seed = seed();
    let quiet = || {
        let mut config = Config::new();
        config.failure_persistence = FailurePersistence::None;
        config
    };
    let again = script.clone();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        Runner::new(random(seed), quiet()).run(script);
        Runner::new(pct(seed), quiet()).run(again);
    }));
    let panic = ended.expect_err("one of the schedules shows it");
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    assert!(said.is_some_and(|said| said.contains(complaint)), "expected `{complaint}`, it said {said:?}");
}
