//! What a sweep did, and where it goes on.

use std::{fmt, str::FromStr};

use stratacache_core::Error;

use super::Verdict;
use crate::{
    listed::Listed,
    names::{self, ObjectName},
};

/// Where a sweep goes on. As text it can be kept until the next run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepCursor {
    pub(super) after: ObjectName,
}

impl fmt::Display for SweepCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.after.fmt(f)
    }
}

impl FromStr for SweepCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let after = names::parse(text).ok_or_else(|| {
            Error::invalid("this is not the text of a sweep's cursor: give what `SweepCursor::to_string` gave")
        })?;
        Ok(Self { after })
    }
}

/// What one run of a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepReport {
    /// How many objects were looked at.
    pub scanned: u64,
    /// How many of them had ended their life, or were of the tenant that ended.
    pub ended: u64,
    /// How many had the name of an entry and were none, or were probes of nodes that died.
    pub not_ours: u64,
    /// How many files without a name there were.
    pub left_behind: u64,
    /// How many objects were removed; none by a dry run.
    pub removed: u64,
    /// How many bytes these had; in a dry run, those that would have been removed.
    pub bytes: u64,
    /// Where to go on; `None` when all was seen.
    pub cursor: Option<SweepCursor>,
}

impl SweepReport {
    pub(super) const fn note(&mut self, object: &Listed, verdict: &Verdict, dry: bool) {
        self.scanned += 1;
        match verdict {
            Verdict::Stays | Verdict::Gone => return,
            Verdict::Ended => self.ended += 1,
            Verdict::NotOurs => self.not_ours += 1,
        }
        self.bytes += object.bytes;
        if !dry {
            self.removed += 1;
        }
    }

    /// Tells whether all was seen.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.cursor.is_none()
    }
}

impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scanned, ended, not_ours, left_behind, removed, bytes, cursor } = self;
        write!(
            f,
            "{scanned} objects looked at, {ended} had ended, {not_ours} were not ours, {left_behind} files without a name, \
             {removed} removed, {bytes} bytes; "
        )?;
        match cursor {
            None => f.write_str("finished"),
            Some(cursor) => write!(f, "goes on after {cursor}"),
        }
    }
}

/// Why a run ended before its time, and what it had done by then: its report says where to go on.
pub type SweepError = stratacache_core::tier::SweepError<SweepReport>;
