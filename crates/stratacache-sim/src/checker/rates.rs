//! Hit rates over time.

use std::collections::BTreeMap;

use crate::time::{Nanos, ms};

const STEP: Nanos = ms(100);

/// Reads and hits in each tenth of a second.
#[derive(Debug, Default)]
pub(crate) struct Rates(BTreeMap<Nanos, (u64, u64)>);

impl Rates {
    pub(super) fn add(&mut self, at: Nanos, hit: bool) {
        let (reads, hits) = self.0.entry(at / STEP).or_default();
        *reads += 1;
        *hits += u64::from(hit);
    }

    /// Returns reads and hits of the whole steps within a time.
    pub(crate) fn between(&self, from: Nanos, to: Nanos) -> (u64, u64) {
        let range = from.div_ceil(STEP)..(to / STEP).max(from.div_ceil(STEP));
        self.0.range(range).fold((0, 0), |(reads, hits), (_, (r, h))| (reads + r, hits + h))
    }
}
