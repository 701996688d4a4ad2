//! What a policy may say: every refusal names the knob.

use std::time::Duration;

use super::{OnWriteError, Policy, RefreshAhead, WriteMode, hours};
use crate::{Error, Result};

/// The ceilings of a cache for the times of every policy; marks live as long as both together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// The longest ttl. Default 24 h.
    pub max_ttl: Duration,
    /// The longest stale window. Default 24 h.
    pub max_stale: Duration,
}

impl Default for Ceilings {
    fn default() -> Self {
        Self { max_ttl: hours(24), max_stale: hours(24) }
    }
}

/// Times above this do not fit the millisecond fields of an entry.
const LONGEST: Duration = Duration::from_millis(u32::MAX as u64);

/// Levels above need more memory than a cache should take for one value.
#[cfg(feature = "zstd")]
const ZSTD_LEVELS: std::ops::RangeInclusive<i8> = -7..=19;

impl Ceilings {
    /// The widest that can be set.
    pub(crate) const WIDEST: Self = Self { max_ttl: LONGEST, max_stale: LONGEST };

    /// Checks the ceilings themselves.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when one is zero (`max_ttl`) or above 49 days.
    pub fn check(&self) -> Result<()> {
        if self.max_ttl.as_millis() == 0 {
            return Err(Error::invalid("max_ttl must be at least 1 ms"));
        }
        for (knob, value) in [("max_ttl", self.max_ttl), ("max_stale", self.max_stale)] {
            if value > LONGEST {
                return Err(Error::invalid(format!("{knob} is {value:?}; the most is 49 days")));
            }
        }
        Ok(())
    }

    /// Returns how long the marks of invalidations must be kept.
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.max_ttl + self.max_stale
    }
}

impl Policy {
    /// Checks every knob against its range and the ceilings.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names the knob, the value and the range.
    pub fn check(&self, ceilings: &Ceilings) -> Result<()> {
        let refuse = |text: String| Err(Error::invalid(text));
        let max_ttl = ceilings.max_ttl;
        if self.ttl.as_millis() == 0 {
            return refuse("ttl must be at least 1 ms; to cache nothing, do not call the cache".into());
        }
        if self.ttl > max_ttl {
            return refuse(format!(
                "ttl is {:?} but max_ttl is {max_ttl:?}; there is no \"forever\": choose a ttl you can live with if an \
                 invalidation is forgotten, or raise max_ttl on the builder",
                self.ttl
            ));
        }
        for (knob, value) in
            [("stale_while_revalidate", self.stale_while_revalidate), ("stale_if_error", self.stale_if_error)]
        {
            if value > ceilings.max_stale {
                return refuse(format!("{knob} is {value:?} but max_stale is {:?}", ceilings.max_stale));
            }
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return refuse(format!("jitter is {} but must be between 0 and 1", self.jitter));
        }
        match self.refresh_ahead {
            RefreshAhead::Off => {}
            RefreshAhead::Fraction(f) if f > 0.0 && f < 1.0 => {}
            RefreshAhead::Fraction(f) => {
                return refuse(format!(
                    "refresh_ahead is {f} but must be more than 0 and less than 1 (a fraction of ttl)"
                ));
            }
            RefreshAhead::Probabilistic(beta) if beta > 0.0 && beta <= 100.0 => {}
            RefreshAhead::Probabilistic(beta) => {
                return refuse(format!("refresh_ahead beta is {beta} but must be more than 0 and at most 100"));
            }
        }
        if self.negative_ttl.as_millis() == 0 || self.negative_ttl > max_ttl {
            return refuse(format!("negative_ttl is {:?} but must be between 1 ms and max_ttl", self.negative_ttl));
        }
        for (knob, value) in [
            ("idle_ttl", self.idle_ttl),
            ("load_timeout", Some(self.load_timeout)),
            ("soft_timeout", self.soft_timeout),
        ] {
            let Some(value) = value else { continue };
            if value.as_millis() == 0 || value > LONGEST {
                return refuse(format!("{knob} is {value:?} but must be between 1 ms and 49 days"));
            }
        }
        if self.soft_timeout.is_some_and(|soft| soft >= self.load_timeout) {
            return refuse("soft_timeout must be shorter than load_timeout".into());
        }
        if !(Duration::from_millis(100)..=hours(1)).contains(&self.lease) {
            return refuse(format!("lease is {:?} but must be between 100 ms and 1 h", self.lease));
        }
        if self.lease_wait > LONGEST {
            return refuse(format!("lease_wait is {:?} but must be at most 49 days", self.lease_wait));
        }
        if let super::OnDisconnect::ServeStale(max) = self.on_disconnect
            && (max.as_millis() == 0 || max > LONGEST)
        {
            return refuse(format!("on_disconnect: serve_stale is {max:?} but must be between 1 ms and 49 days"));
        }
        if self.max_weight == Some(0) {
            return refuse("max_weight must be at least 1 byte; use WriteMode or no cache to store nothing".into());
        }
        #[cfg(feature = "zstd")]
        if let super::Compress::Zstd { level, .. } = self.compress
            && !ZSTD_LEVELS.contains(&level)
        {
            let (first, last) = (ZSTD_LEVELS.start(), ZSTD_LEVELS.end());
            return refuse(format!("compress: the level of zstd is {level} but must be between {first} and {last}"));
        }
        if let super::Codec::Own(own) = self.codec {
            return refuse(format!(
                "codec is an own one, {}, which a policy cannot ask for: declare it with Keyspace::codec",
                own.byte()
            ));
        }
        if self.write == WriteMode::Behind && self.on_write_error == Some(OnWriteError::Strict) {
            return refuse(
                "on_write_error is Strict and write is Behind: such a write fails when the call has returned; use \
                 BestEffort, or WriteMode::Through"
                    .into(),
            );
        }
        if self.tiers.names().any(|name| name == "memory" && !(self.tiers.reads(name) && self.tiers.writes(name))) {
            return refuse(
                "tiers says not to read or not to write \"memory\": memory is always used; name tiers below it".into(),
            );
        }
        for rule in self.rules.iter().flatten() {
            if rule.ttl.is_some_and(|ttl| ttl.as_millis() == 0) {
                return refuse(format!("tier_ttl of {:?} must be at least 1 ms", rule.tier));
            }
            if rule.min_hits == 0 {
                return refuse(format!("min_hits of {:?} must be at least 1", rule.tier));
            }
            if rule.max_weight == Some(0) {
                return refuse(format!(
                    "tier_max_weight of {:?} must be at least 1 byte; Tiers::skip stores nothing",
                    rule.tier
                ));
            }
        }
        Ok(())
    }

    /// Returns the policy with its times cut down to the ceilings, and whether anything was cut.
    #[must_use]
    pub fn clamped(mut self, ceilings: &Ceilings) -> (Self, bool) {
        let before = self;
        self.ttl = self.ttl.min(ceilings.max_ttl);
        self.negative_ttl = self.negative_ttl.min(ceilings.max_ttl);
        self.stale_while_revalidate = self.stale_while_revalidate.min(ceilings.max_stale);
        self.stale_if_error = self.stale_if_error.min(ceilings.max_stale);
        (self, self != before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tiers, millis, minutes, seconds};

    fn refusal(policy: Policy) -> String {
        policy.check(&Ceilings::default()).unwrap_err().to_string()
    }

    #[test]
    fn every_bad_value_is_refused_by_the_name_of_its_knob() {
        let ok = Policy::ttl(minutes(5));
        assert!(ok.check(&Ceilings::default()).is_ok());
        for (policy, knob) in [
            (ok.with_ttl(Duration::ZERO), "ttl"),
            (ok.with_ttl(hours(25)), "forever"),
            (ok.with_ttl(Duration::MAX), "max_ttl"),
            (ok.stale_while_revalidate(hours(25)), "stale_while_revalidate"),
            (ok.stale_if_error(hours(25)), "stale_if_error"),
            (ok.jitter(1.5), "jitter"),
            (ok.jitter(-0.1), "jitter"),
            (ok.jitter(f32::NAN), "jitter"),
            (ok.refresh_ahead(0.0), "refresh_ahead"),
            (ok.refresh_ahead(1.0), "refresh_ahead"),
            (ok.refresh_ahead_probabilistic(0.0), "beta"),
            (ok.refresh_ahead_probabilistic(f64::NAN), "beta"),
            (ok.negative_ttl(Duration::ZERO), "negative_ttl"),
            (ok.negative_ttl(hours(30)), "negative_ttl"),
            (ok.idle_ttl(Duration::ZERO), "idle_ttl"),
            (ok.load_timeout(Duration::ZERO), "load_timeout"),
            (ok.soft_timeout(minutes(1)), "soft_timeout"),
            (ok.max_weight(0), "max_weight"),
            (ok.tier_ttl("disk", Duration::ZERO), "tier_ttl"),
            (ok.min_hits("disk", 0), "min_hits"),
            (ok.codec(crate::Codec::Own(crate::OwnCodec::new(128))), "codec"),
            #[cfg(feature = "zstd")]
            (ok.compress(crate::Compress::zstd(20)), "compress"),
            #[cfg(feature = "zstd")]
            (ok.compress(crate::Compress::Zstd { level: -8, over: 0 }), "-7 and 19"),
            (ok.tier_max_weight("disk", 0), "tier_max_weight"),
            (ok.write(WriteMode::Behind).on_write_error(OnWriteError::Strict), "on_write_error is Strict"),
            (ok.tiers(Tiers::all().skip("memory")), "memory is always used"),
            (ok.tiers(Tiers::memory_only().read_only("memory")), "memory is always used"),
        ] {
            assert!(refusal(policy).contains(knob), "{knob}: {}", refusal(policy));
        }
    }

    #[test]
    fn clamping_cuts_to_the_ceilings_and_tells() {
        let ceilings = Ceilings { max_ttl: minutes(1), max_stale: seconds(10) };
        let (policy, cut) = Policy::ttl(hours(2)).stale_if_error(hours(3)).clamped(&ceilings);
        assert!(cut);
        assert_eq!((policy.fresh_time(), policy.stale_if_error_time()), (minutes(1), seconds(10)));
        assert!(!Policy::ttl(millis(500)).negative_ttl(seconds(1)).clamped(&ceilings).1);
    }

    #[test]
    fn rules_of_tiers_are_merged_by_name() {
        let policy =
            Policy::ttl(minutes(5)).tier_ttl("disk", hours(1)).min_hits("disk", 2).tier_ttl("memory", seconds(9));
        let policy = policy.tier_max_weight("disk", 7);
        let disk = policy.tier_rule("disk").unwrap();
        assert_eq!((disk.ttl, disk.min_hits, disk.max_weight), (Some(hours(1)), 2, Some(7)));
        assert_eq!(policy.tier_rule("memory").unwrap().min_hits, 1);
        assert!(policy.tier_rule("redis").is_none());
    }
}
