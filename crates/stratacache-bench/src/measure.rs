//! Time and statistics: processor time for costs, the monotonic clock for latencies, medians of interleaved rounds.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use crate::keys::Lookups;

/// Reads the monotonic clock.
#[allow(clippy::disallowed_methods)] // a bench measures real time
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Reads the processor time that all threads of this process have used.
pub(crate) fn cpu_time() -> Duration {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec as u32)
}

/// Says what is going on, beside the result.
pub(crate) fn progress(text: &str) {
    // nobody may be listening; the result does not depend on it
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Operations of each thread in a round.
    pub(crate) operations: usize,
    pub(crate) quick: bool,
}

/// The median of some rounds and how far they spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_unstable_by(f64::total_cmp);
        let (Some(min), Some(max)) = (samples.first(), samples.last()) else {
            return Self { median: f64::NAN, min: f64::NAN, max: f64::NAN };
        };
        let middle = samples.len() / 2;
        let median =
            if samples.len() % 2 == 1 { samples[middle] } else { f64::midpoint(samples[middle - 1], samples[middle]) };
        Self { median, min: *min, max: *max }
    }
}

/// Returns the value below which `fraction` of the sorted samples lie.
pub(crate) fn percentile(sorted: &[u64], fraction: f64) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((last as f64) * fraction).round() as usize).copied().unwrap_or(0)
}

/// One engine in a comparison: runs all look-ups of one thread.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn Fn(&Lookups) + Send + Sync>,
}

impl Contender {
    pub(crate) fn new(name: &'static str, run: impl Fn(&Lookups) + Send + Sync + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }

    fn round(&self, threads: &[Lookups]) -> f64 {
        let operations: usize = threads.iter().map(Lookups::len).sum();
        let before = cpu_time();
        match threads {
            [alone] => uncounted(|| (self.run)(alone)),
            many => std::thread::scope(|scope| {
                for lookups in many {
                    scope.spawn(|| uncounted(|| (self.run)(lookups)));
                }
            }),
        }
        (cpu_time() - before).as_nanos() as f64 / operations as f64
    }
}

/// Keeps the counting allocator from counting, which costs time.
fn uncounted(run: impl FnOnce()) {
    allocation_counter::opt_out(run);
}

/// Measures processor nanoseconds of an operation: one round to warm up, then rounds in which the engines take turns.
pub(crate) fn compare(contenders: &[Contender], threads: &[Lookups], effort: Effort) -> Vec<Spread> {
    let mut samples = vec![Vec::with_capacity(effort.rounds); contenders.len()];
    for round in 0..=effort.rounds {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            let nanos = contender.round(threads);
            if round > 0 {
                samples.push(nanos);
            }
        }
    }
    samples.into_iter().map(Spread::of).collect()
}
