//! How fast loads may be begun.

use std::time::Duration;

/// Lets no second, wherever it begins, have more than its rate.
///
/// Loads are begun evenly; a hundredth of the rate may be begun at once, since timers are no finer than some milliseconds. Where that
/// is one load or more, the rest of the second has as much less.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    apart: Duration,
    /// How much earlier than evenly one may begin.
    slack: Duration,
    /// When the next would begin evenly.
    even: Duration,
}

impl Pace {
    pub(crate) fn new(rate: u32) -> Self {
        let rate = rate.max(1);
        let at_once = rate / 100;
        // rounded up: one more would not fit
        let apart = Duration::from_nanos(1_000_000_000_u64.div_ceil(u64::from(rate - at_once)));
        Self { apart, slack: apart * at_once, even: Duration::ZERO }
    }

    /// Returns how long the next has to wait.
    pub(crate) fn wait(&self, now: Duration) -> Duration {
        self.even.saturating_sub(self.slack).saturating_sub(now)
    }

    /// Tells whether what was begun does not matter any more.
    pub(crate) fn is_idle(&self, now: Duration) -> bool {
        self.even <= now
    }

    /// Notes that one begins now.
    pub(crate) fn begin(&mut self, now: Duration) {
        self.even = self.even.max(now) + self.apart;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const SECOND: Duration = Duration::from_secs(1);

    proptest! {
        #[test]
        fn no_second_wherever_it_begins_has_more_than_the_rate(
            rate in prop_oneof![1..20_u32, 90..210_u32, 1_000..20_000_u32],
            late in prop::collection::vec(0..3_000_u64, 1..40),
        ) {
            let (mut pace, mut now, mut begun) = (Pace::new(rate), Duration::from_secs(3), VecDeque::new());
            for turn in 0..rate as usize * 3 {
                now += pace.wait(now);
                if turn % 7 == 0 {
                    // whoever begins may be late, and there may be nothing to begin for a while
                    now += Duration::from_micros(late[turn / 7 % late.len()].pow(2) / 100);
                }
                prop_assert!(pace.wait(now).is_zero());
                pace.begin(now);
                begun.push_back(now);
                while begun.front().is_some_and(|first| now - *first >= SECOND) {
                    begun.pop_front();
                }
                prop_assert!(begun.len() <= rate as usize, "{} within a second at {rate}", begun.len());
            }
        }
    }

    #[test]
    fn nearly_the_whole_rate_is_used() {
        for rate in [1, 7, 99, 100, 1_000, 54_321] {
            let (mut pace, mut now, mut begun) = (Pace::new(rate), Duration::from_secs(1), 0_u32);
            while now < Duration::from_secs(11) {
                pace.begin(now);
                begun += 1;
                // as a timer that wakes every two milliseconds
                let wait = pace.wait(now);
                now += if wait.is_zero() { wait } else { wait.max(Duration::from_millis(2)) };
            }
            assert!(begun >= rate * 10 / 2, "{begun} at {rate}");
            assert!(rate > 1_000 || begun >= rate * 10 * 95 / 100, "{begun} at {rate}");
        }
    }
}
