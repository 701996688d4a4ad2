//! Many keys in one call.

use std::{
    collections::HashMap,
    future::{Future, IntoFuture},
    hash::Hash,
    sync::Arc,
};

use smallvec::SmallVec;
use stratacache_core::{Key, KeyPart, Keyspace, Policy, Result, Token};
use tracing::Instrument;

use super::{
    BoxFuture, loader,
    options::{Options, options},
};
use crate::{
    Cached, Freshness, LoadError,
    codec::CacheValue,
    engine::{BulkCall, BulkLoad, BulkRequest, Door, WriteItem, WriteRequest, error_of_item, stricter},
    observe::Counter,
    value::Value,
};

/// A read of many keys. Made by [`Namespace::get_many`](crate::Namespace::get_many).
#[must_use = "nothing happens until it is awaited"]
pub struct GetMany<'a, V: 'static> {
    door: &'a Arc<Door>,
    keys: Vec<Key<V>>,
    options: Options,
}

impl<'a, V: 'static> GetMany<'a, V> {
    pub(crate) fn new(door: &'a Arc<Door>, keys: Vec<Key<V>>) -> Self {
        Self { door, keys, options: Options::default() }
    }
}

/// Returns the policy for reading keys together: as new as any of them asks.
fn strictest<V: 'static>(door: &Door, keys: &[Key<V>], options: &Options, first: Policy) -> Policy {
    let keyspace = |key: &Key<V>| key.keyspace().map(std::ptr::from_ref);
    let mut known: SmallVec<[_; 4]> = SmallVec::new();
    let mut strictest = first;
    for key in keys {
        if known.contains(&keyspace(key)) {
            continue; // most have the same
        }
        if let Ok(policy) = options.policy(door, key) {
            strictest = stricter(strictest, &policy);
            known.push(keyspace(key));
        }
    }
    strictest
}

impl<V: 'static> GetMany<'_, V> {
    options!(consistency);
    options!(tiers);
}

impl<'a, V: CacheValue> IntoFuture for GetMany<'a, V> {
    type Output = Vec<Option<Cached<V>>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { door, keys, options } = self;
        Box::pin(async move {
            let engine = &door.engine;
            // a key that is not valid is a miss: the others are read
            let policy = keys.iter().find_map(|key| options.policy(door, key).ok());
            let Some(mut policy) = policy else { return keys.iter().map(|_| None).collect() };
            if engine.shared {
                policy = strictest(door, &keys, &options, policy);
            }
            let found = engine.read_many(door, &keys, &policy).instrument(door.span_of_get()).await;
            let now = engine.timeline.now();
            found.into_iter().map(|landed| landed?.cached(now)).collect()
        })
    }
}

/// A read of many keys that loads what is missing in one call. Made by [`Namespace::get_or_load_many`](crate::Namespace::get_or_load_many).
#[must_use = "nothing happens until it is awaited"]
pub struct GetOrLoadMany<'a, K: 'static, V: 'static, F> {
    door: &'a Arc<Door>,
    keyspace: &'static Keyspace<K, V>,
    keys: Vec<K>,
    load: F,
    options: Options,
    /// Clones the loader, where it may be called again.
    again: Option<fn(&F) -> F>,
    forced: bool,
}

impl<'a, K, V: 'static, F> GetOrLoadMany<'a, K, V, F> {
    pub(crate) fn new(door: &'a Arc<Door>, keyspace: &'static Keyspace<K, V>, keys: Vec<K>, load: F) -> Self {
        Self::with(door, keyspace, keys, load, Options::default(), false)
    }

    /// `forced` loads whatever the tiers hold.
    pub(crate) fn with(
        door: &'a Arc<Door>,
        keyspace: &'static Keyspace<K, V>,
        keys: Vec<K>,
        load: F,
        options: Options,
        forced: bool,
    ) -> Self {
        Self { door, keyspace, keys, load, options, again: None, forced }
    }
}

impl<K, V: 'static, F> GetOrLoadMany<'_, K, V, F> {
    options!(policy);
    options!(tags);
    options!(consistency);
    options!(tiers);
    options!(loader);
    options!(retry);
}

impl<'a, K, V, E, F, Fut, I> IntoFuture for GetOrLoadMany<'a, K, V, F>
where
    K: KeyPart + Hash + Eq + Clone + Send + Sync + 'static,
    V: CacheValue,
    E: Send + Sync + 'static,
    F: FnOnce(Vec<K>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<I, E>> + Send + 'static,
    I: IntoIterator<Item = (K, V)> + Send + 'static,
{
    type Output = Result<HashMap<K, Cached<V>>, LoadError<E>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { door, keyspace, keys: wanted, load, options, again, forced } = self;
        Box::pin(async move {
            let mut places: HashMap<K, usize> = HashMap::with_capacity(wanted.len());
            let mut distinct = Vec::with_capacity(wanted.len());
            for key in wanted {
                if !places.contains_key(&key) {
                    places.insert(key.clone(), distinct.len());
                    distinct.push(key);
                }
            }
            let keys: Arc<[Key<V>]> = distinct.iter().map(|k| keyspace.key(k)).collect();
            let mut policy = Policy::default();
            for key in &*keys {
                policy = options.policy(door, key).map_err(LoadError::not_allowed)?;
            }
            let protection = options.protection(door, Some(keyspace.info())).map_err(LoadError::not_allowed)?;
            let engine = Arc::clone(&door.engine);
            let (originals, places) = (Arc::new(distinct.clone()), Arc::new(places));
            let form = move |load: F| -> BulkLoad<V, E> {
                let (originals, places) = (Arc::clone(&originals), Arc::clone(&places));
                Box::new(move |indices| {
                    Box::pin(async move {
                        let missing = indices.iter().map(|i| originals[*i].clone()).collect();
                        let loaded = load(missing).await?;
                        // what was not asked for is dropped: it has no fence
                        Ok(loaded.into_iter().filter_map(|(key, value)| Some((*places.get(&key)?, value))).collect())
                    })
                })
            };
            let load = loader::loading(load, again, form);
            let ttl = policy.fresh_time();
            let call = BulkCall {
                ns: Arc::clone(door),
                keys: Arc::clone(&keys),
                policy,
                ttl,
                tags: options.tags,
                forced,
                place: None,
                protection,
            };
            let landed = engine.read_through_many(BulkRequest { call, load }).instrument(door.span_of_get()).await?;
            let now = engine.timeline.now();
            let mut found = HashMap::with_capacity(landed.len());
            for ((original, key), landed) in distinct.into_iter().zip(&*keys).zip(landed) {
                let loaded = landed.freshness == Freshness::Loaded;
                match landed.cached(now) {
                    Some(cached) => {
                        found.insert(original, cached);
                    }
                    None if !loaded => door.count(key, Counter::absent_hits),
                    None => {}
                }
            }
            Ok(found)
        })
    }
}

/// A write of many values. Made by [`Namespace::insert_many`](crate::Namespace::insert_many).
#[must_use = "nothing happens until it is awaited"]
pub struct InsertMany<'a, V: 'static> {
    door: &'a Arc<Door>,
    items: Vec<(Key<V>, Value<V>)>,
    options: Options,
}

impl<'a, V: 'static> InsertMany<'a, V> {
    pub(crate) fn new(door: &'a Arc<Door>, items: Vec<(Key<V>, Value<V>)>) -> Self {
        Self { door, items, options: Options::default() }
    }
}

impl<V: 'static> InsertMany<'_, V> {
    options!(policy);
    options!(tags);
    options!(tiers);

    /// Fences every insert with a position taken before the source was read or written. As [`Insert::stamped`](super::Insert::stamped).
    pub fn stamped(mut self, stamp: stratacache_core::Stamp) -> Self {
        self.options.rare().stamp = Some(stamp);
        self
    }
}

impl<'a, V: CacheValue> IntoFuture for InsertMany<'a, V> {
    type Output = Result<Vec<Token>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { door, items, options } = self;
        Box::pin(async move {
            door.check()?;
            door.check_tags(&options.tags)?;
            let stamp = options.rare.as_ref().and_then(|r| r.stamp);
            let item = |(index, (key, value)): (usize, (Key<V>, Value<V>))| {
                let policy = options.policy(door, &key);
                let policy = policy.map_err(|e| error_of_item(index, door.key_hash(key.as_bytes()), e))?;
                Ok(WriteItem { key, value: value.0, policy, ttl: policy.fresh_time(), like: None })
            };
            // all are checked before the first is written
            let items = items.into_iter().enumerate().map(item).collect::<Result<_>>()?;
            let request = WriteRequest { ns: Arc::clone(door), items, tags: options.tags, stamp };
            door.engine.insert_many(request).await
        })
    }
}
