//! `lookup`: a read that tells a known absence from a miss.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::Key;
use tracing::Instrument;

use super::{
    BoxFuture,
    load_future::at_once,
    options::{ReadOptions, options},
};
use crate::{Cached, codec::CacheValue, engine::Door, observe::Counter};

/// What the cache knows of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup<V> {
    /// A value, fresh or stale ([`Cached::is_stale`]). A stored `None`, `0` or `""` is a value.
    Hit(Cached<V>),
    /// It is known that the source has no such thing.
    Absent,
    /// Nothing is known.
    Miss,
}

/// A read that tells a known absence from a miss. Made by [`Namespace::lookup`](crate::Namespace::lookup).
#[must_use = "nothing happens until it is awaited"]
pub struct LookupOp<'a, V: 'static> {
    door: &'a Arc<Door>,
    key: Key<V>,
    options: ReadOptions,
}

impl<'a, V: 'static> LookupOp<'a, V> {
    pub(crate) fn new(door: &'a Arc<Door>, key: Key<V>) -> Self {
        Self { door, key, options: ReadOptions::default() }
    }
}

impl<V: 'static> LookupOp<'_, V> {
    options!(consistency);
    options!(tiers);
}

impl<'a, V: CacheValue> IntoFuture for LookupOp<'a, V> {
    type Output = Lookup<V>;
    type IntoFuture = BoxFuture<'a, Lookup<V>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { door, key, options } = self;
        Box::pin(async move {
            if options.is_plain() {
                match at_once::<V>(door, &key, true) {
                    Ok(Some(cached)) => return Lookup::Hit(cached),
                    Ok(None) => return Lookup::Absent,
                    Err(_) => {}
                }
            }
            let Ok(policy) = options.policy(door, &key) else { return Lookup::Miss };
            let engine = &door.engine;
            match engine.read(door, &key, &policy).instrument(door.span_of_get()).await {
                None => Lookup::Miss,
                Some(landed) => match landed.cached(engine.timeline.now()) {
                    Some(cached) => Lookup::Hit(cached),
                    None => {
                        door.count(&key, Counter::absent_hits);
                        Lookup::Absent
                    }
                },
            }
        })
    }
}
