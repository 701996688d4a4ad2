//! The knobs of a disk tier, checked when it is opened.

use std::path::PathBuf;

use stratacache_core::{Error, Result, tier::Capability};

use crate::{
    Disk,
    spawn::{self, Jobs},
    store::{Config, Store},
    tier::{DiskTier, Shared},
};

/// Default of [`DiskBuilder::capacity`]: 1 GiB.
const CAPACITY: u64 = 1 << 30;
/// Least [`DiskBuilder::capacity`].
const MIN_CAPACITY: u64 = 1 << 20;
/// Most that [`DiskBuilder::max_entry`] is by default.
const MAX_ENTRY: u64 = 64 << 20;
/// Most that [`DiskBuilder::max_entry`] can be: places in the table are short.
const LARGEST_ENTRY: u64 = 1 << 30;
/// Default of [`DiskBuilder::max_entries`].
const MAX_ENTRIES: u64 = 4_000_000;

/// Sets up a [`Disk`]; made by [`Disk::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `open` is called"]
pub struct DiskBuilder {
    path: PathBuf,
    capacity: u64,
    create_dir: bool,
    durable_invalidations: bool,
    max_entry: Option<u64>,
    max_entries: u64,
    boot_id: Option<Vec<u8>>,
}

impl DiskBuilder {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            capacity: CAPACITY,
            create_dir: true,
            durable_invalidations: false,
            max_entry: None,
            max_entries: MAX_ENTRIES,
            boot_id: None,
        }
    }

    /// Sets how many bytes the files of entries may take, default 1 GiB, at least 1 MiB.
    ///
    /// It is a bound on the files, not on the live entries: what was removed, replaced or has expired counts until its
    /// segment, a sixty-fourth of the capacity, is evicted. The journal of marks comes on top: a few KiB usually, at
    /// most 48 MiB.
    pub const fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// Sets whether a missing directory is made, default true; its parent must exist in any case.
    pub const fn create_dir(mut self, create: bool) -> Self {
        self.create_dir = create;
        self
    }

    /// Sets whether removals and marks are synced to the device before they return, default false.
    ///
    /// Without it nothing is lost when the process dies, but after a loss of power the tier opens empty, since an
    /// invalidation may have been lost. With it the entries survive a loss of power too, and every invalidation costs a
    /// sync of the device.
    pub const fn durable_invalidations(mut self, durable: bool) -> Self {
        self.durable_invalidations = durable;
        self
    }

    /// Sets the largest envelope in bytes, default a sixteenth of the capacity and at most 64 MiB; up to a quarter of the
    /// capacity and 1 GiB.
    pub const fn max_entry(mut self, bytes: u64) -> Self {
        self.max_entry = Some(bytes);
        self
    }

    /// Sets how many entries there may be, default 4,000,000.
    ///
    /// Each takes 33 bytes in a table in memory, whose slots are between 44 % and 88 % full: about 40 to 75 bytes an
    /// entry. Beyond, the oldest are evicted.
    pub const fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }

    /// Sets what names the present run of the machine, for tests of a loss of power.
    #[doc(hidden)]
    pub fn boot_id(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.boot_id = Some(id.into());
        self
    }

    /// Opens the tier: takes over what a run before left, or starts empty.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for a knob that is out of range, a
    /// directory that is missing with `create_dir(false)`, one whose parent is missing, one that is a symbolic link and
    /// one that everybody may write to; [`ErrorKind::Unavailable`](stratacache_core::ErrorKind::Unavailable) when the
    /// directory is in use by another cache or process, or the device fails;
    /// [`ErrorKind::Full`](stratacache_core::ErrorKind::Full) when it has no room for the journal of marks.
    ///
    /// # Panics
    /// When it is not polled inside a Tokio runtime.
    ///
    /// # Cancel safety
    /// Dropped at an await, the opening goes on and the directory is let go of when it has ended.
    pub async fn open(self) -> Result<Disk> {
        let config = self.check()?;
        let capability = Capability::new().fenced(true).persistent(true).shared(false).max_weight(config.max_entry);
        let store = spawn::blocking(move || Store::open(&config)).await??;
        let shared = std::sync::Arc::new(Shared::new(store, capability));
        Ok(Disk { tier: DiskTier { shared, jobs: Jobs::new() } })
    }

    fn check(self) -> Result<Config> {
        if self.capacity < MIN_CAPACITY {
            return Err(Error::invalid(format!(
                "capacity({}) of the disk tier is below 1 MiB; give it at least {MIN_CAPACITY} bytes",
                self.capacity
            )));
        }
        let largest = (self.capacity / 4).min(LARGEST_ENTRY);
        let max_entry = self.max_entry.unwrap_or((self.capacity / 16).min(MAX_ENTRY));
        if max_entry == 0 || max_entry > largest {
            return Err(Error::invalid(format!(
                "max_entry({max_entry}) of the disk tier must be from 1 to {largest}: a quarter of the capacity, and at \
                 most 1 GiB"
            )));
        }
        if self.max_entries == 0 {
            return Err(Error::invalid("max_entries(0) of the disk tier leaves no room for any; give it at least 1"));
        }
        Ok(Config {
            dir: self.path,
            create_dir: self.create_dir,
            capacity: self.capacity,
            max_entry,
            max_entries: self.max_entries,
            durable: self.durable_invalidations,
            boot_id: self.boot_id,
        })
    }
}
