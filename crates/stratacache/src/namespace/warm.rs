//! Filling before traffic.

use std::{borrow::Borrow, error::Error as StdError};

use futures_core::Stream;
use stratacache_core::{KeyPart, Keyspace};

use super::Namespace;
use crate::{
    CacheValue,
    op::{Keys, Warm},
};

impl Namespace {
    /// Warms keys: fills the cache before traffic, so that the first readers hit.
    ///
    /// What memory has, fresh, is left alone; what a tier below has is promoted; the rest is loaded by
    /// [`load`](Warm::load), [`load_optional`](Warm::load_optional) or [`load_many`](Warm::load_many), or left out by
    /// [`from_tiers`](Warm::from_tiers). Keys are taken one after the other: no more than a batch for each of
    /// [`concurrency`](Warm::concurrency), and one that is gathered, are held.
    ///
    /// It is a reader like others, only more patient: its loads are fenced and stored as those of
    /// [`get_or_load`](Self::get_or_load) (an invalidation or an insert that comes while a key is loaded wins), and they are
    /// the same loads, one for each key: a reader that comes meanwhile waits for the warm-up's, if its types of value and error are the same. Readers go first
    /// where there are not enough places for loads ([`priority`](Warm::priority)). It counts neither as hits nor as misses.
    ///
    /// Await it, or [`start`](Warm::start) it for a handle with its progress that can stop it.
    ///
    /// # Errors
    /// When the namespace, a tag or an option is not valid, or the cache is closed. What became of each key is in the
    /// [`WarmReport`](crate::op::WarmReport).
    ///
    /// # Cancel safety
    /// Dropped, it stops: no further key is begun, and loads that have begun go on and are stored.
    ///
    /// ```
    /// use stratacache::{Cache, Keyspace, Policy, TenantId, minutes};
    ///
    /// const NAMES: Keyspace<u32, String> = Keyspace::new("names", Policy::ttl(minutes(5)));
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = Cache::builder().build().await?;
    /// let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let report = acme
    ///     .warm(&NAMES, 0..1_000)
    ///     .load_many(async |ids: Vec<u32>| {
    ///         // SELECT id, name FROM contacts WHERE id IN (..ids..)
    ///         Ok::<_, std::io::Error>(ids.into_iter().map(|id| (id, format!("name {id}"))).collect::<Vec<_>>())
    ///     })
    ///     .rate(10_000)
    ///     .await?;
    /// assert_eq!(report.progress.loaded, 1_000);
    /// assert_eq!(acme.get(NAMES.key(&7)).await.as_deref().map(String::as_str), Some("name 7"));
    /// # cache.close().await?;
    /// # Ok(()) }
    /// ```
    pub fn warm<K, Q, V, I>(&self, keyspace: &'static Keyspace<K, V>, keys: I) -> Warm<'_, Q, V>
    where
        K: KeyPart + ?Sized,
        Q: Borrow<K>,
        V: CacheValue,
        I: IntoIterator<Item = Q>,
        I::IntoIter: Send + 'static,
    {
        let keys = Keys::of_iter(keys.into_iter(), |key: &Q| keyspace.key(key.borrow()));
        Warm::new(&self.door, keyspace.info(), keys)
    }

    /// Warms the keys of a stream, as [`warm`](Self::warm). However many there are, few are held.
    pub fn warm_stream<K, Q, V, S>(&self, keyspace: &'static Keyspace<K, V>, keys: S) -> Warm<'_, Q, V>
    where
        K: KeyPart + ?Sized,
        Q: Borrow<K>,
        V: CacheValue,
        S: Stream<Item = Q> + Send + 'static,
    {
        let keys = Keys::of_stream(keys, |key: &Q| keyspace.key(key.borrow()));
        Warm::new(&self.door, keyspace.info(), keys)
    }

    /// Warms the keys of a stream that may fail, as the rows of a query do. Its first error ends the warm-up, after the keys
    /// before it: [`WarmEnd::SourceFailed`](crate::op::WarmEnd::SourceFailed).
    pub fn try_warm_stream<K, Q, V, S, X>(&self, keyspace: &'static Keyspace<K, V>, keys: S) -> Warm<'_, Q, V>
    where
        K: KeyPart + ?Sized,
        Q: Borrow<K>,
        V: CacheValue,
        S: Stream<Item = Result<Q, X>> + Send + 'static,
        X: Into<Box<dyn StdError + Send + Sync>>,
    {
        let keys = Keys::of_try_stream(keys, |key: &Q| keyspace.key(key.borrow()));
        Warm::new(&self.door, keyspace.info(), keys)
    }
}
