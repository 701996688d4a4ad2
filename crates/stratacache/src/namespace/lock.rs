//! Locks.

use std::time::Duration;

use stratacache_core::{IntoKey, Result};

use super::Namespace;
use crate::{LockGuard, op::Lock};

impl Namespace {
    /// Takes the lock of a key, and waits for who has it, by default 5 s. It has nothing to do with the entry of that key.
    ///
    /// Among all nodes that share a tier with leases (Redis), one has it; **without such a tier, one task of this process**. It
    /// ends with `ttl` (at least 1 ms, at most `max_ttl`) unless it is [renewed](LockGuard::renew). Who waits is in no
    /// order. A Redis that loses its data loses its locks: what must not happen twice needs the
    /// [fencing token](LockGuard::fencing_token), or a lock of the database.
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout) if it was held all the time. [`Unavailable`](crate::ErrorKind::Unavailable) or
    /// `Timeout` if the shared tier does not answer: the lock is not held, or ends with its ttl; it is never given
    /// without the store. [`InvalidInput`](crate::ErrorKind::InvalidInput) for a ttl or key that is not allowed.
    ///
    /// # Cancel safety
    /// Dropped, the lock is not held, or released in the background, or ends with its ttl.
    ///
    /// ```
    /// # use stratacache::{Cache, TenantId, seconds};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let lock = acme.lock("report", seconds(30)).wait(seconds(2)).await?;
    /// // .. write the report, with lock.fencing_token() beside it ..
    /// assert!(lock.renew().await?, "still ours");
    /// assert!(acme.try_lock("report", seconds(30)).await?.is_none());
    /// lock.release().await?;
    /// # Ok(()) }
    /// ```
    pub fn lock(&self, key: impl IntoKey<()>, ttl: Duration) -> Lock<'_> {
        Lock::new(&self.door, key.into_key(), ttl)
    }

    /// Takes the lock of a key if nobody has it; as [`lock`](Self::lock), without waiting.
    ///
    /// # Errors
    /// As [`lock`](Self::lock); a lock that is held is `None`.
    ///
    /// # Cancel safety
    /// As [`lock`](Self::lock).
    pub async fn try_lock(&self, key: impl IntoKey<()>, ttl: Duration) -> Result<Option<LockGuard>> {
        self.door.engine.lock(&self.door, &key.into_key(), ttl, Duration::ZERO).await
    }
}
