//! `get` and `contains`.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll},
};

use stratacache_core::{IntoKey, Key};

use super::{
    load_future::{AtOnce, State},
    options::{Options, options},
};
use crate::{Cached, Namespace, codec::CacheValue};

/// A read without a loader. Made by [`Namespace::get`].
#[must_use = "nothing happens until it is awaited"]
pub struct Get<'a, V: 'static> {
    ns: &'a Namespace,
    key: Key<V>,
    options: Options,
}

impl<V: 'static> Get<'_, V> {
    options!(consistency);
}

impl<'a, V: CacheValue> IntoFuture for Get<'a, V> {
    type Output = Option<Cached<V>>;
    type IntoFuture = GetFuture<'a, V>;

    #[inline]
    fn into_future(self) -> GetFuture<'a, V> {
        GetFuture(State::Start(self))
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
                match start.ns.at_once::<V>(&start.key, true) {
                    AtOnce::Hit(cached) => Some(Some(cached)),
                    AtOnce::Absent => Some(None),
                    AtOnce::NotYet { .. } => None,
                }
            },
            |Get { ns, key, options }| {
                Box::pin(async move {
                    let policy = options.policy(ns, &key).ok()?;
                    let engine = &ns.door.engine;
                    let landed = engine.read(&ns.door, &key, &policy).await?;
                    landed.cached(engine.timeline.now())
                })
            },
        )
    }
}

/// Asks whether a key has a value. Made by [`Namespace::contains`].
#[must_use = "nothing happens until it is awaited"]
pub struct Contains<'a, V: 'static>(Get<'a, V>);

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

impl Namespace {
    /// Returns the value of a key if some tier has it: fresh, or stale within `stale_while_revalidate`.
    ///
    /// A broken tier is a miss and an event, never an error; so is an invalid key (`Key::check` tells). A known absence
    /// is `None` too; [`lookup`](Self::lookup) tells it from a miss.
    ///
    /// ```
    /// # use stratacache::{Cache, TenantId};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// acme.insert("answer", 42_u32).await?;
    /// let answer = acme.get::<u32>("answer").await.expect("just inserted");
    /// assert_eq!(*answer, 42);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn get<V: CacheValue>(&self, key: impl IntoKey<V>) -> Get<'_, V> {
        Get { ns: self, key: key.into_key(), options: Options::default() }
    }

    /// Tells whether [`get`](Self::get) would return a value. It counts as a read.
    pub fn contains<V: CacheValue>(&self, key: impl IntoKey<V>) -> Contains<'_, V> {
        Contains(self.get(key))
    }
}
