//! How long an entry lives: policy, jitter, caps.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use stratacache_core::{Policy, RefreshAhead, clock::Millis};

use crate::memory::{Cold, Times};

/// Uniform random numbers, seeded for each node (SplitMix64).
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in [0, 1).
    pub(crate) fn unit(&self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The life of one entry, decided when it is made.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) times: Times,
    pub(crate) refresh_at: Millis,
    pub(crate) early_ms: f32,
    pub(crate) idle_ms: u32,
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

fn ms32(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

impl Life {
    /// Decides the life of an entry made at `now`.
    pub(crate) fn new(
        policy: &Policy,
        ttl: Duration,
        absent: bool,
        load_ms: u32,
        now: Millis,
        jitter: &Jitter,
    ) -> Self {
        let whole = ms(ttl).max(1);
        // it only shortens, and leaves at least a millisecond
        let cut = (whole as f64 * f64::from(policy.jitter_fraction()) * jitter.unit()) as u64;
        let fresh = (whole - cut.min(whole - 1)).max(1);
        let (revalidate_ms, error_ms) = if absent {
            (0, 0)
        } else {
            (ms32(policy.stale_while_revalidate_time()), ms32(policy.stale_if_error_time()))
        };
        let memory_cap = policy.tier_rule("memory").and_then(|r| r.ttl);
        let times = Times {
            created: now,
            fresh_until: now.saturating_add(fresh),
            revalidate_ms,
            error_ms,
            memory_until: memory_cap.map_or(Millis::MAX, |cap| now.saturating_add(ms(cap))),
        };
        let mut life = Self { times, refresh_at: 0, early_ms: 0.0, idle_ms: 0 };
        life.take_rules(policy, load_ms);
        life
    }

    /// Decides the life in memory of an entry that comes from a tier below.
    pub(crate) fn promoted(policy: &Policy, times: Times, load_ms: u32, now: Millis) -> Self {
        let memory_cap = policy.tier_rule("memory").and_then(|r| r.ttl);
        let memory_until = memory_cap.map_or(Millis::MAX, |cap| now.saturating_add(ms(cap)));
        let mut life = Self { times: Times { memory_until, ..times }, refresh_at: 0, early_ms: 0.0, idle_ms: 0 };
        life.take_rules(policy, load_ms);
        life
    }

    fn take_rules(&mut self, policy: &Policy, load_ms: u32) {
        let fresh = self.times.fresh_until.saturating_sub(self.times.created);
        match policy.refresh_ahead_rule() {
            RefreshAhead::Fraction(fraction) => {
                self.refresh_at = self.times.created.saturating_add((fresh as f64 * fraction) as u64);
            }
            RefreshAhead::Probabilistic(beta) => self.early_ms = (f64::from(load_ms.max(1)) * beta) as f32,
            _ => {}
        }
        self.idle_ms = policy.idle_time().map_or(0, ms32);
    }

    /// Returns what few entries need, if this one needs any of it.
    pub(crate) fn cold(&self, etag: Option<Box<str>>) -> Option<Cold> {
        if etag.is_none() && self.idle_ms == 0 && self.refresh_at == 0 && self.early_ms == 0.0 {
            return None;
        }
        Some(Cold {
            etag,
            idle_ms: self.idle_ms,
            last_read: AtomicU64::new(self.times.created),
            refresh_at: self.refresh_at,
            early_ms: self.early_ms,
            ..Cold::default()
        })
    }

    /// Tells whether XFetch wants a refresh now: `-delta * beta * ln(u) >= time left`.
    pub(crate) fn early(early_ms: f32, left: Millis, jitter: &Jitter) -> bool {
        let u = 1.0 - jitter.unit(); // (0, 1]
        -f64::from(early_ms) * u.ln() >= left as f64
    }
}

/// Returns how long to wait after the `failures`-th failure in a row: 100 ms doubling up to 30 s, halved at random.
pub(crate) fn back_off(failures: u32, jitter: &Jitter) -> Millis {
    let whole = 100_u64.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(30_000);
    whole / 2 + jitter.next() % (whole / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stratacache_core::{hours, millis, minutes, seconds};

    #[test]
    fn jitter_only_shortens_and_covers_its_range() {
        let jitter = Jitter::new(1);
        let policy = Policy::ttl(seconds(100)).jitter(0.2);
        let lives: Vec<u64> = (0..2_000)
            .map(|_| Life::new(&policy, policy.fresh_time(), false, 0, 1_000, &jitter).times.fresh_until - 1_000)
            .collect();
        assert!(lives.iter().all(|l| (80_000..=100_000).contains(l)));
        assert!(lives.iter().any(|l| *l < 82_000) && lives.iter().any(|l| *l > 98_000));
        let whole = policy.jitter(1.0).with_ttl(millis(1));
        assert!(Life::new(&whole, millis(1), false, 0, 0, &jitter).times.fresh_until == 1, "never nothing");
    }

    #[test]
    fn ttls_hold_to_the_millisecond_without_jitter() {
        let jitter = Jitter::new(1);
        for ttl in [millis(500), millis(1500), hours(24)] {
            let policy = Policy::ttl(ttl).jitter(0.0);
            let life = Life::new(&policy, ttl, false, 0, 7, &jitter);
            assert_eq!(life.times.fresh_until, 7 + ttl.as_millis() as u64);
        }
    }

    #[test]
    fn xfetch_refreshes_with_the_probability_of_the_paper() {
        let jitter = Jitter::new(42);
        for (left, expected) in [(100, 0.368), (200, 0.135), (500, 0.007)] {
            let early = (0..100_000).filter(|_| Life::early(100.0, left, &jitter)).count() as f64 / 100_000.0;
            assert!((early - expected).abs() < 0.01, "{left}: {early}");
        }
        assert!(Life::early(1.0, 0, &jitter));
    }

    #[test]
    fn back_off_doubles_up_to_its_ceiling() {
        let jitter = Jitter::new(3);
        for (failures, range) in [(1, 50..=100), (2, 100..=200), (5, 800..=1600), (40, 15_000..=30_000)] {
            assert!((0..100).all(|_| range.contains(&back_off(failures, &jitter))), "{failures}");
        }
    }

    #[test]
    fn an_absence_has_no_stale_windows() {
        let policy = Policy::ttl(minutes(5)).stale_if_error(hours(1));
        let life = Life::new(&policy, seconds(30), true, 0, 0, &Jitter::new(1));
        assert_eq!(life.times.useful_until(), life.times.fresh_until);
    }
}
