//! Why an object could not be read or written, and what follows from it.

use std::{fmt, io};

use stratacache_core::{
    breaker::Outcome,
    tier::{TierError, TierErrorKind},
};

/// Why something did not work. It holds nothing that a store or a client library said, but for a short code: their
/// messages repeat requests, and requests carry credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No answer in time.
    Hung,
    /// The time of the operation was over soon after it was sent.
    Interrupted,
    /// The time of the operation was over before its turn came: nothing was done.
    Late,
    /// The breaker is open.
    LeftAlone,
    Closed,
    /// There is no connection: nothing was done.
    Unreached,
    /// The connection broke: it may have been done.
    Broken,
    /// The store asks for patience: nothing was done.
    Busy(Said),
    /// The store is out of order: it may have been done.
    OutOfOrder(Said),
    /// The store does not want to.
    Refused(Said),
    /// The object is larger than any of ours.
    Oversized,
    /// There is one already.
    Exists,
    /// The store has no such operation.
    Unsupported,
    /// The device is full.
    Full,
    /// The device failed.
    Device(io::ErrorKind),
    /// What the store answered cannot be understood, or its client failed.
    Strange,
}

/// What a store said: the status of HTTP, and its own word for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} {code}", self.status),
            None => write!(f, "{}", self.status),
        }
    }
}

impl Failure {
    /// Tells whether trying again may help.
    pub(crate) const fn may_pass(&self, writes_unknown: bool) -> bool {
        match self {
            Self::Unreached | Self::Busy(_) => true,
            Self::Broken | Self::OutOfOrder(_) => !writes_unknown,
            _ => false,
        }
    }

    /// Returns what it says of the store as a whole; `None` for nothing.
    pub(crate) const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Hung => Some(Outcome::Hung),
            Self::Interrupted | Self::Late | Self::LeftAlone | Self::Closed => None,
            Self::Oversized | Self::Exists | Self::Unsupported | Self::Full => Some(Outcome::Answered),
            Self::Unreached
            | Self::Broken
            | Self::Busy(_)
            | Self::OutOfOrder(_)
            | Self::Refused(_)
            | Self::Device(_)
            | Self::Strange => Some(Outcome::Failed),
        }
    }

    fn kind(&self, write: bool) -> TierErrorKind {
        match self {
            // without fences, a removal that follows does not void a write that was given up: it may land later
            Self::Hung | Self::Interrupted | Self::Broken | Self::OutOfOrder(_) | Self::Strange if write => {
                TierErrorKind::ReplyLost
            }
            Self::Hung | Self::Interrupted | Self::Late => TierErrorKind::Timeout,
            Self::Closed => TierErrorKind::Closed,
            Self::Oversized => TierErrorKind::Corrupt,
            Self::Full => TierErrorKind::Full,
            _ => TierErrorKind::Unavailable,
        }
    }

    /// Turns it into the tier's; a write that may have taken effect says so.
    pub(crate) fn of_tier(&self, write: bool) -> TierError {
        TierError::new(self.kind(write), self.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hung | Self::Interrupted => f.write_str("the object store did not answer in time"),
            Self::Late => f.write_str("the deadline of the object tier ended before all objects had their turn"),
            Self::LeftAlone => f.write_str("the object store is left alone after failures, until a probe"),
            Self::Closed => f.write_str("the object tier was closed"),
            Self::Unreached => f.write_str("the object store cannot be reached"),
            Self::Broken => f.write_str("the connection to the object store broke"),
            Self::Busy(said) => write!(f, "the object store is busy ({said})"),
            Self::OutOfOrder(said) => write!(f, "the object store is out of order ({said})"),
            Self::Refused(said) => write!(f, "the object store refused ({said})"),
            Self::Oversized => f.write_str("an object is larger than any of ours"),
            Self::Exists => f.write_str("there is such an object already"),
            Self::Unsupported => f.write_str("the object store has no such operation"),
            Self::Full => f.write_str("no room left on the device of the object tier"),
            Self::Device(kind) => write!(f, "the device of the object tier failed: {kind}"),
            Self::Strange => f.write_str("the object store answered what cannot be understood"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            kind => Self::Device(kind),
        }
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}
