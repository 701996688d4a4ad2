//! How often something may have been missed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counts how often what a coordinator heard did not go on where it had left off. Clones share the count: the coordinator adds,
/// and the engine shows it as `strata_bus_gaps_total`.
#[derive(Debug, Clone, Default)]
pub struct Gaps(Arc<AtomicU64>);

impl Gaps {
    /// Counts one.
    pub fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Returns how many there were.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
