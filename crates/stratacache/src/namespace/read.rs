//! Reading without a loader.

use stratacache_core::IntoKey;

use super::Namespace;
use crate::{
    CacheValue, KeyHash,
    op::{Contains, Get, Inspect, LookupOp},
};

impl Namespace {
    /// Returns the value of a key if some tier has it: fresh, or stale within `stale_while_revalidate`.
    ///
    /// A broken tier is a miss and an event, never an error; so is an invalid key (`Key::check` tells). A known absence
    /// is `None` too; [`lookup`](Self::lookup) tells it from a miss.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    ///
    /// ```
    /// # use stratacache::{Cache, TenantId};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// acme.insert("answer", 42_u32).await?;
    /// let answer = acme.get::<u32>("answer").await.expect("just inserted");
    /// assert_eq!(*answer, 42);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn get<V: CacheValue>(&self, key: impl IntoKey<V>) -> Get<'_, V> {
        Get::new(&self.door, key.into_key())
    }

    /// Tells whether [`get`](Self::get) would return a value. It counts as a read.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn contains<V: CacheValue>(&self, key: impl IntoKey<V>) -> Contains<'_, V> {
        Contains::new(self.get(key))
    }

    /// Returns what the cache knows of a key: a value, a known absence, or nothing. As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn lookup<V: CacheValue>(&self, key: impl IntoKey<V>) -> LookupOp<'_, V> {
        LookupOp::new(&self.door, key.into_key())
    }

    /// Tells which tiers hold a key, whether they may serve it, how fresh it is, its tags and positions. Reads every
    /// tier, fills none, counts nothing.
    ///
    /// # Errors
    /// When the namespace is not valid or the cache is closed; a broken tier is left out.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn inspect<V: 'static>(&self, key: impl IntoKey<V>) -> Inspect<'_> {
        Inspect::new(&self.door, key.into_key().as_bytes().to_vec())
    }

    /// Returns what stands for a key in logs, in this namespace.
    ///
    /// It is keyed with [`deployment_secret`](crate::CacheBuilder::deployment_secret): who has the log, and not the secret, cannot try
    /// keys until one fits. So set one where keys could be guessed.
    #[must_use]
    pub fn key_hash<V: 'static>(&self, key: impl IntoKey<V>) -> KeyHash {
        KeyHash::of(self.door.engine.key_scope(&self.door, key.into_key().as_bytes()))
    }
}
