//! What tests do to a clock besides letting time pass.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

/// Where `now` starts: not 0, so that subtractions do not saturate by accident.
pub(super) const ORIGIN: Duration = Duration::from_secs(1_000);
/// The wall clock at the start, in milliseconds: 2026-01-01T00:00:00Z.
const WALL: i64 = 1_767_225_600_000;

/// Sleeps of the machine and settings of the wall clock, on top of a monotonic reading that does not know them.
#[derive(Debug)]
pub(super) struct Shift {
    asleep: AtomicU64,
    asleep_seen: AtomicU64,
    wall_minus_now: AtomicI64,
}

impl Default for Shift {
    fn default() -> Self {
        Self {
            asleep: AtomicU64::new(0),
            asleep_seen: AtomicU64::new(0),
            wall_minus_now: AtomicI64::new(WALL - ORIGIN.as_millis() as i64),
        }
    }
}

impl Shift {
    pub(super) fn now(&self, monotonic: Duration) -> Duration {
        monotonic + Duration::from_nanos(self.asleep.load(Ordering::SeqCst))
    }

    pub(super) fn coarse(&self, monotonic: Duration) -> Duration {
        monotonic + Duration::from_nanos(self.asleep_seen.load(Ordering::SeqCst))
    }

    pub(super) fn refresh(&self) {
        self.asleep_seen.fetch_max(self.asleep.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    pub(super) fn suspend(&self, duration: Duration) {
        self.asleep.fetch_add(duration.as_nanos() as u64, Ordering::SeqCst);
    }

    pub(super) fn wall(&self, monotonic: Duration) -> Duration {
        let now = self.now(monotonic);
        let offset = self.wall_minus_now.load(Ordering::SeqCst);
        let distance = Duration::from_millis(offset.unsigned_abs());
        if offset < 0 { now.saturating_sub(distance) } else { now + distance }
    }

    pub(super) fn set_wall(&self, monotonic: Duration, wall: Duration) {
        let offset = wall.as_millis() as i64 - self.now(monotonic).as_millis() as i64;
        self.wall_minus_now.store(offset, Ordering::SeqCst);
    }

    pub(super) fn jump_wall(&self, millis: i64) {
        self.wall_minus_now.fetch_add(millis, Ordering::SeqCst);
    }
}
