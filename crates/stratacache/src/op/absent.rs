//! `insert_if_absent` and `get_or_insert`.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::{Error, ErrorKind, Key, Result};

use super::{
    BoxFuture,
    options::{Options, options},
    update::{Changing, cached},
};
use crate::{
    Cached, Freshness,
    codec::CacheValue,
    engine::{Change, Door},
    memory::Held,
    value::Value,
};

/// An insert of what is not there. Made by [`Namespace::insert_if_absent`](crate::Namespace::insert_if_absent).
#[must_use = "nothing happens until it is awaited"]
pub struct InsertIfAbsent<'a, V: 'static> {
    changing: Changing<'a, V>,
    options: Options,
}

/// A read that inserts what is not there. Made by [`Namespace::get_or_insert`](crate::Namespace::get_or_insert).
#[must_use = "nothing happens until it is awaited"]
pub struct GetOrInsert<'a, V: 'static>(InsertIfAbsent<'a, V>);

impl<'a, V: CacheValue> InsertIfAbsent<'a, V> {
    pub(crate) fn new(door: &'a Arc<Door>, key: Key<V>, value: Value<V>) -> Self {
        // it may be tried more than once
        let value = match value.0 {
            Held::Own(value) => Some(Arc::new(value)),
            Held::Shared(value) => Some(value),
            Held::Absent | Held::Of(_) => None,
        };
        let change = Box::new(move |there: Option<&V>| {
            Ok(match (there, &value) {
                (None, Some(value)) => Change::Set(Held::Shared(Arc::clone(value))),
                _ => Change::Keep,
            })
        });
        Self { changing: Changing { door, key, change }, options: Options::default() }
    }
}

impl<'a, V: CacheValue> GetOrInsert<'a, V> {
    pub(crate) fn new(door: &'a Arc<Door>, key: Key<V>, value: Value<V>) -> Self {
        Self(InsertIfAbsent::new(door, key, value))
    }
}

impl<V: 'static> InsertIfAbsent<'_, V> {
    options!(policy);
    options!(tags);
    options!(tiers);
}

/// Options go to the insert.
impl<V: 'static> GetOrInsert<'_, V> {
    /// Gives the value this fresh time if it is inserted, whatever the policy says.
    pub fn ttl(self, ttl: std::time::Duration) -> Self {
        Self(self.0.ttl(ttl))
    }

    /// Adds a tag if it is inserted.
    pub fn tag(self, tag: impl stratacache_core::IntoTag) -> Self {
        Self(self.0.tag(tag))
    }
}

impl<'a, V: CacheValue> IntoFuture for InsertIfAbsent<'a, V> {
    type Output = Result<bool>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.changing.run(self.options).await?.written) })
    }
}

impl<'a, V: CacheValue> IntoFuture for GetOrInsert<'a, V> {
    type Output = Result<Cached<V>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let InsertIfAbsent { changing, options } = self.0;
            let door = changing.door;
            let changed = changing.run(options).await?;
            let freshness = if changed.written { Freshness::Loaded } else { Freshness::Fresh };
            cached(door, changed.after, freshness)
                .ok_or_else(|| Error::new(ErrorKind::Internal, "there was neither a value nor one to insert"))
        })
    }
}
