//! Time and statistics: processor time for costs, the monotonic clock for latencies, medians of interleaved rounds.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
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

/// What came of reads: how many found the value of their key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) reads: u64,
    pub(crate) hits: u64,
}

impl Tally {
    #[inline]
    pub(crate) fn read(&mut self, hit: bool) {
        self.reads += 1;
        self.hits += u64::from(hit);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.reads += other.reads;
        self.hits += other.hits;
    }

    pub(crate) fn percent(self) -> f64 {
        100.0 * self.hits as f64 / self.reads as f64
    }

    /// Refuses reads that missed, where everything is resident: they are cheaper than hits or dearer, but no hits.
    pub(crate) fn all_hit(self, engine: &str) -> Result<()> {
        let Self { reads, hits } = self;
        ensure!(hits == reads, "{engine} is not measured at hits: {hits} hits of {reads} lookups");
        Ok(())
    }
}

type Run = dyn Fn(&Lookups) -> Result<Tally> + Send + Sync;

/// One engine in a comparison: runs all look-ups of one thread and counts what it found.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    run: Box<Run>,
    all_hit: bool,
}

impl Contender {
    pub(crate) fn new(name: &'static str, run: impl Fn(&Lookups) -> Result<Tally> + Send + Sync + 'static) -> Self {
        Self { name, run: Box::new(run), all_hit: false }
    }

    /// Makes a contender that holds all keys: a round in which a lookup misses is an error.
    pub(crate) fn resident(
        name: &'static str,
        run: impl Fn(&Lookups) -> Result<Tally> + Send + Sync + 'static,
    ) -> Self {
        Self { all_hit: true, ..Self::new(name, run) }
    }

    fn round(&self, threads: &[Lookups]) -> Result<(f64, Tally)> {
        let operations: usize = threads.iter().map(Lookups::len).sum();
        let before = cpu_time();
        let tallies: Vec<Result<Tally>> = match threads {
            [alone] => vec![uncounted(|| (self.run)(alone))],
            many => std::thread::scope(|scope| {
                let runs: Vec<_> =
                    many.iter().map(|lookups| scope.spawn(|| uncounted(|| (self.run)(lookups)))).collect();
                let ended =
                    runs.into_iter().map(|run| run.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked"))));
                ended.collect()
            }),
        };
        let nanos = (cpu_time() - before).as_nanos() as f64 / operations as f64;
        let mut sum = Tally::default();
        for tally in tallies {
            sum.add(tally.map_err(|error| error.context(self.name))?);
        }
        if self.all_hit {
            sum.all_hit(self.name)?;
        }
        Ok((nanos, sum))
    }
}

/// Keeps the counting allocator from counting, which costs time.
fn uncounted<T>(run: impl FnOnce() -> T) -> T {
    let mut result = None;
    allocation_counter::opt_out(|| result = Some(run()));
    match result {
        Some(result) => result,
        None => unreachable!("the closure was run"),
    }
}

/// What an engine needed and found in the rounds that count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compared {
    pub(crate) nanos: Spread,
    pub(crate) tally: Tally,
}

/// Measures processor nanoseconds of an operation: one round to warm up, then rounds in which the engines take turns.
///
/// # Errors
/// When a contender failed, or missed where everything is resident.
pub(crate) fn compare(contenders: &[Contender], threads: &[Lookups], effort: Effort) -> Result<Vec<Compared>> {
    let mut samples = vec![(Vec::with_capacity(effort.rounds), Tally::default()); contenders.len()];
    for round in 0..=effort.rounds {
        for (contender, (samples, sum)) in contenders.iter().zip(&mut samples) {
            let (nanos, tally) = contender.round(threads)?;
            if round > 0 {
                samples.push(nanos);
                sum.add(tally);
            }
        }
    }
    Ok(samples.into_iter().map(|(nanos, tally)| Compared { nanos: Spread::of(nanos), tally }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EFFORT: Effort = Effort { rounds: 2, operations: 100, quick: true };

    /// Hits but for one lookup in each run.
    fn misses_once(lookups: &Lookups) -> Result<Tally> {
        let reads = lookups.len() as u64;
        Ok(Tally { reads, hits: reads - 1 })
    }

    #[test]
    fn a_resident_contender_that_misses_once_fails_with_its_name_and_counts() {
        let threads = [Lookups::uniform(10, 100, 1), Lookups::uniform(10, 100, 2)];
        let forgetful = [Contender::resident("forgetful", misses_once)];
        let error = compare(&forgetful, &threads, EFFORT).expect_err("a miss").to_string();
        assert_eq!(error, "forgetful is not measured at hits: 198 hits of 200 lookups");
        let alone = compare(&forgetful, &threads[..1], EFFORT).expect_err("a miss").to_string();
        assert_eq!(alone, "forgetful is not measured at hits: 99 hits of 100 lookups");
    }

    #[test]
    fn other_contenders_tell_their_hits_in_the_rounds_that_count() {
        let threads = [Lookups::uniform(10, 100, 1), Lookups::uniform(10, 100, 2)];
        let compared = compare(&[Contender::new("forgetful", misses_once)], &threads, EFFORT).expect("fine");
        assert_eq!(compared[0].tally, Tally { reads: 400, hits: 396 });
        assert!((compared[0].tally.percent() - 99.0).abs() < 1e-9);
    }

    #[test]
    fn a_failure_in_any_thread_is_the_comparison_s() {
        let threads = [Lookups::uniform(10, 100, 1), Lookups::uniform(10, 200, 2)];
        let broken = Contender::new("broken", |lookups| match lookups.len() {
            100 => Ok(Tally::default()),
            _ => Err(anyhow!("no")),
        });
        let error = compare(&[broken], &threads, EFFORT).expect_err("a failure");
        assert_eq!(format!("{error:#}"), "broken: no");
    }
}
