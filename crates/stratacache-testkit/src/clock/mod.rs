//! Clocks that tests move.
//!
//! ```
//! use std::time::Duration;
//! use stratacache_core::clock::Clock;
//! use stratacache_testkit::clock::ManualClock;
//!
//! let clock = ManualClock::new();
//! let before = clock.now();
//! clock.advance(Duration::from_secs(60));
//! clock.suspend(Duration::from_secs(3600)); // the lid closes for an hour
//! assert_eq!(clock.now() - before, Duration::from_secs(3660));
//! assert_eq!(clock.coarse(), clock.now() - Duration::from_secs(3600));
//! clock.refresh();
//! assert_eq!(clock.coarse(), clock.now());
//! ```

mod manual;
mod shift;
mod simulated;

pub use manual::ManualClock;
pub use simulated::SimulatedClock;

#[cfg(test)]
mod tests;
