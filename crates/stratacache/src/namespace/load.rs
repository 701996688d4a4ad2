//! Reading through: one load for each key.

use stratacache_core::IntoKey;

use super::Namespace;
use crate::{
    CacheValue,
    op::{GetOrLoad, GetOrLoadOptional, GetOrLoadWith, Refresh},
};

impl Namespace {
    /// Returns the value of a key, running `load` if no tier has it: once, however many callers wait.
    ///
    /// The load runs in a task of its own, so a caller that goes away neither wastes nor kills it. It is stored unless
    /// something it depends on was invalidated since it began; its callers get it all the same if they came before that.
    /// Returns as soon as the value is in memory; lower tiers are filled behind.
    ///
    /// The loader is `FnOnce() -> impl Future<Output = Result<V, E>>`, both `Send + 'static`; any
    /// `E: Send + Sync + 'static` will do.
    ///
    /// # Errors
    /// [`LoadError`](crate::LoadError): the loader's own error as `Arc<E>`, a time-out, a panic, an overload. With `stale_if_error` a stale
    /// value is returned instead.
    ///
    /// # Cancel safety
    /// May be dropped at any time: a load that has begun goes on and is stored.
    ///
    /// ```
    /// use stratacache::{Cache, Keyspace, Policy, TenantId, minutes};
    ///
    /// const GREETINGS: Keyspace<str, String> = Keyspace::new("greetings", Policy::ttl(minutes(5)));
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = Cache::builder().build().await?;
    /// let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let hello = acme
    ///     .get_or_load(GREETINGS.key("en"), async || Ok::<_, std::io::Error>("hello".to_owned()))
    ///     .tag("greetings")
    ///     .await?;
    /// assert_eq!(*hello, "hello");
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn get_or_load<V, F>(&self, key: impl IntoKey<V>, load: F) -> GetOrLoad<'_, V, F>
    where
        V: CacheValue,
    {
        GetOrLoad::new(&self.door, key.into_key(), load)
    }

    /// Returns the value of a key, running a loader of `Option<V>` if no tier has an answer.
    ///
    /// `None` is kept as a known absence for the policy's `negative_ttl`: it is an answer, not a miss.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    #[inline]
    pub fn get_or_load_optional<V, F>(&self, key: impl IntoKey<V>, load: F) -> GetOrLoadOptional<'_, V, F>
    where
        V: CacheValue,
    {
        GetOrLoadOptional::new(&self.door, key.into_key(), load)
    }

    /// Returns the value of a key, running a loader that gets a [`LoadContext`](crate::LoadContext) (stale value, ETag, attempt) and returns
    /// a [`Loaded`](crate::Loaded): with a ttl, policy, tags and ETag of its own, not modified, absent, or not to be stored.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load); [`LoadError::NothingToKeep`](crate::LoadError::NothingToKeep) when the loader says "not modified" without a
    /// value in the cache.
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// ```
    /// use stratacache::{Cache, LoadContext, Loaded, TenantId, minutes};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let page = acme
    ///     .get_or_load_with("page", async |cx: LoadContext<String>| {
    ///         // ask the source with If-None-Match: cx.etag(); on 304 return Loaded::not_modified()
    ///         assert_eq!(cx.etag(), None);
    ///         Ok::<_, std::io::Error>(Loaded::new("body".to_owned()).etag("\"v1\"").ttl(minutes(1)).tag("pages"))
    ///     })
    ///     .await?;
    /// assert_eq!(page.expect("present").etag(), Some("\"v1\""));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn get_or_load_with<V, F>(&self, key: impl IntoKey<V>, load: F) -> GetOrLoadWith<'_, V, F>
    where
        V: CacheValue,
    {
        GetOrLoadWith::new(&self.door, key.into_key(), load)
    }

    /// Runs `load` whatever the tiers hold, stores the value and returns it. Concurrent refreshes of a key share one load.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load), but a stale value never takes the place of the error.
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    #[inline]
    pub fn refresh<V, F>(&self, key: impl IntoKey<V>, load: F) -> Refresh<'_, V, F>
    where
        V: CacheValue,
    {
        Refresh::new(&self.door, key.into_key(), load)
    }
}
