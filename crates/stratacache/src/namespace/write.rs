//! Storing by hand.

use stratacache_core::IntoKey;

use super::Namespace;
use crate::{CacheValue, IntoValue, op::Insert};

impl Namespace {
    /// Stores a value in every tier; it takes the place of what was there, and beats every load of the key under way. The value is a `V`
    /// or an `Arc<V>`, and so never an `.into()`.
    ///
    /// Without a stamp the value counts as loaded when this is called: later invalidations beat it, but what happened
    /// between the caller's own read of the source and this call is the caller's race. The fix is one line: take
    /// `let stamp = ns.stamp();` before reading or writing the source, and add `.stamped(stamp)`.
    ///
    /// What is heavier than the policy's `max_weight`, or than a tier can take, is not stored there, and that is no error: of memory it is
    /// counted as [`not_stored`](crate::Stats::not_stored) and an event (`NotStored`). What was there before is gone all the same.
    ///
    /// # Errors
    /// By default (`OnWriteError::Strict`) the failure of any tier is the error, and the value is then in no tier. After a
    /// lost reply, and where the value could not be removed again from all of them, it is
    /// [`ErrorKind::WriteUnknown`](crate::ErrorKind::WriteUnknown): some tier may hold it, never past an invalidation of the
    /// key that succeeded. An invalid key, tag or policy is
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput).
    ///
    /// # Cancel safety
    /// Dropped half-way, the old value is gone or the new one is there; nothing else can be seen. To be sure that the
    /// insert took place, wait for it.
    ///
    /// ```
    /// # use stratacache::{Cache, TenantId, minutes};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let stamp = acme.stamp();
    /// let row = "the row as the database has it now".to_owned();
    /// let token = acme.insert(("row", 7), row).stamped(stamp).tag("rows").ttl(minutes(1)).await?;
    /// assert!(!token.is_superseded());
    /// # Ok(()) }
    /// ```
    pub fn insert<V: CacheValue>(&self, key: impl IntoKey<V>, value: impl IntoValue<V>) -> Insert<'_, V> {
        Insert::new(&self.door, key.into_key(), value.into_value())
    }
}
