//! Keys in files: one for each tenant, wrapped by a master key.

mod folder;
mod record;
#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use stratacache_core::{
    Error, ErrorKind, Result, TenantId,
    clock::{Clock, Millis, SystemClock},
    encryption::{DataKey, DataKeys, Encryption, KeyProvider},
};

use crate::{KeyWrap, MasterKeys, aes_256_gcm_siv, random, spawn::blocking};
use folder::Folder;
use record::{Record, Records};

/// Keeps the keys of tenants in a folder (0700): a file for each (0600), replaced as a whole, with data keys that a master key
/// wraps. What the folder holds is of no use without the master key, which belongs elsewhere.
///
/// Nodes that share tiers must share the folder: processes of one machine by its path, machines by a file system that
/// knows `flock`. Cheap to clone.
///
/// A destroyed key is gone from the folder, not from copies of it. Keep the folder out of backups, or change the master key
/// ([`rewrap`](Self::rewrap)) and destroy the old one: then copies are of no use, either.
///
/// ```
/// use stratacache_encryption::{FileKeys, MasterKey};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let (master_key, key_folder) = (folder.path().join("master.key"), folder.path().join("keys"));
/// # MasterKey::create_file(&master_key)?;
/// let keys = FileKeys::open(key_folder, MasterKey::from_file(master_key)?).await?;
/// # drop(keys);
/// # Ok(()) }
/// ```
pub struct FileKeys<W = MasterKeys>(Arc<Inner<W>>);

struct Inner<W> {
    folder: Folder,
    wrap: W,
    keep: Duration,
    clock: Arc<dyn Clock>,
}

impl<W> Clone for FileKeys<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Opens a folder of keys with settings of one's own.
#[must_use]
pub struct FileKeysBuilder<W> {
    path: PathBuf,
    wrap: W,
    keep: Duration,
    clock: Option<Arc<dyn Clock>>,
}

impl<W: KeyWrap> FileKeysBuilder<W> {
    /// Sets how long a key is kept for reading after it was rotated: as long as an entry may live, `max_ttl` and `max_stale` of
    /// the cache together. Default 48 hours.
    pub fn keep_rotated(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// Sets the clock, for tests. Default: that of the system.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Opens the folder; one that is missing is made, in a folder that exists.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when it cannot be made or read, or others than its owner may look into it (`chmod 700`).
    ///
    /// # Cancel safety
    /// May be dropped at any time: a folder that was missing is made all the same.
    pub async fn open(self) -> Result<FileKeys<W>> {
        let Self { path, wrap, keep, clock } = self;
        let folder = blocking(move || Folder::open(&path)).await?;
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        Ok(FileKeys(Arc::new(Inner { folder, wrap, keep, clock })))
    }
}

impl FileKeys<MasterKeys> {
    /// Opens a folder of keys that these master keys wrap.
    ///
    /// # Errors
    /// As [`FileKeysBuilder::open`].
    ///
    /// # Cancel safety
    /// As [`FileKeysBuilder::open`].
    pub async fn open(path: impl Into<PathBuf>, master: impl Into<MasterKeys>) -> Result<Self> {
        Self::builder(path, master.into()).open().await
    }
}

impl<W: KeyWrap> FileKeys<W> {
    /// Returns a builder: for settings, or with a key management service that wraps the data keys.
    pub fn builder(path: impl Into<PathBuf>, wrap: W) -> FileKeysBuilder<W> {
        FileKeysBuilder { path: path.into(), wrap, keep: Duration::from_secs(48 * 3600), clock: None }
    }

    fn now(&self) -> Millis {
        self.0.clock.wall().as_millis() as Millis
    }

    async fn in_folder<T: Send + 'static>(&self, job: impl FnOnce(&Folder) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = Arc::clone(&self.0);
        blocking(move || job(&inner.folder)).await
    }

    /// Makes a wrapped key that is in no file yet.
    async fn fresh(&self, tenant: &TenantId) -> Result<Record> {
        let key = random::data_key()?;
        let wrapped = self.0.wrap.wrap(tenant, key.secret()).await?;
        Ok(Record { id: key.id(), wrapped, retired_at: None })
    }

    async fn unwrapped(&self, tenant: &TenantId, record: &Record) -> Result<DataKey> {
        let unwrapped = self.0.wrap.unwrap(tenant, &record.wrapped).await;
        let named =
            |error: Error| Error::new(error.kind(), format!("tenant {tenant}: {}", error.message())).with_source(error);
        let mut secret = unwrapped.map_err(named)?;
        Ok(DataKey::take(record.id, &mut secret))
    }

    /// Wraps with the present master key every data key that an older one wraps, and returns how many those were. Data keys stay
    /// what they are: nothing that is stored becomes unreadable.
    ///
    /// Call it once, in one process, when all have the new master key; again after an error.
    ///
    /// # Errors
    /// The first failure, when all other keys have been wrapped anew: [`ErrorKind::Corrupt`] for a key that is wrapped with a master
    /// key which is not given, or what comes from the folder or the key management service.
    ///
    /// # Cancel safety
    /// Dropped half-way, some keys are wrapped anew and the others are as they were.
    pub async fn rewrap(&self) -> Result<usize> {
        let (mut count, mut failure) = (0, Ok(()));
        for tenant in self.in_folder(Folder::tenants).await? {
            match self.rewrap_tenant(&tenant).await {
                Ok(rewrapped) => count += rewrapped,
                // one that is damaged does not keep the others from it
                Err(error) => failure = failure.and(Err(error)),
            }
        }
        failure.map(|()| count)
    }

    async fn rewrap_tenant(&self, tenant: &TenantId) -> Result<usize> {
        let of = tenant.clone();
        let records = self.in_folder(move |folder| folder.read(&of)).await?;
        let mut anew = Vec::new();
        for record in records.keys {
            if !self.0.wrap.is_current(&record.wrapped) {
                let key = self.unwrapped(tenant, &record).await?;
                anew.push((record, self.0.wrap.wrap(tenant, key.secret()).await?));
            }
        }
        if anew.is_empty() {
            return Ok(0);
        }
        let replace = move |records: &mut Records| {
            // those that are still there as they were read: a tenant may have been destroyed meanwhile
            let mut replaced = 0;
            for (old, wrapped) in &anew {
                let same = |key: &&mut Record| key.id == old.id && key.wrapped == old.wrapped;
                if let Some(key) = records.keys.iter_mut().find(same) {
                    key.wrapped.clone_from(wrapped);
                    replaced += 1;
                }
            }
            replaced
        };
        let tenant = tenant.clone();
        self.in_folder(move |folder| {
            let mut replaced = 0;
            folder.change(&tenant, |records| {
                replaced = replace(records);
                replaced > 0
            })?;
            Ok(replaced)
        })
        .await
    }
}

impl<W: KeyWrap> KeyProvider for FileKeys<W> {
    async fn keys(&self, tenant: &TenantId) -> Result<DataKeys> {
        let of = tenant.clone();
        let mut records = self.in_folder(move |folder| folder.read(&of)).await?;
        if records.keys.is_empty() {
            let (of, first) = (tenant.clone(), self.fresh(tenant).await?);
            // another process may have been first
            let add = move |records: &mut Records| {
                let none = records.keys.is_empty();
                records.keys.extend(none.then_some(first));
                none
            };
            records = self.in_folder(move |folder| folder.change(&of, add)).await?;
        }
        let keep_since = self.now().saturating_sub(self.0.keep.as_millis() as u64);
        let mut keys = Vec::with_capacity(records.keys.len());
        for record in records.keys.iter().filter(|key| key.retired_at.is_none_or(|at| at >= keep_since)) {
            match self.unwrapped(tenant, record).await {
                Ok(key) => keys.push(key),
                // what it encrypted are misses, and the current one is good
                Err(error) if error.kind() == ErrorKind::Corrupt && !keys.is_empty() => {
                    tracing::warn!(%error, "an older key is left out");
                }
                Err(error) => return Err(error),
            }
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or_else(|| Error::new(ErrorKind::Corrupt, "a key file without a current key"))?;
        Ok(DataKeys::new(current).with_older(keys))
    }

    async fn rotate(&self, tenant: &TenantId) -> Result<()> {
        let (of, new, now) = (tenant.clone(), self.fresh(tenant).await?, self.now());
        let keep_since = now.saturating_sub(self.0.keep.as_millis() as u64);
        let rotate = move |records: &mut Records| {
            records.rotate(new, now, keep_since);
            true
        };
        self.in_folder(move |folder| folder.change(&of, rotate).map(drop)).await
    }

    async fn destroy(&self, tenant: &TenantId) -> Result<()> {
        let of = tenant.clone();
        self.in_folder(move |folder| folder.remove(&of)).await
    }
}

impl<W: KeyWrap> From<FileKeys<W>> for Encryption {
    fn from(keys: FileKeys<W>) -> Self {
        Self::new(keys, aes_256_gcm_siv)
    }
}

impl<W> fmt::Debug for FileKeys<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys").field("folder", &self.0.folder.shown()).finish_non_exhaustive()
    }
}
