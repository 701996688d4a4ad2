//! How much may be tried again: retries that feed on successes cannot multiply the load of a store that is going down.

use std::{
    sync::atomic::{
        AtomicU32,
        Ordering::{AcqRel, Acquire},
    },
    time::Duration,
};

/// What one retry costs.
const RETRY: u32 = 10;
/// What is saved up at most: ten retries.
const MOST: u32 = 10 * RETRY;
/// The wait before the first retry; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Each retry takes a tenth of what is saved up; ten operations that succeed earn one.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Budget {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(MOST))
    }

    pub(crate) fn earn(&self) {
        // at its most, as it is in quiet times, nothing is written
        let _ = self.0.fetch_update(AcqRel, Acquire, |saved| (saved < MOST).then_some(saved + 1));
    }

    /// Tells whether one more retry is to be had, and takes it.
    pub(crate) fn spend(&self) -> bool {
        self.0.fetch_update(AcqRel, Acquire, |saved| saved.checked_sub(RETRY)).is_ok()
    }
}

/// Returns how long to wait before the `nth` retry, from 0: half of it is random, so that nodes do not come back together.
pub(crate) fn wait(nth: u32) -> Duration {
    let whole = FIRST_WAIT * 2_u32.saturating_pow(nth.min(6));
    let mut random = [0; 1];
    // without random bytes the wait is the longest
    let part = getrandom::fill(&mut random).map_or(255, |()| u32::from(random[0]));
    whole / 2 + whole / 2 * part / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_retries_are_saved_up_and_ten_successes_earn_one() {
        let budget = Budget::new();
        budget.earn();
        assert_eq!((0..20).filter(|_| budget.spend()).count(), 10);
        (0..9).for_each(|_| budget.earn());
        assert!(!budget.spend());
        budget.earn();
        assert!(budget.spend());
        assert!(!budget.spend());
    }

    #[test]
    fn waits_double_and_are_never_less_than_half() {
        for nth in 0..20 {
            let whole = Duration::from_millis(50 << nth.min(6));
            let waited = wait(nth);
            assert!(waited >= whole / 2 && waited <= whole, "{nth}: {waited:?}");
        }
    }
}
