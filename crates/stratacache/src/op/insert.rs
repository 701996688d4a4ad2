//! `insert`.

use std::{future::IntoFuture, sync::Arc};

use smallvec::smallvec;
use stratacache_core::{Key, Result, Stamp, Token};

use super::{
    BoxFuture,
    options::{Options, options},
};
use crate::{
    codec::CacheValue,
    engine::{Door, WriteItem, WriteRequest},
    value::Value,
};

/// A write by hand. Made by [`Namespace::insert`](crate::Namespace::insert).
#[must_use = "nothing happens until it is awaited"]
pub struct Insert<'a, V: 'static> {
    door: &'a Arc<Door>,
    key: Key<V>,
    value: Value<V>,
    options: Options,
}

impl<'a, V: 'static> Insert<'a, V> {
    pub(crate) fn new(door: &'a Arc<Door>, key: Key<V>, value: Value<V>) -> Self {
        Self { door, key, value, options: Options::default() }
    }
}

impl<V: 'static> Insert<'_, V> {
    options!(policy);
    options!(tags);
    options!(tiers);

    /// Fences the insert with a position taken by [`Namespace::stamp`](crate::Namespace::stamp) before the source was read or written.
    ///
    /// An invalidation, or another insert of the key, that came after the stamp then beats this one: the old value is
    /// gone, this one is not kept, and [`Token::is_superseded`] says so. A stamp of another tenant is refused when the insert
    /// is awaited ([`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput)), and nothing is changed.
    pub fn stamped(mut self, stamp: Stamp) -> Self {
        self.options.rare().stamp = Some(stamp);
        self
    }
}

impl<'a, V: CacheValue> IntoFuture for Insert<'a, V> {
    type Output = Result<Token>;
    type IntoFuture = BoxFuture<'a, Result<Token>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { door, key, value, options } = self;
        Box::pin(async move {
            let policy = options.policy(door, &key)?;
            let stamp = options.rare.as_ref().and_then(|r| r.stamp);
            let ttl = policy.fresh_time();
            let items = smallvec![WriteItem { key, value: value.0, policy, ttl, like: None }];
            let request = WriteRequest { ns: Arc::clone(door), items, tags: options.tags, stamp };
            door.engine.insert(request).await
        })
    }
}
