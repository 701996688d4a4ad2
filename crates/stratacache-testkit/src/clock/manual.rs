//! The clock that stands still.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use stratacache_core::clock::Clock;

use super::shift::{ORIGIN, Shift};

/// A clock that moves only when told, from any thread, with or without a runtime.
///
/// Clones are the same clock. Timers of the runtime do not follow it: what a cache does every so often, its maintenance
/// among it, goes by the runtime's time. `now` starts at 1,000 s, the wall clock at 2026-01-01.
///
/// ```
/// # use std::time::Duration;
/// # use stratacache_core::clock::Clock;
/// # use stratacache_testkit::clock::ManualClock;
/// let clock = ManualClock::new();
/// let (before, other) = (clock.now(), clock.clone());
/// std::thread::spawn(move || other.advance(Duration::from_secs(5))).join().unwrap();
/// assert_eq!(clock.now() - before, Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<State>);

#[derive(Debug, Default)]
struct State {
    passed: AtomicU64,
    shift: Shift,
}

impl ManualClock {
    /// Makes the clock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets time pass: all readings move on.
    pub fn advance(&self, duration: Duration) {
        self.0.passed.fetch_add(duration.as_nanos() as u64, Ordering::SeqCst);
    }

    /// Sets the wall clock to a time since the Unix epoch; the monotonic readings do not move.
    pub fn set_wall(&self, since_epoch: Duration) {
        self.0.shift.set_wall(self.monotonic(), since_epoch);
    }

    /// Moves the wall clock by milliseconds, back when negative; the monotonic readings do not move.
    pub fn jump_wall(&self, millis: i64) {
        self.0.shift.jump_wall(millis);
    }

    /// Lets the machine sleep: `now` and the wall clock move on, and `coarse` stays behind until
    /// [`refresh`](Clock::refresh).
    pub fn suspend(&self, duration: Duration) {
        self.0.shift.suspend(duration);
    }

    fn monotonic(&self) -> Duration {
        ORIGIN + Duration::from_nanos(self.0.passed.load(Ordering::SeqCst))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.0.shift.now(self.monotonic())
    }

    fn coarse(&self) -> Duration {
        self.0.shift.coarse(self.monotonic())
    }

    fn wall(&self) -> Duration {
        self.0.shift.wall(self.monotonic())
    }

    fn refresh(&self) {
        self.0.shift.refresh();
    }
}
