//! How long things took: fixed buckets, each twice as wide as the one before.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The first bucket, in microseconds.
const FIRST: u64 = 50;
/// Up to 52 s: a load may take 30 s unless its policy says more.
const BOUNDS: usize = 21;

/// Counts durations. No lock and no allocation; not striped as hits are, since what it measures takes far longer than it.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// The last is for all that took longer.
    buckets: [AtomicU64; BOUNDS + 1],
    nanos: AtomicU64,
}

impl Histogram {
    pub(crate) fn note(&self, took: Duration) {
        let micros = took.as_nanos().div_ceil(1_000);
        // the first bound that is not exceeded
        let bucket = (0..BOUNDS).find(|at| micros <= u128::from(FIRST << at)).unwrap_or(BOUNDS);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn read(&self) -> Latency {
        let mut so_far = 0;
        let mut upto = |at: usize| {
            so_far += self.buckets[at].load(Relaxed);
            so_far
        };
        let buckets = (0..BOUNDS).map(|at| (Duration::from_micros(FIRST << at), upto(at))).collect();
        Latency { buckets, count: upto(BOUNDS), sum: Duration::from_nanos(self.nanos.load(Relaxed)) }
    }
}

/// How long things took: what a histogram had counted when it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// Bounds from 50 us to 52 s, each twice the one before, and how many took no longer than that.
    pub buckets: Vec<(Duration, u64)>,
    /// How many there were in all.
    pub count: u64,
    /// How long they took together.
    pub sum: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_as_long_as_a_bound_is_below_it_and_nothing_is_lost() {
        let histogram = Histogram::default();
        let of = |micros| Duration::from_micros(micros);
        for took in [of(0), of(50), of(51), of(100), Duration::from_nanos(100_001), of(60_000_000), Duration::MAX] {
            histogram.note(took);
        }
        let Latency { buckets, count, .. } = histogram.read();
        assert_eq!(buckets[..3], [(of(50), 2), (of(100), 4), (of(200), 5)]);
        assert_eq!((buckets.len(), buckets[BOUNDS - 1].1, count), (BOUNDS, 5, 7));
        assert_eq!(buckets[BOUNDS - 1].0, of(52_428_800));
    }
}
