//! Changing what is stored: counters, values that are made of what there is, taking.

use stratacache_core::IntoKey;

use super::Namespace;
use crate::{
    CacheValue, IntoValue, Number,
    op::{Count, GetOrInsert, InsertIfAbsent, Take, Update},
};

impl Namespace {
    /// Puts what `change` makes of a value in its place, or leaves it as it is where that is `None`; returns what there
    /// is then.
    ///
    /// No other change of the key comes in between, on no node that shares a tier with leases (Redis). **Without such a
    /// tier, and for values that are not kept there (`MemoryOnly`, `tiers`, values without an encoding), that holds
    /// for the tasks of this process, and each node has a value of its own.** A value that is there keeps what is left of its
    /// ttl, and its tags; the policy is for one that is not.
    ///
    /// `change` gets `None` for what is missing, absent, stale or invalidated. It may be called more than once, where an insert
    /// or an invalidation was faster; only the last result counts. It runs in a task of the cache: it must be quick and
    /// must not block. If it panics, that is an error, and nothing is changed.
    ///
    /// Changes of a key that wait in a process are made together, in the order of the calls: many cost little more than one.
    /// A key that is changed all the time is not read from memory much. Among nodes a change ends every copy of the former
    /// value before it writes the new one: a plain `get` in between misses, and if the change ends there (its node dies, or this is
    /// an error), it misses until the next change, which finds the former value. **Where a tier lies below the shared one,
    /// the next change may find nothing instead**, and begin anew.
    ///
    /// What a cache holds may be evicted. See the guide's page on counters and locks for what that means.
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout) if others had the right to write for all of `lease_wait`, and
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the shared tier cannot be reached: it is not changed, and
    /// readers may miss what is there until the next change.
    /// [`WriteUnknown`](crate::ErrorKind::WriteUnknown) after a lost reply: it may have been changed.
    /// [`Overloaded`](crate::ErrorKind::Overloaded) when `max_waiters` of the tenant wait, or others were faster 64 times;
    /// [`Full`](crate::ErrorKind::Full) for a value that is too heavy.
    ///
    /// # Cancel safety
    /// Dropped, the change is made all the same, once it has been awaited at all.
    ///
    /// ```
    /// # use stratacache::{Cache, TenantId};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let add = |seen: Option<&Vec<u32>>| Some(seen.into_iter().flatten().copied().chain([7]).collect());
    /// let seen = acme.update::<Vec<u32>>("seen", add).await?;
    /// assert!(seen.is_some_and(|seen| *seen == [7]));
    /// # Ok(()) }
    /// ```
    pub fn update<V: CacheValue>(
        &self,
        key: impl IntoKey<V>,
        change: impl FnMut(Option<&V>) -> Option<V> + Send + 'static,
    ) -> Update<'_, V> {
        Update::new(&self.door, key.into_key(), change)
    }

    /// Adds to a counter and returns its new value; one that is missing begins at 0.
    ///
    /// A counter keeps its ttl: it ends as long after its first step as the policy, or `.ttl(..)` of that step, says. One of another type
    /// (`u64` and `i64` are two) is none: the count begins at 0, and takes its place. All else is as with [`update`](Self::update): a step that
    /// ends half-way leaves the former count to the next one, or, where a tier lies below the shared one, perhaps 0.
    ///
    /// # Errors
    /// [`OutOfRange`](crate::ErrorKind::OutOfRange) if the sum is none of the type; the counter is then as it was. Else as
    /// [`update`](Self::update).
    ///
    /// # Cancel safety
    /// As [`update`](Self::update).
    ///
    /// ```
    /// # use stratacache::{Cache, TenantId, minutes};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let requests = acme.increment(("requests", "2026-01-01T12:07"), 1_u64).ttl(minutes(2)).await?;
    /// assert!(requests <= 100, "over the limit");
    /// # Ok(()) }
    /// ```
    pub fn increment<N: Number>(&self, key: impl IntoKey<N>, by: N) -> Count<'_, N> {
        Count::new(&self.door, key.into_key(), move |count| count.plus(by))
    }

    /// Subtracts from a counter and returns its new value; as [`increment`](Self::increment).
    ///
    /// # Errors
    /// [`OutOfRange`](crate::ErrorKind::OutOfRange) if the difference is none of the type, for an unsigned one below 0.
    ///
    /// # Cancel safety
    /// As [`update`](Self::update).
    pub fn decrement<N: Number>(&self, key: impl IntoKey<N>, by: N) -> Count<'_, N> {
        Count::new(&self.door, key.into_key(), move |count| count.minus(by))
    }

    /// Inserts a value if there is none, and tells whether it did. Of several callers, on any node, one does.
    ///
    /// What is absent, stale or invalidated is none. Where nodes share no tier with leases, see [`update`](Self::update).
    ///
    /// # Errors
    /// As [`update`](Self::update).
    ///
    /// # Cancel safety
    /// As [`update`](Self::update).
    pub fn insert_if_absent<V: CacheValue>(
        &self,
        key: impl IntoKey<V>,
        value: impl IntoValue<V>,
    ) -> InsertIfAbsent<'_, V> {
        InsertIfAbsent::new(&self.door, key.into_key(), value.into_value())
    }

    /// Returns the value, or inserts this one and returns it: all callers get the same.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    ///
    /// # Cancel safety
    /// As [`update`](Self::update).
    pub fn get_or_insert<V: CacheValue>(&self, key: impl IntoKey<V>, value: impl IntoValue<V>) -> GetOrInsert<'_, V> {
        GetOrInsert::new(&self.door, key.into_key(), value.into_value())
    }

    /// Removes a value and returns it. Of several callers, on any node, one gets it.
    ///
    /// # Errors
    /// As [`update`](Self::update). After [`WriteUnknown`](crate::ErrorKind::WriteUnknown) it may be gone, and nobody has it.
    ///
    /// # Cancel safety
    /// As [`update`](Self::update): dropped, the value is gone.
    ///
    /// ```
    /// # use stratacache::{Cache, TenantId};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// acme.insert("nonce", 17_u32).await?;
    /// assert_eq!(acme.take::<u32>("nonce").await?.as_deref(), Some(&17));
    /// assert!(acme.take::<u32>("nonce").await?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn take<V: CacheValue>(&self, key: impl IntoKey<V>) -> Take<'_, V> {
        Take::new(&self.door, key.into_key())
    }
}
