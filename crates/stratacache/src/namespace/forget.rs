//! Invalidating, expiring, clearing.

#[cfg(doc)]
use stratacache_core::Keyspace;
use stratacache_core::{IntoTag, IntoTargets, Key, Prefix, Target};

use super::Namespace;
use crate::op::{Clear, Expire, Invalidate};

impl Namespace {
    /// Invalidates a key, or a mix of keys, tags and namespaces at one position.
    ///
    /// When this has returned `Ok`, no read that begins later is given a value whose load began before the call, from
    /// any tier. Loads under way go on, for those who already wait, and are not kept. Call it after the transaction has
    /// committed.
    ///
    /// # Errors
    /// An error means that it is not known whether the invalidation took place; calling again is safe. To let it wait until
    /// the shared tier can be reached, say [`or_queue`](crate::op::Invalidate::or_queue).
    /// [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded) when the tenant is over its `invalidations_per_s`.
    ///
    /// # Cancel safety
    /// Dropped half-way, the invalidation may or may not take place. Wait for it.
    pub fn invalidate(&self, what: impl IntoTargets) -> Invalidate<'_> {
        Invalidate::new(&self.door, what.into_targets())
    }

    /// Invalidates many keys at one position. As [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    pub fn invalidate_many<V: 'static>(&self, keys: impl IntoIterator<Item = Key<V>>) -> Invalidate<'_> {
        Invalidate::new(&self.door, keys.into_iter().map(|key| Target::of(&key)).collect())
    }

    /// Invalidates everything with a tag, in the whole tenant, from whichever namespace it is called. One mark, however
    /// many entries.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate). A global tag is refused: `Cache::invalidate_global_tag` is for those.
    pub fn invalidate_tag(&self, tag: impl IntoTag) -> Invalidate<'_> {
        Invalidate::new(&self.door, vec![Target::tag(tag)])
    }

    /// Invalidates everything with any of some tags, at one position.
    ///
    /// # Errors
    /// As [`invalidate_tag`](Self::invalidate_tag).
    pub fn invalidate_tags(&self, tags: impl IntoIterator<Item = impl IntoTag>) -> Invalidate<'_> {
        Invalidate::new(&self.door, tags.into_iter().map(Target::tag).collect())
    }

    /// Invalidates every key of a keyspace that begins with some parts, in this namespace, not in those nested in it. One mark, however
    /// many entries. The keyspace declares by how many leading parts ([`Keyspace::prefixes`]).
    ///
    /// ```
    /// use stratacache::{Cache, Keyspace, Policy, TenantId, minutes};
    ///
    /// // region, year, month
    /// const SALES: Keyspace<(String, u16, u8), f64> = Keyspace::new("sales", Policy::ttl(minutes(5))).prefixes(2);
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// let acme = cache.tenant(&TenantId::parse("acme")?);
    /// for month in 1..=12 {
    ///     acme.insert(SALES.key(&("eu".into(), 2026, month)), 1.5).await?;
    /// }
    /// acme.invalidate_prefix(SALES.prefix(&("eu".to_owned(), 2026))).await?; // all months of that year
    /// assert!(acme.get(SALES.key(&("eu".into(), 2026, 7))).await.is_none());
    /// # cache.close().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate); [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the keyspace marks fewer
    /// leading parts.
    pub fn invalidate_prefix(&self, prefix: Prefix) -> Invalidate<'_> {
        Invalidate::new(&self.door, vec![Target::prefix(prefix)])
    }

    /// Empties this namespace, and those nested in it; at the tenant's root, the whole tenant. One mark, however many
    /// entries; the bytes in memory are freed soon after.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    /// As [`invalidate`](Self::invalidate).
    pub fn clear(&self) -> Clear<'_> {
        Clear::new(&self.door)
    }

    /// Marks entries as expired now, but keeps them for the stale windows of their policy.
    ///
    /// The next read loads; under `stale_while_revalidate` and `stale_if_error` it may still be given the old value. To
    /// make sure that it is not, [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    /// As [`invalidate`](Self::invalidate).
    pub fn expire(&self, what: impl IntoTargets) -> Expire<'_> {
        Expire::targets(&self.door, what.into_targets())
    }

    /// Marks everything with a tag as expired, in the whole tenant. As [`expire`](Self::expire).
    ///
    /// # Errors
    /// As [`invalidate_tag`](Self::invalidate_tag).
    pub fn expire_tag(&self, tag: impl IntoTag) -> Expire<'_> {
        Expire::targets(&self.door, vec![Target::tag(tag)])
    }

    /// Marks everything in this namespace, and in those nested in it, as expired. As [`expire`](Self::expire).
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    pub fn expire_all(&self) -> Expire<'_> {
        Expire::everything(&self.door)
    }
}
