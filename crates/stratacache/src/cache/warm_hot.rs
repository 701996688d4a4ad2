//! `warm_hot`: warms what was hot when the cache was closed.

use std::{
    borrow::Borrow,
    convert::Infallible,
    fmt,
    future::{Future, IntoFuture},
    hash::Hash,
    sync::Arc,
};

use stratacache_core::{DecodePart, Key, KeyPart, Keyspace, Result, TenantId};

use crate::{
    CacheValue, Loaded, Namespace,
    engine::{Door, Engine, HotGroup},
    op::{
        BoxFuture, HotKey, HotLoadError, HotPlan, HotSource, Keyed, WarmLoader, WarmPriority, WarmReport, WarmUp,
        start_hot,
    },
};

/// A warm-up of the keys that were hot when the cache was closed. Made by [`Cache::warm_hot`](crate::Cache::warm_hot).
#[must_use = "nothing happens until it is awaited or started"]
pub struct WarmHot<'a> {
    engine: &'a Arc<Engine>,
    sources: Vec<Box<dyn HotSource>>,
    plan: HotPlan,
}

/// Opens a namespace that keys were saved of.
fn door_of(engine: &Arc<Engine>, tenant: &TenantId, group: &HotGroup) -> Arc<Door> {
    Namespace::root(engine, tenant).at(group.path.clone()).door
}

fn namespace(door: &Arc<Door>) -> Namespace {
    Namespace { door: Arc::clone(door) }
}

impl<'a> WarmHot<'a> {
    pub(super) fn new(engine: &'a Arc<Engine>) -> Self {
        Self { engine, sources: Vec::new(), plan: HotPlan::default() }
    }

    fn with(mut self, source: impl HotSource + 'static) -> Self {
        self.sources.push(Box::new(source));
        self
    }

    /// Warms the hot keys of a keyspace: what the tiers below have is promoted, the rest is loaded by this, each key by itself.
    ///
    /// The loader gets the namespace that the key is of, and the key, typed: `Q` is the keyspace's type of keys, or what owns it
    /// (`String` for `str`). Keys that are no `Q` are left out; where texts are [normalized](Keyspace::normalize_text), it gets the normal form.
    /// What is loaded has no tags: where readers say `.tag(..)`, use [`load_with`](Self::load_with).
    pub fn load<K, Q, V, E, F, Fut>(self, keyspace: &'static Keyspace<K, V>, load: F) -> Self
    where
        K: KeyPart + ?Sized,
        Q: DecodePart + Borrow<K> + Clone + Send + Sync + 'static,
        V: CacheValue,
        E: fmt::Display + Send + Sync + 'static,
        F: FnOnce(Namespace, Q) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.with(Keyed::new(keyspace, move |door| {
            let (ns, load) = (namespace(door), load.clone());
            WarmLoader::of_value(move |key| load(ns, key))
        }))
    }

    /// Warms the hot keys of a keyspace, as [`load`](Self::load) does, with a loader that says more than the value: its tags, its ttl, that
    /// there is no such thing.
    pub fn load_with<K, Q, V, E, F, Fut>(self, keyspace: &'static Keyspace<K, V>, load: F) -> Self
    where
        K: KeyPart + ?Sized,
        Q: DecodePart + Borrow<K> + Clone + Send + Sync + 'static,
        V: CacheValue,
        E: fmt::Display + Send + Sync + 'static,
        F: FnOnce(Namespace, Q) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        self.with(Keyed::new(keyspace, move |door| {
            let (ns, load) = (namespace(door), load.clone());
            WarmLoader::of_loaded(move |key| load(ns, key))
        }))
    }

    /// Warms the hot keys of a keyspace, as [`load`](Self::load) does, with one call of the loader for a batch of keys of one namespace that
    /// no tier has. A key that it leaves out is absent.
    pub fn load_many<K, Q, V, E, F, Fut, I>(self, keyspace: &'static Keyspace<K, V>, load: F) -> Self
    where
        K: KeyPart + ?Sized,
        Q: DecodePart + Borrow<K> + Clone + Hash + Eq + Send + Sync + 'static,
        V: CacheValue,
        E: fmt::Display + Send + Sync + 'static,
        F: FnOnce(Namespace, Vec<Q>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (Q, V)> + Send + 'static,
    {
        self.with(Keyed::new(keyspace, move |door| {
            let (ns, load) = (namespace(door), load.clone());
            WarmLoader::of_many(move |keys| load(ns, keys))
        }))
    }

    /// Promotes what the tiers below have of the hot keys of a keyspace, and loads nothing. Keys of any type.
    pub fn from_tiers<K: ?Sized, V: CacheValue>(self, keyspace: &'static Keyspace<K, V>) -> Self {
        self.with(Keyed::<Key<V>, V, Infallible>::of_tiers(keyspace.info()))
    }

    /// Sets how many batches are under way at once, as for [`Warm`](crate::op::Warm::concurrency). Default 8.
    pub fn concurrency(mut self, batches: usize) -> Self {
        self.plan.concurrency(batches);
        self
    }

    /// Sets how many keys are loaded or read in one call, as for [`Warm`](crate::op::Warm::batch). Default 100.
    pub fn batch(mut self, keys: usize) -> Self {
        self.plan.batch(keys);
        self
    }

    /// Sets how many keys a second are begun at most, of all tenants together, as for [`Warm`](crate::op::Warm::rate). Default: no limit.
    pub fn rate(mut self, keys_per_second: u32) -> Self {
        self.plan.rate(keys_per_second);
        self
    }

    /// Sets how many of a tenant's places for loads are left to readers, as for [`Warm`](crate::op::Warm::priority). Default
    /// [`WarmPriority::Low`]: three quarters.
    pub fn priority(mut self, priority: WarmPriority) -> Self {
        self.plan.priority(priority);
        self
    }

    /// Sets how many failures the report lists; all are counted. Default 100.
    pub fn list_failures(mut self, failures: usize) -> Self {
        self.plan.list_failures(failures);
        self
    }

    /// Starts it in a task of its own, and returns a handle that shows how far it is, and stops it. Must be called within the
    /// runtime of the cache.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names the option that is not valid;
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after `close`. What a load fails with is in the report.
    pub fn start(self) -> Result<WarmUp<HotKey, HotLoadError>> {
        start_hot(self.engine, door_of, self.sources, self.plan)
    }
}

impl<'a> IntoFuture for WarmHot<'a> {
    type Output = Result<WarmReport<HotKey, HotLoadError>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.start()?.finish().await) })
    }
}
