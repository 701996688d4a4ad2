//! The loaders of a warm-up, as its task calls them.

use std::{collections::HashMap, future::Future, hash::Hash, sync::Arc};

use crate::{
    Loaded,
    codec::CacheValue,
    engine::{BoxedLoad, BulkLoad, Loading},
};

type One<Q, V, E> = Box<dyn Fn(Q) -> Loading<BoxedLoad<V, E>> + Send>;
type Many<Q, V, E> = Box<dyn Fn(Arc<[Q]>) -> Loading<BulkLoad<V, E>> + Send>;

/// How the keys of a warm-up are loaded. Made by [`Warm::load`](super::Warm::load) and its relatives.
pub struct WarmLoader<Q, V, E>(Inner<Q, V, E>);

enum Inner<Q, V, E> {
    /// The flag says that an absence is an answer.
    One(One<Q, V, E>, bool),
    Many(Many<Q, V, E>),
    Tiers,
}

/// The load of one batch.
pub(super) enum Kind<V, E> {
    One(Loading<BoxedLoad<V, E>>, bool),
    Many(Loading<BulkLoad<V, E>>),
    /// None: only the tiers are read.
    Tiers,
}

impl<Q, V, E> WarmLoader<Q, V, E> {
    pub(crate) fn tiers() -> Self {
        Self(Inner::Tiers)
    }
}

impl<Q, V, E> WarmLoader<Q, V, E>
where
    Q: Clone + Send + Sync + 'static,
    V: CacheValue,
    E: 'static,
{
    pub(crate) fn of_value<F, Fut>(load: F) -> Self
    where
        F: FnOnce(Q) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let one = move |key: Q| {
            let load = load.clone();
            Loading::repeatable(move || -> BoxedLoad<V, E> {
                let (load, key) = (load.clone(), key.clone());
                Box::new(move |_| Box::pin(async move { load(key).await.map(Loaded::new) }))
            })
        };
        Self(Inner::One(Box::new(one), false))
    }

    pub(crate) fn of_loaded<F, Fut>(load: F) -> Self
    where
        F: FnOnce(Q) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let one = move |key: Q| {
            let load = load.clone();
            Loading::repeatable(move || -> BoxedLoad<V, E> {
                let (load, key) = (load.clone(), key.clone());
                Box::new(move |_| Box::pin(load(key)))
            })
        };
        Self(Inner::One(Box::new(one), true))
    }

    pub(crate) fn of_option<F, Fut>(load: F) -> Self
    where
        F: FnOnce(Q) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
    {
        let one = move |key: Q| {
            let load = load.clone();
            Loading::repeatable(move || -> BoxedLoad<V, E> {
                let (load, key) = (load.clone(), key.clone());
                Box::new(move |_| {
                    Box::pin(async move { Ok(load(key).await?.map_or_else(Loaded::absent, Loaded::new)) })
                })
            })
        };
        Self(Inner::One(Box::new(one), true))
    }

    pub(crate) fn of_many<F, Fut, I>(load: F) -> Self
    where
        Q: Hash + Eq,
        F: FnOnce(Vec<Q>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (Q, V)> + Send + 'static,
    {
        let many = move |keys: Arc<[Q]>| {
            let load = load.clone();
            Loading::repeatable(move || -> BulkLoad<V, E> {
                let (load, keys) = (load.clone(), Arc::clone(&keys));
                Box::new(move |indices| {
                    Box::pin(async move {
                        let missing = indices.iter().map(|index| keys[*index].clone()).collect();
                        let places: HashMap<&Q, usize> = indices.iter().map(|index| (&keys[*index], *index)).collect();
                        let loaded = load(missing).await?;
                        // what was not asked for is dropped: it has no fence
                        Ok(loaded.into_iter().filter_map(|(key, value)| Some((*places.get(&key)?, value))).collect())
                    })
                })
            })
        };
        Self(Inner::Many(Box::new(many)))
    }
}

impl<Q: Clone, V, E> WarmLoader<Q, V, E> {
    /// Tells whether it loads one key at a time.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.0, Inner::One(..))
    }

    /// Tells whether a known absence is an answer.
    pub(super) fn takes_absence(&self) -> bool {
        !matches!(self.0, Inner::One(_, false))
    }

    /// Tells whether it runs in one of the tenant's places for loads.
    pub(super) fn needs_place(&self) -> bool {
        !matches!(self.0, Inner::Tiers)
    }

    /// Makes the load of a batch.
    pub(super) fn load_of(&self, keys: &[Q]) -> Kind<V, E> {
        match (&self.0, keys) {
            (Inner::One(load, optional), [key, ..]) => Kind::One(load(key.clone()), *optional),
            (Inner::Many(load), keys) => Kind::Many(load(keys.into())),
            (Inner::Tiers | Inner::One(..), _) => Kind::Tiers,
        }
    }
}
