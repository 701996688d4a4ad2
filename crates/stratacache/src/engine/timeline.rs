//! The timeline of a cache: the wall clock once, the monotonic clock from then on.

use std::{sync::Arc, time::Duration};

use stratacache_core::clock::{Clock, Millis};

/// Coordinator time. It never goes back, and jumps of the wall clock do not touch it.
pub(crate) struct Timeline {
    clock: Arc<dyn Clock>,
    /// Nanoseconds: the wall clock at the start, or the highest time of the runs before if that is later.
    base: u64,
    /// Nanoseconds of the clock at the start.
    start: u64,
    /// Milliseconds from readings of the clock to this timeline, rounded down.
    offset: u64,
}

impl Timeline {
    /// Begins at the time the coordinator knows, where it knows one: that of all nodes, or at least that of the runs before.
    pub(crate) fn new(clock: Arc<dyn Clock>, agreed: Option<Millis>, shared: bool) -> Self {
        let start = nanos(clock.now());
        let agreed = agreed.map(Duration::from_millis);
        let own = || clock.wall();
        let base = nanos(if shared { agreed.unwrap_or_else(own) } else { own().max(agreed.unwrap_or_default()) });
        let offset = (base / 1_000_000).wrapping_sub(start.div_ceil(1_000_000));
        Self { clock, base, start, offset }
    }

    pub(crate) fn now(&self) -> Millis {
        self.at(self.clock.now())
    }

    /// Returns a cheap time, never ahead, at most [`COARSE_LAG`] behind as long as the clock keeps its promise.
    #[inline]
    pub(crate) fn coarse(&self) -> Millis {
        let reading = self.clock.coarse();
        self.offset.wrapping_add(reading.as_secs() * 1_000 + u64::from(reading.subsec_millis()))
    }

    fn at(&self, reading: Duration) -> Millis {
        self.base.saturating_add(nanos(reading).saturating_sub(self.start)) / 1_000_000
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

/// Nanoseconds of a reading, up to the year 2554.
#[inline]
fn nanos(reading: Duration) -> u64 {
    reading.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(reading.subsec_nanos()))
}

/// How far the coarse time may be behind: twice what the slowest kernel tick gives, and the rounding.
pub(crate) const COARSE_LAG: Millis = 22;
