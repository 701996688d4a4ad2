//! `take`.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::{Key, Result};

use super::{
    BoxFuture,
    options::{Options, options},
    update::{Changing, cached},
};
use crate::{
    Cached, Freshness,
    codec::CacheValue,
    engine::{Change, Door},
};

/// A read that removes. Made by [`Namespace::take`](crate::Namespace::take).
#[must_use = "nothing happens until it is awaited"]
pub struct Take<'a, V: 'static> {
    changing: Changing<'a, V>,
    options: Options,
}

impl<'a, V: CacheValue> Take<'a, V> {
    pub(crate) fn new(door: &'a Arc<Door>, key: Key<V>) -> Self {
        let change = Box::new(|value: Option<&V>| Ok(value.map_or(Change::Keep, |_| Change::Remove)));
        Self { changing: Changing { door, key, change }, options: Options::default() }
    }
}

impl<V: 'static> Take<'_, V> {
    options!(tiers);
}

impl<'a, V: CacheValue> IntoFuture for Take<'a, V> {
    type Output = Result<Option<Cached<V>>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let door = self.changing.door;
            let changed = self.changing.run(self.options).await?;
            Ok(cached(door, changed.before, Freshness::Fresh))
        })
    }
}
