//! The time that logs go by: one clock for all processes of the machine, never skewed.

use std::{sync::LazyLock, time::Duration};

use stratacache_core::clock::{Clock, SystemClock};

static CLOCK: LazyLock<SystemClock> = LazyLock::new(SystemClock::new);

/// Nanoseconds of the machine's monotonic clock.
pub(crate) type Nanos = u64;

/// Reads the clock.
pub(crate) fn now() -> Nanos {
    nanos(CLOCK.now())
}

/// Reads the wall clock, for a seed when none was given.
pub(crate) fn wall_seconds() -> u64 {
    CLOCK.wall().as_secs()
}

pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

pub(crate) const fn ms(millis: u64) -> Nanos {
    millis * 1_000_000
}
