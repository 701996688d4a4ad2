//! The tier's own reading of coordinator time.

use std::{fmt, sync::Arc, time::Duration};

use stratacache_core::clock::{Clock, Millis};

/// Begins with the wall clock and goes on with the monotonic one, as the timeline of a cache does.
#[derive(Clone)]
pub(crate) struct Time {
    clock: Arc<dyn Clock>,
    base: Duration,
}

impl Time {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let base = clock.wall().saturating_sub(clock.now());
        Self { clock, base }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Returns the time since a fixed point, for deadlines.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Returns coordinator time, as far as this node's wall clock was right.
    pub(crate) fn millis(&self) -> Millis {
        (self.base + self.clock.now()).as_millis() as Millis
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Time").field("now", &self.millis()).finish_non_exhaustive()
    }
}
