//! Many keys in one call.

use std::{
    collections::HashMap,
    future::{Future, IntoFuture},
    hash::Hash,
    sync::Arc,
};

use stratacache_core::{IntoKey, Key, KeyPart, Keyspace, Policy, Result, Token};

use super::{
    BoxFuture,
    options::{Options, options},
};
use crate::{
    Cached, Freshness, IntoValue, LoadError, Namespace,
    codec::CacheValue,
    engine::{BulkLoad, BulkRequest, WriteRequest},
    observe::Counter,
    value::Value,
};

/// A read of many keys. Made by [`Namespace::get_many`].
#[must_use = "nothing happens until it is awaited"]
pub struct GetMany<'a, V: 'static> {
    ns: &'a Namespace,
    keys: Vec<Key<V>>,
    options: Options,
}

impl<V: 'static> GetMany<'_, V> {
    options!(consistency);
}

impl<'a, V: CacheValue> IntoFuture for GetMany<'a, V> {
    type Output = Vec<Option<Cached<V>>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { ns, keys, options } = self;
        Box::pin(async move {
            let engine = &ns.door.engine;
            // a key that is not valid is a miss: the others are read
            let policy = keys.iter().find_map(|key| options.policy(ns, key).ok());
            let Some(policy) = policy else { return keys.iter().map(|_| None).collect() };
            let found = engine.read_many(&ns.door, &keys, &policy).await;
            let now = engine.timeline.now();
            found.into_iter().map(|landed| landed?.cached(now)).collect()
        })
    }
}

/// A read of many keys that loads what is missing in one call. Made by [`Namespace::get_or_load_many`].
#[must_use = "nothing happens until it is awaited"]
pub struct GetOrLoadMany<'a, K: 'static, V: 'static, F> {
    ns: &'a Namespace,
    keyspace: &'static Keyspace<K, V>,
    keys: Vec<K>,
    load: F,
    options: Options,
}

impl<K, V: 'static, F> GetOrLoadMany<'_, K, V, F> {
    options!(policy);
    options!(tags);
    options!(consistency);
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
        let Self { ns, keyspace, keys: wanted, load, options } = self;
        Box::pin(async move {
            let mut places: HashMap<K, usize> = HashMap::with_capacity(wanted.len());
            let mut distinct = Vec::with_capacity(wanted.len());
            for key in wanted {
                if !places.contains_key(&key) {
                    places.insert(key.clone(), distinct.len());
                    distinct.push(key);
                }
            }
            let keys: Vec<Key<V>> = distinct.iter().map(|k| keyspace.key(k)).collect();
            let mut policy = Policy::default();
            for key in &keys {
                policy = options.policy(ns, key).map_err(LoadError::Invalid)?;
            }
            let engine = Arc::clone(&ns.door.engine);
            let originals = distinct.clone();
            let load: BulkLoad<V, E> = Box::new(move |indices| {
                Box::pin(async move {
                    let missing = indices.iter().map(|i| originals[*i].clone()).collect();
                    let loaded = load(missing).await?;
                    // what was not asked for is dropped: it has no fence
                    Ok(loaded.into_iter().filter_map(|(key, value)| Some((*places.get(&key)?, value))).collect())
                })
            });
            let ttl = policy.fresh_time();
            let request =
                BulkRequest { ns: Arc::clone(&ns.door), keys: keys.clone(), policy, ttl, tags: options.tags, load };
            let landed = engine.read_through_many(request).await?;
            let now = engine.timeline.now();
            let mut found = HashMap::with_capacity(landed.len());
            for ((original, key), landed) in distinct.into_iter().zip(&keys).zip(landed) {
                let loaded = landed.freshness == Freshness::Loaded;
                match landed.cached(now) {
                    Some(cached) => {
                        found.insert(original, cached);
                    }
                    None if !loaded => ns.door.count(key, Counter::absent_hits),
                    None => {}
                }
            }
            Ok(found)
        })
    }
}

/// A write of many values. Made by [`Namespace::insert_many`].
#[must_use = "nothing happens until it is awaited"]
pub struct InsertMany<'a, V: 'static> {
    ns: &'a Namespace,
    items: Vec<(Key<V>, Value<V>)>,
    options: Options,
}

impl<V: 'static> InsertMany<'_, V> {
    options!(policy);
    options!(tags);

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
        let Self { ns, items, options } = self;
        Box::pin(async move {
            let mut tokens = Vec::with_capacity(items.len());
            // one stamp for all: what is invalidated while they are written beats those that come later too, and the
            // marks that tell are kept until the last is written
            let (_fill, now) = ns.door.engine.mirror.begin_fill(&ns.door.tenant.marks);
            let stamp = options.rare.as_ref().and_then(|r| r.stamp).unwrap_or(now);
            for (key, value) in items {
                let policy = options.policy(ns, &key)?;
                let ttl = policy.fresh_time();
                let tags = options.tags.clone();
                let request = WriteRequest {
                    ns: Arc::clone(&ns.door),
                    key,
                    value: value.0,
                    policy,
                    ttl,
                    tags,
                    stamp: Some(stamp),
                };
                tokens.push(ns.door.engine.insert(request).await?);
            }
            Ok(tokens)
        })
    }
}

impl Namespace {
    /// Returns the values of many keys, one place for each in their order; each tier is asked once.
    ///
    /// As [`get`](Self::get): a broken tier or an invalid key is a miss.
    pub fn get_many<V: CacheValue>(&self, keys: impl IntoIterator<Item = impl IntoKey<V>>) -> GetMany<'_, V> {
        let keys = keys.into_iter().map(IntoKey::into_key).collect();
        GetMany { ns: self, keys, options: Options::default() }
    }

    /// Returns the values of many keys, with one call of `load` for all that no tier has.
    ///
    /// The loader gets the missing keys and returns pairs of key and value. A key it leaves out is taken for absent: it is
    /// not in the result, and is not asked for again for the policy's `negative_ttl`. Every value is fenced like one of
    /// [`get_or_load`](Self::get_or_load); keys that somebody else is loading are waited for, not loaded twice.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load); one failed load fails the call, unless stale values can stand in.
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// ```
    /// use stratacache::{Cache, Keyspace, Policy, TenantId, minutes};
    ///
    /// const NAMES: Keyspace<u32, String> = Keyspace::new("names", Policy::ttl(minutes(5)));
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let names = acme
    ///     .get_or_load_many(&NAMES, [1, 2, 3], async |missing: Vec<u32>| {
    ///         // SELECT id, name FROM contacts WHERE id IN (..missing..)
    ///         Ok::<_, std::io::Error>(missing.into_iter().map(|id| (id, format!("name {id}"))).collect::<Vec<_>>())
    ///     })
    ///     .await?;
    /// assert_eq!(*names[&2], "name 2");
    /// # Ok(()) }
    /// ```
    pub fn get_or_load_many<K, V, F>(
        &self,
        keyspace: &'static Keyspace<K, V>,
        keys: impl IntoIterator<Item = K>,
        load: F,
    ) -> GetOrLoadMany<'_, K, V, F>
    where
        V: CacheValue,
    {
        GetOrLoadMany { ns: self, keyspace, keys: keys.into_iter().collect(), load, options: Options::default() }
    }

    /// Stores many values, one after the other, under one stamp; returns a token for each, in order.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), from the first that fails: those before it are stored, those after it are not.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert), for each value.
    pub fn insert_many<V: CacheValue>(
        &self,
        items: impl IntoIterator<Item = (impl IntoKey<V>, impl IntoValue<V>)>,
    ) -> InsertMany<'_, V> {
        let items = items.into_iter().map(|(key, value)| (key.into_key(), value.into_value())).collect();
        InsertMany { ns: self, items, options: Options::default() }
    }
}
