//! The clock that follows tokio's time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use stratacache_core::clock::Clock;
use tokio::{runtime::Handle, time::Instant};

use super::shift::{ORIGIN, Shift};

/// A clock on tokio's time: under `#[tokio::test(start_paused = true)]`, `tokio::time::advance` and the automatic advance
/// of an idle runtime move timers and this clock together.
///
/// Clones are the same clock. `now` starts at 1,000 s, the wall clock at 2026-01-01. On a thread outside the runtime it
/// shows the latest reading made inside, since tokio's paused time cannot be read there; for tests with threads of
/// their own, take [`ManualClock`](super::ManualClock).
///
/// ```
/// # use std::time::Duration;
/// # use stratacache_core::clock::Clock;
/// # use stratacache_testkit::clock::SimulatedClock;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let clock = SimulatedClock::new();
/// let before = clock.now();
/// tokio::time::advance(Duration::from_millis(1_500)).await;
/// assert_eq!(clock.now() - before, Duration::from_millis(1_500));
///
/// let wall = clock.wall();
/// clock.jump_wall(-60_000); // somebody sets the clock back
/// assert_eq!(wall - clock.wall(), Duration::from_secs(60));
/// assert_eq!(clock.now() - before, Duration::from_millis(1_500));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SimulatedClock(Arc<State>);

#[derive(Debug)]
struct State {
    start: Instant,
    latest: AtomicU64,
    step: u64,
    shift: Shift,
}

impl SimulatedClock {
    /// Makes the clock; call it inside the runtime whose time it shall follow.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        Self::with_coarse_step(Duration::from_nanos(1))
    }

    /// Makes a clock whose [`coarse`](Clock::coarse) reading moves in steps, as the operating system's does (4 ms on
    /// most machines).
    ///
    /// # Panics
    /// Outside a tokio runtime, or when the step is 0.
    #[must_use]
    pub fn with_coarse_step(step: Duration) -> Self {
        assert!(Handle::try_current().is_ok(), "SimulatedClock::new was called outside a tokio runtime");
        assert!(!step.is_zero(), "the step of the coarse reading is 0; the smallest is 1 ns");
        let state = State {
            start: Instant::now(),
            latest: AtomicU64::new(0),
            step: step.as_nanos() as u64,
            shift: Shift::default(),
        };
        Self(Arc::new(state))
    }

    /// Sets the wall clock to a time since the Unix epoch; the monotonic readings do not move.
    pub fn set_wall(&self, since_epoch: Duration) {
        self.0.shift.set_wall(self.0.monotonic(), since_epoch);
    }

    /// Moves the wall clock by milliseconds, back when negative; the monotonic readings do not move.
    pub fn jump_wall(&self, millis: i64) {
        self.0.shift.jump_wall(millis);
    }

    /// Lets the machine sleep: `now` and the wall clock move on, timers do not, and `coarse` stays behind until
    /// [`refresh`](Clock::refresh).
    pub fn suspend(&self, duration: Duration) {
        self.0.shift.suspend(duration);
    }
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn elapsed(&self) -> u64 {
        if Handle::try_current().is_err() {
            return self.latest.load(Ordering::SeqCst);
        }
        let elapsed = self.start.elapsed().as_nanos() as u64;
        self.latest.fetch_max(elapsed, Ordering::SeqCst).max(elapsed)
    }

    fn monotonic(&self) -> Duration {
        ORIGIN + Duration::from_nanos(self.elapsed())
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Duration {
        self.0.shift.now(self.0.monotonic())
    }

    fn coarse(&self) -> Duration {
        let elapsed = self.0.elapsed();
        self.0.shift.coarse(ORIGIN + Duration::from_nanos(elapsed - elapsed % self.0.step))
    }

    fn wall(&self) -> Duration {
        self.0.shift.wall(self.0.monotonic())
    }

    fn refresh(&self) {
        self.0.shift.refresh();
    }
}
