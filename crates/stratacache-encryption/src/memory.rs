//! Keys that live as long as the process.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
};

use parking_lot::Mutex;
use stratacache_core::{
    Result, TenantId,
    encryption::{DataKey, DataKeys, Encryption, KeyProvider},
};
use zeroize::Zeroizing;

use crate::{aes_256_gcm_siv, random};

/// More rotations than this, and the oldest key of a tenant is forgotten.
const KEPT: usize = 16;

/// Newest first.
type Keys = VecDeque<DataKey>;

/// Keeps keys in the memory of this process: a restart makes everything below memory unreadable.
///
/// For one node whose lower tiers may be cold after a restart, and for tests: clones share their keys, and stand for the nodes
/// of a deployment. After more than 16 rotations of a tenant's key within the life of an entry the oldest entries are misses.
///
/// ```
/// use stratacache_core::{TenantId, encryption::KeyProvider};
/// use stratacache_encryption::MemoryKeys;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (keys, acme) = (MemoryKeys::new(), TenantId::parse("acme")?);
/// let first = keys.keys(&acme).await?.current.id();
/// keys.rotate(&acme).await?;
/// assert_eq!(keys.keys(&acme).await?.older[0].id(), first);
/// keys.destroy(&acme).await?;
/// assert!(keys.keys(&acme).await?.older.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct MemoryKeys(Arc<Mutex<HashMap<TenantId, Keys>>>);

impl MemoryKeys {
    /// Makes a provider without any key.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

fn copy(key: &DataKey) -> DataKey {
    DataKey::take(key.id(), &mut Zeroizing::new(*key.secret()))
}

impl KeyProvider for MemoryKeys {
    async fn keys(&self, tenant: &TenantId) -> Result<DataKeys> {
        let mut tenants = self.0.lock();
        let keys = tenants.entry(tenant.clone()).or_default();
        if keys.is_empty() {
            keys.push_front(random::data_key()?);
        }
        let (current, older) = (copy(&keys[0]), keys.iter().skip(1).map(copy));
        Ok(DataKeys::new(current).with_older(older))
    }

    async fn rotate(&self, tenant: &TenantId) -> Result<()> {
        let mut tenants = self.0.lock();
        let keys = tenants.entry(tenant.clone()).or_default();
        keys.push_front(random::data_key()?);
        keys.truncate(KEPT);
        Ok(())
    }

    async fn destroy(&self, tenant: &TenantId) -> Result<()> {
        self.0.lock().remove(tenant);
        Ok(())
    }
}

impl From<MemoryKeys> for Encryption {
    fn from(keys: MemoryKeys) -> Self {
        Self::new(keys, aes_256_gcm_siv)
    }
}

impl fmt::Debug for MemoryKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKeys").field("tenants", &self.0.lock().len()).finish()
    }
}
