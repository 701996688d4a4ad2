//! `update`.

use std::{future::IntoFuture, sync::Arc};

use parking_lot::Mutex;
use stratacache_core::{Key, Result};

use super::{
    BoxFuture,
    options::{Options, options},
};
use crate::{
    Cached, Freshness,
    codec::CacheValue,
    engine::{BoxedChange, Change, Changed, Door, UpdateRequest},
    memory::{Entry, Held},
};

/// A change of what is stored. Made by [`Namespace::update`](crate::Namespace::update).
#[must_use = "nothing happens until it is awaited"]
pub struct Update<'a, V: 'static> {
    changing: Changing<'a, V>,
    options: Options,
}

/// A change, and where.
pub(super) struct Changing<'a, V: 'static> {
    pub(super) door: &'a Arc<Door>,
    pub(super) key: Key<V>,
    pub(super) change: BoxedChange<V>,
}

impl<V: CacheValue> Changing<'_, V> {
    /// Makes the change, and returns what there was and what there is.
    pub(super) async fn run(self, options: Options) -> Result<Changed<V>> {
        let Self { door, key, change } = self;
        let policy = options.policy(door, &key)?;
        let request =
            UpdateRequest { ns: Arc::clone(door), key, policy, tags: options.tags, change: Mutex::new(change) };
        door.engine.update(request).await
    }
}

/// Returns what an entry is to a caller.
pub(super) fn cached<V>(door: &Door, entry: Option<Arc<Entry<V>>>, freshness: Freshness) -> Option<Cached<V>> {
    Cached::new(entry?, freshness, door.engine.timeline.now())
}

impl<'a, V: CacheValue> Update<'a, V> {
    pub(crate) fn new(
        door: &'a Arc<Door>,
        key: Key<V>,
        mut update: impl FnMut(Option<&V>) -> Option<V> + Send + 'static,
    ) -> Self {
        let change: BoxedChange<V> = Box::new(move |value| {
            Ok(match update(value) {
                Some(value) => Change::Set(Held::Own(value)),
                None => Change::Keep,
            })
        });
        Self { changing: Changing { door, key, change }, options: Options::default() }
    }
}

impl<V: 'static> Update<'_, V> {
    options!(policy);
    options!(tags);
    options!(tiers);
}

impl<'a, V: CacheValue> IntoFuture for Update<'a, V> {
    type Output = Result<Option<Cached<V>>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let door = self.changing.door;
            let changed = self.changing.run(self.options).await?;
            let freshness = if changed.written { Freshness::Loaded } else { Freshness::Fresh };
            Ok(cached(door, changed.after, freshness))
        })
    }
}
