//! `lookup`: a read that tells a known absence from a miss.

use std::future::IntoFuture;

use stratacache_core::{IntoKey, Key};

use super::{
    BoxFuture,
    load_future::AtOnce,
    options::{Options, options},
};
use crate::{Cached, Namespace, codec::CacheValue, observe::Counter};

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

/// A read that tells a known absence from a miss. Made by [`Namespace::lookup`].
#[must_use = "nothing happens until it is awaited"]
pub struct LookupOp<'a, V: 'static> {
    ns: &'a Namespace,
    key: Key<V>,
    options: Options,
}

impl<V: 'static> LookupOp<'_, V> {
    options!(consistency);
}

impl<'a, V: CacheValue> IntoFuture for LookupOp<'a, V> {
    type Output = Lookup<V>;
    type IntoFuture = BoxFuture<'a, Lookup<V>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { ns, key, options } = self;
        Box::pin(async move {
            if options.is_plain() {
                match ns.at_once::<V>(&key, true) {
                    AtOnce::Hit(cached) => return Lookup::Hit(cached),
                    AtOnce::Absent => return Lookup::Absent,
                    AtOnce::NotYet { .. } => {}
                }
            }
            let Ok(policy) = options.policy(ns, &key) else { return Lookup::Miss };
            let engine = &ns.door.engine;
            match engine.read(&ns.door, &key, &policy).await {
                None => Lookup::Miss,
                Some(landed) => match landed.cached(engine.timeline.now()) {
                    Some(cached) => Lookup::Hit(cached),
                    None => {
                        ns.door.count(&key, Counter::absent_hits);
                        Lookup::Absent
                    }
                },
            }
        })
    }
}

impl Namespace {
    /// Returns what the cache knows of a key: a value, a known absence, or nothing.
    pub fn lookup<V: CacheValue>(&self, key: impl IntoKey<V>) -> LookupOp<'_, V> {
        LookupOp { ns: self, key: key.into_key(), options: Options::default() }
    }
}
