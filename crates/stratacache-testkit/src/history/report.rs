//! What a history says in the end.

use std::{error::Error, fmt};

use super::Value;

/// A read that returned what it must not. Times are nanoseconds of the history's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The value's load had begun before an invalidation was called that returned before the read began.
    Stale {
        /// The value.
        value: Value,
        /// The name of the invalidated scope.
        scope: String,
        /// When the invalidation was called.
        invalidation_called: u64,
        /// When the read began.
        read_began: u64,
        /// When the read had returned.
        read_ended: u64,
    },
    /// The value belongs to another tenant or key.
    Foreign {
        /// The tenant that was asked for.
        tenant: u32,
        /// The key that was asked for.
        key: u32,
        /// The value.
        value: Value,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale { value, scope, invalidation_called, read_began, read_ended } => write!(
                f,
                "stale: tenant {} key {} load {} began {} ns before an invalidation of `{scope}` was called; the read began \
                 {} ns after that call and took {} ns",
                value.tenant,
                value.key,
                value.load,
                invalidation_called.saturating_sub(value.began),
                read_began.saturating_sub(*invalidation_called),
                read_ended.saturating_sub(*read_began),
            ),
            Self::Foreign { tenant, key, value } => write!(
                f,
                "foreign: a read of tenant {tenant} key {key} returned load {} of tenant {} key {}",
                value.load, value.tenant, value.key
            ),
        }
    }
}

/// The counts of a history and its first violations.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// All operations: reads, loads and invalidations, finished or not.
    pub operations: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Reads that returned a value.
    pub hits: u64,
    /// Loads that ended with a value.
    pub loads: u64,
    /// Loads that were dropped before.
    pub abandoned_loads: u64,
    /// Invalidations that returned `Ok`.
    pub invalidations: u64,
    /// Invalidations of which nobody knows whether they took place.
    pub unconfirmed: u64,
    /// Invalidations that returned `Ok` and during which a load of an entry in their scope ran.
    pub overlaps: u64,
    /// Reads that returned what had been invalidated before they began.
    pub stale: u64,
    /// Reads that returned a value of another tenant or key.
    pub foreign: u64,
    /// The first ten violations.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Judges the run: nothing stale, nothing foreign, and enough overlaps that it proves something.
    ///
    /// # Errors
    /// [`Failure`], with the whole report in its text.
    pub fn verdict(&self, min_overlaps: u64) -> Result<(), Failure> {
        let report = || Box::new(self.clone());
        if self.stale > 0 || self.foreign > 0 {
            return Err(Failure::Violated(report()));
        }
        if self.hits == 0 {
            return Err(Failure::NothingRead(report()));
        }
        if self.overlaps < min_overlaps {
            return Err(Failure::TooFewOverlaps { wanted: min_overlaps, report: report() });
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations: {} reads ({} with a value), {} loads ({} abandoned), {} invalidations ({} unconfirmed), {} \
             of them during a load in their scope; {} stale, {} foreign",
            self.operations,
            self.reads,
            self.hits,
            self.loads,
            self.abandoned_loads,
            self.invalidations,
            self.unconfirmed,
            self.overlaps,
            self.stale,
            self.foreign,
        )?;
        self.violations.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// Why a run does not prove the guarantee.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// Reads returned what they must not.
    Violated(Box<Report>),
    /// No read returned a value, so nothing was checked.
    NothingRead(Box<Report>),
    /// Too few invalidations ran during a load in their scope.
    TooFewOverlaps {
        /// How many were asked for.
        wanted: u64,
        /// The run.
        report: Box<Report>,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violated(report) => write!(f, "the guarantee is broken. {report}"),
            Self::NothingRead(report) => write!(f, "no read returned a value, so nothing was checked. {report}"),
            Self::TooFewOverlaps { wanted, report } => write!(
                f,
                "only {} invalidations ran during a load in their scope, {wanted} are wanted: make loads longer, keys \
                 fewer or the run longer. {report}",
                report.overlaps
            ),
        }
    }
}

impl Error for Failure {}
