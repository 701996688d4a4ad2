//! What a declared loader may do.

use std::time::Duration;

use stratacache_core::{Error, Result};

/// The fraction of loads that may be tried again, unless it is set.
pub(crate) const RETRY_BUDGET: f32 = 0.2;

/// Says how often a load that failed is tried again, and after which pauses.
///
/// The pause doubles with each call, from [`first`](Self::first) up to [`most`](Self::most), and up to a half of it is taken off at
/// random, so that loads that failed together are not tried again together. Only the loader's own error is followed by another call:
/// a panic is not, nor a time-out. All calls and pauses happen within the policy's `load_timeout`; if the next pause does not
/// fit, or the [budget](LoaderLimits::retry_budget) is spent, the error is returned without it. Each call takes its turn as a load does. The value is stored with the position that was taken before the first call, and is thus dropped
/// if something it depends on was invalidated meanwhile.
///
/// ```
/// use stratacache::{Retry, millis, seconds};
///
/// const RETRY: Retry = Retry::new(3).first(millis(20)).most(seconds(1)); // three calls at most
/// # let _ = RETRY;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    calls: u32,
    pauses: BackOff,
}

impl Retry {
    /// Lets a load have so many calls in all, 1 to 100: 3 are the first and two more, 1 is none but the first. Pauses are 50 ms to 2 s.
    #[must_use]
    pub const fn new(calls: u32) -> Self {
        Self { calls, pauses: BackOff { first: Duration::from_millis(50), most: Duration::from_secs(2) } }
    }

    /// Sets the first pause, at least a millisecond. Default 50 ms.
    #[must_use]
    pub const fn first(mut self, pause: Duration) -> Self {
        self.pauses.first = pause;
        self
    }

    /// Sets the longest pause. Default 2 s.
    #[must_use]
    pub const fn most(mut self, pause: Duration) -> Self {
        self.pauses.most = pause;
        self
    }

    /// Returns the pause after so many calls, if another one may follow; `random` is in [0, 1).
    pub(crate) fn pause(&self, calls: u32, random: f64) -> Option<Duration> {
        (calls < self.calls).then(|| self.pauses.pause(calls, random))
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=100).contains(&self.calls) {
            return Err(Error::invalid(format!(
                "retry has {} calls but must have between 1 and 100; the first one counts",
                self.calls
            )));
        }
        self.pauses.check("retry")
    }
}

/// Pauses that double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BackOff {
    first: Duration,
    pub(crate) most: Duration,
}

impl BackOff {
    /// Returns the pause after so many failures in a row, from 1.
    pub(crate) fn pause(&self, failures: u32, random: f64) -> Duration {
        let whole = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(self.most);
        whole.mul_f64(0.5 + random / 2.0)
    }

    fn check(&self, knob: &str) -> Result<()> {
        if self.first < Duration::from_millis(1) || self.first > self.most || self.most > Duration::from_secs(3600) {
            return Err(Error::invalid(format!(
                "{knob} has pauses from {:?} to {:?} but must have at least 1 ms, at most 1 h, and the first not longer than \
                 the most",
                self.first, self.most
            )));
        }
        Ok(())
    }
}

/// Says how the source behind a loader is protected: all limits hold for the loads of all tenants together, on this node.
///
/// Given to [`CacheBuilder::loader`](crate::CacheBuilder::loader) with a name; a keyspace
/// ([`Keyspace::loader`](crate::Keyspace::loader)) or a call (`.loader(name)`) says which of the declared loaders it uses.
///
/// ```
/// use stratacache::{Cache, Keyspace, LoaderLimits, Policy, millis, minutes, seconds};
///
/// const CONTACTS: Keyspace<u32, String> = Keyspace::new("contacts", Policy::ttl(minutes(5))).loader("contacts-db");
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limits = LoaderLimits::new().max_loads(32).per_second(200).back_off(millis(100), seconds(10));
/// let cache = Cache::builder().keyspace(&CONTACTS).loader("contacts-db", limits).build().await?;
/// assert_eq!(cache.loader_stats("contacts-db").map(|stats| stats.running), Some(0));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoaderLimits {
    pub(crate) max_loads: usize,
    pub(crate) max_queue: usize,
    pub(crate) per_second: Option<u32>,
    pub(crate) breaker: Option<Duration>,
    pub(crate) retry_budget: f32,
    back_off: Option<BackOff>,
}

impl LoaderLimits {
    /// Makes limits of 64 loads at once and 10,000 that wait, no rate, and a breaker with a window of 5 s.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_loads: 64,
            max_queue: 10_000,
            per_second: None,
            breaker: Some(Duration::from_secs(5)),
            retry_budget: RETRY_BUDGET,
            back_off: None,
        }
    }

    /// Sets how many loads run at once, at least 1. Default 64. More wait: the tenants have their turns one after the other,
    /// whichever of them has most waiting.
    #[must_use]
    pub const fn max_loads(mut self, loads: usize) -> Self {
        self.max_loads = loads;
        self
    }

    /// Sets how many loads wait for their turn. Default 10,000; 0 lets none wait. What is more is refused at once
    /// ([`LoadError::LoaderBusy`](crate::LoadError::LoaderBusy)): the newest of the tenant that has most waiting.
    #[must_use]
    pub const fn max_queue(mut self, loads: usize) -> Self {
        self.max_queue = loads;
        self
    }

    /// Sets how many loads are begun in a second at most, in any second, wherever it begins; at least 1. Default: no limit.
    ///
    /// They are begun evenly, but for a hundredth of the rate that may be begun at once. A load of many keys counts once, as does each
    /// retry.
    #[must_use]
    pub const fn per_second(mut self, loads: u32) -> Self {
        self.per_second = Some(loads);
        self
    }

    /// Sets how long failures are counted together, and how long the loader is then left alone, 10 ms to 1 h. Default 5 s.
    ///
    /// An error, a time-out and a panic are failures; a value and an absence are not. When half of the loads of a window, and at
    /// least five, have failed, all further ones are refused ([`LoadError::LoaderDown`](crate::LoadError::LoaderDown)), those that
    /// wait included. After the window one load probes: the others are refused until it has succeeded.
    #[must_use]
    pub const fn breaker(mut self, window: Duration) -> Self {
        self.breaker = Some(window);
        self
    }

    /// Takes the breaker away, so that the loader is never left alone: for a source whose errors say nothing of its health.
    #[must_use]
    pub const fn no_breaker(mut self) -> Self {
        self.breaker = None;
        self
    }

    /// Sets which fraction of the loads may be tried again where a call says so ([`Retry`]), 0 to 1. Default 0.2. Ten are free at
    /// first, and at most a hundred are saved in better times: while everything fails, a source is not asked much more than it
    /// is anyway. Loads without a declared loader have a budget of 0.2 for each tenant.
    #[must_use]
    pub const fn retry_budget(mut self, fraction: f32) -> Self {
        self.retry_budget = fraction;
        self
    }

    /// Lets a key rest whose load failed, for a pause that doubles from `first` up to `most`, cut by up to a half at random. Default:
    /// off, the next reader loads.
    ///
    /// Whoever reads the key meanwhile gets [`LoadError::BackingOff`](crate::LoadError::BackingOff) at once. An invalidation of the key
    /// or of anything it is known to depend on, an insert, and a load that succeeds end the rest, and
    /// [`refresh`](crate::Namespace::refresh) does not heed it. It is for keys with nothing to serve: a value past its ttl has a rest of
    /// its own. Each tenant remembers 4,096 keys; the one whose rest ends first is forgotten for another.
    ///
    /// A load of many keys that fails lets them rest for further loads of many, which are refused while each key that they would load
    /// rests; a load of one of them is not, since it may not be the one at fault. 4,096 more keys of each tenant are remembered for
    /// that; where there is no room for all that failed together, none of them rests.
    #[must_use]
    pub const fn back_off(mut self, first: Duration, most: Duration) -> Self {
        self.back_off = Some(BackOff { first, most });
        self
    }

    pub(crate) fn back_off_rule(&self) -> Option<BackOff> {
        self.back_off
    }

    /// Checks every knob; the error names it.
    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=1 << 20).contains(&self.max_loads) {
            return Err(Error::invalid(format!(
                "max_loads is {} but must be between 1 and {}",
                self.max_loads,
                1 << 20
            )));
        }
        if self.max_queue > 1 << 24 {
            return Err(Error::invalid(format!("max_queue is {} but must be at most {}", self.max_queue, 1 << 24)));
        }
        if self.per_second == Some(0) {
            return Err(Error::invalid("per_second is 0 but must be at least 1"));
        }
        let windows = Duration::from_millis(10)..=Duration::from_secs(3600);
        if let Some(window) = self.breaker.filter(|window| !windows.contains(window)) {
            return Err(Error::invalid(format!("breaker has a window of {window:?} but must have 10 ms to 1 h")));
        }
        if !(0.0..=1.0).contains(&self.retry_budget) {
            return Err(Error::invalid(format!(
                "retry_budget is {} but must be between 0 and 1: a fraction of the loads",
                self.retry_budget
            )));
        }
        self.back_off.map_or(Ok(()), |back_off| back_off.check("back_off"))
    }
}

impl Default for LoaderLimits {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most_and_are_cut_by_a_half_at_most() {
        let retry = Retry::new(8).first(Duration::from_millis(100)).most(Duration::from_millis(500));
        for (calls, whole) in [(1, 100), (2, 200), (3, 400), (4, 500), (7, 500)] {
            assert_eq!(retry.pause(calls, 0.0), Some(Duration::from_millis(whole / 2)));
            let longest = retry.pause(calls, 0.999_999).unwrap();
            assert!(
                longest > Duration::from_millis(whole - 1) && longest <= Duration::from_millis(whole),
                "{longest:?}"
            );
        }
        assert_eq!(retry.pause(8, 0.5), None);
        assert_eq!(Retry::new(1).pause(1, 0.5), None);
        let far = BackOff { first: Duration::from_secs(3600), most: Duration::from_secs(3600) };
        assert!(far.pause(u32::MAX, 0.9) <= far.most);
    }
}
