//! What the operating system says, as the kinds of a tier's failure.

use std::io;

use stratacache_core::tier::{TierError, TierErrorKind};

/// Tells whether a failure means that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Turns a failure of the device into the tier's.
pub(crate) fn tier(error: io::Error, doing: &str) -> TierError {
    if is_full(&error) {
        TierError::new(TierErrorKind::Full, format!("no room left on the device of the disk tier, {doing}"))
    } else {
        TierError::new(TierErrorKind::Unavailable, format!("the device of the disk tier failed, {doing}"))
    }
    .with_source(error)
}

/// The answer of every operation after `close`.
pub(crate) fn closed() -> TierError {
    TierError::new(TierErrorKind::Closed, "the disk tier was closed")
}
