//! Loaders of every kind, as the leader runs them.

use std::future::Future;

use crate::{
    LoadContext, Loaded,
    engine::{BoxedLoad, Loading},
};

/// Takes a loader in its general form; `again` clones it where it may be called again.
pub(super) fn loading<F, L>(load: F, again: Option<fn(&F) -> F>, form: impl Fn(F) -> L + Send + 'static) -> Loading<L>
where
    F: Send + 'static,
    L: 'static,
{
    match again {
        None => Loading::once(form(load)),
        Some(clone) => Loading::repeatable(move || form(clone(&load))),
    }
}

/// Turns a loader of values into the general form.
pub(crate) fn of_value<V, E, F, Fut>(load: F) -> BoxedLoad<V, E>
where
    V: Send + Sync + 'static,
    E: 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
{
    Box::new(move |_| Box::pin(async move { load().await.map(Loaded::new) }))
}

/// Turns a loader of optional values into the general form.
pub(crate) fn of_option<V, E, F, Fut>(load: F) -> BoxedLoad<V, E>
where
    V: Send + Sync + 'static,
    E: 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
{
    Box::new(move |_| Box::pin(async move { Ok(load().await?.map_or_else(Loaded::absent, Loaded::new)) }))
}

/// Turns a loader that wants to know the context into the general form.
pub(super) fn of_context<V, E, F, Fut>(load: F) -> BoxedLoad<V, E>
where
    V: Send + Sync + 'static,
    E: 'static,
    F: FnOnce(LoadContext<V>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
{
    Box::new(move |context| Box::pin(load(context)))
}
