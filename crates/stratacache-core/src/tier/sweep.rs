//! How an operator's sweep of a tier ends before its time.

use std::fmt;

use crate::Error;

/// Why a run of a sweep ended before its time, and what it had done by then.
///
/// Its report says where to go on.
#[derive(Debug, Clone)]
pub struct SweepError<R> {
    error: Error,
    report: R,
}

impl<R> SweepError<R> {
    /// Says what went wrong, and what was done before.
    pub const fn new(error: Error, report: R) -> Self {
        Self { error, report }
    }

    /// Returns what was done before.
    #[must_use]
    pub const fn report(&self) -> &R {
        &self.report
    }
}

impl<R: fmt::Display> fmt::Display for SweepError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (until then: {})", self.error.message(), self.report)
    }
}

impl<R: fmt::Debug + fmt::Display> std::error::Error for SweepError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<R> From<SweepError<R>> for Error {
    fn from(stopped: SweepError<R>) -> Self {
        stopped.error
    }
}
