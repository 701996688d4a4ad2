//! Hot keys over a restart: `close` writes them to a file, and the next process warms them.

mod file;
mod gather;
mod save;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use stratacache_core::{Error, NamespacePath, Result, TenantId, hours, seconds};

/// Encoded keys with a longer path and key than this are left out.
const LONGEST: usize = 2048;

/// Where and how the hottest keys are kept over a restart. Given to [`CacheBuilder::hot_keys`](crate::CacheBuilder::hot_keys).
///
/// ```
/// use stratacache::{HotKeys, hours};
///
/// let hot = HotKeys::new("/var/lib/shop/hot-keys").max_keys(50_000).max_age(hours(2));
/// # let _ = hot;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct HotKeys {
    path: PathBuf,
    max_keys: usize,
    max_age: Duration,
    deadline: Duration,
}

impl HotKeys {
    /// Keeps them in this file, whose directory must be there. Each process needs a file of its own: the last that closes wins.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { path: file.into(), max_keys: 10_000, max_age: hours(24), deadline: seconds(3) }
    }

    /// Sets how many keys are kept, of all tenants together, 1 to 1,000,000. Default 10,000.
    ///
    /// Tenants share alike: one that has fewer leaves the rest to the others. A key takes its encoded bytes in the file, 2 KiB with its
    /// namespace at most, and all together no more than 128 MiB.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// Sets how old a file may be that is warmed from; an older one is ignored. Default 24 h.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Sets how long [`Cache::close`](crate::Cache::close) may take for it, up to 60 s; what is not found by then is left out. Default 3 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=1_000_000).contains(&self.max_keys) {
            return Err(Error::invalid(format!(
                "max_keys of hot_keys is {} but must be between 1 and 1000000",
                self.max_keys
            )));
        }
        if self.max_age.is_zero() {
            return Err(Error::invalid("max_age of hot_keys is 0: no file would ever be young enough"));
        }
        if self.deadline.is_zero() || self.deadline > seconds(60) {
            return Err(Error::invalid(format!(
                "deadline of hot_keys is {:?} but must be more than 0 and at most 60 s",
                self.deadline
            )));
        }
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        if self.path.file_name().is_none() || !directory.is_dir() {
            return Err(Error::invalid(format!(
                "hot_keys is given {}, which is not a file in a directory that is there",
                self.path.display()
            )));
        }
        Ok(())
    }
}

/// The hottest keys of one namespace of a tenant, the hottest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HotGroup {
    pub(crate) path: NamespacePath,
    /// Encoded, each with its keyspace.
    pub(crate) keys: Vec<Vec<u8>>,
}

/// Those of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HotTenant {
    pub(crate) tenant: TenantId,
    pub(crate) groups: Vec<HotGroup>,
}
