//! Time: the only place that reads it.

use std::time::Duration;

/// Milliseconds on the timeline of a cache.
///
/// Coordinator time: milliseconds since the Unix epoch when the cache was built, moved forward by the monotonic clock
/// from then on. It never goes back, whatever the wall clock does.
pub type Millis = u64;

/// A source of time.
///
/// The system's own is [`SystemClock`]; tests use the simulated one of the testkit.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time since a fixed but arbitrary point; it never goes back and counts while the machine sleeps.
    fn now(&self) -> Duration;

    /// Returns a cheap reading that is usually less than 10 ms behind [`now`](Self::now) and never ahead of it.
    fn coarse(&self) -> Duration;

    /// Returns the wall clock as time since the Unix epoch. Read once, when a cache is built.
    fn wall(&self) -> Duration;

    /// Moves the base of [`coarse`](Self::coarse) to the present; called about every 250 ms.
    fn refresh(&self);
}

/// The clocks of the operating system.
///
/// On Linux `now` reads `CLOCK_BOOTTIME`, which counts while a virtual machine or laptop sleeps; `coarse` reads
/// `CLOCK_MONOTONIC_COARSE` plus the time slept, as last measured by `refresh`. After a sleep `coarse` is behind until
/// the next `refresh`. Elsewhere both read the monotonic clock.
#[derive(Debug, Default)]
pub struct SystemClock {
    #[cfg(target_os = "linux")]
    asleep_nanos: std::sync::atomic::AtomicU64,
}

impl SystemClock {
    /// Makes the clock.
    #[must_use]
    pub fn new() -> Self {
        let clock = Self::default();
        clock.refresh();
        clock
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Duration;
    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn read(id: ClockId) -> Duration {
        let t = clock_gettime(id);
        Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec as u32)
    }
}

#[cfg(target_os = "linux")]
impl Clock for SystemClock {
    fn now(&self) -> Duration {
        linux::read(rustix::time::ClockId::Boottime)
    }

    fn coarse(&self) -> Duration {
        let asleep = self.asleep_nanos.load(std::sync::atomic::Ordering::Relaxed);
        let awake = linux::read(rustix::time::ClockId::MonotonicCoarse);
        // most machines never sleep
        if asleep == 0 { awake } else { awake + Duration::from_nanos(asleep) }
    }

    fn wall(&self) -> Duration {
        wall()
    }

    fn refresh(&self) {
        // boot time is read first, so that the difference is never too large by the time between the reads
        let boot = self.now();
        let monotonic = linux::read(rustix::time::ClockId::Monotonic);
        let asleep = boot.saturating_sub(monotonic).as_nanos() as u64;
        self.asleep_nanos.store(asleep, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(not(target_os = "linux"))]
impl Clock for SystemClock {
    fn now(&self) -> Duration {
        monotonic()
    }

    fn coarse(&self) -> Duration {
        monotonic()
    }

    fn wall(&self) -> Duration {
        wall()
    }

    fn refresh(&self) {}
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::disallowed_methods)]
fn monotonic() -> Duration {
    use std::{sync::OnceLock, time::Instant};
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[allow(clippy::disallowed_methods)] // the one wall-clock reading
fn wall() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_reading_is_never_ahead() {
        let clock = SystemClock::new();
        for _ in 0..10_000 {
            let coarse = clock.coarse();
            let after = clock.now();
            assert!(coarse <= after, "{coarse:?} {after:?}");
        }
    }
}
