//! Making an entry of a value, whichever way it came.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use stratacache_core::{Key, Policy, Stamp, Tag, clock::Millis, stamp::Seq};

use super::{Door, Engine, Life};
use crate::{
    codec::CacheValue,
    memory::{Entry, Held, MapKey, Slot},
};

/// Everything an entry is made of besides its value.
pub(super) struct Making<'a, V: 'static> {
    pub(super) ns: &'a Door,
    pub(super) key: &'a Key<V>,
    pub(super) policy: &'a Policy,
    pub(super) ttl: Duration,
    pub(super) tags: &'a [Tag],
    pub(super) stamp: &'a Stamp,
    /// The position of its own insert; 0 for a load.
    pub(super) own: Seq,
    /// When the load began; `None` for an insert.
    pub(super) began: Option<Millis>,
    pub(super) etag: Option<Box<str>>,
}

impl<V: CacheValue> Making<'_, V> {
    fn map_key(&self) -> MapKey {
        MapKey::from(self.ns.lookup(self.key.as_bytes()))
    }

    /// Makes it with the times and the tags of another, where there is one: the value was changed, not loaded anew.
    pub(super) fn entry_like(self, engine: &Engine, held: Held<V>, like: Option<&Entry<V>>) -> Arc<Entry<V>> {
        let Some(like) = like else { return self.entry(engine, held) };
        let (now, policy) = (engine.timeline.now(), self.policy);
        let life = Life::promoted(policy, like.times(), 0, now);
        let cold = life.cold(None);
        if let Some(cold) = &cold {
            cold.last_read.store(now, Relaxed);
        }
        let own = self.ns.entry_scopes(self.key, self.tags);
        let scopes = self.ns.with_scopes_of(&own, &like.meta.scopes);
        let mut entry = Entry::new(self.map_key(), self.stamp, self.own, life.times, scopes, cold, held);
        entry.meta.kept_out = engine.kept_out(policy);
        engine.finished(entry, self.key.keyspace(), policy, None)
    }

    pub(super) fn entry(self, engine: &Engine, held: Held<V>) -> Arc<Entry<V>> {
        let keyspace = self.key.keyspace();
        let absent = matches!(held, Held::Absent);
        let negative = match (&held, keyspace.and_then(|k| k.negative_when())) {
            (Held::Absent, _) => true,
            (Held::Own(value), Some(says_absent)) => says_absent(value),
            (Held::Shared(value), Some(says_absent)) => says_absent(value),
            _ => false,
        };
        let ttl = if negative { self.policy.negative_time().min(self.ttl) } else { self.ttl };
        let now = engine.timeline.now();
        let load_ms = self.began.map_or(0, |began| u32::try_from(now - began).unwrap_or(u32::MAX));
        let life = Life::new(self.policy, ttl, absent, load_ms, now, &engine.jitter);
        let map_key = self.map_key();
        let scopes = self.ns.entry_scopes(self.key, self.tags);
        let mut entry = Entry::new(map_key, self.stamp, self.own, life.times, scopes, life.cold(self.etag), held);
        entry.meta.load_ms = load_ms;
        entry.meta.loaded_here = self.began.is_some();
        entry.meta.kept_out = engine.kept_out(self.policy);
        engine.finished(entry, keyspace, self.policy, None)
    }
}
