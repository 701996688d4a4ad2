//! The store as a journal of marks.

use std::{fmt, sync::Arc};

use stratacache_core::{
    clock::Millis,
    coordinator::{Applied, JournalSnapshot, MarkJournal},
    stamp::Seq,
    tier::TierError,
};

use crate::{store::Store, tier::Shared};

/// The journal that comes with the tier; it ends when the tier is closed.
pub(crate) struct DiskJournal(pub(crate) Arc<Shared>);

impl fmt::Debug for DiskJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskJournal(..)")
    }
}

impl MarkJournal for DiskJournal {
    fn load(&self) -> Result<JournalSnapshot, TierError> {
        self.0.with(Store::load)
    }

    fn reserve(&self, ceiling: Seq) -> Result<(), TierError> {
        self.0.with(|store| store.reserve(ceiling))?
    }

    fn append(&self, message: &Applied) -> Result<(), TierError> {
        self.0.with(|store| store.append(message))?
    }

    fn tick(&self, now: Millis, keep_since: Millis) -> Result<(), TierError> {
        self.0.with(|store| store.tick(now, keep_since))?
    }

    fn quarantine(&self) -> Result<(), TierError> {
        self.0.with(Store::quarantine)?
    }

    fn restore(&self) -> Result<(), TierError> {
        self.0.with(Store::restore)?
    }
}
