//! Waiting for other processes, in real time.

use std::{thread, time::Duration};

use stratacache_core::clock::{Clock as _, SystemClock};

use super::ServerError;

const INTERVAL: Duration = Duration::from_millis(10);

/// A point in time after which waiting ends.
#[derive(Debug)]
pub(super) struct Deadline {
    clock: SystemClock,
    allowed: Duration,
    end: Duration,
}

impl Deadline {
    pub(super) fn after(allowed: Duration) -> Self {
        let clock = SystemClock::new();
        let end = clock.now() + allowed;
        Self { clock, allowed, end }
    }

    pub(super) fn is_over(&self) -> bool {
        self.clock.now() >= self.end
    }

    /// Waits a little, or fails when the time is over.
    pub(super) fn pause(&self, waited_for: impl FnOnce() -> (String, String)) -> Result<(), ServerError> {
        if !self.is_over() {
            thread::sleep(INTERVAL);
            return Ok(());
        }
        let (waited_for, seen) = waited_for();
        Err(ServerError::Timeout { waited_for, after: self.allowed, seen })
    }
}

/// Asks again and again until the answer is `Ok`; the `Err` says what was seen instead.
pub(crate) fn until<T>(
    what: impl Into<String>,
    allowed: Duration,
    mut ask: impl FnMut() -> Result<Result<T, String>, ServerError>,
) -> Result<T, ServerError> {
    let what = what.into();
    let deadline = Deadline::after(allowed);
    loop {
        match ask()? {
            Ok(seen) => return Ok(seen),
            Err(seen) => deadline.pause(|| (what.clone(), seen))?,
        }
    }
}
