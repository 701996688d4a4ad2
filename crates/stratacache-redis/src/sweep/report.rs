//! What a sweep did, and where it goes on.

use std::{fmt, str::FromStr};

use stratacache_core::Error;

use crate::walk::{NoPlace, WalkPlace};

/// Where a sweep goes on. As text it can be kept until the next run.
///
/// It is good for as long as the server runs: after a restart or a failover some entries may be passed over, and none is
/// ever removed that should stay. The next sweep from the beginning finds the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepCursor(pub(super) WalkPlace);

impl fmt::Display for SweepCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SweepCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let none = |NoPlace| {
            Error::invalid("this is not the text of a sweep's cursor: give what `SweepCursor::to_string` gave")
        };
        text.parse().map(Self).map_err(none)
    }
}

/// What one run of a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepReport {
    /// How many keys with the form of an entry were looked at.
    pub scanned: u64,
    /// How many of them were judged: those of the tenant that was asked for, or all.
    pub judged: u64,
    /// How many of these no node may serve any more.
    pub invalid: u64,
    /// How many were removed; none by a dry run.
    pub unlinked: u64,
    /// How many had been replaced or were gone when they were to be removed.
    pub replaced: u64,
    /// How many are nothing that can be judged: of another type or version, cut off, or of a slot that is on the move.
    pub skipped: u64,
    /// How many bytes the removed envelopes had; in a dry run, the invalid ones. Redis uses about 100 bytes more for each.
    pub bytes: u64,
    /// Where to go on; `None` when all was seen.
    pub cursor: Option<SweepCursor>,
}

impl SweepReport {
    /// Tells whether all was seen.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.cursor.is_none()
    }
}

impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scanned, judged, invalid, unlinked, replaced, skipped, bytes, cursor } = self;
        write!(
            f,
            "{scanned} entries looked at, {judged} judged, {invalid} of them invalid, {unlinked} removed, {replaced} \
             replaced meanwhile, {skipped} skipped, {bytes} bytes; "
        )?;
        match cursor {
            None => f.write_str("finished"),
            Some(cursor) => write!(f, "goes on at {cursor}"),
        }
    }
}

/// Why a run ended before its time, and what it had done by then: its report says where to go on.
pub type SweepError = stratacache_core::tier::SweepError<SweepReport>;
