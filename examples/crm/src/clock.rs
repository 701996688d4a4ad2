//! The time of day, for the expiry of tokens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the time since the Unix epoch; zero if the machine's clock is before it.
#[allow(clippy::disallowed_methods, reason = "this is this program's clock module")]
pub(crate) fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
