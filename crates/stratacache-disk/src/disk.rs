//! The handle.

use std::{fmt, path::Path, sync::Arc};

use stratacache_core::{Result, tier::TierParts};

use crate::{builder::DiskBuilder, journal::DiskJournal, scan::DiskScan, tier::DiskTier};

/// A disk tier that is open: hand it to a cache, which closes it.
///
/// Dropped without being closed, it lets go of the directory, and the next run takes the entries over as after the death
/// of the process: they survive unless the machine loses power before.
pub struct Disk {
    pub(crate) tier: DiskTier,
}

impl Disk {
    /// Opens a directory with the default knobs; see [`DiskBuilder`].
    ///
    /// # Errors
    /// As [`DiskBuilder::open`].
    ///
    /// # Panics
    /// As [`DiskBuilder::open`].
    ///
    /// # Cancel safety
    /// As [`DiskBuilder::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).open().await
    }

    /// Sets up a disk tier in a directory of its own.
    pub fn builder(path: impl AsRef<Path>) -> DiskBuilder {
        DiskBuilder::new(path.as_ref().to_owned())
    }

    /// Makes a scan of this tier, by which an operator looks for keys (`namespace.scan_keys` of `stratacache`). It may be kept and used
    /// while the cache has the tier.
    #[must_use]
    pub fn scan(&self) -> DiskScan {
        DiskScan { shared: Arc::clone(&self.tier.shared) }
    }
}

impl From<Disk> for TierParts {
    fn from(disk: Disk) -> Self {
        let journal = Arc::new(DiskJournal(disk.tier.shared.clone()));
        Self::new(disk.tier).with_journal(journal)
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk(..)")
    }
}
