//! How fast keys may be begun.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Steps in a second at most: timers are no finer than a millisecond.
const MOST_STEPS: u32 = 100;

/// Hands keys out in steps that are at least so far apart that no second, wherever it begins, has more of them than the rate.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Keys of a step.
    size: usize,
    apart: Duration,
    /// Keys of this step that are left.
    left: usize,
    /// Made within the runtime.
    ticks: Option<Interval>,
}

impl Pace {
    /// `at_once` is how many keys are begun together, if that can be.
    pub(super) fn new(rate: u32, at_once: usize) -> Self {
        let rate = rate.max(1);
        let at_once = u32::try_from(at_once).unwrap_or(u32::MAX).max(1);
        let steps = rate.div_ceil(at_once).min(MOST_STEPS);
        // rounded up: a step more would not fit
        let apart = Duration::from_nanos(1_000_000_000_u64.div_ceil(steps.into()));
        Self { size: (rate / steps) as usize, apart, left: 0, ticks: None }
    }

    /// Returns how many keys may be begun together.
    pub(super) fn most_at_once(&self) -> usize {
        self.size
    }

    /// Waits until so many keys may be begun.
    ///
    /// # Cancel safety
    /// May be dropped at any time; nothing is taken before it is ready.
    pub(super) async fn wait(&mut self, keys: usize) {
        if self.left < keys {
            let ticks = self.ticks.get_or_insert_with(|| {
                let mut ticks = interval(self.apart);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                ticks
            });
            ticks.tick().await;
            self.left = self.size;
        }
    }

    /// Notes that so many keys are begun now: the next step is counted from here.
    pub(super) fn begun(&mut self, keys: usize) {
        self.left = self.left.saturating_sub(keys);
        if let Some(ticks) = &mut self.ticks {
            ticks.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    #[allow(clippy::disallowed_methods)] // tokio's paused clock
    async fn no_second_wherever_it_begins_has_more_keys_than_the_rate() {
        for (rate, batch) in
            [(1, 1), (3, 1), (7, 3), (10, 4), (10, 100), (99, 1), (1_000, 1), (1_000, 64), (54_321, 100)]
        {
            let mut pace = Pace::new(rate, batch);
            let unit = batch.min(pace.most_at_once());
            let (mut window, mut within, mut all) = (VecDeque::new(), 0, 0);
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(10) {
                pace.wait(unit).await;
                if all % 5 == 0 {
                    tokio::time::sleep(Duration::from_millis(300)).await; // whoever begins may be late
                }
                pace.begun(unit);
                let now = Instant::now();
                window.push_back(now);
                (within, all) = (within + unit, all + unit);
                while window.front().is_some_and(|at| now - *at >= Duration::from_secs(1)) {
                    window.pop_front();
                    within -= unit;
                }
                assert!(within <= rate as usize, "{within} within a second at {rate} by {batch}");
            }
            assert!(all >= 1, "and some are begun");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_even_rate_is_used_whole() {
        for (rate, batch) in [(10, 1), (100, 1), (1_000, 1), (1_000, 10), (50_000, 100)] {
            let mut pace = Pace::new(rate, batch);
            let unit = batch.min(pace.most_at_once());
            let began = Instant::now();
            let mut all = 0;
            while began.elapsed() < Duration::from_secs(5) {
                pace.wait(unit).await;
                pace.begun(unit);
                all += unit;
            }
            let whole = 5 * rate as usize;
            assert!((whole * 9 / 10..=whole + rate as usize).contains(&all), "{all} of {whole} at {rate} by {batch}");
        }
    }
}
