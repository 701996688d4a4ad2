//! What `loader_stats` returns.

use serde::Serialize;

/// The counters and gauges of one declared loader since the cache was built, over all tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LoaderStats {
    /// Loads that have their turn now.
    pub running: usize,
    /// Loads that wait for it.
    pub waiting: usize,
    /// Calls of the loader, retries included.
    pub loads: u64,
    /// Calls that failed, panicked, or took too long.
    pub failures: u64,
    /// Loads refused because too many waited.
    pub refused_busy: u64,
    /// Loads refused because the loader was left alone.
    pub refused_down: u64,
    /// Loads refused because their key was to rest.
    pub refused_resting: u64,
    /// Calls after one that failed.
    pub retries: u64,
    /// Calls that would have followed if the budget had let them.
    pub retries_denied: u64,
    /// How often the breaker opened.
    pub breaker_opens: u64,
    /// Whether the loader is left alone now.
    pub breaker_open: bool,
}
