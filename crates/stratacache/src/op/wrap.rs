//! A loader bound to a namespace and a keyspace: a cached closure.

use std::{borrow::Borrow, fmt, future::Future, marker::PhantomData, sync::Arc};

use stratacache_core::{Key, KeyPart, Keyspace};

use super::{
    GetOrLoad, Refresh,
    options::{Options, options},
};
use crate::{codec::CacheValue, engine::Door, loaders::Retry};

/// A closure whose results are cached. Made by [`Namespace::wrap`](crate::Namespace::wrap), which has an example.
///
/// What is set on it (`tag`, `ttl`, `policy`, ..) holds for each call. Cheap to clone; clones share the closure.
#[must_use = "nothing happens until it is called"]
pub struct Wrapped<K: ?Sized + 'static, A, V: 'static, F> {
    door: Arc<Door>,
    keyspace: &'static Keyspace<K, V>,
    load: Arc<F>,
    options: Options,
    argument: PhantomData<fn(A)>,
}

impl<K, A, V, F> Wrapped<K, A, V, F>
where
    K: ?Sized,
{
    pub(crate) fn new(door: &Arc<Door>, keyspace: &'static Keyspace<K, V>, load: F) -> Self {
        let (door, load) = (Arc::clone(door), Arc::new(load));
        Self { door, keyspace, load, options: Options::default(), argument: PhantomData }
    }

    options!(policy);
    options!(tags);
    options!(consistency);
    options!(tiers);
    options!(share_load);
    options!(loader);

    /// Calls the closure again when it fails, with a clone of the argument: [`Retry`] says how often, and what bounds it. Default: it is
    /// called once. A load that is shared goes by whoever began it.
    ///
    /// A single call may say another one: `wrapped.call(..).retry(..)`.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.options.rare().retry = Some(retry);
        self
    }
}

impl<K, A, V, E, F, Fut> Wrapped<K, A, V, F>
where
    K: KeyPart + ?Sized,
    A: Borrow<K> + Clone + Send + 'static,
    V: CacheValue,
    E: Send + Sync + 'static,
    F: Fn(A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
{
    /// Returns the value for an argument, calling the closure if no tier has it: once, however many callers wait.
    ///
    /// The argument is the key. The call can be given more, such as a tag that depends on the argument.
    ///
    /// # Errors
    /// As [`get_or_load`](crate::Namespace::get_or_load).
    ///
    /// # Cancel safety
    /// As [`get_or_load`](crate::Namespace::get_or_load): a load that has begun goes on and is stored.
    pub fn call(
        &self,
        argument: A,
    ) -> GetOrLoad<'_, V, impl FnOnce() -> Fut + Clone + Send + 'static + use<K, A, V, E, F, Fut>> {
        let key = self.key(argument.borrow());
        let call = GetOrLoad::with(&self.door, key, self.load_of(argument), self.options.clone());
        match self.options.retried() {
            Some(retry) => call.retry(retry),
            None => call,
        }
    }

    /// Calls the closure whatever the tiers hold, stores the value and returns it.
    ///
    /// # Errors
    /// As [`refresh`](crate::Namespace::refresh).
    ///
    /// # Cancel safety
    /// As [`get_or_load`](crate::Namespace::get_or_load).
    pub fn refresh(
        &self,
        argument: A,
    ) -> Refresh<'_, V, impl FnOnce() -> Fut + Clone + Send + 'static + use<K, A, V, E, F, Fut>> {
        let key = self.key(argument.borrow());
        let call = Refresh::with(&self.door, key, self.load_of(argument), self.options.clone());
        match self.options.retried() {
            Some(retry) => call.retry(retry),
            None => call,
        }
    }

    /// Returns the key of an argument, to invalidate or to look it up in the namespace.
    #[must_use]
    pub fn key(&self, argument: &K) -> Key<V> {
        self.keyspace.key(argument)
    }

    fn load_of(&self, argument: A) -> impl FnOnce() -> Fut + Clone + Send + 'static + use<K, A, V, E, F, Fut> {
        let load = Arc::clone(&self.load);
        move || load(argument)
    }
}

impl<K: ?Sized, A, V, F> Clone for Wrapped<K, A, V, F> {
    fn clone(&self) -> Self {
        Self {
            door: Arc::clone(&self.door),
            keyspace: self.keyspace,
            load: Arc::clone(&self.load),
            options: self.options.clone(),
            argument: PhantomData,
        }
    }
}

impl<K: ?Sized, A, V, F> fmt::Debug for Wrapped<K, A, V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped")
            .field("tenant", &self.door.tenant.id)
            .field("keyspace", &self.keyspace.name())
            .finish_non_exhaustive()
    }
}
