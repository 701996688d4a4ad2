//! `insert`.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::{IntoKey, Key, Result, Stamp, Token};

use super::{
    BoxFuture,
    options::{Options, options},
};
use crate::{IntoValue, Namespace, codec::CacheValue, engine::WriteRequest, value::Value};

/// A write by hand. Made by [`Namespace::insert`].
#[must_use = "nothing happens until it is awaited"]
pub struct Insert<'a, V: 'static> {
    ns: &'a Namespace,
    key: Key<V>,
    value: Value<V>,
    options: Options,
}

impl<V: 'static> Insert<'_, V> {
    options!(policy);
    options!(tags);

    /// Fences the insert with a position taken by [`Namespace::stamp`] before the source was read or written.
    ///
    /// An invalidation, or another insert of the key, that came after the stamp then beats this one: the old value is
    /// gone, this one is not kept, and [`Token::is_superseded`] says so.
    pub fn stamped(mut self, stamp: Stamp) -> Self {
        self.options.rare().stamp = Some(stamp);
        self
    }
}

impl<'a, V: CacheValue> IntoFuture for Insert<'a, V> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { ns, key, value, options } = self;
        Box::pin(async move {
            let policy = options.policy(ns, &key)?;
            let stamp = options.rare.as_ref().and_then(|r| r.stamp);
            let ttl = policy.fresh_time();
            let request =
                WriteRequest { ns: Arc::clone(&ns.door), key, value: value.0, policy, ttl, tags: options.tags, stamp };
            ns.door.engine.insert(request).await
        })
    }
}

impl Namespace {
    /// Stores a value in every tier; it takes the place of what was there, and beats every load of the key under way.
    ///
    /// Without a stamp the value counts as loaded when this is called: later invalidations beat it, but what happened
    /// between the caller's own read of the source and this call is the caller's race. The fix is one line: take
    /// `let stamp = ns.stamp();` before reading or writing the source, and add `.stamped(stamp)`.
    ///
    /// # Errors
    /// By default (`OnWriteError::Strict`) the failure of any tier is the error, and the value is then in no tier; after a
    /// lost reply [`ErrorKind::WriteUnknown`](crate::ErrorKind::WriteUnknown). An invalid key, tag or policy is
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
        Insert { ns: self, key: key.into_key(), value: value.into_value(), options: Options::default() }
    }
}
