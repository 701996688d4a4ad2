//! What leaves a store alone that does not answer, and looks again after a while.

mod turns;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use turns::{Listening, Turns};

use crate::clock::Clock;

/// In one window at least this many operations must have failed, and half of all, to open the breaker.
const FAILURES: u32 = 5;

#[derive(Debug)]
enum State {
    Closed {
        since: Duration,
        operations: u32,
        failures: u32,
    },
    Open {
        until: Duration,
    },
    /// One operation is let through to see.
    Probing,
}

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The store answered, be it with a refusal.
    Answered,
    /// It said at once that it cannot.
    Failed,
    /// It did not answer in time.
    Hung,
}

/// Says that a breaker opened or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The store is left alone from now on.
    Opened,
    /// It answers again.
    Closed,
}

/// Refuses operations while a store is known not to answer.
///
/// One that hung opens it, so that a hung store costs its deadline once in each window (5 s unless set otherwise); other
/// failures open it when half of a window's operations, and at least 5, failed. After the window one operation probes.
///
/// ```
/// use std::sync::Arc;
/// use stratacache_core::{breaker::{Breaker, Outcome}, clock::SystemClock};
///
/// let breaker = Breaker::new(Arc::new(SystemClock::new()));
/// let permit = breaker.admit().ok_or("left alone")?;
/// permit.settle(Outcome::Hung);
/// assert!(breaker.admit().is_none());
/// # Ok::<(), &str>(())
/// ```
pub struct Breaker {
    clock: Arc<dyn Clock>,
    window: Duration,
    state: Mutex<State>,
}

impl Breaker {
    /// Makes a closed breaker with a window of 5 s.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let since = clock.now();
        let state = Mutex::new(State::Closed { since, operations: 0, failures: 0 });
        Self { clock, window: Duration::from_secs(5), state }
    }

    /// Sets how long failures are counted together, and how long an open breaker stays so.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // each change is one assignment: a panic elsewhere leaves it whole
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an operation through; `None` while the store is left alone.
    pub fn admit(&self) -> Option<Permit<'_>> {
        let now = self.clock.now();
        let mut state = self.state();
        let probing = match &mut *state {
            State::Closed { since, operations, failures } => {
                if now.saturating_sub(*since) > self.window {
                    (*since, *operations, *failures) = (now, 0, 0);
                }
                *operations += 1;
                false
            }
            State::Open { until } if now >= *until => {
                *state = State::Probing;
                true
            }
            State::Open { .. } | State::Probing => return None,
        };
        Some(Permit { breaker: self, probing, settled: false })
    }

    /// Tells whether an operation would be let through.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match *self.state() {
            State::Closed { .. } => false,
            State::Open { until } => self.clock.now() < until,
            State::Probing => true,
        }
    }

    /// Returns how long the store is left alone from now on; zero while one operation probes. `None` if an operation would
    /// be let through.
    #[must_use]
    pub fn open_for(&self) -> Option<Duration> {
        match *self.state() {
            State::Closed { .. } => None,
            State::Open { until } => Some(until.saturating_sub(self.clock.now())).filter(|left| !left.is_zero()),
            State::Probing => Some(Duration::ZERO),
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("state", &*self.state()).finish_non_exhaustive()
    }
}

/// An operation that was let through. Dropped without an outcome, it lets the next one probe.
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    probing: bool,
    settled: bool,
}

impl Permit<'_> {
    /// Notes what became of the operation, and tells what that changed.
    pub fn settle(mut self, outcome: Outcome) -> Option<Turn> {
        self.settled = true;
        let now = self.breaker.clock.now();
        let mut state = self.breaker.state();
        if outcome == Outcome::Answered {
            if !self.probing {
                return None;
            }
            *state = State::Closed { since: now, operations: 0, failures: 0 };
            return Some(Turn::Closed);
        }
        let opens = match &mut *state {
            State::Closed { operations, failures, .. } => {
                *failures += 1;
                outcome == Outcome::Hung || (*failures >= FAILURES && *failures * 2 >= *operations)
            }
            State::Probing => self.probing,
            State::Open { .. } => false,
        };
        if !opens {
            return None;
        }
        *state = State::Open { until: now + self.breaker.window };
        Some(Turn::Opened)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probing && !self.settled {
            *self.breaker.state() = State::Open { until: self.breaker.clock.now() };
        }
    }
}
