//! The future of the reads that load: memory is polled first, without a box.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use stratacache_core::Key;

use super::{BoxFuture, options::Options};
use crate::{
    Cached, Freshness, LoadError,
    codec::CacheValue,
    engine::{BoxedLoad, Call, Door, Loading, Quick, Request, Seen, Standing},
    observe::Counter,
};

/// Memory has no simple answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)] // as large as what a hit has in its place, so that neither is put together of bytes
pub(super) enum NotYet {
    Ask,
    /// The entry asked for an early refresh.
    Refresh,
}

/// Asks memory for a simple answer; `None` is an absence.
#[inline]
pub(super) fn at_once<V: CacheValue>(
    door: &Arc<Door>,
    key: &Key<V>,
    optional: bool,
) -> Result<Option<Cached<V>>, NotYet> {
    if door.asks_first(key) {
        return Err(NotYet::Ask);
    }
    let engine = &door.engine;
    let (entry, now) = match engine.quick::<V>(door, key.as_bytes()) {
        Quick::Hit(entry, now) => (entry, now),
        Quick::Miss | Quick::OtherType => return Err(NotYet::Ask),
        Quick::Look(slot) => match engine.examine::<V>(door, key.as_bytes(), slot) {
            Seen::Fresh { entry, refresh: false } => {
                engine.touch_below(door, key, &entry);
                (entry, engine.timeline.coarse())
            }
            Seen::Fresh { refresh: true, .. } => return Err(NotYet::Refresh),
            _ => return Err(NotYet::Ask),
        },
    };
    match Cached::new(entry, Freshness::Fresh, now) {
        Some(cached) => {
            door.count(key, Counter::memory_hits);
            door.say_hit(key.as_bytes(), "memory", "fresh");
            Ok(Some(cached))
        }
        None if optional => {
            door.count(key, Counter::memory_hits);
            door.count(key, Counter::absent_hits);
            door.say_hit(key.as_bytes(), "memory", "absent");
            Ok(None)
        }
        None => Err(NotYet::Ask),
    }
}

/// Loads, after memory had no simple answer. `None` is an absence.
pub(crate) async fn load_slowly<V, E>(
    door: Arc<Door>,
    key: Key<V>,
    options: Options,
    load: Loading<BoxedLoad<V, E>>,
    forced: bool,
    optional: bool,
    refresh: bool,
) -> Result<Option<Cached<V>>, LoadError<E>>
where
    V: CacheValue,
    E: Send + Sync + 'static,
{
    let policy = options.policy(&door, &key).map_err(LoadError::not_allowed)?;
    let protection = options.protection(&door, key.keyspace()).map_err(LoadError::not_allowed)?;
    let engine = Arc::clone(&door.engine);
    let share = options.rare.as_ref().is_none_or(|r| !r.alone);
    let ttl = policy.fresh_time();
    let call = Call {
        ns: Arc::clone(&door),
        key: key.clone(),
        policy,
        ttl,
        tags: options.tags,
        forced,
        behind: false,
        share,
        optional,
        refresh,
        standing: Standing::Current,
        place: None,
        protection,
    };
    let landed = engine.read_through(Box::new(Request { call, load })).await?;
    let freshness = landed.freshness;
    let cached = landed.cached(engine.timeline.now());
    if cached.is_none() && freshness != Freshness::Loaded {
        door.count(&key, Counter::absent_hits);
    }
    Ok(cached)
}

/// The state of a future that polls memory first.
pub(super) struct State<'a, T, R> {
    /// There until the slow way is taken. It stays after a hit: to drop it once is cheaper than to mark it as done.
    start: Option<T>,
    slow: Option<BoxFuture<'a, R>>,
}

impl<'a, T, R> State<'a, T, R> {
    #[inline]
    pub(super) fn new(start: T) -> Self {
        Self { start: Some(start), slow: None }
    }

    /// Drives the state: `at_once` may have the answer, else `slowly` gives the long way to it.
    #[inline]
    pub(super) fn drive(
        &mut self,
        cx: &mut Context<'_>,
        at_once: impl FnOnce(&T) -> Option<R>,
        slowly: impl FnOnce(T) -> BoxFuture<'a, R>,
    ) -> Poll<R> {
        // looked at where it is: an operation is large to move
        if let Some(answer) = self.start.as_ref().and_then(at_once) {
            return Poll::Ready(answer);
        }
        self.go_on(cx, slowly)
    }

    #[cold]
    fn go_on(&mut self, cx: &mut Context<'_>, slowly: impl FnOnce(T) -> BoxFuture<'a, R>) -> Poll<R> {
        if let Some(start) = self.start.take() {
            self.slow = Some(slowly(start));
        }
        let Some(slow) = &mut self.slow else {
            return Poll::Pending; // polled after it was ready: there is nothing more to come
        };
        let polled = Pin::as_mut(slow).poll(cx);
        if polled.is_ready() {
            self.slow = None;
        }
        polled
    }
}
