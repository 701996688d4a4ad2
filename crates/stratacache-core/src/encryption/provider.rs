//! Who keeps the keys of tenants.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::DataKeys;
use crate::{Result, TenantId};

/// Keeps the data keys of tenants: in a key management service, in files, in memory.
///
/// Every node of a deployment must be given the same keys. A cache asks when it first needs a tenant's keys, again after
/// the tenant was cleared, when it meets an entry under a key that it does not know, and every five minutes; it waits two
/// seconds, and then lets the tiers below be: reads are misses there, and nothing is written.
///
/// Data of no tenant has keys, too: [`TenantId::global`].
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use stratacache_core::{Result, TenantId, encryption::{DataKey, DataKeys, KeyId, KeyProvider}};
///
/// /// Keys in a table: a real one keeps them wrapped by a master key, and takes them from a generator of random bytes.
/// #[derive(Default)]
/// struct Table(Mutex<HashMap<TenantId, Vec<(u64, [u8; 32])>>>);
///
/// impl Table {
///     fn add(&self, tenant: &TenantId) {
///         let (id, secret) = (rand::random(), rand::random());
///         self.0.lock().unwrap().entry(tenant.clone()).or_default().insert(0, (id, secret));
///     }
/// }
///
/// impl KeyProvider for Table {
///     async fn keys(&self, tenant: &TenantId) -> Result<DataKeys> {
///         if !self.0.lock().unwrap().contains_key(tenant) {
///             self.add(tenant);
///         }
///         let table = self.0.lock().unwrap();
///         let mut keys = table[tenant].iter().map(|(id, secret)| DataKey::take(KeyId(*id), &mut secret.clone()));
///         Ok(DataKeys::new(keys.next().expect("made above")).with_older(keys))
///     }
///     async fn rotate(&self, tenant: &TenantId) -> Result<()> {
///         Ok(self.add(tenant))
///     }
///     async fn destroy(&self, tenant: &TenantId) -> Result<()> {
///         self.0.lock().unwrap().remove(tenant);
///         Ok(())
///     }
/// }
/// ```
pub trait KeyProvider: Send + Sync + 'static {
    /// Returns the keys of a tenant. Makes the first one where there is none: of two nodes that ask at the same time, both
    /// must be given the same.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) or [`Timeout`](crate::ErrorKind::Timeout) when asking
    /// later may help; the text must not hold secrets.
    ///
    /// # Cancel safety
    /// May be dropped half-way.
    fn keys(&self, tenant: &TenantId) -> impl Future<Output = Result<DataKeys>> + Send;

    /// Makes a new key the current one of a tenant. Those before it must be returned as older ones for as long as an entry may
    /// live: `max_ttl` and `max_stale` of the cache together, 48 hours by default.
    ///
    /// # Errors
    /// As [`keys`](Self::keys).
    ///
    /// # Cancel safety
    /// Not dropped when the caller goes away, but after 30 seconds, or with the runtime.
    fn rotate(&self, tenant: &TenantId) -> impl Future<Output = Result<()>> + Send;

    /// Destroys all keys of a tenant, for ever. Where there are none that is no error. A tenant that is used again afterwards
    /// gets a new key.
    ///
    /// # Errors
    /// As [`keys`](Self::keys). An error means that keys may be left; the caller tries again.
    ///
    /// # Cancel safety
    /// As [`rotate`](Self::rotate). What was destroyed until then must stay so, so that repeating it gets further.
    fn destroy(&self, tenant: &TenantId) -> impl Future<Output = Result<()>> + Send;
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

trait DynKeyProvider: Send + Sync + 'static {
    fn keys<'a>(&'a self, tenant: &'a TenantId) -> Boxed<'a, DataKeys>;
    fn rotate<'a>(&'a self, tenant: &'a TenantId) -> Boxed<'a, ()>;
    fn destroy<'a>(&'a self, tenant: &'a TenantId) -> Boxed<'a, ()>;
}

impl<T: KeyProvider> DynKeyProvider for T {
    fn keys<'a>(&'a self, tenant: &'a TenantId) -> Boxed<'a, DataKeys> {
        Box::pin(KeyProvider::keys(self, tenant))
    }
    fn rotate<'a>(&'a self, tenant: &'a TenantId) -> Boxed<'a, ()> {
        Box::pin(KeyProvider::rotate(self, tenant))
    }
    fn destroy<'a>(&'a self, tenant: &'a TenantId) -> Boxed<'a, ()> {
        Box::pin(KeyProvider::destroy(self, tenant))
    }
}

/// A key provider of any type: cheap to clone.
#[derive(Clone)]
pub struct AnyKeyProvider(Arc<dyn DynKeyProvider>);

impl AnyKeyProvider {
    /// Wraps a provider.
    pub fn new(provider: impl KeyProvider) -> Self {
        Self(Arc::new(provider))
    }
}

impl KeyProvider for AnyKeyProvider {
    async fn keys(&self, tenant: &TenantId) -> Result<DataKeys> {
        self.0.keys(tenant).await
    }
    async fn rotate(&self, tenant: &TenantId) -> Result<()> {
        self.0.rotate(tenant).await
    }
    async fn destroy(&self, tenant: &TenantId) -> Result<()> {
        self.0.destroy(tenant).await
    }
}

impl fmt::Debug for AnyKeyProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyKeyProvider(..)")
    }
}
