//! How many loads may be tried again.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Retries that are free at first, and the most that are saved.
const FREE: u32 = 10;
const MOST: u32 = 100;

/// Each load earns a fraction of a retry: where all fail, there are not many more calls than loads.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In thousandths of a retry.
    left: AtomicU32,
    earns: u32,
}

impl Budget {
    pub(crate) fn new(fraction: f32) -> Self {
        let earns = (fraction * 1000.0) as u32;
        let free = if earns == 0 { 0 } else { FREE * 1000 };
        Self { left: AtomicU32::new(free), earns }
    }

    /// Notes a load.
    pub(crate) fn earn(&self) {
        // each retry takes what it takes at once; what two notes lose is theirs
        let _ = self.left.fetch_update(Relaxed, Relaxed, |left| {
            (left < MOST * 1000).then(|| left.saturating_add(self.earns).min(MOST * 1000))
        });
    }

    /// Takes a retry.
    pub(crate) fn take(&self) -> bool {
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1000)).is_ok()
    }
}

impl Default for Budget {
    /// A fifth.
    fn default() -> Self {
        Self::new(super::limits::RETRY_BUDGET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_gives_its_fraction_and_a_few() {
        for (fraction, range) in [(0.0, 0..=0), (0.1, 100..=110), (0.2, 200..=210), (1.0, 1_000..=1_010)] {
            let budget = Budget::new(fraction);
            let taken = (0..1_000).map(|_| {
                budget.earn();
                std::iter::from_fn(|| budget.take().then_some(())).count()
            });
            let taken = taken.sum::<usize>();
            assert!(range.contains(&taken), "{taken} of 1,000 at {fraction}");
        }
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let budget = Budget::new(1.0);
        (0..10_000).for_each(|_| budget.earn());
        assert_eq!((0..10_000).filter(|_| budget.take()).count(), MOST as usize);
    }
}
