//! `get` and `contains`.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use stratacache_core::Key;
use tracing::Instrument;

use super::{
    load_future::{State, at_once},
    options::{ReadOptions, options},
};
use crate::{Cached, codec::CacheValue, engine::Door};

/// A read without a loader. Made by [`Namespace::get`](crate::Namespace::get).
#[must_use = "nothing happens until it is awaited"]
pub struct Get<'a, V: 'static> {
    door: &'a Arc<Door>,
    key: Key<V>,
    options: ReadOptions,
}

impl<'a, V: 'static> Get<'a, V> {
    #[inline]
    pub(crate) fn new(door: &'a Arc<Door>, key: Key<V>) -> Self {
        Self { door, key, options: ReadOptions::default() }
    }
}

impl<V: 'static> Get<'_, V> {
    options!(consistency);
    options!(tiers);
}

impl<'a, V: CacheValue> IntoFuture for Get<'a, V> {
    type Output = Option<Cached<V>>;
    type IntoFuture = GetFuture<'a, V>;

    #[inline]
    fn into_future(self) -> GetFuture<'a, V> {
        GetFuture(State::new(self))
    }
}

/// The future of [`Get`].
///
/// # Cancel safety
/// May be dropped at any time.
pub struct GetFuture<'a, V: 'static>(State<'a, Get<'a, V>, Option<Cached<V>>>);

impl<V: CacheValue> Future for GetFuture<'_, V> {
    type Output = Option<Cached<V>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.drive(
            cx,
            |start| {
                if !start.options.is_plain() {
                    return None;
                }
                at_once::<V>(start.door, &start.key, true).ok()
            },
            |Get { door, key, options }| {
                let slowly = async move {
                    let policy = options.policy(door, &key).ok()?;
                    let engine = &door.engine;
                    let landed = engine.read(door, &key, &policy).await?;
                    landed.cached(engine.timeline.now())
                };
                Box::pin(slowly.instrument(door.span_of_get()))
            },
        )
    }
}

/// Asks whether a key has a value. Made by [`Namespace::contains`](crate::Namespace::contains).
#[must_use = "nothing happens until it is awaited"]
pub struct Contains<'a, V: 'static>(Get<'a, V>);

impl<'a, V: 'static> Contains<'a, V> {
    pub(crate) fn new(get: Get<'a, V>) -> Self {
        Self(get)
    }
}

impl<'a, V: CacheValue> IntoFuture for Contains<'a, V> {
    type Output = bool;
    type IntoFuture = ContainsFuture<'a, V>;

    fn into_future(self) -> ContainsFuture<'a, V> {
        ContainsFuture(self.0.into_future())
    }
}

/// The future of [`Contains`].
///
/// # Cancel safety
/// May be dropped at any time.
pub struct ContainsFuture<'a, V: 'static>(GetFuture<'a, V>);

impl<V: CacheValue> Future for ContainsFuture<'_, V> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        Pin::new(&mut self.0).poll(cx).map(|found| found.is_some())
    }
}
