//! The keys that a tenant is encrypted with: forgetting them, changing them.

use stratacache_core::{Result, Token};

use super::Namespace;

impl Namespace {
    /// Forgets the tenant for ever: destroys its data keys, and clears it.
    ///
    /// Whatever copy of its entries is left in any tier, in a backup of Redis, in an image of a disk or in an old version of
    /// an object cannot be read by anybody any more. What memory holds is gone from this node when this returns, and from
    /// others as with [`clear`](Self::clear). Data that is loaded or inserted afterwards is cached again, under a new key.
    ///
    /// The promise is as good as the destroying of the keys: see the provider, for instance
    /// [`FileKeys`](https://docs.rs/stratacache-encryption), on copies of what it keeps.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) on a nested namespace, or for a cache without
    /// [`encryption`](crate::CacheBuilder::encryption). After any other error it is not known whether keys are left or the
    /// tenant was cleared; calling again is safe.
    ///
    /// # Cancel safety
    /// Runs to its end even if the future is dropped.
    pub async fn destroy(&self) -> Result<Token> {
        self.door.engine.destroy(&self.door).await
    }

    /// Makes a new key that the tenant's entries are encrypted with from now on.
    ///
    /// Nothing is flushed: what is stored stays readable until its life ends. Other nodes use the new key within five minutes,
    /// or as soon as they meet an entry that was encrypted with it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) on a nested namespace, or for a cache without
    /// [`encryption`](crate::CacheBuilder::encryption); the provider's own, after which calling again makes yet another key.
    ///
    /// # Cancel safety
    /// Runs to its end even if the future is dropped.
    pub async fn rotate_key(&self) -> Result<()> {
        self.door.engine.rotate_key(&self.door).await
    }
}
